//! What `why` says is what happens, its words, and what it makes of events.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "why/random.rs"]
mod random;
#[path = "support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use support::{Place, Ran, finish, programs, updates_golden};

const GOLDEN: &str = include_str!("why.golden");

const POLICY: &str = "version = 1
[filesystem]
grant = [{ path = \"$OUT/read\", mode = \"read-only\" }]
hide = [\"**/*.secret\"]
mask = [\"**/*.env\"]
protect = [\"Makefile\"]
[[network.allow]]
host = \"api.example.com\"
methods = [\"GET\"]
paths = [\"/v1/**\"]
[[network.allow]]
host = \"*.wide.test\"
[[network.deny]]
host = \"bad.wide.test\"
[[network.allow]]
host = \"git.example.com\"
credential = \"git\"
[credentials.git]
source = { env = \"API_SECRET\" }
env = \"GIT_KEY\"
inject = { bearer = true }
[canary]
plan = \"the-blue-heron-flies-at-dawn-77\"
";

/// Questions, each of a verdict of its own kind. `$W`, `$H`, `$OUT` stand for places.
const QUESTIONS: &[&[&str]] = &[
    &["read", "a"],
    &["read", "$H/.ssh/id_test"],
    &["read", "~/.ssh/id_test"],
    &["read", "way"],
    &["read", "up"],
    &["read", "x.secret"],
    &["read", "x.env"],
    &["read", "not-there"],
    &["write", "$OUT/read/a"],
    &["write", "Makefile"],
    &["write", ".git/hooks/pre-commit"],
    &["create", "new"],
    &["create", "a"],
    &["create", ".envrc"],
    &["delete", "a"],
    &["delete", "$OUT/canary"],
    &["exec", "/usr/bin/env"],
    &["exec", "$H/src/other/secret"],
    &["--workspace", "$W:ro", "write", "a"],
    &["connect", "api.example.com"],
    &["connect", "api.example.com", "GET", "/v1/models"],
    &["connect", "api.example.com", "POST", "/v1/models"],
    &["connect", "api.example.com", "GET", "/v2"],
    &["connect", "api.example.com:22"],
    &["connect", "evil.test"],
    &["connect", "evil.test:5432"],
    &["connect", "x.wide.test", "DELETE", "/all"],
    &["connect", "bad.wide.test"],
    &["connect", "[2001:db8::1]:443"],
    &["--network", "none", "connect", "api.example.com"],
    &["use", "git", "git.example.com"],
    &["use", "git", "api.example.com"],
    &["use", "gti", "git.example.com"],
    &["raed", "a"],
    &["read"],
    &["connect", "a b"],
    &["connect", "10.0.0.0/8"],
    &["connect", "good.test:0"],
    &["4711"],
    &["wherefore"],
];

fn place() -> Place {
    let place = Place::new();
    for (name, text) in [
        ("home/src/app/a", "a\n"),
        ("home/src/app/x.secret", "s\n"),
        ("home/src/app/x.env", "KEY=abc\n"),
        ("home/src/app/Makefile", "all:\n"),
        ("out/read/a", "a\n"),
        ("out/granted/b", "b\n"),
    ] {
        place.write(name, text);
    }
    std::os::unix::fs::symlink("a", place.work.join("way")).unwrap();
    std::os::unix::fs::symlink("../../.ssh/id_test", place.work.join("up")).unwrap();
    place.write("policy.toml", &POLICY.replace("$OUT", &place.out.display().to_string()));
    place
}

fn filled(place: &Place, word: &str) -> String {
    word.replace("$OUT", &place.out.display().to_string())
        .replace("$W", &place.work.display().to_string())
        .replace("$H", &place.home.display().to_string())
}

fn why(place: &Place, words: &[&str]) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    command.env("API_SECRET", "sk-harmless-0123456789").env("NO_COLOR", "1");
    command.args(["why", "--policy"]).arg(place.root.join("policy.toml"));
    finish(command.args(words.iter().map(|word| filled(place, word))))
}

#[test]
fn each_kind_of_answer_has_its_words() {
    let place = place();
    let mut got = String::new();
    for words in QUESTIONS {
        let ran = why(&place, words);
        let text = format!("{}{}", ran.out, ran.err);
        let text = text.replace(&place.root.display().to_string(), "$ROOT");
        writeln!(got, "$ cofferdam why {}\n{text}= {}\n", words.join(" "), ran.status.unwrap())
            .unwrap();
        // The same for machines: one object, the same verdict.
        let json: Vec<&str> = ["--json"].iter().chain(*words).copied().collect();
        let json = why(&place, &json);
        assert_eq!(json.status, ran.status, "{words:?}");
        let line = format!("{}{}", json.out, json.err);
        let object: Value = serde_json::from_str(line.trim()).unwrap();
        let event = if ran.status == Some(125) { "refusal" } else { "why" };
        assert_eq!(object["event"], event, "{line}");
    }
    if updates_golden() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/why.golden");
        std::fs::write(golden, &got).unwrap();
        return;
    }
    // Whom root runs it as is in no answer, and neither are this machine's trees.
    assert_eq!(got, GOLDEN, "UPDATE_GOLDEN=1 writes it anew");
}

/// What is told to help does: the option, tried in a sandbox; and without it the act is denied.
#[test]
fn the_help_that_is_told_helps() {
    let place = place();
    for (question, act) in [
        (["read", "$OUT/canary"], "cat \"$OUT/canary\""),
        (["write", "$OUT/granted/b"], "echo x >> \"$OUT/granted/b\""),
        (["write", "$OUT/read/a"], "echo x >> \"$OUT/read/a\""),
        (["create", "$OUT/granted/new"], "echo x > \"$OUT/granted/new\""),
    ] {
        let policy = place.root.join("policy.toml").display().to_string();
        let options = ["--policy", policy.as_str()];
        let run = |more: &[&str]| {
            let all: Vec<&str> = options.iter().chain(more).copied().collect();
            let mut command = place.cofferdam(&all);
            finish(command.env("API_SECRET", "sk-harmless-0123456789").args(["sh", "-c", act]))
        };
        run(&[]).fails(&[""], act);
        let ran = why(&place, &[&["--json"][..], &question[..]].concat());
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        let option =
            answer["fix"]["option"].as_str().unwrap_or_else(|| panic!("{question:?}: {ran:?}"));
        let words: Vec<&str> = option.split(' ').collect();
        run(&words).works(option);
    }
}

/// A real denial of each kind: `why` of its number has the verdict and the clause of the event.
#[test]
fn events_are_explained() {
    let place = place();
    let policy = place.root.join("policy.toml").display().to_string();
    let act = "echo x > .mcp.json; cat x.secret; getent hosts evil.test; echo the-blue-heron-flies-at-dawn-77; \
               for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do sleep 1 & done; wait; true";
    let options = ["--policy", policy.as_str(), "--limit", "processes=16"];
    let mut command = place.cofferdam(&options);
    finish(command.env("API_SECRET", "sk-harmless-0123456789").args(["sh", "-c", act]));
    finish(place.cofferdam(&["--grant", "/not/there:ro"]).arg("true")).refused("not", "a refusal");
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for line in log.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (event, number) = (&record["event"], record["seq"].as_u64().unwrap());
        let kind = event["kind"].as_str().unwrap().to_owned();
        let denied = match kind.as_str() {
            "name" | "alarm" | "limit" | "refusal" => true,
            "connection" => event["verdict"] == "denied",
            _ => false,
        };
        let ran = why(&place, &["--json", &number.to_string()]);
        assert_eq!(ran.status, Some(i32::from(denied)), "{line}: {ran:?}");
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        if let Some(clause) = event["clause"].as_str() {
            let told = &answer["clause"];
            let place = match told["line"].as_u64().unwrap() {
                0 => told["file"].as_str().unwrap().to_owned(),
                line => format!("{}:{line}", told["file"].as_str().unwrap()),
            };
            assert_eq!(format!("{} ({place})", told["name"].as_str().unwrap()), clause, "{line}");
        }
        if kind == "name" {
            let held = answer["held_by"].to_string();
            assert!(held.contains("the broker"), "by the plan that was obeyed: {ran:?}");
        }
        if denied {
            // The same line from elsewhere says the same, and that nobody has verified it.
            let from = piped(&place, line);
            let other: Value = serde_json::from_str(&from.out).unwrap();
            assert_eq!(other["clause"]["name"], answer["clause"]["name"], "{from:?}");
            assert!(other["notes"].to_string().contains("verified"), "{from:?}");
            kinds.insert(kind);
        }
    }
    let want = ["alarm", "connection", "limit", "name", "refusal"];
    // A limit on processes takes a control group.
    let found: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert!(found == want || found == ["alarm", "connection", "name", "refusal"], "{found:?}");
}

fn piped(place: &Place, line: &str) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    let command = command.args(["why", "--json", "-"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// It starts nothing, makes nothing and records nothing.
#[test]
fn nothing_is_done() {
    let place = place();
    why(&place, &["read", "a"]).works("an answer");
    why(&place, &["connect", "api.example.com"]).works("an answer");
    assert!(!place.home.join(".local").exists(), "nothing is made in the home");
}
