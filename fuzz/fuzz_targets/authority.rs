//! Authorities: what is accepted has one spelling, and the standard library reads it the same.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cofferdam_gateway::authority::parse;
use cofferdam_policy::judge::hosts::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = std::str::from_utf8(bytes).ok();
    let std: Option<SocketAddr> = text.and_then(|text| text.parse().ok());
    let Ok((host, port)) = parse(bytes, Some(80)) else {
        // What is an address to others is one to us, but for spellings that we refuse by rule.
        let odd = |text: &str| {
            let digits = text.rsplit(':').next().unwrap_or_default();
            text.contains('%') || digits.starts_with('0')
        };
        assert!(std.is_none() || text.is_none_or(odd), "{text:?} is an address");
        return;
    };
    let text = text.expect("what is accepted is ASCII");
    assert_ne!(port, 0);
    let printed = format!("{host}:{port}");
    assert_eq!(parse(printed.as_bytes(), None), Ok((host.clone(), port)), "printed: {printed}");
    match &host {
        Host::Name(name) => {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            assert!(name.as_str().bytes().all(plain), "{name}");
            assert!(std.is_none(), "{text} is an address");
            assert!(name.as_str().parse::<IpAddr>().is_err(), "{name}");
            // Bytes judged: the name is what stands there, but for case and the dot at the end.
            let (front, _) = text.split_once(':').unwrap_or((text, ""));
            let front = front.strip_suffix('.').unwrap_or(front);
            assert_eq!(front.to_ascii_lowercase(), name.as_str());
        }
        Host::Address(address) => {
            assert_eq!(address.to_canonical(), *address);
            let bare = || text.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
            let inside = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
            let ip = std.map(|std| std.ip()).or_else(bare).or_else(inside);
            assert_eq!(ip.map(|ip| ip.to_canonical()), Some(*address), "{text}");
            assert_eq!(std.map_or(80, |std| std.port()), port, "{text}");
        }
    }
});
