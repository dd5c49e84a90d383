//! K32: a daemon that would outlive its session: with the sandbox it ends, and the group is gone.

use std::time::{Duration, Instant};

use crate::support::{Place, groups_of, has_groups, marked};

/// Forks twice, leaves session and process group, ignores what asks it to end.
const DAEMON: &str = "import signal
null = os.open('/dev/null', os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(os.environ['W'] + '/daemon', 'w').write(open('/proc/self/stat').read())
os.execve('/usr/bin/sleep', ['sleep', '300'], {'MARK': os.environ['MARK']})";

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_daemon_ends_with_the_sandbox() {
    let place = Place::new();
    let mark = |side: &str| format!("{side}-daemon-{}", std::process::id());
    let body = |side: &str| format!("os.environ['MARK'] = '{}'\n{DAEMON}", mark(side));
    place.python_outside(&body("outside")).works("the control");
    until("it runs outside", || marked(&format!("MARK={}", mark("outside"))).len() == 1);
    for pid in marked(&format!("MARK={}", mark("outside"))) {
        place.outside(&format!("kill -9 {pid}")).works("tidy up");
    }
    std::fs::remove_file(place.work.join("daemon")).unwrap();
    let program = crate::support::python(&body("inside"));
    let script = "/usr/bin/python3 -c \"$0\"; while [ ! -e stop ]; do sleep 0.01; done";
    let mut engine = place.cofferdam(&[]).args(["sh", "-c", script, &program]).spawn().unwrap();
    let inside = format!("MARK={}", mark("inside"));
    until("it runs inside", || marked(&inside).len() == 1);
    let during = groups_of(engine.id());
    let count = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default().lines().count()
    };
    if has_groups() {
        assert!(!during.is_empty(), "the sandbox has a group");
        // Init, the shell, a sleep, and the daemon.
        assert!(during.iter().all(|group| count(group) >= 3), "and is in it: {during:?}");
    }
    place.write("home/src/app/stop", "");
    assert_eq!(engine.wait().unwrap().code(), Some(0));
    assert!(marked(&inside).is_empty(), "no process of it is left");
    assert!(groups_of(engine.id()).is_empty(), "no group is left");
}
