//! Whether a stream holds a needle, however it is cut, escaped or broken into lines.

use super::Found;
use super::grams::{Follow, Hit};
use super::needles::Needles;
use super::plain::{PIECE, Plain, Room, Splits, is_plain};

/// Looks for needles in one stream, in three views of it at once: as it is, as a reader of its escapes has
/// it, and as a reader of what that reader has. It keeps of the stream no more than three times the longest
/// form of a needle.
#[derive(Debug)]
pub struct Finder<'n> {
    needles: &'n Needles,
    raw: Follow,
    /// So many bytes came since anything but blanks was read as something else.
    even: usize,
    once: View,
    twice: View,
    /// So many bytes of the second view are those of the first, or nothing to find goes further back.
    clean: usize,
    /// So many bytes that come next are read in full: what came had much in it that may be of needles.
    unskimmed: usize,
}

impl<'n> Finder<'n> {
    /// For a stream of which nothing has come.
    #[must_use]
    pub fn new(needles: &'n Needles) -> Self {
        let (even, clean) = (needles.patterns().longest(), needles.patterns().longest());
        let (once, twice) = (View::new(), View::new());
        Self { needles, raw: Follow::default(), even, once, twice, clean, unskimmed: 0 }
    }

    /// A needle that ends in `piece`, where there is one.
    pub fn feed(&mut self, piece: &[u8]) -> Option<Found> {
        let (mut once, mut twice) = (Room::new(), Room::new());
        let is_dense = self.unskimmed > 0 || self.walls_near(piece) > NEAR_BYTES / 2;
        self.unskimmed = self.unskimmed.saturating_sub(piece.len());
        match self.needles.sieve().filter(|_| piece.len() >= SKIM_BYTES_MIN && !is_dense) {
            Some(sieve) => self.skim(sieve, piece, (&mut once, &mut twice)),
            None => self.feed_all(piece, (&mut once, &mut twice)),
        }
    }

    /// The same, without a look at what can be passed over.
    pub(super) fn feed_all(
        &mut self,
        piece: &[u8],
        (once, twice): (&mut Room, &mut Room),
    ) -> Option<Found> {
        piece.chunks(PIECE).find_map(|piece| self.look_between(piece, (&mut *once, &mut *twice)))
    }

    /// How many walls are at the beginning.
    fn walls_near(&self, piece: &[u8]) -> usize {
        let walls = self.needles.patterns().walls();
        piece.iter().take(NEAR_BYTES).filter(|byte| walls.is(**byte)).count()
    }

    /// So many bytes are to be read in full.
    pub(super) fn unskimmed(&mut self) -> &mut usize {
        &mut self.unskimmed
    }

    /// Whether a reader waits for what comes next.
    pub(super) fn is_waiting(&self) -> bool {
        self.once.plain.is_waiting() || self.twice.plain.is_waiting()
    }

    /// What is looked for.
    pub(super) fn needles(&self) -> &'n Needles {
        self.needles
    }

    /// What lies before the first wall belongs to what came, what is behind the last one to what comes; what
    /// is between any two is whole.
    fn look_between(
        &mut self,
        piece: &[u8],
        (once, twice): (&mut Room, &mut Room),
    ) -> Option<Found> {
        let walls = self.needles.patterns().walls();
        let near = piece.first_chunk::<NEAR_BYTES>();
        let many = near.filter(|near| {
            near.iter().filter(|byte| walls.is(**byte)).count() >= NEAR_BYTES * 3 / 8
        });
        let ends = many.and_then(|near| Some((walls.first(near)?, walls.last(piece)?)));
        let Some((first, last)) = ends else { return self.look(piece, once, twice) };
        let (front, rest) = piece.split_at(first + 1);
        if let Some(found) = self.look(front, once, twice) {
            return Some(found);
        }
        let (middle, end) = rest.split_at(last - first);
        let mut at = 0;
        while let Some(island) = self.needles.patterns().island(middle, at) {
            at = island.end;
            let island = middle.get(island).unwrap_or_default();
            if let Some(found) = self.needles.first_between(island, (once, twice)) {
                return Some(found);
            }
        }
        self.begin_anew();
        if end.is_empty() { None } else { self.look(end, once, twice) }
    }

    /// As if nothing had come.
    pub(super) fn begin_anew(&mut self) {
        let longest = self.needles.patterns().longest();
        (self.even, self.clean) = (longest, longest);
        self.raw.clear();
        self.once.clear();
        self.twice.clear();
    }

    /// The same at the end of the stream: what might have gone on as an escape did not.
    pub fn finish(&mut self) -> Option<Found> {
        let patterns = self.needles.patterns();
        let (mut once, mut twice) = (Room::new(), Room::new());
        self.once.plain.finish(&mut once);
        self.twice.plain.feed(once.bytes(), &mut twice);
        self.twice.plain.finish(&mut twice);
        let first = self.once.follow.feed(patterns, once.bytes());
        let hit = first.or_else(|| self.twice.follow.feed(patterns, twice.bytes()))?;
        self.needles.told(hit)
    }

    fn look(&mut self, piece: &[u8], once: &mut Room, twice: &mut Room) -> Option<Found> {
        let patterns = self.needles.patterns();
        once.clear();
        let waiting = self.once.plain.is_waiting();
        self.once.plain.feed(piece, once);
        let once = once.bytes();
        let first = self.once.follow.feed(patterns, once);
        // Of what only lost blanks the first reader has all that there is to find.
        let changed = self.once.plain.has_changed() || waiting || self.once.plain.is_waiting();
        let near = changed || self.even < patterns.longest();
        let raw =
            if near { self.raw.feed(patterns, piece) } else { self.raw.pass(patterns, piece) };
        self.even = if changed { 0 } else { self.even.saturating_add(piece.len()) };
        let second = self.look_again(once, twice);
        self.needles.told(raw.or(first).or(second)?)
    }

    /// What the second reader has. The first one left no blanks.
    fn look_again(&mut self, once: &[u8], room: &mut Room) -> Option<Hit> {
        let patterns = self.needles.patterns();
        let View { plain, follow } = &mut self.twice;
        let far = self.clean >= patterns.longest();
        let waits = plain.is_waiting() || once.ends_with(b"=");
        if !waits && plain.escape(once).is_none() {
            self.clean = self.clean.saturating_add(once.len());
            return if far { follow.pass(patterns, once) } else { follow.feed(patterns, once) };
        }
        if !waits
            && far
            && let Some(rest) = self.needles.apart(once, plain)
        {
            follow.restart(patterns, rest);
            return None;
        }
        room.clear();
        plain.feed(once, room);
        self.clean = 0;
        follow.feed(patterns, room.bytes())
    }
}

impl Needles {
    /// A needle in a text that is whole: what a [`Finder`] says that is fed all of it, and its end.
    #[must_use]
    pub fn first_in(&self, text: &[u8]) -> Option<Found> {
        // No reader has more than there is.
        if text.len() < self.patterns().shortest() {
            return None;
        }
        if is_plain(text, Splits::Blanks) && text.len() <= PIECE {
            return self.patterns().find(text, 0).and_then(|hit| self.told(hit));
        }
        let mut finder = Finder::new(self);
        finder.feed(text).or_else(|| finder.finish())
    }
}

impl Needles {
    /// A needle in what lies between two walls, with the second one; at most [`PIECE`] bytes.
    pub(super) fn first_between(
        &self,
        text: &[u8],
        (once, twice): (&mut Room, &mut Room),
    ) -> Option<Found> {
        let patterns = self.patterns();
        if let Some(hit) = patterns.find(text, 0) {
            return self.told(hit);
        }
        if is_plain(text, Splits::Blanks) {
            return None;
        }
        let hit = reread(text, once).then(|| patterns.find(once.bytes(), 0)).flatten();
        let again =
            || reread(once.bytes(), twice).then(|| patterns.find(twice.bytes(), 0)).flatten();
        self.told(hit.or_else(again)?)
    }
}

/// Whether a reader of its escapes has all of a text as something else; that is in `room` then.
fn reread(text: &[u8], room: &mut Room) -> bool {
    let mut plain = Plain::new(Splits::Blanks);
    room.clear();
    plain.feed(text, room);
    plain.finish(room);
    room.bytes() != text
}

/// Of fewer bytes all are looked at. Tests have short texts.
const SKIM_BYTES_MIN: usize = if cfg!(test) { 8 } else { 256 };
/// So many bytes tell whether there are many walls: little is left between them to be looked at. Where there
/// are few, it is faster to look at everything at once.
const NEAR_BYTES: usize = 64;

/// A reader of escapes, and what it has.
#[derive(Debug)]
struct View {
    plain: Plain,
    follow: Follow,
}

impl View {
    fn new() -> Self {
        Self { plain: Plain::new(Splits::Blanks), follow: Follow::default() }
    }

    fn clear(&mut self) {
        self.plain.clear();
        self.follow.clear();
    }
}
