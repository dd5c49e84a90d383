//! What each command does, and what no command ever says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::support::{Place, finish};
use super::{command, file, files, in_pieces, names, piped, with_phrases};

#[test]
fn a_secret_is_kept_until_it_is_removed() {
    let place = Place::new();
    let ran = finish(command(&place).arg("list")).works("nothing is kept");
    assert_eq!(ran.out, "no secret is kept\n");
    assert!(!file(&place, "").exists(), "who only looks makes nothing");
    let ran = piped(&place, &["set", "github"], b"ghp_first\n").works("a new one");
    assert_eq!(ran.out, "stored `github` in the vault\n");
    let ran = piped(&place, &["set", "github"], b"ghp_second").works("the same again");
    assert_eq!(ran.out, "replaced `github` in the vault\n");
    piped(&place, &["set", "api.key-2"], b"x").works("another");
    assert_eq!(names(&place), ["api.key-2", "github"]);
    let ran = finish(command(&place).arg("list")).works("as text");
    assert_eq!(ran.out, "api.key-2   vault\ngithub   vault\n");
    let ran = finish(command(&place).args(["test", "github"])).works("without its line end");
    assert_eq!(ran.out, "`github` can be read: 10 bytes\n");
    let ran = finish(command(&place).args(["test", "api.key-2"])).works("the shortest");
    assert_eq!(ran.out, "`api.key-2` can be read: 1 byte\n");
    let ran = piped(&place, &["rotate", "github"], b"ghp_the_third\r\n").works("a new value");
    assert_eq!(ran.out, "`github` has a new value in the vault\n");
    let ran = finish(command(&place).args(["test", "github"])).works("the new one");
    assert_eq!(ran.out, "`github` can be read: 13 bytes\n");
    finish(command(&place).args(["remove", "github"])).works("it goes");
    assert_eq!(names(&place), ["api.key-2"]);
    for words in [["test", "github"], ["remove", "github"]] {
        finish(command(&place).args(words)).refused("[secret-unknown]", "it is gone");
    }
    piped(&place, &["rotate", "github"], b"x").refused("[secret-unknown]", "nothing to rotate");
    assert_eq!(names(&place), ["api.key-2"]);
}

#[test]
fn what_is_no_secret_is_refused() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"kept").works("a secret");
    let before = files(&place);
    let longest = vec![b'x'; 64 << 10];
    let longer = vec![b'x'; (64 << 10) + 1];
    for (bytes, code, why) in [
        (&b""[..], "[secret-empty]", "nothing"),
        (b"\n", "[secret-empty]", "a line end alone"),
        (b"a\0b", "[secret-control]", "NUL"),
        (b"a\rb", "[secret-control]", "CR inside"),
        (b"\x1b[31m", "[secret-control]", "an escape"),
        (&longer, "[secret-long]", "a byte too many"),
        (&[&longer[..], b"\n"].concat(), "[secret-long]", "the same with a line end"),
    ] {
        piped(&place, &["set", "a"], bytes).refused(code, why);
        assert_eq!(files(&place), before, "{why}");
    }
    piped(&place, &["set", "a"], &[&longest[..], b"\r\n"].concat()).works("the longest");
    piped(&place, &["set", "a"], b"-----BEGIN-----\n\tab\n").works("a key has lines");
    let long = "a".repeat(65);
    for (name, why) in [
        ("A", "a capital"),
        ("a/b", "a path"),
        (".a", "a dot first"),
        ("a b", "a blank"),
        ("", "nothing"),
        (&long, "too long"),
    ] {
        for act in ["set", "rotate", "test", "remove"] {
            piped(&place, &[act, name], b"x").refused("[secret-name]", why);
        }
    }
    finish(command(&place).args(["set", "--", "-a"])).refused("[secret-name]", "like an option");
    finish(command(&place).args(["set", "a", "value"])).refused("unexpected argument", "a value");
    assert_eq!(names(&place), ["a"]);
}

#[test]
fn a_value_comes_in_any_pieces() {
    let place = Place::new();
    let value = b"sk-0123456\r\n";
    for at in 0..=value.len() {
        let (one, other) = value.split_at(at);
        in_pieces(&place, &["set", "a"], &[one, other]).works("two pieces");
        let ran = finish(command(&place).args(["test", "a"])).works("read");
        assert_eq!(ran.out, "`a` can be read: 10 bytes\n", "cut at {at}");
    }
    let bytes: Vec<&[u8]> = value.chunks(1).collect();
    in_pieces(&place, &["set", "a"], &bytes).works("byte by byte");
}

#[test]
fn a_passphrase_locks_it() {
    let place = Place::new();
    piped(&place, &["set", "--passphrase", "a"], b"x").refused("[vault-locked]", "none is given");
    assert!(!file(&place, "vault.age").exists());
    with_phrases(&place, &["set", "--passphrase", "a"], "one", "first words\n").works("made");
    assert!(!file(&place, "vault.key").exists(), "no key lies about");
    let before = files(&place);
    for words in [&["set", "b"][..], &["list"], &["test", "a"], &["remove", "a"], &["rotate", "a"]]
    {
        piped(&place, words, b"x").refused("[vault-locked]", "none is given");
        with_phrases(&place, words, "x", "other words\n").refused("[vault-passphrase]", "another");
        with_phrases(&place, words, "x", "\n").refused("[passphrase-fd]", "an empty one");
    }
    for (number, why) in [("0", "standard input"), ("77", "none is open"), ("x", "no number")] {
        let mut command = command(&place);
        command.arg("list").env("COFFERDAM_VAULT_PASSPHRASE_FD", number);
        finish(&mut command).refused("[passphrase-fd]", why);
    }
    finish(command(&place).args(["rotate", "--key"])).refused("[vault-locked]", "locked");
    assert_eq!(files(&place), before, "nothing was touched");
    with_phrases(&place, &["test", "a"], "", "first words\r\n").works("the right one");
    with_phrases(&place, &["rotate", "--key"], "", "first words")
        .refused("[vault-has-passphrase]", "no key beside it unasked");
    with_phrases(&place, &["rotate", "--key", "--passphrase"], "", "first words\nsecond\n")
        .works("another passphrase");
    with_phrases(&place, &["list"], "", "first words").refused("[vault-passphrase]", "the old one");
    let ran = with_phrases(&place, &["list"], "", "second").works("the new one");
    assert_eq!(ran.out, "a   vault\n");
}

#[test]
fn a_new_key_opens_it() {
    let place = Place::new();
    finish(command(&place).args(["rotate", "--key"])).refused("[vault-missing]", "no vault");
    piped(&place, &["set", "a"], b"one").works("a secret");
    let key = fs::read(file(&place, "vault.key")).unwrap();
    finish(command(&place).args(["rotate", "--key"])).works("a new key");
    assert_ne!(fs::read(file(&place, "vault.key")).unwrap(), key);
    finish(command(&place).args(["test", "a"])).works("opens it");
    fs::write(file(&place, "vault.key"), &key).unwrap();
    finish(command(&place).args(["test", "a"])).refused("[vault-wrong-key]", "the old key");
    piped(&place, &["set", "--passphrase", "b"], b"x").refused("[vault-has-key]", "made already");
}

/// Whatever the caller's umask, and whoever else looks.
#[test]
fn nobody_else_may_read_it() {
    let place = Place::new();
    let script = "umask 0; printf x | $C vault set a && printf y | $C vault set a";
    let program = super::programs().join("cofferdam");
    finish(place.command("sh").args(["-c", script]).env("C", program)).works("without a umask");
    let mode = |name: &str| fs::metadata(file(&place, name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(""), 0o700);
    for name in ["vault.age", "vault.age.previous", "vault.key", "vault.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let chmod = |name: &str, mode: u32| {
        fs::set_permissions(file(&place, name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, open, right) in
        [("", 0o750, 0o700), ("vault.age", 0o640, 0o600), ("vault.key", 0o604, 0o600)]
    {
        chmod(name, open);
        let before = files(&place);
        for words in [&["list"][..], &["test", "a"], &["set", "a"], &["rotate", "--key"]] {
            let ran = piped(&place, words, b"z").refused("[secret-shared]", name);
            assert!(ran.err.contains("chmod go-rwx"), "a next step: {ran:?}");
        }
        assert_eq!(files(&place), before, "{name}");
        chmod(name, right);
        finish(command(&place).args(["test", "a"])).works("as it was");
    }
}

/// A directory that somebody else's project leads the configuration into is no place for a vault.
#[test]
fn it_is_not_below_the_work() {
    let place = Place::new();
    let mut inside = command(&place);
    inside.args(["list"]).env("XDG_CONFIG_HOME", place.work.join(".config"));
    finish(&mut inside).refused("[config-inside]", "below the working directory");
    let mut elsewhere = command(&place);
    elsewhere.args(["list"]).env("XDG_CONFIG_HOME", place.root.join("config"));
    finish(&mut elsewhere).works("elsewhere");
}

/// Neither as it is nor encoded: in no answer, no message and no file.
#[test]
fn the_value_is_nowhere() {
    let place = Place::new();
    let value = "sk-Zq7-unmistakable-value";
    let encoded = ["c2stWnE3LXVubWlzdGFrYWJsZS12YWx1ZQ", "736b2d5a71372d756e6d697374616b"];
    let mut said = String::new();
    let mut hear = |ran: super::Ran| said.push_str(&format!("{ran:?}"));
    hear(piped(&place, &["set", "a"], value.as_bytes()).works("stored"));
    hear(piped(&place, &["rotate", "a"], value.as_bytes()).works("stored again"));
    hear(finish(command(&place).args(["test", "a"])).works("tested"));
    hear(finish(command(&place).args(["list", "--json"])).works("listed"));
    hear(piped(&place, &["set", "B"], value.as_bytes()));
    hear(piped(&place, &["set", "b"], format!("{value}\0").as_bytes()));
    hear(finish(command(&place).args(["rotate", "--key"])).works("sealed anew"));
    fs::write(file(&place, "vault.key"), "spoiled").unwrap();
    hear(piped(&place, &["set", "a"], value.as_bytes()));
    let mut grep = place.command("grep");
    grep.args(["-rlFi", "-e", value, "-e", encoded[0], "-e", encoded[1]]).arg(&place.root);
    let found = finish(grep.stdin(Stdio::null()));
    assert_eq!((found.status, found.out.as_str()), (Some(1), ""), "in no file");
    assert!(!said.contains(value) && !encoded.iter().any(|text| said.contains(text)), "{said}");
    assert!(said.contains("secret-control") && said.contains("vault-corrupt"), "{said}");
    // What the search rests on.
    place.write("home/leak", value);
    assert!(!finish(&mut grep).out.is_empty());
}
