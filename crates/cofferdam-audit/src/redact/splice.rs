//! Puts something else where a pattern stands in a stream, and withholds no more than may be the beginning
//! of one.

use zeroize::Zeroizing;

use super::grams::{Follow, Hit, Patterns};
use super::plain::{PIECE, Plain, Room, Splits, is_of_escapes, is_plain};
use super::tokens::{Tokens, write};

/// Fewest bytes that may be withheld, however little the patterns need.
const HELD_BYTES_MIN: usize = 4_096;
/// A byte takes no more than these when it is escaped: `\u0041`, `&#x0041;`.
const ESCAPED_BYTES: usize = 8;
/// Texts of fewer bytes are read slowly at once: the quick look costs more.
const QUICK_BYTES_MIN: usize = 512;
/// So far into a text a wall is looked for: where there is none, there may be none at all. Bytes.
const NEAR_BYTES: usize = 256;
/// More than a pattern is read slowly at the end of a text: there are blanks. Bytes.
const SLACK_BYTES: usize = 64;

/// Bits of a letter of base64 that a secret shares with its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which of its six bits are the secret's.
    pub mask: u8,
    /// What they are.
    pub real: u8,
    /// What is put there.
    pub put: u8,
}

/// What to look for and what to put there.
pub struct Form {
    /// What to look for.
    pub real: Zeroizing<Vec<u8>>,
    /// What to put there, byte for byte; nothing of it, but a fixed text, where this is `None`.
    pub put: Option<Zeroizing<Vec<u8>>>,
    /// What of the letter before is the secret's, where that is to be another.
    pub lead: Option<Edge>,
    /// The same of the letter behind.
    pub trail: Option<Edge>,
}

impl Form {
    /// Without a part in other letters.
    pub(super) fn plain(real: Zeroizing<Vec<u8>>, put: Zeroizing<Vec<u8>>) -> Self {
        Self { real, put: Some(put), lead: None, trail: None }
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Form").finish_non_exhaustive()
    }
}

/// Forms, ready to be searched for.
#[derive(Debug)]
pub struct Forms {
    pub(super) patterns: Patterns,
    rows: Vec<Row>,
    /// Numbers of the patterns that begin with a byte.
    firsts: Vec<Vec<usize>>,
    /// Numbers of those that have a part in the letter before.
    leading: Vec<usize>,
    splits: Splits,
    /// What is put where a form says nothing.
    text: &'static [u8],
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) put: Option<Zeroizing<Vec<u8>>>,
    pub(super) lead: Option<Edge>,
    pub(super) trail: Option<Edge>,
    /// So many bytes at the beginning are put as they are.
    same: usize,
}

impl Forms {
    /// All of `forms`, each of four bytes or more; `text` stands for what has nothing to put there.
    #[must_use]
    pub fn new(forms: Vec<Form>, splits: Splits, text: &'static [u8]) -> Self {
        let (mut patterns, mut rows) = (Vec::new(), Vec::new());
        for Form { real, put, lead, trail } in forms {
            let pairs = put.iter().flat_map(|put| real.iter().zip(put.iter()));
            let same = pairs.take_while(|(real, put)| real == put).count();
            patterns.push(real);
            rows.push(Row { put, lead, trail, same });
        }
        let patterns = Patterns::new(patterns);
        let mut firsts = vec![Vec::new(); 256];
        for number in 0..rows.len() {
            let first = patterns.get(number).first().map_or(0, |byte| usize::from(*byte));
            firsts.get_mut(first).into_iter().for_each(|numbers: &mut Vec<_>| numbers.push(number));
        }
        let leads = rows.iter().enumerate().filter(|(_, row)| row.lead.is_some());
        let leading = leads.map(|(number, _)| number).collect();
        Self { patterns, rows, firsts, leading, splits, text }
    }

    /// Where neither a text nor what a reader of its escapes has holds a pattern: where the reading of what
    /// stands at `split` begins. Nothing was read before.
    fn quiet(&self, text: &[u8], split: usize) -> Option<usize> {
        let front = text.get(..split).unwrap_or(text);
        if self.splits == Splits::Sequences {
            let quiet = self.is_quiet(text);
            return quiet.then(|| Tokens::boundary(front, front.len(), self.splits));
        }
        let (near, _) = text.split_at(text.len().min(NEAR_BYTES));
        if self.patterns.walls().first(near).is_none() {
            // There may be none at all.
            self.is_quiet(text).then_some(())?;
        } else {
            let mut at = 0;
            while let Some(island) = self.patterns.island(text, at) {
                at = island.end;
                self.is_quiet(text.get(island).unwrap_or_default()).then_some(())?;
            }
        }
        // No escape goes on behind what is no part of one.
        let apart = front.iter().rposition(|byte| !is_of_escapes(*byte)).map_or(0, |at| at + 1);
        let behind = front.get(apart..).unwrap_or_default();
        Some(apart + Tokens::boundary(behind, behind.len(), self.splits))
    }

    /// Where the last wall of a text ends: nothing that may become a pattern begins before.
    fn walled(&self, text: &[u8]) -> Option<usize> {
        let wall = || self.patterns.walls().last(text).map(|wall| wall + 1);
        (self.splits == Splits::Blanks).then(wall).flatten()
    }

    /// Whether neither a text nor what a reader of its escapes has holds a pattern.
    fn is_quiet(&self, text: &[u8]) -> bool {
        if self.patterns.find(text, 0).is_some() {
            return false;
        }
        if self.splits == Splits::Blanks && is_plain(text, self.splits) {
            return true;
        }
        let (mut plain, mut follow) = (Plain::new(self.splits), Follow::default());
        let mut room = Room::new();
        for piece in text.chunks(PIECE) {
            room.clear();
            plain.feed(piece, &mut room);
            if follow.feed(&self.patterns, room.bytes()).is_some() {
                return false;
            }
        }
        room.clear();
        plain.finish(&mut room);
        follow.feed(&self.patterns, room.bytes()).is_none()
    }
}

impl Forms {
    /// Whether a text that is whole holds a pattern.
    #[must_use]
    pub fn are_in(&self, text: &[u8]) -> bool {
        // No reader has more than there is.
        if text.len() < self.patterns.shortest() {
            return false;
        }
        if is_plain(text, self.splits) {
            return self.patterns.find(text, 0).is_some();
        }
        self.quiet(text, 0).is_none()
    }
}

/// Where what may become a pattern begins, and how far it may be given out already. Bytes of the text.
#[derive(Clone, Copy, Debug)]
struct Live {
    start: usize,
    safe: usize,
}

/// A pattern in the text. Bytes of the text, and the bytes as they were read where that is not the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) pattern: usize,
    pub(super) read: Option<Hit>,
    /// Letters before the pattern that it has a part in: none or one.
    pub(super) led: usize,
}

/// One stream.
#[derive(Debug, Default)]
pub struct Splice {
    held: Zeroizing<Vec<u8>>,
    /// So many of these were given out.
    given: usize,
    changed: bool,
}

impl Splice {
    /// Bytes that came and were not given out.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.held.len() - self.given
    }

    /// Whether what was given out is longer or shorter than what came.
    #[must_use]
    pub fn changes_length(&self) -> bool {
        self.changed
    }

    /// Appends to `out` what can be told of the stream so far; `found` hears the number of each pattern.
    pub fn feed(
        &mut self,
        forms: &Forms,
        piece: &[u8],
        out: &mut Vec<u8>,
        found: &mut dyn FnMut(usize),
    ) {
        let mut joined = std::mem::take(&mut self.held);
        let text = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            &joined
        };
        let split = text.len().saturating_sub(forms.patterns.longest() + SLACK_BYTES);
        let quiet = (text.len() >= QUICK_BYTES_MIN).then(|| forms.quiet(text, split)).flatten();
        let tail = match quiet {
            Some(from) => self.pass(forms, text, from, out),
            None => self.pass_slowly(forms, text, Until::Now, (out, found)),
        };
        self.held = Zeroizing::new(text.get(tail..).unwrap_or_default().to_vec());
        let most = HELD_BYTES_MIN.max(ESCAPED_BYTES * forms.patterns.longest());
        if self.pending() > most {
            self.flush(forms, out, found);
        }
    }

    /// Gives out the rest: nothing comes any more, or whoever writes rests.
    pub fn flush(&mut self, forms: &Forms, out: &mut Vec<u8>, found: &mut dyn FnMut(usize)) {
        let text = std::mem::take(&mut self.held);
        self.pass_slowly(forms, &text, Until::End, (out, found));
        self.given = 0;
    }

    /// Passes what holds no pattern, to be read from `from` on; where what may become one begins.
    fn pass(&mut self, forms: &Forms, text: &[u8], from: usize, out: &mut Vec<u8>) -> usize {
        let wall = forms.walled(text.get(from..).unwrap_or_default()).map_or(0, |wall| from + wall);
        let mut from = from.max(wall);
        let tokens = loop {
            let tail = text.get(from..).unwrap_or_default();
            let tokens = Tokens::of(tail, forms.splits, Until::Now);
            if from == wall || tokens.bytes.len() > forms.patterns.longest() {
                break tokens;
            }
            // Many blanks or escapes: from further back.
            let much = tail.len().saturating_mul(8);
            from = Tokens::boundary(text, text.len().saturating_sub(much), forms.splits).max(wall);
        };
        let tail = text.get(from..).unwrap_or_default();
        let lives = forms.lives(tail, &tokens);
        let start = lives.iter().map(|live| live.start + from).min().unwrap_or(text.len());
        let safe = lives.iter().map(|live| live.safe + from).min().unwrap_or(text.len());
        let safe = safe.max(self.given);
        out.extend_from_slice(text.get(self.given..safe).unwrap_or_default());
        self.given = safe - start.min(safe);
        start.min(safe)
    }

    fn pass_slowly(
        &mut self,
        forms: &Forms,
        text: &[u8],
        until: Until,
        (out, found): (&mut Vec<u8>, &mut dyn FnMut(usize)),
    ) -> usize {
        let tokens = Tokens::of(text, forms.splits, until);
        let mut lives = match until {
            Until::Now => forms.lives(text, &tokens),
            Until::End => Vec::new(),
        };
        let (mut at, mut given) = (0, self.given);
        while let Some(stand) = forms.next(text, &tokens, at) {
            let open = forms.is_open(&tokens, &stand) && until == Until::Now;
            if open {
                lives.push(Live { start: stand.start, safe: stand.start.max(given) });
            }
            if open || lives.iter().any(|live| (at..=stand.start).contains(&live.start)) {
                break;
            }
            found(stand.pattern);
            out.extend_from_slice(text.get(given.max(at)..stand.start).unwrap_or_default());
            let mut put = Zeroizing::new(Vec::new());
            write(forms, text, (&tokens, &stand), &mut put);
            self.changed |= put.len() != stand.end - stand.start;
            // What was given out is the same in both.
            let already = given.saturating_sub(stand.start);
            out.extend_from_slice(put.get(already..).unwrap_or_default());
            at = stand.end;
            given = given.max(at);
        }
        let lives = || lives.iter().filter(|live| live.start >= at);
        let start = lives().map(|live| live.start).min().unwrap_or(text.len());
        let safe = lives().map(|live| live.safe).min().unwrap_or(text.len()).max(given);
        out.extend_from_slice(text.get(given.max(at)..safe).unwrap_or_default());
        self.given = safe - start.min(safe);
        start.min(safe)
    }
}

/// How much of a text there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// More may come.
    Now,
    /// That was all.
    End,
}

impl Forms {
    pub(super) fn row(&self, number: usize) -> Option<&Row> {
        self.rows.get(number)
    }

    pub(super) fn text(&self) -> &'static [u8] {
        self.text
    }

    /// The pattern that begins first at `at` or later, as it is or as it is read.
    fn next(&self, text: &[u8], tokens: &Tokens, at: usize) -> Option<Stand> {
        let raw = self.patterns.find(text, at);
        let raw = raw.map(|Hit { start, end, pattern }| Stand {
            start,
            end,
            pattern,
            read: None,
            led: 0,
        });
        let mut from = tokens.first_from(at);
        let read = loop {
            let Some(hit) = self.patterns.find(&tokens.bytes, from) else { break None };
            if tokens.is_whole(hit.start, hit.end) {
                break self.stand(tokens, hit, at);
            }
            from = hit.start + 1;
        };
        match (raw, read) {
            // The longer one where both begin together; read, where they are the same.
            (Some(raw), Some(read)) => {
                let raw_first = (raw.start, read.end) < (read.start, raw.end);
                Some(if raw_first { raw } else { read })
            }
            (raw, read) => raw.or(read),
        }
    }

    /// Where a hit stands in the text, with the letters that it has a part in.
    fn stand(&self, tokens: &Tokens, hit: Hit, at: usize) -> Option<Stand> {
        let row = self.row(hit.pattern)?;
        let has = |edge: Option<Edge>, place: Option<usize>| {
            let byte = tokens.bytes.get(place?)?;
            edge?.is_of(*byte).then_some(())
        };
        let before = hit
            .start
            .checked_sub(1)
            .filter(|&place| tokens.is_whole(place, hit.end) && tokens.span(place).0 >= at);
        let led = usize::from(has(row.lead, before).is_some());
        let start = hit.start - led;
        let behind = Some(hit.end).filter(|&place| tokens.is_whole(hit.start, place + 1));
        let end = hit.end + usize::from(has(row.trail, behind).is_some());
        let read = Hit { start, end, pattern: hit.pattern };
        let (start, end) = (tokens.span(start).0, tokens.span(end - 1).1);
        Some(Stand { start, end, pattern: hit.pattern, read: Some(read), led })
    }

    /// Whether the letter behind is still to come.
    fn is_open(&self, tokens: &Tokens, stand: &Stand) -> bool {
        let waits = self.row(stand.pattern).is_some_and(|row| row.trail.is_some());
        let ends = stand.read.is_some_and(|read| tokens.ends().any(|end| end == read.end));
        waits && ends && !tokens.ends_walled()
    }

    /// What may become a pattern when more comes.
    fn lives(&self, text: &[u8], tokens: &Tokens) -> Vec<Live> {
        let mut lives = Vec::new();
        // As it is.
        let kept = self.patterns.longest() - 1;
        for start in text.len().saturating_sub(kept)..text.len() {
            for (_, same) in self.begun(text.get(start..).unwrap_or_default()) {
                lives.push(Live { start: tokens.token_at(start), safe: start + same });
            }
        }
        // As it is read. A piece of an escape may be any byte.
        if tokens.rest < text.len() {
            lives.push(Live { start: tokens.rest, safe: tokens.rest });
        }
        if !tokens.ends_walled() {
            tokens.ends().for_each(|end| self.lives_read(tokens, end, &mut lives));
        }
        lives
    }

    /// Of the bytes before `end` as they are read.
    fn lives_read(&self, tokens: &Tokens, end: usize, lives: &mut Vec<Live>) {
        let held = |place: usize| {
            let start = tokens.span(place).0;
            Live { start, safe: start }
        };
        for start in end.saturating_sub(self.patterns.longest() - 1)..end {
            if !tokens.is_whole(start, end) {
                continue;
            }
            for (number, same) in self.begun(tokens.bytes.get(start..end).unwrap_or_default()) {
                let before = start.checked_sub(1).filter(|&before| {
                    let letter = tokens.bytes.get(before).copied().unwrap_or_default();
                    let lead = self.row(number).and_then(|row| row.lead);
                    tokens.is_whole(before, end) && lead.is_some_and(|lead| lead.is_of(letter))
                });
                let safe = (start + same).checked_sub(1).map_or(0, |last| tokens.span(last).1);
                let Live { start, .. } = held(start);
                lives.push(before.map_or(Live { start, safe: safe.max(start) }, held));
            }
        }
        if let Some(last) = end.checked_sub(1) {
            let byte = tokens.bytes.get(last).copied().unwrap_or_default();
            let mut leads = self.leading.iter().filter_map(|&number| self.row(number)?.lead);
            if leads.any(|lead| lead.is_of(byte)) {
                lives.push(held(last));
            }
        }
    }

    /// Patterns that begin with all of `bytes`, and how much of that is put as it is.
    fn begun<'f>(&'f self, bytes: &'f [u8]) -> impl Iterator<Item = (usize, usize)> + 'f {
        let first = bytes.first().and_then(|first| self.firsts.get(usize::from(*first)));
        let begun = first.into_iter().flatten().filter(move |&&number| {
            let pattern = self.patterns.get(number);
            pattern.len() > bytes.len() && pattern.starts_with(bytes)
        });
        begun.map(move |&number| {
            (number, self.row(number).map_or(0, |row| row.same).min(bytes.len()))
        })
    }
}

impl Edge {
    /// Whether a letter's bits are the secret's.
    fn is_of(self, letter: u8) -> bool {
        value(letter).is_some_and(|value| value & self.mask == self.real)
    }

    /// The letter with other bits.
    pub(super) fn apply(self, letter: u8) -> u8 {
        let Some(value) = value(letter) else { return letter };
        let url = matches!(letter, b'-' | b'_');
        match (value & !self.mask) | self.put {
            value @ 0..26 => b'A' + value,
            value @ 26..52 => b'a' + value - 26,
            value @ 52..62 => b'0' + value - 52,
            62 if url => b'-',
            62 => b'+',
            _ if url => b'_',
            _ => b'/',
        }
    }
}

/// What a letter of base64 stands for, in either alphabet.
fn value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
