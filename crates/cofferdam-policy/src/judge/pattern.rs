//! Patterns of names: words between slashes, in which `*` stands for any letters and `?` for one, and
//! `**` for any number of words, none among them.
//!
//! Names are compared folded ([`super::fold`]). A pattern is read once and meets a path in one pass
//! over its words, with a set of places in the pattern instead of a search: no pattern and no name
//! makes it slow.

use std::path::Path;

use crate::judge::fold::{Folded, word};

/// Most words of a pattern: their places are bits of one number.
pub const WORDS_MAX: usize = 64;
/// Longest pattern. Bytes; Linux has no longer path.
pub const BYTES_MAX: usize = 4_096;

/// Which names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Pattern {
    /// As written, relative, for people and codecs.
    text: String,
    /// Whether `*`, `?` and `**` mean more than themselves.
    wild: bool,
    /// The same, folded.
    #[cfg_attr(feature = "json", serde(skip))]
    folded: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// One name.
    Name(Folded),
    /// Words, at most [`WORDS_MAX`], and a bit for each `**` among them.
    Words(Vec<Word>, u128),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// `**`
    Any,
    /// A name, folded.
    Name(Vec<u8>),
    /// A name in which `*` and `?` stand for others, folded.
    Wild(Vec<u8>),
}

/// How a pattern meets a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// It names it.
    At,
    /// It names a directory above it.
    Below,
    /// It may name something below it.
    Above,
    /// None of these.
    No,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFault {
    /// There is nothing, nothing between two slashes, or a word of which nothing is left where names
    /// are compared.
    Empty,
    /// A word is `.` or `..`.
    Dots,
    /// `[`, `]`, `{`, `}` and `\` mean something elsewhere, and nothing here; a NUL is in no name.
    Letter(char),
    /// `**` with other letters in one word.
    Stars,
    /// Over [`WORDS_MAX`].
    Words,
    /// Over [`BYTES_MAX`].
    Bytes,
}

impl std::fmt::Display for PatternFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => out.write_str("there is no name before, after or between slashes"),
            Self::Dots => out.write_str("`.` and `..` are no names"),
            Self::Letter('\0') => out.write_str("a NUL is in no name"),
            Self::Letter(letter) => write!(out, "`{letter}` has no meaning here"),
            Self::Stars => out.write_str("`**` stands alone between slashes"),
            Self::Words => write!(out, "a pattern has at most {WORDS_MAX} names"),
            Self::Bytes => write!(out, "a pattern has at most {BYTES_MAX} bytes"),
        }
    }
}

/// How far a pattern has come at the end of a path, as places in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) meets: Meets,
    /// What it still asks of names below; 0 where it asks nothing, or can have nothing.
    rest: u128,
    /// What it asks at its start, if it begins with `**`: every name below has that before it.
    always: u128,
}

impl Reached {
    const fn of(meets: Meets) -> Self {
        Self { meets, rest: 0, always: 0 }
    }

    /// Whether a directory that leads to elsewhere below the top would lead around the rule: some
    /// name below it would be covered here and is not there.
    pub(crate) fn leads(self) -> bool {
        self.meets == Meets::Above && (self.always == 0 || self.rest & !self.always != 0)
    }

    /// Whether what lies below a directory is covered here exactly where it is covered there.
    pub(crate) fn is_as(self, other: Self) -> bool {
        self.meets == other.meets && self.always != 0 && self.rest == other.rest
    }
}

impl Pattern {
    /// The pattern that a person wrote, without a leading slash.
    ///
    /// # Errors
    /// The first thing that is wrong with it. Nothing is repaired.
    pub fn parse(text: &str) -> Result<Self, PatternFault> {
        if text.len() > BYTES_MAX {
            return Err(PatternFault::Bytes);
        }
        let odd = |letter: &char| matches!(letter, '[' | ']' | '{' | '}' | '\\' | '\0');
        if let Some(letter) = text.chars().find(odd) {
            return Err(PatternFault::Letter(letter));
        }
        let mut words = 0;
        for name in text.split('/') {
            words += 1;
            if matches!(name, "." | "..") {
                return Err(PatternFault::Dots);
            }
            let folded = word(name.as_bytes());
            if folded.is_empty() {
                return Err(PatternFault::Empty);
            }
            // Letters that nobody sees may stand between two stars: it would read as `**` and be `*`.
            if name != "**" && folded.windows(2).any(|two| two == b"**") {
                return Err(PatternFault::Stars);
            }
        }
        if words > WORDS_MAX { Err(PatternFault::Words) } else { Ok(Self::new(text)) }
    }

    /// A pattern of which [`Pattern::parse`] has been asked, without a leading slash. Of one that is too
    /// long the first words count, which are about more.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if !text.contains(['*', '?']) {
            return Self::literal(text);
        }
        let words = text.split('/').filter(|name| !matches!(*name, "" | "."));
        let words = words.take(WORDS_MAX).map(|name| match name {
            "**" => Word::Any,
            name if name.contains(['*', '?']) => Word::Wild(word(name.as_bytes())),
            name => Word::Name(word(name.as_bytes())),
        });
        let words: Vec<Word> = words.collect();
        let any = words.iter().enumerate().filter(|(_, word)| **word == Word::Any);
        let any = any.fold(0, |any, (at, _)| any | 1 << at);
        Self { text: text.into(), wild: true, folded: Kind::Words(words, any) }
    }

    /// The name `text` and no other, whatever letters it has.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let folded = Kind::Name(Folded::relative(text.as_bytes()));
        Self { text: text.into(), wild: false, folded }
    }

    /// As written, for people and codecs.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `*`, `?` and `**` mean more than themselves.
    #[must_use]
    pub const fn is_wild(&self) -> bool {
        self.wild
    }

    /// The one name that it is about, if it is about one.
    #[must_use]
    pub fn concrete(&self) -> Option<&Path> {
        (!self.wild).then(|| Path::new(&self.text))
    }

    /// How the pattern, which starts in `top`, meets the absolute `path`; not at all where one of them
    /// is not absolute.
    #[must_use]
    pub fn meets(&self, top: &Path, path: &Path) -> Meets {
        match (Folded::absolute(top), Folded::absolute(path)) {
            (Some(top), Some(path)) => self.reaches(&top, &path).meets,
            (None, _) | (_, None) => Meets::No,
        }
    }

    /// The same of paths that are folded, with how far it came.
    pub(crate) fn reaches(&self, top: &Folded, path: &Folded) -> Reached {
        let below = match strip(path.bytes(), top.bytes()) {
            Some(below) => below,
            None if strip(top.bytes(), path.bytes()).is_some() => {
                return Reached::of(Meets::Above);
            }
            None => return Reached::of(Meets::No),
        };
        match &self.folded {
            // Most paths end here.
            Kind::Name(name)
                if matches!((below.get(1), name.bytes().get(1)),
                (Some(one), Some(other)) if one != other) =>
            {
                Reached::of(Meets::No)
            }
            Kind::Name(name) => Reached::of(match (strip(below, name.bytes()), name.bytes()) {
                (Some([]), _) => Meets::At,
                (Some(_), _) => Meets::Below,
                (None, name) if strip(name, below).is_some() => Meets::Above,
                (None, _) => Meets::No,
            }),
            Kind::Words(words, any) => walk(words, *any, path.words(top.bytes().len())),
        }
    }
}

/// What is left of `path` below `top`, both folded: empty, or beginning with a slash.
#[inline]
fn strip<'p>(path: &'p [u8], top: &[u8]) -> Option<&'p [u8]> {
    path.strip_prefix(top).filter(|rest| matches!(rest, [] | [b'/', ..]))
}

/// Places of the bits of `places`, ascending.
#[inline]
fn bits(mut places: u128) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let at = places.trailing_zeros();
        places &= places.wrapping_sub(1);
        (at < u128::BITS).then_some(at)
    })
}

/// Bit N says that the first N words have been met; `**`, at the bits of `any`, is met by nothing too.
fn settled(any: u128, places: u128) -> u128 {
    bits(any).fold(places, |places, at| places | (places & 1 << at) << 1)
}

fn walk<'p>(words: &[Word], any: u128, names: impl Iterator<Item = (&'p [u8], bool)>) -> Reached {
    let whole: u128 = 1 << words.len();
    let start = settled(any, 1);
    let always = if any & 1 == 0 { 0 } else { start };
    let (mut places, mut below) = (start, false);
    for (name, even) in names {
        below |= places & whole != 0;
        let mut next = places & any;
        for at in bits(places & !any & !whole) {
            let met = match words.get(at as usize) {
                Some(Word::Name(text)) => text == name,
                Some(Word::Wild(text)) => glob(text, name, even),
                Some(Word::Any) | None => false,
            };
            next |= u128::from(met) << (at + 1);
        }
        places = settled(any, next);
        if places == 0 {
            break;
        }
    }
    let meets = match (places & whole != 0, below, places) {
        (true, _, _) => Meets::At,
        (false, true, _) => Meets::Below,
        (false, false, 0) => Meets::No,
        (false, false, _) => Meets::Above,
    };
    Reached { meets, rest: places, always }
}

/// Whether `name` is as `word` says. Where letters of the name are not one for one those of the folded
/// one, nobody can say what one letter is, and `?` stands for any number.
fn glob(word: &[u8], name: &[u8], even: bool) -> bool {
    let (mut at, mut done) = (0, 0);
    // Where to go on if it comes to nothing: behind the last `*`, one letter later than before.
    let mut again: Option<(usize, usize)> = None;
    loop {
        match (word.get(at), name.get(done)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                at += 1;
                again = Some((at, done));
                continue;
            }
            (Some(b'?'), _) if !even => {
                at += 1;
                again = Some((at, done));
                continue;
            }
            (Some(b'?'), Some(_)) => {
                (at, done) = (at + 1, done + 1);
                continue;
            }
            (Some(one), Some(other)) if one == other => {
                (at, done) = (at + 1, done + 1);
                continue;
            }
            (Some(_) | None, _) => {}
        }
        match again {
            Some((star, from)) if from < name.len() => {
                (at, done) = (star, from + 1);
                again = Some((star, from + 1));
            }
            Some(_) | None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_may_write() {
        use PatternFault::{Bytes, Dots, Empty, Letter, Stars, Words};
        let (deep, long) = ("a/".repeat(64), "a".repeat(BYTES_MAX + 1));
        for (text, want, why) in [
            (".env", Ok(()), "a name"),
            ("a/b", Ok(()), "two"),
            ("**/*.pem", Ok(()), "at any depth"),
            ("a/**", Ok(()), "what is below, and itself"),
            ("a?*/**/**", Ok(()), "whatever this is good for"),
            ("", Err(Empty), "nothing"),
            ("/a", Err(Empty), "the caller takes the slash away"),
            ("a/", Err(Empty), "a slash at the end"),
            ("a//b", Err(Empty), "two slashes"),
            ("a/\u{200b}/b", Err(Empty), "nothing that can be seen"),
            ("a/...", Err(Empty), "nothing but dots is nothing to vfat"),
            ("a/./b", Err(Dots), "a dot"),
            ("../b", Err(Dots), "two dots"),
            ("a[bc]", Err(Letter('[')), "sets of letters are written out"),
            ("a]", Err(Letter(']')), "as are their ends"),
            ("{a,b}", Err(Letter('{')), "and choices"),
            ("a}", Err(Letter('}')), "and their ends"),
            ("a\\*", Err(Letter('\\')), "nothing is escaped"),
            ("a\0b", Err(Letter('\0')), "a NUL"),
            ("a**/b", Err(Stars), "two stars and more"),
            ("***", Err(Stars), "three"),
            ("*\u{61c}*/b", Err(Stars), "two, and between them nothing that can be seen"),
            (deep.trim_end_matches('/'), Ok(()), "64 names"),
            (&format!("{deep}a"), Err(Words), "65"),
            (&long, Err(Bytes), "a byte too many"),
            (&long[1..], Ok(()), "the longest"),
        ] {
            assert_eq!(Pattern::parse(text).map(drop), want, "{text:?}: {why}");
        }
    }

    #[track_caller]
    fn check(pattern: &str, path: &str, want: Meets, why: &str) {
        let got = Pattern::new(pattern).meets(Path::new("/w"), Path::new(path));
        assert_eq!(got, want, "{pattern} {path}: {why}");
    }

    #[test]
    fn how_patterns_meet_paths() {
        use Meets::{Above, At, Below, No};
        for (pattern, path, want, why) in [
            ("a/b", "/w/a/b", At, "itself"),
            ("a/b", "/W/a/b", At, "tops are folded too"),
            ("a/b", "/w/A/b./c", Below, "folded"),
            ("a/b", "/w/a", Above, "above"),
            ("a/b", "/w", Above, "the top"),
            ("a/b", "/", Above, "above the top"),
            ("a/b", "/wx/a/b", No, "another top"),
            ("a/b", "/w/a/bc", No, "a longer name"),
            ("a/b", "/w/a/c", No, "another name"),
            ("", "/w", At, "the top and nothing else"),
            ("*", "/w/a", At, "every name"),
            ("*", "/w/a/b", Below, "of one word"),
            ("?", "/w/ab", No, "one letter"),
            ("a?c", "/w/aXc", At, "one letter"),
            ("caf?", "/w/caf\u{e9}", At, "one letter, of two to a file system"),
            ("stra?e", "/w/stra\u{df}e", At, "one letter for two"),
            ("a?", "/w/a.", At, "one letter that a file system drops"),
            ("*.pem", "/w/KEY.PEM", At, "case"),
            ("*.pem", "/w/key.pem.", At, "a dot at the end"),
            ("*a*b", "/w/aXbXaXc", No, "stars that come to nothing"),
            ("*a*b", "/w/aXbXaXb", At, "and to something"),
            ("**/.env", "/w/.env", At, "no word"),
            ("**/.env", "/w/a/b/.env", At, "two"),
            ("**/.env", "/w/a/.env/b", Below, "below it"),
            ("**/.env", "/w/.env/.env", At, "both: it is named"),
            ("**/.env", "/w/a", Above, "anything may hold one"),
            ("**/.env", "/v/.env", No, "elsewhere"),
            ("a/**", "/w/a", At, "no word"),
            ("a/**", "/w/a/b", At, "one word"),
            ("a/**/b", "/w/a/c/d/b", At, "words between"),
            ("a/**/b", "/w/c/b", No, "another beginning"),
            ("**", "/w", At, "everything"),
            ("**/a/**/b", "/w/x/a/y", Above, "half of it"),
        ] {
            check(pattern, path, want, why);
        }
        let literal = Pattern::literal("**/*");
        let meets = |path: &str| literal.meets(Path::new("/w"), Path::new(path));
        assert_eq!((meets("/w/**/*"), meets("/w/a")), (At, No), "a name with stars is a name");
        let deep = Pattern::new(&"*/".repeat(70));
        let path = format!("/w{}", "/a".repeat(69));
        assert_eq!(deep.meets(Path::new("/w"), Path::new(&path)), Below, "too long is about more");
    }

    /// A search would not come to an end before the sun does.
    #[test]
    fn nothing_makes_it_slow() {
        let stars = ["**/*a*a*a*a*a*a*b"; 30].join("/");
        let path = format!("/w{}", format!("/{}", "a".repeat(255)).repeat(15));
        let pattern = Pattern::parse(&stars).unwrap();
        assert_eq!(pattern.meets(Path::new("/w"), Path::new(&path)), Meets::Above);
    }
}
