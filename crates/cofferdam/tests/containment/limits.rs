//! Limits as a person meets them: what ends a command, what is told, what is refused.

use crate::support::{Place, Ran, has_groups, programs};

/// The last events of the log, as JSON.
fn events(place: &Place) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.audit_log()).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
}

/// The one event of a limit, and the note of the end.
#[track_caller]
fn told(place: &Place, limit: &str, words: &str) {
    let events = events(place);
    let last = |number: usize, kind: &str| {
        let event = events.iter().rev().nth(number).map(ToString::to_string);
        event.filter(|text| text.contains(&format!("\"kind\":\"{kind}\""))).unwrap_or_default()
    };
    let (hit, end) = (last(1, "limit"), last(0, "exit"));
    assert!(hit.contains(&format!("\"{limit}\"")) && hit.contains(words), "{limit}: {events:?}");
    assert!(end.contains(&format!("limit {limit} = ")), "{limit}: the note: {end}");
}

/// With these limits.
fn run(place: &Place, limits: &[&str], script: &str) -> Ran {
    let options: Vec<&str> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    place.inside_with(&options, script)
}

#[test]
fn time_is_over() {
    for (limits, script, words) in [
        (&["wall_time=1s"][..], "sleep 60", "asked to end, and did"),
        (&["wall_time=1s"], "trap 'echo clean; exit 0' TERM; sleep 60 & wait", "and did"),
        (
            &["wall_time=1s", "grace=1s"],
            "trap '' TERM; sleep 60 & wait; sleep 60",
            "killed 1s later",
        ),
        (&["wall_time=1s", "grace=0s"], "trap '' TERM; sleep 60", "the command was killed"),
        // A daemon of it does not outlast it.
        (&["wall_time=1s", "grace=0s"], "setsid sleep 60 & sleep 60", "the command was killed"),
    ] {
        let place = Place::new();
        let ran = run(&place, limits, script);
        assert_eq!(ran.status, Some(137), "{script}: {ran:?}");
        assert!(ran.err.contains("limit wall_time = 1s") && ran.err.contains(words), "{ran:?}");
        assert!(ran.err.contains("help: "), "with a next step: {ran:?}");
        assert_eq!(ran.out, if script.contains("clean") { "clean\n" } else { "" }, "{script}");
        told(&place, "wall_time", words);
    }
    let place = Place::new();
    let ran = run(&place, &["wall_time=60s"], "echo done; exit 3");
    assert_eq!((ran.status, ran.err.as_str()), (Some(3), ""), "in time nothing is said");
    assert_eq!(events(&place).len(), 3);
}

/// A command that stops itself stops the engine, as Ctrl-Z does; what it left running has no more
/// time for that. The driver is a shell's place: a job that nobody could continue is never stopped.
#[test]
fn time_is_over_for_who_stops() {
    let driver = "import os, sys, time, signal
os.setsid()
engine = os.fork()
if engine == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(engine, os.WUNTRACED)
print('stopped' if os.WIFSTOPPED(status) else 'ended: %d' % status)
end = time.monotonic() + 20
while time.monotonic() < end:
    ended, status = os.waitpid(engine, os.WNOHANG)
    if ended:
        print(os.waitstatus_to_exitcode(status)); break
    time.sleep(0.02)
else:
    os.kill(engine, signal.SIGKILL); print('it goes on for ever')";
    for (stops, why) in [
        ("kill -STOP $$; sleep 60", "once"),
        ("trap '' TERM; while :; do kill -STOP $$; done", "again and again"),
    ] {
        let place = Place::new();
        let script = place.write("out/driver.py", driver);
        let daemon = "setsid sh -c 'while :; do date > beat; sleep 0.1; done' &";
        let mut command = place.command("/usr/bin/python3");
        command.arg(script).arg(programs().join("cofferdam")).args([
            "run",
            "--limit",
            "wall_time=2s",
            "--limit",
            "grace=1s",
            "--",
            "sh",
            "-c",
            &format!("{daemon} {stops}"),
        ]);
        let ran = crate::support::finish(&mut command).works("the driver");
        assert_eq!(ran.out, "stopped\n137\n", "{why}: {ran:?}");
        assert!(ran.err.contains("limit wall_time = 2s"), "{why}: {ran:?}");
    }
}

/// Nor is it forgotten where output was lost as well.
#[test]
fn time_is_over_and_the_disk_is_full() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = place.cofferdam(&["--limit", "wall_time=1s"]);
    command.args(["sh", "-c", "echo lost; sleep 60"]).stdout(full);
    command.stderr(std::process::Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(125), "output was lost");
    let events: Vec<String> = events(&place).iter().map(ToString::to_string).collect();
    assert!(events.iter().any(|event| event.contains("asked to end, and did")), "{events:?}");
}

/// Nor does a reader that stalls put the end off.
#[test]
fn time_is_over_for_readers_too() {
    let place = Place::new();
    let limits = ["--limit", "wall_time=1s", "--limit", "grace=1s"];
    let mut engine = place
        .cofferdam(&limits)
        .arg("yes")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begin = std::time::Instant::now();
    let status = loop {
        if let Some(status) = engine.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > std::time::Duration::from_secs(30) {
            engine.kill().unwrap();
            panic!("it waits for a reader");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(137));
}

#[test]
fn a_file_that_is_too_long() {
    let place = Place::new();
    let script = "exec head -c 9000 /dev/zero > long";
    place.outside(script).works("the control");
    let ran = run(&place, &["file_size=4KiB"], script);
    assert_eq!(ran.status, Some(153), "SIGXFSZ: {ran:?}");
    assert!(ran.err.contains("limit file_size = 4KiB"), "{ran:?}");
    told(&place, "file_size", "SIGXFSZ");
    assert_eq!(std::fs::metadata(place.work.join("long")).unwrap().len(), 4_096);
    run(&place, &["file_size=16KiB"], script).works("below the limit");
}

/// The note stands even where the command made the best of it.
#[test]
fn what_a_group_counts_is_told() {
    let place = Place::new();
    let forks = "for i in $(seq 40); do sleep 0.5 & done; wait; exit 0";
    let ran = run(&place, &["processes=16"], &format!("{forks} 2>/dev/null"));
    if !has_groups() {
        eprintln!("not run here: limits: no cgroup of ours, and RLIMIT_NPROC does not count");
        return;
    }
    assert!(
        ran.err.contains("limit processes = 16: new processes or threads were refused"),
        "{ran:?}"
    );
    told(&place, "processes", "refused");
    let eat = "/usr/bin/python3 -c 'bytearray(b\"x\") * (300 << 20)'; echo $?";
    let ran =
        run(&place, &["memory=64MiB"], eat).works("a child was killed, and the shell went on");
    assert_eq!(ran.out, "137\n");
    assert!(ran.err.contains("limit memory = 64MiB: the kernel killed for it, once"), "{ran:?}");
    told(&place, "memory", "killed");
}

/// The caller's number of them is one for all of their programs.
#[test]
fn a_sandbox_keeps_few_timers() {
    let place = Place::new();
    let make = "import ctypes\nc, timer, made = ctypes.CDLL(None), ctypes.c_void_p(), 0\n\
                while made < 1100 and c.timer_create(0, None, ctypes.byref(timer)) == 0: made += 1\n\
                print(made)";
    let outside = place.python_outside(make).works("the control").out;
    if outside != "1100\n" {
        eprintln!("not run here: limits: the caller may have {outside}timers");
        return;
    }
    assert_eq!(place.python_inside(make).works("inside").out, "1024\n");
}

#[test]
fn processors_are_shared_out() {
    let place = Place::new();
    let burn = "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass\n\
                print(time.process_time())";
    let used = |ran: Ran| ran.works("burn").out.trim().parse::<f64>().unwrap();
    let ran = place.python_inside_with(&["--limit", "cpus=0.1"], burn);
    if !has_groups() {
        ran.refused("no cgroup here holds 0.1", "a limit that nobody holds");
        place
            .python_inside_with(&["--limit", "cpus=0.1:best-effort"], burn)
            .works("best-effort starts");
        return;
    }
    let bounded = used(ran);
    assert!(bounded < 0.6, "a tenth of 1.5 s and some slack: {bounded}");
}

/// `processes` counts the sandbox's own, whatever else this user runs (Linux 5.14).
#[test]
fn processes_outside_do_not_count() {
    let place = Place::new();
    let forks = |count: u32| format!("for i in $(seq {count}); do sleep 0.2 & done; wait; echo ok");
    let mut outside = place.command("sh");
    outside.args(["-c", "for i in $(seq 40); do sleep 30 & done; echo ready; wait"]);
    let mut outside = outside.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(outside.stdout.as_mut().unwrap(), &mut said).unwrap();
    let few = run(&place, &["processes=16"], &forks(8));
    let many = run(&place, &["processes=16"], &forks(40));
    let group = place.outside(&format!("pkill -P {}", outside.id()));
    outside.wait().unwrap();
    group.works("tidy up");
    assert_eq!(few.works("below the limit").out, "ok\n");
    assert!(many.err.contains("fork"), "above it: {many:?}");
    // Nor do the sandbox's own: the first of the command's is one of them.
    let all = "import signal\n\
               kids = []\n\
               try:\n    \
                   while True:\n        \
                       pid = os.fork()\n        \
                       if pid == 0: signal.pause()\n        \
                       kids.append(pid)\n\
               except BlockingIOError: print(1 + len(kids))\n\
               for pid in kids: os.kill(pid, 9)";
    let ran = place.python_inside_with(&["--limit", "processes=16"], all).works("counted");
    assert_eq!(ran.out, "16\n", "as many as were asked for");
}

/// Whoever gives the caller less than the policy gives the workload no more.
#[test]
fn the_callers_own_limits_are_kept() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    let run = |before: &str, options: &str, command: &str| {
        place.outside(&format!("{before}; {cofferdam} run {options} -- sh -c '{command}'"))
    };
    let files = |before: &str, options: &str| {
        run(before, options, "ulimit -Sn; ulimit -Hn").works(before).out.replace('\n', " ")
    };
    assert_eq!(files("ulimit -Sn 256; ulimit -Hn 512", ""), "256 512 ", "smaller than ours");
    assert_eq!(files("ulimit -n 512", "--limit open_files=4096"), "512 512 ", "than asked for");
    assert_eq!(files("ulimit -Sn 256", "--limit open_files=400"), "400 400 ", "as asked for");
    assert_eq!(files("ulimit -Sn 256", "").split(' ').next(), Some("256"), "soft stays as it is");
    let plan =
        place.outside(&format!("ulimit -n 512; {cofferdam} plan --limit open_files=4096 -- true"));
    let said = "at most 512 open files in a process (the caller's own hard limit)";
    assert!(plan.works("plan").out.contains(said), "the plan says so");
}

/// The caller's `ulimit -f` meets our log: no record, no action, and no death of the engine.
#[test]
fn a_log_at_the_callers_limit_is_a_refusal() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    place
        .outside(&format!("ulimit -f 8; {cofferdam} run -- touch started"))
        .refused("no record, no action", "the first record is longer");
    assert!(!place.work.join("started").exists(), "nothing ran");
    let ignored = "grep SigIgn /proc/self/status";
    let ran = place.inside(ignored).works("what the workload ignores");
    let mask = u64::from_str_radix(ran.out.split_whitespace().last().unwrap_or("f"), 16).unwrap();
    assert_eq!(mask & (1 << 24), 0, "SIGXFSZ is not ignored inside: {mask:x}");
}

/// What people build with, under the defaults and under a small best-effort limit.
#[test]
fn toolchains_do_not_notice() {
    let place = Place::new();
    place.write("home/src/app/a.c", "#include <stdio.h>\nint main() { puts(\"ok\"); }\n");
    for (tool, script) in [
        ("node", "node -e 'console.log(\"ok\")'"),
        ("java", "java -version && echo ok"),
        ("go", "go version && echo ok"),
        ("gcc", "gcc a.c -o a && ./a"),
        ("gcc", "gcc -fsanitize=address a.c -o asan && ASAN_OPTIONS=detect_leaks=0 ./asan"),
        ("python3", "/usr/bin/python3 -c 'print(\"ok\")'"),
    ] {
        if place.outside(&format!("command -v /usr/bin/{tool}")).status != Some(0) {
            eprintln!("not run here: limits: no {tool}");
            continue;
        }
        place.outside(script).works("the control");
        let ran = place.inside(script).works(script);
        assert!(ran.out.ends_with("ok\n"), "{script}: {ran:?}");
        if !script.contains("sanitize") {
            run(&place, &["memory=2GiB:best-effort"], script).works(script);
        }
    }
}

/// The defaults hold where nothing is said.
#[test]
fn the_defaults_hold() {
    let place = Place::new();
    let ran = place
        .inside(
            "awk '/Max processes/ { print $4 } /Max open files/ { print $5 }' /proc/self/limits; \
             cat /proc/self/oom_score_adj",
        )
        .works("look");
    let numbers: Vec<u64> = ran.out.lines().filter_map(|line| line.parse().ok()).collect();
    let [processes, files, score] = numbers[..] else { panic!("{ran:?}") };
    assert!(processes <= 4_096 + 6 + 8 && files <= 16_384 && score >= 500, "{ran:?}");
    // Nothing inside takes that back.
    place
        .inside("echo 0 > /proc/self/oom_score_adj")
        .fails(&["Read-only", "Permission"], "the workload goes first");
}
