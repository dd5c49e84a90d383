//! P04: a project names no programs, no secrets and no way out of its own: each is an error of loading,
//! whoever would trust it.

use crate::places::{at_a_terminal, says, trusted};
use crate::support::Place;

#[test]
fn p04_paths_of_tools_are_errors_at_their_line() {
    let place = Place::new();
    for (rules, code, why) in [
        ("[sandbox]\nripgrep = \"./rg\"", "unknown-key", "another program for ours"),
        ("bwrap = \"./bwrap\"", "unknown-key", "a wall of its own"),
        ("[credentials.x]\nsource = { command = [\"./steal\"] }", "not-a-projects", "a program"),
        ("[network]\nupstream_proxy = \"http://127.0.0.1:9\"", "not-a-projects", "a way out"),
        ("[network]\ntrust_ca = [\"ca.pem\"]", "not-a-projects", "whom to believe"),
        (
            "[[network.allow]]\nhost = \"evil.test\"\ncredential = \"anthropic\"",
            "not-a-projects",
            "P01: a key's host",
        ),
        ("[environment]\ndangerous_allow = [\"API_KEY\"]", "not-a-projects", "a secret"),
        ("[managed]\ndangerous = true", "managed-elsewhere", "a ceiling of its own"),
    ] {
        place.write("home/src/app/.cofferdam/policy.toml", &format!("version = 1\n{rules}\n"));
        let ran = at_a_terminal(&place, &["trust"], "yes\n", None);
        assert_eq!(ran.status, Some(125), "{why}: {ran:?}");
        assert!(ran.out.contains(code) && !ran.out.contains("type `yes`"), "{why}: {ran:?}");
        let json = says(&place, &["trust", "--json"]).refused(code, why);
        let object: serde_json::Value = serde_json::from_str(&json.err).unwrap();
        assert!(object["line"].as_u64() >= Some(2), "{why}: at its line: {object}");
        says(&place, &["run", "--", "true"]).works("untrusted, it is not read");
    }
    trusted(&place, "version = 1\n[limits]\nopen_files = 64\n");
    let ran = says(&place, &["run", "--", "sh", "-c", "ulimit -n"]).works("the twin");
    assert_eq!(ran.out, "64\n");
}
