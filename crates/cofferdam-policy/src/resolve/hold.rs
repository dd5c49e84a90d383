//! Rules about names: what is judged at each operation, whether the names exist or not.

use std::path::Path;

use super::Resolver;
use super::guard::Writable;
use super::names::{NOTHING_GRANTS_IT, Named};
use super::written::Names;
use crate::judge::names::{Hold, NameRule};
use crate::judge::pattern::Pattern;
use crate::model::{Clause, Guarded, Idle};
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

/// Our own programs and the policy's file.
pub(super) fn own(trees: &Writable<'_>, own: &[Guarded]) -> Vec<NameRule> {
    let rule = |kept: &Guarded| {
        Some(concrete(Hold::Protect, trees.holding(&kept.path)?, &kept.path, &kept.clause))
    };
    own.iter().filter_map(rule).collect()
}

/// What a person hides by patterns, masks or protects, but for what needs no rule.
pub(super) fn persons(
    named: &Named<'_>,
    trees: &Writable<'_>,
    idle: &mut Vec<Idle>,
) -> Vec<NameRule> {
    let mut rules = globs(Hold::Hide, &named.hide, trees, idle);
    for name in &named.mask.each {
        match trees.innermost(&name.path) {
            Some(tree) => {
                rules.push(concrete(Hold::Mask, &tree.path, &name.path, name.clause()));
            }
            None => {
                let (path, clause) = (name.path.clone(), name.clause().clone());
                idle.push(Idle { path, why: NOTHING_GRANTS_IT, clause });
            }
        }
    }
    rules.extend(globs(Hold::Mask, &named.mask, trees, idle));
    // Where nothing is written nothing has to be held.
    rules.extend(named.protect.each.iter().filter_map(|name| {
        let top = trees.holding(&name.path)?;
        Some(concrete(Hold::Protect, top, &name.path, name.clause()))
    }));
    rules.extend(globs(Hold::Protect, &named.protect, trees, idle));
    rules
}

/// A rule for each directory that a pattern starts in and that has to do with a tree of the view.
fn globs(
    hold: Hold,
    names: &Names<'_>,
    trees: &Writable<'_>,
    idle: &mut Vec<Idle>,
) -> Vec<NameRule> {
    let mut rules = Vec::new();
    for glob in &names.globs {
        let before = rules.len();
        rules.extend(glob.tops.iter().filter(|top| trees.bear_on(top)).map(|top| NameRule {
            hold,
            top: top.clone(),
            pattern: glob.pattern.clone(),
            clause: glob.clause().clone(),
        }));
        if rules.len() == before {
            let path = glob.tops.first().map(|top| top.join(glob.pattern.text()));
            let (path, clause) = (path.unwrap_or_default(), glob.clause().clone());
            idle.push(Idle { path, why: NOTHING_GRANTS_IT, clause });
        }
    }
    rules
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
