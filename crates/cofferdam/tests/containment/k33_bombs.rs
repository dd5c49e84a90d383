//! K33: bombs of processes, threads, memory, descriptors and terminals hit their own limit, and the
//! host's `true` runs meanwhile. Each is bounded by itself, so that a machine survives it anyway.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Place, Ran, has_groups, python};

const FORKS: &str = "import signal, time
children = []
try:
    for n in range(300):
        pid = os.fork()
        if pid == 0:
            time.sleep(60); os._exit(0)
        children.append(pid)
finally:
    print(len(children)); sys.stdout.flush(); HOLD
    for pid in children: os.kill(pid, signal.SIGKILL)";

const THREADS: &str = "import threading
done = threading.Event(); made = []
try:
    for n in range(300):
        t = threading.Thread(target=done.wait); t.start(); made.append(t)
except RuntimeError:
    raise OSError(errno.EAGAIN, 'no more threads')
finally:
    print(len(made)); sys.stdout.flush(); HOLD
    done.set()";

const MEMORY: &str = "held = []
try:
    for n in range(40):
        held.append(bytearray(b'x') * (8 << 20)); HOLD
except MemoryError:
    raise OSError(errno.ENOMEM, 'no more memory')
finally:
    print(len(held))";

const SHARED: &str = "f = open('/dev/shm/bomb-' + str(os.getpid()), 'wb')
try:
    for n in range(40): f.write(bytes(8 << 20)); f.flush()
finally:
    os.unlink(f.name)";

const DESCRIPTORS: &str = "import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
try:
    for n in range(1000): held.append(os.open('/dev/null', os.O_RDONLY))
finally:
    print(len(held)); os.close(held.pop()); HOLD";

const TERMINALS: &str = "import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
try:
    for n in range(400): held.append(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))
finally:
    print(len(held)); HOLD";

fn plain(body: &str) -> String {
    body.replace("HOLD", "pass")
}

/// The number that the bomb says it came to.
fn reached(ran: &Ran) -> usize {
    ran.out.trim().parse().unwrap_or(usize::MAX)
}

#[test]
fn each_bomb_hits_its_limit() {
    let place = Place::new();
    for (body, options, errno, most, what) in [
        (FORKS, &["--limit", "processes=64"][..], "EAGAIN", 64, "processes"),
        (THREADS, &["--limit", "processes=64"], "EAGAIN", 64, "threads"),
        (DESCRIPTORS, &["--limit", "open_files=64"], "EMFILE", 64, "descriptors"),
        (TERMINALS, &[], "ENOSPC", 256, "terminals"),
    ] {
        let outside = place.python_outside(&plain(body)).works(what);
        assert!(reached(&outside) >= 300, "{what}: the control");
        let inside = place.python_inside_with(options, &plain(body)).fails(&[errno], what);
        let count = reached(&inside);
        assert!(count > most / 2 && count <= most, "{what}: {count} of {most}");
        place.inside("true").works("and the next sandbox starts");
    }
}

/// All processes together where there is a group; where not, `best-effort` bounds each.
#[test]
fn memory_bombs() {
    let place = Place::new();
    place.python_outside(&plain(MEMORY)).works("the control");
    place.python_outside(SHARED).works("the control");
    let required = ["--limit", "memory=96MiB", "--limit", "private_size=1GiB"];
    let small = place.python_inside_with(&required, "pass");
    if !has_groups() {
        small.refused("systemd-run --user --scope -p Delegate=yes", "a limit that nobody holds");
        place
            .python_inside_with(&["--limit", "memory=96MiB:best-effort"], &plain(MEMORY))
            .fails(&["ENOMEM"], "each process");
        return;
    }
    small.works("what fits");
    for (body, what) in [(plain(MEMORY), "of a process"), (SHARED.into(), "in a private place")] {
        let ran = place.python_inside_with(&required, &body);
        assert_eq!(ran.status, Some(137), "{what}: {ran:?}");
        assert!(ran.err.contains("limit memory = 96MiB: the kernel killed"), "{what}: {ran:?}");
    }
    // Of many, none above the limit alone.
    let many = format!(
        "for n in range(4):\n    if os.fork() == 0: break\n{}",
        plain(MEMORY)
            .replace("40", "8")
            .replace("held.append", "import time; time.sleep(0.05); held.append")
    );
    place.python_outside(&many).works("the control");
    let ran = place.python_inside_with(
        &required,
        &format!("{many}\nwhile True:\n    try: os.wait()\n    except ChildProcessError: break"),
    );
    assert!(ran.err.contains("limit memory = 96MiB"), "together: {ran:?}");
}

/// Ends with the test, whatever becomes of it.
struct Bomb(Child);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.kill().unwrap_or(());
        drop(self.0.wait());
    }
}

#[test]
fn the_host_runs_on_meanwhile() {
    let place = Place::new();
    let hold = "open(os.environ['W'] + '/standing', 'w').close(); __import__('time').sleep(30)";
    let stands = place.work.join("standing");
    for (body, limit, what) in [
        (FORKS, "processes=64", "processes"),
        (DESCRIPTORS, "open_files=64", "descriptors"),
        (TERMINALS, "open_files=1000", "terminals"),
    ] {
        drop(std::fs::remove_file(&stands));
        let mut command = place.cofferdam(&["--limit", limit, "--limit", "wall_time=25s"]);
        let body = python(&body.replace("HOLD", hold));
        command.args(["/usr/bin/python3", "-c", &body]);
        let bomb = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let bomb = Bomb(bomb);
        let begin = Instant::now();
        while !stands.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "{what}: the bomb stands");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(runs("true", &[]), "{what}: the host's true");
        assert!(
            runs("/usr/bin/python3", &["-c", "import pty; pty.openpty()"]),
            "{what}: a terminal"
        );
        drop(bomb);
    }
}

/// Whether a program of the host's ends well within a watchdog's time.
#[expect(clippy::disallowed_methods, reason = "a program of the host's, without any place")]
fn runs(program: &str, arguments: &[&str]) -> bool {
    let Ok(mut child) = Command::new(program).args(arguments).spawn() else { return false };
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        if let Ok(Some(status)) = child.try_wait() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap_or(());
    false
}
