use cofferdam_policy::output::Canary;

use super::*;
use crate::bearing::search::Wanted;
use crate::frames::{Deflate, Side};

const REAL: &[u8] = b"sk-live-0123456789abcdef";
const STAND_IN: &[u8] = b"sk-live-cFd7MxQ2v1223344";

/// A frame: its first byte, and its payload, masked where a client sends it.
fn frame(side: Side, first: u8, body: &[u8]) -> Vec<u8> {
    let size = u8::try_from(body.len()).unwrap();
    assert!(size < 126);
    match side {
        Side::Server => [&[first, size][..], body].concat(),
        Side::Client => {
            let mask = [0x5A, 0x13, 0xC7, size ^ 0x2B];
            let masked = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            [&[first, 0x80 | size][..], &mask, &masked.collect::<Vec<u8>>()].concat()
        }
    }
}

/// What goes on of pieces, and the name of what ends it.
fn passes(
    side: Side,
    passes: &mut impl Passes,
    pieces: &[&[u8]],
) -> (Vec<u8>, Option<&'static str>) {
    let (mut frames, mut out) = (Frames::new(side, Deflate::None), Vec::new());
    let code = |ended| match ended {
        Ended::Unread((code, _)) => code,
        Ended::Fault(fault) => fault.code(),
        Ended::Gone => "gone",
    };
    for piece in pieces {
        match passes.pass(&mut frames, piece.to_vec()) {
            Ok(gone) => out.extend(gone),
            Err(ended) => return (out, Some(code(ended))),
        }
    }
    match passes.last() {
        Ok(gone) => (out.into_iter().chain(gone).collect(), None),
        Err(ended) => (out, Some(code(ended))),
    }
}

fn outgoing() -> Outgoing {
    let canaries = [Canary { name: "plans".into(), text: "the-blue-heron-77".into(), ..canary() }];
    let wanted = Wanted::new([("api", "sk-live-cFd7MxQ2v1223344")].into_iter(), &canaries);
    let wanted: &'static Wanted = Box::leak(Box::new(wanted.unwrap().unwrap()));
    Outgoing::new(Some(Messages::new(wanted)))
}

fn canary() -> Canary {
    let clause = cofferdam_policy::model::Clause::built_in("canary");
    Canary { name: String::new(), text: String::new(), clause }
}

fn incoming() -> Incoming<impl Fn() -> Result<Option<Pairs>, Unread>> {
    let pairs = Pairs::new(&[(REAL, STAND_IN)]).unwrap();
    Incoming::new(move || Ok(Some(pairs.clone())))
}

#[test]
fn what_goes_out_is_searched_however_it_is_cut() {
    let client = |first, body: &[u8]| frame(Side::Client, first, body);
    for (frames, want, why) in [
        (vec![client(0x81, b"hello"), client(0x82, b"\0\xff")], None, "nothing of ours"),
        (vec![client(0x81, STAND_IN)], Some("stand-in-astray"), "in a text"),
        (vec![client(0x82, STAND_IN)], Some("stand-in-astray"), "in bytes"),
        (
            vec![client(0x01, b"a sk-live-cFd7"), client(0x89, b"x"), client(0x80, b"MxQ2v12")],
            Some("stand-in-astray"),
            "over fragments, with a ping between",
        ),
        (
            vec![client(0x01, b"c2stbGl2ZS1jRmQ3"), client(0x80, b"TXhRMnYxMjIzMzQ0")],
            Some("stand-in-astray"),
            "in base64 over fragments",
        ),
        (vec![client(0x89, b"the-blue-heron-77")], Some("canary"), "in a ping"),
        (vec![client(0x88, b"\x03\xe8the-blue-heron-77")], Some("canary"), "in a close"),
        (vec![client(0x81, b"the%2Dblue-heron-77")], Some("canary"), "with percent signs"),
        (vec![client(0x81, b"the-blue-heron-7")], None, "like it"),
    ] {
        let all = frames.concat();
        let whole = passes(Side::Client, &mut outgoing(), &[&all]);
        let single: Vec<&[u8]> = all.chunks(1).collect();
        let slow = passes(Side::Client, &mut outgoing(), &single);
        assert_eq!((whole.1, slow.1), (want, want), "{why}");
        let whole_length = if want.is_none() { all.len() } else { 0 };
        assert_eq!(whole.0.len(), whole_length, "{why}: of what comes at once nothing goes on");
        assert!(all.starts_with(&slow.0), "{why}: byte for byte");
        assert!(want.is_none() || slow.0.len() < all.len(), "{why}: its end never goes on");
    }
}

#[test]
fn what_comes_is_without_the_secret_and_its_frames_stay() {
    let server = |first, body: &[u8]| frame(Side::Server, first, body);
    let (real, own) = (REAL, STAND_IN);
    let (before, after) = real.split_at(9);
    let (own_before, own_after) = own.split_at(9);
    for (frames, want, why) in [
        (vec![server(0x81, b"hello")], vec![server(0x81, b"hello")], "nothing of ours"),
        (vec![server(0x81, real)], vec![server(0x81, own)], "alone"),
        (
            vec![server(0x01, before), server(0x00, b""), server(0x89, b"x"), server(0x80, after)],
            vec![
                server(0x01, own_before),
                server(0x00, b""),
                server(0x89, b"x"),
                server(0x80, own_after),
            ],
            "over fragments",
        ),
        (
            vec![server(0x01, before), server(0x80, b"other"), server(0x81, b"")],
            vec![server(0x01, before), server(0x80, b"other"), server(0x81, b"")],
            "what only begins so",
        ),
        (
            vec![server(0x81, before), server(0x81, b"other")],
            vec![server(0x81, before), server(0x81, b"other")],
            "a message that ends with its beginning",
        ),
        (vec![server(0x89, real)], vec![server(0x89, own)], "in a ping"),
        (
            vec![server(0x88, &[b"\x03\xe8", real].concat())],
            vec![server(0x88, &[b"\x03\xe8", own].concat())],
            "in a close",
        ),
        (
            vec![server(0x81, b"c2stbGl2ZS0wMTIzNDU2Nzg5YWJjZGVm")],
            vec![server(0x81, b"c2stbGl2ZS1jRmQ3TXhRMnYxMjIzMzQ0")],
            "in base64",
        ),
    ] {
        let (all, want) = (frames.concat(), want.concat());
        for at in 0..=all.len() {
            let (a, b) = all.split_at(at);
            let got = passes(Side::Server, &mut incoming(), &[a, b]);
            assert_eq!(got, (want.clone(), None), "{why}, cut at {at}");
        }
        let single: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(passes(Side::Server, &mut incoming(), &single), (want, None), "{why}");
    }
}

#[test]
fn what_would_change_a_length_does_not_pass() {
    let pairs = Pairs::new(&[(b"abcAbcabc", b"abczbcabc")]).unwrap();
    let mut incoming = Incoming::new(move || Ok(Some(pairs.clone())));
    let text = frame(Side::Server, 0x81, b"abc&#65;bcabc and more of it");
    let (out, code) = passes(Side::Server, &mut incoming, &[&text]);
    assert_eq!((out.len(), code), (0, Some("secret-in-frames")));
    let empty = frame(Side::Server, 0x00, b"").repeat(HELD_BYTES_MAX);
    let begun = frame(Side::Server, 0x01, b"sk-live-0123");
    let (out, code) = passes(Side::Server, &mut self::incoming(), &[&begun, &empty]);
    // Both begin with the same eight letters: these do not wait.
    assert_eq!((out.len(), code), (10, Some("secret-in-frames")), "what waits is bounded");
}

#[test]
fn where_nothing_is_looked_for_bytes_stay() {
    let all = [frame(Side::Client, 0x81, STAND_IN), frame(Side::Client, 0x88, b"")].concat();
    assert_eq!(passes(Side::Client, &mut Outgoing::new(None), &[&all]), (all.clone(), None));
    let all = [frame(Side::Server, 0x81, REAL), frame(Side::Server, 0x88, b"")].concat();
    let got = passes(Side::Server, &mut Incoming::new(|| Ok(None)), &[&all]);
    assert_eq!(got, (all, None));
}
