use super::slow::{self, Dice};
use super::*;

const MARK: &[u8] = b"cFd7Mx";

/// The one place that feeds a finder.
fn find(needles: &Needles, pieces: &[&[u8]]) -> Option<Found> {
    let mut finder = Finder::new(needles);
    let found = pieces.iter().find_map(|piece| finder.feed(piece));
    let found = found.or_else(|| finder.finish());
    if let [whole] = pieces {
        assert_eq!(needles.first_in(whole), found, "{}: at once", whole.escape_ascii());
    }
    found
}

fn marks() -> Needles {
    Needles::new([(Label(7), MARK), (Label(8), b"two words of it".as_slice())]).expect("needles")
}

/// Whole, byte by byte and in every two pieces.
#[track_caller]
fn check(text: &[u8], want: Option<(usize, Encoding)>, why: &str) {
    let needles = marks();
    let want = want.map(|(label, encoding)| Found { label: Label(label), encoding });
    let shown = text.escape_ascii();
    assert_eq!(find(&needles, &[text]), want, "{shown}: {why}");
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(find(&needles, &bytes), want, "{shown}, byte by byte: {why}");
    for at in 0..text.len() {
        let (a, b) = text.split_at(at);
        assert_eq!(find(&needles, &[a, b]), want, "{shown}, cut at {at}: {why}");
    }
}

#[test]
fn forms() {
    use Encoding::{Base64, Hex, Plain, Reversed};
    for (text, encoding, why) in [
        (b"key=ghp_aacFd7Mxzz".as_slice(), Plain, "as it is"),
        (b"xM7dFc", Reversed, "last byte first"),
        (b"6346643 634664374d78", Hex, "small digits"),
        (b"634664374D78", Hex, "capital digits"),
        (b"Y0ZkN014", Base64, "at a multiple of three"),
        (b"YWNGZDdNeA==", Base64, "one behind"),
        (b"YWFjRmQ3TXg=", Base64, "two behind"),
        (b"Y0Zk\r\nN014", Base64, "broken into lines"),
        (b"Y0Zk=\r\nN0=\n14", Base64, "soft ends of lines"),
        (br"Y0Zk\nN01\r\n4", Base64, "lines in JSON"),
        (b"%63F%64%37Mx", Plain, "half of it percent-encoded"),
        (br"\u0063Fd\x37M\x78", Plain, "escapes of JSON and of JavaScript"),
        (b"&#99;Fd7&#x4D;&#x078;", Plain, "references of HTML"),
        (b"&#99Fd7Mx", Plain, "and one without its semicolon"),
        (b"cFd&#55 7Mx cFd&#55;Mx", Plain, "one whose digits end at a blank"),
        (b"c\0F\0d\x007\0M\0x\0", Plain, "UTF-16, little end first"),
        (b"\0c\0F\0d\x007\0M\0x", Plain, "UTF-16, big end first"),
        (b"c F d\t7\nMx", Plain, "among blanks"),
        (b"%2563Fd7Mx", Plain, "percent of percent"),
        (br"\\u0063Fd7Mx", Plain, "JSON in JSON"),
        (br"cFd\\n7Mx", Plain, "a line's end of JSON in JSON"),
        (b"%6=\r\n3Fd7Mx", Plain, "a soft end within an escape"),
        (b"%5cu0063Fd7Mx", Plain, "a percent-encoded backslash"),
    ] {
        check(text, Some((7, encoding)), why);
    }
    check(b"two words of it", Some((8, Plain)), "with its blanks");
    check(b"two\r\n words of=\r\n it", Some((8, Plain)), "with others");
    check(b"q=two+words+of+it", Some((8, Plain)), "as a form has it");
    check(b"two%20words%20of%20it", Some((8, Plain)), "as an URL has it");
}

#[test]
fn what_is_no_needle() {
    for (text, why) in [
        (b"cFd7M".as_slice(), "cut short"),
        (b"cFd7MX", "another case"),
        (b"c,Fd7Mx", "something else within"),
        (b"%2563%2546%25", "escapes of other letters"),
        (b"Y0ZkN01", "a letter of base64 too few"),
        (b"", "nothing"),
        (b"%", "the beginning of an escape"),
        (b"%252563Fd7Mx", "three times: not what protocols do"),
    ] {
        check(text, None, why);
    }
}

#[test]
fn needles_that_are_none() {
    let new = |needle: &[u8]| Needles::new([(Label(3), needle)]).map(|_| ()).map_err(|e| e.code());
    for (needle, want, why) in [
        (b"cFd7M".to_vec(), Err("needle-short"), "turns up by chance"),
        (b"cF d7 M".to_vec(), Err("needle-short"), "blanks do not count"),
        (b"cFd7Mx".to_vec(), Ok(()), "the mark itself"),
        (vec![b'a'; NEEDLE_BYTES_MAX], Ok(()), "as long as may be"),
        (vec![b'a'; NEEDLE_BYTES_MAX + 1], Err("needle-long"), "one more"),
    ] {
        assert_eq!(new(&needle), want, "{why}");
    }
    let many = |count| Needles::new((0..count).map(|n| (Label(n), MARK))).map(|_| ());
    assert_eq!(many(NEEDLES_MAX), Ok(()));
    assert_eq!(many(NEEDLES_MAX + 1), Err(NeedleFault::Many));
}

#[test]
fn a_thousand_canaries() {
    let canaries: Vec<String> =
        (0..1_000).map(|n| format!("canary number {n:04} of them")).collect();
    let rows = canaries.iter().enumerate().map(|(n, text)| (Label(n), text.as_bytes()));
    let needles = Needles::new(rows).expect("needles");
    for (n, text) in canaries.iter().enumerate().step_by(37) {
        let encoded = slow::base64(format!("..{text}..").as_bytes(), false);
        let found = find(&needles, &[b"nothing yet", &encoded]);
        assert_eq!(found, Some(Found { label: Label(n), encoding: Encoding::Base64 }));
    }
    assert_eq!(find(&needles, &[b"canary number 1000 of them"]), None);
}

/// Texts of a head without a needle pass at once, and none with one does.
#[test]
fn one_look() {
    let needles = marks();
    let head: [&[u8]; 7] = [
        b"/v1/messages?beta=true&and=more",
        b"POST",
        b"user-agent",
        b"client/1.27 (linux; x86_64) python/3.13",
        b"traceparent",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"",
    ];
    assert!(needles.pass(head));
    assert!(needles.pass([b"cFd7".as_slice(), b"Mx"]), "each by itself");
    let hidden: [&[u8]; 5] = [b"cFd7Mx", b"a=%63Fd7Mx", b"Y0Zk N014", b"c F d 7 M x", b"cFd\\n7Mx"];
    for text in hidden {
        for at in 0..head.len() {
            let mut head = head;
            head[at] = text;
            assert!(!needles.pass(head), "{} at {at}", text.escape_ascii());
        }
    }
}

/// What a writer hid at random is found however it is cut; and whatever stands there, the fast reader and
/// the slow one agree.
#[test]
fn agrees_with_the_slow_reading() {
    const ROUNDS: usize = 2_000;
    let mut dice = Dice(0x5EED_0001);
    for round in 0..ROUNDS {
        let rows = slow::needles(&mut dice);
        let needles = rows.iter().map(|(label, needle)| (*label, needle.as_slice()));
        let needles = Needles::new(needles).expect("needles");
        let mut text = slow::noise(&mut dice);
        let mut hidden = dice.roll(3) > 0;
        if hidden {
            let (_, needle) = dice.pick(&rows).clone();
            let (_, mut form) = slow::encode(&mut dice, &needle);
            let layers = dice.roll(3);
            for _ in 0..layers {
                form = slow::escape(&mut dice, &form);
            }
            if layers < 2 && dice.roll(4) == 0 {
                form = slow::wide(&form);
            }
            // Sometimes nothing but letters or blanks is around it.
            let edge: &&[u8] = dice.pick(&[b"\"", b"\"", b" ", b"a", b"\n", b"="]);
            // An escape that was begun may go on.
            hidden = *edge == b"\"";
            text.extend_from_slice(edge);
            text.extend(form);
            text.extend_from_slice(edge);
            text.extend(slow::noise(&mut dice));
        }
        // And one that is none, by one byte.
        if dice.roll(3) == 0 {
            let (_, needle) = dice.pick(&rows).clone();
            let (_, mut form) = slow::encode(&mut dice, &needle);
            let place = dice.roll(form.len());
            form.remove(place);
            text.extend(slow::escape(&mut dice, &form));
        }
        let pieces = match dice.roll(3) {
            0 => vec![text.as_slice()],
            1 => dice.cut(&text, 5),
            _ => dice.cut(&text, 3_000),
        };
        let found = find(&needles, &pieces).is_some();
        let shown = text.escape_ascii();
        assert!(
            !found || !needles.pass([text.as_slice()]),
            "round {round}: passed at once: {shown}"
        );
        assert!(found || !hidden, "round {round}: hidden and not found: {shown}");
        let once = slow::plain(&text);
        let twice = slow::plain(&once);
        let (patterns, count) = (needles.patterns(), needles.told.len());
        let there = [&text, &once, &twice]
            .iter()
            .any(|view| (0..count).any(|number| slow::contains(view, patterns.get(number))));
        assert_eq!(found, there, "round {round}: {shown}");
        let undone = rows.iter().any(|(_, needle)| slow::holds(&text, needle));
        assert!(found || !undone, "round {round}: undone and not found: {shown}");
    }
}
