//! What this jail does not hold, on this machine: every clause of it in one refusal.

use cofferdam_policy::facts::Ids;
use cofferdam_policy::model::{Grant, Origin, Policy};
use cofferdam_policy::promise::Promise;

use crate::host::Host;
use crate::refusal::{Refusal, Unheld};

/// The promises that are not held here, in order.
pub(super) fn promises(host: &Host) -> Vec<Promise> {
    let held = |promise: Promise| match promise {
        Promise::Absent
        | Promise::Processes
        | Promise::PrivatePlaces
        | Promise::PrivateSize
        | Promise::Times => false,
        Promise::ProcessLimit => host.groups.as_ref().is_some_and(|groups| groups.processes),
        Promise::Signals | Promise::AbstractSockets => host.landlock_abi >= 6,
    };
    Promise::ALL.into_iter().filter(|promise| !held(*promise)).collect()
}

/// Refuses whatever is not held and not given up.
pub(super) fn check(policy: &Policy, host: &Host) -> Result<(), Refusal> {
    let mut unheld: Vec<Unheld> =
        never(policy).into_iter().map(|what| Unheld { promise: None, what }).collect();
    let lacking = promises(host).into_iter();
    let lacking = lacking.filter(|promise| policy.gives_up(*promise).is_none());
    unheld.extend(lacking.map(|promise| Unheld {
        promise: Some(promise),
        what: format!("{} ({})", promise.as_str(), promise.says()),
    }));
    if unheld.is_empty() { Ok(()) } else { Err(Refusal::ClausesUnheld { unheld }) }
}

/// What nobody can give up: it would not work at all, or hold nothing.
fn never(policy: &Policy) -> Vec<String> {
    let mut never = Vec::new();
    let network = &policy.network;
    if let Some(first) = network.rules.allow.first() {
        never.push(format!(
            "{}: hosts are heard and dialled in a network namespace, and there is none",
            first.clause
        ));
    }
    if let Some(first) = network.publish.first() {
        never.push(format!(
            "{}: a published port leads into a network namespace, and there is none",
            first.clause
        ));
    }
    if !network.is_closed() && never.is_empty() {
        never.push(format!("{}: the network is only ever closed", policy.network_clause));
    }
    if let Some(first) = policy.credentials.first() {
        never.push(format!("{}: credentials are borne by the gateway alone", first.clause));
    }
    if let Some(rootfs) = &policy.rootfs {
        never.push(format!(
            "{}: another system is seen by mounts, and there are none",
            rootfs.clause
        ));
    }
    if matches!(policy.person.ids, Ids::StandIn { .. }) {
        never.push(
            "identity: root's own workspace is shown to another user by idmapped mounts; work in a \
             workspace of an ordinary user"
                .into(),
        );
    }
    let moved = |tree: &&Grant| tree.source != tree.path && !is_linked(tree);
    let trees = policy.grants.iter().chain([&policy.workspace]);
    never.extend(trees.filter(moved).map(|tree| {
        format!("{}: {} would be shown at another path", tree.clause, tree.path.display())
    }));
    never
}

/// A tree of the system's that the host itself has at this path, by a link.
fn is_linked(tree: &Grant) -> bool {
    tree.origin == Origin::System
}
