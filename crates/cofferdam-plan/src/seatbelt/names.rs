//! Patterns of names as regular expressions: what [`Pattern`] meets, folded, in the words of `regex`.
//!
//! A regular expression cannot fold letters as the judge does, so it holds a little more: between any two
//! letters of a name there may be others outside of printable ASCII, for some file system may not see
//! them. It is never about less.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use cofferdam_policy::judge::fold::word;
use cofferdam_policy::judge::pattern::{Pattern, WORDS_MAX};

/// Letters that some file system does not see; also, letters outside of printable ASCII.
const GAP: &str = "[^ -~]*";
/// What may stand behind a name: dots and blanks, which some file system drops, and unseen letters.
const TAIL: &str = "(\\.|[^!-~])*";
/// One letter where a name is folded letter for letter.
const ONE: &str = "[ -.0-~]";
/// Any letters of one name.
const ANY: &str = "[^/]*";
/// A path in which some name is not folded letter for letter: `?` stands there for any number.
pub(super) const UNEVEN: &str = "([^ -~]|[. ](/|$))";

/// Single letters that are several when folded, and those that are one of ASCII.
const FOLDED: &[(&str, &[char])] = &[
    (";", &['\u{37e}']),
    ("`", &['\u{1fef}']),
    ("i", &['\u{131}']),
    ("k", &['\u{212a}']),
    ("s", &['\u{17f}']),
    ("ss", &['\u{df}', '\u{1e9e}']),
    ("st", &['\u{fb05}', '\u{fb06}']),
    ("ff", &['\u{fb00}']),
    ("fi", &['\u{fb01}']),
    ("fl", &['\u{fb02}']),
    ("ffi", &['\u{fb03}']),
    ("ffl", &['\u{fb04}']),
];
/// Longest run of letters that may be parts of one another; a longer one is taken for anything.
const RUN_MAX: usize = 12;

/// A word of a pattern, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `**`
    Any,
    Name(String),
    /// With `*` and `?`.
    Wild(String),
}

/// How a pattern ends in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the name.
    At,
    /// At it, or below it.
    Below,
}

/// Letters outside ASCII by what they fold to: planes 0 and 1, and the ideographs that are others'.
static VARIANTS: LazyLock<BTreeMap<String, Vec<char>>> = LazyLock::new(|| {
    let mut variants: BTreeMap<String, Vec<char>> = BTreeMap::new();
    for letter in ('\u{80}'..='\u{1ffff}').chain('\u{2f800}'..='\u{2fa1f}') {
        variants.entry(folded(&letter.to_string())).or_default().push(letter);
    }
    variants
});

/// The expression of `words` from the root on.
pub(super) fn path(words: &[Word], end: End, questions: Questions) -> String {
    let (root, words) = root(words);
    let mut out = String::from(root);
    for word in words {
        out += &step(word, questions);
    }
    out + match end {
        End::At => "$",
        End::Below => "(/|$)",
    }
}

/// The expression of every directory from the root's entries to `words`, themselves among them.
pub(super) fn way(words: &[Word]) -> String {
    let (root, words) = root(words);
    let mut out = String::new();
    for word in words.iter().rev() {
        let inner = if out.is_empty() { out } else { format!("({out})?") };
        out = format!("{}{inner}", step(word, Questions::Even));
    }
    format!("{root}{out}$")
}

fn step(word: &Word, questions: Questions) -> String {
    match word {
        Word::Any => "(/[^/]*)*".into(),
        Word::Name(name) => format!("/{}", spelled(name, None)),
        Word::Wild(name) => format!("/{}", spelled(name, Some(questions))),
    }
}

/// `wild` says what `?` means; without it neither that nor `*` means anything.
fn spelled(name: &str, wild: Option<Questions>) -> String {
    let mut out = String::from(GAP);
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let mark = wild.filter(|_| matches!(first, '*' | '?'));
        let taken = match (first, mark) {
            ('?', Some(Questions::Even)) => {
                out += ONE;
                1
            }
            (_, Some(_)) => {
                out += ANY;
                1
            }
            (_, None) => letters(rest, &mut out),
        };
        out += GAP;
        rest = rest.get(taken..).unwrap_or_default();
    }
    if let Some(short) = out.strip_suffix(GAP) {
        out.truncate(short.len());
    }
    out + TAIL
}

/// Adds the letters that `rest` begins with and that belong together; how many bytes they are.
fn letters(rest: &str, out: &mut String) -> usize {
    let ascii = rest.chars().take_while(char::is_ascii).count();
    let (plain, beyond) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
    let run = run(plain);
    // A letter before marks may be one with them.
    let marked = run == ascii && !beyond.is_empty();
    if run > 0 && !(marked && joins(last(plain), beyond)) {
        let letters = rest.get(..run).unwrap_or_default();
        *out += &if run > RUN_MAX { ANY.into() } else { tiled(letters) };
        return run;
    }
    let end = beyond.find(|letter: char| letter.is_ascii()).unwrap_or(beyond.len());
    let beyond_run = beyond.get(..end).unwrap_or(beyond);
    if run > 0 {
        // Of the letters before, and those outside ASCII in whatever form.
        let before = rest.get(..run.saturating_sub(1)).unwrap_or_default();
        *out += &if run > RUN_MAX { ANY.into() } else { tiled(before) };
        *out += &format!("{GAP}({})?[^ -~]+", one(last(plain)));
        return run + end;
    }
    *out += &forms(beyond_run);
    end.max(1)
}

/// Whether some letter is `before` and the beginning of `marks` in one.
fn joins(before: char, marks: &str) -> bool {
    marks.char_indices().any(|(at, mark)| {
        let both = format!("{before}{}", marks.get(..at + mark.len_utf8()).unwrap_or(marks));
        VARIANTS.contains_key(&both)
    })
}

/// Letters outside ASCII: each in its forms, or any where some are one with others.
fn forms(run: &str) -> String {
    let parts = VARIANTS.keys().filter(|key| key.chars().nth(1).is_some());
    let joined = parts.clone().any(|part| run.contains(part.as_str()));
    if joined {
        return "[^ -~]+".into();
    }
    let form = |letter: char| {
        let mut forms = vec![letter];
        forms.extend(VARIANTS.get(&letter.to_string()).into_iter().flatten());
        forms.sort_unstable();
        forms.dedup();
        let forms: Vec<String> = forms.iter().map(ToString::to_string).collect();
        format!("({})", forms.join("|"))
    };
    run.chars().map(form).collect::<Vec<_>>().join(GAP)
}

/// What `?` means: one letter, or any number of them where letters are not folded one for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Questions {
    Even,
    Uneven,
}

/// How an expression begins, and the words behind that: some directories of macOS have two names.
fn root(words: &[Word]) -> (&'static str, &[Word]) {
    let is = |word: &Word, names: &[&str]| match word {
        Word::Name(name) => names.contains(&name.as_str()),
        Word::Any | Word::Wild(_) => false,
    };
    match words {
        [first, ..] if is(first, LINKED) => ("^(/private)?", words),
        [first, second, ..] if is(first, &["private"]) && is(second, LINKED) => {
            ("^(/private)?", words.split_at(1).1)
        }
        _ => ("^", words),
    }
}

/// Names at the root of macOS that are links to the same name in `/private`.
const LINKED: &[&str] = &["etc", "tmp", "var"];

/// Every spelling of a path.
pub(super) fn spellings(path: &str) -> Vec<String> {
    let linked = |path: &str| {
        LINKED.iter().any(|name| {
            let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    match path.strip_prefix("/private") {
        Some(short) if linked(short) => vec![short.into(), path.into()],
        _ if linked(path) => vec![path.into(), format!("/private{path}")],
        _ => vec![path.into()],
    }
}

fn last(text: &str) -> char {
    text.chars().next_back().unwrap_or('/')
}

fn folded(text: &str) -> String {
    String::from_utf8(word(text.as_bytes())).unwrap_or_default()
}

/// The words of a rule below its top.
pub(super) fn words(pattern: &Pattern) -> Vec<Word> {
    let names = pattern.text().split('/').filter(|name| !matches!(*name, "" | "."));
    if !pattern.is_wild() {
        return names.map(|name| Word::Name(folded(name))).collect();
    }
    let names = names.take(WORDS_MAX).map(|name| match name {
        "**" => Word::Any,
        name if name.contains(['*', '?']) => Word::Wild(folded(name)),
        name => Word::Name(folded(name)),
    });
    names.collect()
}

/// The names of an absolute path; `None` where it is no text.
pub(super) fn steps(path: &Path) -> Option<Vec<Word>> {
    let names = path.to_str()?.split('/').filter(|name| !matches!(*name, "" | "."));
    Some(names.map(|name| Word::Name(folded(name))).collect())
}

/// How many letters at the front may be parts of one another, at least one of ASCII.
fn run(text: &str) -> usize {
    let pair = |at: usize| {
        let two = text.get(at..at + 2).unwrap_or_default();
        FOLDED.iter().any(|(whole, _)| *whole == two)
    };
    let mut length = usize::from(!text.is_empty());
    while length > 0 && pair(length - 1) {
        length += 1;
    }
    length
}

/// Every way to write `letters`, of which some may be one.
fn tiled(letters: &str) -> String {
    let mut ways = Vec::new();
    tile(letters, String::new(), &mut ways);
    match ways.as_slice() {
        [] => String::new(),
        [way] => way.clone(),
        _ => format!("({})", ways.join("|")),
    }
}

fn tile(rest: &str, before: String, ways: &mut Vec<String>) {
    let Some(first) = rest.chars().next() else {
        ways.push(before);
        return;
    };
    let gap = if before.is_empty() { "" } else { GAP };
    let after = rest.get(1..).unwrap_or_default();
    tile(after, format!("{before}{gap}{}", one(first)), ways);
    for (whole, forms) in FOLDED.iter().filter(|(whole, _)| whole.len() > 1) {
        let Some(after) = rest.strip_prefix(whole) else { continue };
        let forms: Vec<String> = forms.iter().map(ToString::to_string).collect();
        tile(after, format!("{before}{gap}({})", forms.join("|")), ways);
    }
}

/// One letter of ASCII.
fn one(letter: char) -> String {
    let mut text = [0; 4];
    let text = &*letter.encode_utf8(&mut text);
    let (small, large) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
    let plain = letter.is_ascii_digit() || " !#%&',-/:;<=>@_`~\"".contains(letter);
    let itself = match letter {
        _ if letter.is_ascii_alphabetic() => format!("[{small}{large}]"),
        _ if plain || letter.is_control() => text.into(),
        _ => format!("\\{letter}"),
    };
    let forms = FOLDED.iter().find(|(whole, _)| *whole == text);
    let mut forms = forms.into_iter().flat_map(|(_, forms)| *forms).peekable();
    if forms.peek().is_none() {
        return itself;
    }
    format!("({itself}{})", forms.map(|form| format!("|{form}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is whole: no other letter is nothing but ASCII when folded.
    #[test]
    fn every_letter_that_folds_to_ascii_is_in_the_table() {
        for letter in ('\u{80}'..='\u{1ffff}').chain('\u{2f800}'..='\u{2fa1f}') {
            let fold = folded(&letter.to_string());
            if !fold.is_empty() && fold.is_ascii() {
                let known =
                    FOLDED.iter().any(|(text, forms)| *text == fold && forms.contains(&letter));
                assert!(known, "U+{:04X} is {fold}", u32::from(letter));
            }
        }
    }

    #[test]
    fn expressions() {
        for (pattern, want) in [
            (".a", format!("^/{GAP}\\.{GAP}[aA]{TAIL}(/|$)")),
            ("a/**/b", format!("^/{GAP}[aA]{TAIL}(/[^/]*)*/{GAP}[bB]{TAIL}(/|$)")),
            ("*.a", format!("^/{GAP}{ANY}{GAP}\\.{GAP}[aA]{TAIL}(/|$)")),
            ("a?", format!("^/{GAP}[aA]{GAP}{ONE}{TAIL}(/|$)")),
            ("fi", format!("^/{GAP}([fF]{GAP}([iI]|\u{131})|(\u{fb01})){TAIL}(/|$)")),
        ] {
            let got = path(&words(&Pattern::new(pattern)), End::Below, Questions::Even);
            assert_eq!(got, want, "{pattern}");
        }
        let way = way(&[Word::Name("a".into()), Word::Name("b".into())]);
        assert_eq!(way, format!("^/{GAP}[aA]{TAIL}(/{GAP}[bB]{TAIL})?$"));
        let long = tiled("ssssssssssss");
        assert!(long.len() < 100_000, "{}", long.len());
    }
}
