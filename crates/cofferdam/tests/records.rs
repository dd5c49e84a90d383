//! The audit log as a person meets it: where it may lie, what is on it, and what `verify` says.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Read;
use std::process::Stdio;

use support::{Place, Ran, finish, programs};

fn verify(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).args(["audit", "verify"]).args(words))
}

fn plan(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).arg("plan").args(words).args(["--", "true"]))
}

/// Whatever its name says, and whether or not its directory is there yet.
#[test]
fn the_log_is_in_no_view() {
    let place = Place::new();
    place
        .outside("mkdir -p dot/local other && ln -s src/app/dot/local $H/.local")
        .works("a linked state");
    place.inside("true").refused("configuration or state", "a state directory that leads inside");
    place.outside("rm $H/.local && ln -s $W link").works("a link to the workspace");
    for audit in ["$W/new/a.jsonl", "$W/link/new/a.jsonl", "$H/src/other/../app/a.jsonl"] {
        let audit = audit
            .replace("$W", &place.work.display().to_string())
            .replace("$H", &place.home.display().to_string());
        place.inside_with(&["--audit", &audit], "true").refused("view", &audit);
        plan(&place, &["--audit", &audit]).refused("view", &audit);
    }
    let up = format!("{}/new/../app/a.jsonl", place.home.join("src").display());
    place.inside_with(&["--audit", &up], "true").refused("leads up", "from what is not there");
    assert_eq!(
        place.outside("ls -A $W").works("look").out,
        "dot\nlink\nother\n",
        "a refusal leaves nothing behind"
    );
    let read_only = format!("{}:ro", place.work.display());
    let audit = place.work.join("a.jsonl").display().to_string();
    let options = ["--workspace", &read_only, "--audit", &audit];
    place.inside_with(&options, "true").refused("view", "one that could be read");
    place.outside("mkdir -p $H/.local/bin").works("");
    let toolchain = place.home.join(".local/bin/a.jsonl").display().to_string();
    place.inside_with(&["--audit", &toolchain], "true").refused("view", "in a toolchain");
    place.inside_with(&["--audit", "../beside/a.jsonl"], "true").works("beside the workspace");
    place.outside("ln ../beside/a.jsonl name").works("a second name");
    place
        .inside_with(&["--audit", "../beside/a.jsonl"], "true")
        .refused("hard links", "which is inside");
    plan(&place, &["--audit", "../beside/a.jsonl"]).refused("hard links", "and plan says so");
    place.outside("rm name").works("");
    verify(&place, &["../beside/a.jsonl"]).works("and it is whole");
}

#[test]
fn plan_refuses_a_log_that_run_could_not_write() {
    let place = Place::new();
    place.outside("echo x > $OUT/garbage && chmod 600 $OUT/garbage && mkfifo $OUT/fifo && ln -s garbage $OUT/link").works("");
    let out = |name: &str| place.out.join(name).display().to_string();
    for (audit, why) in [
        ("/proc/none/a.jsonl".to_owned(), "no place for a directory"),
        (out("garbage"), "no log"),
        (out("fifo"), "a FIFO"),
        (out("link"), "a link"),
        (out("canary/a.jsonl"), "below a file"),
    ] {
        let code = |verb: &str| {
            let mut command = place.command(programs().join("cofferdam"));
            let ran = finish(command.args([verb, "--json", "--audit", &audit, "--", "true"]));
            assert_eq!(ran.status, Some(125), "{verb}: {why}: {ran:?}");
            let object: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
            object.get("code").unwrap().as_str().unwrap().to_owned()
        };
        assert_eq!(code("plan"), code("run"), "{why}");
        assert!(code("plan").starts_with("audit-"), "{why}: {}", code("plan"));
    }
    let fresh = out("new/folder/a.jsonl");
    plan(&place, &["--audit", &fresh]).works("a new one");
    assert!(!place.out.join("new").exists(), "which plan does not make");
    place.inside_with(&["--audit", &fresh], "true").works("and run does");
}

/// The working directory is tried as well.
#[test]
fn plan_refuses_a_directory_that_run_could_not_enter() {
    let place = Place::new();
    place.outside("mkdir -p open closed && chmod 000 closed").works("");
    let there = |folder: &str, verb: &str| {
        // Entered before it is closed, by one who may.
        let script = format!(
            "chmod 755 {folder} && cd {folder} && chmod $MODE . && exec {} {verb} --workspace $W -- true",
            programs().join("cofferdam").display()
        );
        let mode = if folder == "closed" { "000" } else { "755" };
        finish(place.command("sh").env("MODE", mode).args(["-c", &script]))
    };
    for verb in ["run", "plan"] {
        there("closed", verb).refused("cannot enter", verb);
        there("open", verb).works(verb);
    }
    place.outside("chmod 755 closed").works("");
}

/// Once the command runs, everything that was read and decided for it is on record.
#[test]
fn the_start_is_on_record_before_the_command_runs() {
    let place = Place::new();
    let mut command = place.cofferdam(&[]);
    command.args(["sh", "-c", "echo ready; read line"]);
    let mut engine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 6];
    engine.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    let log = fs::read_to_string(place.audit_log()).unwrap();
    drop(engine.stdin.take());
    engine.wait().unwrap();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let event = first.get("event").unwrap();
    let at = |path: &str| event.pointer(path).unwrap_or_else(|| panic!("no {path}: {event}"));
    assert_eq!(at("/kind"), "start");
    assert_eq!(at("/facts/cwd"), &place.work.display().to_string());
    assert_eq!(at("/host/system"), "Linux");
    assert_eq!(at("/policy/isolation"), "process");
    assert_eq!(at("/plan/wall"), "process/native");
    assert!(at("/plan/setup").as_array().unwrap().len() > 50, "every step");
    assert!(!log.contains("\"exit\""), "and its end is not, yet");
}

/// A record in a file that nobody finds is none.
#[test]
fn a_log_that_is_moved_away_is_told() {
    let place = Place::new();
    for (away, why) in [
        ("rm $LOG", "removed"),
        ("mv $LOG $LOG.old", "moved"),
        (": > $LOG", "emptied"),
        ("true", "left alone"),
    ] {
        let mut command = place.cofferdam(&[]);
        command.args(["sh", "-c", "echo ready; read line; exit 3"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut engine = command.spawn().unwrap();
        let mut word = [0; 6];
        engine.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
        let log = place.audit_log().display().to_string();
        place.outside(&away.replace("$LOG", &log)).works(why);
        drop(engine.stdin.take());
        let mut said = String::new();
        engine.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = engine.wait().unwrap().code();
        if away == "true" {
            assert_eq!((status, said.as_str()), (Some(3), ""), "{why}");
        } else {
            assert_eq!(status, Some(125), "{why}: {said}");
            assert!(said.contains("ended with status 3, but its end is not on record"), "{said}");
        }
    }
}

#[test]
fn verify_says_what_it_finds() {
    let place = Place::new();
    place.inside("true").works("a run");
    let whole = verify(&place, &[]).works("a whole log");
    assert!(whole.out.contains("whole: 3 records of 1 sessions, 0 torn\nhead "), "{whole:?}");
    let log = place.audit_log();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, bytes.get(..bytes.len() - 20).unwrap()).unwrap();
    let cut = verify(&place, &[]).works("a log that is cut off");
    assert!(cut.out.contains("unfinished bytes at the end"), "{cut:?}");
    let json = verify(&place, &["--json"]).works("the same for machines").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(object.get("unfinished_bytes").unwrap().as_u64().unwrap() > 0, "{object}");
    fs::write(&log, String::from_utf8(bytes).unwrap().replacen("process", "PROCESS", 1)).unwrap();
    let changed = verify(&place, &[]);
    assert_eq!(changed.status, Some(1), "{changed:?}");
    assert!(changed.out.contains("broken at line 1"), "{changed:?}");
    place.outside("mkfifo $OUT/fifo").works("");
    for (name, words) in [("fifo", "not a regular file"), ("none", "no such file")] {
        let ran = verify(&place, &[&place.out.join(name).display().to_string()]);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.out.contains(words), "{name}: {ran:?}");
    }
}
