//! Text in which a needle can be is read; the rest of a piece, most of it as a rule, is passed over.

use super::Found;
use super::finder::Finder;
use super::plain::{PIECE, Room};
use super::sieve::{Sieve, Suspect, begin, end};

/// So many bytes are read at a time where a reader waits for what comes next.
const WAIT: usize = 8;

/// Where suspects are nearer to each other than this, as a rule, all is read. Bytes.
const BETWEEN: usize = 32;

/// So many more there may be.
const SOME: usize = 16;
/// Behind what has many, so much is read in full. Tests have short texts.
const DENSE_BYTES: usize = if cfg!(test) { 32 } else { 1 << 17 };

/// The rooms of both readers.
type Rooms<'r> = (&'r mut Room, &'r mut Room);

impl Finder<'_> {
    /// A needle that ends in `piece`. What was begun before is read on first, and what may go on behind it
    /// is read last.
    pub(super) fn skim(
        &mut self,
        sieve: &Sieve,
        piece: &[u8],
        (once, twice): Rooms<'_>,
    ) -> Option<Found> {
        let end = |at| end(sieve, piece, at);
        let mut skimmed = Skimmed { piece, read: 0 };
        let Some((to, mut at)) = end(0) else {
            *self.unskimmed() = DENSE_BYTES;
            return self.feed_all(piece, (once, twice));
        };
        if let Some(found) = self.read_on(&mut skimmed, to, (&mut *once, &mut *twice)) {
            return Some(found);
        }
        for suspects in 0_usize.. {
            if suspects * BETWEEN > at + SOME * BETWEEN {
                break;
            }
            let (from, to, next) = match sieve.next(piece, at) {
                Suspect::Between(from, to) => (from, to, Some(to + 2 - super::sieve::SAMPLE)),
                Suspect::Escape(from, place) => match end(place) {
                    Some((to, next)) => (from, to, Some(next)),
                    None => (from, piece.len(), None),
                },
                Suspect::Rest(from) => (from, piece.len(), None),
            };
            let found = self.read_apart(&mut skimmed, (from, to), (&mut *once, &mut *twice));
            match (found, next) {
                (None, Some(next)) => at = next,
                (None, None) if piece.len() - from > PIECE => {
                    *self.unskimmed() = DENSE_BYTES;
                    return None;
                }
                (found, _) => return found,
            }
        }
        *self.unskimmed() = DENSE_BYTES;
        self.read_on(&mut skimmed, piece.len(), (once, twice))
    }

    /// Reads what stands between these, and what each reader needs before it.
    fn read_apart(
        &mut self,
        skimmed: &mut Skimmed<'_>,
        (from, to): (usize, usize),
        (once, twice): Rooms<'_>,
    ) -> Option<Found> {
        let walls = self.needles().patterns().walls();
        let Some(begin) = begin(walls, skimmed.piece, from, skimmed.read) else {
            return self.read_on(skimmed, to, (once, twice));
        };
        self.begin_anew();
        skimmed.read = begin;
        let text = skimmed.piece.get(begin..to).unwrap_or_default();
        if text.len() <= PIECE && text.last().is_some_and(|last| walls.is(*last)) {
            skimmed.read = to;
            return self.needles().first_between(text, (once, twice));
        }
        self.read_on(skimmed, to, (once, twice))
    }

    /// Reads on to there, or as far as a reader waits.
    fn read_on(
        &mut self,
        skimmed: &mut Skimmed<'_>,
        to: usize,
        (once, twice): Rooms<'_>,
    ) -> Option<Found> {
        let mut to = to.max(skimmed.read);
        loop {
            let text = skimmed.piece.get(skimmed.read..to).unwrap_or_default();
            let found = self.feed_all(text, (&mut *once, &mut *twice));
            skimmed.read = to;
            if found.is_some() || to == skimmed.piece.len() || !self.is_waiting() {
                return found;
            }
            to = (to + WAIT).min(skimmed.piece.len());
        }
    }
}

/// A piece, and how much of it was read.
struct Skimmed<'p> {
    piece: &'p [u8],
    read: usize,
}
