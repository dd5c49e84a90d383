//! Golden profiles: `UPDATE_GOLDEN=1` writes `golden/seatbelt/*.sb` anew; the diff is the review.

use std::fmt::Write as _;
use std::path::Path;

use cofferdam_plan::Extent;
use cofferdam_plan::plan::Argument;
use cofferdam_plan::seatbelt::{Places, Terminal, compile, variables};

use crate::ask::{HOME, SESSION, TMP, TTY, read};
use crate::cases::policy;

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "whether to write golden files is the environment's")]
fn check(name: &str, text: &str) {
    let policy = policy(text);
    let seatbelt = compile(&policy, &SESSION).unwrap();
    read(&seatbelt);
    let mut got = seatbelt.profile.clone();
    got.push_str("\n; who holds each clause\n");
    for row in &seatbelt.coverage {
        let extent = match &row.extent {
            Extent::Enforced => "enforced".into(),
            Extent::Partly { open } => format!("partly: {open}"),
        };
        let by = row.mechanisms.join("; ");
        writeln!(got, "; {}: {} [{by}] {extent}", row.clause, row.says.escape_debug()).unwrap();
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/seatbelt/{name}.sb"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (got, want)) in (1..).zip(got.lines().zip(want.lines())) {
        assert_eq!(got, want, "{}:{number}", path.display());
    }
    assert_eq!(got.lines().count(), want.lines().count(), "{}: as many lines", path.display());
}

#[test]
fn what_every_session_has() {
    check("default", "");
}

#[test]
fn hostile_names() {
    check(
        "hostile",
        "[filesystem]\ngrant = [{ path = \"od\\\"d)(\\\\ ;\", mode = 'read-only' }]\n\
         hide = [\"caf\u{e9}\", \"stra\u{df}e.key\"]\nprotect = [\"x\\\"); (allow default)\"]\n",
    );
}

#[test]
fn patterns() {
    check(
        "patterns",
        "[filesystem]\nhide = ['**/*.pem', 'a?c/*.key']\nmask = ['**/.env']\nprotect = ['**/ci/*.yml']\n",
    );
}

#[test]
fn trees_in_trees() {
    check(
        "trees",
        "[filesystem]\nhide = ['keys', '/srv/other']\ngrant = [\n\
         { path = '/srv/data', mode = 'read-write' },\n\
         { path = '/srv/data/set/one', mode = 'read-only' },\n\
         { path = '/var/lib/x', mode = 'read-only' },\n\
         { path = 'keys/public', mode = 'read-only' },\n]\n",
    );
}

#[test]
fn a_way_out() {
    check(
        "network",
        "[[network.allow]]\nhost = 'a.test'\n[[network.deny]]\nhost = '*.bad.test'\n\
         [network]\npublish = ['8080']\n\
         [sockets]\nallow = ['a.sock']\n",
    );
}

/// The arguments have the profile, the session's places and the command, and no secret; the variables
/// have the token.
#[test]
fn how_it_is_started() {
    let policy = policy("[[network.allow]]\nhost = 'a.test'\n");
    let seatbelt = compile(&policy, &SESSION).unwrap();
    let places = Places { home: HOME.into(), temporary: TMP.into(), terminal: Some(TTY.into()) };
    let command = ["-D", "HOME=/"].map(|word| Argument(word.into()));
    let arguments = seatbelt.arguments(&places, &command);
    let got: Vec<&str> = arguments.iter().map(|word| str::from_utf8(&word.0).unwrap()).collect();
    let (home, tmp, tty) = (format!("HOME={HOME}"), format!("TMP={TMP}"), format!("TTY={TTY}"));
    let want = [
        "/usr/bin/sandbox-exec",
        "-p",
        &seatbelt.profile,
        "-D",
        &home,
        "-D",
        &tmp,
        "-D",
        &tty,
        "--",
        "-D",
        "HOME=/",
    ];
    assert_eq!(got, want);
    let made = variables(&policy, &SESSION, &places, "s3cret");
    let value = |name: &str| {
        let (_, value) = made.iter().find(|(one, _)| one == name).unwrap();
        String::from_utf8(value.clone()).unwrap()
    };
    assert_eq!(value("HTTPS_PROXY"), "http://cofferdam:s3cret@127.0.0.1:41280");
    assert_eq!(value("all_proxy"), "socks5h://cofferdam:s3cret@127.0.0.1:41080");
    assert_eq!((value("HOME"), value("TMPDIR")), (HOME.into(), TMP.into()));
    assert!(!got.concat().contains("s3cret"), "no secret in arguments");
    let closed = variables(&crate::cases::policy(""), &SESSION, &places, "s3cret");
    assert!(closed.iter().all(|(name, _)| !name.to_uppercase().contains("PROXY")), "{closed:?}");
    let without = cofferdam_plan::seatbelt::Session { terminal: Terminal::None, ..SESSION };
    let without = compile(&policy, &without).unwrap();
    assert!(!without.profile.contains("TTY") && seatbelt.profile.contains("TTY"));
}

/// What cannot be held is a refusal that names its clause.
#[test]
fn what_cannot_be_held_is_refused() {
    for (text, what) in [
        (
            "[filesystem]\nworkspace = { path = '.', mode = 'no-delete' }\n",
            "Seatbelt cannot tell a cut from a write: /home/u/app is no-delete: filesystem.workspace",
        ),
        (
            "[limits]\nmemory = '1GiB'\n",
            "Seatbelt cannot count a whole sandbox: memory is 1GiB: limits.memory",
        ),
        (
            "[limits]\nprocesses = 7\n",
            "Seatbelt cannot count a whole sandbox: processes is 7: limits.processes",
        ),
    ] {
        let refusal = compile(&policy(text), &SESSION).unwrap_err();
        assert!(refusal.to_string().starts_with(what), "{refusal}");
        assert_eq!(refusal.code(), "seatbelt-unheld");
        assert!(!refusal.hint().is_empty());
    }
    let held = policy("[limits]\nmemory = { max = '1GiB', hold = 'best-effort' }\n");
    let held = compile(&held, &SESSION).unwrap();
    let told = |row: &&cofferdam_plan::Coverage| row.clause.name == "limits.memory";
    assert!(matches!(held.coverage.iter().find(told).unwrap().extent, Extent::Partly { .. }));
}
