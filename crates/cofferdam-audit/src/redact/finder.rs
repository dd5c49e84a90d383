//! Whether a stream holds a needle, however it is cut, escaped or broken into lines.

use super::Found;
use super::grams::Follow;
use super::needles::Needles;
use super::plain::{PIECE, Plain, Room, Splits, is_plain};

/// Looks for needles in one stream, in three views of it at once: as it is, as a reader of its escapes has
/// it, and as a reader of what that reader has. It keeps of the stream no more than three times the longest
/// form of a needle.
#[derive(Debug)]
pub struct Finder<'n> {
    needles: &'n Needles,
    raw: Follow,
    once: View,
    twice: View,
}

impl<'n> Finder<'n> {
    /// For a stream of which nothing has come.
    #[must_use]
    pub fn new(needles: &'n Needles) -> Self {
        let clean = needles.patterns().longest();
        Self { needles, raw: Follow::default(), once: View::new(clean), twice: View::new(clean) }
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
        self.once.plain.feed(piece, once);
        let once = once.bytes();
        let raw = self.raw.feed(patterns, piece);
        let first = self.once.follow.feed(patterns, once);
        // There are no blanks any more; without an escape the second reader has what the first one has.
        let View { plain, follow, clean } = &mut self.twice;
        let same = !plain.is_waiting() && !once.ends_with(b"=") && plain.escape(once).is_none();
        let second = if same && *clean >= patterns.longest() {
            follow.remember(patterns, once);
            None
        } else {
            twice.clear();
            plain.feed(once, twice);
            follow.feed(patterns, twice.bytes())
        };
        *clean = if same { clean.saturating_add(once.len()) } else { 0 };
        self.needles.told(raw.or(first).or(second)?)
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
    /// So many bytes at the end are those that the reader was given. Bytes.
    clean: usize,
}

impl View {
    fn new(clean: usize) -> Self {
        Self { plain: Plain::new(Splits::Blanks), follow: Follow::default(), clean }
    }
}
