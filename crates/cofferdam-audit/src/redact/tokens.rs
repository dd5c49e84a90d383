//! A text read plainly, of which each byte is known where it came from; and how what is put there is
//! written.

use zeroize::Zeroizing;

use super::plain::{Plain, Read, Room, Splits, is_blank, read};
use super::splice::{Forms, Stand, Until};

/// Bytes as they are read, blanks dropped.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Where each came from. Bytes of the text, from and to. Of a character of several bytes, the first has
    /// all and the others none.
    spans: Vec<(usize, usize)>,
    /// Where escapes and sequences stand that are read as nothing. In order.
    dropped: Vec<(usize, usize)>,
    /// Bytes before which a line was empty: nothing is broken there. In order.
    walls: Vec<usize>,
    /// Where the beginning of an escape was left, or the text's length.
    pub(super) rest: usize,
}

impl Tokens {
    pub(super) fn of(text: &[u8], splits: Splits, until: Until) -> Self {
        let mut tokens = Self { rest: text.len(), ..Self::default() };
        let (mut at, mut lines) = (0, (0_u32, 0_u32));
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (taken, read) = match read(rest, splits) {
                Read::Short if until == Until::Now => {
                    tokens.rest = at;
                    break;
                }
                Read::Short => (1, rest.first().copied()),
                Read::Byte(taken, byte) => (taken, Some(byte)),
                Read::Char(taken, char) => {
                    tokens.char(char, (at, at + taken));
                    (lines, at) = ((0, 0), at + taken);
                    continue;
                }
                Read::Nothing(taken) => (taken, None),
            };
            match read {
                Some(byte) if is_blank(byte) => {
                    tokens.drop_long(at, taken);
                    lines.0 += u32::from(byte == b'\n');
                    lines.1 += u32::from(byte == b'\r');
                    if lines == (1, 0) || lines == (0, 1) {
                        tokens.end_softly();
                    }
                    if lines.0.max(lines.1) == 2 {
                        tokens.walls.push(tokens.bytes.len());
                    }
                }
                Some(byte) => {
                    lines = (0, 0);
                    tokens.bytes.push(byte);
                    tokens.spans.push((at, at + taken));
                }
                None => tokens.drop_long(at, taken),
            }
            at += taken;
        }
        tokens
    }

    fn char(&mut self, char: char, (from, to): (usize, usize)) {
        for (place, byte) in char.encode_utf8(&mut [0; 4]).bytes().enumerate() {
            self.bytes.push(byte);
            self.spans.push(if place == 0 { (from, to) } else { (to, to) });
        }
    }

    /// A line ends: a `=` before it belongs to that.
    fn end_softly(&mut self) {
        if self.bytes.last() == Some(&b'=') {
            self.bytes.pop();
            let (from, to) = self.spans.pop().unwrap_or_default();
            // What stood between was dropped before.
            let place = self.dropped.partition_point(|span| span.0 < from);
            self.dropped.insert(place, (from, to));
        }
    }

    fn drop_long(&mut self, at: usize, taken: usize) {
        if taken > 1 {
            self.dropped.push((at, at + taken));
        }
    }

    /// Where the reading of what stands at `split` begins.
    pub(super) fn boundary(text: &[u8], split: usize, splits: Splits) -> usize {
        let mut plain = Plain::new(splits);
        let mut room = Room::new();
        for piece in text.get(..split).unwrap_or_default().chunks(super::plain::PIECE) {
            room.clear();
            plain.feed(piece, &mut room);
        }
        split - plain.held()
    }

    /// Where a byte came from; of none, the end.
    pub(super) fn span(&self, place: usize) -> (usize, usize) {
        self.spans.get(place).copied().unwrap_or((self.rest, self.rest))
    }

    /// The first byte that came from `at` or later.
    pub(super) fn first_from(&self, at: usize) -> usize {
        self.spans.partition_point(|span| span.0 < at)
    }

    /// Where what `at` is a part of begins.
    pub(super) fn token_at(&self, at: usize) -> usize {
        let within = |spans: &[(usize, usize)]| {
            let place = spans.partition_point(|span| span.0 <= at);
            let span = place.checked_sub(1).and_then(|place| spans.get(place));
            span.filter(|span| span.1 > at).map(|span| span.0)
        };
        within(&self.spans).or_else(|| within(&self.dropped)).unwrap_or(at)
    }

    /// Whether no empty line stands between these bytes.
    pub(super) fn is_whole(&self, from: usize, to: usize) -> bool {
        let first = self.walls.partition_point(|&wall| wall <= from);
        self.walls.get(first).is_none_or(|&wall| wall >= to)
    }

    /// Where the bytes end: a `=` at the end may not be one of them, when a line ends.
    pub(super) fn ends(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.bytes.len();
        count.saturating_sub(usize::from(self.bytes.ends_with(b"=")))..=count
    }

    /// Whether an empty line stands at the end.
    pub(super) fn ends_walled(&self) -> bool {
        self.walls.last().is_some_and(|&wall| wall == self.bytes.len())
    }
}

/// What is put where a pattern stands.
pub(super) fn write(
    forms: &Forms,
    text: &[u8],
    (tokens, stand): (&Tokens, &Stand),
    out: &mut Vec<u8>,
) {
    let row = forms.row(stand.pattern);
    match (row.and_then(|row| row.put.as_ref()), stand.read) {
        (None, read) => {
            out.extend_from_slice(forms.text());
            let places = read.map_or(0..0, |read| read.start..read.end);
            // Sequences within go on to mean what they do.
            for gap in gaps(text, tokens, places).filter(|gap| gap.starts_with(&[ESCAPE])) {
                out.extend_from_slice(gap);
            }
        }
        (Some(put), None) => out.extend_from_slice(put),
        (Some(put), Some(read)) => {
            let lead = row.and_then(|row| row.lead).filter(|_| stand.led > 0);
            let trail = row.and_then(|row| row.trail);
            let old = tokens.bytes.get(read.start..read.end).unwrap_or_default();
            let new: Zeroizing<Vec<u8>> = Zeroizing::new(
                (0..old.len())
                    .zip(old)
                    .map(|(place, &byte)| match place.checked_sub(stand.led) {
                        None => lead.map_or(byte, |lead| lead.apply(byte)),
                        Some(place) => put
                            .get(place)
                            .copied()
                            .unwrap_or_else(|| trail.map_or(byte, |trail| trail.apply(byte))),
                    })
                    .collect(),
            );
            write_as(text, (tokens, read.start), (old, &new), out);
        }
    }
}

/// ESC.
const ESCAPE: u8 = 0x1B;

/// What stands between bytes that are read.
fn gaps<'t>(
    text: &'t [u8],
    tokens: &'t Tokens,
    places: std::ops::Range<usize>,
) -> impl Iterator<Item = &'t [u8]> + 't {
    let between = places.clone().zip(places.skip(1));
    between.filter_map(|(a, b)| text.get(tokens.span(a).1..tokens.span(b).0))
}

/// `new` in the place of `old`, which was read from `first` on.
fn write_as(
    text: &[u8],
    (tokens, first): (&Tokens, usize),
    (old, new): (&[u8], &[u8]),
    out: &mut Vec<u8>,
) {
    let mut at = tokens.span(first).0;
    let mut place = 0;
    while place < old.len() {
        let (from, to) = tokens.span(first + place);
        // A character of several bytes is one token.
        let more = (place + 1..old.len()).take_while(|&next| tokens.span(first + next) == (to, to));
        let next = place + 1 + more.count();
        // Blanks between.
        out.extend_from_slice(text.get(at..from).unwrap_or_default());
        let written = text.get(from..to).unwrap_or_default();
        match (old.get(place..next), new.get(place..next)) {
            (old, new) if old == new => out.extend_from_slice(written),
            (_, Some(&[new])) => escape(written, new, out),
            (_, new) => out.extend_from_slice(new.unwrap_or_default()),
        }
        (at, place) = (to, next);
    }
}

/// `new`, written as `old` is.
fn escape(old: &[u8], new: u8, out: &mut Vec<u8>) {
    let small = old.iter().any(|byte| matches!(byte, b'a'..=b'f'));
    let hex = |byte: u8| if small { format!("{byte:02x}") } else { format!("{byte:02X}") };
    match old {
        [b'%', _, _] => out.extend(format!("%{}", hex(new)).bytes()),
        [b'\\', b'x', _, _] => out.extend(format!("\\x{}", hex(new)).bytes()),
        [b'\\', b'u', _, _, _, _] => out.extend(format!("\\u00{}", hex(new)).bytes()),
        [b'&', b'#', mark @ (b'x' | b'X'), digits @ ..] => {
            let (digits, end) = without_end(digits);
            let mark = char::from(*mark);
            out.extend(format!("&#{mark}{:0>1$}", hex(new), digits.len()).bytes());
            out.extend_from_slice(end);
        }
        [b'&', b'#', digits @ ..] => {
            let (digits, end) = without_end(digits);
            out.extend(format!("&#{new:0>0$}", digits.len()).bytes());
            out.extend_from_slice(end);
        }
        // Most letters behind a backslash are something else.
        [b'\\', _] if !new.is_ascii_alphanumeric() => out.extend_from_slice(&[b'\\', new]),
        _ => out.push(new),
    }
}

fn without_end(digits: &[u8]) -> (&[u8], &[u8]) {
    let count = digits.iter().take_while(|digit| **digit != b';').count();
    digits.split_at(count)
}
