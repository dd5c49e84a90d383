//! Patterns of names: folded once or twice, a name is the same; and a pattern meets a path as it does for
//! a reader that tries everything.
#![no_main]

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cofferdam_policy::judge::fold::word;
use cofferdam_policy::judge::pattern::{Meets, Pattern};
use libfuzzer_sys::fuzz_target;

/// Who tries everything is done with short ones alone.
const BYTES_MAX: usize = 48;
/// And with few letters that stand for others.
const WILD_MAX: usize = 6;

/// A word of a path: folded, and whether its letters are one for one those of the name.
type Name = (Vec<u8>, bool);

fn letters(word: &[u8], name: &[u8], even: bool) -> bool {
    let later = || !name.is_empty() && letters(word, &name[1..], even);
    match (word.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => letters(&word[1..], name, even) || later(),
        (Some(b'?'), _) if !even => letters(&word[1..], name, even) || later(),
        (Some(b'?'), Some(_)) => letters(&word[1..], &name[1..], even),
        (Some(one), Some(other)) if one == other => letters(&word[1..], &name[1..], even),
        (Some(_), _) | (None, Some(_)) => false,
    }
}

/// Whether the words can be all of the names.
fn all(words: &[Vec<u8>], names: &[Name]) -> bool {
    match (words.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((word, rest)), _) if word == b"**" => {
            all(rest, names) || (!names.is_empty() && all(words, &names[1..]))
        }
        (Some((word, rest)), Some(((name, even), later))) => {
            letters(word, name, *even) && all(rest, later)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn naive(words: &[Vec<u8>], names: &[Name]) -> Meets {
    if all(words, names) {
        Meets::At
    } else if (0..names.len()).any(|end| all(words, &names[..end])) {
        Meets::Below
    } else if (0..words.len()).any(|end| all(&words[..end], names)) {
        Meets::Above
    } else {
        Meets::No
    }
}

fuzz_target!(|bytes: &[u8]| {
    let once = word(bytes);
    assert_eq!(word(&once), once, "folded once or twice");
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (text, path) = (&bytes[..at], &bytes[at + 1..]);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(pattern) = Pattern::parse(text) else { return };
    assert_eq!(pattern.text(), text);
    assert_eq!(pattern.is_wild(), text.contains(['*', '?']));
    let wild = text.matches(['*', '?']).count();
    if bytes.len() > BYTES_MAX || wild > WILD_MAX || path.contains(&0) {
        return;
    }
    let names = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    let mut all = Vec::new();
    for name in names {
        if name == b".." {
            return;
        }
        let folded = word(name);
        let even = name.is_ascii() && folded.len() == name.len();
        all.push((folded, even));
    }
    let words: Vec<Vec<u8>> = text.split('/').map(|name| word(name.as_bytes())).collect();
    let whole = [b"/Top/", path].concat();
    let met = pattern.meets(Path::new("/top"), Path::new(std::ffi::OsStr::from_bytes(&whole)));
    assert_eq!(met, naive(&words, &all), "{text} {}", String::from_utf8_lossy(path));
});
