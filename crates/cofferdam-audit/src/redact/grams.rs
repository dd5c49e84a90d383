//! Many patterns at once, by sampling.
//!
//! Whatever stands in the text as a pattern of `m` bytes or more covers each group of `q` bytes that begins
//! at a multiple of `m - q + 1` bytes within it, of which there is at least one. So only those groups are
//! looked up, in a table that says "perhaps" to few others.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::plain::is_blank;

/// Bits of the smallest table, as an exponent: 8 KiB, which stays in the first cache.
const TABLE_BITS_MIN: u32 = 16;
/// Of the largest: 512 KiB.
const TABLE_BITS_MAX: u32 = 22;
/// 2^32 divided by the golden ratio: spreads neighbouring groups (Knuth, 6.4).
const SPREAD: u32 = 0x9E37_79B1;

/// Where a pattern stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its first byte.
    pub start: usize,
    /// Behind its last one.
    pub end: usize,
    /// Its number, from 0 on in the order that they were given in.
    pub pattern: usize,
}

/// Patterns to search for. Overwritten when they go.
pub struct Patterns {
    patterns: Vec<Zeroizing<Vec<u8>>>,
    /// Length of the shortest and the longest pattern. Bytes.
    shortest: usize,
    longest: usize,
    stride: usize,
    /// Which bytes of four make a group: all, or the first three where patterns are short.
    mask: u32,
    shift: u32,
    /// One bit for each hash of a group.
    table: Vec<u64>,
    /// Groups that samples may show, in order: the group, its pattern, its offset in that.
    groups: Vec<(u32, u32, u32)>,
    /// Bytes that no pattern has, and that are no part of what is read as one of another's bytes.
    walls: Walls,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Patterns").field("count", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        self.table.zeroize();
        self.groups.zeroize();
    }
}

impl Patterns {
    /// All of `patterns`; of fewer than four bytes none is found.
    #[must_use]
    pub fn new(patterns: Vec<Zeroizing<Vec<u8>>>) -> Self {
        let lengths = || patterns.iter().map(|pattern| pattern.len()).filter(|&length| length > 3);
        let (shortest, longest) = (lengths().min().unwrap_or(4), lengths().max().unwrap_or(4));
        let (mask, bytes) = if shortest < 8 { (0x00FF_FFFF, 3) } else { (u32::MAX, 4) };
        let stride = shortest - bytes + 1;
        let mut groups = Vec::new();
        for (number, pattern) in (0_u32..).zip(&patterns) {
            for (offset, group) in (0_u32..).zip(pattern.windows(bytes)).take(stride) {
                groups.push((group_of(group), number, offset));
            }
        }
        groups.sort_unstable();
        // One bit in 64 is set at most, where that fits.
        let bits = (groups.len() * 64).next_power_of_two().trailing_zeros();
        let bits = bits.clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
        let mut table = vec![0_u64; 1 << (bits - 6)];
        let shift = 32 - bits;
        for (group, _, _) in &groups {
            let (word, bit) = place(*group, shift);
            if let Some(word) = table.get_mut(word) {
                *word |= bit;
            }
        }
        let walls = Walls::of(patterns.iter().flat_map(|pattern| pattern.iter().copied()));
        Self { patterns, shortest, longest, stride, mask, shift, table, groups, walls }
    }

    /// Bytes that no pattern goes over, however a text is read.
    pub(super) fn walls(&self) -> &Walls {
        &self.walls
    }

    /// Where the next pattern may stand from `from` on, where a wall is before that or nothing: what lies
    /// between two walls, with the second one, and is long enough.
    pub(super) fn island(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let mut at = from;
        // Looked at from behind: the last wall of those that are in the way is enough.
        while let Some(wall) = self.walls.last(text.get(at..at + self.shortest)?) {
            at += wall + 1;
        }
        let behind = at + self.shortest;
        let end = self.walls.first(text.get(behind..)?);
        Some(at..end.map_or(text.len(), |end| behind + end + 1))
    }

    /// Length of the shortest pattern that is found. Bytes.
    #[must_use]
    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    /// Length of the longest pattern. Bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The pattern of a number.
    #[must_use]
    pub fn get(&self, number: usize) -> &[u8] {
        self.patterns.get(number).map_or(&[], |pattern| pattern)
    }

    /// The hit that begins first, of those the longest, from `from` on.
    #[must_use]
    pub fn find(&self, text: &[u8], from: usize) -> Option<Hit> {
        let mut at = from;
        if text.len().saturating_sub(from) < self.shortest {
            return None;
        }
        let step = self.stride;
        while let Some(window) = text.get(at..).and_then(|rest| rest.get(..step * 3 + 4)) {
            // Four at once: the answer is no as a rule.
            let may = |place: usize| self.group(window, place).is_some_and(|g| self.may_be(g));
            if may(0) | may(step) | may(step * 2) | may(step * 3) {
                for at in [at, at + step, at + step * 2, at + step * 3] {
                    if let Some(hit) = self.look(text, from, at) {
                        return Some(hit);
                    }
                }
            }
            at += step * 4;
        }
        while at + 4 <= text.len() {
            if let Some(hit) = self.look(text, from, at) {
                return Some(hit);
            }
            at += step;
        }
        // A group of three at the very end.
        let group = group_of(text.get(at..)?.first_chunk::<3>()?);
        self.check(text, from, (at, group))
    }

    #[inline]
    fn group(&self, text: &[u8], at: usize) -> Option<u32> {
        let bytes = text.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes) & self.mask)
    }

    /// One sample.
    fn look(&self, text: &[u8], from: usize, at: usize) -> Option<Hit> {
        let group = self.group(text, at).filter(|&group| self.may_be(group))?;
        self.check(text, from, (at, group))
    }

    #[inline]
    fn may_be(&self, group: u32) -> bool {
        let (word, bit) = place(group, self.shift);
        self.table.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The first and longest pattern of which the group at `at` is a part.
    #[cold]
    fn check(&self, text: &[u8], from: usize, (at, group): (usize, u32)) -> Option<Hit> {
        let first = self.groups.partition_point(|row| row.0 < group);
        let same = self.groups.get(first..)?.iter().take_while(|row| row.0 == group);
        let hits = same.filter_map(|&(_, pattern, offset)| {
            let start = at.checked_sub(usize::try_from(offset).ok()?)?;
            let pattern = usize::try_from(pattern).ok()?;
            let bytes = self.get(pattern);
            let end = start + bytes.len();
            (start >= from && text.get(start..end)? == bytes).then_some(Hit { start, end, pattern })
        });
        hits.min_by_key(|hit| (hit.start, usize::MAX - hit.end))
    }
}

/// Bytes that part a text: what stands on both sides of one never makes a pattern, in the text as it is, as
/// a reader of its escapes has it, or as a reader of what that reader has. For readers without sequences of
/// terminals, which may have any bytes in them.
#[derive(Clone, Debug)]
pub(super) struct Walls([bool; 256]);

impl Walls {
    /// Of patterns with these bytes.
    fn of(bytes: impl Iterator<Item = u8>) -> Self {
        let mut walls = [true; 256];
        // What escapes and the ends of lines are made of, and letters of base64: a pattern has a part in its
        // neighbours.
        let read = |byte: u8| {
            byte.is_ascii_alphanumeric() || is_blank(byte) || b"%\\&#;=+/-_".contains(&byte)
        };
        let read = (0..=u8::MAX).filter(|&byte| read(byte));
        for byte in bytes.chain(read) {
            if let Some(wall) = walls.get_mut(usize::from(byte)) {
                *wall = false;
            }
        }
        Self(walls)
    }

    #[inline]
    pub(super) fn is(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// One of them that is no control character, where there is one.
    pub(super) fn one(&self) -> Option<u8> {
        (b'!'..=u8::MAX).find(|byte| self.is(*byte))
    }

    /// The place of the first one.
    #[inline]
    pub(super) fn first(&self, text: &[u8]) -> Option<usize> {
        text.iter().position(|byte| self.is(*byte))
    }

    /// The place of the last one.
    #[inline]
    pub(super) fn last(&self, text: &[u8]) -> Option<usize> {
        text.iter().rposition(|byte| self.is(*byte))
    }
}

/// The first four bytes, or three and a zero.
fn group_of(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |group, &byte| (group << 8) | u32::from(byte))
}

/// Word and bit of a group in the table.
#[inline]
fn place(group: u32, shift: u32) -> (usize, u64) {
    let hash = group.wrapping_mul(SPREAD) >> shift;
    (usize::try_from(hash >> 6).unwrap_or_default(), 1 << (hash & 63))
}

/// A stream in which patterns are looked for, piece by piece: its end is kept, no longer than a pattern.
#[derive(Debug, Default)]
pub(super) struct Follow {
    tail: Zeroizing<Vec<u8>>,
}

impl Follow {
    /// The first hit that ends in `piece`.
    pub(super) fn feed(&mut self, patterns: &Patterns, piece: &[u8]) -> Option<Hit> {
        let kept = patterns.longest() - 1;
        let old = self.tail.len();
        if old > 0 {
            let (begin, _) = piece.split_at(piece.len().min(kept));
            self.tail.extend_from_slice(begin);
            if let Some(hit) = patterns.find(&self.tail, 0) {
                return Some(hit);
            }
        }
        let hit = patterns.find(piece, 0);
        self.tail.truncate(old);
        self.remember(patterns, piece);
        hit
    }

    /// Passes over `piece`, in which there is nothing to find.
    pub(super) fn pass(&mut self, patterns: &Patterns, piece: &[u8]) -> Option<Hit> {
        self.remember(patterns, piece);
        None
    }

    /// Nothing to find goes further back.
    pub(super) fn clear(&mut self) {
        self.tail.clear();
    }

    /// Begins with `piece`: nothing to find goes further back.
    pub(super) fn restart(&mut self, patterns: &Patterns, piece: &[u8]) {
        self.tail.clear();
        self.remember(patterns, piece);
    }

    fn remember(&mut self, patterns: &Patterns, piece: &[u8]) {
        let kept = patterns.longest() - 1;
        let (_, end) = piece.split_at(piece.len().saturating_sub(kept));
        let over = (self.tail.len() + end.len()).saturating_sub(kept).min(self.tail.len());
        self.tail.drain(..over);
        self.tail.extend_from_slice(end);
    }
}
