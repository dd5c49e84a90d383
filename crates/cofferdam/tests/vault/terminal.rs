//! A person at a terminal types a secret, and sees nothing of it.

use super::support::{Place, finish, programs};

const DRIVER: &str = include_str!("../terminal/driver.py");

/// Lets a person do `acts`; the terminal is as it was at the end.
#[track_caller]
fn at_a_terminal(place: &Place, acts: &str, why: &str) {
    let script =
        format!("{DRIVER}\n{acts}\nassert p.settings() == before, 'the settings'\np.ends()\n");
    let mut command = place.command("/usr/bin/python3");
    command.env("COFFERDAM_BIN", programs()).args(["-c", &script]);
    finish(&mut command).works(why);
}

#[test]
fn what_is_typed_is_not_shown() {
    at_a_terminal(
        &Place::new(),
        r#"
p.types("cofferdam vault set a\n")
seen = p.sees("value of a: "); p.types("hidden-one\n")
seen += p.sees("once more: "); p.types("hidden-one\n")
seen += p.prompt()
assert b"stored `a`" in seen and b"hidden" not in seen, seen
assert b"10 bytes" in p.runs("cofferdam vault test a")
# What is typed before the question is no answer to it, and is not shown after it either.
p.types("cofferdam vault rotate a\n")
seen = p.sees("value of a: "); p.types("hidden-two\n")
seen += p.sees("once more: "); p.types("hidden-too\n")
seen += p.prompt()
assert b"not the same" in seen and b"hidden" not in seen, seen
assert b"10 bytes" in p.runs("cofferdam vault test a")
"#,
        "a value",
    );
}

#[test]
fn a_passphrase_is_typed_too() {
    at_a_terminal(
        &Place::new(),
        r#"
p.types("cofferdam vault set --passphrase a\n")
seen = p.sees("new passphrase of the vault: "); p.types("hidden words\n")
seen += p.sees("once more: "); p.types("hidden words\n")
seen += p.sees("value of a: "); p.types("hidden-one\n")
seen += p.sees("once more: "); p.types("hidden-one\n")
seen += p.prompt()
assert b"stored `a`" in seen and b"hidden" not in seen, seen
p.types("cofferdam vault test a\n")
seen = p.sees("passphrase of the vault: "); p.types("hidden words\n")
seen += p.prompt()
assert b"10 bytes" in seen and b"hidden" not in seen, seen
p.types("cofferdam vault set b\n")
seen = p.sees("passphrase of the vault: "); p.types("other words\n")
seen += p.prompt()
assert b"does not open" in seen and b"value of" not in seen and b"other" not in seen, seen
"#,
        "a passphrase",
    );
}

/// A run whose secret is in a vault that a passphrase opens asks for it before anything starts; the workload
/// has the terminal afterwards.
#[test]
fn a_run_asks_for_the_passphrase() {
    let place = Place::new();
    place.write(
        "home/src/p.toml",
        "version = 1\n[[network.allow]]\nhost = 'api.test'\ncredential = 'a'\n\
         [credentials.a]\nsource = { vault = 'a' }\nenv = 'KEY'\ninject = { bearer = true }\n",
    );
    at_a_terminal(
        &place,
        r#"
p.types("cofferdam vault set --passphrase a\n")
p.sees("new passphrase of the vault: "); p.types("hidden words\n")
p.sees("once more: "); p.types("hidden words\n")
p.sees("value of a: "); p.types("hidden-value-one\n")
p.sees("once more: "); p.types("hidden-value-one\n")
p.prompt()
R = "cofferdam run --policy ../p.toml -- sh -c 'echo goes on; read line; echo heard $line; test -n \"$KEY\" && echo has'\n"
p.types(R)
seen = p.sees("passphrase of the vault: "); p.types("hidden words\n")
seen += p.sees("goes on\r\n"); p.types("a word\n")
seen += p.prompt()
assert b"heard a word" in seen and b"has" in seen and b"hidden" not in seen, seen
p.types(R)
seen = p.sees("passphrase of the vault: "); p.types("other words\n")
seen += p.prompt()
assert b"does not open" in seen and b"credentials.a" in seen and b"goes on\r\n" not in seen, seen
"#,
        "a run",
    );
}

/// Whoever is asked may go away, and gets the terminal back as it was.
#[test]
fn a_question_can_be_left() {
    at_a_terminal(
        &Place::new(),
        r#"
S = "sh -c 'trap : INT QUIT; cofferdam vault set a; echo st=$?; stty -a'\n"
for key, status in ((b"\x03", "st=130"), (b"\x1c", "st=131"), (b"\x04", "st=125")):
    p.types(S); p.sees("value of a: "); p.types(b"half" if key != b"\x04" else b""); p.types(key)
    seen = p.sees(status) + p.prompt()
    assert b" echo " in seen and b" -echo " not in seen and b"half" not in seen, seen
# A stop waits: what is typed after it would be shown.
p.types("cofferdam vault set a\n"); p.sees("value of a: "); p.types(b"\x1a"); p.types("hidden\n")
seen = p.sees("Stopped") + p.prompt()
p.types("fg\n"); seen += p.sees("once more: "); p.types(b"\x03"); seen += p.prompt()
assert b"hidden" not in seen, seen
assert b"no secret is kept" in p.runs("cofferdam vault list")
"#,
        "a question that is left",
    );
}

#[test]
fn a_line_that_a_terminal_cuts_is_refused() {
    at_a_terminal(
        &Place::new(),
        r#"
p.types("cofferdam vault set a\n"); p.sees("value of a: ")
for _ in range(50): p.types("x" * 100)
p.types("\n")
seen = p.prompt()
assert b"prompt-long" in seen and b"xxx" not in seen, seen
p.types("cofferdam vault set a\n"); p.sees("value of a: "); p.types("x" * 4000 + "\n")
p.sees("once more: "); p.types("x" * 4000 + "\n"); p.prompt()
assert b"4000 bytes" in p.runs("cofferdam vault test a")
"#,
        "a long line",
    );
}
