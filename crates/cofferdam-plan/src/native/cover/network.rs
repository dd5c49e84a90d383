//! Coverage of the network: whom the gateway lets through, and what that still permits.

use cofferdam_policy::judge::hosts::{Allowed, Denied, Pattern, Protocol};
use cofferdam_policy::model::Policy;
use cofferdam_policy::network::Network;

use super::row;
use crate::coverage::{Coverage, Extent};

/// What keeps everything else away from the network.
const WALLS: [&str; 2] = ["network namespace without routes", "seccomp on socket families"];

pub(super) fn rows(policy: &Policy) -> Vec<Coverage> {
    let network = &policy.network;
    if network.rules.allow.is_empty() {
        let says = "no network but the sandbox's own loopback";
        let mut rows = vec![row(&policy.network_clause, says, &WALLS, Extent::Enforced)];
        rows.extend(published(network));
        return rows;
    }
    let says = "only allowed hosts are reached, through the gateway; every other name is unknown";
    let mechanisms = ["network namespace without routes out", WALLS[1], "gateway"];
    let open = "connections to ports that no rule names are refused without an event".to_owned();
    let mut rows = vec![row(&policy.network_clause, says, &mechanisms, Extent::Partly { open })];
    rows.extend(network.rules.allow.iter().map(|rule| allowed(rule, network)));
    rows.extend(network.rules.deny.iter().map(denied));
    rows.extend(published(network));
    rows
}

fn allowed(rule: &Allowed, network: &Network) -> Coverage {
    let ports = list(&rule.ports);
    let word = if rule.ports.len() == 1 { "port" } else { "ports" };
    let mut says = format!("{}, {word} {ports}: {}", rule.pattern, rule.protocol.as_str());
    if let Some(dial) = rule.dial {
        says += &format!(", dialled at {dial}");
    }
    if let Some(reason) = &rule.reason {
        says += &format!(" ({reason})");
    }
    let (looks, mut open) = match rule.protocol {
        Protocol::Tls => (
            "gateway: the name in the ClientHello",
            "whatever the host accepts from any account of its own: requests are encrypted and not looked into",
        ),
        Protocol::Http => {
            ("gateway: the Host of each request", "whatever the host accepts; in the clear")
        }
        Protocol::Tcp => {
            ("gateway: the name that was looked up", "anything: what is spoken is not looked at")
        }
    };
    let by_proxy =
        "anything that the upstream proxy reaches by that name: it resolves names itself";
    if network.upstream_proxy.is_some() && rule.dial.is_none() {
        open = by_proxy;
    }
    let looks = match (&rule.pattern, rule.protocol) {
        (Pattern::Net(_), Protocol::Tcp) => "gateway: the address that was asked for",
        _ => looks,
    };
    let wide = matches!(&rule.pattern, Pattern::Net(net) if net.addresses(64).is_none());
    let narrow = rule.ports.iter().any(|port| ![80, 443].contains(port));
    let mut open = open.to_owned();
    if wide && narrow {
        open += "; a block of more than 64 addresses is reached on other ports than 80 and 443 by the proxies alone";
    }
    if rule.ports.contains(&53) {
        open += "; port 53 is the resolver's inside, so it is reached by the proxies alone";
    }
    row(&rule.clause, &says, &[looks], Extent::Partly { open })
}

fn denied(rule: &Denied) -> Coverage {
    let ports = if rule.ports.is_empty() { "every port".into() } else { list(&rule.ports) };
    let says = format!("{}, {ports}: denied, whatever allows it", rule.pattern);
    row(&rule.clause, &says, &["gateway"], Extent::Enforced)
}

fn published(network: &Network) -> impl Iterator<Item = Coverage> {
    network.publish.iter().map(|server| {
        let says = format!("port {} inside is the host's {}", server.inside, server.outside);
        let open = "every program and user of this machine reaches it".into();
        row(&server.clause, &says, &["gateway"], Extent::Partly { open })
    })
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
