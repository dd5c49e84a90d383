//! Packets of git's: however the bytes are cut the answer is one; a push that is read, written plainly,
//! is read as the same; and a reader that does not look closely finds no other ref in it.
#![no_main]

use cofferdam_gateway::packets::{Fetch, Push, Update, is_ref};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte.
const CUT_BYTES_MAX: usize = 4_096;

fn packet(text: &[u8]) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

fn plain(push: &Push, sha256: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut capabilities = vec!["a"];
    capabilities.extend(sha256.then_some("object-format=sha256"));
    capabilities.extend((!push.options().is_empty()).then_some("push-options"));
    for (at, Update { old, new, name }) in push.updates().iter().enumerate() {
        let mut line = [old.as_bytes(), b" ", new.as_bytes(), b" ", name].concat();
        if at == 0 {
            line.extend(format!("\0{}", capabilities.join(" ")).bytes());
        }
        out.extend(packet(&line));
    }
    out.extend(b"0000");
    if !push.options().is_empty() {
        push.options().iter().for_each(|option| out.extend(packet(&[option, &b"\n"[..]].concat())));
        out.extend(b"0000");
    }
    if push.has_pack() {
        out.extend(b"PACK");
    }
    out
}

/// Every word of every packet up to the first flush that looks like a ref's name.
fn refs(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some((digits, after)) = rest.split_at_checked(4) {
        let digits = std::str::from_utf8(digits).expect("digits");
        let length = usize::from_str_radix(digits, 16).expect("digits");
        let Some(text) = length.checked_sub(4).and_then(|length| after.get(..length)) else {
            break;
        };
        let command = text.split(|byte| *byte == 0).next().expect("one part");
        let words = command.split(|byte| byte.is_ascii_whitespace());
        found.extend(words.filter(|word| word.starts_with(b"refs/")).map(<[u8]>::to_vec));
        rest = &after[length - 4..];
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    let mut push = Push::new();
    let all = push.feed(bytes);
    let mut fetch = Fetch::new();
    let first = fetch.feed(bytes);
    if bytes.len() <= CUT_BYTES_MAX {
        let (mut slow, mut slow_fetch) = (Push::new(), Fetch::new());
        let (mut taken, mut read) = (0, 0);
        let (mut fault, mut fetch_fault) = (None, None);
        for byte in bytes {
            match slow.feed(std::slice::from_ref(byte)) {
                Ok(fed) => taken += fed.taken,
                Err(found) => fault = Some(found),
            }
            match slow_fetch.feed(std::slice::from_ref(byte)) {
                Ok(fed) => read += fed.taken,
                Err(found) => fetch_fault = Some(found),
            }
        }
        assert_eq!(all.err(), fault, "however it was cut");
        assert_eq!(first.err(), fetch_fault, "however it was cut");
        assert!(all.is_err() || all.is_ok_and(|fed| fed.taken == taken));
        assert!(first.is_err() || first.is_ok_and(|fed| fed.taken == read));
        assert_eq!(fetch.asks(), slow_fetch.asks());
    }
    let Ok(fed) = all else { return };
    if !fed.done {
        assert_eq!(fed.taken, bytes.len());
        return;
    }
    assert!(push.updates().iter().all(|update| is_ref(&update.name)));
    let names: Vec<Vec<u8>> = push.updates().iter().map(|update| update.name.clone()).collect();
    assert_eq!(refs(&bytes[..fed.taken]), names, "no other ref");
    if push.updates().is_empty() {
        return;
    }
    let sha256 = push.updates()[0].old.len() == 64;
    let text = plain(&push, sha256);
    let mut again = Push::new();
    let read = again.feed(&text).expect("what we write");
    assert_eq!((read.taken, read.done), (text.len(), true));
    assert_eq!((again.updates(), again.options()), (push.updates(), push.options()));
});
