//! Questions for addresses: an answer is to its question, and gives no address to a name that the judge
//! does not know.
#![no_main]

use std::net::Ipv4Addr;

use cofferdam_gateway::dns::{EDNS_BYTES, Judged, Transport, answer};
use cofferdam_gateway::synthetic::{Synthetic, is_synthetic};
use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::{Allowed, Denied, HostRules, Pattern, Protocol};
use cofferdam_policy::judge::requests::{Asked, Inspect};
use cofferdam_policy::model::Clause;
use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;

fn rules() -> HostRules {
    let name = |text: &str| Name::parse(text.as_bytes()).expect("a name");
    let allow = |pattern| Allowed {
        pattern,
        ports: vec![443],
        protocol: Protocol::Tls,
        dial: None,
        inspect: Inspect::Auto,
        requests: Asked::default(),
        reason: None,
        clause: Clause::built_in("allow"),
    };
    let clause = Clause::built_in("deny");
    let pattern = Pattern::Exact(name("bad.wide.test"));
    let (ports, methods, paths) = (Vec::new(), Vec::new(), Vec::new());
    HostRules {
        allow: vec![
            allow(Pattern::Exact(name("good.test"))),
            allow(Pattern::Below(name("wide.test"))),
        ].into(),
        deny: vec![Denied { pattern, ports, methods, paths, reason: None, clause }].into(),
        base: Clause::built_in("network"),
    }
}

/// The name of a record, read here once more.
fn spelled(record: &hickory_proto::rr::Name) -> Option<Name> {
    let labels: Vec<&[u8]> = record.iter().collect();
    Name::parse(&labels.join(&b'.')).ok()
}

fuzz_target!(|bytes: &[u8]| {
    for transport in [Transport::Udp, Transport::Tcp] {
        let rules = rules();
        let mut synthetic = Synthetic::new(std::iter::empty()).expect("no names");
        let mut names = Judged { rules: &rules, synthetic: &mut synthetic };
        let answered = answer(bytes, transport, &mut names);
        if let Some(refused) = &answered.refused {
            assert!(rules.knows(&refused.name).is_err(), "{refused:?}");
        }
        let Some(reply) = answered.reply else { continue };
        assert!(transport == Transport::Tcp || reply.len() <= usize::from(EDNS_BYTES));
        let got = Message::from_vec(&reply).expect("ours");
        assert_eq!(got.metadata.message_type, MessageType::Response);
        assert_eq!(got.metadata.id.to_be_bytes(), bytes[..2]);
        if let Ok(asked) = Message::from_vec(bytes) {
            assert!(got.queries.is_empty() || got.queries == asked.queries, "its question");
        }
        for record in &got.answers {
            let Some(address) = record.data.ip_addr() else { continue };
            let name = spelled(&record.name).expect("a host's name");
            let local = name.as_str() == "localhost" || name.as_str().ends_with(".localhost");
            assert_eq!(address.is_loopback(), local, "{name}: {address}");
            assert!(local || is_synthetic(address));
            assert!(local || rules.knows(&name).is_ok(), "{name} has an address");
        }
    }
    assert!(is_synthetic(Ipv4Addr::new(198, 18, 1, 0).into()));
});
