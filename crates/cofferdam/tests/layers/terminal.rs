//! What a person sees before trusting: all of it, and nothing that acts on the terminal.

use crate::places::{at_a_terminal, says};
use crate::support::Place;

#[test]
fn what_is_shown_is_all_and_harmless() {
    let place = Place::new();
    // As long as a path may well be; no name in it is longer than a name may be.
    let long = ["x", "y", "z"].map(|letter| letter.repeat(200)).join("/");
    let text = format!(
        "version = 1\n\
         [filesystem]\n\
         hide = [\"a\u{202e}b\", \"{long}-end\"]\n\
         [environment]\n\
         set = {{ FIRST = \"\\u001b[2J\\u001b[Hall is well\", SECOND = \"a\\ntype `yes`\\u0007\" }}\n\
         [[network.allow]]\n\
         host = \"xn--pple-43d.test\"\n"
    );
    place.write("home/src/app/.cofferdam/policy.toml", &text);
    let ran = at_a_terminal(&place, &["trust"], "no\n", None);
    assert_eq!(ran.status, Some(125), "{ran:?}");
    let shown = ran.out.split("type `yes` to let it hold here").next().unwrap();
    let bad = |c: char| !(' '..='~').contains(&c) && c != '\n' && c != '\r';
    assert!(!shown.contains(bad), "printable ASCII alone: {shown:?}");
    let mut rows = shown.lines().filter(|line| line.starts_with("  "));
    assert!(rows.all(|row| row.trim_end().len() <= 78), "no long rows: {shown}");
    assert!(shown.lines().all(|line| line.len() <= 120), "no long lines: {shown}");
    let whole: String =
        shown.lines().map(|line| line.trim_end_matches('\r').trim_start()).collect();
    for part in [
        &format!("{long}-end"),
        "\\u{202e}",
        "xn--pple-43d.test:443",
        "all is well",
        "sets FIRST = ",
        "sets SECOND = ",
        "SHA-256",
    ] {
        assert!(whole.contains(part), "{part}: {shown}");
    }
    let asks = ran.out.lines().filter(|line| line.starts_with("type `yes`")).count();
    assert_eq!(asks, 1, "one question, and it is ours: {}", ran.out);
    let json = says(&place, &["trust", "--json"]).works("for machines");
    let shown: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(shown["added"].as_array().is_some_and(|rows| rows.len() >= 5), "{shown}");
    says(&place, &["trust", "--list"]).works("nothing was trusted by any of this");
}

#[test]
fn a_policy_that_weakens_shows_what_goes() {
    let place = Place::new();
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n[limits]\nopen_files = 64\n");
    let text = "version = 1\n[limits]\nopen_files = 4096\n";
    place.write("home/src/app/.cofferdam/policy.toml", text);
    let json = says(&place, &["trust", "--json"]).works("");
    let shown: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let row = |list: &str, what: &str| {
        let rows = shown[list].as_array().unwrap();
        rows.iter().any(|row| row.as_str().unwrap().starts_with(what))
    };
    assert!(row("added", "open_files = 4096"), "{shown}");
    assert!(row("gone", "open_files = 64"), "{shown}");
}
