//! The process that stores what the gateway learns, by the gateway's own program.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::thread::yield_now;

use cofferdam_gateway::vault::writer::{Answer, Change, Writer, spawn_program};
use cofferdam_gateway::vault::{Name, Secret, Vault};

use super::support::{Place, finish, programs};
use super::{command, file, names, piped, with_phrases};

fn start(place: &Place, passphrase: Option<&Secret>) -> Writer {
    let vault = Vault::at(fs::canonicalize(file(place, "")).unwrap());
    spawn_program(&programs().join("cofferdam-gateway"), &vault, passphrase).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::of(text.as_bytes()).unwrap()
}

/// The next answer.
fn answer(writer: &Writer) -> Answer {
    loop {
        if let Some(answer) = writer.answer().unwrap() {
            return answer;
        }
        yield_now();
    }
}

fn answered(name: &str, fault: Option<&str>) -> Answer {
    Answer { name: name.into(), fault: fault.map(Into::into) }
}

/// Processes of this user that were started as writers, with what is known of each.
fn writers() -> Vec<(PathBuf, String)> {
    let ours = std::process::id().to_string();
    let folders = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let row = |path: PathBuf| {
        let words = fs::read(path.join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let status = fs::read_to_string(path.join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"))?;
        (parent == ours && words.contains("vault-writer")).then_some((path, words))
    };
    folders.filter_map(row).collect()
}

#[test]
fn what_is_learned_is_stored() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"one").works("a vault");
    let writer = start(&place, None);
    let long = "x".repeat(64 << 10);
    for (to, value) in [("a", "second"), ("b", "third"), ("c", &long)] {
        writer.store(&name(to), &secret(value)).unwrap();
        assert_eq!(answer(&writer), answered(to, None));
    }
    let ran = finish(command(&place).args(["test", "a"])).works("while it waits for more");
    assert_eq!(ran.out, "`a` can be read: 6 bytes\n");
    // All that was handed over is stored before it ends.
    writer.store(&name("d"), &secret("last")).unwrap();
    writer.finish().unwrap();
    assert_eq!(names(&place), ["a", "b", "c", "d"]);
}

/// Parts of a secret are changed together, and the rest of it stays.
#[test]
fn a_part_is_changed_and_the_rest_stays() {
    let place = Place::new();
    let text = r#"{"login": {"access": "a1", "refresh": "r1"}, "other": [1, "x"]}"#;
    piped(&place, &["set", "a"], text.as_bytes()).works("a vault");
    let writer = start(&place, None);
    let change = |way: &[&str], value: &str| Change {
        member: way.iter().map(|&name| name.to_owned()).collect(),
        secret: secret(value),
    };
    let stored = || {
        let vault = Vault::at(fs::canonicalize(file(&place, "")).unwrap());
        let opened = vault.open(None).unwrap();
        String::from_utf8(opened.secret(&name("a")).unwrap().expose().to_vec()).unwrap()
    };
    let both = [change(&["login", "refresh"], "r2\"2"), change(&["login", "access"], "a2")];
    writer.change(&name("a"), &both).unwrap();
    assert_eq!(answer(&writer), answered("a", None));
    let want = r#"{"login": {"access": "a2", "refresh": "r2\"2"}, "other": [1, "x"]}"#;
    assert_eq!(stored(), want);
    for (to, way, fault) in [
        ("a", &["login", "none"][..], "secret-member"),
        ("a", &["other"], "secret-member"),
        ("b", &[], "secret-unknown"),
    ] {
        let changes = [change(&["login", "access"], "a3"), change(way, "r3")];
        writer.change(&name(to), &changes).unwrap();
        assert_eq!(answer(&writer), answered(to, Some(fault)), "{way:?}");
        assert_eq!(stored(), want, "all of it or nothing: {way:?}");
    }
    writer.change(&name("a"), &[change(&[], "whole")]).unwrap();
    assert_eq!(answer(&writer), answered("a", None));
    assert_eq!(stored(), "whole");
}

#[test]
fn what_is_not_stored_is_told() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"one").works("a vault");
    let writer = start(&place, None);
    let before = fs::read(file(&place, "vault.age")).unwrap();
    fs::write(file(&place, "vault.age"), "spoiled").unwrap();
    writer.store(&name("a"), &secret("second")).unwrap();
    assert_eq!(answer(&writer), answered("a", Some("vault-corrupt")));
    assert_eq!(fs::read(file(&place, "vault.age")).unwrap(), b"spoiled");
    fs::write(file(&place, "vault.age"), before).unwrap();
    writer.store(&name("a"), &secret("second")).unwrap();
    assert_eq!(answer(&writer), answered("a", None), "and it goes on");
}

#[test]
fn a_passphrase_is_handed_over_too() {
    let place = Place::new();
    with_phrases(&place, &["set", "--passphrase", "a"], "one", "words").works("a vault");
    let writer = start(&place, Some(&secret("words")));
    writer.store(&name("a"), &secret("second")).unwrap();
    assert_eq!(answer(&writer), answered("a", None));
    drop(writer);
    let ran = with_phrases(&place, &["test", "a"], "", "words").works("the new value");
    assert_eq!(ran.out, "`a` can be read: 6 bytes\n");
    let writer = start(&place, None);
    writer.store(&name("a"), &secret("third")).unwrap();
    assert_eq!(answer(&writer), answered("a", Some("vault-locked")));
}

/// Nothing of a secret is where other processes look, and the writer has the vault and no more.
#[test]
fn it_has_nothing_but_the_vault() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"one").works("a vault");
    let writer = start(&place, Some(&secret("unmistakable-words")));
    writer.store(&name("a"), &secret("unmistakable-value")).unwrap();
    assert_eq!(answer(&writer), answered("a", None));
    let found = writers();
    assert!(!found.is_empty());
    for (path, words) in found {
        assert!(!words.contains("unmistakable"), "{words}");
        // Another user may not look at all.
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        assert_eq!(environment, b"", "{path:?}");
        let status = fs::read_to_string(path.join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

/// More than a socket holds is refused until it is read, and nothing is cut.
#[test]
fn nobody_waits_for_it() {
    let place = Place::new();
    piped(&place, &["set", "a"], b"one").works("a vault");
    let writer = start(&place, None);
    let long = secret(&"x".repeat(64 << 10));
    let mut stored = 0;
    let full = loop {
        match writer.store(&name(&format!("n{stored}")), &long) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    for number in 0..stored {
        assert_eq!(answer(&writer), answered(&format!("n{number}"), None));
    }
    writer.store(&name("later"), &secret("x")).unwrap();
    assert_eq!(answer(&writer), answered("later", None));
}
