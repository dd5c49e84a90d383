//! Who outlives whom, and who reaches whom.

use std::time::{Duration, Instant};

use crate::Cage;
use crate::support::marked;

/// Until `done`, or for twenty seconds.
fn until(done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    done()
}

/// The only child of a process.
fn child(of: u32) -> u32 {
    let children = format!("/proc/{of}/task/{of}/children");
    let text = std::fs::read_to_string(children).unwrap_or_default();
    text.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// The first word of a process's command line.
fn name(of: u32) -> String {
    let line = std::fs::read(format!("/proc/{of}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(first).into_owned()
}

fn is_there(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn a_killed_engine_leaves_nothing() {
    for victim in ["engine", "bwrap", "init"] {
        let cage = Cage::new();
        let beat = cage.0.work.join("beat");
        let script = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i > beat; sleep 0.1; done";
        let mark = format!("CAGE={}", cage.0.root.display());
        let mut command = cage.command(&["--env", &mark]);
        let mut engine = command.args(["sh", "-c", script]).spawn().unwrap();
        assert!(until(|| beat.exists()), "the workload runs");
        let bwrap = child(engine.id());
        let init = child(bwrap);
        let workload = child(init);
        assert_eq!(name(bwrap), "bwrap");
        assert!(init != 0 && workload != 0, "{init} {workload}");
        match victim {
            "engine" => engine.kill().unwrap(),
            "bwrap" => drop(cage.0.outside(&format!("kill -9 {bwrap}")).works("kill it")),
            _ => drop(cage.0.outside(&format!("kill -9 {init}")).works("kill it")),
        }
        if victim == "bwrap" {
            // Nothing depends on it: the engine has pid 1 itself, and ends that one.
            drop(cage.0.outside(&format!("kill -15 {0}; sleep 0.3; kill -15 {0}", engine.id())));
        }
        let status = engine.wait().unwrap();
        for left in [bwrap, init, workload] {
            assert!(until(|| !is_there(left)), "{victim} killed: {left} is gone");
        }
        if victim == "init" {
            assert_eq!(status.code(), Some(125), "the engine says that it was lost");
        }
        assert!(marked(&mark).is_empty(), "{victim}");
    }
}

#[test]
fn pid_1_and_what_is_outside_are_out_of_reach() {
    let cage = Cage::new();
    let script = "ls /proc | grep -c '^[0-9]'; for f in mem environ root cwd exe fd; do \
                  if (ls -L /proc/1/$f/. || cat /proc/1/$f || readlink /proc/1/$f) > /dev/null 2>&1; \
                  then echo open $f; fi; done; kill -9 1 2>/dev/null && echo killed; \
                  pgrep bwrap && echo seen; echo over";
    let ran = cage.inside(script).works("try");
    assert!(ran.out.ends_with("over\n"), "{ran:?}");
    for open in ["open", "killed", "seen"] {
        assert!(!ran.out.contains(open), "{ran:?}");
    }
}

/// A command line of the engine's, bwrap's or init's shows nothing of the plan.
#[test]
fn command_lines_show_nothing() {
    let cage = Cage::new();
    let mut command = cage.command(&[]);
    let mut engine = command.args(["sh", "-c", "touch here; sleep 60"]).spawn().unwrap();
    assert!(until(|| cage.0.work.join("here").exists()));
    let bwrap = child(engine.id());
    let line = std::fs::read(format!("/proc/{bwrap}/cmdline")).unwrap();
    let line = String::from_utf8_lossy(&line).into_owned();
    engine.kill().unwrap();
    engine.wait().unwrap();
    let words: Vec<_> = line.split_terminator('\0').collect();
    assert_eq!(words.len(), 5, "{words:?}");
    assert!(!line.contains(cage.0.root.to_str().unwrap()), "{words:?}");
}
