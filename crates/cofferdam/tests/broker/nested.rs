//! What a workload puts around itself, and what it does to pid 1 from afar.

use std::fs;
use std::time::Duration;

use crate::support::Place;
use crate::trial::{Session, allowed, denied, init_of, same};

/// A filter that answers one number with an errno, and lets everything else through.
const FILTER: &str = "
def program(number, answer):
    code = struct.pack('HBBI', 0x20, 0, 0, 0) + struct.pack('HBBI', 0x15, 0, 1, number)
    code += struct.pack('HBBI', 6, 0, 0, answer) + struct.pack('HBBI', 6, 0, 0, 0x7fff0000)
    kept.append(ctypes.create_string_buffer(code))
    kept.append(ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(kept[-1]))))
    return kept[-1]
kept = []
call(157, 38, 1, 0, 0, 0)
";

#[test]
fn plain_filters_nest_and_listeners_do_not() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            FILTER,
            "call(317, 1, 0, program(84, 0x00050000 | 62)); os.mkdir('d'); os.rmdir('d')",
            "os.rename('d', 'e'); said = os.listdir('.')",
        ],
    );
    assert_eq!(said[1..3], ["ETIME", "['e']"], "its own filter is obeyed");
    let act = format!("{FILTER}\nos.close(call(317, 1, 8, program(84, 0x7fc00000)))");
    denied(&place, &[], &[(act, "EBUSY")]);
    // What its own filter lets through is still judged.
    let act = format!("{FILTER}\ncall(317, 1, 0, program(999, 0x00050000)); os.mkdir('.claude')");
    denied(&place, &[], &[(act, "EACCES")]);
}

/// Performed by another, a call would pass the caller's own layer.
#[test]
fn there_is_no_landlock_inside() {
    let place = Place::new();
    denied(&place, &[], &[("call(444, 0, 0, 1)".into(), "ENOTSUP")]);
    let layer = "call(157, 38, 1, 0, 0, 0)\nos.close(call(444, ctypes.create_string_buffer((0x1fff).to_bytes(8, 'little')), 8, 0))";
    denied(&place, &[], &[(layer.into(), "ENOTSUP")]);
    allowed(&place, &[], &["os.mkdir('d')"]);
}

/// Pid 1 has to read who asks.
#[test]
fn who_asks_stays_readable() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &["call(157, 4, 0, 0, 0, 0); os.mkdir('d'); os.rename('d', 'e'); said = os.listdir('.')"],
    );
    assert_eq!(said, ["['e']"], "who is not dumpable is served as well");
    // Nor by a program that may be run and not read.
    let run = "text = open('/usr/bin/mkdir', 'rb').read(); fd = os.open('mk', os.O_WRONLY | os.O_CREAT, 0o711); os.write(fd, text); os.close(fd); os.chmod('mk', 0o111)\n\
               done = subprocess.run(['./mk', 'dir'], stderr=subprocess.PIPE); said = done.returncode, os.path.isdir('dir')";
    let mut inside = Session::inside(&place, &[]);
    let said = inside.act(run);
    assert!(
        ["(0, True)", "(1, False)"].contains(&said.as_str()),
        "served, or refused whole: {said}"
    );
}

/// `prlimit(2)` of pid 1 would starve or kill it, and with it the wall.
#[test]
fn limits_of_pid_1_stay() {
    let place = Place::new();
    let mut inside = Session::inside(&place, &[]);
    let init = init_of(inside.pid());
    let limits = || fs::read_to_string(format!("/proc/{init}/limits")).unwrap();
    let before = limits();
    for resource in [0, 1, 3, 6, 7, 9] {
        let set = format!(
            "call(302, PID, {resource}, ctypes.create_string_buffer(struct.pack('QQ', 8, 8)), 0)"
        );
        let child = format!(
            "pid = os.fork()\nif pid == 0:\n    time.sleep(9); os._exit(0)\n\
             try: {}\nfinally: os.kill(pid, 9); os.waitpid(pid, 0)",
            set.replace("PID", "pid")
        );
        Session::outside(&place, &place.work).ok(&child);
        inside.fails(&set.replace("PID", "1"), "EPERM");
        inside.ok(&format!("said = apart(\"{}\")", set.replace("PID", "0")));
    }
    assert_eq!(limits(), before);
}

/// User and system time of a process, in hundredths of a second.
fn busy(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
    after.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().unwrap()).sum()
}

/// A listener whose last filtered task has ended is ready for ever: who polls it spins.
#[test]
fn nothing_spins() {
    let place = Place::new();
    // Works, then waits for something in the background while its own end is long past.
    let script = "mkdir d; (sleep 1.5; mkdir later; sleep 0.2) & exec sleep 1.9";
    let mut child = place.cofferdam(&[]).args(["sh", "-c", script]).spawn().unwrap();
    while !place.work.join("d").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it starts");
        std::thread::sleep(Duration::from_millis(5));
    }
    let init = init_of(child.id());
    std::thread::sleep(Duration::from_millis(200));
    let before = busy(init);
    std::thread::sleep(Duration::from_millis(1000));
    assert!(busy(init) - before <= 5, "idle: {} of 100", busy(init) - before);
    let mut last = busy(init);
    while child.try_wait().unwrap().is_none() {
        last = last.max(busy(init));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(last - before <= 15, "to its end: {} of 100", last - before);
    assert!(place.work.join("later").exists(), "the one in the background was served");
    // The control: what spins is seen.
    let mut spins = place.command("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let spent = busy(spins.id());
    spins.kill().unwrap();
    spins.wait().unwrap();
    assert!(spent > 5, "the control: {spent}");
}

/// The command ends while nobody reads what it wrote: pid 1 waits, and does not spin.
#[test]
fn nothing_spins_behind_a_stalled_reader() {
    let place = Place::new();
    let mut command = place.cofferdam(&[]);
    command.args([
        "sh",
        "-c",
        "mkdir d; head -c 1000000 /dev/zero & exec head -c 1000000 /dev/zero",
    ]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let init = init_of(child.id());
    let before = busy(init);
    std::thread::sleep(Duration::from_millis(1000));
    assert!(busy(init) - before <= 5, "{} of 100", busy(init) - before);
    let mut out = child.stdout.take().unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
}
