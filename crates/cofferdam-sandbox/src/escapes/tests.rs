//! Each sequence with what becomes of it and why, in every two pieces and byte by byte.

use super::*;

/// What is shown of `bytes`, and what was taken out.
fn shown(pieces: &[&[u8]], questions: Questions) -> (Vec<u8>, Refused) {
    let mut filter = Filter::new(questions);
    let mut out = Vec::new();
    pieces.iter().for_each(|piece| filter.feed(piece, &mut out));
    filter.finish(&mut out);
    (out, *filter.refused())
}

/// The same however it is cut.
#[track_caller]
fn filtered(bytes: &[u8], questions: Questions, why: &str) -> (Vec<u8>, Refused) {
    let whole = shown(&[bytes], questions);
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(shown(&[first, second], questions), whole, "{why}: cut at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(shown(&single, questions), whole, "{why}: byte by byte");
    whole
}

const PASS: &[(&[u8], &str)] = &[
    (b"plain text\tand\r\nlines\x08\x07\x0b\x0c", "text, and what moves in it"),
    ("äß€😀\u{a0}".as_bytes(), "characters of several bytes"),
    (b"\x1b[1;31mred\x1b[0m\x1b[m", "colors"),
    (b"\x1b[38;5;8m\x1b[48;2;8;8;8m\x1b[38:2::8:8:8m\x1b[4:3m\x1b[58;5;8m", "eight as a color"),
    (b"\x1b[2J\x1b[K\x1b[3X\x1b[2P\x1b[4@\x1b[L\x1b[M", "erase, insert, remove"),
    (b"\x1b[10;20H\x1b[5A\x1b[5B\x1b[C\x1b[D\x1b[G\x1b[4d\x1b[3`\x1b[a\x1b[e\x1b[2f", "moves"),
    (b"\x1b[5;20r\x1b[r\x1b[2S\x1b[3T\x1bM\x1bD\x1bE", "scrolling"),
    (b"\x1b7\x1b8\x1b[s\x1b[u", "a place kept"),
    (b"\x1b(0qqq\x1b(B\x1b)0\x0eqqq\x0f", "lines"),
    (b"\x1b=\x1b>\x1b[?1h\x1b[?1l\x1b[?66h", "keypad and keys of the cursor"),
    (b"\x1b[?1049h\x1b[?1049l\x1b[?47h\x1b[?1047;1048l", "the other screen"),
    (b"\x1b[?25l\x1b[?12;25h\x1b[34l\x1b[2 q\x1b[ q", "the cursor"),
    (b"\x1b[?2004h\x1b[?2026h\x1b[?1004h\x1b[?1000;1002;1003;1006;1015h", "paste, focus, mouse"),
    (
        b"\x1b[?5h\x1b[?5l\x1b[?6l\x1b[?7l\x1b[4h\x1b[4l\x1b[!p",
        "bell that is seen, modes, soft reset",
    ),
    (b"\x1bH\x1b[g\x1b[3g\x1b[?5W\x1b[I\x1b[2Z", "tabs"),
    (b"\x1b[>4;2m\x1b[>4m\x1b[>1u\x1b[<u\x1b[=1;1u", "how keys are told"),
    (b"x\x1b[80b", "repeated"),
    (b"\x1b]8;id=a:b;https://example.com/?q=1\x1b\\here\x1b]8;;\x1b\\", "a link to the web"),
    (b"\xe4\xf6 \xc0\xff", "letters of eight bits that are no controls"),
];

#[test]
fn what_passes_does_so_unchanged() {
    for (bytes, why) in PASS {
        let (out, refused) = filtered(bytes, Questions::Refused, why);
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(bytes), "{why}");
        assert_eq!(out, *bytes, "{why}");
        assert_eq!(refused.rows().count(), 0, "{why}: nothing is counted");
    }
}

const REFUSED: &[(&[u8], Kind, &str)] = &[
    (b"\x1b]52;c;YWJj\x07", Kind::Clipboard, "the clipboard is written"),
    (b"\x1b]52;c;YWJj\x1b\\", Kind::Clipboard, "with the other end"),
    (b"\x1b]52;c;?\x07", Kind::Clipboard, "the clipboard is read"),
    (b"\x1b]0;title\x07", Kind::Title, "a title"),
    (b"\x1b]2;title\x1b\\", Kind::Title, "another"),
    (b"\x1bktitle\x1b\\", Kind::Title, "of tmux"),
    (b"\x1b]4;1;?\x07", Kind::Question, "a color is asked for"),
    (b"\x1b]10;?\x1b\\", Kind::Question, "of letters"),
    (b"\x1b]11;?\x07", Kind::Question, "of the ground"),
    (b"\x1b]11;#000000\x07", Kind::Command, "a color is set for all"),
    (b"\x1b]7;file://host/\x07", Kind::Command, "the working directory"),
    (b"\x1b]9;notice\x07", Kind::Command, "a notification"),
    (b"\x1b]777;notify;a;b\x07", Kind::Command, "another"),
    (b"\x1b]1337;File=:AAAA\x07", Kind::Command, "a file"),
    (b"\x1b]\x07", Kind::Command, "no number"),
    (b"\x1b]P1a2b3c4", Kind::Command, "a color of the Linux console"),
    (b"\x1b]R", Kind::Command, "all of them"),
    (b"\x1b]8;;file:///etc/passwd\x1b\\", Kind::Link, "a link to a file"),
    (b"\x1b]8;;javascript:x\x07", Kind::Link, "to a program"),
    (b"\x1b]8;;https://a\nb\x07", Kind::Link, "of two lines"),
    ("\x1b]8;;https://ä\x07".as_bytes(), Kind::Link, "letters that look like others"),
    (b"\x1bP$qm\x1b\\", Kind::Device, "DECRQSS"),
    (b"\x1bP+q544e\x1b\\", Kind::Device, "XTGETTCAP"),
    (b"\x1bPq#0;2;0;0;0\n#0~~\x1b\\", Kind::Device, "a picture, over lines"),
    (b"\x1b_Ga=q;\x1b\\", Kind::Device, "another"),
    (b"\x1b^private\x1b\\", Kind::Device, "PM"),
    (b"\x1bXstring\x1b\\", Kind::Device, "SOS"),
    (b"\x1bPcut\x18", Kind::Device, "a string that is cut"),
    (b"\x1b[5n", Kind::Question, "are you well"),
    (b"\x1b[6n", Kind::Question, "where is the cursor"),
    (b"\x1b[?6n", Kind::Question, "the same, extended"),
    (b"\x1b[c", Kind::Question, "of what kind are you"),
    (b"\x1b[0c", Kind::Question, "the same"),
    (b"\x1b[>c", Kind::Question, "further"),
    (b"\x1b[=c", Kind::Question, "further still"),
    (b"\x1bZ", Kind::Question, "of old"),
    (b"\x05", Kind::Question, "the answerback"),
    (b"\x1b[>0q", Kind::Question, "which version"),
    (b"\x1b[?2026$p", Kind::Question, "which mode"),
    (b"\x1b[4$p", Kind::Question, "which other mode"),
    (b"\x1b[?u", Kind::Question, "which keys"),
    (b"\x1b[?4m", Kind::Question, "which of them"),
    (b"\x1b[21t", Kind::Question, "what is your title"),
    (b"\x1b[20t", Kind::Question, "of the icon"),
    (b"\x1b[14t", Kind::Question, "how large"),
    (b"\x1b[x", Kind::Question, "which settings"),
    (b"\x1b[1;1;1;1;9;9*y", Kind::Question, "a checksum of what is shown"),
    (b"\x1b[?1;1;0S", Kind::Question, "how many colors"),
    (b"\x1b[8m", Kind::Hidden, "text that nobody sees"),
    (b"\x1b[0;8m", Kind::Hidden, "among others"),
    (b"\x1b[38;5;1;8m", Kind::Hidden, "after a color"),
    (b"\x1b[08m", Kind::Hidden, "with a zero"),
    (b"\x1b[8:1m", Kind::Hidden, "with a part"),
    (b"\x1b[38;8m", Kind::Control, "a color that is none"),
    (b"\x1b[38;2;1;8m", Kind::Control, "a color without its end"),
    (b"\x1b[i", Kind::Control, "print"),
    (b"\x1b[5i", Kind::Control, "print all that comes"),
    (b"\x1b[?5i", Kind::Control, "the same"),
    (b"\x1b[2t", Kind::Control, "a window becomes small"),
    (b"\x1b[8;1;1t", Kind::Control, "another size"),
    (b"\x1bc", Kind::Control, "a full reset"),
    (b"\x1b#8", Kind::Control, "a screen full of E"),
    (b"\x1b%@", Kind::Control, "no UTF-8 from here"),
    (b"\x1b G", Kind::Control, "answers of one byte"),
    (b"\x1bn", Kind::Control, "another set of letters"),
    (b"\x1b(K", Kind::Control, "letters of Germany"),
    (b"\x1b[1;1;1;1;1T", Kind::Control, "a mouse that waits"),
    (b"\x1b[99999b", Kind::Control, "without end"),
    (b"\x1b[1$r", Kind::Control, "looks of a rectangle"),
    (b"\x1b[1?m", Kind::Control, "a sequence that is none"),
    (b"\x1b[?1049;2h", Kind::Mode, "VT52, behind another"),
    (b"\x1b[?2l", Kind::Mode, "VT52"),
    (b"\x1b[?h", Kind::Mode, "no mode"),
    (b"\x1b[?1001h", Kind::Mode, "a mouse that waits"),
    (b"\x1b[?2031h", Kind::Mode, "colors are told"),
    (b"\x1b[?2048h", Kind::Mode, "sizes are told"),
    (b"\x1b[?9001h", Kind::Mode, "other keys"),
    (b"\x1b[?1000r", Kind::Mode, "a mode as it was"),
    (b"\x1b[2h", Kind::Mode, "a locked keyboard"),
    (b"\x1b[12l", Kind::Mode, "an echo"),
    (b"\xc2\x9b", Kind::Control, "a control as UTF-8 writes it"),
    (b"\x01", Kind::Control, "a control that is none of text"),
    ("\u{202e}".as_bytes(), Kind::Direction, "from right to left"),
    ("\u{2066}".as_bytes(), Kind::Direction, "apart"),
];

#[track_caller]
fn taken_out(bytes: &[u8], kind: Kind, why: &str) {
    let around = [b"before", bytes, b"after"].concat();
    let (out, refused) = filtered(&around, Questions::Refused, why);
    assert_eq!(String::from_utf8_lossy(&out), "beforeafter", "{why}");
    assert_eq!(refused.rows().collect::<Vec<_>>(), [(kind, 1)], "{why}");
}

#[test]
fn what_is_refused_is_taken_out_whole() {
    for (bytes, kind, why) in REFUSED {
        taken_out(bytes, *kind, why);
    }
    let long = |begin: &[u8], part: &[u8], end: &[u8]| {
        [begin, part.repeat(20_000 / part.len()).as_slice(), end].concat()
    };
    for (bytes, kind, why) in [
        (long(b"\x1b]8;;https://", b"a", b"\x07"), Kind::Link, "too long for one"),
        (long(b"\x1b]52;c;", b"QUJD", b"\x07"), Kind::Clipboard, "a long one"),
        (long(b"\x1b[", b"1;", b"m"), Kind::Unfinished, "no sequence is as long"),
    ] {
        let around = [b"before", bytes.as_slice(), b"after"].concat();
        let (out, refused) = shown(&[&around], Questions::Refused);
        assert_eq!(String::from_utf8_lossy(&out), "beforeafter", "{why}");
        assert_eq!(refused.rows().collect::<Vec<_>>(), [(kind, 1)], "{why}");
        let single: Vec<&[u8]> = around.chunks(1).collect();
        assert_eq!(shown(&single, Questions::Refused), (out, refused), "{why}: byte by byte");
    }
}

/// What a program of the whole screen needs to know, and what every terminal answers alike.
#[test]
fn questions_that_may_pass() {
    for (bytes, pass, why) in [
        (&b"\x1b[6n"[..], true, "where is the cursor"),
        (b"\x1b[5n", true, "are you well"),
        (b"\x1b[c", true, "of what kind"),
        (b"\x1b[0c", true, "the same"),
        (b"\x1b[>c", true, "further"),
        (b"\x1b[>0c", true, "the same"),
        (b"\x1b[1c", false, "no question"),
        (b"\x1b[21t", false, "the title may be anything"),
        (b"\x1bP$qm\x1b\\", false, "what was set"),
        (b"\x1bP+q544e\x1b\\", false, "a capability"),
        (b"\x1b]11;?\x07", false, "a color that was set"),
        (b"\x1b]52;c;?\x07", false, "the clipboard"),
        (b"\x05", false, "the answerback"),
        (b"\x1b[>q", false, "which version"),
    ] {
        let (out, refused) = filtered(bytes, Questions::Pass, why);
        assert_eq!(out == bytes, pass, "{why}");
        assert_eq!(out.is_empty(), !pass, "{why}: all or nothing");
        assert_eq!(refused.rows().count(), usize::from(!pass), "{why}");
    }
}

#[test]
fn what_is_sent_all_the_time_is_dropped_in_silence() {
    for (bytes, why) in [
        (&b"\x1b[22;0;0t"[..], "a title is put away"),
        (b"\x1b[23;0t", "and taken back"),
        (b"\x1b[?1034h", "letters with Alt"),
        (b"\x1b[?0c", "the Linux console's cursor"),
        (b"\0\0\x7f", "padding"),
        (b"\x18\x1a", "the end of nothing"),
        (b"\x1b\\", "another"),
    ] {
        let (out, refused) = filtered(bytes, Questions::Pass, why);
        assert_eq!((out.as_slice(), refused.rows().count()), (&b""[..], 0), "{why}");
    }
}

/// What breaks off, and what begins in the middle of something else.
#[test]
fn broken_sequences() {
    let fffd = "\u{fffd}";
    for (bytes, want, why) in [
        (&b"a\x1b"[..], "a", "half a sequence"),
        (b"a\x1b[3", "a", "more of it"),
        (b"a\x1b]0;title", "a", "half a command"),
        (b"a\x1bPstring\x1b", "a", "half an end"),
        (b"a\x1b[3\nb", "a\nb", "a line ends in a sequence"),
        (b"a\x1b\nb", "a\nb", "and after its beginning"),
        (b"\x1b[3\x1b[31mb", "\x1b[31mb", "another one in it"),
        (b"\x1b\x1b[31mb", "\x1b[31mb", "twice begun"),
        (b"\x1b]0;t\x1b[31mb", "\x1b[31mb", "a command that another sequence ends"),
        (b"\x1b]0;t\x1b]52;c;QQ==\x07b", "b", "and another command"),
        (b"\x1b[3\xc3\xa4b", "\u{e4}b", "a letter in a sequence"),
        (b"\x1b[\xc2\x9b31mb", "31mb", "a control in it"),
        (b"\x9b31m", &format!("{fffd}31m"), "a control of one byte"),
        (b"\x9d0;x\x9c", &format!("{fffd}0;x{fffd}"), "a command of such"),
        (b"\xe2\x9b", &format!("\u{fffd}{fffd}"), "a character without its end"),
        (b"\xe2\x1b[31m\x9b", "\u{fffd}\x1b[31m\u{fffd}", "a sequence in a character"),
        (b"\xc4\x1b]0;x\x07\x9b6n", "\u{fffd}\u{fffd}6n", "one that was taken out"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}", "half of a pair"),
        (b"\xe0\x82\x9b", "\u{fffd}\u{fffd}\u{fffd}", "a control, written long"),
        (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}", "beyond the last"),
        (
            b"\x1b]8;;https://a.test\x07open",
            "\x1b]8;;https://a.test\x1b\\open\x1b]8;;\x1b\\",
            "a link ends",
        ),
    ] {
        let (out, _) = filtered(bytes, Questions::Pass, why);
        assert_eq!(String::from_utf8_lossy(&out), want, "{why}");
        // A control of eight bits is nowhere but within a character.
        let lone = out.utf8_chunks().flat_map(|chunk| chunk.invalid().to_vec());
        assert!(!lone.into_iter().any(|byte| (0x80..=0x9f).contains(&byte)), "{why}");
    }
}

#[test]
fn text_is_never_kept_back() {
    let mut filter = Filter::new(Questions::Pass);
    let mut out = Vec::new();
    for (piece, want, why) in [
        (&b"prompt> "[..], &b"prompt> "[..], "a prompt"),
        (b"abc\x1b", b"abc", "before a sequence"),
        (b"[", b"", "which goes on"),
        (b"1m$ ", b"\x1b[1m$ ", "and ends"),
        (b"x\xe2\x82", b"x", "before a character"),
        (b"\xac", b"\xe2\x82\xac", "which ends"),
    ] {
        out.clear();
        filter.feed(piece, &mut out);
        assert_eq!(out, want, "{why}");
    }
}

#[test]
fn what_does_not_end_needs_no_memory() {
    for begin in [&b"\x1b[1"[..], b"\x1b]52;c;", b"\x1bP", b"\x1b(", b"\x1b]8;;https://"] {
        let mut filter = Filter::new(Questions::Pass);
        let mut out = Vec::new();
        filter.feed(begin, &mut out);
        for _ in 0..100 {
            filter.feed(&b" ".repeat(10_000), &mut out);
        }
        assert!(filter.kept.len() <= SEQUENCE_MAX && out.is_empty(), "{begin:?}");
        filter.feed(b"m\x1b\\text", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "text", "{begin:?}: and it goes on");
    }
}
