//! What a person hides, and the home that is kept.

use std::path::{Path, PathBuf};

use cofferdam_policy::Rules;
use cofferdam_policy::facts::Kind;
use cofferdam_policy::judge::names::Hold;
use cofferdam_policy::judge::pattern::Meets;
use cofferdam_policy::model::{Grant, Guarded, Policy, Shown, Variable};

use super::cover::broker::BROKER;
use super::cover::row;
use super::{EMPTY_DIRECTORY, EMPTY_FILE, OWN};
use crate::coverage::{Coverage, Extent};
use crate::plan::{Access, Expect, Guard, Idmap, Opening, Step};

/// May be passed, not listed: what leads to a tree that shows again below a hidden directory.
const PASSAGE: u32 = 0o111;

/// The kept home, which stands where a fresh one would be.
pub(super) fn home(policy: &Policy, stand_in: bool) -> Option<Opening> {
    let kept = policy.kept_home.as_ref()?;
    Some(Opening {
        path: kept.source.clone(),
        expect: Expect::Inode { dev: kept.seen.dev, ino: kept.seen.ino },
        access: Access::ReadWrite,
        idmap: if stand_in { Idmap::Required } else { Idmap::None },
        target: policy.home.clone(),
    })
}

/// Whether the broker writes what is at `path` itself, where it lets it change: nothing may be
/// mounted there, for the new text comes by a rename.
pub(super) fn is_settings(rules: &Rules, path: &Path) -> bool {
    let settings = rules.names().iter().filter(|rule| rule.hold == Hold::GitConfig);
    settings.into_iter().any(|rule| rule.pattern.meets(&rule.top, path) == Meets::At)
}

/// Settings of masked files that show what stands in for a credential: those named like its variables.
pub(crate) fn settings(policy: &Policy, rules: &Rules) -> Vec<Variable> {
    let masks = rules.names().iter().any(|rule| rule.hold == Hold::Mask);
    let stands_in = |variable: &&Variable| masks && variable.shown == Shown::StandIn;
    policy.environment.iter().filter(stands_in).cloned().collect()
}

/// The same, a row each.
pub(crate) fn settings_rows(settings: &[Variable]) -> impl Iterator<Item = Coverage> {
    settings.iter().map(|one| {
        let says = format!("`{}` in a masked file shows what stands in for it", one.name);
        let open = "a value of several lines is masked as every other".into();
        row(&one.clause, &says, &[BROKER], Extent::Partly { open })
    })
}

/// Trees that show again right below a hidden directory.
fn shown_in<'p>(policy: &'p Policy, name: &Guarded) -> Vec<&'p Grant> {
    let trees = || policy.grants.iter().chain([&policy.workspace]);
    let above = |tree: &Grant| {
        let holders = trees().map(|tree| &tree.path);
        let holders = holders.chain(policy.concealed.iter().map(|name| &name.path));
        let holders = holders.filter(|at| **at != tree.path && tree.path.starts_with(at));
        holders.max_by_key(|at| at.components().count())
    };
    trees().filter(|tree| above(tree) == Some(&name.path)).collect()
}

/// Our own directory that stands in for the hidden one with this index.
fn ground_of(index: usize) -> PathBuf {
    Path::new(OWN).join(format!("shown-{index}"))
}

/// Directories of our own for hidden ones in which something shows again: what is mounted there
/// needs a place.
pub(super) fn ground(policy: &Policy) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, name) in policy.concealed.iter().enumerate() {
        for tree in shown_in(policy, name) {
            let below = tree.path.strip_prefix(&name.path).unwrap_or(&tree.path);
            let mut path = ground_of(index);
            for part in below.components() {
                steps.push(Step::Directory { path: path.clone(), mode: PASSAGE });
                path.push(part);
            }
            steps.push(match tree.seen.kind {
                Kind::Directory => Step::Directory { path, mode: PASSAGE },
                Kind::File | Kind::Link | Kind::Other => {
                    Step::File { path, content: String::new().into(), mode: 0 }
                }
            });
        }
    }
    steps
}

/// The mounts over hidden names, each with its place in the order of [`super::view`].
pub(super) fn mounts(policy: &Policy) -> Vec<(PathBuf, u8, Step)> {
    let one = |(index, name): (usize, &Guarded)| {
        let from = match name.seen.kind {
            Kind::Directory if shown_in(policy, name).is_empty() => EMPTY_DIRECTORY.into(),
            Kind::Directory => ground_of(index),
            Kind::File | Kind::Other | Kind::Link => EMPTY_FILE.into(),
        };
        let (at, access) = (name.path.clone(), Access::ReadOnly);
        // The broker answers that there is no such name: this is what chdir and exec still meet.
        let step = Step::Bind { from, at, expect: None, access, guard: Guard::Note };
        (name.path.clone(), 4, step)
    };
    policy.concealed.iter().enumerate().map(one).collect()
}
