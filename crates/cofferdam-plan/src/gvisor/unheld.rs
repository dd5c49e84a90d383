//! What nobody holds with an application kernel in the jail: what is the broker's natively, where neither a
//! mount nor the layer in memory does it.

use std::path::Path;

use cofferdam_policy::credentials::first_login;
use cofferdam_policy::judge::names::{Hold, NameRule};
use cofferdam_policy::model::{Grant, Mode, Policy};

use super::{Cannot, is_ephemeral, is_old};
use crate::plan::Argument;
use crate::refusal::Refusal;
use crate::runsc::Build;

/// Refuses a policy that has a clause which is held by nobody here.
pub(super) fn check(policy: &Policy, build: &Build, command: &[Argument]) -> Result<(), Refusal> {
    let mut unheld: Vec<String> = Vec::new();
    let mut add = |what: String| {
        if !unheld.contains(&what) {
            unheld.push(what);
        }
    };
    for rules in grouped(policy.names.iter().filter(|rule| !is_held(policy, rule))) {
        add(says(&rules));
    }
    let trees = policy.grants.iter().chain([&policy.workspace]);
    for tree in trees.filter(|tree| keeps(tree) && !is_layered(policy, &tree.path)) {
        let (path, mode) = (tree.path.display(), tree.mode.as_str());
        add(format!("{}: {path} is {mode}", tree.clause));
    }
    for (path, clause) in &policy.sockets {
        add(format!("{clause}: the socket {} may be connected to", path.display()));
    }
    if let Some(login) = first_login(&policy.credentials) {
        add(format!("{}: an agent of ssh is a socket of the host's", login.clause));
    }
    if policy.kept_home.is_some() && is_ephemeral(policy) {
        add(format!("{}: a kept home outlives the run", policy.home_clause));
    }
    if is_ephemeral(policy) && is_old(build) {
        add(format!(
            "oversight `tenant` puts a layer above the workspace, which runsc {} does not do without \
             privileges (builds from 2023 on do)",
            build.version.name
        ));
    }
    // What is mounted there for the application kernel covers the layer.
    let workspace = &policy.workspace.path;
    let mut around = policy.grants.iter().filter(|tree| workspace.starts_with(&tree.path));
    if let Some(tree) = around.next().filter(|_| is_ephemeral(policy)) {
        let path = tree.path.display();
        add(format!("{}: {path} has the workspace in it, above which a layer lies", tree.clause));
    }
    if command.iter().any(|word| std::str::from_utf8(&word.0).is_err()) {
        add("the command has a word that is not UTF-8, which a bundle cannot pass on".into());
    }
    if unheld.is_empty() {
        return Ok(());
    }
    Err(Refusal::Gvisor(Cannot::Unheld { unheld, ephemeral: is_ephemeral(policy) }))
}

const fn keeps(tree: &Grant) -> bool {
    match tree.mode {
        Mode::AppendOnly | Mode::NoDelete => true,
        Mode::ReadOnly | Mode::ReadWrite => false,
    }
}

/// Whether the tree at `path` lies outside below the layer in memory, read-only.
fn is_layered(policy: &Policy, path: &Path) -> bool {
    is_ephemeral(policy) && path.starts_with(&policy.workspace.path)
}

/// Whether a mount of the jail's holds it, or that nothing of the tree changes.
fn is_held(policy: &Policy, rule: &NameRule) -> bool {
    let at = rule.pattern.concrete().map(|name| rule.top.join(name));
    match rule.hold {
        // What it shows is made by the broker, for each read.
        Hold::Mask => false,
        Hold::Hide => {
            let mut concealed = policy.concealed.iter();
            at.is_some_and(|at| concealed.any(|name| name.path == at))
        }
        Hold::Protect | Hold::ProtectEntry => {
            let mut guarded = policy.guarded.iter();
            is_layered(policy, &rule.top)
                || at.is_some_and(|at| guarded.any(|name| name.path == at))
        }
        Hold::GitConfig => is_layered(policy, &rule.top),
    }
}

/// Rules of one clause that do the same in one tree.
fn grouped<'p>(rules: impl Iterator<Item = &'p NameRule>) -> Vec<Vec<&'p NameRule>> {
    let mut groups: Vec<Vec<&NameRule>> = Vec::new();
    let key = |rule: &NameRule| (rule.clause.clone(), does(rule), rule.top.clone());
    for rule in rules {
        let same =
            |group: &&mut Vec<&NameRule>| group.first().is_some_and(|one| key(one) == key(rule));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(rule),
            None => groups.push(vec![rule]),
        }
    }
    groups
}

/// A person reads no more names at once.
const NAMES: usize = 5;

fn says(rules: &[&NameRule]) -> String {
    let Some(first) = rules.first() else { return String::new() };
    let names: Vec<&str> = rules.iter().take(NAMES).map(|rule| rule.pattern.text()).collect();
    let more = match rules.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (clause, top, names) = (&first.clause, first.top.display(), names.join(", "));
    format!("{clause} {} in {top}, there or not: {names}{more}", does(first))
}

const fn does(rule: &NameRule) -> &'static str {
    match rule.hold {
        Hold::Hide => "hides",
        Hold::Mask => "masks",
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig => "protects",
    }
}
