//! What is put in the place of secrets and of needles.

use super::slow::{self, Dice};
use super::*;

const REAL: &[u8] = b"ghp_Abcdef0123456789Zz";
const STAND_IN: &[u8] = b"ghp_QcFd7Mx55667788Wkq";

fn forms(pairs: &[(&[u8], &[u8])]) -> Forms {
    let forms = pairs.iter().flat_map(|(real, put)| pair(real, put).expect("one length"));
    Forms::new(forms.collect(), Splits::Blanks, b"")
}

/// The one place that feeds a scrubber.
fn scrub(forms: &Forms, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut splice, mut out) = (Splice::default(), Vec::new());
    for piece in pieces {
        splice.feed(forms, piece, &mut out, &mut |_| ());
    }
    splice.flush(forms, &mut out, &mut |_| ());
    assert_eq!(splice.pending(), 0);
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert!(splice.changes_length() || out.len() == length);
    out
}

/// The one place that feeds a masker.
fn mask(masks: &Masks, pieces: &[&[u8]]) -> (Vec<u8>, Vec<Found>) {
    let (mut masker, mut out, mut found) = (Masker::new(masks), Vec::new(), Vec::new());
    for piece in pieces {
        masker.feed(piece, &mut out, &mut |hit| found.push(hit));
    }
    masker.flush(&mut out, &mut |hit| found.push(hit));
    (out, found)
}

/// Whole, byte by byte and in every two pieces, also among much else.
#[track_caller]
fn check_with(text: &[u8], want: &[u8], why: &str, go: impl Fn(&[&[u8]]) -> Vec<u8>) {
    let shown = text.escape_ascii();
    let same = |got: Vec<u8>, how: &str| {
        assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string(), "{how}: {why}");
    };
    same(go(&[text]), "whole");
    same(go(&text.chunks(1).collect::<Vec<_>>()), "byte by byte");
    for at in 0..text.len() {
        let (a, b) = text.split_at(at);
        same(go(&[a, b]), &format!("{shown} cut at {at}"));
    }
    let much = vec![b'.'; 5_000];
    let long = [&much, text, &much].concat();
    assert_eq!(go(&[&long]), [&much, want, &much].concat(), "among much else: {why}");
}

#[test]
fn scrubbed() {
    let forms = forms(&[(REAL, STAND_IN)]);
    for (text, want, why) in [
        (
            "{\"token\":\"ghp_Abcdef0123456789Zz\"}",
            "{\"token\":\"ghp_QcFd7Mx55667788Wkq\"}",
            "plain",
        ),
        ("ghp_Abcdef0123456789Z", "ghp_Abcdef0123456789Z", "one letter less"),
        ("ghp_abcdef0123456789Zz", "ghp_abcdef0123456789Zz", "another case"),
        ("zZ9876543210fedcbA_phg", "qkW88776655xM7dFcQ_phg", "last byte first"),
        ("g%68p%5fAbcdef0123456789Z%7A", "g%68p%5fQcFd7Mx55667788Wk%71", "percent"),
        (
            r"\u0067hp_Abcdef0123456789\u005a\x7a",
            r"\u0067hp_QcFd7Mx55667788W\u006b\x71",
            "escapes of JSON and JavaScript",
        ),
        (
            "ghp_&#65;bcdef0123456789&#x5A;&#x7a;",
            "ghp_&#81;cFd7Mx55667788W&#x6B;&#x71;",
            "references of HTML",
        ),
        (
            "ghp_&#65bcdef0123456789Zz &amp;",
            "ghp_&#65bcdef0123456789Zz &amp;",
            "of another character: its digits go on with a letter, which is none of them",
        ),
        (
            "6768705f416263646566303132333435363738395a7a",
            "6768705f51634664374d78353536363737383857 6b71",
            "hex",
        ),
        (
            "6768705F416263646566303132333435363738395A7A",
            "6768705F51634664374D783535363637373838576B71",
            "hex in capitals",
        ),
        ("&#xAbcdef0123456789Zz", "&#xAbcdef0123456789Zz", "a reference of more digits"),
        ("ghp_Abcdef\r\n0123456789Zz", "ghp_QcFd7M\r\nx55667788Wkq", "broken into lines"),
        ("ghp_Abcdef\n\n0123456789Zz", "ghp_Abcdef\n\n0123456789Zz", "an empty line splits"),
    ] {
        let want = match why {
            "hex" => want.replace(' ', ""),
            "of another character: its digits go on with a letter, which is none of them" => {
                want.replace("ghp_&#65bcdef0123456789Zz", "ghp_&#81cFd7Mx55667788Wkq")
            }
            _ => want.to_owned(),
        };
        check_with(text.as_bytes(), want.as_bytes(), why, |pieces| scrub(&forms, pieces));
    }
}

#[test]
fn scrubbed_base64() {
    let other: (&[u8], &[u8]) = (b"0123456789abcdefXY", b"zyxwvutsrqponmlkQR");
    let forms = forms(&[(REAL, STAND_IN), other]);
    for (real, stand_in) in [(REAL, STAND_IN), other] {
        for (before, behind) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
            for url in [false, true] {
                let whole = |secret: &[u8]| {
                    let bytes = [&b"a:\xFF~"[..before], secret, &b"?/\xFE!"[..behind]].concat();
                    slow::base64(&bytes, url)
                };
                let why = format!("{before} before, {behind} behind, {url}");
                let same = |text: Vec<u8>| [b"\"", &*text, b"\""].concat();
                // What has two spellings in one alphabet has one that is put.
                if !whole(stand_in).iter().any(|letter| b"+/-_".contains(letter)) {
                    let (text, want) = (same(whole(real)), same(whole(stand_in)));
                    check_with(&text, &want, &why, |pieces| scrub(&forms, pieces));
                }
            }
        }
    }
}

#[test]
fn escapes_that_end_as_a_secret_begins() {
    let forms = forms(&[(b"AKIAIOSFODNN7", b"AKIAcFd7MxQQ9")]);
    for (text, want, why) in [
        ("&#xAKIA%49OSFODNN7", "&#xAKIA%49OSFODNN7", "a line's end and the rest of it"),
        ("&#xA;AKIA%49OSFODNN7", "&#xA;AKIA%63Fd7MxQQ9", "and all of it"),
        ("=&#xAAKIA%49OSFODNN7", "=&#xAAKIA%49OSFODNN7", "another character"),
    ] {
        check_with(text.as_bytes(), want.as_bytes(), why, |pieces| scrub(&forms, pieces));
    }
}

#[test]
fn what_is_withheld() {
    let forms = forms(&[(REAL, STAND_IN)]);
    for (piece, want, why) in [
        ("data: {\"text\":\"hello\"}\n\n", 0, "an event"),
        ("data: ghp\n\n", 0, "an event that ends as a secret begins"),
        ("gh", 0, "what is the same in both"),
        ("ghp_A", 1, "what is not"),
        ("50%", 1, "what may be an escape"),
        ("50% ", 0, "and was none"),
        ("(\\u00", 4, "half of one"),
    ] {
        let (mut splice, mut out) = (Splice::default(), Vec::new());
        splice.feed(&forms, piece.as_bytes(), &mut out, &mut |_| ());
        assert_eq!(splice.pending(), want, "{piece:?}: {why}");
        assert_eq!(out, piece.as_bytes()[..piece.len() - want], "{piece:?}: {why}");
    }
    let (mut splice, mut out) = (Splice::default(), Vec::new());
    for _ in 0..1_000 {
        splice.feed(&forms, b"ghp_A                    ", &mut out, &mut |_| ());
        splice.feed(&forms, &b" ".repeat(500), &mut out, &mut |_| ());
        assert!(splice.pending() <= 4_096, "bounded");
    }
}

#[test]
fn masked() {
    let rows = [(Label(4), b"cFd7Mx".as_slice()), (Label(5), b"my own canary")];
    let masks = Masks::new(&Needles::new(rows).expect("needles"));
    for (text, want, why) in [
        ("token ghp_12cFd7Mx34\r\n$ ", "token ghp_12[redacted]34\r\n$ ", "a stand-in"),
        ("a my own canary.\n", "a [redacted].\n", "a canary"),
        ("my  own\ncanary", "[redacted]", "broken into lines"),
        ("cFd\x1b[1;31m7M\x1b[0mx!", "[redacted]\x1b[1;31m\x1b[0m!", "in colours, which stay"),
        ("cFd\x1b(B7\x08Mx", "[redacted]\x1b(B", "another character set"),
        ("\x1b[my own canary", "\x1b[[redacted]", "one that begins in a sequence, as it is"),
        ("\x1b[my  own canary", "\x1b[my  own canary", "and as it is read: there it does not"),
        ("cFd\x1b[1;31m7My", "cFd\x1b[1;31m7My", "and none"),
        ("Y0ZkN014==", "[redacted]==", "base64"),
        ("%63Fd7Mx \\u0063Fd7Mx", "[redacted] [redacted]", "escaped"),
        ("100% of \\ and & are \x1b[", "100% of \\ and & are \x1b[", "beginnings of nothing"),
    ] {
        check_with(text.as_bytes(), want.as_bytes(), why, |pieces| mask(&masks, pieces).0);
    }
    let (_, found) = mask(&masks, &[b"xM7dFc my own canary"]);
    let found: Vec<_> = found.iter().map(|hit| (hit.label.0, hit.encoding)).collect();
    assert_eq!(found, [(4, Encoding::Reversed), (5, Encoding::Plain)]);
    let (mut masker, mut out) = (Masker::new(&masks), Vec::new());
    masker.feed(b"$ ls cFd7", &mut out, &mut |_| ());
    assert_eq!((out.as_slice(), masker.pending()), (b"$ ls ".as_slice(), 4));
    masker.flush(&mut out, &mut |_| ());
    assert_eq!((out.as_slice(), masker.pending()), (b"$ ls cFd7".as_slice(), 0));
}

/// No secret that was hidden at random is left, in any form that the slow reading undoes; the cut changes
/// nothing; what holds none passes as it is.
#[test]
fn scrubs_all_that_the_slow_reading_finds() {
    let token: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut dice = Dice(0x5EED_0002);
    for round in 0..2_000 {
        let prefix: &[u8] = dice.pick::<&[u8]>(&[b"", b"sk-", b"p w/&"]);
        let length = 8 + dice.roll(40);
        let real = [prefix, &dice.bytes(length, token)].concat();
        let stand_in = [prefix, &dice.bytes(length, token)].concat();
        let forms = forms(&[(&real, &stand_in)]);
        let mut text = slow::noise(&mut dice);
        for _ in 0..dice.roll(3) {
            let (_, mut form) = slow::encode(&mut dice, &real);
            if dice.roll(2) == 0 {
                form = slow::escape(&mut dice, &form);
            }
            text.push(b'"');
            text.extend(form);
            text.push(b'"');
            text.extend(slow::noise(&mut dice));
        }
        let whole = scrub(&forms, &[&text]);
        let shown = text.escape_ascii();
        for most in [2, 30, 3_000] {
            let cut = scrub(&forms, &dice.cut(&text, most));
            assert_eq!(cut, whole, "round {round}, cut: {shown}");
        }
        let there = |text: &[u8]| {
            let once = slow::plain(text);
            slow::holds_once(text, &once, &real)
        };
        // An empty line splits.
        assert!(!there(&whole) || has_wall(&whole), "round {round}, left: {shown}");
        if whole == text {
            assert!(!there(&text) || has_wall(&text), "round {round}, passed: {shown}");
        } else {
            assert!(there(&text), "round {round}, changed: {shown}");
        }
    }
}

fn has_wall(text: &[u8]) -> bool {
    let read: Vec<u8> = slow::units(text);
    let blank = |byte: &u8| super::plain::is_blank(*byte);
    read.split(|byte| !blank(byte)).any(|blanks| {
        let count = |line| blanks.iter().filter(|&&byte| byte == line).count();
        count(b'\n') > 1 || count(b'\r') > 1
    })
}
