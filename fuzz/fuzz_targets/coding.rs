//! Content codings: the first byte says which. However the body is cut the answer is one, a step makes
//! little, and no more comes out than may.
#![no_main]

use cofferdam_gateway::coding::{CodingFault, Decoder, STEP_BYTES};
use libfuzzer_sys::fuzz_target;

const CODINGS: [&str; 7] =
    ["gzip", "deflate", "br", "zstd", "br, gzip", "gzip, gzip, gzip", "zstd, deflate"];

fn decode(coding: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, CodingFault> {
    let mut decoder = Decoder::new(&[coding.as_bytes()])?.expect("something to undo");
    let (mut out, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let before = out.len();
            let step = decoder.feed(rest, &mut out)?;
            assert!(out.len() - before <= 2 * STEP_BYTES, "a step is bounded");
            taken += step.taken;
            assert!(out.len() <= taken * 1_100 + (1 << 20), "and so is all");
            rest = &rest[step.taken..];
            if rest.is_empty() && !step.more {
                break;
            }
        }
    }
    decoder.finish().map(|()| out)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let coding = CODINGS[usize::from(*first) % CODINGS.len()];
    let whole = decode(coding, &[body]);
    let cut: Vec<&[u8]> = body.chunks(1).collect();
    let single = decode(coding, &cut);
    match (whole, single) {
        (Ok(whole), Ok(single)) => assert!(whole == single, "however it was cut"),
        (Err(_), Err(_)) => {}
        (whole, single) => panic!("{:?} and {:?}", whole.map(|_| ()), single.map(|_| ())),
    }
});
