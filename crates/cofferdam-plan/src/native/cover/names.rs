//! Rows about names that are there and have a mount of ours over them, the repository around the
//! workspace, and the home.

use std::path::Path;

use cofferdam_policy::Rules;
use cofferdam_policy::model::{Clause, Policy};

use super::broker::{BROKER, LISTED};
use super::{Coverage, Extent, row};

/// Paths over which something of ours is mounted.
pub(super) fn covered<'p>(policy: &'p Policy, rules: &Rules) -> Vec<&'p Path> {
    let kept = policy.guarded.iter().chain(&policy.own);
    let kept = kept.filter(|kept| !super::super::names::is_settings(rules, &kept.path));
    kept.chain(&policy.concealed).map(|name| name.path.as_path()).collect()
}

/// Our own programs and the policy.
pub(super) fn own(policy: &Policy) -> Option<Coverage> {
    let own: Vec<String> =
        policy.own.iter().map(|kept| inside(policy, &kept.path).display().to_string()).collect();
    (!own.is_empty()).then(|| {
        row(
            &Clause::built_in("filesystem.own-files"),
            format!("own programs and the policy stay: {}", own.join(", ")),
            &[BROKER, "read-only mounts", "ETXTBSY while programs run"],
            Extent::Partly { open: "another hard link to a program, when it does not run".into() },
        )
    })
}

/// As seen from the workspace.
fn inside<'p>(policy: &Policy, path: &'p Path) -> &'p Path {
    path.strip_prefix(&policy.workspace.path).unwrap_or(path)
}

/// What git makes of what stays as it is.
pub(super) fn git(policy: &Policy) -> Option<Coverage> {
    let of_git = ["hooks", "config", ".git", "commondir"];
    let guarded = |name: &&str| policy.guarded.iter().any(|kept| kept.path.ends_with(name));
    of_git.iter().any(guarded).then(|| {
        row(
            &Clause::built_in("filesystem.protect"),
            "git runs what these hooks and this configuration say",
            &[BROKER],
            Extent::Partly { open: led_elsewhere(policy) },
        )
    })
}

/// How git can be led past a guard that stands.
fn led_elsewhere(policy: &Policy) -> String {
    let mut open =
        "a nested repository or submodule, `core.hooksPath`, `include.path`, a hook that \
                    calls a script, or a `.git` that lost its HEAD lead git to files that may be \
                    written: look at what changed before you run git outside"
            .to_owned();
    for led in &policy.led_away {
        let (path, real) = (led.path.display(), led.real.display());
        open += &format!("; {path} is a link to {real}, which may be changed");
    }
    open
}

/// One row a hidden name that is there, and one a name that needs no wall.
pub(super) fn rows(policy: &Policy) -> Vec<Coverage> {
    let mut rows = Vec::new();
    for name in &policy.concealed {
        let says = format!("{} is hidden: open and stat find nothing", name.path.display());
        let mechanisms = [BROKER, "a mount over it, ancestors bound in a writable tree"];
        let open = format!(
            "{LISTED}; other names of it (a hard link of a file in a hidden directory, a bind mount) \
             are not hidden"
        );
        rows.push(row(&name.clause, &says, &mechanisms, Extent::Partly { open }));
    }
    for idle in &policy.idle {
        let says = format!("{} is {}", idle.path.display(), idle.why);
        rows.push(row(&idle.clause, &says, &["mount view"], Extent::Enforced));
    }
    rows
}

/// The repository around the workspace.
pub(super) fn repository(policy: &Policy) -> Vec<Coverage> {
    let clause = Clause::built_in("filesystem.git");
    let mut rows = Vec::new();
    let repository = &policy.repository;
    if let Some((at, why)) = &repository.left_out {
        let says = format!("the repository {} is left out: {why}", at.display());
        rows.push(row(&clause, &says, &["mount view"], Extent::Enforced));
    }
    if repository.shown.is_empty() {
        return rows;
    }
    let shown = policy.grants.iter().filter(|grant| repository.shown.contains(&grant.path));
    let shown: Vec<String> =
        shown.map(|grant| format!("{}, {}", grant.path.display(), grant.mode.as_str())).collect();
    let mut open = "its branches, stash and other work trees' indexes are as open as the \
                    workspace's, and other work trees look removed to `git worktree prune`"
        .to_owned();
    if let Some(top) = &repository.above {
        let top = top.display();
        open += &format!(
            "; the rest of {top} is absent, so git shows it as deleted: name what you commit, or \
             --grant {top}:ro"
        );
    }
    rows.push(row(
        &clause,
        format!("the workspace's repository is in view: {}", shown.join("; ")),
        &["it names this work tree itself and has its owner", "guards as in a workspace's .git"],
        Extent::Partly { open },
    ));
    rows
}

/// The row of the home.
pub(super) fn home(policy: &Policy) -> Coverage {
    match &policy.kept_home {
        None => row(
            &policy.home_clause,
            "the home is private and fresh",
            &["mount view", "Landlock"],
            Extent::Enforced,
        ),
        Some(kept) => row(
            &policy.home_clause,
            format!("the home is private and kept for this workspace: {}", kept.source.display()),
            &["mount view", "Landlock"],
            Extent::Partly {
                open: "what one run leaves in it, the next one in this workspace finds".into(),
            },
        ),
    }
}
