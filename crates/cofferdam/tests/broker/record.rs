//! Denials are on record: which name, what was wanted, which rule, and how often.

use std::fs;

use crate::support::{Place, Ran, finish, programs};
use crate::trial::{Session, events, policy};

/// A run that is not quiet, so that it says what it has to say.
fn loud(place: &Place, options: &[&str], script: &str) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    command
        .args(["run", "--env", "W", "--env", "OUT"])
        .args(options)
        .args(["--", "sh", "-c", script]);
    finish(&mut command)
}

#[test]
fn each_denial_is_an_event() {
    let place = Place::new();
    for name in ["old", ".mcp.json", ".env", "f"] {
        place.write(&format!("home/src/app/{name}"), "text");
    }
    let _listener = std::os::unix::net::UnixListener::bind(place.work.join("sock")).unwrap();
    let filesystem = "workspace = { path = \".\", mode = \"no-delete\" }\nhide = [\"**/.env\"]\nprotect = [\"kept\"]";
    let options = policy(&place, filesystem);
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    let rows = [
        ("os.mkdir('.claude')", "create", ".claude", "filesystem.protect", "EACCES", 13),
        ("put('.mcp.json')", "write", ".mcp.json", "filesystem.protect", "EACCES", 13),
        ("put('kept')", "create", "kept", "filesystem.protect", "EACCES", 13),
        (
            "put('g'); os.rename('g', '.envrc')",
            "rename",
            ".envrc",
            "filesystem.protect",
            "EACCES",
            13,
        ),
        ("os.link('g', '.husky')", "link", ".husky", "filesystem.protect", "EACCES", 13),
        ("os.unlink('old')", "remove", "old", "filesystem.workspace", "EPERM", 1),
        ("os.truncate('old', 0)", "cut", "old", "filesystem.workspace", "EPERM", 1),
        (
            "os.chmod('.mcp.json', 0o777)",
            "attributes",
            ".mcp.json",
            "filesystem.protect",
            "EACCES",
            13,
        ),
        ("os.stat('.env')", "look", ".env", "filesystem.hide", "ENOENT", 2),
        ("os.open('.env', os.O_RDONLY)", "read", ".env", "filesystem.hide", "ENOENT", 2),
        (
            "socket.socket(socket.AF_UNIX).bind('.zshrc')",
            "bind",
            ".zshrc",
            "filesystem.protect",
            "EACCES",
            13,
        ),
        ("socket.socket(socket.AF_UNIX).connect('sock')", "connect", "sock", "sockets", "EPERM", 1),
    ];
    for (act, .., errno, _) in rows {
        inside.fails(act, errno);
    }
    inside.end().works("to its end");
    let told = events(&place, "name");
    for (act, operation, name, clause, _, errno) in rows {
        let path = place.work.join(name).display().to_string();
        let event =
            told.iter().find(|event| event["path"] == path && event["operation"] == operation);
        let event = event.unwrap_or_else(|| panic!("{act}: no event: {told:#?}"));
        assert!(event["clause"].as_str().unwrap().contains(clause), "{act}: {event}");
        assert_eq!(
            (&event["errno"], &event["times"]),
            (&errno.into(), &1.into()),
            "{act}: {event}"
        );
        assert!(!event["why"].as_str().unwrap().is_empty(), "{act}: {event}");
    }
    assert_eq!(told.len(), rows.len(), "and no other: {told:#?}");
    let verify = finish(place.command(programs().join("cofferdam")).args(["audit", "verify"]));
    verify.works("the log verifies");
}

#[test]
fn the_exit_note_names_them() {
    let place = Place::new();
    let ran = loud(&place, &[], "mkdir .claude; mkdir .claude; echo x > .mcp.json; exit 3");
    assert_eq!(ran.status, Some(3), "{ran:?}");
    for word in [".claude", ".mcp.json", "protect"] {
        assert!(ran.err.contains(word), "{word}: {ran:?}");
    }
    let quiet = loud(&place, &[], "mkdir plain");
    assert!(!quiet.err.contains("protect"), "nothing was denied: {quiet:?}");
    // Names are the workload's: none of them writes on the person's terminal.
    let ran = loud(
        &place,
        &[],
        "mkdir '.claude/a\u{1b}[31mred' 2>/dev/null; mkdir .claude 2>/dev/null; printf '\\033]0;x\\007' > /dev/null; mkdir \"$(printf '.cofferdam\\033[2J\\n\\001')\" 2>/dev/null; true",
    );
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\u{1}'), "{ran:?}");
    // At most a handful of rows, whatever it tried.
    let many = "for n in $(seq 300); do mkdir .cofferdam-$n; done 2>/dev/null; true";
    let ran = loud(&place, &[], many);
    assert!(ran.err.lines().count() < 20, "{}", ran.err);
}

/// What works is no event.
#[test]
fn what_works_is_not_recorded() {
    let place = Place::new();
    loud(&place, &[], "mkdir d && echo x > d/f && mv d/f g && rm g && cat none; true").works("");
    assert_eq!(events(&place, "name"), Vec::<serde_json::Value>::new());
}

#[test]
fn a_hundred_thousand_denials_do_not_flood_the_log() {
    let place = Place::new();
    let mut inside = Session::inside(&place, &[]);
    inside.ok("def tries(name, count):\n    \
               for n in range(count):\n        \
               try: call(83, name % n if b'%' in name else name, 0o700)\n        \
               except OSError: continue\n        raise AssertionError('it was made')");
    inside.ok("tries(b'.claude', 90000)");
    let before = inside.act("tries(b'.cofferdam-%d', 10000)");
    assert_eq!(before, "ok");
    inside.ok("os.mkdir('fine')");
    inside.end().works("to its end");
    let told = events(&place, "name");
    let times: u64 = told.iter().map(|event| event["times"].as_u64().unwrap()).sum();
    let size = fs::metadata(place.audit_log()).unwrap().len();
    assert!(!told.is_empty() && told.len() < 1500, "{} events", told.len());
    assert!(size < 1 << 20, "{size} bytes");
    assert_eq!(times, 100_000, "each is counted");
    finish(place.command(programs().join("cofferdam")).args(["audit", "verify"])).works("verifies");
}
