//! What most of a text is: nothing that any reading of it could make a needle of.
//!
//! A text is sampled as it stands, in groups of four bytes, blanks among them or not. Where no part of a
//! needle could look like a sample, however it was broken into lines, no needle goes over that place. What
//! escapes hide is not seen so: of each one that is more than the end of a line is told where it stands.

use std::ops::Range;

use zeroize::Zeroizing;

use super::grams::{Patterns, Walls};
use super::plain::is_blank;

/// Bytes of a sample.
pub(super) const SAMPLE: usize = 4;
/// So many bytes are folded at a time.
const CHUNK: usize = 256;
/// What a sample needs behind a chunk, and room for whole registers.
const FOLDED: usize = CHUNK + 16;
/// With the byte before.
const BEHIND: usize = FOLDED + 1;
/// Strides that are worth it.
const STRIDE_MIN: usize = 2;
const STRIDE_MAX: usize = 8;
/// Bytes of a table: it stays in the first cache.
const FEW: usize = 1 << 15;
/// The same for many needles: it stays in the second.
const MANY: usize = 1 << 19;
/// Most bytes of needles in all their forms that such a table tells from others.
const BYTES_MAX: usize = 1 << 15;
/// 2^64 divided by the golden ratio: spreads neighbouring samples (Knuth, 6.4).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Where a suspect that is none comes more often than this, as a rule, all is read. Bytes.
const TRY: usize = 64;
/// Where more bytes than these are such as needles have, much more may be. Bytes.
const LONG: usize = 256;
/// What each byte becomes that a needle may have within and that does not count.
const BLANK: u8 = b' ';
/// Four of them.
const BLANKS: u32 = u32::from_le_bytes([BLANK; SAMPLE]);

/// What needles look like in samples.
pub(super) struct Sieve {
    /// So far apart each needle has a sample.
    stride: usize,
    /// Fewest bytes of a needle that count.
    fewest: usize,
    /// Fewest bytes of one.
    shortest: usize,
    /// Bytes that no needle goes over.
    walls: Walls,
    /// Two bits of one byte for each sample that a needle may show.
    table: Table,
}

/// Of [`FEW`] bytes or of [`MANY`].
struct Table(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Sieve {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sieve").field("stride", &self.stride).finish_non_exhaustive()
    }
}

/// What in a text is to be read in full. Bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// An escape begins at the second; no needle with it begins before the first.
    Escape(usize, usize),
    /// Between these there may be a needle, without an escape but ends of lines.
    Between(usize, usize),
    /// Too much to tell, or what may go on behind the text: no needle begins before.
    Rest(usize),
}

impl Sieve {
    /// For so many patterns; `None` where there are too many, or one is too short.
    pub(super) fn new(patterns: &Patterns, count: usize) -> Option<Self> {
        let numbers = 0..count;
        let dense = numbers.map(|number| dense(patterns.get(number))).collect::<Vec<_>>();
        // The first byte of a needle, as it is, may be the end of what is read as the end of a line.
        let counts = dense.iter().enumerate().map(|(number, dense)| {
            let first = patterns.get(number).first();
            dense.len() - usize::from(first.is_some_and(|first| ends_line(*first)))
        });
        let fewest = counts.min()?;
        let stride = (fewest + 1).checked_sub(SAMPLE)?.min(STRIDE_MAX);
        if stride < STRIDE_MIN {
            return None;
        }
        let bytes: usize = dense.iter().map(|dense| dense.len()).sum();
        if bytes > BYTES_MAX {
            return None;
        }
        let mut table = Table::of(bytes);
        table.add(BLANKS);
        for dense in &dense {
            for from in 0..dense.len() {
                let rest = dense.get(from..).unwrap_or_default();
                (0_u8..15).filter_map(|blanks| sample(rest, blanks)).for_each(|s| table.add(s));
            }
        }
        let (shortest, walls) = (patterns.shortest(), patterns.walls().clone());
        Some(Self { stride, fewest, shortest, walls, table })
    }

    /// The first suspect of a text. No needle begins before `begin`, which is at least 1.
    pub(super) fn next(&self, text: &[u8], begin: usize) -> Suspect {
        let (mut floor, mut at) = (begin, begin);
        let (mut folded, mut tries) = ([0; FOLDED], 0_usize);
        while at + SAMPLE <= text.len() {
            let (base, (count, may)) = (at, fold(text, at, &mut folded));
            let hidden = may.then(|| self.escape(text, at..at + count)).flatten();
            let folded = folded.get(..hidden.unwrap_or(base + count) - base).unwrap_or_default();
            while at < base + CHUNK {
                let (place, open) = self.table.first(self.stride, folded, at - base);
                at = base + place;
                if !open {
                    break;
                }
                if let Some(behind) = self.behind(folded, place) {
                    floor = base + behind;
                    at = floor;
                    continue;
                }
                tries += 1;
                if tries * TRY > at - begin + FOLDED * 4 {
                    return Suspect::Rest(floor.max((at + 1).saturating_sub(self.stride)));
                }
                let (from, to, room) = self.between(text, at, floor);
                if to == text.len() {
                    return Suspect::Rest(from);
                }
                if self.hides(text, to) {
                    return Suspect::Escape(from, to);
                }
                if room {
                    return Suspect::Between(from, to);
                }
                // The sample that goes on behind it is of none.
                floor = to + 2 - SAMPLE;
                at = floor;
            }
            if let Some(hidden) = hidden {
                return Suspect::Escape(floor.max((at + 1).saturating_sub(self.stride)), hidden);
            }
        }
        Suspect::Rest(floor.max((at + 1).saturating_sub(self.stride)))
    }

    /// Whether a look tells that no needle is in a text that begins and ends with walls.
    pub(super) fn passes(&self, text: &[u8]) -> bool {
        match self.next(text, 1) {
            Suspect::Rest(from) => text.len() - from.min(text.len()) <= self.shortest,
            Suspect::Escape(..) | Suspect::Between(..) => false,
        }
    }

    /// The first escape that begins in a part of a text and is more than the end of a line.
    fn escape(&self, text: &[u8], part: Range<usize>) -> Option<usize> {
        let from = part.start;
        let places = memchr::memchr3_iter(b'%', b'\\', b'&', text.get(part)?);
        places.map(|place| from + place).find(|&at| self.hides(text, at))
    }

    /// Whether such an escape may begin at `at`, where a needle has room between walls.
    fn hides(&self, text: &[u8], at: usize) -> bool {
        hides(text, at) && {
            let near = text.get(at..).unwrap_or_default();
            let behind = self.walls.first(near.get(..self.shortest).unwrap_or(near));
            let end = behind.map_or(text.len(), |wall| at + wall);
            let before = end.saturating_sub(self.shortest);
            let walled = behind.is_some() && before < at && before + self.shortest == end;
            !walled || self.walls.first(text.get(before..at).unwrap_or_default()).is_none()
        }
    }

    /// What is behind the blanks of a sample at `place`, and one more byte, where no needle goes over them:
    /// it would have four bytes on one side or the other.
    fn behind(&self, folded: &[u8], place: usize) -> Option<usize> {
        if self.fewest < SAMPLE * 2 - 1 {
            return None;
        }
        let is_solid = |cell: &u8| *cell != BLANK;
        let blank = place + folded.get(place..place + SAMPLE)?.iter().position(|c| !is_solid(c))?;
        let end = blank + folded.get(blank..)?.iter().position(is_solid)?;
        let begin = folded.get(..blank)?.iter().rposition(is_solid)? + 1;
        let is_open = |sides: Option<&[u8]>| {
            let side = sides.and_then(|side| side.first_chunk::<SAMPLE>());
            side.is_none_or(|cells| self.table.may_be(u32::from_le_bytes(*cells)))
        };
        let (before, behind) = (begin.checked_sub(SAMPLE)?, end.checked_add(SAMPLE)?);
        let closed = !is_open(folded.get(end..behind)) && !is_open(folded.get(before..begin));
        closed.then_some(end + 1)
    }

    /// Whether what stands at `at` may be of a needle.
    fn is_open(&self, text: &[u8], at: usize) -> bool {
        let cells = [cell(text, at), cell(text, at + 1), cell(text, at + 2), cell(text, at + 3)];
        self.table.may_be(u32::from_le_bytes(cells))
    }

    /// From where to where all samples are like the one at `at`, and whether a needle has room there.
    #[cold]
    fn between(&self, text: &[u8], at: usize, floor: usize) -> (usize, usize, bool) {
        let mut from = at;
        while from > floor && self.is_open(text, from - 1) {
            from -= 1;
        }
        let mut solid = (from..at + SAMPLE).filter(|&at| cell(text, at) != BLANK).count();
        let mut cells =
            [cell(text, at), cell(text, at + 1), cell(text, at + 2), cell(text, at + 3)];
        let mut to = at + SAMPLE;
        while to < text.len() && !self.hides(text, to) {
            let next = cell(text, to);
            if u32::from_le_bytes(cells) == BLANKS && next == BLANK {
                to += blanks(text.get(to + 1..).unwrap_or_default()) + 1;
                continue;
            }
            if solid > LONG {
                return (from, text.len(), true);
            }
            let [_, second, third, last] = cells;
            cells = [second, third, last, next];
            if !self.table.may_be(u32::from_le_bytes(cells)) {
                break;
            }
            solid += usize::from(next != BLANK);
            to += 1;
        }
        (from, to, solid >= self.fewest)
    }
}

impl Table {
    /// For so many bytes of needles.
    fn of(bytes: usize) -> Self {
        // Some ten samples of each byte, and one bit in eight is set.
        Self(Zeroizing::new(vec![0; if bytes * 160 <= FEW * 8 { FEW } else { MANY }]))
    }

    fn add(&mut self, sample: u32) {
        let is_many = self.0.len() == MANY;
        let (byte, bits) = if is_many { place::<MANY>(sample) } else { place::<FEW>(sample) };
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= bits;
        }
    }

    /// Whether a needle may show this sample.
    fn may_be(&self, sample: u32) -> bool {
        match (self.0.first_chunk::<MANY>(), self.0.first_chunk::<FEW>()) {
            (Some(table), _) => may_be(table, sample),
            (None, few) => few.is_none_or(|table| may_be(table, sample)),
        }
    }

    /// The first place, from one on and so far apart, of a sample that may be of a needle; or the first
    /// place where none fits any more.
    fn first(&self, stride: usize, folded: &[u8], from: usize) -> (usize, bool) {
        match (self.0.first_chunk::<MANY>(), self.0.first_chunk::<FEW>()) {
            (Some(table), _) => first(table, stride, folded, from),
            (None, few) => few.map_or((from, true), |table| first(table, stride, folded, from)),
        }
    }
}

/// A byte, and two bits of it.
#[inline]
fn place<const BYTES: usize>(sample: u32) -> (usize, u8) {
    let hash = u64::from(sample).wrapping_mul(SPREAD);
    let [_, _, _, _, bits, ..] = hash.to_le_bytes();
    let byte = usize::try_from(hash >> (64 - BYTES.trailing_zeros())).unwrap_or_default();
    (byte, BITS.get(usize::from(bits)).copied().unwrap_or_default())
}

/// Two bits of eight, as evenly as can be.
#[expect(clippy::indexing_slicing, reason = "made when this is compiled, by numbers below 256")]
const BITS: [u8; 256] = {
    let (mut all, mut at) = ([0; 256], 0);
    while at < 256 {
        let first = at % 8;
        let second = (first + 1 + at / 8 % 7) % 8;
        all[at] = 1 << first | 1 << second;
        at += 1;
    }
    all
};

#[inline]
fn may_be<const BYTES: usize>(table: &[u8; BYTES], sample: u32) -> bool {
    let (byte, bits) = place::<BYTES>(sample);
    table.get(byte).is_some_and(|byte| byte & bits == bits)
}

fn first<const BYTES: usize>(
    table: &[u8; BYTES],
    stride: usize,
    folded: &[u8],
    from: usize,
) -> (usize, bool) {
    match stride {
        2 => first_by::<BYTES, 2>(table, folded, from),
        3 => first_by::<BYTES, 3>(table, folded, from),
        4 => first_by::<BYTES, 4>(table, folded, from),
        5 => first_by::<BYTES, 5>(table, folded, from),
        6 => first_by::<BYTES, 6>(table, folded, from),
        7 => first_by::<BYTES, 7>(table, folded, from),
        _ => first_by::<BYTES, STRIDE_MAX>(table, folded, from),
    }
}

fn first_by<const BYTES: usize, const STEP: usize>(
    table: &[u8; BYTES],
    folded: &[u8],
    from: usize,
) -> (usize, bool) {
    let mut at = from;
    while at < CHUNK
        && let Some(window) = folded.get(at..).and_then(|rest| rest.get(..STEP * 3 + SAMPLE))
    {
        let may = |place: usize| {
            let bytes = window.get(place..).and_then(|rest| rest.first_chunk::<SAMPLE>());
            bytes.is_some_and(|bytes| may_be(table, u32::from_le_bytes(*bytes)))
        };
        // The answer is no as a rule: four at once.
        if may(0) | may(STEP) | may(STEP * 2) | may(STEP * 3) {
            break;
        }
        at += STEP * 4;
    }
    while at < CHUNK
        && let Some(bytes) = folded.get(at..).and_then(|rest| rest.first_chunk::<SAMPLE>())
    {
        if may_be(table, u32::from_le_bytes(*bytes)) {
            return (at, true);
        }
        at += STEP;
    }
    (at, false)
}

/// The first bytes of a needle with blanks at these of four places; `None` where it has too few.
fn sample(needle: &[u8], blanks: u8) -> Option<u32> {
    let mut rest = needle.iter();
    let mut cells = [BLANK; SAMPLE];
    for (place, cell) in cells.iter_mut().enumerate() {
        if blanks >> place & 1 == 0 {
            *cell = *rest.next()?;
        }
    }
    Some(u32::from_le_bytes(cells))
}

/// What of a needle counts.
fn dense(needle: &[u8]) -> Zeroizing<Vec<u8>> {
    let cells = (0..needle.len()).map(|at| cell(needle, at));
    Zeroizing::new(cells.filter(|&cell| cell != BLANK).collect())
}

/// Whether this letter is the end of a line behind a backslash, or another blank.
#[inline]
const fn ends_line(byte: u8) -> bool {
    (byte == b'n') | (byte == b'r') | (byte == b't')
}

/// A byte as it is sampled: what is read as nothing, or may be, is a blank. So is a `=`, which may end a
/// line, and a backslash, behind which most bytes mean themselves.
#[inline]
const fn folded(byte: u8, before: u8) -> u8 {
    let blank = (byte <= BLANK) | (byte == b'=') | (byte == b'\\');
    if blank | ((before == b'\\') & ends_line(byte)) { BLANK } else { byte }
}

fn cell(text: &[u8], at: usize) -> u8 {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    folded(text.get(at).copied().unwrap_or(BLANK), before.copied().unwrap_or_default())
}

/// The text from `at` on, at least 1, as it is sampled: how many bytes, and whether there may be an escape.
#[inline]
fn fold(text: &[u8], at: usize, out: &mut [u8; FOLDED]) -> (usize, bool) {
    let before = text.get(at.saturating_sub(1)..).unwrap_or_default();
    if let (Some(before), Some((_, text))) = (
        before.first_chunk::<FOLDED>(),
        before.first_chunk::<BEHIND>().and_then(|t| t.split_first()),
    ) && let Some(text) = text.first_chunk::<FOLDED>()
    {
        return (FOLDED, fold_all(before, text, out));
    }
    let mut padded = [0; BEHIND];
    padded.iter_mut().zip(before).for_each(|(out, byte)| *out = *byte);
    let [_, text @ ..] = &padded;
    let may = padded.first_chunk().is_none_or(|before| fold_all(before, text, out));
    // The last one's next byte is not there.
    (before.len().saturating_sub(1), may || before.last() == Some(&b'\\'))
}

/// Without a branch, so that many are folded at once; whether there may be an escape.
fn fold_all(before: &[u8; FOLDED], text: &[u8; FOLDED], out: &mut [u8; FOLDED]) -> bool {
    let (mut bent, mut marked) = (0_u8, 0_u8);
    for (&byte, out) in text.iter().zip(out.iter_mut()) {
        *out = if byte == b'=' { BLANK } else { byte.max(BLANK) };
        bent |= u8::from(byte == b'\\');
        marked |= u8::from((byte == b'%') | (byte == b'&'));
    }
    if bent == 0 && before.first() != Some(&b'\\') {
        return marked != 0;
    }
    let mut hides = 0_u8;
    for ((&byte, &before), out) in text.iter().zip(before).zip(out.iter_mut()) {
        let behind = before == b'\\';
        *out = if (byte == b'\\') | (behind & ends_line(byte)) { BLANK } else { *out };
        hides |= u8::from(behind & ((byte >= b'u') | (byte == b'\\') | (byte <= BLANK)));
    }
    // The last one's next byte is not there.
    marked != 0 || hides != 0 || text.last() == Some(&b'\\')
}

/// Whether an escape may begin at `at` that is more than the end of a line, in any reading; or another
/// reading's does within it.
fn hides(text: &[u8], at: usize) -> bool {
    let Some(next) = text.get(at + 1) else { return true };
    let opens = opens(*next);
    match text.get(at) {
        Some(b'%') => opens || next.is_ascii_hexdigit(),
        Some(b'&') => opens || *next == b'#' || names(*next, text.get(at + 2)),
        Some(b'\\') => matches!(next, b'u' | b'x' | b'\\' | 0),
        _ => false,
    }
}

/// Whether what comes next in another reading may be another byte.
const fn opens(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'=' | b'%' | b'&' | b'\\')
}

/// Whether these may begin the name of a character.
fn names(first: u8, second: Option<&u8>) -> bool {
    let is = |letters: &[u8]| second.is_none_or(|next| opens(*next) || letters.contains(next));
    match first {
        b'a' => is(b"mp"),
        b'l' | b'g' => is(b"t"),
        b'q' => is(b"u"),
        _ => false,
    }
}

/// How many blanks a text begins with, as few as are told fast.
fn blanks(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<32>();
    let blank = |block: &&[u8; 32]| block.iter().fold(0, |most, byte| most.max(*byte)) <= BLANK;
    blocks.iter().take_while(blank).count() * 32
}

/// Whether a byte begins escapes.
const fn begins(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&')
}

/// No reader's escape is longer, in bytes that it has from the reader before; so that of two of them is no
/// longer than twice this.
const APART: usize = 26;

/// Where reading can begin, not behind `at` and not before `floor`: each reader is between two escapes there.
/// `None` where that is not plain to see.
pub(super) fn begin(walls: &Walls, text: &[u8], at: usize, floor: usize) -> Option<usize> {
    let (mut from, mut apart) = (at, 0);
    for (place, &byte) in text.get(floor..at)?.iter().enumerate().rev() {
        let place = floor + place;
        if walls.is(byte) {
            return Some(place + 1);
        }
        if begins(byte) {
            (from, apart) = (place, 0);
        } else if !is_blank(byte) && byte != b'=' {
            apart += 1;
        }
        if apart == APART {
            return Some(from);
        }
    }
    None
}

/// Where reading in full ends that has come to `at`, perhaps in the middle of escapes: behind a wall, or
/// where readers are between escapes and no needle goes over it. With it, before where no needle begins
/// any more. `None` where that is far.
pub(super) fn end(sieve: &Sieve, text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut apart = 0;
    for (place, &byte) in text.get(at..)?.iter().take(LONG).enumerate() {
        let place = at + place;
        if sieve.walls.is(byte) {
            return Some((place + 1, place + 1));
        }
        if begins(byte) {
            apart = 0;
        } else if !is_blank(byte) && byte != b'=' {
            apart += 1;
        }
        let pure = apart >= APART + SAMPLE;
        if pure && !sieve.is_open(text, place + 1 - SAMPLE) {
            return Some((place + 1, place + 2 - SAMPLE));
        }
    }
    None
}
