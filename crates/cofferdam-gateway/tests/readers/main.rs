//! Three readers of HTTP/1 get the same raw requests: ours, hyper's and Python's h11. What ours accepts
//! and sends on is one request to all of them, the same, which ends where ours does. What they accept
//! and ours refuses is counted, and allowed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "panics are how tests fail; the exemption for tests does not cover what they call"
)]

mod requests;
mod theirs;

use std::collections::BTreeMap;

use cofferdam_gateway::body::{Body, Framing, Side};
use cofferdam_gateway::head::{Target, Version, parse};

use crate::requests::Random;
use crate::theirs::{Fields, Read, Reading, sorted};

/// Raw requests out of the seed. Each byte in each place comes before them.
const ROUNDS: usize = 10_000;
const SEED: u64 = 0x0DD_BA11;
/// What follows on the same connection: whoever finds another end finds another request here.
const NEXT: &[u8] = b"GET /after HTTP/1.1\r\nHost: after.test\r\n\r\n";

/// What our reader makes of a request.
enum Ours {
    /// It goes on: these bytes, which mean this.
    Sent(Vec<u8>, Read, Version),
    /// Why it does not.
    Refused(&'static str),
}

fn ours(raw: &[u8]) -> Ours {
    let head = match parse(raw) {
        Ok(Some(head)) => head,
        Ok(None) => return Ours::Refused("head without end"),
        Err(fault) => return Ours::Refused(fault.code()),
    };
    let rest = &raw[head.length..];
    let fed = match Body::new(head.framing, Side::Request).feed(rest) {
        Ok(fed) if fed.done => fed,
        Ok(_) => return Ours::Refused("body without end"),
        Err(fault) => return Ours::Refused(fault.code()),
    };
    let body = &rest[..fed.taken];
    let out = head.outgoing(&head.host, head.port);
    let pairs =
        out.headers.iter().map(|field| (field.name.to_ascii_lowercase(), field.value.clone()));
    let mut read = Read {
        method: out.method.clone(),
        target: out.target.to_string(),
        fields: sorted(pairs.collect()),
        ..Read::default()
    };
    match out.framing {
        Framing::Chunked => (read.body, read.trailers) = joined(body),
        Framing::None | Framing::Length(_) => read.body = body.to_vec(),
        Framing::UntilClose => panic!("no request lasts until the end"),
    }
    let sent = [&head.upstream(&head.host, head.port)[..], body].concat();
    let connects = matches!(out.target, Target::Authority(..));
    assert!(!connects || read.body.is_empty(), "a tunnel's request has no body");
    Ours::Sent(sent, read, out.version)
}

/// What is in chunks, and the trailers.
fn joined(mut chunks: &[u8]) -> (Vec<u8>, Fields) {
    let mut body = Vec::new();
    let line = |bytes: &[u8]| bytes.windows(2).position(|end| end == b"\r\n").unwrap();
    loop {
        let end = line(chunks);
        let size = std::str::from_utf8(&chunks[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        chunks = &chunks[end + 2..];
        if size == 0 {
            break;
        }
        body.extend_from_slice(&chunks[..size]);
        chunks = &chunks[size + 2..];
    }
    let mut trailers = Fields::new();
    while line(chunks) > 0 {
        let (one, rest) = chunks.split_at(line(chunks));
        let colon = one.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8(one[..colon].to_ascii_lowercase()).unwrap();
        trailers.push((name, one[colon + 1..].trim_ascii().to_vec()));
        chunks = &rest[2..];
    }
    (body, sorted(trailers))
}

/// That they read what we sent as the one request, and then the next.
fn agrees(reader: &str, sent: &[u8], read: &Read, version: Version, theirs: &Reading) {
    let shown = sent.escape_ascii();
    assert_eq!(theirs.fault, None, "{reader} refuses what we send: {shown}");
    assert_eq!(theirs.requests.first(), Some(read), "{reader} reads another request: {shown}");
    match (version, theirs.requests.get(1)) {
        // HTTP/1.0 ends with one; what is left tells where.
        (Version::Http10, None) => {
            assert!(theirs.rest.as_deref().is_none_or(|rest| rest == NEXT), "{reader}: {shown}");
        }
        (Version::Http11, Some(next)) => {
            assert_eq!((next.target.as_str(), theirs.requests.len()), ("/after", 2), "{shown}");
        }
        (_, next) => panic!("{reader} finds {next:?} after {shown}"),
    }
}

#[test]
fn what_ours_accepts_is_one_request_to_all() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let has_h11 = theirs::has_h11();
    if !has_h11 {
        println!("not run: python3-h11, the independent reader: it is not installed");
    }
    let mut random = Random(SEED);
    let (mut given, mut judged) = (Vec::new(), Vec::new());
    let seeded = (0..ROUNDS).map(|_| requests::request(&mut random));
    for raw in requests::bytes().chain(seeded) {
        let ours = ours(&raw);
        given.push(match &ours {
            Ours::Sent(sent, ..) => [sent, NEXT].concat(),
            Ours::Refused(_) => raw,
        });
        judged.push(ours);
    }
    let by_hyper: Vec<Reading> =
        given.iter().map(|bytes| runtime.block_on(theirs::hyper(bytes))).collect();
    let by_h11 = if has_h11 { theirs::h11(given) } else { Vec::new() };
    let mut accepted = 0;
    // Of what ours refuses: how many, and how many of them hyper and h11 take for a request.
    let mut refused: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (at, ours) in judged.iter().enumerate() {
        let (hyper, h11) = (&by_hyper[at], by_h11.get(at));
        match ours {
            Ours::Sent(sent, read, version) => {
                accepted += 1;
                agrees("hyper", sent, read, *version, hyper);
                h11.into_iter().for_each(|h11| agrees("h11", sent, read, *version, h11));
            }
            Ours::Refused(code) => {
                let counts = refused.entry(code).or_default();
                counts[0] += 1;
                counts[1] += usize::from(!hyper.requests.is_empty());
                counts[2] += usize::from(h11.is_some_and(|h11| !h11.requests.is_empty()));
            }
        }
    }
    let all = judged.len();
    println!(
        "of {all} raw requests ours accepts {accepted}; refused, and a request to hyper, h11:"
    );
    for (code, [all, hyper, h11]) in &refused {
        println!("  {code}: {all}, {hyper}, {h11}");
    }
    // Both are met often, and in many ways, or this shows nothing.
    assert!(accepted > 2_000 && refused.len() > 20, "{accepted}, {}", refused.len());
}
