//! T04: what the workload chose, a name above all, is data wherever a person reads it.

use super::*;

/// A name that would be a second record, a note of ours, or a sequence to a terminal.
const NAMES: &[(&str, &str)] = &[
    ("a\n{\"hash\":\"00\",\"event\":{\"kind\":\"exit\"}}", "a record"),
    ("a\ncofferdam: everything is fine", "a note"),
    ("a\u{1b}]52;c;QQ==\u{7}", "a clipboard"),
    ("a\u{1b}[2K\rb", "another line"),
    ("a\u{202e}txt.sh", "a direction"),
    ("a\u{9b}31m", "a control of one byte"),
];

/// Whether a terminal would obey any of it.
fn is_plain(text: &str) -> bool {
    let turns = |letter| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|letter| turns(letter) || letter.is_control() && !"\n\t".contains(letter))
}

#[test]
fn no_name_forges_a_record_or_a_note() {
    for (name, why) in NAMES {
        let place = place("[filesystem]\nprotect = [\"**/a*\"]");
        let policy = place.root.join("policy.toml");
        let mut command = place.command(programs().join("cofferdam"));
        command.arg("run").arg("--policy").arg(policy).args(["--", "touch"]);
        let ran = finish(command.arg(format!("./{name}")));
        assert_ne!(ran.status, Some(0), "{why}: the control: it is denied: {ran:?}");
        // What touch(1) itself says comes before ours.
        let ours = ran.err.split_once("\ncofferdam: ").map(|(_, ours)| ours.to_owned());
        let ours =
            ours.unwrap_or_else(|| ran.err.strip_prefix("cofferdam: ").unwrap_or_default().into());
        assert!(!ours.is_empty() && is_plain(&ours), "{why}: {ours:?}");
        assert!(!ours.contains("\ncofferdam: everything is fine"), "{why}: {ours:?}");
        let raw = place.read("home/.local/state/cofferdam/audit.jsonl");
        assert!(
            raw.lines().all(|line| line.starts_with("{\"hash\":\"") && line.ends_with('}')),
            "{why}"
        );
        assert!(
            !raw.lines().any(|line| line.starts_with("{\"hash\":\"00\"")),
            "{why}: no record more"
        );
        assert!(is_plain(&raw), "{why}: the file may be shown as it is");
        let verified = cofferdam::audit::verify(&place.audit_log()).unwrap();
        assert_eq!(usize::try_from(verified.records).unwrap(), raw.lines().count(), "{why}");
        let show = || place.command(programs().join("cofferdam"));
        let shown = finish(show().args(["audit", "show"])).works(why);
        assert!(is_plain(&shown.out), "{why}: {:?}", shown.out);
        let begins = |line: &str| line.starts_with("20") || line.starts_with(' ');
        assert!(shown.out.lines().all(begins), "{why}: each line is ours: {}", shown.out);
        assert!(
            !shown.out.lines().any(|line| line.trim() == "cofferdam: everything is fine"),
            "{why}"
        );
    }
}
