//! ClientHello: however it is cut into segments and records the answer is one, and a second, careless
//! reader finds no other name.
#![no_main]

use cofferdam_gateway::hello::{Ech, HELLO_BYTES_MAX, Hello, read};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte: what cuts can do shows in short ones.
const CUT_BYTES_MAX: usize = 512;

/// Every length is checked on the first of two readings; this one trusts them all.
fn careless(mut body: &[u8]) -> (Vec<Vec<u8>>, bool) {
    fn take<'a>(body: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = body.split_at(count.min(body.len()));
        *body = rest;
        taken
    }
    fn number(body: &mut &[u8], count: usize) -> usize {
        take(body, count).iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }
    let (mut names, mut hidden) = (Vec::new(), false);
    take(&mut body, 4 + 2 + 32);
    for size in [1, 2, 1] {
        let length = number(&mut body, size);
        take(&mut body, length);
    }
    take(&mut body, 2);
    while !body.is_empty() {
        let kind = number(&mut body, 2);
        let length = number(&mut body, 2);
        let content = take(&mut body, length);
        hidden |= kind == 0xFE0D || kind == 0xFFCE;
        let mut list = content.get(2..).unwrap_or_default();
        while kind == 0 && !list.is_empty() {
            take(&mut list, 1);
            let length = number(&mut list, 2);
            names.push(take(&mut list, length).to_ascii_lowercase());
        }
    }
    (names, hidden)
}

/// The message that the records carry, trusting them.
fn message(mut bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        message.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    message
}

/// A length of two bytes, and what it is the length of.
fn long(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], content].concat()
}

/// A hello with these extensions: so that changes get past the lengths around them.
fn around(extensions: &[u8]) -> Vec<u8> {
    let front = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let body = [front, long(extensions)].concat();
    [&[22, 3, 1][..], &long(&[&[1, 0][..], &long(&body)].concat())].concat()
}

/// A hello with a `server_name` for each line.
fn naming(lines: &[u8]) -> Vec<u8> {
    let named =
        |name: &[u8]| [&[0, 0][..], &long(&long(&[&[0][..], &long(name)].concat()))].concat();
    around(&lines.split(|byte| *byte == b'\n').flat_map(named).collect::<Vec<u8>>())
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    if bytes.len() <= CUT_BYTES_MAX {
        check(&around(bytes));
        check(&naming(bytes));
    }
});

fn check(bytes: &[u8]) {
    let all = read(bytes);
    assert!(bytes.len() < HELLO_BYTES_MAX || all != Ok(None), "more is asked for");
    for end in 0..bytes.len().min(CUT_BYTES_MAX) {
        let early = read(&bytes[..end]);
        assert!(early == Ok(None) || early == all, "{end} bytes: {early:?}, then {all:?}");
    }
    let Ok(Some(hello)) = all else { return };
    let message = message(&bytes[..hello.length]);
    let (names, hidden) = careless(&message);
    let ours: Vec<Vec<u8>> = hello.server_name.iter().map(|n| n.as_str().into()).collect();
    assert_eq!(names, ours, "another name");
    assert_eq!(hidden, hello.ech == Ech::Present);
    // Cut into other records it is the same hello.
    for size in [1, 7, 300] {
        let records: Vec<u8> = message
            .chunks(size)
            .flat_map(|part| {
                let length = u16::try_from(part.len()).expect("at most 300").to_be_bytes();
                [&[22, 3, 1][..], &length, part].concat()
            })
            .collect();
        if records.len() <= HELLO_BYTES_MAX {
            let length = records.len();
            assert_eq!(read(&records), Ok(Some(Hello { length, ..hello.clone() })));
        }
    }
}
