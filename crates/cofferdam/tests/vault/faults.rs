//! What goes wrong with a vault, and that nothing is lost by it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::support::{Place, finish, programs};
use super::{command, file, files, names, piped};

/// Ends the program of the arguments from the second on as it is about to rename a file for the n-th
/// time. Says `ended`, or `whole` where it does not rename so often. (`ptrace(2)`, x86_64.)
const TRACER: &str = r#"
import ctypes, os, signal, sys
c = ctypes.CDLL(None, use_errno=True)
c.ptrace.restype = ctypes.c_long
c.ptrace.argtypes = [ctypes.c_long] * 4
def ptrace(*words):
    ctypes.set_errno(0)
    got = c.ptrace(*words)
    assert ctypes.get_errno() == 0, (words, os.strerror(ctypes.get_errno()))
    return got
nth, entering, RENAMES = int(sys.argv[1]), True, (82, 264, 316)
pid = os.fork()
if pid == 0:
    ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os.execv(sys.argv[2], sys.argv[2:])
os.waitpid(pid, 0)
ptrace(0x4200, pid, 0, 0x100001)
pass_on = 0
while True:
    ptrace(24, pid, 0, pass_on)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        print("whole"); sys.exit(os.WEXITSTATUS(status))
    assert os.WIFSTOPPED(status), status
    stopped = os.WSTOPSIG(status)
    pass_on = 0 if stopped in (signal.SIGTRAP | 0x80, signal.SIGTRAP) else stopped
    if stopped != signal.SIGTRAP | 0x80:
        continue
    if entering and ptrace(3, pid, 15 * 8, 0) in RENAMES:
        nth -= 1
        if nth == 0:
            os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
            print("ended"); sys.exit(0)
    entering = not entering
"#;

/// `cofferdam vault WORDS`, ended at its n-th rename; whether it came to that.
#[track_caller]
fn ended_at(place: &Place, nth: usize, words: &[&str], value: &str) -> bool {
    let input = place.write("stdin", value);
    let mut command = place.command("/usr/bin/python3");
    command.args(["-c", TRACER, &nth.to_string()]).arg(programs().join("cofferdam"));
    command.arg("vault").args(words).stdin(fs::File::open(input).unwrap());
    let ran = finish(&mut command).works("traced");
    ran.out.ends_with("ended\n")
}

/// Between writing a file and giving it its name, at every such place.
#[test]
fn a_writer_may_be_ended_at_any_rename() {
    for (words, renames, why) in [
        (&["set", "new"][..], 2, "one more secret"),
        (&["rotate", "a"], 2, "another value"),
        (&["remove", "b"], 2, "one less"),
        (&["rotate", "--key"], 5, "another key"),
    ] {
        let mut nth = 1;
        loop {
            let place = Place::new();
            piped(&place, &["set", "a"], b"one").works("the first");
            piped(&place, &["set", "b"], b"two").works("the second");
            let ended = ended_at(&place, nth, words, "the third");
            // Whatever it got to, all is there, before or after.
            let after = names(&place);
            let expected: &[&[&str]] = match words[0] {
                "set" => &[&["a", "b"], &["a", "b", "new"]],
                "remove" => &[&["a", "b"], &["a"]],
                _ => &[&["a", "b"]],
            };
            assert!(expected.iter().any(|names| after == *names), "{why}, {nth}: {after:?}");
            let ran = finish(command(&place).args(["test", "a"])).works(why);
            let lengths = ["`a` can be read: 3 bytes\n", "`a` can be read: 9 bytes\n"];
            assert!(lengths.contains(&ran.out.as_str()), "{why}, {nth}: {ran:?}");
            // The previous version opens too.
            let current = fs::read(file(&place, "vault.age")).unwrap();
            fs::copy(file(&place, "vault.age.previous"), file(&place, "vault.age")).unwrap();
            finish(command(&place).args(["test", "a"])).works("the previous version");
            fs::write(file(&place, "vault.age"), current).unwrap();
            piped(&place, &["set", "later"], b"x").works("and the next writer goes on");
            if !ended {
                break;
            }
            nth += 1;
        }
        assert_eq!(nth, renames + 1, "{why}: renames");
    }
}

/// The first one of all: a key, and then the vault.
#[test]
fn the_first_writer_may_be_ended_too() {
    for nth in [1, 2] {
        let place = Place::new();
        assert!(ended_at(&place, nth, &["set", "a"], "one"), "rename {nth}");
        assert!(names(&place).is_empty());
        piped(&place, &["set", "a"], b"one").works("the next one makes it");
        assert_eq!(names(&place), ["a"]);
    }
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let place = Place::new();
    let input = place.write("stdin", "value");
    let start = |number: usize| {
        let mut command = command(&place);
        let name = format!("n{number}");
        command.args(["set", &name]).stdin(fs::File::open(&input).unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
    };
    // The first ones make the vault, together.
    let mut children: Vec<_> = (0..8).map(start).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(names(&place).len(), 8);
}

/// A corrupt vault, a corrupt key, one that is gone: said, and byte for byte as it was.
#[test]
fn what_is_corrupt_stays_as_it_is() {
    type Spoil = fn(&Place);
    let rows: &[(&str, Spoil, &str)] = &[
        ("[vault-corrupt]", |p| fs::write(file(p, "vault.age"), "").unwrap(), "an empty vault"),
        ("[vault-corrupt]", |p| fs::write(file(p, "vault.age"), "{}").unwrap(), "no age file"),
        (
            "[vault-corrupt]",
            |p| {
                let bytes = fs::read(file(p, "vault.age")).unwrap();
                fs::write(file(p, "vault.age"), &bytes[..bytes.len() - 1]).unwrap();
            },
            "a cut one",
        ),
        ("[vault-corrupt]", |p| fs::write(file(p, "vault.key"), "x").unwrap(), "no key"),
        ("[vault-no-key]", |p| fs::remove_file(file(p, "vault.key")).unwrap(), "the key is gone"),
        ("[vault-gone]", |p| fs::remove_file(file(p, "vault.age")).unwrap(), "the vault is gone"),
        (
            "[secret-no-file]",
            |p| {
                fs::rename(file(p, "vault.age"), p.root.join("moved")).unwrap();
                symlink(p.root.join("moved"), file(p, "vault.age")).unwrap();
            },
            "a link",
        ),
    ];
    for (code, spoil, why) in rows {
        let place = Place::new();
        piped(&place, &["set", "a"], b"one").works("the first");
        piped(&place, &["set", "a"], b"two").works("the second");
        spoil(&place);
        let before = files(&place);
        for words in [&["test", "a"][..], &["set", "b"], &["rotate", "a"], &["remove", "a"]] {
            piped(&place, words, b"x").refused(code, why);
        }
        finish(command(&place).args(["rotate", "--key"])).refused(code, why);
        assert_eq!(files(&place), before, "{why}");
        // What was kept opens again.
        if *code == "[vault-gone]" || (*why).contains("cut") {
            fs::copy(file(&place, "vault.age.previous"), file(&place, "vault.age")).unwrap();
            finish(command(&place).args(["test", "a"])).works("the previous version");
        }
    }
}

/// A disk that is full, as far as a process can be made to believe it.
#[test]
fn what_cannot_be_written_changes_nothing() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"one").works("a secret");
    let before = files(&place);
    let program = programs().join("cofferdam");
    let script = "ulimit -f 0; printf x | \"$C\" vault set b";
    let ran = finish(place.command("sh").args(["-c", script]).env("C", program));
    ran.refused("[vault-system]", "no file may grow");
    assert_eq!(files(&place), before);
    assert_eq!(names(&place), ["a"]);
    piped(&place, &["set", "b"], b"x").works("with room");
}
