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
}

impl<'n> Finder<'n> {
    /// For a stream of which nothing has come.
    #[must_use]
    pub fn new(needles: &'n Needles) -> Self {
        let (even, clean) = (needles.patterns().longest(), needles.patterns().longest());
        let (once, twice) = (View::new(), View::new());
        Self { needles, raw: Follow::default(), even, once, twice, clean }
    }

    /// A needle that ends in `piece`, where there is one.
    pub fn feed(&mut self, piece: &[u8]) -> Option<Found> {
        let (mut once, mut twice) = (Room::new(), Room::new());
        piece.chunks(PIECE).find_map(|piece| self.look(piece, &mut once, &mut twice))
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
}
