//! Coverage of the network: whom the gateway lets through, and what that still permits.

use cofferdam_policy::credentials::Credential;
use cofferdam_policy::judge::hosts::{Allowed, Denied, Pattern, Protocol};
use cofferdam_policy::judge::overlap::Overlap;
use cofferdam_policy::judge::requests::{Inspect, Inspected};
use cofferdam_policy::model::{Clause, Policy};
use cofferdam_policy::network::Network;
use cofferdam_policy::show;

use super::row;
use crate::coverage::{Coverage, Extent};
use crate::jail::Rows;

/// What keeps everything else away from the network.
const WALLS: [&str; 2] = ["network namespace without routes", "seccomp on socket families"];

pub(super) fn rows(policy: &Policy, which: Rows) -> Vec<Coverage> {
    let network = &policy.network;
    if !network.leads_out() {
        let says = "no network but the sandbox's own loopback";
        let mut rows = vec![row(&policy.network_clause, says, &WALLS, Extent::Enforced)];
        rows.extend(policy.credentials.iter().map(|one| credential(one, network)));
        rows.extend(published(network));
        return rows;
    }
    let says = "only allowed hosts are reached, through the gateway; every other name is unknown";
    let mechanisms = ["network namespace without routes out", WALLS[1], "gateway"];
    let open = "connections to ports that no rule names are refused without an event".to_owned();
    let mut rows = vec![row(&policy.network_clause, says, &mechanisms, Extent::Partly { open })];
    if which == Rows::Every {
        let others = Others::of(&network.rules.allow, network);
        rows.extend(network.rules.allow.iter().map(|rule| allowed(rule, network, &others)));
        rows.extend(network.rules.deny.iter().map(denied));
    }
    rows.extend(network.approve.iter().map(asked));
    rows.extend(trusted(network));
    rows.extend(policy.credentials.iter().map(|one| credential(one, network)));
    rows.extend(published(network));
    rows
}

pub(crate) fn host_row(policy: &Policy, clause: &Clause) -> Option<Coverage> {
    let network = &policy.network;
    if !network.leads_out() {
        return None;
    }
    let allow = network.rules.allow.iter().find(|rule| rule.clause == *clause);
    let row = allow.map(|rule| {
        // What it says of others it says of those that hosts of its own may be of too.
        let near = network.rules.allow.iter().filter(|other| other.pattern.meets(&rule.pattern));
        allowed(rule, network, &Others::of(near, network))
    });
    row.or_else(|| network.rules.deny.iter().find(|rule| rule.clause == *clause).map(denied))
}

fn credential(one: &Credential, network: &Network) -> Coverage {
    if one.logins().is_some() {
        return login(one);
    }
    let bound = network.rules.allow.iter();
    let bound = bound.filter(|rule| rule.requests.credential.as_ref() == Some(&one.name));
    let mut hosts: Vec<String> = bound.map(|rule| rule.pattern.to_string()).collect();
    hosts.dedup();
    let from = one.source.shown();
    let says = match hosts.as_slice() {
        [] => format!(
            "`{}`, {from}, is used by no rule: what stands in is good for nothing",
            one.name
        ),
        hosts => {
            let how = one.inject.shown();
            format!(
                "`{}`, {from}, never enters: requests to {} bear it {how}",
                one.name,
                hosts.join(", ")
            )
        }
    };
    let holds = ["gateway: the only process that has it", "a stand-in of this session, inside"];
    let open = "whatever may be done with it by requests that its rules allow".into();
    row(&one.clause, &says, &holds, Extent::Partly { open })
}

fn login(one: &Credential) -> Coverage {
    let (from, how) = (one.source.shown(), one.inject.shown());
    let says = format!("`{}`, {from}, never enters: it is used {how}", one.name);
    let holds = [
        "gateway: the only process that has it",
        "gateway: the host's own signature tells which host a login is for",
        "the broker: its socket cannot be replaced",
    ];
    let open =
        "whatever these users may do there, where a rule of the network reaches the host".into();
    row(&one.clause, &says, &holds, Extent::Partly { open })
}

/// Most entries of a list that a row repeats.
const LISTED: usize = 8;

fn asked(clause: &Clause) -> Coverage {
    let says = "what no rule allows is asked for outside, one question at a time";
    let open = "whatever the person who answers allows".into();
    row(clause, says, &["gateway", "control socket, mode 0600"], Extent::Partly { open })
}

/// What a row says of a rule because of others.
struct Others<'n> {
    inspected: Inspected<'n>,
    /// Those that ask nothing of requests.
    open: Overlap<'n, Allowed>,
}

impl<'n> Others<'n> {
    fn of(allow: impl IntoIterator<Item = &'n Allowed>, network: &'n Network) -> Self {
        let allow: Vec<&Allowed> = allow.into_iter().collect();
        let open = allow.iter().copied().filter(|rule| !rule.requests.asks());
        let open = Overlap::new(open, |rule| &rule.pattern);
        Self { inspected: Inspected::among(allow.iter().copied(), network.rules.deny.iter()), open }
    }
}

fn allowed(rule: &Allowed, network: &Network, others: &Others<'_>) -> Coverage {
    let ports = list(&rule.ports);
    let word = if rule.ports.len() == 1 { "port" } else { "ports" };
    let mut says = format!("{}, {word} {ports}: {}", rule.pattern, rule.protocol.as_str());
    if let Some(dial) = rule.dial {
        says += &format!(", dialled at {dial}");
    }
    for asked in show::asked(rule, LISTED) {
        says += &format!(", {asked}");
    }
    if let Some(reason) = &rule.reason {
        says += &format!(" ({reason})");
    }
    let (looks, mut open) = seen(rule, others);
    let by_proxy =
        "anything that the upstream proxy reaches by that name: it resolves names itself";
    if network.upstream_proxy.is_some() && rule.dial.is_none() {
        open = if rule.looks() { format!("{open}; {by_proxy}") } else { by_proxy.to_owned() };
    }
    let wide = matches!(&rule.pattern, Pattern::Net(net) if net.addresses(64).is_none());
    let narrow = rule.ports.iter().any(|port| ![80, 443].contains(port));
    if wide && narrow {
        open += "; a block of more than 64 addresses is reached on other ports than 80 and 443 by the proxies alone";
    }
    if rule.ports.contains(&53) {
        open += "; port 53 is the resolver's inside, so it is reached by the proxies alone";
    }
    row(&rule.clause, says, &[looks], Extent::Partly { open })
}

/// What is looked at for a rule, and what that leaves open.
fn seen(rule: &Allowed, others: &Others<'_>) -> (&'static str, String) {
    const CLEAR: &str =
        "the gateway sees them in the clear, and clients must trust the session's authority";
    let asks = rule.requests.asks();
    let (looks, open) = match rule.protocol {
        Protocol::Tls if others.inspected.may(rule) => {
            let which = if asks { "requests that are allowed" } else { "any request" };
            let open = format!("whatever the host does with {which}; {CLEAR}");
            ("gateway: each request, in TLS that it ends itself", open)
        }
        Protocol::Tls => {
            let never = if rule.inspect == Inspect::Never { "never" } else { "not" };
            let open = format!(
                "whatever the host accepts from any account of its own: requests are encrypted and {never} looked into"
            );
            ("gateway: the name in the ClientHello", open)
        }
        Protocol::Http if asks => {
            let open = "whatever the host does with requests that are allowed; in the clear".into();
            ("gateway: each request", open)
        }
        Protocol::Http => {
            ("gateway: the Host of each request", "whatever the host accepts; in the clear".into())
        }
        Protocol::Tcp => {
            let looks = match &rule.pattern {
                Pattern::Net(_) => "gateway: the address that was asked for",
                Pattern::Exact(_) | Pattern::Below(_) | Pattern::AnyName => {
                    "gateway: the name that was looked up"
                }
            };
            (looks, "anything: what is spoken is not looked at".into())
        }
    };
    let upgraded = if rule.requests.websocket { "; what is in a WebSocket" } else { "" };
    (looks, format!("{open}{upgraded}{}{}", idle(rule, others), unseen(rule, others)))
}

/// A rule that denies some requests takes away whole connections into which nobody may look.
fn unseen(rule: &Allowed, others: &Others<'_>) -> String {
    let blind = rule.protocol == Protocol::Tcp || rule.inspect == Inspect::Never;
    match blind.then(|| others.inspected.denying(rule).next()).flatten() {
        Some(denied) => {
            format!("; nothing where {} denies requests that nobody sees", denied.clause)
        }
        None => String::new(),
    }
}

/// What a rule asks holds nobody up where another one asks nothing of the same hosts.
fn idle(rule: &Allowed, others: &Others<'_>) -> String {
    if !rule.requests.asks() {
        return String::new();
    }
    let same = |other: &&Allowed| {
        other.protocol == rule.protocol && rule.ports.iter().all(|port| other.ports.contains(port))
    };
    match others.open.covering(&rule.pattern).find(same) {
        Some(other) => format!("; any request: {} asks nothing of them", other.clause),
        None => String::new(),
    }
}

fn denied(rule: &Denied) -> Coverage {
    let ports = if rule.ports.is_empty() { "every port".into() } else { list(&rule.ports) };
    let which = show::denied(rule, LISTED);
    if which.is_empty() {
        let says = format!("{}, {ports}: denied, whatever allows it", rule.pattern);
        return row(&rule.clause, &says, &["gateway"], Extent::Enforced);
    }
    let which = which.join(", ");
    let says = format!("{}, {ports}: requests denied, whatever allows them: {which}", rule.pattern);
    let open =
        "the same by another path, where a host counts no case, or leaves a slash at the end away"
            .into();
    let looks = ["gateway: each request, in TLS that it ends itself"];
    let extent = if rule.paths.is_empty() { Extent::Enforced } else { Extent::Partly { open } };
    row(&rule.clause, &says, &looks, extent)
}

fn trusted(network: &Network) -> impl Iterator<Item = Coverage> {
    network.trust_ca.iter().map(|file| {
        let says = format!("hosts are believed by the authorities in {} too", file.path.display());
        let open = "whoever has a key of theirs can be any host that is looked into".into();
        row(&file.clause, &says, &["gateway"], Extent::Partly { open })
    })
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
