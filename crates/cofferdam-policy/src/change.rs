//! What of a policy may change while a session runs: whom its gateway lets through.
//!
//! Compares two policies and touches nothing. Both are best resolved with the same [`crate::Facts`], those
//! of the session's start: names that came to be since would count as changes, for what is bound and
//! guarded is decided once.

use crate::credentials::Credential;
use std::collections::BTreeSet;

use crate::judge::hosts::{Allowed, HostRules};
use crate::limits::{Limit, Limits};
use crate::model::{Clause, Extended, Grant, Guarded, Idle, Missing, Policy, Seed, Variable};
use crate::network::Network;
use crate::output::Canary;
use crate::promise::{BestEffort, Promise};

/// Ports on which every destination is heard.
const HEARD: [u16; 2] = [80, 443];

/// Something that holds only from a new start on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Restart {
    /// What it is, for a person: `network.publish changed`.
    pub because: String,
    /// The rule.
    pub clause: Clause,
}

impl std::fmt::Display for Restart {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.because, self.clause)
    }
}

/// The rules that a running gateway goes on with, where `new` differs from `old` in nothing else.
///
/// Where a rule stands in its text is no difference.
///
/// # Errors
/// Everything that holds only from a new start on, none twice.
pub fn egress_change(old: &Policy, new: &Policy) -> Result<HostRules, Vec<Restart>> {
    let mut restarts = beside(old, new);
    restarts.extend(around(&old.network, &new.network));
    let (before, after) = (&old.network.rules, &new.network.rules);
    if !old.network.leads_out() && !after.allow.is_empty() {
        // There is no way out at all: no name has an address, no port is heard.
        let because = "the session began without a way out".to_owned();
        restarts.push(Restart { because, clause: new.network_clause.clone() });
    } else {
        restarts.extend(after.allow.iter().flat_map(|rule| unheard(before, rule)));
        restarts.extend(uncertified(before, after));
    }
    if restarts.is_empty() { Ok(after.clone()) } else { Err(restarts) }
}

/// Ports of `rule` on which nobody listens.
fn unheard<'r>(before: &'r HostRules, rule: &'r Allowed) -> impl Iterator<Item = Restart> + 'r {
    let had = |port: u16| {
        let mut same = before.allow.iter().filter(|old| old.pattern == rule.pattern);
        same.any(|old| old.ports.contains(&port))
    };
    let new = rule.ports.iter().filter(move |port| !HEARD.contains(port) && !had(**port));
    new.map(|port| Restart {
        because: format!("port {port} of {} is not heard", rule.pattern),
        clause: rule.clause.clone(),
    })
}

/// Hosts that would be looked into, and that the session's authority is not for.
fn uncertified<'r>(
    before: &'r HostRules,
    after: &'r HostRules,
) -> impl Iterator<Item = Restart> + 'r {
    let known = before.inspected_patterns();
    let new = after.inspected_patterns().into_iter();
    let new = new.filter(move |pattern| !known.iter().any(|known| known.covers(pattern)));
    new.map(|pattern| Restart {
        because: format!(
            "{pattern} would be looked into, and the session's authority is not for it"
        ),
        clause: after
            .allow
            .iter()
            .find(|rule| rule.pattern == *pattern)
            .map_or_else(|| after.base.clone(), |rule| rule.clause.clone()),
    })
}

/// What of the network is made once.
fn around(old: &Network, new: &Network) -> Vec<Restart> {
    // The rules are what may change.
    let Network { rules, upstream_proxy, publish, trust_ca, approve } = new;
    let mut restarts = Vec::new();
    let mut changed = |name: &str, clause: Option<&Clause>| {
        let clause = clause.unwrap_or(&rules.base).clone();
        restarts.push(Restart { because: format!("{name} changed"), clause });
    };
    let proxy = |network: &Network| {
        let proxy = network.upstream_proxy.as_ref();
        proxy.map(|proxy| (proxy.speaks, proxy.host.clone(), proxy.port))
    };
    if proxy(old) != proxy(new) {
        let proxy = upstream_proxy.as_ref().or(old.upstream_proxy.as_ref());
        changed("network.upstream_proxy", proxy.map(|proxy| &proxy.clause));
    }
    let pairs = |network: &Network| {
        let mut pairs: Vec<_> = network.publish.iter().map(|p| (p.inside, p.outside)).collect();
        pairs.sort_unstable();
        pairs
    };
    if pairs(old) != pairs(new) {
        let published = publish.first().or(old.publish.first());
        changed("network.publish", published.map(|published| &published.clause));
    }
    let files = |network: &Network| {
        let mut files: Vec<_> = network.trust_ca.iter().map(|file| file.path.clone()).collect();
        files.sort();
        files
    };
    if files(old) != files(new) {
        let file = trust_ca.first().or(old.trust_ca.first());
        changed("network.trust_ca", file.map(|file| &file.clause));
    }
    if old.approve.is_some() != approve.is_some() {
        changed("whether a person is asked", approve.as_ref().or(old.approve.as_ref()));
    }
    restarts
}

/// Everything outside the network. A field that is added to the policy is compared or does not compile.
#[expect(clippy::too_many_lines, reason = "a policy, field by field")]
fn beside(old: &Policy, new: &Policy) -> Vec<Restart> {
    let (before, after) = (bare(old), bare(new));
    let Policy {
        isolation,
        isolation_clause: _,
        oversight,
        jail,
        jail_clause: _,
        rootfs,
        best_effort,
        etc,
        workspace,
        grants,
        guarded,
        unguarded,
        names,
        sockets,
        led_away,
        concealed,
        idle,
        own,
        hidden,
        replaced,
        // The file was read at the start.
        authorities: _,
        root_links,
        left_out,
        // What a preset brings is compared where it is.
        presets: _,
        missing,
        seeds,
        repository,
        home,
        kept_home,
        home_clause: _,
        person,
        cwd,
        environment,
        withheld,
        network: _,
        network_clause: _,
        limits,
        // `gateway` compares these two.
        credentials: _,
        canaries: _,
        output,
        // Of rules of the network, of variables and of the output, which are compared.
        dangers: _,
    } = &after;
    let trees = *workspace == before.workspace
        && *grants == before.grants
        && *missing == before.missing
        && *left_out == before.left_out
        && *root_links == before.root_links
        && *repository == before.repository;
    let held = *guarded == before.guarded
        && *unguarded == before.unguarded
        && *names == before.names
        && *led_away == before.led_away
        && *concealed == before.concealed
        && *idle == before.idle
        && *own == before.own;
    let system = *hidden == before.hidden && *replaced == before.replaced && *etc == before.etc;
    let homes = *home == before.home && *kept_home == before.kept_home && *seeds == before.seeds;
    let variables = *environment == before.environment && *withheld == before.withheld;
    let caller = *person == before.person && *cwd == before.cwd;
    let walls = *isolation == before.isolation && *oversight == before.oversight;
    let rows = [
        (walls, "isolation", &new.isolation_clause),
        (*jail == before.jail, "jail", &new.jail_clause),
        (*rootfs == before.rootfs, "rootfs", rootfs_clause(old, new)),
        (given(old) == given(new), "best_effort", best_effort_clause(best_effort, new)),
        (trees, "filesystem", first(old, new)),
        (held, "what is hidden, masked or protected", first(old, new)),
        (system, "what of /etc is seen", first(old, new)),
        (*sockets == before.sockets, "sockets", first(old, new)),
        (homes, "filesystem.home", &new.home_clause),
        (caller, "who or where the caller is", &new.workspace.clause),
        (variables, "environment", variable(old, new)),
        (*limits == before.limits, "limits", limit(old, new)),
        (output.is_as(&before.output), "output", &new.output.escapes_clause),
    ];
    let changed = rows.into_iter().chain(gateway(old, new)).filter(|(same, ..)| !same);
    changed.map(|(_, what, clause)| restart(what, clause)).collect()
}

/// What need not be held.
fn given(policy: &Policy) -> BTreeSet<Promise> {
    policy.best_effort.iter().map(|rule| rule.promise).collect()
}

fn best_effort_clause<'p>(rules: &[BestEffort], new: &'p Policy) -> &'p Clause {
    let last = rules.last().and_then(|_| new.best_effort.last());
    last.map_or(&new.jail_clause, |rule| &rule.clause)
}

fn rootfs_clause<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let rootfs = new.rootfs.as_ref().or(old.rootfs.as_ref());
    rootfs.map_or(&new.jail_clause, |rootfs| &rootfs.clause)
}

/// What the gateway reads once.
fn gateway<'p>(old: &'p Policy, new: &'p Policy) -> [(bool, &'static str, &'p Clause); 2] {
    let same = bare(old).credentials == bare(new).credentials;
    [
        (same, "credentials", credential(old, new)),
        (plants(&new.canaries, &old.canaries), "canary", canary(old, new)),
    ]
}

fn restart(what: &str, clause: &Clause) -> Restart {
    Restart { because: format!("{what} changed"), clause: clause.clone() }
}

/// The clause of the first tree that only one of them has, or that is not the same in both.
fn first<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let same = |one: &Grant, other: &Grant| one.path == other.path && one.mode == other.mode;
    let lacks = |policy: &Policy, tree: &Grant| {
        let mut all = policy.grants.iter().chain([&policy.workspace]);
        !all.any(|other| same(tree, other))
    };
    let added = new.grants.iter().chain([&new.workspace]).find(|tree| lacks(old, tree));
    let gone = || old.grants.iter().chain([&old.workspace]).find(|tree| lacks(new, tree));
    added.or_else(gone).map_or(&new.workspace.clause, |tree| &tree.clause)
}

/// The clause of the first variable that only one of them has with its value.
fn variable<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let lacks = |policy: &Policy, variable: &Variable| {
        let same = |o: &Variable| o.name == variable.name && o.value == variable.value;
        !policy.environment.iter().any(same)
    };
    let added = new.environment.iter().find(|variable| lacks(old, variable));
    let gone = || old.environment.iter().find(|variable| lacks(new, variable));
    added.or_else(gone).map_or(&new.workspace.clause, |variable| &variable.clause)
}

/// Whether these are the same strings under the same names.
fn plants(new: &[Canary], old: &[Canary]) -> bool {
    let rows = |canaries: &[Canary]| -> BTreeSet<(String, String)> {
        canaries.iter().map(|canary| (canary.name.clone(), canary.text.clone())).collect()
    };
    rows(new) == rows(old)
}

/// The clause of the first canary that only one of them has.
fn canary<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let lacks = |policy: &Policy, canary: &Canary| {
        !policy.canaries.iter().any(|one| one.name == canary.name && one.text == canary.text)
    };
    let added = new.canaries.iter().find(|canary| lacks(old, canary));
    let gone = || old.canaries.iter().find(|canary| lacks(new, canary));
    added.or_else(gone).map_or(&new.workspace.clause, |canary| &canary.clause)
}

/// The clause of the first limit that is another.
fn limit<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let lacks = |limits: &Limits, (name, limit): &(crate::limits::Name, &Limit)| {
        let same = |other: &Limit| other.value == limit.value && other.hold == limit.hold;
        !limits.each().any(|(other, found)| other == *name && same(found))
    };
    let added = new.limits.each().find(|row| lacks(&old.limits, row));
    let gone = || old.limits.each().find(|row| lacks(&new.limits, row));
    added.or_else(gone).map_or(&new.workspace.clause, |(_, limit)| &limit.clause)
}

/// The clause of the first credential that only one of them has as it is.
fn credential<'p>(old: &'p Policy, new: &'p Policy) -> &'p Clause {
    let lacks = |policy: &Policy, one: &Credential| !policy.credentials.contains(one);
    let added = new.credentials.iter().find(|one| lacks(old, one));
    let gone = || old.credentials.iter().find(|one| lacks(new, one));
    added.or_else(gone).map_or(&new.workspace.clause, |one| &one.clause)
}

/// The policy without clauses: where a rule stands makes no difference.
fn bare(policy: &Policy) -> Policy {
    let mut bare = policy.clone();
    let nowhere = || Clause::built_in("");
    let grants = bare.grants.iter_mut().chain([&mut bare.workspace]);
    grants.for_each(|Grant { clause, asked, .. }| (*clause, *asked) = (nowhere(), nowhere()));
    let guarded = bare.guarded.iter_mut().chain(&mut bare.concealed).chain(&mut bare.own);
    guarded.for_each(|Guarded { clause, .. }| *clause = nowhere());
    bare.rootfs.iter_mut().for_each(|rootfs| rootfs.clause = nowhere());
    bare.names.iter_mut().for_each(|rule| rule.clause = nowhere());
    bare.sockets.iter_mut().for_each(|(_, clause)| *clause = nowhere());
    bare.idle.iter_mut().for_each(|Idle { clause, .. }| *clause = nowhere());
    bare.presets.iter_mut().for_each(|Extended { clause, .. }| *clause = nowhere());
    bare.missing.iter_mut().for_each(|Missing { clause, .. }| *clause = nowhere());
    bare.seeds.iter_mut().for_each(|Seed { clause, .. }| *clause = nowhere());
    bare.environment.iter_mut().for_each(|Variable { clause, .. }| *clause = nowhere());
    bare.credentials.iter_mut().for_each(|Credential { clause, .. }| *clause = nowhere());
    let limits: Vec<_> = bare.limits.each().map(|(name, limit)| (name, limit.clone())).collect();
    for (name, limit) in limits {
        bare.limits.set(name, Limit { clause: nowhere(), ..limit });
    }
    bare
}
