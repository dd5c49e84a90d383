//! Host patterns of the language: what is read has one spelling, which is read as the same, and holds
//! what it says and nothing else.
#![no_main]

use cofferdam_policy::Name;
use cofferdam_policy::hosts::parse_pattern;
use cofferdam_policy::judge::hosts::{Host, Pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(pattern) = parse_pattern(text) else { return };
    let spelled = pattern.to_string();
    assert_eq!(parse_pattern(&spelled).as_ref(), Ok(&pattern), "{text:?} is {spelled}");
    match &pattern {
        Pattern::Exact(name) => {
            assert!(pattern.holds(&Host::Name(name.clone())));
            let below = Name::parse(format!("x.{name}").as_bytes());
            assert!(below.is_err() || below.is_ok_and(|name| !pattern.holds(&Host::Name(name))));
            let beside = Name::parse(format!("x{name}").as_bytes());
            assert!(beside.is_err() || beside.is_ok_and(|name| !pattern.holds(&Host::Name(name))));
        }
        Pattern::Below(suffix) => {
            assert!(!pattern.holds(&Host::Name(suffix.clone())), "never the apex");
            let beside = Name::parse(format!("x{suffix}").as_bytes());
            assert!(beside.is_err() || beside.is_ok_and(|name| !pattern.holds(&Host::Name(name))));
        }
        Pattern::AnyName => assert_eq!(text, "*"),
        Pattern::Net(net) => {
            assert!(pattern.holds(&Host::Address(net.address())));
            assert!(!pattern.holds(&Host::Name(Name::parse(b"good.test").expect("a name"))));
        }
    }
    // ASCII is taken as it is: only case is folded.
    if text.is_ascii() && matches!(pattern, Pattern::Exact(_) | Pattern::Below(_)) {
        assert_eq!(text.to_ascii_lowercase(), spelled);
    }
});
