//! Placeholders: the same length and lines, no letter of a value, and masked once or twice the same.
#![no_main]

use cofferdam_policy::judge::mask::mask;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let masked = mask(bytes);
    assert_eq!(masked.len(), bytes.len());
    assert_eq!(mask(&masked), masked);
    for (was, is) in bytes.iter().zip(&masked) {
        assert_eq!(*was == b'\n', *is == b'\n', "the same lines");
        assert!(was == is || matches!(is, b'x' | b'0'));
        assert!(!matches!(is, 0..=8 | 11 | 12 | 14..=31 | 127..), "what a terminal obeys");
    }
    for line in masked.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.starts_with(b"-----") && line.ends_with(b"-----") {
            assert!(!line.iter().any(|byte| matches!(byte, b'1'..=b'9')), "a mark has no digits");
            continue;
        }
        let sign = line.iter().position(|byte| matches!(byte, b'=' | b':')).unwrap_or(0);
        let value = line[sign..].iter().filter(|byte| byte.is_ascii_alphanumeric());
        assert!(value.into_iter().all(|byte| matches!(byte, b'x' | b'0')), "a value is shown");
    }
});
