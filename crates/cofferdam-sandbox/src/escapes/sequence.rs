//! Which whole sequences pass.

use super::{Kind, Questions, Verdict};

/// Longest control sequence that passes: the longest of colors have half of that. Bytes.
const CONTROL_MAX: usize = 128;
/// Largest number in one: a terminal repeats a character so often, or moves so far.
const NUMBER_MAX: u32 = 65_535;

/// Modes with a `?` that programs switch: keys of the cursor (1), a reversed screen (5: the visible bell),
/// origin (6), wrapping (7), a cursor that blinks (12) or shows (25), the keypad (66), other screens,
/// mouse, focus, paste, and output at once (2026). What else there is makes a terminal type, or is
/// nobody's.
const MODES: &[u32] = &[
    1, 5, 6, 7, 12, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1048, 1049,
    2004, 2026,
];
/// Without it: inserting, and the shape of a cursor in screen and tmux.
const PLAIN_MODES: &[u32] = &[4, 34];
/// Moves, erasing, inserting, removing, scrolling, repeating, tabs.
const PLAIN: &[u8] = b"@ABCDEFGHIJKLMPSTXZ^`abdefg";

/// A control sequence (`ECMA-48`, 5.4).
#[derive(Debug)]
pub(super) struct Sequence<'b> {
    /// `<`, `=`, `>` or `?`.
    private: Option<u8>,
    parameters: &'b [u8],
    intermediates: &'b [u8],
    last: u8,
}

impl<'b> Sequence<'b> {
    /// `ESC [`, parameters, intermediates and a last byte. `None` for anything else.
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"\x1b[").filter(|rest| rest.len() <= CONTROL_MAX)?;
        let (last, rest) = rest.split_last()?;
        let (private, rest) = match rest.split_first() {
            Some((byte @ b'<'..=b'?', rest)) => (Some(*byte), rest),
            Some(_) | None => (None, rest),
        };
        let parameter = |byte: &u8| matches!(byte, b'0'..=b';');
        let end = rest.iter().position(|byte| !parameter(byte)).unwrap_or(rest.len());
        let (parameters, intermediates) = rest.split_at_checked(end)?;
        let plain = intermediates.iter().all(|byte| matches!(byte, 0x20..=0x2F));
        let whole = plain && matches!(last, 0x40..=0x7E) && bounded(parameters);
        whole.then_some(Self { private, parameters, intermediates, last: *last })
    }

    fn is_one_of(&self, values: &[&[u8]]) -> bool {
        values.contains(&self.parameters)
    }

    /// Without parts of parameters (`:`).
    fn is_plain(&self) -> bool {
        !self.parameters.contains(&b':')
    }

    fn count(&self) -> usize {
        self.parameters.split(|byte| *byte == b';').count()
    }

    /// Whether all are on the list, and there is one.
    fn all_in(&self, list: &[u32]) -> bool {
        let mut parts = self.parameters.split(|byte| *byte == b';');
        parts.all(|part| number(part).is_some_and(|number| list.contains(&number)))
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// No number is larger than [`NUMBER_MAX`]; none at all is none.
fn bounded(parameters: &[u8]) -> bool {
    let mut numbers = parameters.split(|byte| matches!(byte, b';' | b':'));
    numbers.all(|part| part.is_empty() || number(part).is_some_and(|number| number <= NUMBER_MAX))
}

/// A whole control sequence.
pub(super) fn judge_control(sequence: &Sequence<'_>, questions: Questions) -> Verdict {
    match (sequence.private, sequence.intermediates) {
        (None, b"") => plain(sequence, questions),
        (Some(b'?'), b"") => private(sequence),
        (Some(b'>'), b"") => match sequence.last {
            // Which keys are told how (`modifyOtherKeys`), and levels of the protocol of keys.
            b'm' | b'u' if sequence.is_plain() => Verdict::Pass,
            b'c' => question(sequence, questions),
            b'q' => Verdict::Refuse(Kind::Question),
            _ => Verdict::Refuse(Kind::Control),
        },
        (Some(b'<' | b'='), b"") if sequence.last == b'u' && sequence.is_plain() => Verdict::Pass,
        (Some(b'='), b"") if sequence.last == b'c' => Verdict::Refuse(Kind::Question),
        // The shape of the cursor, and a soft reset.
        (None, b" ") if sequence.last == b'q' && sequence.is_plain() => Verdict::Pass,
        (None, b"!") if sequence.last == b'p' && sequence.parameters.is_empty() => Verdict::Pass,
        // Which mode, and checksums of what is shown.
        (_, b"$") if sequence.last == b'p' => Verdict::Refuse(Kind::Question),
        (None, b"*") if sequence.last == b'y' => Verdict::Refuse(Kind::Question),
        _ => Verdict::Refuse(Kind::Control),
    }
}

/// Without anything private.
fn plain(sequence: &Sequence<'_>, questions: Questions) -> Verdict {
    match sequence.last {
        b'm' => colors(sequence.parameters),
        b'n' if sequence.is_one_of(&[b"5", b"6"]) => asked(questions),
        b'c' => question(sequence, questions),
        b'n' | b'x' => Verdict::Refuse(Kind::Question),
        b'h' | b'l' if sequence.all_in(PLAIN_MODES) => Verdict::Pass,
        b'h' | b'l' => Verdict::Refuse(Kind::Mode),
        // With five it waits for a program that goes on with it: the mouse of old.
        b'T' if sequence.count() > 1 => Verdict::Refuse(Kind::Control),
        // The lines that scroll; the place of the cursor, kept and given back.
        b'r' if sequence.count() <= 2 && sequence.is_plain() => Verdict::Pass,
        b's' | b'u' if sequence.parameters.is_empty() => Verdict::Pass,
        // Titles are put away and taken back; nobody sets one in between.
        b't' if matches!(sequence.parameters, [b'2', b'2' | b'3', ..]) => Verdict::Drop,
        b't' => window(sequence),
        last if PLAIN.contains(&last) && sequence.is_plain() => Verdict::Pass,
        _ => Verdict::Refuse(Kind::Control),
    }
}

/// Windows are asked for their place, size and title from 11 on.
fn window(sequence: &Sequence<'_>) -> Verdict {
    let first = sequence.parameters.split(|byte| *byte == b';').next().and_then(number);
    let asks = first.is_some_and(|first| (11..=21).contains(&first));
    Verdict::Refuse(if asks { Kind::Question } else { Kind::Control })
}

/// With a `?`.
fn private(sequence: &Sequence<'_>) -> Verdict {
    match sequence.last {
        b'h' | b'l' if sequence.all_in(MODES) => Verdict::Pass,
        // Whether letters with Alt come as one byte: readline says so to terminals of old.
        b'h' | b'l' if sequence.is_one_of(&[b"1034"]) => Verdict::Drop,
        b'h' | b'l' | b'r' | b's' => Verdict::Refuse(Kind::Mode),
        b'J' | b'K' if sequence.is_one_of(&[b"", b"0", b"1", b"2", b"3"]) => Verdict::Pass,
        // Tabs at every eighth place.
        b'W' if sequence.is_one_of(&[b"5"]) => Verdict::Pass,
        // The shape of the Linux console's cursor.
        b'c' => Verdict::Drop,
        b'n' | b'u' | b'm' | b'S' => Verdict::Refuse(Kind::Question),
        _ => Verdict::Refuse(Kind::Control),
    }
}

/// Of what kind it is (DA).
fn question(sequence: &Sequence<'_>, questions: Questions) -> Verdict {
    if sequence.is_one_of(&[b"", b"0"]) {
        asked(questions)
    } else {
        Verdict::Refuse(Kind::Question)
    }
}

fn asked(questions: Questions) -> Verdict {
    match questions {
        Questions::Pass => Verdict::Pass,
        Questions::Refused => Verdict::Refuse(Kind::Question),
    }
}

/// Looks of characters (SGR): all but the one that hides them.
fn colors(parameters: &[u8]) -> Verdict {
    let mut parts = parameters.split(|byte| *byte == b';');
    while let Some(part) = parts.next() {
        // What follows a `:` belongs to the number before it.
        let first = part.split(|byte| *byte == b':').next().unwrap_or_default();
        let alone = !part.contains(&b':');
        let skipped = match (number(first), alone) {
            (Some(8), _) => return Verdict::Refuse(Kind::Hidden),
            // A color by its number, or by three.
            (Some(38 | 48 | 58), true) => match parts.next() {
                Some(b"5") => 1,
                Some(b"2") => 3,
                // Terminals go on with it differently.
                Some(_) | None => return Verdict::Refuse(Kind::Control),
            },
            (Some(_) | None, _) => 0,
        };
        for _ in 0..skipped {
            match parts.next() {
                Some(part) if !part.contains(&b':') => {}
                Some(_) | None => return Verdict::Refuse(Kind::Control),
            }
        }
    }
    Verdict::Pass
}

/// A sequence of `ESC` and bytes that is no control sequence.
pub(super) fn judge_escape(bytes: &[u8]) -> Verdict {
    match bytes {
        // The cursor kept and given back; modes of the keypad; line feeds and tabs; letters, and those
        // that draw lines.
        [0x1B, b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M']
        | [0x1B, b'(' | b')', b'0' | b'B'] => Verdict::Pass,
        // The end of a string that is none.
        [0x1B, b'\\'] => Verdict::Drop,
        [0x1B, b'Z'] => Verdict::Refuse(Kind::Question),
        _ => Verdict::Refuse(Kind::Control),
    }
}

/// A link (`ESC ] 8 ; parameters ; address`, without its end): `Some(true)` begins one, `Some(false)` ends
/// one, `None` is neither, or leads to anything but the web.
pub(super) fn judge_link(bytes: &[u8]) -> Option<bool> {
    let rest = bytes.strip_prefix(b"\x1b]8;")?;
    let at = rest.iter().position(|byte| *byte == b';')?;
    let (parameters, address) = (rest.get(..at)?, rest.get(at + 1..)?);
    if !parameters.iter().chain(address).all(|byte| matches!(byte, 0x21..=0x7E)) {
        return None;
    }
    let web = address.starts_with(b"https://") || address.starts_with(b"http://");
    (web || address.is_empty()).then_some(!address.is_empty())
}
