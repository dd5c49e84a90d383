//! What presets bring, and grants that may be absent. All of it can only add trees to read, and
//! variables: whatever stands in the way of a preset's grant leaves it out.

use std::path::{Path, PathBuf};

use super::{Resolver, absolute, held, named};
use crate::document::{GrantText, Located, Presence};
use crate::error::{Fault, PolicyError};
use crate::facts::Kind;
use crate::model::{Clause, Extended, Grant, Missing, Mode, Origin, Seed, Shown, Variable};
use crate::presets::{PREFIX, Preset};

pub(super) fn extended(preset: &Preset) -> Extended {
    Extended { name: preset.name.into(), clause: preset.clause.clone() }
}

pub(super) fn missing(path: PathBuf, why: &str, clause: &Clause) -> Missing {
    Missing { path, why: why.into(), clause: clause.clone() }
}

/// Where a person lets `name` through by a rule of their own, what a preset sets gives way.
pub(super) fn give_way(variables: &mut Vec<Variable>, name: &str, pattern: &Located<String>) {
    let of_preset = |clause: &Clause| clause.file.starts_with(PREFIX);
    let persons = !of_preset(&pattern.clause) && pattern.clause.file != "built-in";
    variables.retain(|set| !(persons && set.name == name && of_preset(&set.clause)));
}

impl Resolver<'_> {
    /// Nothing is there, and that is known.
    pub(super) fn is_absent(&self, path: &Path) -> bool {
        self.facts.seen(path).is_none() && !self.facts.unseen.contains_key(path)
    }

    /// A tree inside one that may do more takes rights away: absent, it would take none.
    pub(super) fn no_optional_guard(
        &self,
        grants: &[Grant],
        workspace: &Grant,
    ) -> Result<(), PolicyError> {
        let optional = |grant: &&Located<GrantText>| grant.value.presence == Presence::Optional;
        for text in self.document.grants.iter().filter(optional) {
            let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
            let outer = grants
                .iter()
                .chain([workspace])
                .find(|tree| tree.mode > text.value.mode && path.starts_with(&tree.path));
            if let Some(outer) = outer {
                let tree = outer.path.clone();
                return Err(self.fault(Fault::OptionalInside { path, tree }, text));
            }
        }
        Ok(())
    }

    /// Grants of presets that are there, and those that are not. What the person granted, or the
    /// built-in view has, holds them already.
    pub(super) fn presets(
        &self,
        grants: &[Grant],
        workspace: &Grant,
        built_in: &[Grant],
    ) -> (Vec<Grant>, Vec<Missing>) {
        let (mut found, mut lacking): (Vec<Grant>, Vec<Missing>) = Default::default();
        for text in self.document.presets.iter().flat_map(|preset| &preset.grants) {
            let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
            let again = held(grants, workspace, &path)
                || named(&found, workspace, &path)
                || built_in.iter().any(|tree| path.starts_with(&tree.path));
            if again {
                continue;
            }
            match self.preset_grant(text, path.clone()) {
                Ok(grant) => found.push(grant),
                Err(why) => lacking.push(missing(path, &why, &text.clause)),
            }
        }
        (found, lacking)
    }

    /// The grant, or why there is none. Nothing is followed through a symbolic link: a workload
    /// that once could write beside it may have made it.
    fn preset_grant(&self, text: &Located<GrantText>, path: PathBuf) -> Result<Grant, String> {
        if let Some(why) = self.facts.unseen.get(&path) {
            return Err(format!("cannot be looked at: {why}"));
        }
        let Some(seen) = self.facts.seen(&path).cloned() else {
            return Err("does not exist".into());
        };
        match (&seen.real, seen.kind) {
            (Some(real), _) if *real != path => Err(format!("leads to {}", real.display())),
            (_, Kind::Link | Kind::Other) => Err("is no file and no directory".into()),
            (_, Kind::File | Kind::Directory) => match self.too_wide(&path) {
                Some(why) => Err(why),
                None => Ok(Grant {
                    source: path.clone(),
                    path,
                    mode: Mode::ReadOnly,
                    origin: Origin::Preset,
                    seen,
                    clause: text.clause.clone(),
                    asked: text.clause.clone(),
                }),
            },
        }
    }

    /// What presets set, a later one over an earlier. The values are ours, so records may show them.
    pub(super) fn set_by_presets(&self, variables: &mut Vec<Variable>) {
        for set in self.document.presets.iter().flat_map(|preset| &preset.set) {
            let (name, value) = (set.value.name.clone(), set.value.value.clone());
            variables.retain(|variable| variable.name != name);
            let (shown, clause) = (Shown::Value, set.clause.clone());
            variables.push(Variable { name, value, shown, clause });
        }
    }

    /// Files of presets in the private home. A tree of the person's over it is theirs to fill.
    pub(super) fn seeds(&self, grants: &[Grant], workspace: &Grant) -> Vec<Seed> {
        let home = &self.facts.home;
        let in_a_tree = |path: &Path| {
            let mut inner = grants.iter().chain([workspace]).map(|tree| &tree.path);
            inner.any(|tree| tree != home && tree.starts_with(home) && path.starts_with(tree))
        };
        let mut seeds: Vec<Seed> = Vec::new();
        for preset in &self.document.presets {
            for seed in preset.seeds {
                let path = home.join(seed.path);
                if !in_a_tree(&path) {
                    let clause = Clause {
                        name: format!("~/{}", seed.path),
                        file: format!("{PREFIX}{}", preset.name),
                        line: 0,
                    };
                    seeds.push(Seed { path, content: seed.content.into(), clause });
                }
            }
        }
        seeds.sort_by(|one, other| one.path.cmp(&other.path));
        seeds
    }
}
