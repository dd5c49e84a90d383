//! Rules about names: what is judged at each operation, whether the names exist or not.

use std::path::{Path, PathBuf};

use super::Resolver;
use super::guard::Writable;
use crate::judge::names::{Hold, NameRule};
use crate::judge::pattern::Pattern;
use crate::model::{Clause, Guarded};
use crate::view;

/// A rule about the one name `path` in the tree `top`.
///
/// Letters are folded below `top` alone, so it is the tree, never the directory that holds the name.
pub(super) fn concrete(hold: Hold, top: &Path, path: &Path, clause: &Clause) -> NameRule {
    let below = path.strip_prefix(top).ok().and_then(Path::to_str);
    let (top, below) = below.map_or((path, ""), |below| (top, below));
    let (pattern, clause) = (Pattern::literal(below), clause.clone());
    NameRule { hold, top: top.to_owned(), pattern, clause }
}

impl Resolver<'_> {
    /// The built-in rules of every writable tree, and of the git directories in them.
    pub(super) fn built_in_holds(&self, trees: &Writable<'_>) -> Vec<NameRule> {
        let clause = Clause::built_in("filesystem.protect");
        let mut rules = Vec::new();
        for top in trees.tops() {
            let one = |hold, name: &str| concrete(hold, top, &top.join(name), &clause);
            rules.extend(view::PROTECTED.iter().map(|name| match *name {
                view::GIT_CONFIG => one(Hold::GitConfig, name),
                _ => one(Hold::Protect, name),
            }));
            rules.extend(view::PROTECTED_ENTRIES.iter().map(|name| one(Hold::ProtectEntry, name)));
            rules.extend(view::PROTECTED_PATTERNS.iter().map(|text| NameRule {
                hold: Hold::Protect,
                top: top.to_owned(),
                pattern: Pattern::new(text),
                clause: clause.clone(),
            }));
        }
        for directory in &self.facts.git_directories {
            let Some(top) = trees.holding(directory) else { continue };
            rules.extend(view::GIT_NAMES.iter().map(|name| {
                let hold = match *name {
                    view::GIT_DIRECTORY_CONFIG => Hold::GitConfig,
                    _ => Hold::Protect,
                };
                concrete(hold, top, &directory.join(name), &clause)
            }));
        }
        rules
    }
}

/// What is guarded for another reason than the built-in list: those that a person names, and our own.
pub(super) fn guards(trees: &Writable<'_>, guarded: &[Guarded], own: &[Guarded]) -> Vec<NameRule> {
    let persons = guarded.iter().filter(|kept| kept.clause.file != "built-in");
    let kept = persons.chain(own).map(|kept| (&kept.path, &kept.clause));
    kept.filter_map(|(path, clause): (&PathBuf, _)| {
        Some(concrete(Hold::Protect, trees.holding(path)?, path, clause))
    })
    .collect()
}

/// What is hidden and in view, in whichever tree.
pub(super) fn hides(trees: &Writable<'_>, concealed: &[Guarded]) -> Vec<NameRule> {
    let rule = |name: &Guarded| {
        let top = &trees.innermost(&name.path)?.path;
        Some(concrete(Hold::Hide, top, &name.path, &name.clause))
    };
    concealed.iter().filter_map(rule).collect()
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
