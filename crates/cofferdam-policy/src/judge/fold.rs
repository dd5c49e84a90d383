//! Names without what file systems take for the same.
//!
//! A directory may ignore case (ext4 and f2fs with `+F`, vfat, APFS, NTFS), take the two forms of an
//! accented letter for one, leave out letters that nobody sees (HFS+, ext4), or drop dots and spaces
//! at a name's end (vfat). A rule about a name holds for all of them at once, so folding here is
//! coarser than that of each: two names that any of them takes for one are one.

use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;

/// Of how many words of a path it is known one by one whether folding changed how long they are.
const WORDS_KNOWN: u32 = u64::BITS;

/// An absolute path, folded: each word with a slash before it, so that the root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    bytes: Vec<u8>,
    /// A bit for each of the first words whose letters are not one for one those of the name.
    uneven: u64,
}

impl Folded {
    /// `path`, folded; `None` where it is not absolute, or has a `..`, for then it names another place
    /// than its words do.
    #[must_use]
    pub fn absolute(path: &Path) -> Option<Self> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let up = |word: &[u8]| word == b"..";
        if !bytes.starts_with(b"/") || bytes.split(|byte| *byte == b'/').any(up) {
            return None;
        }
        Some(Self::relative(bytes))
    }

    /// The words of `bytes` between slashes, but for empty ones and `.`.
    pub(crate) fn relative(bytes: &[u8]) -> Self {
        let mut folded = Self { bytes: Vec::with_capacity(bytes.len() + 1), uneven: 0 };
        let words = bytes.split(|byte| *byte == b'/').filter(|word| !matches!(*word, b"" | b"."));
        for (at, text) in (0_u32..).zip(words) {
            folded.bytes.push(b'/');
            let even = push(&mut folded.bytes, text);
            if !even && at < WORDS_KNOWN {
                folded.uneven |= 1 << at;
            }
        }
        folded
    }

    /// Its words, each with a slash before it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its words from byte `from` on, where one begins, and whether the letters of each are one for
    /// one those of the name.
    pub(crate) fn words(&self, from: usize) -> impl Iterator<Item = (&[u8], bool)> {
        let (above, below) = self.bytes.split_at_checked(from).unwrap_or((&self.bytes, &[]));
        let first = above.iter().filter(|byte| **byte == b'/').count();
        let even = move |at: usize| {
            let at = u32::try_from(first.saturating_add(at)).unwrap_or(WORDS_KNOWN);
            at < WORDS_KNOWN && self.uneven & (1 << at) == 0
        };
        // Nothing is before the first slash.
        let words = below.split(|byte| *byte == b'/').skip(1);
        words.enumerate().map(move |(at, word)| (word, even(at)))
    }
}

/// A name of one word, folded. It has no slash.
#[must_use]
pub fn word(name: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(name.len());
    push(&mut folded, name);
    folded
}

/// Adds `name` folded; whether each of its letters became one.
fn push(to: &mut Vec<u8>, name: &[u8]) -> bool {
    let start = to.len();
    let text = if name.is_ascii() { None } else { std::str::from_utf8(name).ok() };
    match text {
        // What is no text no file system folds; its bytes stay, and so stay apart.
        None => to.extend(name.iter().map(u8::to_ascii_lowercase)),
        Some(text) => letters(to, text),
    }
    let end = to.len();
    while to.len() > start && matches!(to.last(), Some(b'.' | b' ')) {
        to.pop();
    }
    to.len() == end && name.is_ascii()
}

/// Adds `text` in the one form, case and order of its letters (Unicode, 3.13 and 3.11): decomposed,
/// lower case by way of upper case, and decomposed again, for `ẞ`, `ß` and `SS` are one.
fn letters(to: &mut Vec<u8>, text: &str) {
    let seen = text.chars().filter(|letter| !is_ignored(*letter));
    let lower = seen.nfd().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    let folded = lower.flat_map(char::to_lowercase).nfd();
    let mut bytes = [0; 4];
    for letter in folded {
        to.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
    }
}

/// Default_Ignorable_Code_Point (Unicode 15, DerivedCoreProperties.txt), and U+206A to U+206F with it.
const fn is_ignored(letter: char) -> bool {
    matches!(
        letter,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFF8}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &[u8], other: &[u8], same: bool, why: &str) {
        assert_eq!(word(one) == word(other), same, "{why}: {:?} {:?}", word(one), word(other));
    }

    #[test]
    fn what_some_file_system_takes_for_one_is_one() {
        for (one, other, why) in [
            (".git", ".GIT", "case"),
            (".git", ".g\u{200c}it", "a letter that nobody sees"),
            (".git", "\u{feff}.git\u{fe0f}\u{e0100}", "more of them"),
            (".git", ".git. .", "dots and spaces at the end"),
            (".git", ".git.\u{200b}", "and a letter that nobody sees behind them"),
            ("caf\u{e9}", "cafe\u{301}", "two forms"),
            ("CAF\u{c9}", "cafe\u{301}", "two forms and case"),
            ("stra\u{df}e", "STRASSE", "one letter for two"),
            ("stra\u{1e9e}e", "strasse", "and its capital"),
            ("\u{fb01}le", "FILE", "a ligature"),
            ("\u{212a}ey", "key", "the sign of kelvin"),
            ("\u{17f}et", "set", "the long s"),
            ("\u{3a3}\u{3c2}", "\u{3c3}\u{3c3}", "the last sigma"),
            ("\u{1fb3}", "\u{391}\u{399}", "a mark that becomes a letter"),
            (
                "a\u{301}\u{34f}\u{323}",
                "a\u{323}\u{301}",
                "order of marks, and what keeps them apart",
            ),
            ("\u{d55c}", "\u{1112}\u{1161}\u{11ab}", "Hangul"),
            ("...", ". ", "nothing but dots"),
        ] {
            check(one.as_bytes(), other.as_bytes(), true, why);
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for (one, other, why) in [
            (&b".git"[..], &b"git"[..], "the dot at the front counts"),
            (b" .git", b".git", "and the space"),
            (b".git", b".g.it", "and a dot inside"),
            (b"a\xff", b"a\xfe", "bytes that are no text stay apart"),
            (b"a\xff", "a\u{fffd}".as_bytes(), "and are no replacement"),
            ("e\u{301}".as_bytes(), b"e", "a mark counts"),
        ] {
            check(one, other, false, why);
        }
    }

    /// Folded once or twice, whatever letter it is, and whatever its case and form.
    #[test]
    fn every_letter_has_one_fold() {
        let fold = |text: &str| String::from_utf8(word(text.as_bytes())).unwrap();
        for letter in ('\0'..='\u{1FFFF}').chain('\u{E0000}'..='\u{E0FFF}') {
            let text = format!("a{letter}b");
            let once = fold(&text);
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(letter));
            assert_eq!(fold(&text.to_uppercase()), once, "U+{:04X}", u32::from(letter));
            assert_eq!(fold(&text.to_lowercase()), once, "U+{:04X}", u32::from(letter));
            assert_eq!(fold(&text.nfd().collect::<String>()), once, "U+{:04X}", u32::from(letter));
            assert_eq!(fold(&text.nfc().collect::<String>()), once, "U+{:04X}", u32::from(letter));
        }
    }

    #[test]
    fn paths() {
        for (path, want, why) in [
            ("/", Some(""), "the root"),
            ("/A/b", Some("/a/b"), "two words"),
            ("//a/./b/", Some("/a/b"), "as the kernel reads it"),
            ("/a/...", Some("/a/"), "a name of dots is a name"),
            ("/a/../b", None, "another place"),
            ("a", None, "no place"),
            ("", None, "nothing"),
            ("pipe:[7]", None, "what has no path"),
        ] {
            let got = Folded::absolute(Path::new(path));
            assert_eq!(got.as_ref().map(Folded::bytes), want.map(str::as_bytes), "{path}: {why}");
        }
        let folded = Folded::absolute(Path::new("/a/b./\u{df}")).unwrap();
        let words: Vec<_> = folded.words(2).collect();
        assert_eq!(words, [(&b"b"[..], false), (b"ss", false)]);
        assert_eq!(folded.words(0).next(), Some((&b"a"[..], true)));
    }
}
