//! Names that a person hides, masks or protects: what holds them, and which of two rules wins.
//!
//! A protected name, a masked one and a pattern beat every grant: what is at or below it stays as it
//! is, or closed. Among hidden paths and trees the innermost wins, so a grant below a hidden directory
//! shows again; at equal paths the hidden name does.

use std::path::{Path, PathBuf};

use super::guard::Writable;
use super::written::{Glob, Name, Names};
use super::{Resolver, hidden, hold, replaced, steps_down};
use crate::document::Located;
use crate::error::{Fault, PolicyError};
use crate::facts::{Kind, Seen};
use crate::judge::names::{Hold, NameRule};
use crate::model::{
    Clause, Grant, Guarded, Home, Idle, Jail, Kept, LeftOut, Mode, Replaced, Repository,
};

/// Why a rule does nothing where no tree holds its name.
pub(super) const NOTHING_GRANTS_IT: &str = "absent anyway: nothing grants it";

/// All of them.
pub(super) struct Named<'d> {
    pub(super) hide: Names<'d>,
    pub(super) mask: Names<'d>,
    pub(super) protect: Names<'d>,
}

/// What is held in the trees of the view, as the Policy has it, and where the workload starts.
pub(super) struct Held {
    pub(super) guarded: Vec<Guarded>,
    pub(super) unguarded: Vec<PathBuf>,
    pub(super) names: Vec<NameRule>,
    pub(super) sockets: Vec<(PathBuf, Clause)>,
    pub(super) led_away: Vec<LeftOut>,
    pub(super) concealed: Vec<Guarded>,
    pub(super) idle: Vec<Idle>,
    pub(super) own: Vec<Guarded>,
    pub(super) hidden: Vec<(PathBuf, Seen)>,
    pub(super) replaced: Vec<Replaced>,
    pub(super) cwd: PathBuf,
}

impl Named<'_> {
    /// What the names do to whole trees: one that is hidden itself, or by a pattern, is no tree of
    /// the view, and one at or below a protected name is not written.
    pub(super) fn bear_on(&self, grants: &mut Vec<Grant>, workspace: &mut Grant) {
        let hidden = |path: &Path| {
            self.hide.each.iter().any(|name| name.path == path)
                || self.hide.globs.iter().any(|glob| glob.covers(path))
        };
        grants.retain(|grant| !hidden(&grant.path));
        let protects = |path: &Path| {
            let each = self.protect.each.iter().filter(|name| path.starts_with(&name.path));
            let globs = self.protect.globs.iter().filter(|glob| glob.covers(path));
            each.map(Name::clause).chain(globs.map(Glob::clause)).next().cloned()
        };
        let writable = |tree: &&mut Grant| tree.mode.is_written();
        for tree in grants.iter_mut().chain([workspace]).filter(writable) {
            if let Some(clause) = protects(&tree.path) {
                (tree.mode, tree.clause) = (Mode::ReadOnly, clause);
            }
        }
    }
}

impl Resolver<'_> {
    /// The names of the policy, each of which may come later.
    pub(super) fn names(
        &self,
        workspace: &Grant,
        grants: &[Grant],
    ) -> Result<Named<'_>, PolicyError> {
        let document = self.document;
        let hide = self.listed(&document.hide, workspace, grants)?;
        let mask = self.listed(&document.mask, workspace, grants)?;
        let protect = self.listed(&document.protect, workspace, grants)?;
        if let Some(name) = hide.each.iter().find(|name| name.path == workspace.path) {
            let path = workspace.path.clone();
            return Err(self.fault(Fault::HidesWorkspace { path }, name.text));
        }
        self.one_name(&hide, "hidden")?;
        self.one_name(&mask, "masked")?;
        self.leave_the_workspace(&hide, &workspace.path, "hidden")?;
        self.leave_the_workspace(&mask, &workspace.path, "masked")?;
        if let Some(name) = mask.each.iter().find(|name| workspace.path.starts_with(&name.path)) {
            return Err(self.covers(name.text, &workspace.path, "masked"));
        }
        let other = |name: &&Name<'_>| name.seen.as_ref().is_some_and(|s| s.kind == Kind::Other);
        if let Some(name) = mask.each.iter().find(other) {
            // What blocks or answers has no shape of its own to show.
            return Err(self.fault(Fault::NotRegular { path: name.path.clone() }, name.text));
        }
        for name in &protect.each {
            let (Some(seen), path) = (&name.seen, name.path.clone()) else { continue };
            match seen.kind {
                Kind::File if seen.links > 1 => {
                    let links = seen.links;
                    return Err(self.fault(Fault::GuardedHardLink { path, links }, name.text));
                }
                Kind::Other => return Err(self.fault(Fault::NotRegular { path }, name.text)),
                Kind::File | Kind::Directory | Kind::Link => {}
            }
        }
        Ok(Named { hide, mask, protect })
    }

    fn covers(&self, text: &Located<String>, workspace: &Path, verb: &'static str) -> PolicyError {
        let (pattern, path) = (text.value.clone(), workspace.to_owned());
        self.fault(Fault::CoversWorkspace { pattern, path, verb }, text)
    }

    /// A pattern beats every grant, so none covers the workspace.
    fn leave_the_workspace(
        &self,
        names: &Names<'_>,
        workspace: &Path,
        verb: &'static str,
    ) -> Result<(), PolicyError> {
        match names.globs.iter().find(|glob| glob.covers(workspace)) {
            Some(glob) => Err(self.covers(glob.text, workspace, verb)),
            None => Ok(()),
        }
    }

    /// A file that is closed has one name: another may be in view, wherever this one is.
    fn one_name(&self, names: &Names<'_>, verb: &'static str) -> Result<(), PolicyError> {
        for name in &names.each {
            let Some(seen) = &name.seen else { continue };
            if seen.kind != Kind::Directory && seen.links > 1 {
                let (path, links) = (name.path.clone(), seen.links);
                return Err(self.fault(Fault::HiddenHardLink { path, links, verb }, name.text));
            }
        }
        Ok(())
    }

    /// Guards the protected names that exist in a writable tree; the others need no mount.
    pub(super) fn protect(
        &self,
        named: &Named<'_>,
        trees: &Writable<'_>,
        guarded: &mut Vec<Guarded>,
        idle: &mut Vec<Idle>,
    ) -> Result<(), PolicyError> {
        for name in &named.protect.each {
            let mut needs_nothing = |why| {
                let (path, clause) = (name.path.clone(), name.clause().clone());
                idle.push(Idle { path, why, clause });
            };
            if let Some(kept) = guarded.iter_mut().find(|kept| kept.path == name.path) {
                if kept.clause.file == "built-in" {
                    kept.clause = name.clause().clone();
                } else {
                    needs_nothing("kept by another rule");
                }
            } else if let Some(top) = trees.holding(&name.path) {
                let steps = steps_down(top, name.path.strip_prefix(top).unwrap_or(&name.path));
                let there = name.seen.is_some();
                guarded.extend(self.guard(&steps, name.clause())?.filter(|_| there));
            } else if trees.innermost(&name.path).is_some() {
                needs_nothing("read-only");
            } else {
                needs_nothing(NOTHING_GRANTS_IT);
            }
        }
        Ok(())
    }

    /// The hidden names that exist and would be seen otherwise, with what is above each in its tree,
    /// and rules about them and those that do not exist.
    fn conceal(
        &self,
        named: &Named<'_>,
        trees: &Writable<'_>,
        etc: (&[(PathBuf, Seen)], &[Replaced]),
        idle: &mut Vec<Idle>,
    ) -> Result<(Vec<Guarded>, Vec<NameRule>), PolicyError> {
        let mut names: Vec<(PathBuf, &Name<'_>)> = Vec::new();
        for name in &named.hide.each {
            let others = trees.other_names(&name.path);
            // Where it is shown under another name alone, that is the one to hide.
            if others.is_empty() || trees.innermost(&name.path).is_some() {
                names.push((name.path.clone(), name));
            }
            names.extend(others.into_iter().map(|path| (path, name)));
        }
        // Outer before inner: what lies behind a hidden name needs no mount of its own.
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut concealed, mut rules): (Vec<Guarded>, Vec<NameRule>) = Default::default();
        for (path, name) in names {
            let clause = name.clause().clone();
            let in_etc = etc.0.iter().any(|(hidden, _)| path.starts_with(hidden));
            let top = trees.innermost(&path).map(|tree| &tree.path);
            let why = if top.is_none() {
                Some(NOTHING_GRANTS_IT)
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
            rules.extend(top.map(|top| hold::concrete(Hold::Hide, top, &path, &clause)));
            if let Some(seen) = name.seen.clone() {
                let ancestors = self.above(&path, trees)?;
                concealed.push(Guarded { path, seen, ancestors, clause });
            }
        }
        Ok((concealed, rules))
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
        named: &Named<'_>,
        (grants, workspace): (&[Grant], &Grant),
        repository: &Repository,
    ) -> Result<Held, PolicyError> {
        let trees = Writable::of(grants, workspace);
        let (mut guarded, mut unguarded) = self.guarded(&trees)?;
        unguarded.extend(self.unguarded_in(repository, &trees));
        let mut own = self.own_files(&trees)?;
        let mut hidden = hidden(self.facts, grants);
        let mut replaced = replaced(self.facts, grants);
        replaced.extend(self.authorities(grants, workspace));
        let mut idle = Vec::new();
        self.protect(named, &trees, &mut guarded, &mut idle)?;
        let (concealed, mut names) =
            self.conceal(named, &trees, (&hidden, &replaced), &mut idle)?;
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
        let cwd =
            Some(&self.facts.cwd).filter(|cwd| !behind(cwd) && cwd.starts_with(&workspace.path));
        let cwd = cwd.unwrap_or(&workspace.path).clone();
        let shown: Vec<&Grant> = grants.iter().chain([workspace]).collect();
        // The first that holds a name is the one that is told.
        names.extend(hold::persons(named, &trees, &mut idle));
        names.extend(hold::own(&trees, &own));
        names.extend(self.built_in_holds(&trees));
        let sockets = self.sockets(&shown)?;
        Ok(Held {
            guarded,
            unguarded,
            names,
            sockets,
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
            // Without mounts it lies where it is made, fresh for each run.
            (Home::Private, _, Some(fresh)) if self.document.jail.value == Jail::Landlock => {
                let seen = self.certain(fresh)?.cloned();
                Ok(seen.map(|seen| Kept { source: fresh.clone(), seen }))
            }
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

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
