//! Heads and bodies of HTTP/1: however the bytes are cut the answer is one; what goes upstream is read
//! as the request that was judged, by us and by a reader that does not look closely.
#![no_main]

use cofferdam_gateway::answer::{self, Asked, Follows};
use cofferdam_gateway::body::{Body, Framing, Side};
use cofferdam_gateway::fields::HEAD_BYTES_MAX;
use cofferdam_gateway::head::{After, Head, Target, parse};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte: what cuts can do shows in short ones.
const CUT_BYTES_MAX: usize = 2_048;
/// By how much a head may grow on its way: a blank a field, and a `Host`.
const GROWTH: usize = 1_024;

/// Values of a field as a careless reader finds them: lines by LF, names without blanks around them.
fn found(head: &[u8], name: &str) -> Vec<Vec<u8>> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let named = lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        let found = line[..at].trim_ascii();
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| line[at + 1..].trim_ascii().to_vec())
    });
    named.collect()
}

fn sent(head: &Head) {
    let bytes = head.upstream(&head.host, head.port);
    let again = parse(&bytes).expect("what we write").expect("is whole");
    assert_eq!(again, head.outgoing(&head.host, head.port), "read again");
    assert_eq!(again.upstream(&head.host, head.port), bytes, "written again");
    assert_eq!(again.length, bytes.len(), "nothing follows it");
    assert_eq!((&again.host, again.port), (&head.host, head.port), "for the same host");
    assert_eq!((&again.method, again.framing), (&head.method, head.framing));
    assert_eq!(again.asks_websocket(), head.asks_websocket());
    let place = if head.port == 80 && head.method != "CONNECT" {
        head.host.to_string()
    } else {
        format!("{}:{}", head.host, head.port)
    };
    assert_eq!(found(&bytes, "host"), [place.into_bytes()], "one Host, the judged one");
    let lengths = found(&bytes, "content-length");
    let codings = found(&bytes, "transfer-encoding");
    match head.framing {
        Framing::Length(length) => assert_eq!(lengths, [length.to_string().into_bytes()]),
        Framing::Chunked => assert_eq!(codings.len(), 1),
        Framing::None => assert!(lengths.iter().all(|value| value == b"0")),
        Framing::UntilClose => panic!("no request lasts until the end"),
    }
    assert!(lengths.len() + codings.len() <= 1, "one framing");
    for gone in ["proxy-authorization", "proxy-connection", "http2-settings", "te", "keep-alive"] {
        assert!(found(&bytes, gone).is_empty(), "{gone}");
    }
    let upgrade = found(&bytes, "upgrade");
    assert!(upgrade.is_empty() || (head.asks_websocket() && upgrade == [b"websocket"]));
    assert_eq!(bytes.windows(4).position(|end| end == b"\r\n\r\n"), Some(bytes.len() - 4));
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(bytes.get(at + 1), Some(&b'\n'), "a bare CR"),
            b'\n' => assert_eq!(bytes.get(at.wrapping_sub(1)), Some(&b'\r'), "a bare LF"),
            b'\t' | 0x20..=0x7E | 0x80.. => {}
            0..=0x1F | 0x7F => panic!("byte {byte} goes out"),
        }
    }
    let absolute = matches!(again.target, Target::Absolute { .. });
    assert!(!absolute, "the target names no second host");
}

/// Where a body in chunks ends for a reader that trusts it: sizes of any length, lines by LF, and the
/// end at an empty line.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?.split(|byte| *byte == b'\n').next()?;
        at += line.len() + 1;
        let size = line.split(|byte| b";\r \t".contains(byte)).next()?;
        let size = u128::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        at = at.checked_add(usize::try_from(size).ok()?)?.checked_add(2)?;
    }
    loop {
        let line = bytes.get(at..)?.split(|byte| *byte == b'\n').next()?;
        at += line.len() + 1;
        if line.trim_ascii().is_empty() {
            return Some(at);
        }
    }
}

/// The body after a head, fed at once and byte by byte.
fn followed(framing: Framing, side: Side, bytes: &[u8]) {
    let all = Body::new(framing, side).feed(bytes);
    let mut body = Body::new(framing, side);
    let (mut taken, mut fault) = (0, None);
    for byte in bytes.iter().take(CUT_BYTES_MAX) {
        match body.feed(std::slice::from_ref(byte)) {
            Ok(fed) => taken += fed.taken,
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    if bytes.len() <= CUT_BYTES_MAX {
        assert_eq!(all.err(), fault, "however it was cut");
        if let Ok(fed) = all {
            assert_eq!((fed.taken, fed.done), (taken, body.is_done()));
            let rest = Body::new(framing, side).feed(&bytes[..fed.taken]);
            assert_eq!(rest, Ok(fed), "the next message changes nothing");
            if framing == Framing::Chunked && fed.done {
                assert_eq!(chunks(bytes), Some(fed.taken), "another end");
            }
        }
    }
}

fn answered(bytes: &[u8], asked: Asked) {
    let all = answer::parse(bytes, asked);
    for end in 0..bytes.len().min(CUT_BYTES_MAX) {
        let early = answer::parse(&bytes[..end], asked);
        assert!(early == Ok(None) || early == all, "{end} bytes: {early:?}, then {all:?}");
    }
    let Ok(Some(answer)) = all else { return };
    followed(answer.framing, Side::Answer, &bytes[answer.length..]);
    if answer.length > HEAD_BYTES_MAX - GROWTH {
        return;
    }
    for after in [After::Stay, After::Close] {
        let sent = answer.downstream(after);
        let again = answer::parse(&sent, asked).expect("what we write").expect("is whole");
        assert_eq!(again.length, sent.len());
        assert_eq!((again.status, again.follows), (answer.status, answer.follows));
        assert_eq!(again.framing, answer.framing, "it ends where it ended");
        assert!(found(&sent, "alt-svc").is_empty(), "no other way");
        assert!(found(&sent, "content-length").len() <= 1);
        let tunnel = answer.follows == Follows::Tunnel;
        assert!(found(&sent, "upgrade").is_empty() || (tunnel && asked == Asked::Websocket));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let all = parse(bytes);
    assert!(bytes.len() < HEAD_BYTES_MAX || all != Ok(None), "more is asked for");
    for end in 0..bytes.len().min(CUT_BYTES_MAX) {
        let early = parse(&bytes[..end]);
        assert!(early == Ok(None) || early == all, "{end} bytes: {early:?}, then {all:?}");
    }
    match all {
        Ok(Some(head)) => {
            followed(head.framing, Side::Request, &bytes[head.length..]);
            if head.length <= HEAD_BYTES_MAX - GROWTH {
                sent(&head);
            }
        }
        Ok(None) => {}
        Err(fault) => assert!((400..=505).contains(&fault.status())),
    }
    for asked in [Asked::Head, Asked::Connect, Asked::Websocket, Asked::Other] {
        answered(bytes, asked);
    }
    followed(Framing::Chunked, Side::Request, bytes);
    followed(Framing::Chunked, Side::Answer, bytes);
});
