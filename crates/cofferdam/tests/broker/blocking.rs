//! Calls that wait hold up their caller alone: FIFOs without a reader, leases of somebody else.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, denied, policy, same};

/// Starts `n` processes that open `path` and write a byte; `blocked()` says how many still wait.
const CALLERS: &str = "
def callers(n, path, flags):
    global pids
    pids = []
    for k in range(n):
        pid = os.fork()
        if pid == 0:
            fd = os.open(path, flags, 0o644)
            if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK: os._exit(3)
            os.write(fd, b'x')
            os._exit(0)
        pids.append(pid)
    time.sleep(0.3)
def ended():
    done = [os.waitpid(pid, os.WNOHANG) for pid in pids]
    for pid, status in done:
        if pid: pids.remove(pid)
    return [status for pid, status in done if pid]
def others():
    start = time.time()
    for n in range(200):
        os.mkdir('other'); put('other/f'); os.rename('other/f', 'other/g'); os.unlink('other/g'); os.rmdir('other')
    assert time.time() - start < 5, time.time() - start
";

#[test]
fn a_fifo_without_a_reader_holds_its_callers_alone() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            CALLERS,
            "os.mkfifo('f'); callers(8, 'f', os.O_WRONLY | os.O_CREAT); said = ended()",
            "others()",
            "os.open('f', os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK)",
            // Who waits can be killed, and is gone at once.
            "start = time.time(); os.kill(pids[0], 9); said = os.waitpid(pids.pop(0), 0)[1]",
            "assert time.time() - start < 1, time.time() - start",
            // A handler that does not end the process lets it wait on.
            "os.kill(pids[0], signal.SIGCONT); time.sleep(0.1); said = ended()",
            "r = os.open('f', os.O_RDONLY); w = os.open('f', os.O_WRONLY); got = b''\nwhile len(got) < 7: got += os.read(r, 9)\nsaid = len(got)",
            "said = [os.waitpid(pid, 0)[1] for pid in pids]",
            "rw = os.open('f', os.O_RDWR | os.O_CREAT); os.write(rw, b'y'); said = os.read(rw, 1), fcntl.fcntl(rw, fcntl.F_GETFL) & os.O_NONBLOCK",
            "nb = os.open('f', os.O_WRONLY | os.O_NONBLOCK); said = bool(fcntl.fcntl(nb, fcntl.F_GETFL) & os.O_NONBLOCK)",
        ],
    );
    assert_eq!(said[1..5], ["[]", "ok", "ENXIO", "9"]);
    assert_eq!(said[7..9], ["7", "[0, 0, 0, 0, 0, 0, 0]"]);
}

/// Where opens for reading are judged too, a FIFO without a writer holds its readers alone.
#[test]
fn a_fifo_without_a_writer_holds_its_readers_alone() {
    let place = Place::new();
    let options = policy(&place, "hide = [\"**/.env\"]");
    let options = options.each_ref().map(String::as_str);
    let said = same(
        &place,
        &options,
        &[
            CALLERS,
            "os.mkfifo('f')\npids = []\nfor n in range(8):\n    pid = os.fork()\n    \
             if pid == 0: os._exit(len(os.read(os.open('f', os.O_RDONLY), 1)))\n    pids.append(pid)\n\
             time.sleep(0.3); said = ended()",
            "others()",
            "os.kill(pids[0], 9); said = os.waitpid(pids.pop(0), 0)[1]",
            "w = os.open('f', os.O_WRONLY); os.write(w, b'1234567'); os.close(w); said = [os.waitpid(pid, 0)[1] for pid in pids]",
        ],
    );
    assert_eq!(said[1..4], ["[]", "ok", "9"]);
}

/// Nobody inside takes a lease.
#[test]
fn nobody_inside_takes_a_lease() {
    let place = Place::new();
    place.write("home/src/app/leased", "text");
    for kind in ["F_RDLCK", "F_WRLCK"] {
        let act =
            format!("fcntl.fcntl(os.open('leased', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.{kind})");
        denied(&place, &[], &[(act, "EINVAL EPERM EACCES")]);
    }
    let twin = "fd = os.open('leased', os.O_RDWR); fcntl.lockf(fd, fcntl.LOCK_EX)";
    assert_eq!(same(&place, &[], &[twin]), ["ok"], "a lock");
}

/// A process of the host holds a lease, and does not give it back for a while.
#[test]
fn a_lease_of_the_hosts_holds_its_callers_alone() {
    let place = Place::new();
    place.write("home/src/app/leased", "text");
    let mut host = Session::outside(&place, &place.work);
    host.ok("signal.signal(signal.SIGIO, signal.SIG_IGN); fd = os.open('leased', os.O_RDONLY)");
    let mut inside = Session::inside(&place, &[]);
    inside.ok(CALLERS);
    for act in ["os.O_WRONLY", "os.O_WRONLY | os.O_CREAT | os.O_TRUNC", "os.O_RDWR | os.O_APPEND"] {
        host.ok("fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)");
        inside
            .ok(&format!("callers(8, 'leased', {act}); assert ended() == [], 'they do not wait'"));
        inside.ok("others()");
        inside.fails("os.open('leased', os.O_WRONLY | os.O_NONBLOCK)", "EAGAIN");
        inside.ok("os.kill(pids[0], 9); assert os.waitpid(pids.pop(0), 0)[1] == 9");
        host.ok("fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)");
        inside.ok("until(lambda: ended() or not pids); until(lambda: (ended(), not pids)[1])");
    }
    let text = fs::read_to_string(place.work.join("leased")).unwrap();
    assert!(text.starts_with('x'), "the writers came through: {text:?}");
    // By name and by truncation.
    host.ok("fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)");
    inside.ok("pids = [os.fork()]\nif pids[0] == 0:\n    os.truncate('leased', 1); os._exit(0)\ntime.sleep(0.3)");
    inside.ok("assert ended() == []; others()");
    host.ok("fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)");
    inside.ok("until(lambda: ended() == [0])");
}
