//! What a shell sees of a run: status, streams, signals, a terminal.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests, and start programs"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
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
fn waiting(place: &Place, trap: &str) -> Child {
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

fn signal(place: &Place, engine: &Child, name: &str) {
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

/// Waits until `done`; what is waited for has no other end.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "{what}: never");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The status of a run that must end.
#[track_caller]
fn ends(engine: &mut Child, why: &str) -> Option<i32> {
    let begin = Instant::now();
    while engine.try_wait().unwrap().is_none() && begin.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = engine.try_wait().unwrap();
    if ended.is_none() {
        engine.kill().unwrap();
    }
    assert!(ended.is_some(), "{why}: it does not end");
    ended.unwrap().code()
}

/// Asks a run to end until it does. Two signals that come at once are one.
#[track_caller]
fn ends_when_asked(place: &Place, engine: &mut Child, why: &str) -> Option<i32> {
    let ask = format!("while kill -s TERM {}; do sleep 0.2; done 2>&-", engine.id());
    let mut asking = place.command("sh").args(["-c", &ask]).spawn().unwrap();
    let status = ends(engine, why);
    asking.wait().unwrap();
    status
}

/// A script of Python as a run.
fn python_run(place: &Place, script: &str) -> Command {
    // The other's socket is of another session.
    let policy = place.root.join("way.toml");
    std::fs::write(&policy, "version = 1\n[sockets]\nallow = [\"way\"]\n").unwrap();
    let mut command = place.cofferdam(&["--policy", &policy.display().to_string()]);
    command.args(["/usr/bin/python3", "-c", script]);
    command
}

/// A workload that takes its own output away before the engine reads it is waited for by nobody.
#[test]
fn the_workload_takes_its_output_back() {
    let place = Place::new();
    // After each byte that it took, it waits for signals that come through the engine.
    let script = "import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
pings = {signal.SIGQUIT}
signal.pthread_sigmask(signal.SIG_BLOCK, pings)
open('listens', 'w')
again = [os.open(f'/proc/self/fd/{fd}', os.O_RDONLY | os.O_NONBLOCK) for fd in (1, 2)]
taken = turn = 0
while taken < 300 and turn < 200000:
    turn += 1
    fd = 1 + turn % 2
    os.write(fd, b'x')
    for _ in range(turn * 7 % 400): pass
    try: os.read(again[fd - 1], 1)
    except BlockingIOError: continue
    taken += 1
    signal.sigtimedwait(pings, 0)
    if not all(signal.sigtimedwait(pings, 10) for _ in 'abc'): os._exit(8)
open('taken.new', 'w').write(str(taken))
os.rename('taken.new', 'taken')
while True: signal.pause()";
    let mut command = python_run(&place, script);
    let mut engine = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&engine);
    until("it listens", || place.work.join("listens").exists());
    until("the workload takes", || {
        assert!(engine.try_wait().unwrap().is_none(), "signals come through at any moment");
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        place.work.join("taken").exists()
    });
    let taken: u32 = place.read("home/src/app/taken").parse().unwrap();
    assert!(taken > 0, "the control: bytes were taken back");
    signal(&place, &engine, "TERM");
    assert_eq!(ends(&mut engine, "after it took"), Some(9), "the end is asked for and told");
}

/// A run ends with its workload, and with all that it wrote, whoever else holds its output.
#[test]
fn a_pipe_that_others_hold_ends() {
    let holder = "import os, socket, sys, time
way = socket.socket(socket.AF_UNIX); way.bind('way.new'); way.listen(); os.rename('way.new', 'way')
peer, _ = way.accept()
_, (fd,), _, _ = socket.recv_fds(peer, 1, 1)
if sys.argv[1] == 'writes': os.write(fd, b'x' * 100)
peer.send(b'x')
try:
    while sys.argv[1] == 'holds' and not os.path.exists('over'): time.sleep(0.01)
    while True: os.write(fd, b'x' * 100)
except BrokenPipeError: sys.exit(7)";
    let giver = "import os, socket, sys
way = socket.socket(socket.AF_UNIX); way.connect('way')
socket.send_fds(way, [b'x'], [1]); way.recv(1)
os.write(1, b'y' * 60000 + b'z')
os._exit(3)";
    for how in ["holds", "writes"] {
        let place = Place::new();
        let mut other = python_run(&place, holder).arg(how).spawn().unwrap();
        until("a way to the other", || place.work.join("way").exists());
        let mut engine = python_run(&place, giver).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = engine.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes)
        });
        assert_eq!(ends(&mut engine, how), Some(3), "{how}: its own status");
        let bytes = reader.join().unwrap().unwrap();
        let count = |which: u8| bytes.iter().filter(|byte| **byte == which).count();
        assert_eq!((count(b'y'), count(b'z')), (60_000, 1), "{how}: all of it");
        assert_eq!(count(b'x') > 0, how == "writes", "{how}: the other could write");
        if how == "holds" {
            assert!(other.try_wait().unwrap().is_none(), "the other held it to the end");
        }
        place.write("home/src/app/over", "");
        assert_eq!(ends(&mut other, "the other"), Some(7), "{how}: and held nothing then");
    }
}

/// A reader that stalls holds back what it reads, and nothing else.
#[test]
fn a_stalled_reader_stalls_nothing_else() {
    let place = Place::new();
    let grant = format!("{}:ro", place.write("home/src/app/inner", "").display());
    let script = "trap 'echo heard >&2' TERM; yes & sleep 0.3; echo flows >&2; \
                  while :; do sleep 0.05; done";
    let stalled = || {
        let mut command = place.cofferdam(&["--grant", &grant]);
        command.args(["bash", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut engine = command.spawn().unwrap();
        let mut said = BufReader::new(engine.stderr.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "flows", "standard error goes on");
        (engine, said)
    };
    let (mut engine, mut said) = stalled();
    signal(&place, &engine, "TERM");
    assert!(said.any(|line| line.unwrap() == "heard"), "a signal is passed on");
    assert_eq!(ends_when_asked(&place, &mut engine, "asked again"), Some(143));

    let (mut engine, _said) = stalled();
    place.outside("echo x > new && mv new inner").works("what is granted goes");
    let recorded = || fs::read_to_string(place.audit_log()).unwrap().contains("mount-fell");
    until("a guard that fell is on record", recorded);
    let mut rest = Vec::new();
    engine.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert!(rest.chunks(2).all(|line| b"y\n".starts_with(line)), "no byte is lost or twice");
    assert_eq!(ends(&mut engine, "killed, and read"), Some(137));
}

/// What the workload wrote outlives it for a reader that is slow, and until a signal comes.
#[test]
fn a_slow_reader_gets_all() {
    let place = Place::new();
    // A little less than the pipes before and behind the engine take.
    let written = || {
        let mut command = place.cofferdam(&[]);
        command.args(["head", "-c", "130000", "/dev/zero"]).stdout(Stdio::piped());
        let engine = command.spawn().unwrap();
        let log = || fs::read_to_string(place.audit_log()).unwrap_or_default();
        let ready = log().matches("\"ready\"").count();
        let children = format!("/proc/{0}/task/{0}/children", engine.id());
        until("it runs", || log().matches("\"ready\"").count() > ready);
        until("it ends", || fs::read_to_string(&children).unwrap().is_empty());
        engine
    };
    let mut engine = written();
    std::thread::sleep(Duration::from_millis(200));
    assert!(engine.try_wait().unwrap().is_none(), "its output waits for the reader");
    let mut all = Vec::new();
    engine.stdout.take().unwrap().read_to_end(&mut all).unwrap();
    assert_eq!((all.len(), ends(&mut engine, "read")), (130_000, Some(0)), "to the last byte");

    let mut engine = written();
    signal(&place, &engine, "QUIT");
    std::thread::sleep(Duration::from_millis(200));
    assert!(engine.try_wait().unwrap().is_none(), "no signal that asks for the end");
    signal(&place, &engine, "TERM");
    assert_eq!(ends(&mut engine, "asked once"), Some(143), "nobody else could answer");
}

/// Whatever the output is, a stalled reader makes nobody wait, a slow one gets every byte, and the
/// caller's descriptor keeps its flags.
#[test]
fn every_kind_of_output() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    let body = format!(
        r#"import fcntl, pty, signal, socket, subprocess, time, tty
def terminal():
    reader, writer = pty.openpty(); tty.setraw(writer); return reader, writer
def local():
    a, b = socket.socketpair(); return a.detach(), b.detach()
def fifo():
    os.mkfifo('fifo'); reader = os.open('fifo', os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True); writer = os.open('fifo', os.O_WRONLY); os.unlink('fifo')
    return reader, writer
def start(writer, *words):
    return subprocess.Popen(['{cofferdam}', 'run', '--quiet', '--', *words], stdout=writer, stderr=writer)
for make in (os.pipe, fifo, local, terminal):
    for blocking in (True, False):
        kind = make.__name__, blocking
        reader, writer = make(); os.set_blocking(writer, blocking)
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        # Both streams of two runs into one that nobody reads.
        stalled = [start(writer, 'sh', '-c', 'yes & yes >&2') for _ in 'ab']
        time.sleep(0.5)
        for each in stalled:
            for _ in range(100):
                each.send_signal(signal.SIGTERM)
                try: each.wait(0.3); break
                except subprocess.TimeoutExpired: pass
            assert each.returncode == 143, (kind, 'stalled', each.returncode)
        assert fcntl.fcntl(writer, fcntl.F_GETFL) == flags, (kind, 'flags')
        os.close(reader); os.close(writer)
        reader, writer = make(); os.set_blocking(writer, blocking)
        slow = start(writer, 'sh', '-c', 'seq 60000')
        got = b''
        while not got.endswith(b'\n60000\n'):
            piece = os.read(reader, 3000); assert piece, (kind, got[-100:])
            got += piece
            if len(got) % 7 == 0: time.sleep(0.001)
        assert got == b''.join(b'%d\n' % n for n in range(1, 60001)), (kind, 'slow')
        assert slow.wait(30) == 0, kind
        os.close(reader); os.close(writer)"#
    );
    place.python_outside(&body).works("pipes, named ones, sockets and terminals");
}

/// What the caller ignores on entry, as `nohup(1)` and `&` in a script do, stays ignored.
#[test]
fn ignored_signals_stay_ignored() {
    let place = Place::new();
    let script = "import os, signal, sys
def heard(number, frame): os.write(1, signal.Signals(number).name[3:].encode() + b'\\n')
for name in ('HUP', 'INT', 'QUIT'): signal.signal(getattr(signal, 'SIG' + name), heard)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
os.write(1, b'ready\\n')
while True: signal.pause()";
    for name in ["HUP", "INT", "QUIT"] {
        for ignored in [true, false] {
            let trap = if ignored { format!("trap '' {name};") } else { String::new() };
            let line = format!("{trap} exec \"$0\" \"$@\"");
            let inner = python_run(&place, script);
            let mut command = place.command("sh");
            command.args(["-c", &line]).arg(inner.get_program()).args(inner.get_args());
            let mut engine = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(engine.stdout.take().unwrap()).lines();
            assert_eq!(said.next().unwrap().unwrap(), "ready");
            signal(&place, &engine, name);
            if ignored {
                signal(&place, &engine, name);
            } else {
                assert_eq!(said.next().unwrap().unwrap(), name, "passed on where it is not");
            }
            signal(&place, &engine, "TERM");
            assert_eq!(said.next().map(Result::unwrap), None, "{name}: ignored: {ignored}");
            assert_eq!(ends(&mut engine, name), Some(9), "{name}: ignored: {ignored}");
        }
    }
}

/// Only who asks for the same again ends the sandbox.
#[test]
fn different_signals_are_all_passed_on() {
    let place = Place::new();
    let mut engine = waiting(&place, "echo heard");
    let mut said = BufReader::new(engine.stdout.take().unwrap()).lines();
    for name in ["QUIT", "QUIT", "QUIT", "INT", "HUP", "TERM", "QUIT"] {
        signal(&place, &engine, name);
        assert_eq!(said.next().unwrap().unwrap(), "heard", "{name}");
    }
    assert!(engine.try_wait().unwrap().is_none(), "each is the workload's to answer");
    assert_eq!(ends_when_asked(&place, &mut engine, "the same again"), Some(143));
}

/// A terminal sends to the whole group. A workload that goes on has its network still.
#[test]
fn signals_to_the_group_leave_the_network() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    place.write(
        "home/src/app/goes-on.py",
        "import os, signal, socket
def say(word): os.write(1, word.encode() + b'\\n')
def heard(number, frame): say(signal.Signals(number).name)
for name in ('HUP', 'INT', 'QUIT', 'TERM'): signal.signal(getattr(signal, 'SIG' + name), heard)
say(socket.gethostbyname('good.test'))
os.read(0, 1)
say(socket.gethostbyname('good.test'))",
    );
    let body = format!(
        r#"import signal, subprocess
words = ["{cofferdam}", "run", "--quiet", "--allow", "good.test", "--", "/usr/bin/python3", "goes-on.py"]
for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"):
    run = subprocess.Popen(words, stdin=-1, stdout=-1, start_new_session=True, text=True)
    before = run.stdout.readline()
    assert before.startswith("198."), before
    os.killpg(run.pid, getattr(signal, name))
    heard = run.stdout.readline()
    after, _ = run.communicate("\n", timeout=20)
    assert (heard.strip(), after, run.returncode) == (name, before, 0), (heard, after, run.returncode)"#
    );
    place.python_outside(&body).works("each signal");
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    assert_eq!(
        (log.matches("\"exit\"").count(), log.contains("gateway-gone")),
        (4, false),
        "{log}"
    );
}

/// An answer of our own that could not be written is no success.
#[test]
fn lost_answers_are_told() {
    let place = Place::new();
    place.inside("true").works("a log to look at");
    let cofferdam = programs().join("cofferdam").display().to_string();
    for words in ["plan -- true", "plan --json -- true", "audit verify", "--help"] {
        for (to, want, why) in [
            ("> /dev/full", 125, "a full disk"),
            ("> /dev/null", 0, "the control"),
            ("| true", 0, "who went away has enough"),
        ] {
            let line = format!("{cofferdam} {words} {to}; exit ${{PIPESTATUS[0]}}");
            let ran = finish(place.command("bash").args(["-c", &line]));
            assert_eq!(ran.status, Some(want), "{words} {to}: {why}: {ran:?}");
            let said = ran.err.contains("cannot be written") && ran.err.contains("no space left");
            assert_eq!(said, want == 125, "{words} {to}: {why}: {ran:?}");
        }
    }
}

/// Whether the other end of a pipe that a caller left open is closed while `program` lives.
fn lets_go(program: &std::path::Path, arguments: &[&str]) -> bool {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
    let (_ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::SEQPACKET,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(Stdio::null()).stdout(theirs).spawn().unwrap();
    drop(writer);
    let mut waits = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
    let half_a_second = rustix::event::Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
    let closed = rustix::event::poll(&mut waits, Some(&half_a_second)).unwrap() > 0;
    assert!(child.try_wait().unwrap().is_none(), "it waits for the engine");
    child.kill().unwrap();
    child.wait().unwrap();
    closed
}

#[test]
fn init_and_gateway_let_go_of_what_the_caller_left_open() {
    assert!(!lets_go("/bin/sleep".as_ref(), &["60"]), "another program keeps it");
    assert!(lets_go(&programs().join("cofferdam-gateway"), &[]));
    assert!(lets_go(&programs().join("cofferdam-init"), &[]));
}
