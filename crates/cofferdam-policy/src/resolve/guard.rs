//! What stays as it is inside writable trees: protected names, our own programs, the policy.

use std::path::{Component, Path, PathBuf};

use super::{Resolver, steps_down};
use crate::error::{Fault, PolicyError};
use crate::facts::{Kind, Seen};
use crate::model::{Clause, Grant, Guarded, LeftOut, Origin, conceals};
use crate::view;

/// The trees of the view, to ask which may be written.
pub(super) struct Writable<'g>(Vec<&'g Grant>);

impl<'g> Writable<'g> {
    pub(super) fn of(grants: &'g [Grant], workspace: &'g Grant) -> Self {
        Self(grants.iter().chain([workspace]).collect())
    }

    /// Directories that may be written and in which people and their tools work. What runs in a
    /// git directory has names of its own: [`view::GIT_NAMES`].
    pub(super) fn tops(&self) -> impl Iterator<Item = &'g Path> {
        let writable = self.0.iter().filter(|tree| {
            tree.mode.is_written()
                && tree.seen.kind == Kind::Directory
                && tree.origin != Origin::Repository
        });
        writable.map(|tree| tree.path.as_path())
    }

    /// Whether a tree of the view lies in `top`, or `top` in one.
    pub(super) fn bear_on(&self, top: &Path) -> bool {
        self.0.iter().any(|tree| top.starts_with(&tree.path) || tree.path.starts_with(top))
    }

    /// The innermost tree that holds `path`.
    pub(super) fn innermost(&self, path: &Path) -> Option<&'g Grant> {
        let holding = self.0.iter().filter(|tree| path.starts_with(&tree.path));
        holding.max_by_key(|tree| tree.path.components().count()).copied()
    }

    /// The innermost tree that holds `path`, if it may be written.
    pub(super) fn holding(&self, path: &Path) -> Option<&'g Path> {
        let inner = self.innermost(path)?;
        inner.mode.is_written().then_some(inner.path.as_path())
    }

    /// Where else a thing of the host's stands inside: a system's tree that a link leads to is shown
    /// at the link's name.
    pub(super) fn other_names(&self, path: &Path) -> Vec<PathBuf> {
        let trees = self.0.iter().filter(|tree| tree.source != tree.path);
        let below = |tree: &&Grant| {
            let below = path.strip_prefix(&tree.source).ok()?;
            Some(tree.path.components().chain(below.components()).collect())
        };
        trees.filter_map(below).collect()
    }

    /// Whether `path` lies behind one of the hidden names.
    pub(super) fn conceal(&self, concealed: &[Guarded], path: &Path) -> bool {
        let hides = concealed.iter().map(|name| name.path.as_path());
        conceals(hides, self.0.iter().map(|tree| tree.path.as_path()), path)
    }
}

impl Resolver<'_> {
    /// The protected names of every writable tree: those that exist, and those that do not.
    pub(super) fn guarded(
        &self,
        trees: &Writable<'_>,
    ) -> Result<(Vec<Guarded>, Vec<PathBuf>), PolicyError> {
        let (mut guarded, mut absent) = (Vec::new(), Vec::new());
        for top in trees.tops() {
            for name in view::PROTECTED {
                let steps = steps_down(top, Path::new(name));
                match self.guard(&steps, &Clause::built_in("filesystem.protect"))? {
                    Some(kept) if guarded.contains(&kept) => {}
                    Some(kept) => guarded.push(kept),
                    None => absent.extend(steps.into_iter().next_back()),
                }
            }
        }
        for directory in &self.facts.git_directories {
            let Some(top) = trees.holding(directory) else { continue };
            let below = directory.strip_prefix(top).unwrap_or(directory);
            for name in view::GIT_NAMES {
                let steps = steps_down(top, &below.join(name));
                let kept = self.guard(&steps, &Clause::built_in("filesystem.protect"))?;
                let kept = kept.filter(|kept| !guarded.contains(kept));
                guarded.extend(kept);
            }
        }
        Ok((guarded, absent))
    }

    /// What was seen at a path whose guard depends on it; not to know is a refusal.
    pub(super) fn certain(&self, path: &Path) -> Result<Option<&Seen>, PolicyError> {
        match self.facts.unseen.get(path) {
            Some(why) => {
                let (path, why) = (path.to_owned(), why.clone());
                Err(PolicyError::plain(Fault::CannotLook { path, why }))
            }
            None => Ok(self.facts.seen(path)),
        }
    }

    /// Guards the last of `steps` if all of them exist. A file among the outer ones (`.git` in a
    /// worktree) is guarded itself: it says where the real directory is.
    pub(super) fn guard(
        &self,
        steps: &[PathBuf],
        clause: &Clause,
    ) -> Result<Option<Guarded>, PolicyError> {
        let mut ancestors = Vec::new();
        for (index, path) in steps.iter().enumerate() {
            let Some(seen) = self.certain(path)? else { return Ok(None) };
            let path = path.clone();
            let last = index + 1 == steps.len();
            match seen.kind {
                Kind::Link => {
                    let real = seen.real.clone();
                    return Err(PolicyError::plain(Fault::GuardedLink { path, real }));
                }
                Kind::Other => return Err(PolicyError::plain(Fault::NotRegular { path })),
                Kind::File if seen.links > 1 => {
                    let links = seen.links;
                    return Err(PolicyError::plain(Fault::GuardedHardLink { path, links }));
                }
                Kind::Directory if !last => ancestors.push((path, seen.clone())),
                Kind::File | Kind::Directory => {
                    let (seen, clause) = (seen.clone(), clause.clone());
                    return Ok(Some(Guarded { path, seen, ancestors, clause }));
                }
            }
        }
        Ok(None)
    }

    /// Hooks that lead out of their guarded directory into what may be written. A second name of one
    /// is a refusal, as for a guarded file.
    pub(super) fn led_away(
        &self,
        guarded: &[Guarded],
        trees: &Writable<'_>,
    ) -> Result<Vec<LeftOut>, PolicyError> {
        let mut led = Vec::new();
        for kept in guarded.iter().filter(|kept| kept.seen.kind == Kind::Directory) {
            let below = self.facts.paths.range(kept.path.clone()..);
            let below = below.take_while(|(path, _)| path.starts_with(&kept.path));
            for (path, seen) in below.filter(|(path, _)| path.parent() == Some(&kept.path)) {
                let Some(seen) = seen else { continue };
                if seen.kind == Kind::File && seen.links > 1 {
                    let (path, links) = (path.clone(), seen.links);
                    return Err(PolicyError::plain(Fault::GuardedHardLink { path, links }));
                }
                if seen.kind != Kind::Link {
                    continue;
                }
                // Also what it says itself: a link to what is not there yet, or to another link.
                let next = seen.link.as_ref().map(|link| lexical(&kept.path.join(link)));
                let mut ways = seen.real.iter().chain(&next);
                if let Some(real) = ways.find(|way| trees.holding(way).is_some()) {
                    led.push(LeftOut { path: path.clone(), real: real.clone() });
                }
            }
        }
        Ok(led)
    }

    /// Our own programs and the policy, where they lie below a writable tree. Programs may have more
    /// than one link (cargo makes them so): while they run the kernel refuses to write them
    /// (`ETXTBSY`).
    pub(super) fn own_files(&self, trees: &Writable<'_>) -> Result<Vec<Guarded>, PolicyError> {
        let clause = Clause::built_in("filesystem.own-files");
        let mut own = Vec::new();
        let mut paths: Vec<&PathBuf> = self.facts.own_programs.iter().collect();
        for path in &self.facts.policy_files {
            let Some(seen) = self.certain(path)? else { continue };
            // Anywhere: its other name may lie in a writable tree.
            if seen.kind == Kind::File && seen.links > 1 {
                let (path, links) = (path.clone(), seen.links);
                return Err(PolicyError::plain(Fault::GuardedHardLink { path, links }));
            }
            if seen.kind == Kind::Link && trees.holding(path).is_some() {
                let (path, real) = (path.clone(), seen.real.clone());
                return Err(PolicyError::plain(Fault::GuardedLink { path, real }));
            }
            if seen.kind == Kind::File {
                paths.push(path);
            }
        }
        for path in paths {
            let Some(top) = trees.holding(path) else { continue };
            let below = path.strip_prefix(top).unwrap_or(path);
            let steps = steps_down(top, below);
            let Some((last, outer)) = steps.split_last() else { continue };
            let there = |path: &PathBuf| -> Result<(PathBuf, Seen), PolicyError> {
                let gone = || Fault::NotFound { path: path.clone(), clause: clause.clone() };
                let seen = self.certain(path)?.ok_or_else(|| PolicyError::plain(gone()))?;
                Ok((path.clone(), seen.clone()))
            };
            let ancestors = outer.iter().map(there).collect::<Result<Vec<_>, _>>()?;
            let (path, seen) = there(last)?;
            own.push(Guarded { path, seen, ancestors, clause: clause.clone() });
        }
        Ok(own)
    }
}

/// `path` without `.` and `..`, as written: for a link whose target need not exist.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            Component::RootDir | Component::Normal(_) | Component::Prefix(_) => out.push(part),
        }
    }
    out
}
