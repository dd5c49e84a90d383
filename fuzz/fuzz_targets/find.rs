//! Needles in a stream: however it is cut the answer is one; what stands there plainly is found; and text
//! without one passes a masker as it is.
#![no_main]

use cofferdam_audit::redact::{Finder, Found, Label, Masker, Masks, Needles};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte.
const CUT_BYTES_MAX: usize = 2_048;

const ROWS: [&[u8]; 4] = [b"cFd7Mx", b"c0ffe7da3b", b"my own canary", b"p%w\\=/&x="];

fn find(needles: &Needles, pieces: &[&[u8]]) -> Option<Found> {
    let mut finder = Finder::new(needles);
    let found = pieces.iter().find_map(|piece| finder.feed(piece));
    found.or_else(|| finder.finish())
}

fn mask(masks: &Masks, pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    let (mut masker, mut out, mut count) = (Masker::new(masks), Vec::new(), 0);
    for piece in pieces {
        masker.feed(piece, &mut out, &mut |_| count += 1);
        assert!(masker.pending() <= 4_096, "bounded");
    }
    masker.flush(&mut out, &mut |_| count += 1);
    assert_eq!(masker.pending(), 0);
    (out, count)
}

fuzz_target!(|bytes: &[u8]| {
    let rows = ROWS.iter().enumerate().map(|(number, row)| (Label(number), *row));
    let needles = Needles::new(rows).expect("needles");
    let masks = Masks::new(&needles);
    let whole = find(&needles, &[bytes]);
    let plain = ROWS.iter().any(|row| bytes.windows(row.len()).any(|window| window == *row));
    assert!(whole.is_some() || !plain, "what stands there plainly is found");
    let (shown, count) = mask(&masks, &[bytes]);
    assert!(count > 0 || shown == bytes, "what holds none passes as it is");
    assert!(count > 0 || !plain, "what stands there plainly is masked");
    let left = ROWS.iter().any(|row| shown.windows(row.len()).any(|window| window == *row));
    assert!(!left, "none is left");
    if bytes.len() <= CUT_BYTES_MAX {
        let cut: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(find(&needles, &cut).is_some(), whole.is_some(), "however it was cut");
        assert_eq!(mask(&masks, &cut), (shown, count), "however it was cut");
    }
});
