//! A person at a terminal: keys, jobs, sizes, full screens, and what is left of them.
//!
//! Each test is what a person does and sees, as Python over `terminal/driver.py`, which runs a
//! shell with job control on a pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/mod.rs"]
mod support;

use std::os::fd::AsFd;
use std::process::Command;

use cofferdam::{Engine, Options, Sink};
use cofferdam_plan::plan::{Carrier, Streams};
use support::{Place, finish, programs, variable};

const DRIVER: &str = include_str!("terminal/driver.py");

fn person(place: &Place) -> Command {
    let mut command = place.command("/usr/bin/python3");
    command.env("COFFERDAM_BIN", programs());
    command
}

/// Lets a person do `acts`; the terminal must be as it was at the end.
#[track_caller]
fn at_a_terminal(acts: &str, why: &str) {
    let place = Place::new();
    let script =
        format!("{DRIVER}\n{acts}\nassert p.settings() == before, 'the settings'\np.ends()\n");
    finish(person(&place).args(["-c", &script])).works(why);
}

#[test]
fn it_is_the_sandboxs_own() {
    at_a_terminal(
        r#"
own = p.runs("tty").split()[0].decode()
inside = p.runs(C + "sh -c 'tty; stty size; ls /dev/pts; test -t 0 -a -t 1 -a -t 2 && echo all; exec 3<>/dev/tty && echo opened'")
assert b"/dev/pts/0\r\n30 100\r\n0  ptmx\r\nall\r\nopened\r\n" in inside, inside
# The caller's is not there by its name, unless that is the name of the sandbox's own.
if own != "/dev/pts/0":
    assert b"No such file" in p.runs(C + "ls " + own), own
assert b"st=7" in p.runs(C + "sh -c 'exit 7'; echo st=$?")
"#,
        "a terminal of its own",
    );
}

#[test]
fn keys_that_signal() {
    at_a_terminal(
        r#"
p.types(C + "sh -c 'echo up; exec sleep 100'; echo st=$?\n"); p.sees("up\r\n"); p.types(b"\x03"); p.sees("st=130"); p.prompt()
p.types(C + "sh -c 'echo up; exec sleep 100'; echo st=$?\n"); p.sees("up\r\n"); p.types(b"\x1c"); p.sees("st=131"); p.prompt()
p.types(C + "cat; echo st=$?\n"); p.sees("\n"); p.types("abc\n"); p.sees("abc\r\nabc"); p.types(b"\x04"); p.sees("st=0"); p.prompt()
# A command that makes something else of it is left alone, however often.
p.types(C + "sh -c 'i=0; trap \"i=\\$((i+1)); echo caught\" INT; echo up; until test $i = 3; do sleep 0.1; done; echo al''l'\n"); p.sees("up\r\n")
for _ in range(3):
    p.types(b"\x03"); p.sees("caught")
p.sees("all"); p.prompt()
"#,
        "Ctrl-C, Ctrl-\\ and Ctrl-D act inside",
    );
}

#[test]
fn jobs_stop_and_go_on() {
    at_a_terminal(
        r#"
p.types(C + "sh -c 'echo up; read x; echo got $x'\n"); p.sees("up\r\n")
p.types(b"\x1a"); p.sees("Stopped"); p.prompt()
assert p.settings() == before, "stopped, the terminal is the shell's"
assert b"Stopped" in p.runs("jobs")
p.types("fg\n"); p.sees("\n"); p.types("word\n"); p.sees("got word"); p.prompt()
# In the background it is not read; in front again it is.
p.types(C + "sh -c 'echo up; read x; echo got $x' &\n"); p.prompt(); p.sees("up\r+\n"); p.types("\n"); p.prompt()
assert b"still" in p.runs("echo still")
p.types("fg\n"); p.sees("\n"); p.types("more\n"); p.sees("got more"); p.prompt()
# Stopped, sent to the background, it goes on there.
# (Without a child: a shell that is stopped between `vfork` and `exec` waits for that child, and does not stop.)
open("on.py", "w").write("import time\nprint('up', flush=True)\ntime.sleep(1)\nprint('went on', flush=True)\nprint(input() + '-end')\n")
p.types(C + "/usr/bin/python3 on.py\n"); p.sees("up\r\n"); p.types(b"\x1a"); p.sees("Stopped"); p.prompt()
p.types("bg\n"); p.prompt(); p.sees("went on"); p.types("\n"); p.prompt()
p.types("fg\n"); p.sees("\n"); p.types("the\n"); p.sees("the-end"); p.prompt()
"#,
        "Ctrl-Z, fg, bg and &",
    );
}

#[test]
fn jobs_inside_are_the_inner_shells() {
    at_a_terminal(
        r#"
p.types("cofferdam run --env PS1=INSIDE: -- bash --norc -i\n"); p.sees("INSIDE:")
p.types("sleep 100\n"); p.sees("sleep 100\r\n"); time.sleep(0.2)
p.types(b"\x1a"); p.sees("Stopped"); p.sees("INSIDE:")
p.types("jobs\n"); p.sees("sleep 100"); p.sees("INSIDE:")
p.types("fg\n"); p.sees("sleep 100"); time.sleep(0.2); p.types(b"\x03"); p.sees("INSIDE:")
p.resize(40, 120); p.types("sleep 0.2; stty size\n"); p.sees("40 120"); p.sees("INSIDE:")
# Stopping itself, the inner shell stops the outer job.
p.types("suspend -f\n"); p.sees("Stopped"); p.prompt()
p.types("fg\n"); p.sees("INSIDE:") if False else p.types("\n"); p.sees("INSIDE:")
p.types("exit 3\n"); p.prompt(); assert b"st=3" in p.runs("echo st=$?")
"#,
        "an interactive shell inside",
    );
}

#[test]
fn a_size_that_changes_is_told() {
    at_a_terminal(
        r#"
open("sizes.py", "w").write("""
import os, signal, sys, time
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b"%d %d\\n" % os.get_terminal_size()[::-1]))
os.write(1, b"up\\n")
while not os.path.exists("end"): time.sleep(0.05)
""")
p.types(C + "/usr/bin/python3 sizes.py\n"); p.sees("up\r\n")
p.resize(50, 90); p.sees("50 90")
# Also one that changed while it was stopped.
p.types(b"\x1a"); p.sees("Stopped"); p.prompt(); p.resize(20, 70)
p.types("fg\n"); p.sees("20 70"); open("end", "w").close(); p.prompt(); p.resize(30, 100)
"#,
        "SIGWINCH",
    );
}

#[test]
fn streams_that_lead_elsewhere() {
    at_a_terminal(
        r#"
assert b"1\r\n2\r\n3\r\n" in p.runs(C + "seq 1 3 | cat")
assert b"in=0 out=1 err=0\r\n" in p.runs(C + "sh -c 'for f in 0 1 2; do test -t $f; echo $?; done' > out; set -- $(cat out); echo in=$1 out=$2 err=$3")
assert b"in=0 out=0 err=1\r\n" in p.runs(C + "sh -c 'for f in 0 1 2; do test -t $f; echo $?; done' 2> /dev/null > /dev/tty; echo in=0 out=0 err=1")
assert b"in=1 out=1 err=1\r\n" in p.runs("set -- $(echo | " + C + "sh -c 'for f in 0 1 2; do test -t $f; echo $?; done'); echo in=$1 out=$2 err=$3")
# What reads the terminal beside it reads all of it, as long as the command does not ask.
assert b"theirs\r\n" in (p.types(C + "sh -c 'sleep 1; echo quiet' | (read x < /dev/tty; echo $x; cat)\n"), p.sees("\n"), time.sleep(0.5), p.types("theirs\n"), p.prompt())[-1]
# One that asks gets it, and lines stay lines.
p.types(C + "sh -c 'echo up >&2; read x; echo got-$x' | cat\n"); p.sees("up\r\n"); p.types("ab\n"); p.sees("got-ab\r\n"); p.prompt()
# Ctrl-C reaches both sides of a pipe, asked for or not.
p.types(C + "sh -c 'echo up >&2; exec sleep 100' | cat\n"); p.sees("up\r\n"); p.types(b"\x03"); p.prompt(); assert b"st=130" in p.runs("echo st=${PIPESTATUS[0]}")
# Without a terminal for its input, Ctrl-Z stops it all the same.
p.types(C + "sh -c 'echo up; exec sleep 100' < /dev/null\n"); p.sees("up\r\n"); p.types(b"\x1a"); p.sees("Stopped"); p.prompt()
p.types("fg\n"); p.sees("\n"); time.sleep(0.2); p.types(b"\x03"); p.prompt(); assert b"st=130" in p.runs("echo st=$?")
"#,
        "pipes and files beside a terminal",
    );
}

/// T03: what a terminal answers, and what it was put into, is not the next reader's, whatever reaches it.
#[test]
fn answers_and_modes_end_with_the_command() {
    at_a_terminal(
        r#"
questions = {
    "where": (r"\033[6n", b"\x1b[5;5R"), "who": (r"\033[c", b"\x1b[?62c"), "title": (r"\033[21t", b"\x1b]lrm -rf x\x1b\\"),
    "color": (r"\033]11;?\007", b"\x1b]11;rgb:0/0/0\x07"), "clipboard": (r"\033]52;c;?\007", b"\x1b]52;c;eA==\x07"),
    "capability": (r"\033P+q544e\033\\", b"\x1bP1+r544e=78\x1b\\"),
}
typed = b"\necho lea''ked\n"
# Outside, what is typed while the command runs is the shell's.
p.types("printf '\\033[6n'; sleep 0.5\n"); p.sees("\x1b\\[6n"); p.types(typed); p.sees("leaked"); p.prompt()
for name, (question, answer) in questions.items():
    for where in ("", " < /dev/null"):
        p.types(R + f"printf '{question}'{where}; echo do''ne\n")
        # The last question is our own; the terminal answers in order, late.
        p.sees(r"\x1b\[c" if name != "who" else r"\x1b\[c(.|\n)*\x1b\[c"); time.sleep(0.1); p.types(answer + typed); time.sleep(0.02); p.types(b"\x1b[?62;4c")
        shown = p.sees("done\r\n") + p.prompt() + p.runs("echo cl''ean")
        assert b"clean\r\n" in shown and b"leaked" not in shown, (name, where, shown)
# No question, no wait and no question of ours.
assert b"\x1b[c" not in p.runs(R + r"printf '\033[31mred\033[m'")
# A terminal that never answers holds nobody.
p.runs(R + r"printf '\033[6n'")
for left, back in ((r"\033[?1049h\033[?25l", b"\x1b[?1049l\x1b[?25h"), (r"\033[?1000;1006h", b"\x1b[?1000l\x1b[?1006l"), (r"\033[31m", b"\x1b[m"), (r"\033[", b"\x18")):
    shown = p.runs(R + f"printf '{left}'")
    assert back in shown, (left, shown)
assert b"\x1b[?1049l\x1b[?1049l" not in p.runs(R + r"printf '\033[?1049h\033[?1049l'")
"#,
        "questions",
    );
}

#[test]
fn however_it_ends_the_terminal_is_given_back() {
    at_a_terminal(
        r#"
raw = "sh -c 'stty raw -echo; printf \"\\033[?1049hu\"p; exec sleep 100'"
def children():
    return [int(pid) for pid in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()]
for number, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)):
    p.types(C + raw + "; echo st=$?\n"); p.sees("\\[\\?1049hup")
    os.kill(children()[0], number)
    p.sees(r"\x1b\[\?1049l"); p.sees(f"st={status}"); p.prompt()
    assert p.settings() == before, number
# The command is killed, or kills itself.
p.types(C + "sh -c 'stty raw; kill -9 $$'; echo st=$?\n"); p.sees("st=137"); p.prompt()
assert p.settings() == before, "killed"
# A refusal does not touch it.
assert b"refused" in p.runs("cofferdam run --grant /nonexistent:ro -- true")
assert b"not inside" in p.runs(C + "no-such-program")
"#,
        "ends",
    );
}

/// The terminal itself goes away, as when a window is closed.
#[test]
fn a_window_that_is_closed_ends_the_command() {
    let place = Place::new();
    let script = format!(
        "{DRIVER}
p.types(C + 'sh -c \"echo $$ > pid; echo u$()p; exec sleep 1000\"\\n'); p.sees('up')
engine = [int(pid) for pid in open(f'/proc/{{p.pid}}/task/{{p.pid}}/children').read().split()][0]
p.ends()
wait_for(lambda: not os.path.exists(f'/proc/{{engine}}'), 'the end of the engine')
"
    );
    finish(person(&place).args(["-c", &script])).works("a hang-up is passed on");
}

/// T09: nobody else finds the sandbox's terminal: it is of an instance of its own, not the host's.
#[test]
fn nobody_else_attaches() {
    at_a_terminal(
        r#"
of = "stat -c instance-%d /dev/pts"
host = os.stat("/dev/pts").st_dev
assert f"instance-{host}\r\n".encode() in p.runs(of)
p.types(C + f"sh -c '{of}; echo up; read x; echo got $x'\n"); own = int(re.search(rb"instance-(\d+)\r\n", p.sees("up\r\n"))[1])
assert own != host, "none of the host's"
q = Person(); shown = q.runs("cofferdam run -- sh -c 'ls /dev/pts; echo typed > /dev/pts/0; tty'"); assert b"typed\r\n/dev/pts/0" in shown, shown; q.ends()
p.types("mine\n"); shown = p.sees("got mine"); assert b"typed" not in shown, shown; p.prompt()
"#,
        "another sandbox has its own",
    );
}

/// One that was opened to be read, by whatever name, is shown to as well.
#[test]
fn an_input_that_is_only_read() {
    at_a_terminal(
        r#"
for name in ("$(tty)", "/dev/tty"):
    shown = p.runs(C + "sh -c 'echo out; echo err >&2; test -t 0 -a -t 1 -a -t 2 && echo all; printf \"\\033[6n\"' < " + name)
    assert b"out\r\nerr\r\nall\r\n" in shown and b"\x1b[6n\x1b[c" in shown, (name, shown)
    assert b"asks\r\n" in p.runs(C + "sh -c 'echo asks > /dev/tty' < " + name + " 2>&1 | cat"), name
"#,
        "< /dev/tty",
    );
}

/// Without a session's terminal (`su -c`) there are no jobs, and what is typed is the command's.
#[test]
fn a_terminal_of_another_session() {
    at_a_terminal(
        r#"
p.types("setsid -w " + C + "sh -c 'echo up; read x; echo got-$x'; echo st=$?\n"); p.sees("up\r\n")
p.types("word\n"); p.sees("got-word\r\n"); p.sees("st=0"); p.prompt()
assert p.settings() == before
p.types("setsid -w " + C + "sh -c 'echo up; exec sleep 100'; echo st=$?\n"); p.sees("up\r\n")
p.types(b"\x1a\x03"); p.sees("st=130"); p.prompt()
"#,
        "setsid",
    );
}

/// A shell reads its prompt with settings that are no command's.
#[test]
fn begun_in_the_background_it_has_a_commands_settings() {
    at_a_terminal(
        r#"
p.types("(sleep 0.3; exec " + C + "sh -c 'stty -a; echo up; read x; echo got-$x') &\n"); p.prompt()
assert b" icanon" in p.sees("up\r")
p.types("fg\n"); p.sees("\n"); time.sleep(0.5); p.types("word\n"); p.sees("word\r\n"); p.sees("got-word\r\n"); p.prompt()
# In a shell that leaves the terminal as its commands do.
q = Person(("dash", "-i")); found = q.settings()
q.types("stty -echo; " + C + "sh -c 'echo up; sleep 1; read x; echo got-$x' & sleep 0.5; stty echo; fg\n"); q.sees("up\r"); q.sees("fg|cofferdam run"); time.sleep(1); q.types("word\n"); q.sees("got-word\r\n"); q.prompt()
assert q.settings() == found
q.ends()
"#,
        "& and fg",
    );
}

/// T03: neither answers nor modes are the shell's while the command is stopped.
#[test]
fn a_stopped_command_leaves_nothing_on_its_way() {
    at_a_terminal(
        r#"
for where in ("", " < /dev/null"):
    p.types(R + "sh -c 'printf \"\\033[?1049h\\033[6nasked\"; kill -STOP $$; echo went on'" + where + "\n")
    shown = p.sees(r"\x1b\[\?1049l\x1b\[c"); assert b"asked" in shown, shown
    p.types(b"\x1b[5;5R\necho lea''ked\n"); time.sleep(0.02); p.types(b"\x1b[?62;4c")
    shown = p.sees("Stopped") + p.prompt() + p.runs("echo cl''ean")
    assert b"clean\r\n" in shown and b"leaked" not in shown, shown
    p.types("fg\n"); shown = p.sees("went on\r\n") + p.prompt()
    # What was left is forgotten.
    assert b"\x1b[?1049l" not in shown and b"\x1b[c" not in shown, shown
"#,
        "kill -STOP",
    );
}

/// T03: an answer to the command's own question is not taken for that to the last one.
#[test]
fn the_same_question_twice_has_two_answers() {
    at_a_terminal(
        r#"
p.types(R + r"printf '\033[c\033[21t\033[c'; echo do''ne" + "\n"); p.sees(r"\x1b\[21t\x1b\[c\x1b\[c")
for late in (b"\x1b[?62c", b"\x1b]lecho lea''ked\x1b\\\n", b"\x1b[?62c", b"\necho lea''ked\n\x1b[?62c"):
    p.types(late); time.sleep(0.2)
shown = p.sees("done\r\n") + p.prompt() + p.runs("echo cl''ean")
assert b"clean\r\n" in shown and b"leaked" not in shown, shown
# One that the command has read is not waited for.
p.types(C + "sh -c 'stty -icanon -echo; printf \"\\033[c\"; head -c 6 | cat -v; stty icanon echo'; echo do''ne\n"); p.sees(r"\x1b\[c"); p.types(b"\x1b[?62c"); p.sees(r"\x1b\[c"); begin = time.monotonic(); p.types(b"\x1b[?62c"); p.sees("done\r\n"); assert time.monotonic() - begin < 0.4; p.prompt()
"#,
        "CSI c",
    );
}

/// Its writes fail then, as on any terminal, instead of waiting for a reader.
#[test]
fn a_window_that_is_closed_is_closed_inside() {
    let place = Place::new();
    let script = format!(
        "{DRIVER}
open('closed.sh', 'w').write('trap \"\" HUP; echo up; read x; head -c 1000000 /dev/zero; echo st=$? > ended')
p.types(C + 'sh closed.sh\\n'); p.sees('up')
p.ends()
wait_for(lambda: os.path.exists('ended') and open('ended').read(), 'the end of its writes')
assert open('ended').read() == 'st=1\\n', open('ended').read()
"
    );
    finish(person(&place).args(["-c", &script])).works("EIO");
}

/// A key that was typed when the command was about to begin is the command's.
#[test]
fn the_first_key_is_not_lost() {
    at_a_terminal(
        r#"
for key, end in ((b"\x03", "st=130"), (b"\x1a", "Stopped")) * 8:
    p.types(C + "sleep 100; echo st=$?\n"); p.sees("\n")
    wait_for(lambda: p.settings()[3] & (termios.ISIG | termios.ICANON) == 0, "the terminal")
    p.types(key); p.sees(end); p.prompt()
    if end == "Stopped":
        p.types("kill -9 %%; fg\n"); p.sees("\n"); p.prompt()
"#,
        "Ctrl-C and Ctrl-Z at the start",
    );
}

/// A program that embeds the engine, hears no signals and shows the output itself. Nobody would
/// continue its workload, so nobody stops it.
#[test]
fn an_engine_without_signals() {
    if variable("EMBEDDED").is_some() {
        return embedded();
    }
    let program = std::fs::read_link("/proc/self/exe").unwrap();
    at_a_terminal(
        &format!(
            r#"
p.types("EMBEDDED=1 {} --exact an_engine_without_signals; echo st=$?\n"); p.sees("up\r\n"); p.types("word\n"); p.sees("st=0"); p.prompt()
"#,
            program.display()
        ),
        "embedded",
    );
}

fn embedded() {
    let engine = Engine::with_programs(&programs()).unwrap();
    let streams = Streams { input: Carrier::Terminal, ..Streams::default() };
    let script = "echo up > /dev/tty; read x; kill -STOP $$; echo got-$x";
    let options = Options { streams, ..Options::command(["sh", "-c", script]) };
    let prepared = engine.prepare(&options).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (output, error) = (Sink::Collect(&mut out), Sink::Collect(&mut err));
    let session = engine.start(&prepared).unwrap();
    session.run(Some(std::io::stdin().as_fd()), output, error, None).unwrap();
    assert_eq!(String::from_utf8_lossy(&out), "got-word\n");
}
