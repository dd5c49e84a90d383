//! WebSocket frames: however the bytes are cut the answer is one, and what passes is read as frames by a
//! reader that has them all at once.
#![no_main]

use cofferdam_gateway::frames::{Deflate, Frames, Side};
use libfuzzer_sys::fuzz_target;

/// Longer inputs are not cut at every byte.
const CUT_BYTES_MAX: usize = 2_048;

/// Reads whole frames; whether the last one is a `Close`. A frame without its end is left.
fn reads(bytes: &[u8], side: Side, deflate: Deflate) -> bool {
    let (mut rest, mut open) = (bytes, false);
    while let [first, second, after @ ..] = rest {
        let (fin, opcode) = (first >> 7 == 1, first & 15);
        let (masked, short) = (second >> 7 == 1, second & 127);
        assert_eq!(masked, side == Side::Client, "masked by the client alone");
        assert_eq!(first & 0x30, 0, "reserved");
        assert!(first & 0x40 == 0 || (deflate == Deflate::Agreed && matches!(opcode, 1 | 2)));
        let (length, after) = match short {
            126 if after.len() >= 2 => {
                let length = u64::from(u16::from_be_bytes([after[0], after[1]]));
                assert!(length > 125);
                (length, &after[2..])
            }
            127 if after.len() >= 8 => {
                let length = u64::from_be_bytes(after[..8].try_into().expect("eight"));
                assert!(length > 65_535 && length >> 63 == 0);
                (length, &after[8..])
            }
            126 | 127 => return false,
            short => (u64::from(short), after),
        };
        match opcode {
            0 => assert!(open, "continues something"),
            1 | 2 => assert!(!open, "begins between messages"),
            8..=10 => assert!(fin && length < 126),
            other => panic!("opcode {other}"),
        }
        open = if opcode < 3 { !fin } else { open };
        let skipped = if masked { length + 4 } else { length };
        let Some(next) = usize::try_from(skipped).ok().and_then(|skip| after.get(skip..)) else {
            return false;
        };
        if opcode == 8 {
            assert!(next.is_empty(), "nothing follows a close");
            assert_ne!(length, 1);
            return true;
        }
        rest = next;
    }
    false
}

fuzz_target!(|bytes: &[u8]| {
    let (side, deflate) = match bytes.first().map(|byte| byte & 3) {
        Some(0) => (Side::Client, Deflate::None),
        Some(1) => (Side::Client, Deflate::Agreed),
        Some(2) => (Side::Server, Deflate::None),
        Some(_) => (Side::Server, Deflate::Agreed),
        None => return,
    };
    let bytes = &bytes[1..];
    let mut frames = Frames::new(side, deflate);
    let all = frames.feed(bytes);
    if let Ok(fed) = all {
        assert_eq!(fed.taken, bytes.len());
        assert_eq!(reads(bytes, side, deflate), fed.done);
    }
    if bytes.len() <= CUT_BYTES_MAX {
        let mut slow = Frames::new(side, deflate);
        let fault = bytes.iter().find_map(|byte| slow.feed(std::slice::from_ref(byte)).err());
        assert_eq!(all.err(), fault, "however it was cut");
        assert_eq!(slow.is_done(), frames.is_done());
    }
});
