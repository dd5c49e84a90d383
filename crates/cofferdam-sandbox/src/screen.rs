//! What a workload's output has made of a terminal: which questions it asked and what it left on.
//!
//! A terminal answers questions by typing, and it keeps the modes it was put in. Whoever reads it
//! after the workload must not get either. This follows the output far enough to know (`ECMA-48`,
//! and the control sequences of xterm); it never changes a byte, and what it does not know it takes
//! for a question.

/// Most bytes of a sequence's parameters that are kept; longer ones set no mode.
const PARAMETERS_MAX: usize = 64;
/// Private modes (`CSI ? N h`) that a full-screen program turns on and that make the terminal type,
/// or show something else: keys, mouse, focus, alternate screens, paste, size and color reports.
const TURNED_ON: &[u16] = &[
    1, 9, 47, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026,
    2031, 2048,
];
/// Those that it turns off: wrapping of lines, the cursor.
const TURNED_OFF: &[u16] = &[7, 25];
/// Last bytes of control sequences that no terminal answers, without or with a leading `?`: moves,
/// erasing, scrolling, modes, colors, tabs.
const UNANSWERED: &[u8] = b"@ABCDEFGHIJKLMPSTXZ^`abdefghlmrs";

/// Commands (`ESC ] N ;`) that no terminal answers: titles, the working directory, links, prompts.
const NAMES: &[&[u8]] = &[b"0", b"1", b"2", b"7", b"8", b"133"];

/// Where in a sequence the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Ground,
    /// After `ESC`.
    Escape,
    /// After `ESC` and a byte that names a set of characters.
    Characters,
    /// In a control sequence (`ESC [`).
    Control,
    /// In the number of a command (`ESC ]`).
    Command,
    /// In a string (`ESC ]`, `ESC P`, `ESC _` and their like), up to `BEL` or `ESC \`.
    String,
    /// After `ESC` in a string.
    StringEscape,
    /// After the first byte of a control character of two (`C2` in UTF-8).
    Wide,
}

/// The state of a terminal, as far as output has changed it.
#[derive(Debug)]
pub(crate) struct Screen {
    at: At,
    parameters: Vec<u8>,
    asked: bool,
    /// Modes that are not as they were.
    modes: Vec<u16>,
    /// What else is not as it was.
    changes: Vec<Change>,
}

/// What output can change besides modes, in the order in which it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Levels of the keyboard's protocols.
    Keys,
    Keypad,
    /// The lines that scroll.
    Region,
    /// A set of characters that draws lines.
    Characters,
    Color,
}

impl Screen {
    pub(crate) const fn new() -> Self {
        Self {
            at: At::Ground,
            parameters: Vec::new(),
            asked: false,
            modes: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Whether the output may have asked something.
    pub(crate) const fn asked(&self) -> bool {
        self.asked
    }

    /// Follows the next bytes of the output.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.at == At::Ground {
                // Most output is text: one look for what is not.
                let special = |byte: &u8| matches!(*byte, 0x05 | 0x0E | 0x0F | 0x1B | 0xC2);
                let Some(text) = bytes.iter().position(special) else { return };
                bytes = bytes.get(text..).unwrap_or_default();
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            self.at = self.next(*byte);
            bytes = rest;
        }
    }

    fn next(&mut self, byte: u8) -> At {
        match (self.at, byte) {
            (At::Command, byte) if byte.is_ascii_digit() && self.parameters.len() < 4 => {
                self.parameters.push(byte);
                At::Command
            }
            (At::Command, _) => {
                self.asked |= byte != b';' || !NAMES.contains(&self.parameters.as_slice());
                self.at = At::String;
                self.next(byte)
            }
            (At::String, 0x1B) => At::StringEscape,
            // BEL ends a string; CAN and SUB end everything.
            (At::String, 0x07) | (_, 0x18 | 0x1A) => At::Ground,
            (At::String, _) => At::String,
            // `ESC \` ends a string, and so does any other sequence that begins in it.
            (At::Escape | At::StringEscape, byte) => self.escaped(byte),
            (_, 0x1B) => At::Escape,
            (At::Characters, byte) => {
                self.change(Change::Characters, byte != b'B');
                At::Ground
            }
            (At::Control, 0x40..=0x7E) => {
                self.control(byte);
                At::Ground
            }
            (At::Control, 0x20..=0x3F) => {
                self.parameters.push(byte);
                // One more than is kept, so that a longer one is known as such.
                self.parameters.truncate(PARAMETERS_MAX + 1);
                At::Control
            }
            (At::Control, _) => At::Control,
            // The controls of one byte, as UTF-8 writes them.
            (At::Wide, 0x9B) => self.begin_control(),
            (At::Wide, 0x90 | 0x98 | 0x9E | 0x9F) => self.begin_string(),
            (At::Wide, 0x9D) => self.begin_command(),
            (At::Wide, 0x9A) => self.question(),
            (At::Ground, 0xC2) => At::Wide,
            (At::Ground | At::Wide, 0x05) => self.question(),
            (At::Ground | At::Wide, 0x0E | 0x0F) => {
                self.change(Change::Characters, byte == 0x0E);
                At::Ground
            }
            (At::Ground | At::Wide, _) => At::Ground,
        }
    }

    fn escaped(&mut self, byte: u8) -> At {
        match byte {
            b'[' => self.begin_control(),
            b']' => self.begin_command(),
            b'P' | b'X' | b'^' | b'_' => self.begin_string(),
            b'(' | b')' | b'*' | b'+' => At::Characters,
            // DECID.
            b'Z' => self.question(),
            b'=' | b'>' => {
                self.change(Change::Keypad, byte == b'=');
                At::Ground
            }
            // A full reset.
            b'c' => {
                let asked = self.asked;
                *self = Self { asked, ..Self::new() };
                At::Ground
            }
            0x1B => At::Escape,
            // Further bytes of the same sequence.
            0x20..=0x2F => At::Escape,
            _ => At::Ground,
        }
    }

    fn change(&mut self, what: Change, changed: bool) {
        self.changes.retain(|change| *change != what);
        if changed {
            self.changes.push(what);
            self.changes.sort();
        }
    }

    fn question(&mut self) -> At {
        self.asked = true;
        At::Ground
    }

    fn begin_control(&mut self) -> At {
        self.parameters.clear();
        At::Control
    }

    fn begin_command(&mut self) -> At {
        self.parameters.clear();
        At::Command
    }

    /// Any other string may ask: for a capability, a picture.
    fn begin_string(&mut self) -> At {
        self.asked = true;
        At::String
    }

    /// A whole control sequence.
    fn control(&mut self, last: u8) {
        let parameters = std::mem::take(&mut self.parameters);
        if parameters.len() > PARAMETERS_MAX {
            // Not known whole: it may have been anything.
            self.asked = true;
            return;
        }
        let (private, rest) = match parameters.split_first() {
            Some((byte @ 0x3C..=0x3F, rest)) => (Some(*byte), rest),
            Some(_) | None => (None, parameters.as_slice()),
        };
        match (private, last) {
            (Some(b'?'), b'h' | b'l') => self.modes(rest, last == b'h'),
            (None, b'm') => self.change(Change::Color, !matches!(rest, b"" | b"0")),
            (None, b'r') => self.change(Change::Region, !rest.is_empty()),
            // Levels of the keyboard's protocols: `CSI > N u`, `CSI > 4 ; N m`.
            (Some(b'>'), b'u' | b'm') => self.change(Change::Keys, true),
            // The shape of the cursor, which is left as it is.
            (None, b'q') if rest.ends_with(b" ") => {}
            (None | Some(b'?'), last) if UNANSWERED.contains(&last) && is_plain(rest) => {}
            (Some(_) | None, _) => self.asked = true,
        }
    }

    fn modes(&mut self, numbers: &[u8], on: bool) {
        for number in numbers.split(|byte| *byte == b';') {
            let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
            let Some(number) = number else { continue };
            let changed = match on {
                true => TURNED_ON.contains(&number),
                false => TURNED_OFF.contains(&number),
            };
            self.modes.retain(|mode| *mode != number);
            if changed {
                self.modes.push(number);
            }
        }
    }

    /// What makes the terminal as it was, to be written once the workload is gone.
    pub(crate) fn leave(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.at != At::Ground {
            // CAN: what begins after us must not be the rest of something.
            bytes.push(0x18);
        }
        for mode in &self.modes {
            let letter = if TURNED_OFF.contains(mode) { 'h' } else { 'l' };
            bytes.extend_from_slice(format!("\x1b[?{mode}{letter}").as_bytes());
        }
        bytes.extend(self.changes.iter().flat_map(|change| match change {
            Change::Keys => &b"\x1b[<99u\x1b[>4m"[..],
            Change::Keypad => b"\x1b>",
            Change::Region => b"\x1b7\x1b[r\x1b8",
            Change::Characters => b"\x0f\x1b(B",
            Change::Color => b"\x1b[m",
        }));
        bytes
    }
}

/// Whether parameters are numbers alone: another byte among them makes another sequence.
fn is_plain(parameters: &[u8]) -> bool {
    parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &[u8], asked: bool, leave: &[u8], why: &str) {
        let mut whole = Screen::new();
        whole.follow(output);
        assert_eq!((whole.asked(), whole.leave().as_slice()), (asked, leave), "{why}");
        let mut parts = Screen::new();
        output.chunks(1).for_each(|byte| parts.follow(byte));
        assert_eq!(
            (parts.asked(), parts.leave()),
            (whole.asked(), whole.leave()),
            "{why}, in parts"
        );
    }

    #[test]
    fn questions() {
        for (output, asked, why) in [
            (&b"plain text\r\n\xc3\xa9"[..], false, "text"),
            (b"\x1b[1;31mred\x1b[0m", false, "colors are no question"),
            (b"\x1b[2J\x1b[10;20H\x1b[?25l\x1b[?25h", false, "moves and modes"),
            (b"\x1b[6n", true, "where is the cursor"),
            (b"\x1b[?6n", true, "the same, extended"),
            (b"\x1b[c", true, "who are you"),
            (b"\x1b[>c\x1b[=c", true, "and further"),
            (b"\x1b[>0q", true, "which version"),
            (b"\x1b[2 q", false, "the shape of the cursor"),
            (b"\x1b[21t", true, "what is your title"),
            (b"\x1b[?2026$p", true, "which mode"),
            (b"\x1b[x", true, "which parameters"),
            (b"\x1b[?u", true, "which keyboard"),
            (b"\x1b]11;?\x07", true, "which color"),
            (b"\x1b]1337;ReportCellSize\x07", true, "how large is a cell"),
            (b"\x1b]\x07", true, "an empty command"),
            (b"\x1b]52;c;?\x1b\\", true, "what is on the clipboard"),
            (b"\x1bP+q544e\x1b\\", true, "which capability"),
            (b"\x1b_Gi=1,a=q;\x1b\\", true, "which pictures"),
            (b"\x1bZ", true, "who are you, of old"),
            (b"\x05", true, "the answerback"),
            (b"\xc2\x9b6n", true, "one byte for two, in UTF-8"),
            (b"\xc2\xa06n", false, "a space that does not break"),
            (b"\x1b[6$A", true, "an unknown sequence"),
        ] {
            let mut screen = Screen::new();
            screen.follow(output);
            assert_eq!(screen.asked(), asked, "{why}");
        }
    }

    #[test]
    fn what_is_left_on_is_turned_off() {
        for (output, asked, leave, why) in [
            (&b"text"[..], false, &b""[..], "nothing"),
            (b"\x1b[?1049h\x1b[?25l", false, b"\x1b[?1049l\x1b[?25h", "a program that died"),
            (b"\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l", false, b"", "one that tidied up"),
            (b"\x1b[?1000;1006h", false, b"\x1b[?1000l\x1b[?1006l", "the mouse"),
            (b"\x1b[31mred", false, b"\x1b[m", "a color"),
            (b"\x1b[31mred\x1b[m", false, b"", "a color that was taken back"),
            (b"\x1b(0qqq", false, b"\x0f\x1b(B", "line drawing"),
            (b"\x0eqqq\x0f", false, b"", "drawn and back"),
            (b"\x1b=\x1b[?1h", false, b"\x1b[?1l\x1b>", "keypad and cursor keys"),
            (b"\x1b[5;10r", false, b"\x1b7\x1b[r\x1b8", "a scroll region"),
            (b"\x1b[>1u", false, b"\x1b[<99u\x1b[>4m", "a keyboard protocol"),
            (b"\x1b[", false, b"\x18", "half a sequence"),
            (b"\x1b]0;title", false, b"\x18", "half a string"),
            (b"\x1b]", false, b"\x18", "less of one"),
            (b"\x1b]0;a title\x07", false, b"", "a title"),
            (b"\x1b]8;;https://x/?q\x1b\\link", false, b"", "a link"),
            (b"\x1b[?1049h\x1bc", false, b"", "a full reset"),
            (b"\x1b[?99999999h\x1b[?h", false, b"", "no such mode"),
        ] {
            check(output, asked, leave, why);
        }
    }

    #[test]
    fn long_sequences_are_bounded() {
        let mut screen = Screen::new();
        screen.follow(b"\x1b[?");
        screen.follow(&b"1049;".repeat(10_000));
        assert!(screen.parameters.len() <= PARAMETERS_MAX + 1, "not kept");
        screen.follow(b"1049h");
        assert_eq!(screen.leave(), b"", "and set nothing");
    }
}
