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
    for rule in policy.names.iter().filter(|rule| !is_held(policy, rule)) {
        add(says(rule));
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

fn says(rule: &NameRule) -> String {
    let does = match rule.hold {
        Hold::Hide => "hides",
        Hold::Mask => "masks",
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig => "protects",
    };
    let (name, top) = (rule.pattern.text(), rule.top.display());
    format!("{} {does} {name} in {top}, there or not", rule.clause)
}
