//! Secrets in replies: the first bytes choose one and what stands in for it. It is never left, the cut
//! changes nothing, and a reply without it passes as it is.
#![no_main]

use std::borrow::Cow;

use cofferdam_gateway::scrub::{Pairs, Scrubber};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte.
const CUT_BYTES_MAX: usize = 2_048;

fn scrub(pairs: &Pairs, pieces: &[&[u8]]) -> (Vec<u8>, u64, bool) {
    let (mut scrubber, mut out) = (Scrubber::new(pairs), Vec::new());
    for piece in pieces {
        scrubber.feed(piece, &mut out);
        assert!(scrubber.pending() <= 4_096, "bounded");
    }
    scrubber.finish(&mut out);
    assert_eq!(scrubber.pending(), 0);
    (out, scrubber.found(), scrubber.changes_length())
}

fuzz_target!(|bytes: &[u8]| {
    const ROWS: [(&[u8], &[u8]); 3] = [
        (b"sk-live-0123456789abcdefXY", b"sk-live-cFd7Mx8811223344QZ"),
        (b"p w/&%\\=+abcdefgh", b"p w/&%\\=+qrstuvwx"),
        (b"AKIAIOSFODNN7", b"AKIAcFd7MxQQ9"),
    ];
    let pairs = Pairs::new(&ROWS).expect("pairs");
    let (out, found, longer) = scrub(&pairs, &[bytes]);
    assert!(found > 0 || out == bytes, "what holds none passes as it is");
    assert!(longer || out.len() == bytes.len());
    for (real, _) in ROWS {
        assert!(!out.windows(real.len()).any(|window| window == real), "none is left");
    }
    let whole = pairs.scrub_whole(bytes);
    assert_eq!(whole, out, "in one or as a stream");
    assert!(found == 0 || matches!(whole, Cow::Owned(_)));
    if bytes.len() <= CUT_BYTES_MAX {
        let cut: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(scrub(&pairs, &cut), (out, found, longer), "however it was cut");
    }
});
