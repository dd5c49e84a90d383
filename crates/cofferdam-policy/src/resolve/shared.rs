//! What is otherwise in a jail without namespaces, where the workload shares the host's own view: its home
//! lies at a path of its own, and `/etc` is granted entry by entry.

use std::path::{Path, PathBuf};

use super::Resolver;
use crate::document::Document;
use crate::facts::{Facts, Kind, Seen};
use crate::model::{Jail, Kept, Seed};
use crate::promise::BestEffort;
use crate::view;

fn is_shared(document: &Document) -> bool {
    document.jail.value == Jail::Landlock
}

/// Directories whose entries Facts must have: those that hold an entry of `/etc` that is hidden, where no
/// mount can hide it.
#[must_use]
pub fn listed(document: &Document) -> Vec<PathBuf> {
    let hidden = view::ETC_HIDDEN.iter().filter(|_| is_shared(document));
    let mut above: Vec<PathBuf> =
        hidden.filter_map(|path| Path::new(path).parent()).map(Path::to_owned).collect();
    above.sort();
    above.dedup();
    above
}

/// The entries of those directories that may be seen. A link is followed by the kernel to what it leads
/// to, which is granted by its own path or not at all.
pub(super) fn etc(
    document: &Document,
    facts: &Facts,
    hidden: &[(PathBuf, Seen)],
) -> Vec<(PathBuf, Seen)> {
    let above = listed(document);
    let holds = |path: &Path| {
        let inner = hidden.iter().map(|(hidden, _)| hidden.as_path());
        inner.chain(above.iter().map(PathBuf::as_path)).any(|inner| inner.starts_with(path))
    };
    let entries = facts.paths.iter().filter_map(|(path, seen)| Some((path, seen.as_ref()?)));
    let entries = entries.filter(|(path, seen)| {
        let listed = path.parent().is_some_and(|parent| above.iter().any(|at| at == parent));
        let kind = matches!(seen.kind, Kind::File | Kind::Directory);
        let named = view::ETC_HIDDEN.iter().any(|hidden| Path::new(hidden) == path.as_path());
        listed && kind && !named && !holds(path)
    });
    entries.map(|(path, seen)| (path.clone(), seen.clone())).collect()
}

/// The rules that need not be held.
pub(super) fn best_effort(document: &Document) -> Vec<BestEffort> {
    let rules = document.best_effort.iter();
    rules.map(|rule| BestEffort { promise: rule.value, clause: rule.clause.clone() }).collect()
}

/// Where programs put what is temporary: a place of the sandbox's own.
pub(super) fn temporary(document: &Document, home: &Path) -> String {
    let own = is_shared(document).then(|| home.join(view::OWN_TEMPORARY));
    own.map_or_else(|| "/tmp".to_owned(), |own| own.display().to_string())
}

/// Files of presets in the home where it is.
pub(super) fn moved(mut seeds: Vec<Seed>, from: &Path, to: &Path) -> Vec<Seed> {
    for seed in &mut seeds {
        if let Ok(below) = seed.path.strip_prefix(from) {
            seed.path = to.join(below);
        }
    }
    seeds
}

impl Resolver<'_> {
    /// The home as the workload finds it.
    pub(super) fn inner_home(&self, kept: Option<&Kept>) -> PathBuf {
        let own = kept.filter(|_| is_shared(self.document)).map(|kept| kept.source.clone());
        own.unwrap_or_else(|| self.facts.home.clone())
    }
}
