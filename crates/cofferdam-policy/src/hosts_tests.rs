//! The vectors of `tests/vectors`, and what they cannot say.

use core::net::IpAddr;

use super::{HINT_MAX, HostFault, is_wide, parse_pattern};
use crate::hostname::Name;
use crate::judge::hosts::Host;

const HOSTS: &str = include_str!("../tests/vectors/hosts.txt");
const PATTERNS: &str = include_str!("../tests/vectors/patterns.txt");

/// The rows of a file: `columns` words, and the rest.
fn rows(text: &str, columns: usize) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let mut rest = line;
        let mut row = Vec::new();
        for _ in 0..columns {
            let (word, after) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            row.push(unescaped(word));
            rest = after.trim_start();
        }
        assert!(!rest.is_empty(), "{line}: why?");
        row
    };
    lines.map(row).collect()
}

fn unescaped(word: &str) -> String {
    let mut parts = word.split("\\u{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('}').unwrap_or_else(|| panic!("{word}"));
        let letter = u32::from_str_radix(number, 16).ok().and_then(char::from_u32);
        out.push(letter.unwrap_or_else(|| panic!("{word}")));
        out.push_str(rest);
    }
    out
}

/// The host that a client asks for, as everybody reads it.
fn asked(text: &str) -> Option<Host> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(Host::Address(address)),
        Err(_) => Name::parse(text.as_bytes()).ok().map(Host::Name),
    }
}

#[test]
fn patterns_hold_as_the_table_says() {
    let rows = rows(HOSTS, 3);
    for row in &rows {
        let [pattern, name, want] = row.as_slice() else { panic!("{row:?}") };
        let pattern = parse_pattern(pattern).unwrap_or_else(|fault| panic!("{row:?}: {fault:?}"));
        let got = match asked(name) {
            None => "none",
            Some(host) if pattern.holds(&host) => "holds",
            Some(_) => "not",
        };
        assert_eq!(got, want, "{row:?}");
    }
    for verdict in ["holds", "not", "none"] {
        assert!(rows.iter().filter(|row| row.last().unwrap() == verdict).count() > 8, "{verdict}");
    }
}

fn word(fault: &HostFault) -> &'static str {
    match fault {
        HostFault::Empty => "!empty",
        HostFault::TooLong => "!too-long",
        HostFault::Blank => "!blank",
        HostFault::Url(_) => "!url",
        HostFault::User => "!user",
        HostFault::Port(..) => "!port",
        HostFault::Path(_) => "!path",
        HostFault::Ambiguous(..) => "!ambiguous",
        HostFault::Brackets(_) => "!brackets",
        HostFault::Zone => "!zone",
        HostFault::Mapped(_) => "!mapped",
        HostFault::Prefix(_) => "!prefix",
        HostFault::Bits(_) => "!bits",
        HostFault::StarJoined(_) => "!star-joined",
        HostFault::StarElsewhere => "!star-elsewhere",
        HostFault::EmptyLabel => "!empty-label",
        HostFault::TrailingDot(_) => "!trailing-dot",
        HostFault::Script => "!script",
        HostFault::NotOneSpelling => "!not-one-spelling",
        HostFault::Name(_) => "!name",
    }
}

#[test]
fn texts_mean_what_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows(PATTERNS, 2) {
        let [text, want] = row.as_slice() else { panic!("{row:?}") };
        let got = parse_pattern(text);
        let said = got.as_ref().map_or_else(|fault| word(fault).into(), ToString::to_string);
        if said != *want {
            wrong.push(format!("{row:?}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_is_told_with_the_right_spelling() {
    for (text, want) in [
        ("https://u@good.test:8443/x", "write `good.test`: "),
        ("https://[2001:db8::1]/", "write `2001:db8::1`: "),
        ("good.test/x", "write `good.test`: "),
        ("good.test:8443", "write `good.test`, and ports = [8443]"),
        ("2001:db8::1:443", "write `2001:db8::1`, ports = [443]; or add `/128`"),
        ("[2001:db8::1]:443", "write `2001:db8::1`; "),
        ("::ffff:192.0.2.1", "write `192.0.2.1`"),
        ("10.1.2.3/8", "write `10.0.0.0/8`, "),
        ("10.1.2.3/0", "write `0.0.0.0/0`, "),
        ("2001:db8:ffff::1/33", "write `2001:db8:8000::/33`, "),
        ("*good.test", "write `*.good.test` for names below it, `good.test` "),
        ("GOOD\u{3002}test.", "write `good.test`: "),
        ("0x7f.1", "write an address as four decimal numbers"),
    ] {
        let fault = parse_pattern(text).expect_err(text);
        assert!(fault.hint().starts_with(want), "{text}: {}", fault.hint());
    }
    let name = format!("{}.{}", "a".repeat(63), "b".repeat(63));
    for text in [
        format!("https://{name}/"),
        format!("{name}:8443"),
        format!("{name}/x"),
        format!("*{name}"),
        format!("{name}."),
        format!("[{name}]"),
        "2001:db8:1111:2222:3333:4444::5555:443".into(),
        "2001:db8:1111:2222:3333:4444:5555:6666/60".into(),
    ] {
        let hint = parse_pattern(&text).expect_err(&text).hint();
        assert!(hint.chars().count() <= HINT_MAX, "{text}: {hint}");
    }
    let long = "a".repeat(super::HOST_BYTES_MAX + 1);
    assert_eq!(parse_pattern(&long), Err(HostFault::TooLong), "before anything looks at it");
    assert_eq!(parse_pattern(""), Err(HostFault::Empty));
}

/// What is written is what is shown, and that means the same.
#[test]
fn the_spelling_that_is_shown_is_taken() {
    for row in rows(PATTERNS, 2) {
        let [text, _] = row.as_slice() else { panic!("{row:?}") };
        let Ok(pattern) = parse_pattern(text) else { continue };
        match parse_pattern(&pattern.to_string()) {
            Err(HostFault::Ambiguous(..)) => {}
            again => assert_eq!(again, Ok(pattern), "{text}"),
        }
    }
}

#[test]
fn wide_is_what_is_the_publics() {
    for (text, want, why) in [
        ("*", true, "everybody"),
        ("*.com", true, "a domain costs a coffee"),
        ("*.co.uk", true, "two labels"),
        ("*.github.io", true, "the private section: a page costs nothing"),
        ("*.s3.amazonaws.com", true, "a bucket"),
        ("*.ck", true, "a rule for every name below"),
        ("*.kawasaki.jp", true, "the same, below another suffix"),
        ("*.xn--p1ai", true, "in another script"),
        ("*.unknown", true, "a last label that nobody knows"),
        ("*.example.com", false, "one holder's"),
        ("*.a.github.io", false, "one user's"),
        ("*.www.ck", false, "an exception of the list"),
        ("*.city.kawasaki.jp", false, "another"),
        ("com", false, "no wildcard"),
        ("0.0.0.0/0", true, "all of IPv4"),
        ("0.0.0.0/7", true, "wider than any holder's"),
        ("10.0.0.0/8", false, "a holder's"),
        ("2000::/3", true, "all of IPv6 that is in use"),
        ("2600::/16", false, "a holder's"),
    ] {
        assert_eq!(is_wide(&parse_pattern(text).unwrap()), want, "{text}: {why}");
    }
}

/// No text is a host that the judge would read otherwise: nothing but the letters of names and
/// addresses comes out, whatever goes in.
#[test]
fn every_text_is_read_or_refused() {
    let letters =
        ['a', 'G', '1', '.', '*', ':', '/', '-', 'ü', '。', '\u{ad}', '%', '[', 'x', '\0'];
    let mut state = 0x9e37_79b9_u32;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 16).unwrap() % bound
    };
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let length = next(9);
        let text: String = (0..length).map(|_| letters[next(letters.len())]).collect();
        let Ok(pattern) = parse_pattern(&text) else {
            refused += 1;
            continue;
        };
        taken += 1;
        let shown = pattern.to_string();
        let name = shown.strip_prefix("*.").unwrap_or(&shown);
        assert!(shown == "*" || asked(name).is_some() || shown.contains('/'), "{text:?}: {shown}");
        assert!(shown.is_ascii() && !shown.ends_with('.'), "{text:?}: {shown}");
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} {refused}");
}
