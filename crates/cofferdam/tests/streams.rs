//! What a shell sees of a run: status, streams, signals, a terminal.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Place, Ran, finish, programs};

/// No run of this file takes as long; a watchdog, not a measurement.
const LONG: Duration = Duration::from_secs(30);

/// A shell line outside, in which `$C` starts a run.
fn shell(place: &Place, line: &str) -> Ran {
    let run = programs().join("cofferdam").display().to_string();
    let mut command = place.command("bash");
    finish(command.env("C", format!("{run} run --quiet --")).args(["-c", line]))
}

#[test]
fn the_status_is_the_commands_own() {
    let place = Place::new();
    place.write("home/src/app/plain", "no program\n");
    place
        .outside("chmod 755 plain; mkdir folder; cp plain closed; chmod 644 closed")
        .works("files");
    for (words, want, why) in [
        (&["true"][..], 0, "success"),
        (&["sh", "-c", "exit 3"], 3, "any number"),
        (&["sh", "-c", "exit 125"], 125, "even ours"),
        (&["sh", "-c", "kill -9 $$"], 137, "128 + SIGKILL"),
        (&["sh", "-c", "kill -TERM $$"], 143, "128 + SIGTERM"),
        (&["no-such-program"], 127, "not found"),
        (&["./no-such-program"], 127, "not found by path"),
        (&["/root/secret-program"], 127, "absent and not there are the same"),
        (&["./folder"], 126, "a directory"),
        (&["./closed"], 126, "no execute permission"),
        (&["./plain"], 126, "no program"),
    ] {
        let ran = finish(place.cofferdam(&[]).args(words));
        assert_eq!(ran.status, Some(want), "{words:?}: {why}: {ran:?}");
        // The same as env(1) says outside; what is absent inside is a matter of the wall, and
        // env(1) gives what is no program to sh.
        if !words.contains(&"/root/secret-program") && !words.contains(&"./plain") {
            let outside = finish(place.command("env").args(words));
            let same = outside.status.is_none_or(|status| status == want);
            assert!(same, "{words:?}: env(1) says {:?}", outside.status);
        }
    }
    let said = finish(place.command(programs().join("cofferdam")).args(["run", "--", "no-such"]));
    assert!(said.err.contains("`no-such` is not inside the sandbox"), "{said:?}");
}

#[test]
fn bytes_pass_unchanged() {
    let place = Place::new();
    // Every byte value, at every offset of a pipe's pages; no whole number of those.
    let line: Vec<u8> = (0..=u8::MAX).chain(1..=200).collect();
    let bytes = line.repeat(7_001);
    let mut command = place.cofferdam(&[]);
    let mut engine =
        command.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = engine.stdin.take().unwrap();
    let sent = bytes.clone();
    let feeder = std::thread::spawn(move || input.write_all(&sent));
    let mut got = Vec::new();
    engine.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    feeder.join().unwrap().unwrap();
    assert!(engine.wait().unwrap().success());
    assert!(got == bytes, "{} bytes came of {}", got.len(), bytes.len());

    let ran = place.inside("echo out; echo err >&2").works("two streams");
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"), "are kept apart");
    let ran = place.inside("cat").works("an empty input ends");
    assert_eq!(ran.out, "");
}

#[test]
fn streams_end_when_one_side_goes() {
    let place = Place::new();
    for (line, want, why) in [
        ("head -c 9000000 /dev/zero | $C head -c 1 | wc -c", "1\n", "the workload reads no more"),
        ("$C yes | head -n 1; echo ${PIPESTATUS[0]}", "y\n141\n", "nobody reads: SIGPIPE"),
        ("$C sh -c 'echo a; echo b >&2' >&-; echo $?", "0\n", "no standard output"),
        ("$C sh -c 'cat; echo end' <&-; echo $?", "end\n0\n", "no standard input"),
        ("$C sh -c 'sleep 1000 & echo main'; echo $?", "main\n0\n", "children end with the main"),
        ("$C sh -c 'exec <&-; sleep 0.2; echo end' < /dev/zero", "end\n", "an input nobody wants"),
        ("$C seq 200000 | tail -n 1", "200000\n", "output to its last byte"),
    ] {
        let begin = Instant::now();
        let ran = shell(&place, line);
        assert_eq!(ran.out, want, "{why}: {ran:?}");
        assert!(begin.elapsed() < LONG, "{why}: it ends");
    }
}

/// Output that could not be written is a failure, never a success with less in it.
#[test]
fn lost_output_is_told() {
    let place = Place::new();
    let ran = shell(&place, "echo x > /dev/full");
    assert_ne!(ran.status, Some(0), "the control: a shell says so too");
    for (line, what) in [
        ("$C echo lost > /dev/full", "standard output"),
        ("$C sh -c 'seq 100000' > /dev/full", "standard output"),
    ] {
        let ran = shell(&place, line);
        assert_eq!(ran.status, Some(125), "{line}: {ran:?}");
        assert!(ran.err.contains(what) && ran.err.contains("no space left"), "{line}: {ran:?}");
    }
    let verified = cofferdam::audit::verify(&place.audit_log()).unwrap();
    assert_eq!(verified.unfinished, 0, "its end is on record all the same");
    let log = fs::read_to_string(place.audit_log()).unwrap();
    assert_eq!(log.matches("output was lost").count(), 2, "with the reason");
}

/// A workload that says `ready` and then waits for a signal.
fn waiting(place: &Place, trap: &str) -> std::process::Child {
    let script =
        format!("trap '{trap}' TERM INT HUP QUIT; echo ready; while :; do sleep 0.05; done");
    let mut command = place.cofferdam(&[]);
    command.args(["bash", "-c", &script]).stdout(Stdio::piped());
    let mut engine = command.spawn().unwrap();
    let mut word = [0; 6];
    engine.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ready\n");
    engine
}

fn signal(place: &Place, engine: &std::process::Child, name: &str) {
    place.outside(&format!("kill -s {name} {}", engine.id())).works(name);
}

#[test]
fn signals_go_to_the_workload() {
    let place = Place::new();
    for name in ["TERM", "INT", "HUP", "QUIT"] {
        let mut engine = waiting(&place, "echo heard; exit 9");
        signal(&place, &engine, name);
        let mut rest = String::new();
        engine.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), engine.wait().unwrap().code()), ("heard\n", Some(9)), "{name}");
    }
    // One that does not listen is ended by the second.
    let mut engine = waiting(&place, ":");
    signal(&place, &engine, "TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(engine.try_wait().unwrap().is_none(), "the first is the workload's to answer");
    signal(&place, &engine, "TERM");
    assert_eq!(engine.wait().unwrap().code(), Some(143), "the second ends it");
}

/// On a terminal: output comes, the end of input is told, and Ctrl-C goes to the workload.
#[test]
fn a_terminal_works() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    let body = format!(
        r#"import pty, select, time
def talk(words, keys, until):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv('{cofferdam}', ['cofferdam', 'run', '--quiet', '--'] + words)
    seen, end, sent = b'', time.monotonic() + 25, False
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.1)[0]: continue
        try: piece = os.read(fd, 4096)
        except OSError: break
        if not piece: break
        seen += piece
        if until in seen and not sent:
            os.write(fd, keys); sent = True
    return seen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
seen, status = talk(['bash', '-c', 'trap "echo heard; exit 9" INT; echo ready; while :; do sleep 0.05; done'], b'\x03', b'ready')
assert (b'heard' in seen, status) == (True, 9), (seen, status)
seen, status = talk(['sh', '-c', 'echo ready; cat; echo end'], b'line\n\x04', b'ready')
assert (seen.count(b'line') >= 2, b'end' in seen, status) == (True, True, 0), (seen, status)
"#
    );
    place.python_outside(&body).works("Ctrl-C and Ctrl-D");
}

/// Standard input may be a file that is larger than any pipe, and is read no further than needed.
#[test]
fn a_file_is_an_input() {
    let place = Place::new();
    place.write("home/src/app/lines", &"line\n".repeat(100_000));
    let mut command = place.cofferdam(&[]);
    command.args(["wc", "-l"]).stdin(File::open(place.work.join("lines")).unwrap());
    assert_eq!(finish(&mut command).works("count").out.trim(), "100000");
}
