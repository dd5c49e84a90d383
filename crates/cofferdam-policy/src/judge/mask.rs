//! A placeholder of the same shape: what a program finds where a file is masked.
//!
//! Names of settings stay, so that a program says which one is wrong; what they are set to shows its
//! length, its lines and its punctuation, and no letter or digit. Where it is not sure that something is
//! a name, it is a value: in a value of several lines, in a block between marks, in what is no text.
//! A setting whose value stands in for a credential shows that, where its value ends on its line.

use std::ops::Range;

/// Longest name that is kept. Bytes; a longer one may well be a key itself.
const NAME_BYTES_MAX: usize = 64;
/// Longest mark of a block that is kept. Bytes; `-----BEGIN OPENSSH PRIVATE KEY-----` has 35.
const MARK_BYTES_MAX: usize = 64;

/// Most bytes that are put in the place of values: a file of nothing but such settings does not become large.
const PUT_BYTES_MAX: usize = 64 << 10;

/// What the lines before have left open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// A value goes on until this quote.
    Quote(u8),
    /// A value goes on after a backslash.
    Line,
    /// A block of YAML, whose lines begin further to the right than this.
    Block(usize),
    /// Between the marks of a key or certificate (RFC 7468).
    Marks,
}

/// `content` with `x` for its letters and `0` for its digits, but for the names that values have.
#[must_use]
pub fn mask(content: &[u8]) -> Vec<u8> {
    mask_with(content, &|_| None)
}

/// The same; a setting whose name `known` knows has that value.
#[must_use]
pub fn mask_with<'k>(content: &[u8], known: &dyn Fn(&[u8]) -> Option<&'k [u8]>) -> Vec<u8> {
    if content.contains(&0) {
        return content.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b'x' }).collect();
    }
    let mut masked = Vec::with_capacity(content.len());
    let (mut inside, mut spent) = (Inside::Nothing, 0_usize);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let (kept, after) = shown(end_cut(line), inside);
        let is_whole = inside == Inside::Nothing && after == Inside::Nothing;
        inside = after;
        let (name, value) = line.split_at_checked(kept).unwrap_or((&[], line));
        masked.extend_from_slice(name);
        let put = if is_whole { known(setting(name)).filter(|put| is_plain(put)) } else { None };
        let put = put.filter(|put| spent.saturating_add(put.len()) <= PUT_BYTES_MAX);
        spent = spent.saturating_add(put.map_or(0, <[u8]>::len));
        let (place, put) = match (put, own(value)) {
            (Some(put), Some(place)) => (place, put),
            (_, _) => (0..0, &[][..]),
        };
        let (before, behind) = (value.get(..place.start), value.get(place.end..));
        masked.extend(before.unwrap_or_default().iter().copied().map(letter));
        masked.extend_from_slice(put);
        masked.extend(behind.unwrap_or_default().iter().copied().map(letter));
    }
    masked
}

/// The name in `NAME=`, `NAME:`, `export NAME=` or `"NAME":`.
fn setting(name: &[u8]) -> &[u8] {
    let name = name.trim_ascii();
    let name = name.strip_suffix(b"=").or_else(|| name.strip_suffix(b":")).unwrap_or_default();
    let name = name.strip_prefix(b"export ").unwrap_or(name).trim_ascii();
    let inner = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
    inner.unwrap_or(name)
}

/// Where in what follows a name its value stands: between quotes, or up to a blank. None where it is empty.
fn own(value: &[u8]) -> Option<Range<usize>> {
    let from = blanks_of(value);
    let rest = value.get(from..)?;
    let (from, length) = match rest {
        [quote @ (b'"' | b'\'' | b'`'), rest @ ..] => {
            (from + 1, rest.iter().position(|byte| byte == quote)?)
        }
        _ => (from, rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count()),
    };
    (length > 0).then_some(from..from + length)
}

/// Whether a value means the same with quotes around it and without.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\#$".contains(byte))
}

const fn letter(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => b'0',
        b'\t' | b'\n' | b'\r' | b' ' => byte,
        _ if byte.is_ascii_punctuation() => byte,
        _ => b'x',
    }
}

/// How many blanks `text` begins with: those that stay as they are.
fn blanks_of(text: &[u8]) -> usize {
    text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// `line` without its end, and the blanks before it.
fn end_cut(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    line.get(..last.map_or(0, |last| last + 1)).unwrap_or(line)
}

/// How many bytes of a line are shown, and what it leaves open.
fn shown(line: &[u8], inside: Inside) -> (usize, Inside) {
    let blanks = blanks_of(line);
    let text = line.get(blanks..).unwrap_or_default();
    let mark = |edge: &[u8]| is_mark(text, edge);
    match inside {
        Inside::Marks if mark(b"-----END ") => return (line.len(), Inside::Nothing),
        Inside::Marks => return (0, Inside::Marks),
        Inside::Quote(quote) => {
            return (0, if closes(line, quote) { Inside::Nothing } else { inside });
        }
        Inside::Line => return (0, further(line)),
        Inside::Block(left) if text.is_empty() || blanks > left => return (0, inside),
        Inside::Block(_) | Inside::Nothing => {}
    }
    if mark(b"-----BEGIN ") {
        return (line.len(), Inside::Marks);
    }
    // Where the sign is does not hang on whether what is before it is a name.
    let Some(sign) = text.iter().position(|byte| b"=:".contains(byte)) else {
        return (0, further(line));
    };
    let value = text.get(sign + 1..).unwrap_or_default();
    let value = value.get(blanks_of(value)..).unwrap_or_default();
    let open = match value {
        [b'|' | b'>', ..] => Inside::Block(blanks),
        [quote @ (b'"' | b'\'' | b'`'), rest @ ..] if !closes(rest, *quote) => {
            Inside::Quote(*quote)
        }
        _ => further(value),
    };
    // Nothing but the end of what base64 writes: what is before it is the end of a key.
    let none = value.iter().all(|byte| *byte == b'=');
    let name = named(text).filter(|_| !none);
    (name.map_or(0, |name| blanks + name), open)
}

/// A line that ends with a backslash goes on.
fn further(line: &[u8]) -> Inside {
    if line.ends_with(b"\\") { Inside::Line } else { Inside::Nothing }
}

/// Whether `quote` is in `text`, and not behind a backslash.
fn closes(text: &[u8], quote: u8) -> bool {
    let mut escaped = false;
    text.iter().any(|byte| {
        let closes = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })
}

/// `-----BEGIN SOMETHING-----`
fn is_mark(text: &[u8], edge: &[u8]) -> bool {
    let label = text.strip_prefix(edge).and_then(|rest| rest.strip_suffix(b"-----"));
    let plain = |label: &[u8]| label.iter().all(|b| b.is_ascii_uppercase() || *b == b' ');
    text.len() <= MARK_BYTES_MAX && label.is_some_and(plain)
}

/// How long `NAME=`, `NAME:`, `export NAME=` or `"NAME":` at the front of `text` is.
fn named(text: &[u8]) -> Option<usize> {
    let before = if text.starts_with(b"export ") { b"export ".len() } else { 0 };
    let rest = text.get(before..)?;
    let quotes = usize::from(before == 0 && rest.first() == Some(&b'"'));
    let rest = rest.get(quotes..)?;
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = rest.iter().take_while(in_name).count();
    let first = rest.first().filter(|first| first.is_ascii_alphabetic() || **first == b'_');
    if first.is_none() || length > NAME_BYTES_MAX {
        return None;
    }
    let rest = rest.get(length..)?;
    let rest = if quotes > 0 { rest.strip_prefix(b"\"")? } else { rest };
    let blanks = blanks_of(rest);
    let sign = rest.get(blanks)?;
    let is_sign = match (before, quotes) {
        (0, 0) => matches!(sign, b'=' | b':'),
        (0, _) => *sign == b':',
        (_, _) => *sign == b'=',
    };
    is_sign.then_some(before + 2 * quotes + length + blanks + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, want: &str, why: &str) {
        let got = mask(content.as_bytes());
        assert_eq!(String::from_utf8(got).as_deref(), Ok(want), "{content:?}: {why}");
    }

    #[test]
    fn names_stay_and_values_go() {
        for (content, want, why) in [
            ("", "", "nothing"),
            ("KEY=abc123\n", "KEY=xxx000\n", "a name and its value"),
            ("KEY = a b\r\n", "KEY = x x\r\n", "with spaces"),
            ("export KEY=a=b", "export KEY=x=x", "for a shell"),
            ("  key: 'a-1'\n", "  key: 'x-0'\n", "of YAML"),
            ("{\n  \"key\": \"a1\",\n}", "{\n  \"key\": \"x0\",\n}", "of JSON"),
            ("# a comment\n", "# x xxxxxxx\n", "may hold a key as well"),
            ("secret\n", "xxxxxx\n", "no name"),
            ("9a=b\n", "0x=x\n", "a name begins with a letter"),
            ("a b=c\n", "x x=x\n", "and is one word"),
            ("{\"a\": \"b\"}", "{\"x\": \"x\"}", "at the front alone"),
            ("\"a\"=b\n", "\"x\"=x\n", "no spelling of a name"),
            ("caf\u{e9}=\u{e9}\n", "xxxxx=xx\n", "other letters"),
            ("A=\u{1b}[1m\n", "A=x[0x\n", "what a terminal obeys"),
            ("A=\u{c}\"b\nC=d\n", "A=x\"x\nC=x\n", "a feed is a letter, once or twice"),
            ("dGhlIGtleQ==\n", "xxxxxxxxxx==\n", "the end of base64"),
            ("KEY=\n", "xxx=\n", "which an empty value may be too"),
            ("A=\"b\nCD=e\"\nF=g\n", "A=\"x\nxx=x\"\nF=x\n", "a value of two lines"),
            ("A='b\\' c'\nD=e\n", "A='x\\' x'\nD=x\n", "a quote that does not close it"),
            ("A=b\\\nCD=e\nF=g\n", "A=x\\\nxx=x\nF=x\n", "a line that goes on"),
            ("a b: \"c\nDE=f\"\n", "x x: \"x\nxx=x\"\n", "whatever its name is"),
            ("a: |\n  bc: d\n\n  e: f\ng: h\n", "a: |\n  xx: x\n\n  x: x\ng: x\n", "a block"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAbc=d\n-----END RSA PRIVATE KEY-----\nA=b\n",
                "-----BEGIN RSA PRIVATE KEY-----\nXxx=x\n-----END RSA PRIVATE KEY-----\nA=x\n",
                "marks of a key",
            ),
            ("-----BEGIN a1-----\n", "-----xxxxx x0-----\n", "no mark"),
            ("A=b\0\nC=d", "xxxx\nxxx", "no text"),
        ] {
            check(content, &want.replace("Xxx=x", "xxx=x"), why);
        }
        let long = "k".repeat(NAME_BYTES_MAX + 1);
        check(&format!("{long}=a"), &format!("{}=x", "x".repeat(long.len())), "too long a name");
    }

    #[test]
    fn a_setting_of_a_credential_shows_what_stands_in() {
        let known = |name: &[u8]| -> Option<&[u8]> {
            match name {
                b"API_KEY" => Some(b"sk-standin-9"),
                b"PEM" => Some(b"two\nlines"),
                _ => None,
            }
        };
        for (content, want, why) in [
            ("API_KEY=sk-real-abcdef\nB=c1\n", "API_KEY=sk-standin-9\nB=x0\n", "alone"),
            ("API_KEY = sk-real # note\n", "API_KEY = sk-standin-9 # xxxx\n", "with a comment"),
            ("export API_KEY='sk-real'\r\n", "export API_KEY='sk-standin-9'\r\n", "for a shell"),
            ("{\n  \"API_KEY\": \"sk\",\n}", "{\n  \"API_KEY\": \"sk-standin-9\",\n}", "of JSON"),
            ("  API_KEY: sk-real", "  API_KEY: sk-standin-9", "of YAML"),
            ("API_KEY=\n", "xxx_xxx=\n", "none to stand in for"),
            ("API_KEY=\"\"\n", "API_KEY=\"\"\n", "nor between quotes"),
            ("API_KEY=\"sk\nB=C\"\n", "API_KEY=\"xx\nx=x\"\n", "a value of two lines"),
            ("API_KEY=a\\\nB=c\n", "API_KEY=x\\\nx=x\n", "one that goes on"),
            ("API_KEY: |\n  sk\n", "API_KEY: |\n  xx\n", "a block"),
            (
                "MY_API_KEY=a\nAPI_KEY2=b\napi_key=c\n",
                "MY_API_KEY=x\nAPI_KEY2=x\napi_key=x\n",
                "others",
            ),
            ("PEM=key\n", "PEM=xxx\n", "what would not stay a value"),
            ("API_KEY=a\0", "xxxxxxxxxx", "no text"),
        ] {
            let got = mask_with(content.as_bytes(), &known);
            assert_eq!(String::from_utf8(got).as_deref(), Ok(want), "{content:?}: {why}");
        }
    }

    /// Every value of every setting, in whatever is around it.
    #[test]
    fn no_letter_of_a_value_is_shown() {
        let pieces: &[&[u8]] = &[
            b"Q",
            b"7",
            b" ",
            b"\n",
            b"=",
            b":",
            b"\"",
            b"'",
            b"\\",
            b"|",
            b"export ",
            b"\t",
            b"\r",
            b"\xc3\xa9",
            b"\xff",
            b"-----BEGIN ",
            b"-----END ",
            b"-----",
            b"#",
            b".",
            b"_",
        ];
        let (mut seed, mut names) = (0x2545_F491_4F6C_DD1D_u64, 0);
        for _ in 0..20_000 {
            let mut content = Vec::new();
            for _ in 0..24 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = usize::try_from(seed % 1_000).unwrap() % pieces.len();
                content.extend_from_slice(pieces[at]);
            }
            let masked = mask(&content);
            assert_eq!(masked.len(), content.len());
            assert_eq!(mask(&masked), masked, "masked once or twice");
            let lines = |text: &[u8]| -> Vec<usize> {
                text.split(|byte| *byte == b'\n').map(<[u8]>::len).collect()
            };
            assert_eq!(lines(&masked), lines(&content), "the same lines");
            for line in masked.split(|byte| *byte == b'\n') {
                // Behind the first sign there is a value; without one there is nothing else.
                let sign = line.iter().position(|byte| b"=:".contains(byte));
                names += usize::from(sign.is_some_and(|at| line[..at].contains(&b'Q')));
                let mark = is_mark(line.trim_ascii(), b"-----BEGIN ")
                    || is_mark(line.trim_ascii(), b"-----END ");
                let value = if mark { &[][..] } else { &line[sign.unwrap_or(0)..] };
                let shown = value.iter().find(|b| b.is_ascii_alphanumeric() && !b"x0".contains(b));
                assert_eq!(shown, None, "{:?}", String::from_utf8_lossy(&content));
            }
        }
        assert!(names > 100, "{names} names were kept");
    }
}
