//! What a workload's output has made of a terminal: which questions it asked and what it left on.
//!
//! A terminal answers questions by typing, and it keeps the modes it was put in. Whoever reads it
//! after the workload must not get either. This follows the output far enough to know (`ECMA-48`,
//! and the control sequences of xterm); it never changes a byte, and what it does not know it takes
//! for a question.

/// Most bytes of a sequence's parameters that are kept; of a longer one anything is believed.
const PARAMETERS_MAX: usize = 64;
/// Private modes (`CSI ? N h`) that a full-screen program turns on and that make the terminal type,
/// or show something else: keys, mouse, focus, alternate screens, paste, size and color reports.
const TURNED_ON: &[u16] = &[
    1, 5, 6, 9, 45, 47, 66, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049,
    1050, 1051, 1052, 1053, 1060, 1061, 2004, 2026, 2031, 2048, 5522, 7727, 9001,
];
/// Those that it turns off: the ANSI mode itself, repeating keys, wrapping of lines, the cursor.
const TURNED_OFF: &[u16] = &[VT52, 7, 8, 25];
/// Without this mode a terminal knows other sequences (`xterm`, VT52).
const VT52: u16 = 2;
/// Last bytes of control sequences that no terminal answers: moves, erasing, scrolling, modes,
/// colors, tabs.
const UNANSWERED: &[u8] = b"@ABCDEFGHIJKLMPSTXZ^`abdefghlmrsu";
/// The same after a leading `?`.
const UNANSWERED_PRIVATE: &[u8] = b"JKs";

/// Commands (`ESC ] N ;`) that no terminal answers: titles, the working directory, links, prompts.
const NAMES: &[&[u8]] = &[b"0", b"1", b"2", b"7", b"8", b"133"];

/// Where in a sequence the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Ground,
    /// After `ESC`.
    Escape,
    /// After `ESC` and this byte, which names a set of characters or its like.
    Intermediate(u8),
    /// In a control sequence (`ESC [`).
    Control,
    /// In the number of a command (`ESC ]`).
    Command,
    /// In a string, up to `BEL` or `ESC \`.
    String,
    /// In a string that `BEL` does not end everywhere (`ESC P`, `ESC _` and their like).
    Device,
    /// After `ESC` in a string.
    StringEscape,
}

/// The state of a terminal, as far as output has changed it.
#[derive(Debug)]
pub(crate) struct Screen {
    at: At,
    parameters: Vec<u8>,
    asked: bool,
    /// How often it was asked who it is, which is our own last question too.
    who: usize,
    /// Whether there was something that terminals read differently: what it may have turned on counts
    /// from there on, and what it may have turned off does not.
    doubt: bool,
    /// The first byte of a character of several, and how many are missing.
    wide: (u8, u8),
    /// Whether the terminal was for UTF-8, and whether it is now.
    utf8: [bool; 2],
    /// Modes that are not as they were.
    modes: Vec<u16>,
    /// What else is not as it was.
    changes: Vec<Change>,
}

/// What output can change besides modes, in the order in which it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// UTF-8, or not.
    Encoding,
    /// Answers with controls of one byte.
    Answers,
    /// Modes without `?`: a locked keyboard, inserting, line feeds, echo.
    Modes,
    /// Levels of the keyboard's protocols.
    Keys,
    Keypad,
    /// The lines that scroll.
    Region,
    /// Another set of characters in use.
    Shift,
    /// A set of characters that draws lines.
    Characters,
    Color,
}

impl Screen {
    /// `utf8`: whether the terminal is for UTF-8 (`IUTF8`, `termios(3)`).
    pub(crate) const fn new(utf8: bool) -> Self {
        Self {
            at: At::Ground,
            parameters: Vec::new(),
            asked: false,
            who: 0,
            doubt: false,
            wide: (0, 0),
            utf8: [utf8; 2],
            modes: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Nothing is changed or asked any more.
    pub(crate) fn left(&mut self) {
        *self = Self::new(self.utf8[0]);
    }

    /// Whether the output may have asked something.
    pub(crate) const fn asked(&self) -> bool {
        self.asked
    }

    /// How often it asked who the terminal is.
    pub(crate) const fn who(&self) -> usize {
        self.who
    }

    /// Follows the next bytes of the output.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.at == At::Ground && self.wide.1 == 0 {
                // Most output is text: one look for what is not.
                let special = |byte: &u8| matches!(*byte, 0x05 | 0x0E | 0x0F | 0x1B | 0x80..);
                let Some(text) = bytes.iter().position(special) else { return };
                bytes = bytes.get(text..).unwrap_or_default();
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            self.at = if *byte < 0x80 { self.next(*byte) } else { self.high(*byte) };
            bytes = rest;
        }
    }

    /// A byte of a character of several, or a control of one byte.
    fn high(&mut self, byte: u8) -> At {
        /// What asks or begins something.
        const BEGINS: &[u8] = &[0x90, 0x98, 0x9A, 0x9B, 0x9D, 0x9E, 0x9F];
        let (first, missing) = self.wide;
        if missing > 0 && byte < 0xC0 {
            self.wide = (first, missing - 1);
            if first == 0xC2 && byte < 0xA0 {
                // As UTF-8 writes it.
                return self.single(byte);
            }
            // Without UTF-8 it is a control all the same.
            self.asked |= !self.utf8[1] && BEGINS.contains(&byte);
        } else {
            let missing = match byte {
                0xC2..=0xDF => 1,
                0xE0..=0xEF => 2,
                0xF0..=0xF4 => 3,
                _ => 0,
            };
            self.wide = (byte, missing);
            if byte < 0xA0 {
                // Part of no character.
                self.doubted();
                return self.single(byte);
            }
        }
        if !matches!(self.at, At::Ground | At::String | At::Device) {
            self.doubted();
        }
        self.at
    }

    /// A control of one byte for what `ESC` and another say.
    fn single(&mut self, byte: u8) -> At {
        if self.at != At::Ground {
            self.doubted();
        }
        match byte {
            0x9B => self.begin_control(),
            0x90 | 0x98 | 0x9E | 0x9F => self.begin_string(),
            0x9D => self.begin_command(),
            0x9A => self.who_are_you(),
            _ => At::Ground,
        }
    }

    fn next(&mut self, byte: u8) -> At {
        self.wide = (0, 0);
        match (self.at, byte) {
            // The answerback.
            (at, 0x05) => {
                self.asked = true;
                at
            }
            (At::Command, byte) if byte.is_ascii_digit() && self.parameters.len() < 4 => {
                self.parameters.push(byte);
                At::Command
            }
            (At::Command, _) => {
                self.asked |= byte != b';' || !NAMES.contains(&self.parameters.as_slice());
                self.at = At::String;
                self.next(byte)
            }
            (At::String | At::Device, 0x1B) => At::StringEscape,
            (At::String, 0x07) => At::Ground,
            (At::Ground, 0x18 | 0x1A) => At::Ground,
            // BEL ends a string; CAN and SUB end everything, but not everywhere.
            (At::Device, 0x07) | (At::String | At::Device | At::StringEscape, 0x18 | 0x1A) => {
                self.doubted();
                At::Ground
            }
            (_, 0x18 | 0x1A) => At::Ground,
            (at @ (At::String | At::Device), _) => at,
            (At::StringEscape, b'\\') => At::Ground,
            // Any other sequence that begins in a string ends it, but not everywhere.
            (At::StringEscape, _) => {
                self.doubted();
                self.at = At::Escape;
                self.next(byte)
            }
            (_, 0x1B) => At::Escape,
            (at, 0x0E | 0x0F) => {
                self.change(Change::Shift, byte == 0x0E);
                at
            }
            (At::Ground, _) => At::Ground,
            // Obeyed within a sequence, which goes on, but not everywhere.
            (at, 0x00..=0x1F | 0x7F..) => {
                self.doubted();
                at
            }
            (At::Escape, 0x20..=0x2F) => At::Intermediate(byte),
            (At::Escape, _) => self.escaped(byte),
            (at @ At::Intermediate(_), 0x20..=0x2F) => at,
            (At::Intermediate(first), _) => self.designate(first, byte),
            (At::Control, 0x40..) => {
                self.control(byte);
                At::Ground
            }
            (At::Control, _) => {
                self.parameters.push(byte);
                // One more than is kept, so that a longer one is known as such.
                self.parameters.truncate(PARAMETERS_MAX + 1);
                At::Control
            }
        }
    }

    fn escaped(&mut self, byte: u8) -> At {
        match byte {
            b'[' => return self.begin_control(),
            b']' => return self.begin_command(),
            b'P' | b'X' | b'^' | b'_' => return self.begin_string(),
            // A name, in tmux and screen.
            b'k' => return At::String,
            // DECID.
            b'Z' => return self.who_are_you(),
            b'=' | b'>' => self.change(Change::Keypad, byte == b'='),
            b'n' | b'o' => self.change(Change::Shift, true),
            // A full reset.
            b'c' if !self.doubt => {
                let (asked, who) = (self.asked, self.who);
                self.left();
                (self.asked, self.who) = (asked, who);
            }
            _ => {}
        }
        At::Ground
    }

    /// `ESC`, `first` and `last`.
    fn designate(&mut self, first: u8, last: u8) -> At {
        match (first, last) {
            (b'(', last) => self.change(Change::Characters, last != b'B'),
            (b'%', last) => {
                self.utf8[1] = last != b'@';
                self.change(Change::Encoding, self.utf8[0] != self.utf8[1]);
            }
            (b' ', b'F' | b'G') => self.change(Change::Answers, last == b'G'),
            _ => {}
        }
        At::Ground
    }

    fn change(&mut self, what: Change, changed: bool) {
        if !changed && self.doubt {
            return;
        }
        self.changes.retain(|change| *change != what);
        if changed {
            self.changes.push(what);
            self.changes.sort();
        }
    }

    /// Terminals differ about what came.
    fn doubted(&mut self) {
        (self.asked, self.doubt) = (true, true);
    }

    fn who_are_you(&mut self) -> At {
        self.asked = true;
        self.who += 1;
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
        At::Device
    }

    /// A whole control sequence.
    fn control(&mut self, last: u8) {
        let parameters = std::mem::take(&mut self.parameters);
        if parameters.len() > PARAMETERS_MAX {
            // Not known whole: it may have been anything.
            self.doubted();
            self.modes = [TURNED_ON, TURNED_OFF].concat();
            self.change(Change::Modes, true);
            return;
        }
        let (private, rest) = match parameters.split_first() {
            Some((byte @ 0x3C..=0x3F, rest)) => (Some(*byte), rest),
            Some(_) | None => (None, parameters.as_slice()),
        };
        match (private, last) {
            // Restoring (`r`) turns them on or off.
            (Some(b'?'), b'h' | b'l' | b'r') if is_plain(rest) => self.modes(rest, last),
            (None, b'h' | b'l') if is_plain(rest) => {
                let unusual: &[u16] = if last == b'h' { &[2, 4, 20] } else { &[12] };
                // Taking them back once more does no harm.
                if numbers(rest).any(|number| unusual.contains(&number)) {
                    self.change(Change::Modes, true);
                }
            }
            (None, b'm') => self.change(Change::Color, !matches!(rest, b"" | b"0")),
            (None, b'r') => self.change(Change::Region, !rest.is_empty()),
            // Levels of the keyboard's protocols: `CSI > N u`, `CSI = N u`, `CSI > 4 ; N m`.
            (Some(b'>'), b'u' | b'm') | (Some(b'='), b'u') => self.change(Change::Keys, true),
            (Some(b'<'), b'u') if is_plain(rest) => {}
            // The shape of the cursor, which is left as it is.
            (None, b'q') if rest.ends_with(b" ") => {}
            (None, last) if UNANSWERED.contains(&last) && is_plain(rest) => {}
            (Some(b'?'), last) if UNANSWERED_PRIVATE.contains(&last) && is_plain(rest) => {}
            (None, b'c') => drop(self.who_are_you()),
            (Some(_) | None, _) => self.asked = true,
        }
    }

    /// Modes are set (`h`), reset (`l`), or what they once were (`r`).
    fn modes(&mut self, parameters: &[u8], last: u8) {
        for number in numbers(parameters) {
            let on = last != b'l' && TURNED_ON.contains(&number);
            let changed = on || last != b'h' && TURNED_OFF.contains(&number);
            if changed || !self.doubt {
                self.modes.retain(|mode| *mode != number);
            }
            if changed {
                self.modes.push(number);
            }
        }
    }

    /// What makes the terminal as it was, to be written once the workload is gone.
    pub(crate) fn leave(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.at != At::Ground || self.doubt {
            // CAN, or the end of a string: what begins after us must not be the rest of something.
            bytes.extend_from_slice(b"\x18\x1b\\");
        }
        if self.modes.contains(&VT52) {
            bytes.extend_from_slice(b"\x1b<");
        }
        for mode in self.modes.iter().filter(|mode| **mode != VT52) {
            let letter = if TURNED_OFF.contains(mode) { 'h' } else { 'l' };
            bytes.extend_from_slice(format!("\x1b[?{mode}{letter}").as_bytes());
        }
        bytes.extend(self.changes.iter().flat_map(|change| match change {
            Change::Encoding if self.utf8[0] => &b"\x1b%G"[..],
            Change::Encoding => b"\x1b%@",
            Change::Answers => b"\x1b F",
            Change::Modes => b"\x1b[2;4;20l\x1b[12h",
            // Where `>` is not known these would be looks of characters.
            Change::Keys => b"\x1b[<99u\x1b[>1m\x1b[>2m\x1b[>4m\x1b[m",
            Change::Keypad => b"\x1b>",
            Change::Region => b"\x1b7\x1b[r\x1b8",
            Change::Shift => b"\x0f",
            Change::Characters => b"\x1b(B",
            Change::Color => b"\x1b[m",
        }));
        bytes
    }
}

/// Whether parameters are numbers alone: another byte among them makes another sequence.
fn is_plain(parameters: &[u8]) -> bool {
    parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

fn numbers(parameters: &[u8]) -> impl Iterator<Item = u16> {
    let number = |number| std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    parameters.split(|byte| *byte == b';').filter_map(number)
}

#[cfg(test)]
#[path = "screen_fuzz.rs"]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    const CUT: &[u8] = b"\x18\x1b\\";
    const KEYS: &[u8] = b"\x1b[<99u\x1b[>1m\x1b[>2m\x1b[>4m\x1b[m";
    const MODES: &[u8] = b"\x1b[2;4;20l\x1b[12h";

    #[track_caller]
    fn check(output: &[u8], asked: bool, leave: &[u8], why: &str) {
        let mut whole = Screen::new(true);
        whole.follow(output);
        assert_eq!((whole.asked(), whole.leave().as_slice()), (asked, leave), "{why}");
        let mut parts = Screen::new(true);
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
            (b"\x1b[?1;1;0S", true, "how many colors"),
            (b"\x1b[?4m", true, "which keys"),
            (b"\x1b[?1$h", true, "a mode that is none"),
            (b"\x1b[\x05m", true, "the answerback within a sequence"),
            (b"\x1b]0;\x05\x07", true, "within a string"),
            (b"\x1b[s\x1b[u\x1b[<1u", false, "a place, and keys, given back"),
        ] {
            let mut screen = Screen::new(true);
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
            (b"\x1b(0qqq", false, b"\x1b(B", "line drawing"),
            (b"\x1b)0\x0e\x1b(B", false, b"\x0f", "line drawing by a shift"),
            (b"\x0eqqq\x0f", false, b"", "drawn and back"),
            (b"\x1b=\x1b[?1h", false, b"\x1b[?1l\x1b>", "keypad and cursor keys"),
            (b"\x1b[5;10r", false, b"\x1b7\x1b[r\x1b8", "a scroll region"),
            (b"\x1b[>1u", false, KEYS, "a keyboard protocol"),
            (b"\x1b[=31u", false, KEYS, "the same, set"),
            (b"\x1b[", false, CUT, "half a sequence"),
            (b"\x1b]0;title", false, CUT, "half a string"),
            (b"\x1b]", false, CUT, "less of one"),
            (b"\x1bktitle", false, CUT, "half a name, in tmux"),
            (b"\x1bktitle\x1b\\", false, b"", "a name, in tmux"),
            (b"\x1b]0;a title\x07", false, b"", "a title"),
            (b"\x1b]8;;https://x/?q\x1b\\link", false, b"", "a link"),
            (b"\x1b[?1049h\x1bc", false, b"", "a full reset"),
            (b"\x1b[?99999999h\x1b[?h", false, b"", "no such mode"),
            (b"\x1b[?1000s\x1b[?1000r", false, b"\x1b[?1000l", "a mode that is restored"),
            (b"\x1b[?9001h\x1b[?1060h", false, b"\x1b[?9001l\x1b[?1060l", "other keys"),
            (b"\x1b[2h", false, MODES, "a locked keyboard"),
            (b"\x1b[4h\x1b[4l", false, MODES, "inserting, and back"),
            (b"\x1b[4l\x1b[20l", false, b"", "what is so anyway"),
            (b"\x1b[?2l", false, b"\x1b<", "a terminal of old"),
            (b"\x1b%@", false, b"\x1b%G", "UTF-8 switched off"),
            (b"\x1b%@\x1b%G", false, b"", "and on"),
            (b"\x1b G", false, b"\x1b F", "answers of one byte"),
        ] {
            check(output, asked, leave, why);
        }
    }

    /// What comes after is parsed differently by different terminals: it asks, and what it turns off
    /// may be on.
    #[test]
    fn doubts() {
        let on = b"\x1b[?1000h\x1b(0";
        let off = b"\x1b[?1000l\x1b(B\x1bc";
        for (odd, why) in [
            (&b"\x1b\n[0m"[..], "a control in an escape"),
            (b"\x1b\x7f[0m", "another"),
            (b"\x1b(\nB", "in a name of characters"),
            (b"\x1b[\n0m", "in a control sequence"),
            (b"\x1b\xc2\x9b0m", "a sequence in an escape"),
            (b"\x1b[5\xc2\x9d11;?\x07", "a command in a sequence"),
            (b"\x1b(\xc2\x9b0m", "a sequence in a name"),
            (b"\x1b]0;x\xc2\x9cy\x07", "a string that ends with one byte"),
            (b"\x1b]0;x\xc2\x9b0m", "a sequence in a string"),
            (b"\x1b]0;x\x1b[0m", "the same, as usual"),
            (b"\x1b]0;x\x18", "a string that is cut"),
            (b"\x1bPx\x07", "a string that goes on"),
            (b"\x1b\xc3\xa9[0m", "a letter in an escape"),
            (b"\x9b0m", "a byte that is no character"),
            (b"\xc3\x9b\x9b0m", "after one that is"),
        ] {
            let output = [on, odd, off].concat();
            check(&output, true, b"\x18\x1b\\\x1b[?1000l\x1b(B", why);
        }
        let long = [b"\x1b[?".as_slice(), &b"0".repeat(64), b"1000h"].concat();
        let mut screen = Screen::new(true);
        screen.follow(&long);
        let leave = screen.leave();
        assert!(leave.windows(8).any(|part| part == b"\x1b[?1000l"), "a mode in many digits");
    }

    /// A terminal that is not for UTF-8 finds controls within characters.
    #[test]
    fn other_encodings() {
        for (output, utf8, why) in [
            (&b"\xe2\x9b\xb5 \xf0\x9f\x98\x9b"[..], false, "pictures are questions"),
            (b"\xc4\x9b6n", false, "a letter is one"),
            (b"\x1b%@\xc4\x9b6n", true, "a terminal that was switched"),
        ] {
            let asked = |utf8| {
                let mut screen = Screen::new(utf8);
                screen.follow(output);
                screen.asked()
            };
            assert!(asked(utf8), "{why}");
            assert!(!asked(true) || utf8, "{why}: not in UTF-8");
        }
    }

    #[test]
    fn the_last_question_is_counted() {
        let mut screen = Screen::new(true);
        screen.follow(b"\x1b[c\x1b[0c\x1bZ\xc2\x9a\x1bc\x1b[>c\x1b[6n");
        assert_eq!(screen.who(), 4, "and no other");
        screen.left();
        assert_eq!((screen.who(), screen.asked()), (0, false), "left");
    }

    #[test]
    fn long_sequences_are_bounded() {
        let mut screen = Screen::new(true);
        screen.follow(b"\x1b[?");
        screen.follow(&b"1049;".repeat(10_000));
        assert!(screen.parameters.len() <= PARAMETERS_MAX + 1, "not kept");
        screen.follow(b"1049h");
        assert!(screen.asked(), "and anything may be in it");
    }
}
