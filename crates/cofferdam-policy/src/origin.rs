//! Whose each rule of a policy is: every clause with its layer.

use crate::document::Document;
use crate::judge::names::NameRule;
use crate::layers::Layer;
use crate::model::{
    Clause, Danger, Extended, Grant, Guarded, Idle, Missing, Policy, Seed, Variable,
};
use crate::network::Network;
use crate::output::Output;
use crate::promise::BestEffort;

/// Every clause of `policy` once, by layer, the highest first, then by file and line.
#[must_use]
pub fn origins(policy: &Policy, document: &Document) -> Vec<(Layer, Clause)> {
    let mut rows: Vec<(Layer, Clause)> = clauses(policy)
        .into_iter()
        .chain(ceiling(document))
        .map(|clause| (document.layer_of(clause), clause.clone()))
        .collect();
    let key = |(layer, clause): &(Layer, Clause)| {
        (*layer, clause.file.clone(), clause.line, clause.name.clone())
    };
    rows.sort_by_key(key);
    rows.dedup();
    rows
}

/// A field that is added to the policy is listed or does not compile.
fn clauses(policy: &Policy) -> Vec<&Clause> {
    let Policy {
        isolation: _,
        isolation_clause,
        oversight: _,
        jail: _,
        jail_clause,
        rootfs,
        best_effort,
        workspace,
        grants,
        guarded,
        // Of the built-in list, which has one clause.
        unguarded: _,
        names,
        sockets,
        // Names that nobody wrote.
        led_away: _,
        concealed,
        idle,
        own,
        hidden: _,
        etc: _,
        replaced: _,
        authorities: _,
        root_links: _,
        left_out: _,
        presets,
        missing,
        seeds,
        repository: _,
        home: _,
        kept_home: _,
        home_clause,
        person: _,
        cwd: _,
        environment,
        withheld: _,
        network,
        network_clause,
        limits,
        credentials,
        output,
        canaries,
        dangers,
    } = policy;
    let mut all =
        vec![isolation_clause, jail_clause, &workspace.clause, home_clause, network_clause];
    all.extend(rootfs.iter().map(|rootfs| &rootfs.clause));
    all.extend(best_effort.iter().map(|BestEffort { clause, .. }| clause));
    all.extend(grants.iter().map(|Grant { clause, .. }| clause));
    all.extend(guarded.iter().chain(concealed).chain(own).map(|Guarded { clause, .. }| clause));
    all.extend(names.iter().map(|NameRule { clause, .. }| clause));
    all.extend(sockets.iter().map(|(_, clause)| clause));
    all.extend(idle.iter().map(|Idle { clause, .. }| clause));
    all.extend(presets.iter().map(|Extended { clause, .. }| clause));
    all.extend(missing.iter().map(|Missing { clause, .. }| clause));
    all.extend(seeds.iter().map(|Seed { clause, .. }| clause));
    all.extend(environment.iter().map(|Variable { clause, .. }| clause));
    all.extend(limits.each().map(|(_, limit)| &limit.clause));
    all.extend(credentials.iter().map(|credential| &credential.clause));
    let Output { escapes: _, escapes_clause, redaction: _, redaction_clause, most } = output;
    all.extend([escapes_clause, redaction_clause]);
    all.extend(most.iter().map(|most| &most.clause));
    all.extend(canaries.iter().map(|canary| &canary.clause));
    all.extend(dangers.iter().map(|Danger { clause, .. }| clause));
    all.extend(of_network(network));
    all
}

fn of_network(network: &Network) -> Vec<&Clause> {
    let Network { rules, upstream_proxy, publish, trust_ca, approve } = network;
    let mut all = vec![&rules.base];
    all.extend(rules.allow.iter().map(|rule| &rule.clause));
    all.extend(rules.deny.iter().map(|rule| &rule.clause));
    all.extend(upstream_proxy.iter().map(|proxy| &proxy.clause));
    all.extend(publish.iter().map(|published| &published.clause));
    all.extend(trust_ca.iter().map(|file| &file.clause));
    all.extend(approve);
    all
}

/// What `[managed]` says, which is in no policy: it is held, and then gone.
fn ceiling(document: &Document) -> Vec<&Clause> {
    let managed = &document.managed;
    let mut all: Vec<&Clause> = managed.only.iter().map(|only| &only.clause).collect();
    if let Some((mounts, clause)) = &managed.mounts {
        all.extend(mounts.iter().map(|mount| &mount.clause));
        all.push(clause);
    }
    all.extend(&managed.no_dangers);
    all.extend(managed.audit.iter().map(|audit| &audit.clause));
    all
}
