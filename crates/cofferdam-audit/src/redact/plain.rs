//! A text as a reader of its escapes has it: `%41`, `\u0041`, `&#65;`, and nothing for blanks.

use zeroize::Zeroizing;

/// Longest escape sequence of terminals that is read. Bytes.
pub(super) const SEQUENCE_BYTES_MAX: usize = 32;
/// Most digits of a numeric reference in HTML: those of the last code point, and a zero.
const REFERENCE_DIGITS_MAX: usize = 8;
/// Bytes that are looked at together for whether there is anything to drop among them.
const BLOCK: usize = 64;

/// What else than blanks may stand within a needle and does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splits {
    /// Nothing else.
    Blanks,
    /// Escape sequences of a terminal (ECMA-48, 5.4) and control characters: nobody sees them.
    Sequences,
}

/// What stands at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes that stand for this byte; one, where there is no escape.
    Byte(usize, u8),
    /// So many bytes that stand for this character.
    Char(usize, char),
    /// So many bytes that stand for nothing.
    Nothing(usize),
    /// The beginning of what may be an escape, or nothing at all.
    Short,
}

impl Read {
    fn code_point(taken: usize, code: u32) -> Self {
        match (u8::try_from(code), char::from_u32(code)) {
            (Ok(byte), _) if byte.is_ascii() => Self::Byte(taken, byte),
            (_, Some(char)) => Self::Char(taken, char),
            // Half of a pair: no text has it, so no needle does.
            (_, None) => Self::Byte(taken, 0xFF),
        }
    }
}

/// Reads one byte, or one escape.
#[must_use]
pub fn read(text: &[u8], splits: Splits) -> Read {
    match text {
        [] => Read::Short,
        [b'%', rest @ ..] => percent(rest),
        [b'\\', rest @ ..] => backslash(rest),
        [b'&', rest @ ..] => reference(rest),
        [0x1B, rest @ ..] if splits == Splits::Sequences => sequence(rest),
        [byte, ..] if splits == Splits::Sequences && is_unseen(*byte) => Read::Nothing(1),
        [byte, ..] => Read::Byte(1, *byte),
    }
}

/// `%41` (RFC 3986, 2.1).
fn percent(rest: &[u8]) -> Read {
    match digits(rest, 2) {
        Digits::All(code) => Read::code_byte(3, code),
        Digits::Short => Read::Short,
        Digits::Other => Read::Byte(1, b'%'),
    }
}

impl Read {
    fn code_byte(taken: usize, code: u32) -> Self {
        Self::Byte(taken, u8::try_from(code).unwrap_or_default())
    }
}

/// `\u0041`, `\x41`, `\n`, `\/` (RFC 8259, 7; ECMA-262, 12.9.4).
fn backslash(rest: &[u8]) -> Read {
    match rest {
        [] => Read::Short,
        [b'u', rest @ ..] => match digits(rest, 4) {
            Digits::All(high @ 0xD800..=0xDBFF) => pair(rest.get(4..).unwrap_or_default(), high),
            Digits::All(code) => Read::code_point(6, code),
            Digits::Short => Read::Short,
            Digits::Other => Read::Byte(2, b'u'),
        },
        [b'x', rest @ ..] => match digits(rest, 2) {
            Digits::All(code) => Read::code_byte(4, code),
            Digits::Short => Read::Short,
            Digits::Other => Read::Byte(2, b'x'),
        },
        [b'n', ..] => Read::Byte(2, b'\n'),
        [b'r', ..] => Read::Byte(2, b'\r'),
        [b't', ..] => Read::Byte(2, b'\t'),
        // UTF-16: the escape is read once the NULs are gone.
        [0, ..] => Read::Byte(1, b'\\'),
        [byte, ..] => Read::Byte(2, *byte),
    }
}

/// The second half of a character, behind `\uD83D`.
fn pair(rest: &[u8], high: u32) -> Read {
    let alone = Read::code_point(6, high);
    match rest {
        [] | [b'\\'] => Read::Short,
        [b'\\', b'u', rest @ ..] => match digits(rest, 4) {
            Digits::All(low @ 0xDC00..=0xDFFF) => {
                Read::code_point(12, 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
            }
            Digits::Short => Read::Short,
            Digits::All(_) | Digits::Other => alone,
        },
        [_, ..] => alone,
    }
}

/// `&#65;` and `&#x41;`, the semicolon or not (HTML, 13.2.5.80); and a few names.
fn reference(rest: &[u8]) -> Read {
    let none = Read::Byte(1, b'&');
    let (begun, base, rest) = match rest {
        [] | [b'#'] | [b'#', b'x' | b'X'] => return Read::Short,
        [b'#', b'x' | b'X', rest @ ..] => (3, 16, rest),
        [b'#', rest @ ..] => (2, 10, rest),
        [_, ..] => return named(rest),
    };
    let mut code = 0_u32;
    for (count, byte) in rest.iter().take(REFERENCE_DIGITS_MAX + 1).enumerate() {
        match char::from(*byte).to_digit(base) {
            Some(_) if count == REFERENCE_DIGITS_MAX => return none,
            Some(digit) => code = code.saturating_mul(base).saturating_add(digit),
            None if count == 0 => return none,
            None => return Read::code_point(begun + count + usize::from(*byte == b';'), code),
        }
    }
    Read::Short
}

/// Names of characters that markup and what is written into it need.
const NAMED: [(&[u8], u8); 5] =
    [(b"amp;", b'&'), (b"lt;", b'<'), (b"gt;", b'>'), (b"quot;", b'"'), (b"apos;", b'\'')];

/// `&amp;`.
fn named(rest: &[u8]) -> Read {
    let whole = NAMED.iter().find(|(name, _)| rest.starts_with(name));
    match whole {
        Some((name, byte)) => Read::Byte(1 + name.len(), *byte),
        None if NAMED.iter().any(|(name, _)| name.starts_with(rest)) => Read::Short,
        None => Read::Byte(1, b'&'),
    }
}

/// Behind an ESC: `[`, parameters, intermediates and one last byte (ECMA-48, 5.4); or intermediates and one
/// last byte (ECMA-35, 13).
fn sequence(rest: &[u8]) -> Read {
    let (begun, rest) = match rest {
        [b'[', rest @ ..] => (2, rest),
        rest => (1, rest),
    };
    let within = rest.iter().take_while(|&&byte| (0x20..=0x3F).contains(&byte));
    let count = within.take(SEQUENCE_BYTES_MAX).count();
    if count >= SEQUENCE_BYTES_MAX {
        return Read::Nothing(1);
    }
    match rest.get(count) {
        None => Read::Short,
        Some(0x40..=0x7E) => Read::Nothing(begun + count + 1),
        // Broken off, which a terminal does not show either.
        Some(_) => Read::Nothing(begun + count),
    }
}

enum Digits {
    All(u32),
    /// All that are there, but too few.
    Short,
    Other,
}

fn digits(text: &[u8], count: usize) -> Digits {
    let mut code = 0;
    for place in 0..count {
        match text.get(place).map(|byte| char::from(*byte).to_digit(16)) {
            Some(Some(digit)) => code = code * 16 + digit,
            Some(None) => return Digits::Other,
            None => return Digits::Short,
        }
    }
    Digits::All(code)
}

/// CR, LF, TAB, SPACE, and the NUL between letters of UTF-16.
pub(super) const fn is_blank(byte: u8) -> bool {
    (byte == b' ') | (byte == b'\r') | (byte == b'\n') | (byte == b'\t') | (byte == 0)
}

/// Whether a byte may be a part of an escape. Behind a backslash any other one means itself, and ends it.
pub(super) fn is_of_escapes(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || b"%\\&#;uxXnrtamplgqos".contains(&byte)
}

/// Control characters, which show nothing by themselves.
fn is_unseen(byte: u8) -> bool {
    byte.is_ascii_control() && !is_blank(byte)
}

/// Whether a reader of its escapes has a text as it is: most fields of a head are such.
pub(super) fn is_plain(text: &[u8], splits: Splits) -> bool {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let blank = |byte: &u8| is_blank(*byte);
    Plain::new(splits).escape(text).is_none()
        && !rest.iter().any(blank)
        && !blocks.iter().any(|block| any(block, is_blank))
}

/// All of a text at once.
pub(super) fn plain(text: &[u8], splits: Splits) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut plainly = Plain::new(splits);
    for piece in text.chunks(PIECE) {
        let mut room = Room::new();
        plainly.feed(piece, &mut room);
        out.extend_from_slice(room.bytes());
    }
    let mut room = Room::new();
    plainly.finish(&mut room);
    out.extend_from_slice(room.bytes());
    out
}

/// Most bytes that are read at once.
pub(super) const PIECE: usize = 2_048;
/// What comes of them and of what was held, and is a power of two.
const ROOM: usize = 4_096;

/// What came of a piece.
pub(super) struct Room {
    bytes: [u8; ROOM],
    used: usize,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { bytes: [0; ROOM], used: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.used & (ROOM - 1)) {
            *slot = byte;
        }
        self.used += 1;
    }

    fn extend(&mut self, bytes: &[u8; BLOCK]) {
        let end = self.used + bytes.len();
        if let Some(slots) = self.bytes.get_mut(self.used..end) {
            slots.copy_from_slice(bytes);
            self.used = end;
        }
    }

    /// All of `bytes` but the blanks. Without a branch: there are too many to guess them.
    fn extend_dense(&mut self, bytes: &[u8]) {
        let mut used = self.used;
        for &byte in bytes {
            if let Some(slot) = self.bytes.get_mut(used & (ROOM - 1)) {
                *slot = byte;
            }
            used = used.wrapping_add(KEPT.get(usize::from(byte)).copied().unwrap_or_default());
        }
        self.used = used;
    }
}

/// 1 for what is no blank.
#[expect(clippy::indexing_slicing, reason = "made when this is compiled, by numbers below 256")]
const KEPT: [usize; 256] = {
    let mut kept = [1; 256];
    kept[b' ' as usize] = 0;
    kept[b'\r' as usize] = 0;
    kept[b'\n' as usize] = 0;
    kept[b'\t' as usize] = 0;
    kept[0] = 0;
    kept
};

/// Reads a stream plainly, piece by piece.
#[derive(Debug)]
pub(super) struct Plain {
    splits: Splits,
    /// The beginning of what may be an escape.
    held: Vec<u8>,
    /// Whether a `=` was read behind which a line may end softly (RFC 2045, 6.7).
    equals: bool,
    /// Whether anything but blanks was read as something else than it is.
    changed: bool,
}

impl Plain {
    pub(super) fn new(splits: Splits) -> Self {
        Self { splits, held: Vec::new(), equals: false, changed: false }
    }

    /// As if nothing had come.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        (self.equals, self.changed) = (false, false);
    }

    /// Whether anything but blanks was read as something else than it is, since this was asked last.
    pub(super) fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether it waits for what comes next.
    pub(super) fn is_waiting(&self) -> bool {
        self.equals || !self.held.is_empty()
    }

    /// Bytes at the end of what came that may begin an escape.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Where the first byte stands that may begin an escape.
    pub(super) fn escape(&self, text: &[u8]) -> Option<usize> {
        let may = |at: usize| match (text.get(at), text.get(at + 1)) {
            (_, None) => true,
            (Some(b'%'), Some(next)) => next.is_ascii_hexdigit(),
            (Some(b'&'), Some(next)) => matches!(next, b'#' | b'a' | b'l' | b'g' | b'q'),
            (_, Some(_)) => true,
        };
        match self.splits {
            Splits::Blanks => memchr::memchr3_iter(b'%', b'\\', b'&', text).find(|&at| may(at)),
            Splits::Sequences => {
                text.iter().position(|byte| is_unseen(*byte) || matches!(byte, b'%' | b'\\' | b'&'))
            }
        }
    }

    /// At most [`PIECE`] bytes; what is in `room` stays there.
    pub(super) fn feed(&mut self, piece: &[u8], room: &mut Room) {
        let mut rest = self.resume(piece, room);
        while !rest.is_empty() {
            let (even, escaped) = rest.split_at(self.escape(rest).unwrap_or(rest.len()));
            self.even(even, room);
            rest = escaped;
            if rest.is_empty() {
                return;
            }
            let read = read(rest, self.splits);
            match self.take(read, room) {
                0 => {
                    self.held.extend_from_slice(rest);
                    return;
                }
                taken => rest = rest.get(taken..).unwrap_or_default(),
            }
        }
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, room: &mut Room) {
        while let Some(&first) = self.held.first() {
            self.byte(first, room);
            let rest = self.held.split_off(1);
            self.held.clear();
            let rest = self.resume(&rest, room).to_vec();
            self.held.extend(rest);
        }
        if std::mem::take(&mut self.equals) {
            room.push(b'=');
        }
    }

    /// Ends the escape that was begun; what is left of `piece`.
    fn resume<'p>(&mut self, mut piece: &'p [u8], room: &mut Room) -> &'p [u8] {
        while !self.held.is_empty() {
            let read = read(&self.held, self.splits);
            let taken = self.take(read, room);
            if taken > 0 {
                self.held.drain(..taken);
                continue;
            }
            let Some((byte, rest)) = piece.split_first() else { break };
            self.held.push(*byte);
            piece = rest;
        }
        piece
    }

    /// Puts down what was read; how many bytes that were, none where more are needed.
    fn take(&mut self, read: Read, room: &mut Room) -> usize {
        self.changed |= !matches!(read, Read::Byte(1, _) | Read::Short);
        match read {
            Read::Byte(taken, byte) => {
                self.byte(byte, room);
                taken
            }
            Read::Char(taken, char) => {
                for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                    self.byte(byte, room);
                }
                taken
            }
            Read::Nothing(taken) => taken,
            Read::Short => 0,
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8, room: &mut Room) {
        if is_blank(byte) {
            let ends = self.equals && matches!(byte, b'\r' | b'\n');
            self.equals &= !ends;
            self.changed |= ends;
            return;
        }
        if std::mem::replace(&mut self.equals, byte == b'=') {
            room.push(b'=');
        }
        if byte != b'=' {
            room.push(byte);
        }
    }

    /// Bytes that begin no escape.
    fn even(&mut self, mut bytes: &[u8], room: &mut Room) {
        while let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>() {
            if self.equals {
                let Some((first, rest)) = bytes.split_first() else { return };
                self.byte(*first, room);
                bytes = rest;
                continue;
            }
            bytes = rest;
            let blank = any(block, is_blank);
            let equals = any(block, |byte| byte == b'=');
            if !blank && !equals {
                room.extend(block);
            } else if equals && may_end_softly(block) {
                block.iter().for_each(|byte| self.byte(*byte, room));
            } else if equals {
                // A `=` at the end may have its line's end in the next block.
                let (front, last) = block.split_at(FRONT);
                room.extend_dense(front);
                last.iter().for_each(|byte| self.byte(*byte, room));
            } else {
                room.extend_dense(block);
            }
        }
        if self.equals || bytes.contains(&b'=') {
            bytes.iter().for_each(|byte| self.byte(*byte, room));
        } else {
            room.extend_dense(bytes);
        }
    }
}

/// Of a block, all but two bytes: so many behind a `=` tell whether a line ends there, mostly.
const FRONT: usize = BLOCK - 2;

/// Without a branch, so that many are asked at once.
fn any(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(0, |any, byte| any | u8::from(is(*byte))) != 0
}

/// Whether a line may end behind a `=` of a block, with blanks between; but for the last two bytes.
fn may_end_softly(block: &[u8; BLOCK]) -> bool {
    let [_, rest @ ..] = block;
    let (Some(first), Some(second), Some(third)) =
        (block.first_chunk::<FRONT>(), rest.first_chunk::<FRONT>(), rest.last_chunk::<FRONT>())
    else {
        return true;
    };
    let mut any = false;
    for ((first, second), third) in first.iter().zip(second).zip(third) {
        let is_space = (*second == b' ') | (*second == b'\t');
        any |= (*first == b'=') & is_blank(*second) & (!is_space | is_blank(*third));
    }
    any
}
