//! A question as a person sees it. Pure: letters in, letters out.
//!
//! Every letter of host, method and path is the workload's choice. Each stands on a line of its own
//! behind our label, in printable ASCII alone and bounded, with the end of the host always there: the
//! end says whose it is. So nothing of it moves the cursor, turns a line around, begins a line, or looks
//! like the prompt.

use super::speech::Asked;

/// Letters of a host that are shown; of a longer one the end.
const HOST_LETTERS_MAX: usize = 60;
/// Letters of a path that are shown, half of the beginning and half of the end.
const PATH_LETTERS_MAX: usize = 60;
/// Letters of a method that are shown.
const METHOD_LETTERS_MAX: usize = 20;

/// Letters of a host in the line that is answered; of a longer one the end.
const ANSWER_LETTERS_MAX: usize = 32;

/// What is asked for at the end of a question, on a terminal. It says of whom: the last line alone
/// tells what a yes is to, whatever stands above it.
pub(super) fn answer(asked: &Asked) -> String {
    let host = end(&plain(&asked.host), ANSWER_LETTERS_MAX);
    format!("  allow {host}:{} in this session? y, n, or q to leave: ", asked.port)
}

/// The question, line by line.
pub(super) fn question(asked: &Asked) -> String {
    let host = end(&plain(&asked.host), HOST_LETTERS_MAX);
    let protocol = plain(&asked.protocol);
    let mut text = format!(
        "\ncofferdam: the command asks for a host that no rule allows (question {})\n  host     {host}\n",
        asked.id
    );
    let coded =
        |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    if asked.host.split('.').any(coded) {
        text +=
            "           has letters of other scripts: it may look like another name elsewhere\n";
    }
    text += &format!("  port     {}, {protocol}\n", asked.port);
    if asked.method.is_some() || asked.path.is_some() {
        let method = asked.method.as_deref().map_or("any".into(), plain);
        let path = asked.path.as_deref().map_or("any".into(), plain);
        let path = middle(&path, PATH_LETTERS_MAX);
        text += &format!(
            "  method   \"{}\"\n  path     \"{path}\"\n",
            end(&method, METHOD_LETTERS_MAX)
        );
    }
    text
}

/// What somebody typed, as a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Yes,
    No,
    Leave,
    /// Nothing that means anything.
    Other,
}

/// What a line says. Nothing but `y` allows.
pub(super) fn typed(line: &[u8]) -> Typed {
    match line {
        b"y\n" => Typed::Yes,
        b"n\n" => Typed::No,
        b"q\n" => Typed::Leave,
        _ => Typed::Other,
    }
}

/// Printable ASCII as it is, without quotes and backslashes; all else escaped.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => shown.extend(['\\', letter]),
            ' '..='~' => shown.push(letter),
            _ => shown.extend(letter.escape_unicode()),
        }
    }
    shown
}

/// At most `most` letters of ASCII text: the end, and how many stand before.
pub(super) fn end(text: &str, most: usize) -> String {
    match text.len().checked_sub(most) {
        None | Some(0) => text.to_owned(),
        Some(cut) => format!("[{cut} letters] {}", text.get(cut..).unwrap_or_default()),
    }
}

/// At most `most` letters of ASCII text: beginning and end, and how many stand between.
fn middle(text: &str, most: usize) -> String {
    match text.len().checked_sub(most) {
        None | Some(0) => text.to_owned(),
        Some(cut) => {
            let first = text.get(..most / 2).unwrap_or_default();
            let last = text.get(most / 2 + cut..).unwrap_or_default();
            format!("{first}\" [{cut} letters] \"{last}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, request: Option<(&str, &str)>) -> Asked {
        let (method, path) = request.map(|(m, p)| (m.to_owned(), p.to_owned())).unzip();
        let (host, protocol) = (host.to_owned(), "tls".to_owned());
        Asked { id: 7, host, port: 443, protocol, method, path, seconds_left: 60 }
    }

    /// Whatever is asked for: these lines in this order, each with our label, printable, short.
    #[track_caller]
    fn check(asked: &Asked, why: &str) -> String {
        let text = question(asked);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(""), "{why}");
        let labels = ["cofferdam: the command asks for", "  host     ", "  port     443, tls"];
        let all: Vec<&str> = lines.filter(|line| !line.starts_with("           ")).collect();
        let request: &[&str] =
            if asked.method.is_some() { &["  method   \"", "  path     \""] } else { &[] };
        let labels: Vec<&str> = labels.iter().chain(request).copied().collect();
        assert_eq!(all.len(), labels.len(), "{why}: {text:?}");
        for (line, label) in all.iter().zip(labels) {
            assert!(line.starts_with(label), "{why}: {line:?}");
            assert!(line.len() <= 100, "{why}: {line:?}");
        }
        assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{why}");
        let answer = answer(asked);
        assert!(!text.contains(answer.trim()), "{why}: {text}");
        assert!(answer.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{why}: {answer:?}");
        assert!(answer.starts_with("  allow ") && answer.len() <= 99, "{why}: {answer:?}");
        assert!(answer.contains(":443 in this session? y, n"), "{why}: {answer:?}");
        text
    }

    #[test]
    fn nothing_of_the_workloads_looks_like_ours() {
        let long = format!("{}.evil.test", "login.bank.test.".repeat(14));
        for (host, want, why) in [
            ("good.test", "  host     good.test\n", "a name"),
            ("xn--bcher-kva.test", "letters of other scripts", "it is said"),
            ("b\u{fc}cher.test", "b\\u{fc}cher.test", "other scripts are never drawn"),
            ("\u{430}pple.test", "\\u{430}pple.test", "nor one that looks like ours"),
            ("a\u{202e}tset.doog", "a\\u{202e}tset.doog", "what turns a line around"),
            ("a\u{2066}b\u{2069}", "a\\u{2066}b\\u{2069}", "isolates"),
            ("a\rgood.test", "a\\u{d}good.test", "what goes back"),
            ("a\u{1b}[2K\u{1b}[1Ax", "a\\u{1b}[2K\\u{1b}[1Ax", "what clears a line"),
            ("a\u{9b}2J", "a\\u{9b}2J", "the same in one byte"),
            ("a\u{8}\u{8}b", "a\\u{8}\\u{8}b", "what rubs out"),
            ("a\u{7f}", "a\\u{7f}", "delete"),
            ("a\u{200b}b.test", "a\\u{200b}b.test", "what has no width"),
            ("a\u{301}.test", "a\\u{301}.test", "what joins the letter before"),
            ("good.test\n  allow it in this session? y", "good.test\\u{a}  allow", "a line"),
            (&long, "] ", "a long one is cut"),
            (&long, ".evil.test\n", "and its end is there"),
        ] {
            let text = check(&asked(host, None), why);
            assert!(text.contains(want), "{why}: {text}");
        }
        for (host, want, why) in [
            ("evil.test", "  allow evil.test:443 in", "the line that is answered names it"),
            ("[2001:db8::1]", "  allow [2001:db8::1]:443 in", "an address"),
            (&long, ".evil.test:443 in", "the end of a long one"),
        ] {
            let answer = answer(&asked(host, None));
            assert!(answer.contains(want), "{why}: {answer}");
        }
        for (method, path, want, why) in [
            ("GET", "/v1/models", "  path     \"/v1/models\"\n", "a request"),
            ("GET", "/a\n  host     good.test", "/a\\u{a}  host ", "a line of its own"),
            ("GET\u{1b}c", "/", "\"GET\\u{1b}c\"", "a reset"),
            ("GET", "/\"\n", "/\\\"\\u{a}\"", "a quote ends nothing"),
            ("GET", &format!("/ok{}/evil", "a".repeat(5_000)), "/evil\"\n", "the end is there"),
            ("GET", &format!("/ok{}/evil", "a".repeat(5_000)), "\"/ok", "and the beginning"),
            (&"G".repeat(500), "/", "[480 letters]", "a long method"),
        ] {
            let text = check(&asked("good.test", Some((method, path))), why);
            assert!(text.contains(want), "{why}: {text}");
        }
    }

    #[test]
    fn nothing_but_y_allows() {
        for (line, want, why) in [
            (&b"y\n"[..], Typed::Yes, "y and Enter"),
            (b"n\n", Typed::No, "no"),
            (b"q\n", Typed::Leave, "leave"),
            (b"Y\n", Typed::Other, "another letter"),
            (b"yes\n", Typed::Other, "more"),
            (b" y\n", Typed::Other, "a blank"),
            (b"y \n", Typed::Other, "a blank"),
            (b"yy\n", Typed::Other, "pressed twice"),
            (b"y\ny\n", Typed::Other, "two lines are no answer"),
            (b"\n", Typed::Other, "Enter alone"),
            (b"", Typed::Other, "nothing"),
            (b"y", Typed::Other, "y without Enter"),
        ] {
            assert_eq!(typed(line), want, "{why}");
        }
    }
}
