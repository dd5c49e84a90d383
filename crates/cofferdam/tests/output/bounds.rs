//! T08: how much may leave.

use super::*;

const MARK: &str = "[cofferdam: output ends here: limit of output.max_bytes (";

#[test]
fn what_is_beyond_the_limit_is_dropped() {
    for (script, most, why) in [
        ("yes | head -c 100000; exit 4", 4_096, "one stream"),
        ("yes | head -c 100000 >&2; exit 4", 4_096, "the other"),
        ("(yes | head -c 3000); (yes | head -c 3000) >&2; exit 4", 4_096, "both together"),
        ("printf 'no line'; yes no-line | tr -d '\\n' | head -c 9000; exit 4", 4_096, "one line"),
    ] {
        let place = place("[output]\nmax_bytes = \"4KiB\"");
        let ran = inside(&place, &[], script);
        assert_eq!(ran.status, Some(4), "{why}: it went on, and its status is its own: {ran:?}");
        let (err, notes) = ran.err.split_once("cofferdam: output ends early: ").unwrap();
        let all = format!("{}{err}", ran.out);
        let (begin, rest) = all.split_once(MARK).unwrap();
        let (clause, _) = rest.split_once("policy.toml:3)]\n").unwrap();
        assert!(clause.len() < 200, "{why}: the line ends: {clause}");
        assert!(begin.is_empty() || begin.ends_with('\n'), "{why}: a line of its own");
        let unmarked: String = all.lines().filter(|line| !line.starts_with(MARK)).collect();
        assert!(unmarked.len() <= most, "{why}: {} bytes", unmarked.len());
        assert!(notes.contains("bytes were dropped [output-cut]"), "{why}: {notes}");
        let limits = events(&place, "limit");
        let named =
            |event: &String| event.contains("\"limit\":\"output.max_bytes\",\"value\":\"4096\"");
        assert!(!limits.is_empty() && limits.iter().all(named), "{why}: {limits:?}");
    }
}

#[test]
fn what_is_within_passes_whole() {
    let place = place("[output]\nmax_bytes = \"4KiB\"");
    let ran =
        inside(&place, &[], "yes | head -c 4000; yes | head -c 96 >&2").works("to the last byte");
    assert_eq!((ran.out.len(), ran.err.len()), (4_000, 96), "and nothing is said");
    assert_eq!(events(&place, "limit").len(), 0);
}

/// It is not held back either: it may write as long as it likes.
#[test]
fn what_is_dropped_is_read() {
    let place = place("[output]\nmax_bytes = 1024");
    let ran = inside(&place, &[], "head -c 50000000 /dev/zero; echo done > done").works("50 MB");
    assert!(ran.out.len() < 1_300, "{} bytes", ran.out.len());
    assert_eq!(place.read("home/src/app/done"), "done\n");
}
