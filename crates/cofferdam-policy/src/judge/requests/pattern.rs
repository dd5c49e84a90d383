//! Patterns of rules about requests: of paths, and of one line.

use super::letters::{Case, Letter, Reading, Stars, letters, matches};
use super::target::{self, Target, Trick};

/// Longest pattern. Bytes; what is longer is no rule that a person can read.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// Any words between slashes, none among them.
const ANY_WORDS: &str = "**";

/// A pattern of paths: words between slashes, `*` for any letters of one, `**` for any words.
///
/// Its text is its wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(into = "String"))]
pub struct PathPattern {
    text: String,
    /// What of it is made once: each word as it is sent and decoded, nothing for `**`.
    words: Vec<Option<Word>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    sent: Vec<Letter>,
    decoded: Vec<Letter>,
}

/// Why a text is no pattern of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// No slash is first.
    NoSlash,
    /// Over [`PATTERN_BYTES_MAX`].
    TooLong,
    /// `**` with other letters in one word.
    Stars,
    /// A query belongs to `query`.
    Query,
    /// No request with such a path is ever let through, so the pattern would be about nothing.
    Never(Trick),
}

impl std::fmt::Display for PathFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSlash => out.write_str("it does not begin with `/`"),
            Self::TooLong => write!(out, "it is longer than {PATTERN_BYTES_MAX} bytes"),
            Self::Stars => out.write_str("`**` stands alone between slashes"),
            Self::Query => out.write_str("it has a query"),
            Self::Never(trick) => write!(out, "it has {}", trick.as_str()),
        }
    }
}

impl PathPattern {
    /// The pattern that `text` spells.
    ///
    /// # Errors
    /// The first thing that is wrong with it. Nothing is repaired.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PathFault::TooLong);
        }
        let below = text.strip_prefix('/').ok_or(PathFault::NoSlash)?;
        if text.contains('?') {
            return Err(PathFault::Query);
        }
        if below.split('/').any(|word| word != ANY_WORDS && word.contains(ANY_WORDS)) {
            return Err(PathFault::Stars);
        }
        match target::trick(text) {
            None | Some(Trick::EncodedSlash) => Ok(Self::new(text, below)),
            Some(trick) => Err(PathFault::Never(trick)),
        }
    }

    fn new(text: &str, below: &str) -> Self {
        let word = |word: &str| match word {
            ANY_WORDS => None,
            word => {
                let read = |reading| letters(word.as_bytes(), reading, Stars::Wild);
                Some(Word { sent: read(Reading::Sent), decoded: read(Reading::Decoded) })
            }
        };
        Self { text: text.to_owned(), words: below.split('/').map(word).collect() }
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether every path is like it, so that nothing is asked of one.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.words.iter().all(Option::is_none)
    }

    /// Whether `path` is like it to every reader.
    pub(super) fn allows(&self, path: &Target) -> bool {
        let like = |reading| {
            let words = path.words(reading);
            words.is_some_and(|words| meets(&self.words, words, (reading, Case::Counts)))
        };
        like(Reading::Sent) && like(Reading::Decoded)
    }

    /// Whether `path` is like it to some reader: hosts take `/Admin/` for `/admin`.
    pub(super) fn denies(&self, path: &Target) -> bool {
        let own = without_end(&self.words, |word| word.as_ref().is_some_and(Word::is_empty));
        [Reading::Sent, Reading::Decoded].into_iter().any(|reading| {
            let words = path.words(reading).map(|words| without_end(words, Vec::is_empty));
            words.is_some_and(|words| meets(own, words, (reading, Case::Ignored)))
        })
    }
}

/// Without the empty word behind a slash at the end.
fn without_end<T>(words: &[T], is_empty: impl Fn(&T) -> bool) -> &[T] {
    match words {
        [first @ .., last] if is_empty(last) => first,
        all => all,
    }
}

/// As [`matches`], with words for letters: `**` takes any of them.
fn meets(pattern: &[Option<Word>], words: &[Vec<Letter>], how: (Reading, Case)) -> bool {
    let (mut left, mut right) = (pattern, words);
    let mut back = None;
    loop {
        match (left.split_first(), right.split_first()) {
            (Some((None, rest)), _) => {
                back = Some((rest, right));
                left = rest;
            }
            (Some((Some(want), rest)), Some((got, after))) if want.is(got, how) => {
                (left, right) = (rest, after);
            }
            (None, None) => return true,
            _ => {
                let next = back.and_then(|(rest, from): (_, &[Vec<Letter>])| {
                    Some((rest, from.split_first()?))
                });
                let Some((rest, (word, after))) = next else { return false };
                if word.contains(&Letter::Slash) {
                    return false;
                }
                back = Some((rest, after));
                (left, right) = (rest, after);
            }
        }
    }
}

impl Word {
    /// An empty word, behind the last slash, is like an empty word alone: `/a/*` is not about `/a/`.
    fn is(&self, word: &[Letter], (reading, case): (Reading, Case)) -> bool {
        let own = match reading {
            Reading::Sent => &self.sent,
            Reading::Decoded => &self.decoded,
        };
        own.is_empty() == word.is_empty() && matches(own, word, case)
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.text
    }
}

/// A pattern of one line: `*` for any bytes, none among them. Nothing in it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(transparent))]
pub struct LinePattern(String);

impl LinePattern {
    /// The pattern that `text` spells; nothing where it is longer than [`PATTERN_BYTES_MAX`], or has
    /// anything but letters of ASCII that can be seen, and blanks between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let seen = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let blank = text.starts_with(' ') || text.ends_with(' ');
        let fits = seen && !blank && text.len() <= PATTERN_BYTES_MAX;
        fits.then(|| Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether `line` is like it, byte for byte.
    pub(super) fn holds(&self, line: &[u8]) -> bool {
        let plain = |byte: &u8| Letter::Byte(*byte);
        let own: Vec<Letter> =
            self.0.bytes().map(|b| if b == b'*' { Letter::Any } else { plain(&b) }).collect();
        matches(&own, &line.iter().map(plain).collect::<Vec<_>>(), Case::Counts)
    }

    /// Whether one parameter of a query is like it to every reader. `name` alone is `name=`.
    pub(super) fn holds_parameter(&self, parameter: &str) -> bool {
        let whole = if parameter.contains('=') { String::new() } else { format!("{parameter}=") };
        let parameter = if whole.is_empty() { parameter } else { whole.as_str() };
        [Reading::Sent, Reading::Decoded].into_iter().all(|reading| {
            let read = |text: &str, stars| flat(&letters(text.as_bytes(), reading, stars), reading);
            matches(&read(&self.0, Stars::Wild), &read(parameter, Stars::Plain), Case::Counts)
        })
    }
}

/// In a query a slash is a letter like others.
fn flat(letters: &[Letter], reading: Reading) -> Vec<Letter> {
    let slash: &[u8] = if reading == Reading::Sent { b"%2F" } else { b"/" };
    let mut all = Vec::with_capacity(letters.len());
    for letter in letters {
        match letter {
            Letter::Slash => all.extend(slash.iter().map(|byte| Letter::Byte(*byte))),
            Letter::Byte(_) | Letter::Any => all.push(*letter),
        }
    }
    all
}
