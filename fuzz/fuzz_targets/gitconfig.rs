//! Git's settings: what is read, written plainly, is read as the same; what does not change may land; and
//! what may land changes no other key than those of the list.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use cofferdam_policy::judge::git::edit;
use cofferdam_policy::judge::git::syntax::{Entry, entries};
use cofferdam_policy::judge::hosts::{Allowed, HostRules, Net, Pattern, Protocol};
use cofferdam_policy::judge::requests::{Asked, Inspect};
use cofferdam_policy::model::Clause;
use libfuzzer_sys::fuzz_target;

fn hosts() -> HostRules {
    let any = Net::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0).expect("all of IPv4");
    let allow = [Pattern::AnyName, Pattern::Net(any)].map(|pattern| Allowed {
        pattern,
        ports: vec![22, 443],
        protocol: Protocol::Tcp,
        dial: None,
        inspect: Inspect::Auto,
        requests: Asked::default(),
        reason: None,
        clause: Clause::built_in("allow"),
    });
    HostRules { allow: allow.into_iter().collect(), deny: Vec::new().into(), base: Clause::built_in("network") }
}

fn plain(entry: &Entry<'_>) -> Vec<u8> {
    let (section, below) = entry.parts();
    let mut text = [b"[", section].concat();
    if let Some(below) = below {
        text.extend_from_slice(b" \"");
        for byte in below {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.push(b'"');
    }
    text.extend_from_slice(b"]\n\t");
    text.extend_from_slice(entry.key().as_bytes());
    if let Some(value) = entry.value() {
        text.extend_from_slice(b" = \"");
        for byte in value {
            match byte {
                b'\n' => text.extend_from_slice(b"\\n"),
                b'\t' => text.extend_from_slice(b"\\t"),
                8 => text.extend_from_slice(b"\\b"),
                b'"' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
                byte => text.push(*byte),
            }
        }
        text.push(b'"');
    }
    text.push(b'\n');
    text
}

fn is_of_the_list(entry: &Entry<'_>) -> bool {
    let name = String::from_utf8_lossy(&entry.name()).into_owned();
    let last = name.rsplit('.').next().unwrap_or_default();
    let dots = name.matches('.').count();
    match name.split('.').next() {
        Some("user") => dots == 1 && matches!(last, "name" | "email"),
        Some("remote") => dots > 1 && matches!(last, "url" | "fetch"),
        Some("branch") => {
            let keys = ["remote", "pushremote", "merge", "rebase", "description"];
            dots > 1 && keys.contains(&last)
        }
        Some(_) | None => false,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let hosts = hosts();
    if let Ok(read) = entries(bytes) {
        assert_eq!(edit(bytes, bytes, &hosts), Ok(()), "nothing changes");
        let text = read.iter().flat_map(plain).collect::<Vec<u8>>();
        let again = entries(&text);
        let same = |one: &Entry<'_>, other: &Entry<'_>| {
            (one.name(), one.value()) == (other.name(), other.value())
        };
        if text.len() < bytes.len() * 4 {
            let again = again.expect("what is written plainly is read");
            assert_eq!(again.len(), read.len());
            assert!(read.iter().zip(&again).all(|(one, other)| same(one, other)));
        }
    }
    // One text for another.
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (old, new) = (&bytes[..at], &bytes[at + 1..]);
    if edit(old, new, &hosts).is_err() {
        return;
    }
    let others = |text| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let all = entries(text).expect("what may land is read");
        let others = all.iter().filter(|entry| !is_of_the_list(entry));
        others.map(|entry| (entry.name(), entry.value().map(<[u8]>::to_vec))).collect()
    };
    assert_eq!(others(old), others(new), "another key changes");
});
