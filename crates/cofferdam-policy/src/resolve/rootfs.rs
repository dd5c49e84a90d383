//! A root file system in place of the host's system: what of it is in the view, and what stands in it.
//!
//! Links in it are the workload's root's own: nothing here or later follows one on the host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Resolver, absolute, in_view};
use crate::document::{Document, Located};
use crate::error::{Fault, PolicyError, RootfsFault};
use crate::facts::{self, Kind, Seen};
use crate::model::{Grant, Mode, Origin, Ours, Replaced, Rootfs};
use crate::view;

/// The path that `rootfs` names, made absolute.
#[must_use]
pub fn rootfs_path(document: &Document, home: &Path, cwd: &Path) -> Option<PathBuf> {
    document.rootfs.as_ref().map(|rootfs| absolute(&rootfs.value, home, cwd))
}

/// It, and what is above it: whether it is another name of what may be written.
pub(super) fn wanted(document: &Document, home: &Path, cwd: &Path) -> Vec<PathBuf> {
    let path = rootfs_path(document, home, cwd);
    path.iter().flat_map(|path| path.ancestors().map(Path::to_owned)).collect()
}

/// The system inside: trees, links at the root, and what is told of a root file system.
pub(super) type System = (Vec<Grant>, Vec<(PathBuf, PathBuf)>, Option<Rootfs>);

impl Resolver<'_> {
    /// The system that the workload sees, beside the person's trees.
    pub(super) fn shown_system(
        &self,
        grants: &[Grant],
        workspace: &Grant,
    ) -> Result<System, PolicyError> {
        let Some(text) = &self.document.rootfs else {
            let (trees, links) = self.system();
            return Ok((trees, links, None));
        };
        let path = absolute(&text.value, &self.facts.home, &self.facts.cwd);
        let rootfs = self.checked(&path, text, grants, workspace)?;
        let (mut trees, mut links, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let persons = || grants.iter().chain([workspace]).map(|tree| tree.path.as_path());
        let tops = rootfs.paths.iter().filter(|(at, _)| at.parent() == Some(Path::new("/")));
        for (at, seen) in tops {
            let Some(seen) = seen else { continue };
            let name = at.to_str().unwrap_or_default();
            let standard = view::SYSTEM.contains(&name);
            let mut others = persons().chain([self.facts.home.as_path()]);
            let held = others.find(|tree| tree.starts_with(at) && !has_place(rootfs, tree));
            if view::NOT_OF_A_ROOTFS.contains(&name) {
                left_out.push((at.clone(), "the sandbox has its own, or none".into()));
            } else if let Some(tree) = held.filter(|_| !standard) {
                left_out.push((at.clone(), format!("{} stands there", tree.display())));
            } else if seen.kind == Kind::Directory {
                trees.push(self.part(rootfs, at, seen, text));
            } else if let Some(to) = seen.link.clone().filter(|_| leads_in(rootfs, seen)) {
                links.push((at.clone(), to));
            } else {
                left_out.push((at.clone(), "it is no directory, and leads to none in view".into()));
            }
        }
        let digest = rootfs.digest.clone();
        let told = Rootfs { path, digest, left_out, clause: text.clause.clone() };
        Ok((trees, links, Some(told)))
    }

    fn part(
        &self,
        rootfs: &facts::Rootfs,
        at: &Path,
        seen: &Seen,
        text: &Located<String>,
    ) -> Grant {
        Grant {
            path: at.to_owned(),
            source: rootfs.root.join(at.strip_prefix("/").unwrap_or(at)),
            mode: Mode::ReadOnly,
            origin: Origin::System,
            seen: seen.clone(),
            clause: text.clause.clone(),
            asked: text.clause.clone(),
        }
    }

    /// The root file system, unless something of it or about it is wrong.
    fn checked(
        &self,
        path: &Path,
        text: &Located<String>,
        grants: &[Grant],
        workspace: &Grant,
    ) -> Result<&facts::Rootfs, PolicyError> {
        let path = path.to_owned();
        if let Some(why) = self.facts.unseen.get(&path) {
            return Err(self.fault(Fault::CannotLook { path, why: why.clone() }, text));
        }
        let Some(seen) = self.facts.seen(&path) else {
            return Err(self.fault(Fault::NotFound { path, clause: text.clause.clone() }, text));
        };
        if seen.kind == Kind::Link || seen.real.as_ref().is_some_and(|real| *real != path) {
            let real = seen.real.clone();
            return Err(self.fault(Fault::SymbolicLink { path, real }, text));
        }
        if seen.kind == Kind::Other {
            return Err(self.fault(Fault::NotRegular { path }, text));
        }
        let mut trees = grants.iter().chain([workspace]).filter(|tree| tree.mode.is_written());
        let within = |tree: &&Grant| {
            let root = self.facts.rootfs.as_ref().map_or(path.as_path(), |rootfs| &rootfs.root);
            self.facts.holds(&tree.source, &path) || tree.source.starts_with(root)
        };
        if let Some(tree) = trees.find(within) {
            let tree = tree.path.clone();
            return Err(self.fault(RootfsFault::Within { path, tree }.into(), text));
        }
        // What was unpacked lies in a place of ours, and is nobody else's to write.
        let directory = seen.kind == Kind::Directory;
        if let Some(why) = self.too_wide(&path).filter(|_| directory) {
            return Err(self.fault(RootfsFault::TooWide { path, why }.into(), text));
        }
        let (person, uid) = (&self.facts.person, seen.uid);
        let alone = seen.gid == person.caller_gid && person.caller_gid == person.caller_uid;
        let others = seen.mode & if alone { 0o002 } else { 0o022 } != 0;
        if others || ![0, person.caller_uid].contains(&uid) {
            let mode = seen.mode;
            return Err(self.fault(RootfsFault::Shared { path, uid, mode }.into(), text));
        }
        let Some(rootfs) = &self.facts.rootfs else {
            let why = "nobody looked into it".to_owned();
            return Err(self.fault(Fault::CannotLook { path, why }, text));
        };
        let is_there =
            |name: &&&str| rootfs.paths.get(Path::new(**name)).is_some_and(Option::is_some);
        if ["/usr", "/bin"].iter().find(is_there).is_none() {
            return Err(self.fault(RootfsFault::NoSystem { path }.into(), text));
        }
        Ok(rootfs)
    }

    /// Every tree that is attached in one of the root file system's finds its place there, nothing in
    /// it is hidden by a name of the host's, and our own files of `/etc` have theirs.
    pub(super) fn has_places(
        &self,
        grants: &[Grant],
        workspace: &Grant,
        home: &Path,
    ) -> Result<(), PolicyError> {
        let (Some(text), Some(rootfs)) = (&self.document.rootfs, &self.facts.rootfs) else {
            return Ok(());
        };
        let system = |path: &Path| innermost(grants, workspace, path) == Some(Origin::System);
        let of_system = |tree: &&Grant| tree.origin != Origin::System && system(&above(&tree.path));
        let trees = grants.iter().chain([workspace]).filter(of_system);
        let trees = trees.map(|tree| tree.path.as_path());
        let homes = [home].into_iter().filter(|home| system(home));
        if let Some(path) = trees.chain(homes).find(|path| !has_place(rootfs, path)) {
            let (path, root) = (path.to_owned(), rootfs.root.clone());
            return Err(self.fault(RootfsFault::NoPlace { path, root }.into(), text));
        }
        for name in self.document.hide.iter().chain(&self.document.mask) {
            let path = super::written::place(name, self.document, self.facts);
            if let Some(path) = path.filter(|path| system(path)) {
                return Err(self.fault(RootfsFault::Hidden { path }.into(), name));
            }
        }
        let lacking: Vec<PathBuf> = view::ETC_OURS
            .iter()
            .map(PathBuf::from)
            .filter(|path| ours(rootfs, grants, path).is_none())
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let root = rootfs.root.clone();
        Err(self.fault(RootfsFault::Lacks { root, lacking }.into(), text))
    }
}

fn above(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// Why the innermost tree that holds `path` is in the view.
fn innermost(grants: &[Grant], workspace: &Grant, path: &Path) -> Option<Origin> {
    let holding = grants.iter().chain([workspace]).filter(|tree| path.starts_with(&tree.path));
    holding.max_by_key(|tree| tree.path.components().count()).map(|tree| tree.origin)
}

/// Whether something that is no link, and behind none, can be mounted over at `path`.
fn has_place(rootfs: &facts::Rootfs, path: &Path) -> bool {
    let seen = rootfs.paths.get(path).and_then(Option::as_ref);
    seen.is_some_and(|seen| seen.real.is_none() && seen.kind != Kind::Link)
}

/// Whether a link at the root leads to or into a directory there that is in the view.
fn leads_in(rootfs: &facts::Rootfs, link: &Seen) -> bool {
    let Some(real) = &link.real else { return false };
    let top: PathBuf = real.components().take(2).collect();
    let seen = rootfs.paths.get(&top).and_then(Option::as_ref);
    let shown = top.to_str().is_some_and(|name| !view::NOT_OF_A_ROOTFS.contains(&name));
    shown && seen.is_some_and(|seen| seen.kind == Kind::Directory)
}

/// Where our own file for `path` stands: over the one that is there, or where nothing of the root file
/// system is in view.
fn ours(rootfs: &facts::Rootfs, grants: &[Grant], path: &Path) -> Option<PathBuf> {
    let seen = |path: &Path| rootfs.paths.get(path).and_then(Option::as_ref);
    let at = seen(path).and_then(|seen| seen.real.clone()).unwrap_or_else(|| path.to_owned());
    if in_view(grants, &at) {
        return seen(&at).is_some_and(|seen| seen.kind == Kind::File).then_some(at);
    }
    (at == path || at.starts_with("/run")).then_some(at)
}

/// Our own files of `/etc`, where a root file system stands for the host's.
pub(super) fn replaced(rootfs: &facts::Rootfs, grants: &[Grant]) -> Vec<Replaced> {
    let all = view::ETC_OURS.iter().map(PathBuf::from);
    let by = Ours::Own;
    all.filter_map(|path| Some(Replaced { at: ours(rootfs, grants, &path)?, path, by })).collect()
}

/// What must be looked at in a root file system, besides the places of trees: what stands in `/etc`.
#[must_use]
pub fn wanted_in_rootfs(document: &Document) -> BTreeSet<PathBuf> {
    let lists = [view::ETC_HIDDEN, view::ETC_OURS].into_iter().flatten().map(PathBuf::from);
    lists.chain(super::trust::wanted(document)).collect()
}
