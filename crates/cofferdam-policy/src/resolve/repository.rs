//! The repository around the workspace: whether its git directory is shown, and how.
//!
//! A workload of an earlier run may have written any `.git` in its own tree. So a git directory
//! elsewhere is shown only where it names this work tree itself (which Facts found out), has the
//! same owner, and is nothing that a grant could not be.

use std::path::{Path, PathBuf};

use super::Resolver;
use super::guard::Writable;
use crate::facts::{Enclosing, Ids, Kind, Seen};
use crate::model::{Clause, Grant, Mode, Origin, Repository, Shown, Variable};
use crate::view;

/// Git stops where a file system begins, and each tree of the view looks like one.
const ACROSS: &str = "GIT_DISCOVERY_ACROSS_FILESYSTEM";
/// The rule that shows it.
const CLAUSE: &str = "filesystem.git";

impl Resolver<'_> {
    /// The trees of it that are not in view yet.
    pub(super) fn repository(
        &self,
        workspace: &Grant,
        grants: &[Grant],
    ) -> (Vec<Grant>, Repository) {
        let mut repository = Repository::default();
        let (top, directory) = match &self.facts.enclosing {
            None => return (Vec::new(), repository),
            Some(Enclosing::LeftOut { at, why }) => {
                repository.left_out = Some((at.clone(), why.clone()));
                return (Vec::new(), repository);
            }
            Some(Enclosing::Found { top, directory }) => (top, directory),
        };
        let mut trees = vec![(directory.clone(), Kind::Directory, workspace.mode)];
        if *top != workspace.path {
            let dot = top.join(".git");
            if dot != *directory {
                trees.push((dot, Kind::File, Mode::ReadOnly));
            }
        }
        // What the workspace holds, or a person names, has its rule already.
        trees.retain(|(path, ..)| {
            !path.starts_with(&workspace.path) && !grants.iter().any(|grant| grant.path == *path)
        });
        if let Some(why) = self.distrusted(top, workspace, &trees) {
            repository.left_out = Some((directory.clone(), why));
            return (Vec::new(), repository);
        }
        let mut shown = Vec::new();
        for (path, _, mode) in trees {
            let Some(seen) = self.facts.seen(&path).cloned() else { continue };
            repository.shown.push(path.clone());
            let (source, clause) = (path.clone(), Clause::built_in(CLAUSE));
            let (origin, asked) = (Origin::Repository, clause.clone());
            shown.push(Grant { path, source, mode, origin, seen, clause, asked });
        }
        let whole = grants.iter().any(|grant| top.starts_with(&grant.path));
        repository.above = (*top != workspace.path && !whole).then(|| top.clone());
        (shown, repository)
    }

    /// Why it is not shown, if so.
    fn distrusted(
        &self,
        top: &Path,
        workspace: &Grant,
        trees: &[(PathBuf, Kind, Mode)],
    ) -> Option<String> {
        let owner = match self.facts.person.ids {
            Ids::Caller { uid, .. } | Ids::Owner { uid, .. } => uid,
            // On disk its files are root's.
            Ids::StandIn { .. } => self.facts.person.caller_uid,
        };
        let wrong = |path: &Path, seen: &Seen| {
            let other = seen.uid != owner;
            other.then(|| format!("{} belongs to user {}, not {owner}", path.display(), seen.uid))
        };
        if *top != workspace.path {
            if let Some(why) = self.too_wide(top) {
                return Some(format!("{}: {why}", top.display()));
            }
            match self.facts.seen(top) {
                Some(seen) => {
                    if let Some(why) = wrong(top, seen) {
                        return Some(why);
                    }
                }
                None => return Some("its work tree cannot be looked at".into()),
            }
        }
        trees.iter().find_map(|(path, kind, mode)| {
            let Some(seen) = self.facts.seen(path) else {
                return Some("it cannot be looked at".to_owned());
            };
            if seen.kind != *kind || seen.real.is_some() {
                return Some(format!("{} is reached by a symbolic link", path.display()));
            }
            let reserved = view::RESERVED.iter().any(|place| path.starts_with(place));
            let systems = self.the_systems(path, *mode).is_some();
            if reserved || systems {
                return Some(format!("{} is the system's", path.display()));
            }
            let file = *kind == Kind::File && seen.links > 1;
            let file = file.then(|| format!("{} has more than one name", path.display()));
            let unguardable = || match (kind, mode) {
                (Kind::Directory, mode) if mode.is_written() => self.unguardable(path),
                (Kind::Directory | Kind::File | Kind::Link | Kind::Other, _) => None,
            };
            wrong(path, seen).or(file).or_else(|| self.too_wide(path)).or_else(unguardable)
        })
    }

    /// Why a guard in the git directory cannot stand. In a workspace that is a refusal; here the
    /// directory is not needed to start.
    fn unguardable(&self, directory: &Path) -> Option<String> {
        let all = self.facts.git_directories.iter().filter(|at| at.starts_with(directory));
        let names = all.flat_map(|at| view::GIT_NAMES.iter().map(|name| at.join(name)));
        names.into_iter().find_map(|path| {
            let shown = path.display();
            if let Some(why) = self.facts.unseen.get(&path) {
                return Some(format!("cannot look at {shown}: {why}"));
            }
            let seen = self.facts.seen(&path)?;
            let below = self.facts.paths.range(path.clone()..);
            let below = below.take_while(|(inner, _)| inner.starts_with(&path));
            let two = |(_, seen): (&PathBuf, &Option<Seen>)| {
                seen.as_ref().is_some_and(|seen| seen.kind == Kind::File && seen.links > 1)
            };
            match seen.kind {
                Kind::Link => Some(format!("{shown} is a symbolic link")),
                Kind::Other => Some(format!("{shown} is no regular file")),
                Kind::File | Kind::Directory => {
                    below.into_iter().any(two).then(|| format!("{shown} has another name"))
                }
            }
        })
    }

    /// What could be made in the shown git directory and would lead git elsewhere.
    pub(super) fn unguarded_in(
        &self,
        repository: &Repository,
        trees: &Writable<'_>,
    ) -> Vec<PathBuf> {
        let shown = repository.shown.iter().filter(|path| trees.holding(path).is_some());
        let names = shown.flat_map(|path| view::GIT_NAMES.iter().map(|name| path.join(name)));
        // `gitdir` means something in a worktree's directory alone.
        let absent = |path: &PathBuf| !path.ends_with("gitdir") && self.facts.seen(path).is_none();
        names.filter(absent).collect()
    }
}

impl Repository {
    /// What git must be told to find it.
    pub(super) fn variables(&self, environment: &mut Vec<Variable>) {
        let set = environment.iter().any(|variable| variable.name == ACROSS);
        if self.shown.is_empty() || set {
            return;
        }
        environment.push(Variable {
            name: ACROSS.into(),
            value: "1".into(),
            shown: Shown::Value,
            clause: Clause::built_in(CLAUSE),
        });
    }
}
