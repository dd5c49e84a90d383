//! The slow, obvious reading that the fast one is held against, and a writer of hard texts.

use super::plain::is_blank;
use super::{Encoding, Label};

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }

    pub(super) fn pick<'a, T>(&mut self, rows: &'a [T]) -> &'a T {
        &rows[self.roll(rows.len())]
    }

    pub(super) fn bytes(&mut self, count: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..count).map(|_| *self.pick(alphabet)).collect()
    }

    /// The text in pieces of any length.
    pub(super) fn cut<'t>(&mut self, mut text: &'t [u8], most: usize) -> Vec<&'t [u8]> {
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(text.len().min(self.roll(most)));
            pieces.push(piece);
            text = rest;
        }
        pieces
    }
}

/// What a reader of escapes has.
pub(super) fn units(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (taken, bytes) = unit(&text[at..]);
        all.extend(bytes);
        at += taken;
    }
    all
}

/// What a reader of escapes has, blanks and soft ends of lines dropped.
pub(super) fn plain(text: &[u8]) -> Vec<u8> {
    let all = units(text);
    let mut out = Vec::new();
    for (at, &byte) in all.iter().enumerate() {
        let mut blanks = all[at + 1..].iter().take_while(|&&byte| is_blank(byte));
        let soft = byte == b'=' && blanks.any(|blank| matches!(blank, b'\r' | b'\n'));
        if !soft && !is_blank(byte) {
            out.push(byte);
        }
    }
    out
}

fn number(text: &[u8], base: u32) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.chars().all(|digit| digit.is_digit(base));
    (digits && !text.is_empty()).then(|| u32::from_str_radix(text, base).ok())?
}

fn character(code: u32) -> Vec<u8> {
    match char::from_u32(code) {
        Some(char) => char.to_string().into_bytes(),
        None => vec![0xFF],
    }
}

fn unit(text: &[u8]) -> (usize, Vec<u8>) {
    let hex = |from: usize, to: usize| number(text.get(from..to)?, 16);
    let byte = |code: u32| vec![u8::try_from(code).expect("two digits")];
    match text[0] {
        b'%' => hex(1, 3).map_or((1, vec![b'%']), |code| (3, byte(code))),
        b'&' if text.get(1) == Some(&b'#') => {
            let hexadecimal = matches!(text.get(2), Some(b'x' | b'X'));
            let (from, base) = if hexadecimal { (3, 16) } else { (2, 10) };
            let digits = text[from.min(text.len())..].iter();
            let count = digits.take_while(|&&digit| char::from(digit).is_digit(base)).count();
            let to = from + count;
            match number(&text[from.min(text.len())..to.min(text.len())], base) {
                // A reference that the end cuts off is none: more digits might have come.
                Some(code) if count <= 8 && to < text.len() => {
                    (to + usize::from(text[to] == b';'), character(code))
                }
                _ => (1, vec![b'&']),
            }
        }
        b'&' => {
            let names = [("&amp;", b'&'), ("&lt;", b'<'), ("&gt;", b'>'), ("&quot;", b'"')];
            let names = names.into_iter().chain([("&apos;", b'\'')]);
            let mut whole = names.filter(|(name, _)| text.starts_with(name.as_bytes()));
            whole.next().map_or((1, vec![b'&']), |(name, byte)| (name.len(), vec![byte]))
        }
        b'\\' => match text.get(1) {
            None => (1, vec![b'\\']),
            Some(b'x') => hex(2, 4).map_or_else(|| cut(text, 4), |code| (4, byte(code))),
            Some(b'u') => match (hex(2, 6), text.get(6..8), hex(8, 12)) {
                (Some(high @ 0xD800..0xDC00), Some(b"\\u"), Some(low @ 0xDC00..0xE000)) => {
                    (12, character(0x1_0000 + (high - 0xD800) * 1_024 + low - 0xDC00))
                }
                (Some(0xD800..0xDC00), _, _) if is_cut_pair(text) => (1, vec![b'\\']),
                (Some(code), _, _) => (6, character(code)),
                (None, _, _) => cut(text, 6),
            },
            Some(b'n') => (2, vec![b'\n']),
            Some(b'r') => (2, vec![b'\r']),
            Some(b't') => (2, vec![b'\t']),
            Some(0) => (1, vec![b'\\']),
            Some(other) => (2, vec![*other]),
        },
        other => (1, vec![other]),
    }
}

/// `\u` and `\x` without digits: the letter; a backslash where the text ends before that is known.
fn cut(text: &[u8], length: usize) -> (usize, Vec<u8>) {
    let open = text.len() < length && text[2..].iter().all(u8::is_ascii_hexdigit);
    if open { (1, vec![b'\\']) } else { (2, vec![text[1]]) }
}

/// Whether the text ends where a second half may still come.
fn is_cut_pair(text: &[u8]) -> bool {
    let rest = &text[6..];
    let start = &rest[..rest.len().min(2)];
    text.len() < 12 && b"\\u".starts_with(start) && {
        rest.len() < 2 || rest[2..].iter().all(u8::is_ascii_hexdigit)
    }
}

/// Whether a needle stands in one of the three views, in a form that is undone here, not made.
pub(super) fn holds(text: &[u8], needle: &[u8]) -> bool {
    let once = plain(text);
    holds_once(text, &once, needle) || holds_once(&once, &plain(&once), needle)
}

/// The same in two of them.
pub(super) fn holds_once(text: &[u8], once: &[u8], needle: &[u8]) -> bool {
    let dense: Vec<u8> = needle.iter().copied().filter(|&byte| !is_blank(byte)).collect();
    let backwards = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    [text, once].iter().any(|view| {
        contains(view, needle)
            || contains(view, &dense)
            || contains(&backwards(view), needle)
            || contains(&backwards(view), &dense)
            || [false, true].iter().any(|url| unbase64(view, *url, needle))
            || unhex(view, needle)
    })
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn unbase64(text: &[u8], url: bool, needle: &[u8]) -> bool {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' if !url => Some(62),
        b'-' if url => Some(62),
        b'/' if !url => Some(63),
        b'_' if url => Some(63),
        _ => None,
    };
    let values: Vec<Option<u8>> = text.iter().map(|&letter| value(letter)).collect();
    values.split(Option::is_none).any(|run| {
        (0..4.min(run.len())).any(|from| {
            let bits: Vec<bool> = run[from..]
                .iter()
                .flat_map(|value| (0..6).rev().map(|bit| value.expect("a run") >> bit & 1 == 1))
                .collect();
            contains(&bytes_of(&bits), needle)
        })
    })
}

fn bytes_of(bits: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
    bits.chunks_exact(8).map(byte).collect()
}

fn unhex(text: &[u8], needle: &[u8]) -> bool {
    let lower: String = needle.iter().map(|byte| format!("{byte:02x}")).collect();
    contains(text, lower.as_bytes()) || contains(text, lower.to_ascii_uppercase().as_bytes())
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, bit by bit.
pub(super) fn base64(bytes: &[u8], url: bool) -> Vec<u8> {
    let mut bits: Vec<bool> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.resize(bits.len().next_multiple_of(6), false);
    let letter = |bits: &[bool]| {
        let value = bits.iter().fold(0, |value, &bit| value << 1 | usize::from(bit));
        match STANDARD[value] {
            b'+' if url => b'-',
            b'/' if url => b'_',
            letter => letter,
        }
    };
    let mut text: Vec<u8> = bits.chunks(6).map(letter).collect();
    text.resize(text.len().next_multiple_of(4), b'=');
    text
}

/// A needle in some form, among neighbours where the form has neighbours.
pub(super) fn encode(dice: &mut Dice, needle: &[u8]) -> (Encoding, Vec<u8>) {
    let hex = || needle.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match dice.roll(6) {
        0 | 1 => (Encoding::Plain, needle.to_vec()),
        2 => (Encoding::Hex, hex().into_bytes()),
        3 => (Encoding::Hex, hex().to_ascii_uppercase().into_bytes()),
        4 => (Encoding::Reversed, needle.iter().rev().copied().collect()),
        _ => {
            let (before, behind) = (dice.roll(7), dice.roll(5));
            let mut whole = dice.bytes(before, b"abc: {\xFF");
            whole.extend(needle);
            whole.extend(dice.bytes(behind, b"xyz\"}\x80"));
            let url = dice.roll(2) == 0;
            (Encoding::Base64, base64(&whole, url))
        }
    }
}

const BLANKS: &[&[u8]] =
    &[b" ", b"\r\n", b"\t", b"\\n", b"\\r\\n", b"%0A", b"\0", b"=\r\n", b"=\n"];

/// Escapes and blanks at random places.
pub(super) fn escape(dice: &mut Dice, text: &[u8]) -> Vec<u8> {
    let (often, blanks) = (*dice.pick(&[2, 4, 50]), *dice.pick(&[3, 20, 1_000]));
    let mut out = Vec::new();
    for &byte in text {
        // What an escape begins with is escaped in any case, or what stands there is another text.
        if matches!(byte, b'%' | b'\\' | b'&' | b'=') || dice.roll(often) == 0 {
            out.extend(escaped(dice, byte));
        } else {
            out.push(byte);
        }
        // A line that ends behind a `=` ends softly, whatever was meant.
        if byte != b'=' && dice.roll(blanks) == 0 {
            let blank: &&[u8] = dice.pick(BLANKS);
            out.extend_from_slice(blank);
        }
    }
    out
}

fn escaped(dice: &mut Dice, byte: u8) -> Vec<u8> {
    let any = match dice.roll(if byte.is_ascii() { 8 } else { 4 }) {
        0 => format!("%{byte:02x}"),
        1 => format!("%{byte:02X}"),
        2 => format!("\\x{byte:02x}"),
        3 => format!("\\x{byte:02X}"),
        4 => format!("\\u{byte:04x}"),
        5 => format!("&#{byte};"),
        6 => format!("&#x{byte:X};"),
        // Behind a backslash some letters are others, and blanks go with the first reading.
        _ if byte.is_ascii_alphanumeric() || is_blank(byte) => format!("&#x00{byte:x};"),
        _ => return vec![b'\\', byte],
    };
    any.into_bytes()
}

/// Each byte of UTF-16 that ASCII has.
pub(super) fn wide(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|&byte| [byte, 0]).collect()
}

/// Needles of all kinds, each with its number.
pub(super) fn needles(dice: &mut Dice) -> Vec<(Label, Vec<u8>)> {
    let token: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let count = 1 + dice.roll(4);
    let needle = |number| {
        let length = 6 + dice.roll(40);
        let needle = match dice.roll(6) {
            0 => b"cFd7Mx".to_vec(),
            1 => b"c0ffe7da3b".to_vec(),
            2 => [b"the quiet ".to_vec(), dice.bytes(length, token)].concat(),
            3 => [b"p\xC3\xA9%\\/&=+".to_vec(), dice.bytes(length, token)].concat(),
            4 => dice.bytes(length, b"0123456789abcdef-"),
            _ => dice.bytes(length, token),
        };
        (Label(number), needle)
    };
    (0..count).map(needle).collect()
}

/// Text without a meaning in which much looks like the beginning of something.
pub(super) fn noise(dice: &mut Dice) -> Vec<u8> {
    let most = *dice.pick(&[3, 30, 300, 5_000]);
    let length = dice.roll(most);
    match dice.roll(8) {
        0 => (0..length).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect(),
        1 => dice.bytes(length, b"%\\&#;ux=\r\n \t01afAd{}\"cFd7Mx"),
        2 => dice.bytes(length, b"\"{}[]:,!?|\xC3\xBC\x01\x7Fa% &#;Fd7\\"),
        3 => dice.bytes(length, b"a quiet line of text, and its end\n"),
        4 => dice.bytes(length, b"0123456789abcdefABCDEFQx"),
        kind => words(dice, length, kind == 5),
    }
}

/// Lines as programs have them, as they are or within JSON.
fn words(dice: &mut Dice, length: usize, json: bool) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < length {
        let letters = 1 + dice.roll(9);
        text.extend(dice.bytes(letters, b"abcdefnrtuxcFd7MxQ_"));
        let parts: &[&[u8]] = if json {
            &[
                b" ",
                b" ",
                b"\\n",
                b"\\n        ",
                b"\\t",
                b"\\\"",
                b"\", \"",
                b"\\\\n",
                b"\\u00e9",
                b"=",
                b"\\/",
            ]
        } else {
            &[
                b" ",
                b" ",
                b"\n",
                b"\n            ",
                b"\t",
                b"(",
                b");\n",
                b" && ",
                b" %",
                b"=",
                b"\r\n",
            ]
        };
        let part: &&[u8] = dice.pick(parts);
        text.extend_from_slice(part);
    }
    text
}
