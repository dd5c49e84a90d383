//! Rows about names that a person hides or protects, the repository around the workspace, and the
//! home.

use cofferdam_policy::model::{Clause, Policy};

use super::{Coverage, Extent, row};

/// One row a name, and one for the repository.
pub(super) fn rows(policy: &Policy) -> Vec<Coverage> {
    let mut rows = Vec::new();
    for name in &policy.concealed {
        rows.push(row(
            &name.clause,
            &format!("{} is hidden", name.path.display()),
            &["a mount over it, watched; ancestors bound in a writable tree"],
            Extent::Partly {
                open: "that the name exists shows; when the host replaces it, its content is open \
                       until the workload is killed; other names of it (a hard link of a file in a \
                       hidden directory, a bind mount) are not hidden"
                    .into(),
            },
        ));
    }
    for kept in policy.guarded.iter().filter(|kept| kept.clause.file != "built-in") {
        rows.push(row(
            &kept.clause,
            &format!("{} stays as it is", kept.path.display()),
            &["a read-only mount, ancestors bound", "mountinfo watched: a fall kills"],
            Extent::Partly {
                open: "when the host replaces it, the name is open until the workload is killed; \
                       a file in a protected directory may have another name (a hard link)"
                    .into(),
            },
        ));
    }
    for idle in &policy.idle {
        let says = format!("{} is {}", idle.path.display(), idle.why);
        rows.push(row(&idle.clause, &says, &["mount view"], Extent::Enforced));
    }
    rows.extend(repository(policy));
    rows
}

fn repository(policy: &Policy) -> Vec<Coverage> {
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
        &format!("the workspace's repository is in view: {}", shown.join("; ")),
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
            &format!("the home is private and kept for this workspace: {}", kept.source.display()),
            &["mount view", "Landlock"],
            Extent::Partly {
                open: "what one run leaves in it, the next one in this workspace finds".into(),
            },
        ),
    }
}
