//! A Policy as a person reads it: every rule with the place it comes from.

mod requests;

use std::fmt::Write;
use std::path::Path;

use crate::judge::hosts::Pattern;
use crate::judge::names;
use crate::limits::Hold;
use crate::line::in_line;
use crate::model::{Jail, Oversight, Policy, Rootfs};
use crate::network::Network;
use crate::output::{Most, Output, Redaction};
use crate::promise::BestEffort;
pub use requests::{asked, denied};

/// The policy in plain text, one rule a line, each with its clause.
#[must_use]
pub fn text(policy: &Policy) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write_text(&mut out, policy).unwrap_or(());
    out
}

fn write_text(out: &mut String, policy: &Policy) -> std::fmt::Result {
    jail(out, policy)?;
    for preset in &policy.presets {
        writeln!(out, "preset      {}   {}", preset.name, preset.clause)?;
    }
    dangers(out, policy)?;
    writeln!(out, "\nfilesystem")?;
    trees(out, policy)?;
    for left in &policy.left_out {
        let (path, real) = (in_line(left.path.display()), in_line(left.real.display()));
        writeln!(out, "  left out    toolchain  {path}, which leads to {real}")?;
    }
    for kept in policy.guarded.iter().chain(&policy.own) {
        writeln!(
            out,
            "  protected   exists     {}   {}",
            in_line(kept.path.display()),
            kept.clause
        )?;
    }
    for name in &policy.concealed {
        writeln!(
            out,
            "  hidden      exists     {}   {}",
            in_line(name.path.display()),
            name.clause
        )?;
    }
    names(out, policy)?;
    for path in &policy.unguarded {
        writeln!(out, "  protected   absent     {}", in_line(path.display()))?;
    }
    for (path, clause) in &policy.sockets {
        writeln!(out, "  socket      open       {}   {clause}", in_line(path.display()))?;
    }
    let home = policy.home.display();
    match &policy.kept_home {
        None => writeln!(out, "  private     home       {home}   {}", policy.home_clause)?,
        Some(kept) => {
            let (source, clause) = (in_line(kept.source.display()), &policy.home_clause);
            writeln!(out, "  kept        home       {home}, from {source}   {clause}")?;
        }
    }
    seeds(out, policy)?;
    writeln!(out, "\nenvironment")?;
    for variable in &policy.environment {
        let (name, value) = (&variable.name, variable.shown_value());
        writeln!(out, "  {name}={value}   {}", variable.clause)?;
    }
    writeln!(out, "  withheld: {} variables of the caller", policy.withheld.len())?;
    for credential in &policy.credentials {
        let (name, source) = (&credential.name, credential.source.shown());
        let how = credential.inject.shown();
        writeln!(out, "  credential {name}: from {source}, {how}   {}", credential.clause)?;
    }
    writeln!(out, "\nlimits")?;
    for (name, limit) in policy.limits.each() {
        let (key, value) = (name.as_str(), name.shown(limit.value));
        let hold = if limit.hold == Hold::BestEffort { ", best-effort" } else { "" };
        writeln!(out, "  {key} = {value}{hold}   {}", limit.clause)?;
    }
    writeln!(out, "  memory and private places, where none is named: a share of the machine's")?;
    output(out, policy)?;
    write_network(out, policy)
}

fn jail(out: &mut String, policy: &Policy) -> std::fmt::Result {
    let isolation = policy.isolation.as_str();
    writeln!(out, "isolation   {isolation}   {}", policy.isolation_clause)?;
    if policy.oversight != Oversight::Developer {
        writeln!(out, "oversight   {}", policy.oversight.as_str())?;
    }
    writeln!(out, "jail        {}   {}", policy.jail.as_str(), policy.jail_clause)?;
    if let Some(Rootfs { path, digest, left_out, clause }) = &policy.rootfs {
        let digest = digest.as_ref().map(|digest| format!(", image {digest}")).unwrap_or_default();
        writeln!(out, "rootfs      {}{digest}   {clause}", in_line(path.display()))?;
        for (path, why) in left_out {
            writeln!(out, "  left out  {}: {}", in_line(path.display()), in_line(why))?;
        }
    }
    for BestEffort { promise, clause } in &policy.best_effort {
        let held = match policy.jail {
            Jail::Landlock => "",
            Jail::Auto | Jail::Native | Jail::Bubblewrap | Jail::Seatbelt => ", held by this jail",
        };
        writeln!(out, "best-effort {}{held}   {clause}", promise.as_str())?;
    }
    Ok(())
}

fn output(out: &mut String, policy: &Policy) -> std::fmt::Result {
    let Output { escapes, escapes_clause, redaction, redaction_clause, most } = &policy.output;
    writeln!(out, "\noutput")?;
    writeln!(out, "  escape_sequences = {}   {escapes_clause}", escapes.as_str())?;
    let redact = *redaction == Redaction::On;
    writeln!(out, "  redact = {redact}   {redaction_clause}")?;
    if let Some(Most { bytes, clause }) = most {
        writeln!(out, "  max_bytes = {bytes}   {clause}")?;
    }
    for canary in &policy.canaries {
        writeln!(out, "  canary      {}   {}", canary.name, canary.clause)?;
    }
    Ok(())
}

/// Names that stand in no list of what exists: patterns, masked names, and what a person names and
/// is not there yet.
fn names(out: &mut String, policy: &Policy) -> std::fmt::Result {
    let lists = [&policy.guarded, &policy.own, &policy.concealed];
    let listed = |path: &Path| lists.iter().any(|list| list.iter().any(|kept| kept.path == path));
    for rule in &policy.names {
        let path = rule.top.join(rule.pattern.text());
        let ours = rule.clause.file == "built-in" && !rule.pattern.is_wild();
        if ours || listed(&path) {
            continue;
        }
        let hold = match rule.hold {
            names::Hold::Protect | names::Hold::ProtectEntry | names::Hold::GitConfig => {
                "protected"
            }
            names::Hold::Hide => "hidden",
            names::Hold::Mask => "masked",
        };
        let what = if rule.pattern.is_wild() { "pattern" } else { "by name" };
        writeln!(out, "  {hold:<10}  {what:<9}  {}   {}", in_line(path.display()), rule.clause)?;
    }
    Ok(())
}

fn write_network(out: &mut String, policy: &Policy) -> std::fmt::Result {
    let Network { rules, upstream_proxy, publish, trust_ca, approve } = &policy.network;
    if policy.network.is_closed() {
        writeln!(out, "\nnetwork     none   {}", policy.network_clause)?;
    } else {
        writeln!(out, "\nnetwork")?;
    }
    for rule in &rules.allow {
        let (to, spoken) = (place(&rule.pattern, &rule.ports), rule.protocol.as_str());
        let dial = rule.dial.map(|dial| format!(", dialled at {dial}")).unwrap_or_default();
        let asks: String = asked(rule, usize::MAX).iter().map(|asks| format!(", {asks}")).collect();
        writeln!(out, "  allow       {spoken:<9}  {to}{dial}{asks}   {}", rule.clause)?;
    }
    for rule in &rules.deny {
        let (to, asks) = (place(&rule.pattern, &rule.ports), denied(rule, usize::MAX));
        let asks: String = asks.iter().map(|asks| format!(", {asks}")).collect();
        let when = if rule.is_inner() { "requests" } else { "always" };
        writeln!(out, "  deny        {when:<9}  {to}{asks}   {}", rule.clause)?;
    }
    if let Some(proxy) = upstream_proxy {
        let (speaks, host, port) = (proxy.speaks.as_str(), &proxy.host, proxy.port);
        writeln!(out, "  upstream    {speaks:<9}  {host}:{port}   {}", proxy.clause)?;
    }
    for trusted in trust_ca {
        let path = in_line(trusted.path.display());
        writeln!(out, "  trust       authority  {path}   {}", trusted.clause)?;
    }
    if let Some(clause) = approve {
        writeln!(out, "  ask         outside    what no rule allows   {clause}")?;
    }
    for published in publish {
        let (inside, outside) = (published.inside, published.outside);
        writeln!(out, "  publish     tcp        {outside}, port {inside}   {}", published.clause)?;
    }
    Ok(())
}

/// Hosts and ports of a rule; an IPv6 address before a port is in brackets.
fn place(pattern: &Pattern, ports: &[u16]) -> String {
    let host = match pattern {
        Pattern::Net(net) if net.address().is_ipv6() => format!("[{net}]"),
        Pattern::Net(_) | Pattern::Exact(_) | Pattern::Below(_) | Pattern::AnyName => {
            pattern.to_string()
        }
    };
    if ports.is_empty() {
        return format!("{host}, every port");
    }
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    format!("{host}:{}", ports.join(","))
}

/// What the person has opened although it is dangerous: a row each.
///
/// # Errors
/// Those of `out`.
pub fn dangers(out: &mut impl Write, policy: &Policy) -> std::fmt::Result {
    for danger in &policy.dangers {
        writeln!(out, "dangerous   {}   {}", in_line(&danger.what), danger.clause)?;
    }
    Ok(())
}

/// The trees of the view, the workspace first, and the grants that are left out: a row each.
///
/// # Errors
/// Those of `out`.
pub fn trees(out: &mut impl Write, policy: &Policy) -> std::fmt::Result {
    for grant in [&policy.workspace].into_iter().chain(&policy.grants) {
        let why = grant.origin.as_str();
        let (mode, path) = (grant.mode.as_str(), in_line(grant.path.display()));
        writeln!(out, "  {mode:<10}  {why:<9}  {path}   {}", grant.clause)?;
    }
    for gone in &policy.missing {
        let path = in_line(gone.path.display());
        writeln!(out, "  left out    optional   {path}, which {}   {}", gone.why, gone.clause)?;
    }
    Ok(())
}

/// The files that the private home begins with: a row each.
///
/// # Errors
/// Those of `out`.
pub fn seeds(out: &mut impl Write, policy: &Policy) -> std::fmt::Result {
    for seed in &policy.seeds {
        let path = in_line(seed.path.display());
        writeln!(out, "  private     made       {path}   {}", seed.clause)?;
    }
    Ok(())
}
