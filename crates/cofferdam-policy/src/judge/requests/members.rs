//! A pattern of members of JSON.

use std::fmt;
use std::str::FromStr;

/// Most parts of a pattern: no body that is asked about is nearly as deep.
pub const PARTS_MAX: usize = 32;
/// Longest pattern. Bytes.
pub const MEMBERS_BYTES_MAX: usize = 1024;

/// Where something may not be in a body: names of members with dots between. `*` is any member or any place
/// of a list, `**` any number of them. Behind a `=` stands which text it has to be, with `*` at its end for
/// any that begins so and `|` between several; behind a `!=`, which it may be: any other text is meant.
/// Without, whatever is there is meant.
///
/// Names and texts are compared without regard to case; of a text blanks and control characters before it,
/// and ends of lines within, do not count. A name with a dot or a `=` cannot be written, nor a text with a
/// `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(into = "String"))]
pub struct MemberPattern {
    parts: Vec<Part>,
    test: Option<Test>,
    /// As it was written.
    text: String,
}

impl From<MemberPattern> for String {
    fn from(pattern: MemberPattern) -> Self {
        pattern.text
    }
}

/// Why a text is no pattern of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFault {
    /// An empty name.
    Empty,
    /// A `*` within a name or before the end of a value, `**` twice, or `**` at the end with no value.
    Star,
    /// Over [`PARTS_MAX`] parts, or [`MEMBERS_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for MemberFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("a name between two dots is empty"),
            Self::Star => out.write_str("`*` is a whole name, or ends a text"),
            Self::TooLong => {
                write!(out, "it has over {PARTS_MAX} parts or {MEMBERS_BYTES_MAX} bytes")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A member of this name, as [`folded`] has it.
    Name(String),
    /// `*`.
    One,
    /// `**`.
    Any,
}

/// Which texts are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// One like one of these.
    Like(Vec<Start>),
    /// One like none of these.
    Unlike(Vec<Start>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Start {
    /// As [`plain`] has it.
    text: String,
    /// Whether it may go on.
    goes_on: bool,
}

impl Start {
    /// Whether a text, as [`plain`] has it, is like this.
    fn is_like(&self, text: &str) -> bool {
        if self.goes_on { text.starts_with(&self.text) } else { text == self.text }
    }

    /// Several, with `|` between.
    fn several(texts: &str) -> Result<Vec<Self>, MemberFault> {
        let one = |text: &str| {
            let start = text.strip_suffix('*');
            let one = Self { text: plain(start.unwrap_or(text)), goes_on: start.is_some() };
            if one.text.contains('*') { Err(MemberFault::Star) } else { Ok(one) }
        };
        texts.split('|').map(one).collect()
    }
}

/// How far a pattern has come, each way that it may have come: a bit for each number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(u64);

impl States {
    /// Whether no way is left.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, parts: usize) -> bool {
        self.0 >> parts & 1 == 1
    }

    const fn add(&mut self, parts: usize) {
        self.0 |= 1 << parts;
    }
}

impl MemberPattern {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Before the whole value.
    #[must_use]
    pub fn start(&self) -> States {
        let mut states = States(0);
        self.add(&mut states, 0);
        states
    }

    /// One member further, of a name as [`folded`] has it, or one place of a list.
    #[must_use]
    pub fn step(&self, states: States, name: Option<&str>) -> States {
        let mut next = States(0);
        for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| states.has(*at)) {
            match part {
                Part::Any => self.add(&mut next, at),
                Part::One => self.add(&mut next, at + 1),
                Part::Name(wanted) if name == Some(wanted.as_str()) => self.add(&mut next, at + 1),
                Part::Name(_) => {}
            }
        }
        next
    }

    /// `**` is also none.
    fn add(&self, states: &mut States, at: usize) {
        states.add(at);
        if self.parts.get(at) == Some(&Part::Any) {
            states.add(at + 1);
        }
    }

    /// Whether it has come to its end here, where there may be a text.
    #[must_use]
    pub fn ends(&self, states: States, text: Option<&str>) -> bool {
        states.has(self.parts.len())
            && match (&self.test, text) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(test), Some(text)) => {
                    let text = plain(text);
                    match test {
                        Test::Like(some) => some.iter().any(|start| start.is_like(&text)),
                        Test::Unlike(some) => !some.iter().any(|start| start.is_like(&text)),
                    }
                }
            }
    }
}

impl fmt::Display for MemberPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for MemberPattern {
    type Err = MemberFault;

    fn from_str(text: &str) -> Result<Self, MemberFault> {
        if text.len() > MEMBERS_BYTES_MAX {
            return Err(MemberFault::TooLong);
        }
        let (path, test) = match text.split_once('=') {
            None => (text, None),
            Some((path, some)) => match path.strip_suffix('!') {
                Some(path) => (path, Some(Test::Unlike(Start::several(some)?))),
                None => (path, Some(Test::Like(Start::several(some)?))),
            },
        };
        let mut parts = Vec::new();
        for part in path.split('.') {
            parts.push(match part {
                "" => return Err(MemberFault::Empty),
                "*" => Part::One,
                "**" if parts.last() == Some(&Part::Any) => return Err(MemberFault::Star),
                "**" => Part::Any,
                name if name.contains('*') => return Err(MemberFault::Star),
                name => Part::Name(folded(name)),
            });
        }
        if parts.len() > PARTS_MAX {
            return Err(MemberFault::TooLong);
        }
        // Without a test it would find what is around, too: `a.**` is `a`.
        if test.is_none() && parts.last() == Some(&Part::Any) {
            return Err(MemberFault::Star);
        }
        Ok(Self { parts, test, text: text.into() })
    }
}

/// A name in small letters, with the two letters of Unicode that are `s` and `k` in small or capital ones
/// (U+017F, U+212A): Go's reader takes them for these.
#[must_use]
pub fn folded(name: &str) -> String {
    let letter = |letter: char| match letter {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    name.chars().map(letter).collect()
}

/// A text in small letters, as readers of URLs begin: without what they leave out (WHATWG: URL, 4.4).
fn plain(text: &str) -> String {
    let start = text.trim_start_matches(|letter: char| letter <= ' ');
    let end = start.trim_end_matches(|letter: char| letter <= ' ');
    let kept = end.chars().filter(|letter| !matches!(letter, '\t' | '\n' | '\r'));
    kept.map(|letter| letter.to_ascii_lowercase()).collect()
}
