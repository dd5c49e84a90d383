//! Whom the sandbox believes where the gateway looks into TLS: which files of the system are replaced.

use std::path::{Path, PathBuf};

use super::{Resolver, entry_by, entry_of_etc, in_view};
use crate::document::Document;
use crate::facts::Kind;
use crate::judge::requests::is_inspected;
use crate::model::{Grant, Ours, Replaced};
use crate::view;

/// Every list of authorities that this system may have, and which file of ours stands for it.
fn lists() -> impl Iterator<Item = (PathBuf, Ours)> {
    let pem = view::AUTHORITIES.iter().map(|path| (path, Ours::Authorities));
    let java = view::AUTHORITIES_OF_JAVA.iter().map(|path| (path, Ours::AuthoritiesOfJava));
    pem.chain(java).map(|(path, by)| (PathBuf::from(path), by))
}

/// What is looked at: nothing where nobody looks into TLS.
pub(super) fn wanted(document: &Document) -> impl Iterator<Item = PathBuf> {
    let presets = document.presets.iter().map(|preset| &preset.network);
    let texts = || [&document.network].into_iter().chain(presets.clone());
    let allow = texts().flat_map(|text| text.allow.iter().chain(&text.flags));
    let deny = texts().flat_map(|text| &text.deny);
    let inspects = document.network.closed.is_none() && is_inspected(allow, deny);
    lists().filter(move |_| inspects).map(|(path, _)| path)
}

/// Whether the workload may write what is at `path`.
fn is_written(grants: &[Grant], workspace: &Grant, path: &Path) -> bool {
    let mut written = grants.iter().chain([workspace]).filter(|tree| tree.mode.is_written());
    written.any(|tree| path.starts_with(&tree.path))
}

impl Resolver<'_> {
    /// The system's own list, which hosts are believed by.
    pub(super) fn system_authorities(
        &self,
        grants: &[Grant],
        workspace: &Grant,
    ) -> Option<PathBuf> {
        let found = |(path, by): (PathBuf, Ours)| {
            // The host's own, whatever the workload sees: it is the gateway that believes them.
            let (at, seen) = entry_by(|path| self.facts.seen(path), &path)?;
            let fits = by == Ours::Authorities && seen.kind == Kind::File;
            (fits && !is_written(grants, workspace, &at)).then_some(at)
        };
        if self.inspects { lists().find_map(found) } else { None }
    }

    /// The lists that are in view, each once whatever leads to it. One in a tree that is written is the
    /// workload's own to change, and stays.
    pub(super) fn authorities(&self, grants: &[Grant], workspace: &Grant) -> Vec<Replaced> {
        let mut found: Vec<Replaced> = Vec::new();
        if !self.inspects {
            return found;
        }
        for (path, by) in lists() {
            let Some((at, seen)) = entry_of_etc(self.facts, &path) else { continue };
            let own = is_written(grants, workspace, &at);
            let once = !found.iter().any(|earlier| earlier.at == at);
            if seen.kind == Kind::File && in_view(grants, &at) && !own && once {
                found.push(Replaced { path, at, by });
            }
        }
        // Where nothing of /etc is anybody's, it is made.
        if found.is_empty() && self.facts.rootfs.is_some() && !in_view(grants, Path::new("/etc")) {
            found.extend(lists().take(1).map(|(path, by)| Replaced { at: path.clone(), path, by }));
        }
        found
    }
}
