//! Host names: one spelling, of labels that DNS can carry, and never an address.
#![no_main]

use std::net::IpAddr;

use cofferdam_policy::hostname::{LABEL_BYTES_MAX, NAME_BYTES_MAX, Name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(name) = Name::parse(bytes) else { return };
    let text = name.as_str();
    assert_eq!(Name::parse(text.as_bytes()), Ok(name.clone()), "its own spelling");
    assert_eq!(Name::parse(text.to_ascii_uppercase().as_bytes()), Ok(name.clone()), "any case");
    assert_eq!(Name::parse(format!("{text}.").as_bytes()), Ok(name.clone()), "the root's dot");
    let given = bytes.strip_suffix(b".").unwrap_or(bytes);
    assert_eq!(given.to_ascii_lowercase(), text.as_bytes(), "nothing else is folded");
    assert!(text.parse::<IpAddr>().is_err());
    assert!(!text.is_empty() && text.len() <= NAME_BYTES_MAX);
    for label in text.split('.') {
        assert!((1..=LABEL_BYTES_MAX).contains(&label.len()));
        assert!(!label.starts_with('-') && !label.ends_with('-'));
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        assert!(label.bytes().all(fits), "{text}");
    }
    // What WHATWG calls a name that ends in a number is an address to it.
    let last = text.rsplit('.').next().unwrap_or_default();
    assert!(!last.bytes().all(|byte| byte.is_ascii_digit()));
    assert!(last.strip_prefix("0x").is_none_or(|l| !l.bytes().all(|b| b.is_ascii_hexdigit())));
    assert!(!name.is_below(&name));
});
