//! The archive of an image, as anybody may have made it: it is read or refused within its bounds, and no name
//! of a layer leads out of the root that it is unpacked below.
#![no_main]

use std::path::Component;

use cofferdam_sandbox::image::{Bounds, check, check_layer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let bounds = Bounds { bytes: 1 << 20, entries: 1_000 };
    // Whatever it is.
    check(bytes, &bounds).unwrap_or(());
    let Ok(names) = check_layer(bytes, &bounds) else { return };
    assert!(names.len() <= 2_000);
    for name in names {
        let mut parts = name.components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{name:?}");
        let text = name.as_os_str().as_encoded_bytes();
        assert!(!text.contains(&0) && text.len() < 4_096);
        assert!(text.split(|byte| *byte == b'/').all(|part| part.len() < 256));
    }
});
