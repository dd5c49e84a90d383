//! Targets of requests, and what of them two readers may read differently.
//!
//! Nothing is repaired: where a rule judges paths, a target with a [`Trick`] is refused. What is left has
//! the same words to every reader, but for delimiters that are encoded or not ([`super::letters`]).

use super::letters::{Letter, Reading, Stars, encoded, letters};

/// What makes two readers of a path differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// It begins with no slash: a reader may put one there.
    NoSlash,
    /// A control character or a blank as it is.
    Control,
    /// A byte beyond ASCII as it is.
    NotAscii,
    /// `#`: what follows is cut off by some (RFC 3986, 3.5).
    Fragment,
    /// `\`, also encoded: a slash on some systems.
    Backslash,
    /// `;`, also encoded: parameters of a word, which some take away (RFC 3986, 3.3).
    Semicolon,
    /// `%3F`: a query begins there for who decodes first.
    Question,
    /// `%` without two hexadecimal digits.
    Percent,
    /// `%25`: decoded twice it is another path.
    Twice,
    /// A letter, a digit, `-`, `.`, `_` or `~` that is encoded: the same to some readers (RFC 3986, 2.3).
    Unreserved,
    /// A control character that is encoded, NUL among them.
    EncodedControl,
    /// Encoded bytes that are not UTF-8: overlong forms are a slash or a dot to some.
    NotUtf8,
    /// A word of dots and blanks alone, `.` and `..` among them.
    Dots,
    /// Two slashes in a row: one to some readers.
    EmptyWord,
    /// `%2F`: a slash to some. The one that a pattern may ask for by writing it.
    EncodedSlash,
    /// `;` in a query: it parts parameters for some.
    Separator,
}

impl Trick {
    /// What is there, for a person: `it has …`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSlash => "no slash first",
            Self::Control => "a control character or a blank",
            Self::NotAscii => "a byte that is not ASCII",
            Self::Fragment => "a `#`",
            Self::Backslash => "a backslash",
            Self::Semicolon => "a `;`",
            Self::Question => "an encoded `?`",
            Self::Percent => "a `%` without two hexadecimal digits",
            Self::Twice => "an encoded `%`",
            Self::Unreserved => "a letter, digit or dot that is encoded",
            Self::EncodedControl => "an encoded control character",
            Self::NotUtf8 => "encoded bytes that are not UTF-8",
            Self::Dots => "a word of dots",
            Self::EmptyWord => "two slashes in a row",
            Self::EncodedSlash => "an encoded slash",
            Self::Separator => "a `;` in its query",
        }
    }
}

/// A path, read once.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The words in both readings; none where it begins with no slash, as `*` of `OPTIONS *`.
    words: Option<[Vec<Vec<Letter>>; 2]>,
    /// What readers may differ about. None is before [`Trick::EncodedSlash`].
    pub(super) trick: Option<Trick>,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        let words = path.strip_prefix('/').map(|below| {
            let read = |reading| {
                let words = below.split('/');
                words.map(|word| letters(word.as_bytes(), reading, Stars::Plain)).collect()
            };
            [read(Reading::Sent), read(Reading::Decoded)]
        });
        // The one target without a slash that every reader takes for the same (RFC 9112, 3.2.4).
        Self { words, trick: trick(path).filter(|_| path != "*") }
    }

    pub(super) fn words(&self, reading: Reading) -> Option<&[Vec<Letter>]> {
        let [sent, decoded] = self.words.as_ref()?;
        Some(match reading {
            Reading::Sent => sent,
            Reading::Decoded => decoded,
        })
    }
}

/// The first thing about `path` that two readers may read differently; an encoded slash only where there
/// is nothing else.
#[must_use]
pub fn trick(path: &str) -> Option<Trick> {
    let Some(below) = path.strip_prefix('/') else { return Some(Trick::NoSlash) };
    let raw = path.bytes().find_map(|byte| match byte {
        b'#' => Some(Trick::Fragment),
        b'\\' => Some(Trick::Backslash),
        b';' => Some(Trick::Semicolon),
        0..=b' ' | 0x7F => Some(Trick::Control),
        0x80.. => Some(Trick::NotAscii),
        _ => None,
    });
    let of_words = || {
        let last = below.split('/').count();
        let mut words = below.split('/').enumerate();
        words.find_map(|(at, word)| match word {
            // Behind the last slash there may be nothing.
            "" if at + 1 < last => Some(Trick::EmptyWord),
            "" => None,
            word => dots(word).then_some(Trick::Dots),
        })
    };
    let code = |byte| match byte {
        b'\\' => Some(Trick::Backslash),
        b';' => Some(Trick::Semicolon),
        // Who decodes first and splits then reads a shorter path.
        b'#' => Some(Trick::Fragment),
        b'?' => Some(Trick::Question),
        _ => None,
    };
    let slash = || path.to_ascii_lowercase().contains("%2f").then_some(Trick::EncodedSlash);
    raw.or_else(|| of_codes(path, code)).or_else(of_words).or_else(slash)
}

/// The first thing about a query that two readers may read differently.
#[must_use]
pub fn trick_of_query(query: &str) -> Option<Trick> {
    let raw = query.bytes().find_map(|byte| match byte {
        b'#' => Some(Trick::Fragment),
        b';' => Some(Trick::Separator),
        0..=b' ' | 0x7F => Some(Trick::Control),
        0x80.. => Some(Trick::NotAscii),
        _ => None,
    });
    raw.or_else(|| of_codes(query, |_| None))
}

/// Whether nothing but dots and blanks is in `word`: `..%20` is `..` on some systems.
fn dots(word: &str) -> bool {
    letters(word.as_bytes(), Reading::Decoded, Stars::Plain)
        .iter()
        .all(|letter| matches!(letter, Letter::Byte(b'.' | b' ')))
}

/// What is wrong with an encoded byte, whichever text it is in, or what `more` says of it.
fn of_codes(text: &str, more: impl Fn(u8) -> Option<Trick>) -> Option<Trick> {
    let mut rest = text.as_bytes();
    // What the codes in a row stand for: a character of UTF-8 begins and ends among them.
    let mut row = Vec::new();
    loop {
        let first = rest.first().copied();
        if first != Some(b'%') {
            if std::str::from_utf8(&row).is_err() {
                return Some(Trick::NotUtf8);
            }
            row.clear();
            rest = rest.get(1..)?;
            continue;
        }
        let Some(byte) = encoded(rest) else { return Some(Trick::Percent) };
        let found = match byte {
            b'%' => Some(Trick::Twice),
            0..=0x1F | 0x7F => Some(Trick::EncodedControl),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                Some(Trick::Unreserved)
            }
            byte => more(byte),
        };
        if found.is_some() {
            return found;
        }
        row.push(byte);
        rest = rest.get(3..)?;
    }
}
