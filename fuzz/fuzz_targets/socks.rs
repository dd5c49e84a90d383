//! SOCKS 5: however the bytes are cut the answer is one, and what was judged is what is sent.
#![no_main]

use cofferdam_gateway::authority;
use cofferdam_gateway::socks::{
    GREETING_BYTES_MAX, REQUEST_BYTES_MAX, SocksFault, ask, choice, granted, greeting, request,
};
use cofferdam_policy::judge::hosts::Host;
use libfuzzer_sys::fuzz_target;

/// The answer to the shortest beginning that has one is the answer to all.
fn cut<T>(bytes: &[u8], most: usize, read: fn(&[u8]) -> Result<Option<T>, SocksFault>)
where
    T: PartialEq + std::fmt::Debug,
{
    let all = read(bytes);
    assert!(bytes.len() < most || all != Ok(None), "more than {most} bytes are asked for");
    for end in 0..bytes.len() {
        let early = read(&bytes[..end]);
        assert!(early == Ok(None) || early == all, "{end} bytes: {early:?}, then {all:?}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    cut(bytes, GREETING_BYTES_MAX, greeting);
    cut(bytes, REQUEST_BYTES_MAX, request);
    cut(bytes, 2, choice);
    cut(bytes, REQUEST_BYTES_MAX, granted);
    let Ok(Some(asked)) = request(bytes) else { return };
    assert_ne!(asked.port, 0);
    let sent = ask(&asked.host, asked.port);
    let again = request(&sent).expect("ours").expect("whole");
    assert_eq!((&again.host, again.port), (&asked.host, asked.port), "judged is sent");
    assert_eq!(again.length, sent.len());
    // A second reading of the bytes: the port is last, the text before it is the host.
    let port = [bytes[asked.length - 2], bytes[asked.length - 1]];
    assert_eq!(u16::from_be_bytes(port), asked.port);
    if bytes[3] == 3 {
        let text = std::str::from_utf8(&bytes[5..asked.length - 2]).expect("ASCII");
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match &asked.host {
            Host::Name(name) => assert_eq!(name.as_str(), text),
            Host::Address(address) => {
                let spelled: std::net::IpAddr = text.parse().expect("an address");
                assert_eq!(spelled.to_string(), text, "the one spelling");
                assert_eq!(spelled.to_canonical(), *address);
            }
        }
    }
    let printed = format!("{}:{}", asked.host, asked.port);
    assert_eq!(authority::parse(printed.as_bytes(), None), Ok((asked.host, asked.port)));
});
