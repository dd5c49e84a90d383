//! Output made safe for a terminal: text, and the control sequences of a list.
//!
//! A terminal obeys what it shows. What it obeys here moves the cursor, erases, scrolls, colors, and
//! switches the modes of full-screen programs (`ECMA-48`, and the control sequences of xterm). Whatever
//! else begins a sequence is taken out whole: what writes the clipboard, sets a title, makes the terminal
//! answer, prints, hides text. The reader of what comes out finds nothing that terminals parse
//! differently, so it does not matter here how they would have parsed the rest.
//!
//! Text that is shown may still lie: in the color of its ground, or over what was there before. That is
//! what full-screen programs are made of.

mod sequence;

use sequence::{Sequence, judge_control, judge_escape, judge_link};

/// Longest sequence that is kept until it is whole. Bytes.
const SEQUENCE_MAX: usize = 4 << 10;
/// `U+FFFD`, for a byte that is no character and that terminals of eight bits take for a control.
const REPLACEMENT: &[u8] = b"\xEF\xBF\xBD";
/// Ends a link (OSC 8).
const NO_LINK: &[u8] = b"\x1b]8;;\x1b\\";

/// Whether the terminal may be asked what every terminal answers alike: where the cursor is (DSR), and of
/// what kind it is (DA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Questions {
    /// The workload reads what the terminal types, and what is left of it is read before anybody else
    /// does.
    Pass,
    /// Nobody would read the answer but whoever comes after the workload.
    Refused,
}

/// What was taken out, by what it would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Writes the clipboard, or reads it (OSC 52).
    Clipboard,
    /// Makes the terminal type an answer.
    Question,
    /// Hides text (SGR 8).
    Hidden,
    /// Turns the direction of writing.
    Direction,
    /// A link to anything but the web (OSC 8).
    Link,
    /// A string for the terminal or a program in it (DCS, APC, PM, SOS).
    Device,
    /// A title, or the name of a window.
    Title,
    /// Any other command (OSC): colors, working directory, notifications.
    Command,
    /// A mode that is not on the list.
    Mode,
    /// Any other control.
    Control,
    /// A sequence that does not end, or is too long.
    Unfinished,
}

impl Kind {
    /// All of them: what a person should look at first comes first.
    pub const ALL: [Self; 11] = [
        Self::Clipboard,
        Self::Question,
        Self::Hidden,
        Self::Direction,
        Self::Link,
        Self::Device,
        Self::Title,
        Self::Command,
        Self::Mode,
        Self::Control,
        Self::Unfinished,
    ];

    /// Stable name for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clipboard => "clipboard",
            Self::Question => "question",
            Self::Hidden => "hidden",
            Self::Direction => "direction",
            Self::Link => "link",
            Self::Device => "device-string",
            Self::Title => "title",
            Self::Command => "command",
            Self::Mode => "mode",
            Self::Control => "control",
            Self::Unfinished => "unfinished",
        }
    }

    /// Whether everyday programs do this, so that it is on record and nobody is told.
    #[must_use]
    pub const fn is_usual(self) -> bool {
        match self {
            Self::Clipboard | Self::Hidden | Self::Direction | Self::Link => false,
            Self::Question
            | Self::Device
            | Self::Title
            | Self::Command
            | Self::Mode
            | Self::Control
            | Self::Unfinished => true,
        }
    }
}

/// How often each kind was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused([u64; Kind::ALL.len()]);

impl Refused {
    fn count(&mut self, kind: Kind) {
        let places = Kind::ALL.iter().zip(&mut self.0);
        for (_, place) in places.filter(|(one, _)| **one == kind) {
            *place = place.saturating_add(1);
        }
    }

    /// Those that were, with their number, in the order of [`Kind::ALL`].
    pub fn rows(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        for (place, count) in self.0.iter_mut().zip(other.0) {
            *place = place.saturating_add(count);
        }
    }
}

/// What becomes of something that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Refuse(Kind),
    /// Without it everything looks the same; programs send it all the time.
    Drop,
}

/// Where in a sequence the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Text,
    /// In a character of several bytes: how many are missing.
    Character(u8),
    /// After `ESC`.
    Escape,
    /// After `ESC` and bytes that name a set of characters or its like.
    Intermediate,
    /// In a control sequence (`ESC [`).
    Control,
    /// In a command (`ESC ]`), which `BEL` or `ESC \` ends.
    Command,
    /// In a string, which `ESC \` ends, of a kind that is always taken out.
    String(Kind),
    /// After `ESC` in a command or a string; the kind where it is a string.
    Ending(Option<Kind>),
}

/// Takes out of a stream what a terminal must not read, as it comes.
#[derive(Debug)]
pub struct Filter {
    at: At,
    /// The sequence or character that is not whole yet, from its first byte.
    kept: Vec<u8>,
    /// Whether it is longer than what is kept of it.
    long: bool,
    questions: Questions,
    refused: Refused,
    /// Whether a link is open.
    linked: bool,
}

impl Filter {
    /// For the beginning of a stream.
    #[must_use]
    pub const fn new(questions: Questions) -> Self {
        let refused = Refused([0; Kind::ALL.len()]);
        Self { at: At::Text, kept: Vec::new(), long: false, questions, refused, linked: false }
    }

    /// Appends to `out` what of the next bytes may be shown. Text is never kept back; a sequence or a
    /// character that is not whole is, up to 4 KiB.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.at == At::Text {
                // Most output is text: one look for what is not.
                let text = bytes.iter().position(|byte| !is_text(*byte)).unwrap_or(bytes.len());
                let (text, rest) = bytes.split_at_checked(text).unwrap_or_default();
                out.extend_from_slice(text);
                bytes = rest;
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            self.next(*byte, out);
            bytes = rest;
        }
    }

    /// The stream has come to its end: what is not whole is taken out, and a link ends.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.abandon(out);
        if std::mem::take(&mut self.linked) {
            out.extend_from_slice(NO_LINK);
        }
    }

    /// What was taken out so far.
    #[must_use]
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    fn next(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.at {
            At::Text => self.text(byte, out),
            At::Character(missing) => self.character(byte, missing, out),
            At::Escape => self.escape(byte, out),
            At::Intermediate | At::Control => self.sequence(byte, out),
            At::Command => self.command(byte, out),
            At::String(kind) => match byte {
                0x1B => self.at = At::Ending(Some(kind)),
                // CAN and SUB end everything.
                0x18 | 0x1A => self.refuse(kind),
                _ => {}
            },
            At::Ending(kind) => self.ending(byte, kind, out),
        }
    }

    /// A byte that is not [`is_text`], in no sequence.
    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        let missing = match byte {
            0x1B => return self.begin(At::Escape, byte),
            // NUL and DEL are padding; CAN and SUB end a sequence where there is one.
            0x00 | 0x7F | 0x18 | 0x1A => return,
            // The answerback.
            0x05 => return self.refused.count(Kind::Question),
            0x00..=0x7F => return self.refused.count(Kind::Control),
            0x80..=0x9F => return out.extend_from_slice(REPLACEMENT),
            0xC2..=0xDF => 1,
            0xE0..=0xEF => 2,
            0xF0..=0xF4 => 3,
            // Letters, to a terminal of eight bits.
            0xA0..=0xC1 | 0xF5..=0xFF => return out.push(byte),
        };
        self.begin(At::Character(missing), byte);
    }

    fn begin(&mut self, at: At, byte: u8) {
        (self.at, self.long) = (at, false);
        self.kept.clear();
        self.kept.push(byte);
    }

    fn character(&mut self, byte: u8, missing: u8, out: &mut Vec<u8>) {
        // Of the bytes after the first, the second alone is bound further (RFC 3629, 4).
        let goes_on = match self.kept.as_slice() {
            [0xE0] => (0xA0..=0xBF).contains(&byte),
            [0xED] => (0x80..=0x9F).contains(&byte),
            [0xF0] => (0x90..=0xBF).contains(&byte),
            [0xF4] => (0x80..=0x8F).contains(&byte),
            _ => (0x80..=0xBF).contains(&byte),
        };
        if !goes_on {
            self.abandon(out);
            return self.again(byte, out);
        }
        self.kept.push(byte);
        if missing > 1 {
            self.at = At::Character(missing - 1);
            return;
        }
        self.at = At::Text;
        match self.kept.as_slice() {
            // U+0080 to U+009F: controls of one byte, as UTF-8 writes them.
            [0xC2, 0x80..=0x9F] => self.refused.count(Kind::Control),
            // U+202A to U+202E, U+2066 to U+2069.
            [0xE2, 0x80, 0xAA..=0xAE] | [0xE2, 0x81, 0xA6..=0xA9] => {
                self.refused.count(Kind::Direction);
            }
            character => out.extend_from_slice(character),
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.kept.push(byte);
        self.at = match byte {
            b'[' => At::Control,
            b']' => At::Command,
            // DCS, SOS, PM, APC.
            b'P' | b'X' | b'^' | b'_' => At::String(Kind::Device),
            // A name, in tmux and screen.
            b'k' => At::String(Kind::Title),
            0x20..=0x2F => At::Intermediate,
            0x30..=0x7E => return self.decide(judge_escape(&self.kept), out),
            0x00..=0x1F | 0x7F..=0xFF => {
                self.kept.pop();
                self.abandon(out);
                return self.again(byte, out);
            }
        };
    }

    /// In a control sequence, or one with a name of characters.
    fn sequence(&mut self, byte: u8, out: &mut Vec<u8>) {
        let control = self.at == At::Control;
        let last = if control { 0x40..=0x7E } else { 0x30..=0x7E };
        if !(0x20..=0x7E).contains(&byte) {
            // Terminals obey a control within a sequence and go on with it, or do not.
            self.abandon(out);
            return self.again(byte, out);
        }
        self.keep(byte);
        if !last.contains(&byte) {
            return;
        }
        let verdict = match Sequence::parse(&self.kept).filter(|_| !self.long) {
            None if self.long => Verdict::Refuse(Kind::Unfinished),
            None if control => Verdict::Refuse(Kind::Control),
            None => judge_escape(&self.kept),
            Some(sequence) => judge_control(&sequence, self.questions),
        };
        self.decide(verdict, out);
    }

    fn command(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0x1B => self.at = At::Ending(None),
            0x07 => self.end_command(out),
            0x18 | 0x1A => self.refuse(self.command_kind()),
            _ => {
                self.keep(byte);
                // The Linux console's own: they have no end.
                let palette = self.kept.get(2) == Some(&b'P') && self.kept.len() == 10;
                if palette || self.kept.as_slice() == b"\x1b]R" {
                    self.refuse(Kind::Command);
                }
            }
        }
    }

    /// After `ESC` in a string.
    fn ending(&mut self, byte: u8, kind: Option<Kind>, out: &mut Vec<u8>) {
        match (byte, kind) {
            (b'\\', None) => self.end_command(out),
            (b'\\', Some(kind)) => self.refuse(kind),
            // Any other sequence ends it too.
            (_, kind) => {
                self.refuse(kind.unwrap_or_else(|| self.command_kind()));
                self.begin(At::Escape, 0x1B);
                self.escape(byte, out);
            }
        }
    }

    /// A whole command, without its end.
    fn end_command(&mut self, out: &mut Vec<u8>) {
        let kind = self.command_kind();
        let link = judge_link(&self.kept).filter(|_| kind == Kind::Link && !self.long);
        let Some(link) = link else { return self.refuse(kind) };
        self.linked = link;
        out.extend_from_slice(&self.kept);
        out.extend_from_slice(b"\x1b\\");
        self.at = At::Text;
    }

    fn command_kind(&self) -> Kind {
        let command = self.kept.get(2..).unwrap_or_default();
        let number = command.split(|byte| *byte == b';').next().unwrap_or_default();
        match number {
            b"52" => Kind::Clipboard,
            b"0" | b"1" | b"2" | b"l" | b"L" | b"I" => Kind::Title,
            b"8" => Kind::Link,
            _ if command.windows(2).any(|pair| pair == b";?") => Kind::Question,
            _ => Kind::Command,
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.kept.len() < SEQUENCE_MAX {
            self.kept.push(byte);
        } else {
            self.long = true;
        }
    }

    fn decide(&mut self, verdict: Verdict, out: &mut Vec<u8>) {
        self.at = At::Text;
        match verdict {
            Verdict::Pass => out.extend_from_slice(&self.kept),
            Verdict::Refuse(kind) => self.refused.count(kind),
            Verdict::Drop => {}
        }
    }

    fn refuse(&mut self, kind: Kind) {
        self.at = At::Text;
        self.refused.count(kind);
    }

    /// What is kept will not become whole: nothing of a sequence is shown, and of a character what
    /// is no control.
    fn abandon(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.at, At::Text) {
            At::Text => {}
            At::Character(_) => {
                for byte in &self.kept {
                    if (0x80..=0x9F).contains(byte) {
                        out.extend_from_slice(REPLACEMENT);
                    } else {
                        out.push(*byte);
                    }
                }
            }
            At::Escape
            | At::Intermediate
            | At::Control
            | At::Command
            | At::String(_)
            | At::Ending(_) => self.refused.count(Kind::Unfinished),
        }
    }

    /// The same byte, in no sequence.
    fn again(&mut self, byte: u8, out: &mut Vec<u8>) {
        if is_text(byte) {
            out.push(byte);
        } else {
            self.text(byte, out);
        }
    }
}

/// Characters of one byte, and the controls that move within text: `BEL`, `BS`, `HT`, `LF`, `VT`, `FF`,
/// `CR`, and the shifts to another set of characters and back, with which lines are drawn.
const fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7E | 0x07..=0x0F)
}

#[cfg(test)]
mod tests;
