//! Patterns of names: words between slashes, in which `*` stands for any letters and `?` for one, and
//! `**` for any number of words.
//!
//! Letters are compared folded: a file system may take `.GIT` for `.git`, and the two forms of an
//! accented letter for one.

use std::path::{Path, PathBuf};

/// Which names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Pattern {
    /// As written, relative, for people and codecs.
    text: String,
    /// Whether `*`, `?` and `**` mean more than themselves.
    wild: bool,
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

impl Pattern {
    /// A pattern as a person writes it, without a leading slash.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), wild: text.contains(['*', '?']) }
    }

    /// The name `text` and no other, whatever letters it has.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { text: text.into(), wild: false }
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

    /// How the pattern, which starts in `top`, meets the absolute `path`.
    #[must_use]
    pub fn meets(&self, top: &Path, path: &Path) -> Meets {
        let Ok(below) = path.strip_prefix(top) else {
            return if top.starts_with(path) { Meets::Above } else { Meets::No };
        };
        let fold = |path: &Path| -> Vec<String> {
            path.components().map(|part| folded(&part.as_os_str().to_string_lossy())).collect()
        };
        let words = fold(&PathBuf::from(&self.text));
        let names = fold(below);
        self.walk(&words, &names)
    }

    fn walk(&self, words: &[String], names: &[String]) -> Meets {
        match (words, names) {
            ([], []) => Meets::At,
            ([], _) => Meets::Below,
            (_, []) => Meets::Above,
            ([word, rest @ ..], [_, later @ ..]) if self.wild && word == "**" => {
                // For no word, or for one and perhaps more.
                best(self.walk(rest, names), || self.walk(words, later))
            }
            ([word, rest @ ..], [name, later @ ..]) if self.is_word(word, name) => {
                self.walk(rest, later)
            }
            _ => Meets::No,
        }
    }

    fn is_word(&self, word: &str, name: &str) -> bool {
        if !self.wild {
            return word == name;
        }
        let word: Vec<char> = word.chars().collect();
        let name: Vec<char> = name.chars().collect();
        glob(&word, &name)
    }
}

/// The stronger of two ways to meet.
fn best(one: Meets, other: impl FnOnce() -> Meets) -> Meets {
    match one {
        Meets::At | Meets::Below => one,
        Meets::Above | Meets::No => match (one, other()) {
            (_, strong @ (Meets::At | Meets::Below)) => strong,
            (Meets::Above, _) | (_, Meets::Above) => Meets::Above,
            (_, Meets::No) => Meets::No,
        },
    }
}

fn glob(word: &[char], name: &[char]) -> bool {
    match (word, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            glob(rest, name) || name.split_first().is_some_and(|(_, name)| glob(word, name))
        }
        (['?', word @ ..], [_, name @ ..]) => glob(word, name),
        ([one, word @ ..], [other, name @ ..]) if one == other => glob(word, name),
        _ => false,
    }
}

/// `text` without what file systems that fold take for the same.
#[must_use]
pub fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
