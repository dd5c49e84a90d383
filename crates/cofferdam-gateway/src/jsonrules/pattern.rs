//! A pattern of members.

use std::fmt;
use std::str::FromStr;

use super::PatternFault;

/// Most parts of a pattern: no body that is asked about is nearly as deep.
pub const PARTS_MAX: usize = 32;

/// Where something may not be in a body: names of members with dots between. `*` is any member or any place
/// of a list, `**` any number of them. Behind a `=` stands which text it has to be, with `*` at its end for
/// any that begins so; without, whatever is there is meant.
///
/// Names and texts are compared without regard to case; of a text blanks and control characters before it,
/// and ends of lines within, do not count. A name with a dot or a `=` cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    test: Option<Test>,
    /// As it was written.
    text: String,
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    /// As [`plain`] has it.
    text: String,
    /// Whether it may go on.
    is_start: bool,
}

/// How far a pattern has come, each way that it may have come: a bit for each number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct States(u64);

impl States {
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, parts: usize) -> bool {
        self.0 >> parts & 1 == 1
    }

    const fn add(&mut self, parts: usize) {
        self.0 |= 1 << parts;
    }
}

impl Pattern {
    /// Before the whole value.
    pub(super) fn start(&self) -> States {
        let mut states = States(0);
        self.add(&mut states, 0);
        states
    }

    /// One member further, or one place of a list.
    pub(super) fn step(&self, states: States, name: Option<&str>) -> States {
        let mut next = States(0);
        let name = name.map(folded);
        for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| states.has(*at)) {
            match part {
                Part::Any => self.add(&mut next, at),
                Part::One => self.add(&mut next, at + 1),
                Part::Name(wanted) if name.as_ref() == Some(wanted) => self.add(&mut next, at + 1),
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
    pub(super) fn ends(&self, states: States, text: Option<&str>) -> bool {
        states.has(self.parts.len())
            && match (&self.test, text) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(test), Some(text)) if test.is_start => plain(text).starts_with(&test.text),
                (Some(test), Some(text)) => plain(text) == test.text,
            }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let (path, test) = text.split_once('=').map_or((text, None), |(p, t)| (p, Some(t)));
        let mut parts = Vec::new();
        for part in path.split('.') {
            parts.push(match part {
                "" => return Err(PatternFault::Empty),
                "*" => Part::One,
                "**" if parts.last() == Some(&Part::Any) => return Err(PatternFault::Star),
                "**" => Part::Any,
                name if name.contains('*') => return Err(PatternFault::Star),
                name => Part::Name(folded(name)),
            });
        }
        if parts.len() > PARTS_MAX {
            return Err(PatternFault::TooLong);
        }
        // Without a test it would find what is around, too: `a.**` is `a`.
        if test.is_none() && parts.last() == Some(&Part::Any) {
            return Err(PatternFault::Star);
        }
        let test = test.map(|test| {
            let start = test.strip_suffix('*');
            Test { text: plain(start.unwrap_or(test)), is_start: start.is_some() }
        });
        if test.as_ref().is_some_and(|test| test.text.contains('*')) {
            return Err(PatternFault::Star);
        }
        Ok(Self { parts, test, text: text.into() })
    }
}

/// A name in small letters, with the two letters of Unicode that are `s` and `k` in small or capital ones
/// (U+017F, U+212A): Go's reader takes them for these.
pub(super) fn folded(name: &str) -> String {
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
