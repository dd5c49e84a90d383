//! What a start does and does not do: its phases, its processes, and what it never asks the kernel.
#![expect(clippy::unwrap_used, reason = "panics are how tests fail")]

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::{Place, finish, is_root, programs};

/// The one in which the engine starts init, and the five of the broker.
const THREADS_MAX: usize = 6;

/// Those of the broker that ask for calls.
const BROKERS: usize = 4;

const STRACE: &str = "/usr/bin/strace";
/// All that is counted, and what processes begin and end with.
const TRACED: &str =
    "trace=process,fsync,fdatasync,sync,syncfs,sync_file_range,msync,getdents64,getdents";
/// What forces data to a disk, and what lists a directory.
const SYNCS: &[&str] = &["fsync(", "fdatasync(", "sync(", "syncfs(", "sync_file_range(", "msync("];
const LISTS: &[&str] = &["getdents64(", "getdents("];
/// The engine, init's first process, pid 1, the workload, and for root's stand-in the holder of the
/// namespace for idmapped mounts.
fn processes_max() -> usize {
    if is_root() { 5 } else { 4 }
}

/// The calls of a run of `words` that `asked` names.
fn traced(place: &Place, asked: &[&str], words: &[&str]) -> String {
    let log = place.root.join("trace");
    let mut command = place.command(STRACE);
    command.args(["-f", "-q", "-y", "-o"]).arg(&log);
    for expression in asked {
        command.args(["-e", expression]);
    }
    command.arg(programs().join("cofferdam"));
    finish(command.args(["run", "--quiet", "--"]).args(words)).works("a traced run");
    fs::read_to_string(log).unwrap()
}

/// How many of the lines begin one of `calls`.
fn count(trace: &str, calls: &[&str]) -> usize {
    let call =
        |line: &str| line.split_once(' ').map_or("", |(_, call)| call.trim_start()).to_owned();
    trace.lines().map(call).filter(|line| calls.iter().any(|name| line.starts_with(name))).count()
}

/// Threads that are started: the engine's own, and those of init that answer. What init asks the kernel
/// for with `clone3(2)` nobody else can read unless root: it makes no processes that way.
fn threads(trace: &str) -> usize {
    let thread = |line: &&str| line.contains("CLONE_THREAD") || line.contains("clone3(0x");
    trace.lines().filter(thread).count()
}

/// Tasks but for those threads.
fn processes(trace: &str) -> usize {
    let tasks = trace.lines().filter_map(|line| line.split(' ').next()).collect::<BTreeSet<_>>();
    tasks.len().saturating_sub(threads(trace))
}

#[test]
fn nothing_needless_is_done() {
    if !fs::exists(STRACE).unwrap() {
        println!("not run: {STRACE} is not installed here");
        return;
    }
    let place = Place::new();
    for number in 0..100 {
        place.write(&format!("home/src/app/sub{number}/file"), "");
    }
    let trace = traced(&place, &[TRACED], &["/usr/bin/true"]);
    assert_eq!(count(&trace, SYNCS), 0, "nothing is forced to a disk:\n{trace}");
    // Groups that a killed engine left are looked for, among groups alone.
    let listed: String = trace
        .lines()
        .filter(|line| !line.contains("</sys/fs/cgroup/"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(count(&listed, LISTS), 0, "no directory is listed:\n{trace}");
    assert!(processes(&trace) <= processes_max(), "{}:\n{trace}", processes(&trace));
    assert!(threads(&trace) <= THREADS_MAX, "{}:\n{trace}", threads(&trace));

    let script = "sync sub1/file; ls > /dev/null; true";
    let trace = traced(&place, &[TRACED], &["/bin/sh", "-c", script]);
    assert_eq!(count(&trace, SYNCS), 1, "the control: the workload's own are seen:\n{trace}");
    assert!(count(&trace, LISTS) > 0, "the control:\n{trace}");
    assert!(processes(&trace) > processes_max(), "the control:\n{trace}");
}

/// Since Linux 6.11 the kernel answers at once, again and again, who asks for the next call where nobody is
/// left to make one.
#[test]
fn nobody_asks_for_calls_that_cannot_come() {
    if !fs::exists(STRACE).unwrap() {
        println!("not run: {STRACE} is not installed here");
        return;
    }
    let place = Place::new();
    // Pid 1 is kept from reaping for a while: its other threads go on meanwhile.
    let asked = ["trace=ioctl,wait4", "inject=wait4:delay_enter=200000"];
    let trace = traced(&place, &asked, &["/usr/bin/true"]);
    let all = trace.lines().filter(|line| line.contains("NOTIF_RECV")).count();
    let none = trace.lines().filter(|line| line.contains("ENOENT")).count();
    assert!(trace.contains("(DELAYED)"), "the control: it was kept:\n{trace}");
    assert!(all >= BROKERS, "the control: they are seen:\n{trace}");
    assert!(none <= BROKERS, "{none} of {all} for nothing:\n{trace}");

    // A control that calls come while one can: each of these is judged.
    let script = "for number in 1 2 3 4 5 6 7 8; do mkdir sub$number; done; true";
    let trace = traced(&place, &asked, &["/bin/sh", "-c", script]);
    let all = trace.lines().filter(|line| line.contains("NOTIF_RECV")).count();
    assert!(all >= BROKERS + 8, "the control: {all}:\n{trace}");
}

#[test]
fn phases_are_told_when_asked_for() {
    let place = Place::new();
    let run = |options: &[&str]| {
        let mut command = place.command(programs().join("cofferdam"));
        finish(command.arg("run").args(options).args(["--", "true", "--trace-start"]))
    };
    let said = run(&[]).works("not asked for").err;
    assert!(!said.contains("start:"), "{said}");
    let said = run(&["--trace-start"]).works("asked for").err;
    let phases = [
        "facts",
        "policy",
        "host",
        "plan compiled",
        "log opened",
        "plan handed over",
        "start recorded",
        "go",
        "init ready",
        "exit",
    ];
    let at = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
    assert!(said.lines().all(|line| line.starts_with("start: ")), "{said}");
    assert!(said.lines().map(at).is_sorted(), "{said}");
    // Init is started meanwhile, in a thread of its own.
    let (init, lines): (Vec<_>, Vec<_>) =
        said.lines().partition(|line| line.ends_with("init spawned"));
    assert_eq!((init.len(), lines.len()), (1, phases.len()), "{said}");
    for (line, phase) in lines.iter().zip(phases) {
        assert!(line.ends_with(phase), "{phase}: {line}");
    }
}
