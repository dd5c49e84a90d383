//! Git's configuration files (`git-config(1)`, SYNTAX): their entries, read as git reads them.
//!
//! Knows the syntax alone: follows no `include`, and has no opinion on what a value means. Stricter than
//! git where git guesses: a NUL, a carriage return that ends no line, an entry before any section, and a
//! backslash at the very end are refused. What is read here, git reads the same.

use std::sync::Arc;

/// Longest text. Bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most entries of a text: a thousand branches have three each.
pub const ENTRIES_MAX: usize = 16_384;
/// Longest name of a section with its subsection. Bytes; a branch's name is a file's.
pub const SECTION_BYTES_MAX: usize = 1_024;

/// A line number, from 1, where the text is not in git's syntax, or goes over a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub usize);

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    section: Arc<Section>,
    key: String,
    value: Option<Vec<u8>>,
    written: &'t [u8],
}

#[derive(Debug, PartialEq, Eq)]
struct Section {
    /// In lower case, and after a dot its subsection as it is: to git a name is one text.
    name: Vec<u8>,
    /// Whether it is spelled `[section.subsection]`.
    dotted: bool,
}

impl<'t> Entry<'t> {
    /// The section in lower case, and after a dot its subsection.
    #[must_use]
    pub fn section(&self) -> &[u8] {
        &self.section.name
    }

    /// Its two halves, as git parts them: at the first dot.
    #[must_use]
    pub fn parts(&self) -> (&[u8], Option<&[u8]>) {
        let name = self.section();
        match name.iter().position(|byte| *byte == b'.') {
            Some(at) => (name.get(..at).unwrap_or_default(), name.get(at + 1..)),
            None => (name, None),
        }
    }

    /// Whether the section is spelled `[section.subsection]`, which git reads in lower case.
    #[must_use]
    pub fn is_dotted(&self) -> bool {
        self.section.dotted
    }

    /// In lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// `None` where it is written without `=`, which git reads as true.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// What stands after `=`, with quotes and comments.
    #[must_use]
    pub const fn written(&self) -> &'t [u8] {
        self.written
    }

    /// `section.subsection.key`, as git names it.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        [self.section(), b".", self.key.as_bytes()].concat()
    }
}

/// The entries of `text`, in their order.
///
/// # Errors
/// The line at which it is not in git's syntax, is stranger than git's own texts are, or is too long.
pub fn entries(text: &[u8]) -> Result<Vec<Entry<'_>>, Malformed> {
    let mut reader = Reader { text, at: 0 };
    let plain = text.len() <= TEXT_BYTES_MAX && reader.is_plain();
    // A mark of byte order at the beginning is passed over.
    if text.starts_with(b"\xEF\xBB\xBF") {
        reader.at = 3;
    }
    let read = if plain { reader.entries() } else { None };
    read.ok_or_else(|| {
        let before = text.get(..reader.at).unwrap_or(text);
        Malformed(1 + before.iter().filter(|byte| **byte == b'\n').count())
    })
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    /// No NUL, and no carriage return but before the end of a line; else it stops there.
    fn is_plain(&mut self) -> bool {
        let mut pairs = self.text.iter().zip(self.text.iter().skip(1).chain([&0]));
        let odd = pairs.position(|(one, next)| *one == 0 || (*one == b'\r' && *next != b'\n'));
        self.at = odd.unwrap_or(0);
        odd.is_none()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        if byte != b'\r' {
            return Some(byte);
        }
        self.at += 1;
        Some(b'\n')
    }

    fn entries(&mut self) -> Option<Vec<Entry<'t>>> {
        let mut found = Vec::new();
        let mut section = None;
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' | b'\n' => {}
                b'#' | b';' => while self.next().is_some_and(|byte| byte != b'\n') {},
                b'[' => section = Some(Arc::new(self.section()?)),
                first if first.is_ascii_alphabetic() && found.len() < ENTRIES_MAX => {
                    found.push(self.entry(first, section.clone()?)?);
                }
                _ => return None,
            }
        }
        Some(found)
    }

    /// What stands between brackets.
    fn section(&mut self) -> Option<Section> {
        let mut name = Vec::new();
        let whole = loop {
            match self.next()? {
                b']' => break true,
                b' ' | b'\t' => break false,
                byte if byte.is_ascii_alphanumeric() || b"-.".contains(&byte) => {
                    name.push(byte.to_ascii_lowercase());
                }
                _ => return None,
            }
        };
        let dotted = name.contains(&b'.');
        if !whole {
            let mut byte = self.next()?;
            while matches!(byte, b' ' | b'\t') {
                byte = self.next()?;
            }
            (byte == b'"').then_some(())?;
            name.push(b'.');
            loop {
                match self.next()? {
                    b'"' => break,
                    b'\n' => return None,
                    b'\\' => name.push(self.next().filter(|byte| *byte != b'\n')?),
                    byte => name.push(byte),
                }
            }
            (self.next()? == b']').then_some(())?;
        }
        let fits = name.len() <= SECTION_BYTES_MAX && !name.starts_with(b".") && !name.is_empty();
        fits.then_some(Section { name, dotted })
    }

    fn entry(&mut self, first: u8, section: Arc<Section>) -> Option<Entry<'t>> {
        let mut key = String::from(char::from(first.to_ascii_lowercase()));
        let mut byte = self.next();
        while let Some(letter) = byte.filter(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            key.push(char::from(letter.to_ascii_lowercase()));
            byte = self.next();
        }
        while matches!(byte, Some(b' ' | b'\t')) {
            byte = self.next();
        }
        let start = self.at;
        let value = match byte {
            None | Some(b'\n') => None,
            Some(b'=') => Some(self.value()?),
            Some(_) => return None,
        };
        let written = value.as_ref().and_then(|_| self.text.get(start..self.at));
        let written = written.unwrap_or_default();
        let written = written.strip_suffix(b"\n").unwrap_or(written);
        let written = written.strip_suffix(b"\r").unwrap_or(written);
        Some(Entry { section, key, value, written })
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let (mut text, mut quoted) = (Vec::new(), false);
        // Where spaces begin that may be the end; 0 where none do, as there is nothing before them.
        let mut kept = 0;
        loop {
            let byte = match self.next() {
                None | Some(b'\n') if quoted => return None,
                None | Some(b'\n') => break,
                Some(byte) => byte,
            };
            match byte {
                b' ' | b'\t' if !quoted => {
                    if !text.is_empty() {
                        kept = if kept == 0 { text.len() } else { kept };
                        text.push(byte);
                    }
                    continue;
                }
                b'#' | b';' if !quoted => {
                    while self.next().is_some_and(|byte| byte != b'\n') {}
                    break;
                }
                b'"' => quoted = !quoted,
                b'\\' => match self.next()? {
                    b'\n' => {}
                    b'n' => text.push(b'\n'),
                    b't' => text.push(b'\t'),
                    b'b' => text.push(8),
                    byte @ (b'"' | b'\\') => text.push(byte),
                    _ => return None,
                },
                byte => text.push(byte),
            }
            kept = 0;
        }
        if kept > 0 {
            text.truncate(kept);
        }
        Some(text)
    }
}
