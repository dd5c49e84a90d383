//! The gateway's half of the plan, and the sockets that init makes for it.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use cofferdam_policy::hostname::Name;
use cofferdam_policy::judge::hosts::{self, Allowed, HostRules, Pattern};
use cofferdam_policy::judge::indexed::Indexed;
use cofferdam_policy::model::Policy;

use crate::egress::{
    Assigned, Door, Egress, Family, PROXY_PORT, PUBLISHED_SPARES, SOCKS_PORT, Serves, Socket, every,
};
use crate::host::Host;
use crate::refusal::Refusal;
use crate::synthetic::{self, GATEWAY_V4};

/// Ports on which every destination is heard: no program of the workload's could take them, since
/// those below 1024 need a capability.
const EVERYWHERE: [u16; 2] = [80, 443];
/// The resolver's.
const LOOKUPS: u16 = 53;
/// Most addresses of a block that are heard on ports of their own.
const BLOCK_MAX: u32 = 64;
/// Most sockets: a rule with names and ports costs their product, and each is a descriptor of the
/// gateway, beside its connections.
const DOORS_MAX: usize = 512;
/// Sockets of each family for names below a wildcard on ports of their own.
const WILDCARD_SPARES: usize = 64;

/// `None` where nothing goes out or in.
pub(super) fn of(policy: &Policy, host: &Host) -> Result<Option<Egress>, Refusal> {
    let network = &policy.network;
    if network.is_closed() {
        return Ok(None);
    }
    let names = names(&network.rules)?;
    let mut doors = if network.leads_out() { everywhere() } else { Vec::new() };
    doors.extend(own_ports(policy, &names));
    let rules = network.rules.allow.iter();
    let wild = |pattern: &Pattern| matches!(pattern, Pattern::Below(_) | Pattern::AnyName);
    let wild = rules.filter(|rule| wild(&rule.pattern));
    let stock = if wild.flat_map(|rule| &rule.ports).any(|port| is_own(*port)) {
        WILDCARD_SPARES
    } else {
        0
    };
    let published = if network.publish.is_empty() { 0 } else { PUBLISHED_SPARES };
    for family in [Family::V4, Family::V6] {
        let spare = Door { socket: Socket::Spare(family), serves: Serves::Spare };
        doors.extend(std::iter::repeat_n(spare, stock + published));
    }
    doors.retain(|door| host.ipv6 || door.socket.family() == Family::V4);
    if doors.len() > DOORS_MAX {
        return Err(Refusal::TooManyDoors { count: doors.len(), most: DOORS_MAX });
    }
    Ok(Some(Egress {
        rules: network.rules.clone(),
        upstream_proxy: network.upstream_proxy.clone(),
        names,
        doors,
        publish: network.publish.clone(),
        trust_ca: network.trust_ca.clone(),
        approve: network.approve.is_some(),
        credentials: policy.credentials.clone(),
        canaries: policy.canaries.clone(),
    }))
}

/// Addresses for the names that rules write out, as far as anything of them is allowed, by name.
fn names(rules: &HostRules) -> Result<Vec<Assigned>, Refusal> {
    let exact = rules.allow.iter().filter_map(|rule| match &rule.pattern {
        Pattern::Exact(name) => Some(name),
        Pattern::Below(_) | Pattern::AnyName | Pattern::Net(_) => None,
    });
    // Where nothing is denied, each has the rule that writes it out.
    let denying = (!rules.deny.is_empty()).then(|| Indexed::new(rules.clone()));
    let known = |name: &&Name| match &denying {
        Some(rules) => rules.about(&hosts::Host::Name((*name).clone())).known().is_ok(),
        None => true,
    };
    let exact: BTreeSet<&Name> = exact.filter(known).collect();
    let assign = |(index, name): (usize, &&Name)| {
        let (v4, v6) = synthetic::pair(u32::try_from(index).ok()?)?;
        Some(Assigned { name: (*name).clone(), v4, v6 })
    };
    let count = exact.len();
    let names: Option<Vec<Assigned>> = exact.iter().enumerate().map(assign).collect();
    names.ok_or(Refusal::TooManyDoors { count, most: DOORS_MAX })
}

fn everywhere() -> Vec<Door> {
    let mut doors = Vec::new();
    for family in [Family::V4, Family::V6] {
        let at = |port| SocketAddr::new(every(family), port);
        doors.push(Door { socket: Socket::Packets(at(LOOKUPS)), serves: Serves::Lookups });
        doors.push(Door { socket: Socket::Listen(at(LOOKUPS)), serves: Serves::Lookups });
        doors.extend(EVERYWHERE.map(|port| destinations(at(port))));
    }
    let at = |port| Socket::Listen(SocketAddr::new(IpAddr::V4(GATEWAY_V4), port));
    doors.push(Door { socket: at(PROXY_PORT), serves: Serves::Proxy });
    doors.push(Door { socket: at(SOCKS_PORT), serves: Serves::Socks });
    doors
}

fn destinations(at: SocketAddr) -> Door {
    Door { socket: Socket::Listen(at), serves: Serves::Destinations }
}

/// Whether a port is heard on the addresses of its hosts alone.
fn is_own(port: u16) -> bool {
    port != LOOKUPS && !EVERYWHERE.contains(&port)
}

/// A socket for each address and port that a rule names beside [`EVERYWHERE`], none twice.
fn own_ports(policy: &Policy, names: &[Assigned]) -> Vec<Door> {
    let mut places: BTreeSet<SocketAddr> = BTreeSet::new();
    let own = |rule: &&Allowed| rule.ports.iter().any(|port| is_own(*port));
    for rule in policy.network.rules.allow.iter().filter(own) {
        let addresses: Vec<IpAddr> = match &rule.pattern {
            Pattern::Exact(name) => {
                let at = names.binary_search_by(|row| row.name.cmp(name)).ok();
                let row = at.and_then(|at| names.get(at));
                row.map(|row| vec![row.v4.into(), row.v6.into()]).unwrap_or_default()
            }
            Pattern::Net(net) => net.addresses(BLOCK_MAX).unwrap_or_default(),
            Pattern::Below(_) | Pattern::AnyName => Vec::new(),
        };
        let ports = rule.ports.iter().filter(|port| is_own(**port));
        for port in ports {
            places.extend(addresses.iter().map(|address| SocketAddr::new(*address, *port)));
        }
    }
    places.into_iter().map(destinations).collect()
}
