//! The broker's threads, whose numbers everybody inside knows, are scheduled by nobody there; and
//! threads of the workload may be called anything.

use crate::support::Place;
use crate::trial::{Session, denied, same};

/// Ways to have a thread run later or elsewhere, which need no right.
const SLOWS: &[&str] = &[
    "os.sched_setscheduler(TID, os.SCHED_BATCH, os.sched_param(0))",
    "os.sched_setparam(TID, os.sched_param(0))",
    // From here on: back from idle would need a right.
    "os.sched_setscheduler(TID, os.SCHED_IDLE, os.sched_param(0))",
    "call(314, TID, struct.pack('IIQiIQQQ', 48, 5, 0, 0, 0, 0, 0, 0), 0)",
    "os.setpriority(os.PRIO_PROCESS, TID, 19)",
    "os.sched_setaffinity(TID, os.sched_getaffinity(0))",
    "call(251, 1, TID, 3 << 13)",
];

/// A process that waits to be killed.
const CHILD: &str = "
child = os.fork()
if child == 0:
    while True: signal.pause()
";

#[test]
fn the_brokers_threads_are_scheduled_by_nobody() {
    let place = Place::new();
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &[]);
    outside.ok(CHILD);
    inside.ok(CHILD);
    let has = "[(os.sched_getscheduler(tid), os.getpriority(os.PRIO_PROCESS, tid), os.sched_getaffinity(tid)) for tid in range(3, 8)]";
    inside.ok(&format!("before = {has}"));
    for slow in SLOWS {
        outside.ok(&slow.replace("TID", "child"));
        for tid in 3..=7 {
            inside.fails(&slow.replace("TID", &tid.to_string()), "EPERM");
        }
        inside.ok(&slow.replace("TID", "child"));
    }
    inside.ok(&format!("assert {has} == before, 'they are as they were'"));
    inside.ok("assert child > 7; os.mkdir('d'); put('d/f')");
    for session in [&mut outside, &mut inside] {
        session.ok("os.kill(child, 9); assert os.waitpid(child, 0)[1] == 9");
    }
    inside.end().works("to its end");
}

/// A name that is no UTF-8.
const NAMED: &str = "call(157, 15, b'pr\\xc3', 0, 0, 0)";

#[test]
fn a_thread_may_be_called_anything() {
    let place = Place::new();
    let acts = [
        NAMED,
        "said = open('/proc/thread-self/comm', 'rb').read()",
        "os.umask(0o027); os.mkdir('m'); said = oct(os.stat('m').st_mode)",
        "fd = os.open('f', os.O_WRONLY | os.O_CREAT, 0o666); said = oct(os.fstat(fd).st_mode)",
        "os.mkfifo('p', 0o666); said = oct(os.stat('p').st_mode)",
        "s = socket.socket(socket.AF_UNIX); s.bind('s'); said = oct(os.stat('s').st_mode)",
    ];
    let said = same(&place, &[], &acts);
    assert_eq!(said[1], "b'pr\\xc3\\n'");
    assert_eq!(said[2..], ["0o40750", "0o100640", "0o10640", "0o140750"]);
    let place = Place::new();
    let act = |act: &str| (format!("{NAMED}; {act}"), "EACCES");
    denied(&place, &[], &[act("os.mkdir('.claude')"), act("put('.mcp.json')")]);
}
