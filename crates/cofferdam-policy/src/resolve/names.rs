//! Names that a person hides or protects: what holds them, and which of two rules wins.
//!
//! A protected name beats every grant: what is at or below it stays as it is. Among hidden names
//! and trees the innermost wins, so a grant below a hidden directory shows again; at equal paths
//! the hidden name does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::guard::Writable;
use super::{Resolver, absolute, hidden, hold, replaced, steps_down, workspace_path};
use crate::document::{Document, Located};
use crate::error::{Fault, PolicyError};
use crate::facts::{Kind, Seen};
use crate::judge::names::NameRule;
use crate::model::{Clause, Grant, Guarded, Home, Idle, Kept, LeftOut, Mode, Replaced, Repository};
use crate::read::is_pattern;
use crate::view;

/// A name of the policy, made absolute and looked at.
struct Name {
    path: PathBuf,
    seen: Seen,
    clause: Clause,
}

/// All of them.
pub(super) struct Named {
    hide: Vec<Name>,
    protect: Vec<Name>,
}

/// What is held in the trees of the view, as the Policy has it, and where the workload starts.
pub(super) struct Held {
    pub(super) guarded: Vec<Guarded>,
    pub(super) unguarded: Vec<PathBuf>,
    pub(super) names: Vec<NameRule>,
    pub(super) led_away: Vec<LeftOut>,
    pub(super) concealed: Vec<Guarded>,
    pub(super) idle: Vec<Idle>,
    pub(super) own: Vec<Guarded>,
    pub(super) hidden: Vec<(PathBuf, Seen)>,
    pub(super) replaced: Vec<Replaced>,
    pub(super) cwd: PathBuf,
}

/// A name of the text is relative to the workspace, one of a flag to the working directory.
fn path_of(name: &Located<String>, document: &Document, home: &Path, cwd: &Path) -> PathBuf {
    match name.flag {
        Some(_) => absolute(&name.value, home, cwd),
        None => absolute(&name.value, home, &workspace_path(document, home, cwd)),
    }
}

/// What must be looked at: each name, and the directories that lead to it.
pub(super) fn wanted(document: &Document, home: &Path, cwd: &Path) -> BTreeSet<PathBuf> {
    let names = document.hide.iter().chain(&document.protect);
    let paths = names.map(|name| path_of(name, document, home, cwd));
    paths.flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

impl Named {
    /// What the names do to whole trees: one that is hidden itself is no tree of the view, and one
    /// at or below a protected name is not written.
    pub(super) fn bear_on(&self, grants: &mut Vec<Grant>, workspace: &mut Grant) {
        grants.retain(|grant| !self.hide.iter().any(|name| name.path == grant.path));
        let writable = |tree: &&mut Grant| tree.mode.is_written();
        for tree in grants.iter_mut().chain([workspace]).filter(writable) {
            if let Some(name) = self.protect.iter().find(|name| tree.path.starts_with(&name.path)) {
                (tree.mode, tree.clause) = (Mode::ReadOnly, name.clause.clone());
            }
        }
    }
}

impl Resolver<'_> {
    /// The names of the policy, each of which must exist and be no symbolic link.
    pub(super) fn names(&self, workspace: &Grant) -> Result<Named, PolicyError> {
        let each = |names: &[Located<String>], verb| {
            names.iter().map(|name| self.name(name, verb)).collect::<Result<Vec<_>, _>>()
        };
        let hide = each(&self.document.hide, "hidden")?;
        let protect = each(&self.document.protect, "protected")?;
        for (name, text) in hide.iter().zip(&self.document.hide) {
            let path = name.path.clone();
            if path == workspace.path {
                return Err(self.fault(Fault::HidesWorkspace { path }, text));
            }
            // Its other name may be in view, wherever this one is.
            if name.seen.kind != Kind::Directory && name.seen.links > 1 {
                let links = name.seen.links;
                return Err(self.fault(Fault::HiddenHardLink { path, links }, text));
            }
        }
        for (name, text) in protect.iter().zip(&self.document.protect) {
            let path = name.path.clone();
            match name.seen.kind {
                Kind::File if name.seen.links > 1 => {
                    let links = name.seen.links;
                    return Err(self.fault(Fault::GuardedHardLink { path, links }, text));
                }
                Kind::Other => return Err(self.fault(Fault::NotRegular { path }, text)),
                Kind::File | Kind::Directory | Kind::Link => {}
            }
        }
        Ok(Named { hide, protect })
    }

    fn name(&self, text: &Located<String>, verb: &'static str) -> Result<Name, PolicyError> {
        let path = path_of(text, self.document, &self.facts.home, &self.facts.cwd);
        if let Some(why) = self.facts.unseen.get(&path) {
            let why = why.clone();
            return Err(self.fault(Fault::CannotLook { path, why }, text));
        }
        let Some(seen) = self.facts.seen(&path) else {
            let fault = if is_pattern(&text.value) {
                Fault::PatternLater { path: text.value.clone() }
            } else {
                Fault::NameMissing { path, verb }
            };
            return Err(self.fault(fault, text));
        };
        if seen.kind == Kind::Link || seen.real.as_ref().is_some_and(|real| *real != path) {
            let real = seen.real.clone();
            return Err(self.fault(Fault::SymbolicLink { path, real }, text));
        }
        let mut reserved = view::RESERVED.iter().map(Path::new);
        let top = Path::new("/");
        let place = reserved.find(|place| path.starts_with(place));
        if let Some(place) = place.or_else(|| (path == top).then_some(top)) {
            let place = place.to_owned();
            return Err(self.fault(Fault::ReservedPath { path, place }, text));
        }
        Ok(Name { path, seen: seen.clone(), clause: text.clause.clone() })
    }

    /// Guards the protected names that lie in a writable tree; the others cannot be changed anyway.
    pub(super) fn protect(
        &self,
        named: &Named,
        trees: &Writable<'_>,
        guarded: &mut Vec<Guarded>,
        idle: &mut Vec<Idle>,
    ) -> Result<(), PolicyError> {
        for name in &named.protect {
            let mut needs_nothing = |why| {
                let (path, clause) = (name.path.clone(), name.clause.clone());
                idle.push(Idle { path, why, clause });
            };
            if let Some(kept) = guarded.iter_mut().find(|kept| kept.path == name.path) {
                if kept.clause.file == "built-in" {
                    kept.clause = name.clause.clone();
                } else {
                    needs_nothing("kept by another rule");
                }
            } else if let Some(top) = trees.holding(&name.path) {
                let steps = steps_down(top, name.path.strip_prefix(top).unwrap_or(&name.path));
                guarded.extend(self.guard(&steps, &name.clause)?);
            } else if trees.innermost(&name.path).is_some() {
                needs_nothing("read-only");
            } else {
                needs_nothing("absent anyway: nothing grants it");
            }
        }
        Ok(())
    }

    /// The hidden names that would be seen otherwise, with what is above each in its tree.
    pub(super) fn conceal(
        &self,
        named: &Named,
        trees: &Writable<'_>,
        etc: (&[(PathBuf, Seen)], &[Replaced]),
        idle: &mut Vec<Idle>,
    ) -> Result<Vec<Guarded>, PolicyError> {
        let mut names: Vec<(PathBuf, &Name)> = Vec::new();
        for name in &named.hide {
            let others = trees.other_names(&name.path);
            // Where it is shown under another name alone, that is the one to hide.
            if others.is_empty() || trees.innermost(&name.path).is_some() {
                names.push((name.path.clone(), name));
            }
            names.extend(others.into_iter().map(|path| (path, name)));
        }
        // Outer before inner: what lies behind a hidden name needs no mount of its own.
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let mut concealed: Vec<Guarded> = Vec::new();
        for (path, name) in names {
            let clause = name.clause.clone();
            let in_etc = etc.0.iter().any(|(hidden, _)| path.starts_with(hidden));
            let why = if trees.innermost(&path).is_none() {
                Some("absent anyway: nothing grants it")
            } else if in_etc || trees.conceal(&concealed, &path) {
                Some("hidden with what holds it")
            } else if etc.1.iter().any(|ours| ours.at == path) {
                Some("not shown anyway: the sandbox's own file stands there")
            } else {
                None
            };
            if let Some(why) = why {
                idle.push(Idle { path, why, clause });
                continue;
            }
            let ancestors = self.above(&path, trees)?;
            concealed.push(Guarded { path, seen: name.seen.clone(), ancestors, clause });
        }
        Ok(concealed)
    }

    /// Directories between a name and the writable tree that holds it: one that is renamed would
    /// carry the name away. In a tree that is read-only nothing is.
    fn above(
        &self,
        path: &Path,
        trees: &Writable<'_>,
    ) -> Result<Vec<(PathBuf, Seen)>, PolicyError> {
        let Some(top) = trees.holding(path) else { return Ok(Vec::new()) };
        let steps = steps_down(top, path.strip_prefix(top).unwrap_or(path));
        let outer = steps.split_last().map_or(&[][..], |(_, outer)| outer);
        let mut above = Vec::new();
        for at in outer {
            let seen = self.certain(at)?;
            above.extend(seen.map(|seen| (at.clone(), seen.clone())));
        }
        Ok(above)
    }

    /// Everything that stays as it is or closed in `trees`.
    pub(super) fn held(
        &self,
        named: &Named,
        (grants, workspace): (&[Grant], &Grant),
        repository: &Repository,
    ) -> Result<Held, PolicyError> {
        let trees = Writable::of(grants, workspace);
        let (mut guarded, mut unguarded) = self.guarded(&trees)?;
        unguarded.extend(self.unguarded_in(repository, &trees));
        let mut own = self.own_files(&trees)?;
        let mut hidden = hidden(self.facts, grants);
        let mut replaced = replaced(self.facts, grants);
        let mut idle = Vec::new();
        self.protect(named, &trees, &mut guarded, &mut idle)?;
        let concealed = self.conceal(named, &trees, (&hidden, &replaced), &mut idle)?;
        // What lies behind a hidden name is not there to be held.
        let behind = |path: &Path| trees.conceal(&concealed, path);
        for kept in guarded.iter().filter(|kept| kept.clause.file != "built-in") {
            if behind(&kept.path) {
                let (path, clause) = (kept.path.clone(), kept.clause.clone());
                idle.push(Idle { path, why: "hidden with what holds it", clause });
            }
        }
        guarded.retain(|kept| !behind(&kept.path));
        own.retain(|kept| !behind(&kept.path));
        unguarded.retain(|path| !behind(path));
        hidden.retain(|(path, _)| !behind(path));
        replaced.retain(|ours| !behind(&ours.at));
        let led_away = self.led_away(&guarded, &trees)?;
        // The first that holds a name is the one that is told.
        let mut names = hold::hides(&trees, &concealed);
        names.extend(hold::guards(&trees, &guarded, &own));
        names.extend(self.built_in_holds(&trees));
        let cwd =
            Some(&self.facts.cwd).filter(|cwd| !behind(cwd) && cwd.starts_with(&workspace.path));
        let cwd = cwd.unwrap_or(&workspace.path).clone();
        Ok(Held {
            guarded,
            unguarded,
            names,
            led_away,
            concealed,
            idle,
            own,
            hidden,
            replaced,
            cwd,
        })
    }

    /// The home of this workspace that is kept, if the policy asks for it.
    pub(super) fn kept_home(&self) -> Result<Option<Kept>, PolicyError> {
        use crate::facts::Ids;
        let home = &self.document.home;
        match (home.value, self.facts.person.ids, &self.facts.kept_home) {
            (Home::Private, ..) => Ok(None),
            (Home::Project, Ids::Owner { uid, .. }, _) => {
                Err(self.fault(Fault::HomeOfAnother { uid }, home))
            }
            (Home::Project, Ids::Caller { .. } | Ids::StandIn { .. }, kept) => {
                let source = kept.clone().unwrap_or_default();
                let seen = self.certain(&source)?.cloned();
                let missing =
                    || Fault::NotFound { path: source.clone(), clause: home.clause.clone() };
                let seen = seen.ok_or_else(|| self.fault(missing(), home))?;
                Ok(Some(Kept { source, seen }))
            }
        }
    }
}
