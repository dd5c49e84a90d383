//! Tar archives as images have them (POSIX pax, ustar, and the long names of GNU): one entry after the
//! other, each bounded before it is read.

use std::io::{self, Read};

use super::Fault;

/// What everything in an archive is a multiple of. Bytes.
const BLOCK: usize = 512;
/// Longest name of GNU's, and longest record of pax. Bytes.
const NAME_BYTES_MAX: u64 = 8 << 10;
const PAX_BYTES_MAX: u64 = 1 << 20;

/// What is read from: what is not wanted is passed over.
pub(super) trait Source: Read {
    /// Passes over `bytes` of it; fewer are an error.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Link,
    Directory,
    /// A device, a FIFO, or of a kind that no image has.
    Other(u8),
}

/// One entry. Names are as the archive has them.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Where a link leads.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) mtime: u64,
    /// Bytes of data; none of what is no file.
    pub(super) size: u64,
    /// Where its data begins in the archive.
    pub(super) at: u64,
}

/// The entries of an archive.
pub(super) struct Tar<S> {
    from: S,
    /// Bytes that were read or passed over.
    at: u64,
    /// What is left of the entry's data, and of what fills its last block up.
    left: u64,
    filling: u64,
}

/// What comes before an entry and is about it.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<S: Source> Tar<S> {
    pub(super) const fn new(from: S) -> Self {
        Self { from, at: 0, left: 0, filling: 0 }
    }

    /// What is behind the last entry.
    pub(super) fn into_rest(self) -> S {
        self.from
    }

    /// The next entry; what was not read of the one before is passed over. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Header>, Fault> {
        let mut before = Before::default();
        loop {
            self.pass()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let raw = Raw(&block);
            let kind = raw.byte(156);
            let size = raw.number(124, 12)?;
            match kind {
                b'L' | b'K' => {
                    let mut text = self.short(size, NAME_BYTES_MAX)?;
                    while text.last() == Some(&0) {
                        text.pop();
                    }
                    let slot = if kind == b'L' { &mut before.name } else { &mut before.link };
                    *slot = Some(text);
                }
                b'x' => {
                    let text = self.short(size, PAX_BYTES_MAX)?;
                    before.pax(&text)?;
                }
                b'g' => {
                    let text = self.short(size, PAX_BYTES_MAX)?;
                    let mut global = Before::default();
                    global.pax(&text)?;
                    if global.name.is_some() || global.link.is_some() || global.size.is_some() {
                        return Err(Fault::broken("it names every file at once (a global header)"));
                    }
                }
                _ => return self.header(&raw, before).map(Some),
            }
        }
    }

    fn header(&mut self, raw: &Raw<'_>, before: Before) -> Result<Header, Fault> {
        let name = before.name.unwrap_or_else(|| raw.name());
        let kind = match raw.byte(156) {
            // Before there were directories, their names ended so.
            0 | b'0' | b'7' if name.last() == Some(&b'/') => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Link,
            b'5' => Kind::Directory,
            other => Kind::Other(other),
        };
        let written = before.size.map_or_else(|| raw.number(124, 12), Ok)?;
        // Of links and directories some writers tell a size that nothing follows.
        let size = match kind {
            Kind::File => written,
            Kind::HardLink | Kind::Link | Kind::Directory | Kind::Other(b'3' | b'4' | b'6') => 0,
            Kind::Other(_) => written,
        };
        self.begin(size);
        Ok(Header {
            link: before.link.unwrap_or_else(|| raw.text(157, 100)),
            mode: u32::try_from(raw.number(100, 8)? & 0o7777).unwrap_or(0),
            mtime: raw.number(136, 12).unwrap_or(0),
            name,
            kind,
            size,
            at: self.at,
        })
    }

    const fn begin(&mut self, size: u64) {
        self.left = size;
        let over = size % 512;
        self.filling = if over == 0 { 0 } else { 512 - over };
    }

    /// A whole text that belongs to an entry.
    fn short(&mut self, size: u64, most: u64) -> Result<Vec<u8>, Fault> {
        if size > most {
            return Err(Fault::broken("a name in it is too long"));
        }
        self.begin(size);
        let mut text = Vec::new();
        self.read_to_end(&mut text).map_err(Fault::read)?;
        Ok(text)
    }

    fn pass(&mut self) -> Result<(), Fault> {
        let rest = self.left.checked_add(self.filling).ok_or_else(Fault::ends)?;
        if rest > 0 {
            self.from.skip(rest).map_err(Fault::read)?;
            self.at = self.at.checked_add(rest).ok_or_else(Fault::ends)?;
        }
        (self.left, self.filling) = (0, 0);
        Ok(())
    }

    /// The next header; `None` at the end, which two blocks of zeros should mark, and one does.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let (mut block, mut have) = ([0_u8; BLOCK], 0);
        while let Some(rest) = block.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(Fault::ends()),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::read(error)),
            }
        }
        self.at += 512;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !Raw(&block).is_whole() {
            return Err(Fault::broken("the sum of a header is wrong"));
        }
        Ok(Some(block))
    }
}

/// The data of the entry.
impl<S: Source> Read for Tar<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else { return Ok(0) };
        let count = self.from.read(into)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(read);
        self.at = self.at.saturating_add(read);
        Ok(count)
    }
}

impl Before {
    /// `LENGTH KEY=VALUE\n`, one after the other (pax(1), "pax Header Block").
    fn pax(&mut self, mut text: &[u8]) -> Result<(), Fault> {
        let broken = || Fault::broken("a record of pax has no form");
        while !text.is_empty() {
            let space = text.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = text.get(..space).and_then(|digits| std::str::from_utf8(digits).ok());
            let length: usize = length.and_then(|digits| digits.parse().ok()).ok_or_else(broken)?;
            let record = text.get(space + 1..length).ok_or_else(broken)?;
            let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
            let is = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = record.split_at_checked(is).ok_or_else(broken)?;
            let value = value.get(1..).unwrap_or_default();
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let digits = std::str::from_utf8(value).ok();
                    self.size = Some(digits.and_then(|d| d.parse().ok()).ok_or_else(broken)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(Fault::broken("a file in it is sparse, which no image has"));
                }
                // Owners, times and attributes: everything becomes the caller's, without privilege.
                _ => {}
            }
            text = text.get(length..).ok_or_else(broken)?;
        }
        Ok(())
    }
}

/// A header's bytes.
struct Raw<'b>(&'b [u8; BLOCK]);

impl Raw<'_> {
    fn field(&self, at: usize, length: usize) -> &[u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }

    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// Up to the first NUL.
    fn text(&self, at: usize, length: usize) -> Vec<u8> {
        self.field(at, length).iter().copied().take_while(|byte| *byte != 0).collect()
    }

    fn name(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        // GNU has other things where POSIX has the beginning of a long name.
        let prefix = self.text(345, 155);
        if self.field(257, 6) != b"ustar\0" || prefix.is_empty() {
            return name;
        }
        [prefix, vec![b'/'], name].concat()
    }

    /// Octal digits, or, where the first bit is set, bytes.
    fn number(&self, at: usize, length: usize) -> Result<u64, Fault> {
        let broken = || Fault::broken("a number in a header has no form");
        let field = self.field(at, length);
        if field.first().is_some_and(|first| first & 0x80 != 0) {
            let mut value: u64 = 0;
            for (place, byte) in field.iter().enumerate() {
                let byte = if place == 0 { byte & 0x7F } else { *byte };
                if value >> 56 != 0 {
                    return Err(broken());
                }
                value = (value << 8) | u64::from(byte);
            }
            return Ok(value);
        }
        let digits = field.iter().skip_while(|byte| **byte == b' ');
        let digits = digits.take_while(|byte| !matches!(**byte, 0 | b' '));
        let mut value: u64 = 0;
        for digit in digits {
            if !matches!(digit, b'0'..=b'7') || value >> 61 != 0 {
                return Err(broken());
            }
            value = (value << 3) | u64::from(digit - b'0');
        }
        Ok(value)
    }

    /// Whether the sum of its bytes, its own field taken for spaces, is what it says.
    fn is_whole(&self) -> bool {
        let bytes = self.0.iter().enumerate();
        let sum: u64 = bytes
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        self.number(148, 8).is_ok_and(|said| said == sum)
    }
}
