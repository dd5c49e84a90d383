//! Targets of requests: what a pattern of paths allows, a naive matcher allows of the path as the most
//! obliging reader has it; what a pattern denies, it denies of every path that differs by case or by a
//! slash at its end; what nobody finds odd has one reading; what is refused is refused for a reason.
//!
//! The first line is a pattern, the second a target.
#![no_main]

use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::{
    Allowed, Decision, Denied, Host, HostRules, Pattern, Protocol, Unwanted,
};
use cofferdam_policy::judge::requests::{
    Inspect, LinePattern, PathPattern, Request, Requests, Trick, trick, trick_of_query,
};
use cofferdam_policy::model::Clause;
use libfuzzer_sys::fuzz_target;

fn rules(requests: Requests, denied: Vec<PathPattern>) -> HostRules {
    let pattern = Pattern::Exact(Name::parse(b"a.test").expect("a name"));
    let clause = Clause::built_in("rule");
    let allowed = Allowed {
        pattern: pattern.clone(),
        ports: vec![443],
        protocol: Protocol::Tls,
        dial: None,
        inspect: Inspect::Always,
        requests: requests.into(),
        reason: None,
        clause: clause.clone(),
    };
    let (methods, ports) = (Vec::new(), Vec::new());
    let denied =
        Denied { pattern, ports, methods, paths: denied, reason: None, clause: clause.clone() };
    let deny = if denied.is_inner() { vec![denied] } else { Vec::new() };
    HostRules { allow: vec![allowed].into(), deny: deny.into(), base: clause }
}

fn decide(rules: &HostRules, path: &str, query: Option<&str>) -> Result<(), Unwanted> {
    let host = Host::Name(Name::parse(b"a.test").expect("a name"));
    let request = Request { method: "GET", path, query, headers: &[], websocket: false };
    match rules.about(&host).decide_request(443, Protocol::Tls, &request) {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(_, because) => Err(because),
    }
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|two| std::str::from_utf8(two).ok()).filter(|_| *first == b'%');
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

/// Words of a path as the most obliging reader has them: decoded, without `.`, `..` and empty ones, which
/// the end alone may have; parameters are taken away, and a backslash is a slash.
fn normalised(path: &str) -> Vec<Vec<u8>> {
    let text: Vec<u8> =
        decoded(path).into_iter().map(|b| if b == b'\\' { b'/' } else { b }).collect();
    let mut words: Vec<Vec<u8>> = Vec::new();
    let ends = text.ends_with(b"/");
    for word in text.split(|byte| *byte == b'/').skip(1) {
        match word.split(|byte| *byte == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(words.pop()),
            word => words.push(word.to_vec()),
        }
    }
    if ends {
        words.push(Vec::new());
    }
    words
}

/// Patterns by trying everything. `*` is a byte that no decoded text has: 0xFF.
fn naive(pattern: &[Vec<u8>], words: &[Vec<u8>]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return words.is_empty() };
    if first == b"\xFF\xFF" {
        return (0..=words.len()).any(|taken| naive(rest, &words[taken..]));
    }
    let Some((word, after)) = words.split_first() else { return false };
    first.is_empty() == word.is_empty() && like(first, word) && naive(rest, after)
}

/// As hosts have words to which case says nothing, nor a slash at the end.
fn folded(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let words = match words {
        [first @ .., last] if last.is_empty() => first,
        all => all,
    };
    words.iter().map(|word| word.to_ascii_lowercase()).collect()
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((0xFF, rest)) => (0..=text.len()).any(|taken| like(rest, &text[taken..])),
        Some((byte, rest)) => text.split_first().is_some_and(|(f, t)| f == byte && like(rest, t)),
    }
}

fuzz_target!(|bytes: &[u8]| {
    // What is tried everything of must be short.
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 96) else {
        return;
    };
    let Some((pattern, target)) = text.split_once('\n') else { return };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    queries(pattern, query.unwrap_or_default());
    let Ok(pattern) = PathPattern::parse(pattern) else { return };
    assert_eq!(PathPattern::parse(pattern.text()).as_ref(), Ok(&pattern), "its own wire form");
    let paths = vec![pattern.clone()];
    let allowing = rules(Requests { paths: paths.clone(), ..Requests::default() }, Vec::new());
    let denying = rules(Requests::default(), paths);
    let (allowed, kept) = (decide(&allowing, path, None), decide(&denying, path, None));
    if pattern.is_all() {
        assert!(allowed.is_ok() || allowed == Err(Unwanted::Resolver));
        assert_eq!(kept, Err(Unwanted::Denied));
        return;
    }
    assert!(!(allowed.is_ok() && kept.is_ok()), "what allows denies too");
    let odd = trick(path).filter(|_| path != "*");
    match odd {
        Some(Trick::EncodedSlash) => {
            assert!(matches!(kept, Err(Unwanted::Ambiguous(_) | Unwanted::Denied)));
            let codes = |text: &str| text.to_ascii_lowercase().matches("%2f").count();
            assert!(allowed.is_err() || codes(path) == codes(pattern.text()), "no star is a slash");
            return;
        }
        Some(trick) => {
            assert_eq!(allowed, Err(Unwanted::Ambiguous(trick.as_str())));
            assert!(kept.is_err());
            return;
        }
        None => {}
    }
    if path == "*" {
        return;
    }
    let words = normalised(path);
    let plain: Vec<Vec<u8>> = path
        .split('/')
        .skip(1)
        .map(decoded)
        .filter(|word| path != "/" || !word.is_empty())
        .collect();
    let whole = if path == "/" { vec![Vec::new()] } else { plain };
    assert_eq!(words, whole, "one reading: {path}");
    if pattern.text().to_ascii_lowercase().contains("%2f") {
        assert!(allowed.is_err(), "a slash that is not there");
        return;
    }
    let stars = |word: &str| {
        decoded(&word.replace('*', "\u{1}"))
            .iter()
            .map(|b| if *b == 1 { 0xFF } else { *b })
            .collect()
    };
    let naively: Vec<Vec<u8>> = pattern.text().split('/').skip(1).map(stars).collect();
    let fits = naive(&naively, &words);
    assert!(allowed.is_err() || fits, "{} {path}", pattern.text());
    let denied = naive(&folded(&naively), &folded(&words));
    assert!(!fits || denied, "a pattern denies what it allows: {} {path}", pattern.text());
    assert!(!denied || kept == Err(Unwanted::Denied), "{} {path}", pattern.text());
    // Without codes the two readings are one.
    if !path.contains('%') && !pattern.text().contains('%') {
        assert_eq!(allowed.is_ok(), fits, "{} {path}", pattern.text());
        assert_eq!(kept == Err(Unwanted::Denied), denied, "{} {path}", pattern.text());
    }
});

/// What a pattern of parameters allows, it allows of the decoded name and value as well.
fn queries(pattern: &str, query: &str) {
    let Some(line) = LinePattern::parse(pattern).filter(|line| line.text().contains('=')) else {
        return;
    };
    let asked = Requests { query: Some(vec![line]), ..Requests::default() };
    let got = decide(&rules(asked, Vec::new()), "/", Some(query));
    if let Some(trick) = trick_of_query(query) {
        assert_eq!(got, Err(Unwanted::Ambiguous(trick.as_str())));
    } else if got.is_ok() {
        let stars: Vec<u8> = decoded(&pattern.replace('*', "\u{1}"))
            .iter()
            .map(|b| if *b == 1 { 0xFF } else { *b })
            .collect();
        for parameter in query.split('&') {
            let whole =
                if parameter.contains('=') { parameter.into() } else { format!("{parameter}=") };
            assert!(like(&stars, &decoded(&whole)), "{pattern} {parameter}");
        }
    }
}
