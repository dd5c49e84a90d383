//! Names as a policy writes them: where each stands, and what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Resolver, absolute, workspace_path};
use crate::document::{Document, Located};
use crate::error::{Fault, PolicyError};
use crate::facts::{Kind, Seen};
use crate::judge::pattern::{Meets, Pattern};
use crate::model::{Clause, Grant, Origin};
use crate::read::is_pattern;
use crate::view;

/// Any number of directories.
const ANY: &str = "**";

/// Where a name stands.
enum Written {
    /// At one path.
    At(PathBuf),
    /// Below one directory, by a pattern.
    Below(PathBuf, Pattern),
    /// In the workspace and in every tree that a person granted, by a pattern.
    Everywhere(Pattern),
}

/// A path of the policy, looked at.
pub(super) struct Name<'d> {
    pub(super) path: PathBuf,
    /// What is there; it may come later.
    pub(super) seen: Option<Seen>,
    pub(super) text: &'d Located<String>,
}

/// A pattern of the policy, with the directories that it starts in.
pub(super) struct Glob<'d> {
    pub(super) tops: Vec<PathBuf>,
    pub(super) pattern: Pattern,
    pub(super) text: &'d Located<String>,
}

/// What one list of the policy names.
#[derive(Default)]
pub(super) struct Names<'d> {
    pub(super) each: Vec<Name<'d>>,
    pub(super) globs: Vec<Glob<'d>>,
}

impl Name<'_> {
    pub(super) fn clause(&self) -> &Clause {
        &self.text.clause
    }
}

impl Glob<'_> {
    pub(super) fn clause(&self) -> &Clause {
        &self.text.clause
    }

    /// Whether it names `path` or something above it.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.tops.iter().any(|top| match self.pattern.meets(top, path) {
            Meets::At | Meets::Below => true,
            Meets::Above | Meets::No => false,
        })
    }
}

/// A name of the text is relative to the workspace, one of a flag to the working directory.
fn written(name: &Located<String>, document: &Document, home: &Path, cwd: &Path) -> Written {
    let workspace = workspace_path(document, home, cwd);
    let base = if name.flag.is_some() { cwd } else { &workspace };
    let text = name.value.as_str();
    if !is_pattern(text) {
        return Written::At(absolute(text, home, base));
    }
    if text.split('/').next() == Some(ANY) {
        return Written::Everywhere(Pattern::new(text));
    }
    // The longest part without a wildcard.
    let words: Vec<&str> = text.split('/').collect();
    let plain = words.iter().take_while(|word| !is_pattern(word)).count();
    let (above, below) = words.split_at_checked(plain).unwrap_or_default();
    let above = above.join("/");
    let top = if above.is_empty() && text.starts_with('/') { "/" } else { above.as_str() };
    let words: Vec<&str> =
        below.iter().copied().filter(|word| !word.is_empty() && *word != ".").collect();
    Written::Below(absolute(top, home, base), Pattern::new(&words.join("/")))
}

/// What must be looked at: each name, and the directories that lead to it.
pub(super) fn wanted(document: &Document, home: &Path, cwd: &Path) -> BTreeSet<PathBuf> {
    let names = document.hide.iter().chain(&document.mask).chain(&document.protect);
    let paths = names.filter_map(|name| match written(name, document, home, cwd) {
        Written::At(path) | Written::Below(path, _) => Some(path),
        Written::Everywhere(_) => None,
    });
    let workspace = workspace_path(document, home, cwd);
    let sockets = document.sockets.iter().map(|name| absolute(&name.value, home, &workspace));
    let paths = paths.chain(sockets);
    paths.flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

/// Where `name` stands, or begins to; `None` where it may stand in any of a person's trees.
pub(super) fn place(
    name: &Located<String>,
    document: &Document,
    facts: &crate::Facts,
) -> Option<PathBuf> {
    match written(name, document, &facts.home, &facts.cwd) {
        Written::At(path) | Written::Below(path, _) => Some(path),
        Written::Everywhere(_) => None,
    }
}

/// Those of `names` that stand at one path, with where and whose rule.
pub(crate) fn paths<'d>(
    names: impl Iterator<Item = &'d Located<String>>,
    document: &Document,
    facts: &crate::Facts,
) -> Vec<(PathBuf, &'d Clause)> {
    let at = |name: &'d Located<String>| match written(name, document, &facts.home, &facts.cwd) {
        Written::At(path) => Some((path, &name.clause)),
        Written::Below(..) | Written::Everywhere(_) => None,
    };
    names.filter_map(at).collect()
}

impl Resolver<'_> {
    /// The names of one list. None is a symbolic link or lies behind one, whether it exists or not.
    pub(super) fn listed<'d>(
        &self,
        list: &'d [Located<String>],
        workspace: &Grant,
        grants: &[Grant],
    ) -> Result<Names<'d>, PolicyError> {
        let mut names = Names::default();
        for text in list {
            match written(text, self.document, &self.facts.home, &self.facts.cwd) {
                Written::At(path) => {
                    let seen = self.looked(&path, text)?.cloned();
                    self.unreserved(&path, text)?;
                    names.each.push(Name { path, seen, text });
                }
                Written::Below(top, pattern) => {
                    self.looked(&top, text)?;
                    if pattern.text().split('/').next() != Some(ANY) {
                        self.unreserved(&top, text)?;
                    }
                    let tops = shown_at(&top, &pattern, workspace, grants);
                    names.globs.push(Glob { tops, pattern, text });
                }
                Written::Everywhere(pattern) => {
                    let tops = persons(workspace, grants);
                    names.globs.push(Glob { tops, pattern, text });
                }
            }
        }
        Ok(names)
    }

    /// What is at `path`. The innermost that exists, of it and what is above it, says whether a link
    /// is on the way.
    fn looked(&self, path: &Path, text: &Located<String>) -> Result<Option<&Seen>, PolicyError> {
        for at in path.ancestors() {
            if let Some(why) = self.facts.unseen.get(at) {
                let (path, why) = (at.to_owned(), why.clone());
                return Err(self.fault(Fault::CannotLook { path, why }, text));
            }
            let Some(seen) = self.facts.seen(at) else { continue };
            if seen.kind == Kind::Link || seen.real.as_ref().is_some_and(|real| real != at) {
                let (path, real) = (at.to_owned(), seen.real.clone());
                return Err(self.fault(Fault::SymbolicLink { path, real }, text));
            }
            return Ok((at == path).then_some(seen));
        }
        Ok(None)
    }

    /// Nobody names what is cofferdam's own inside, or the root.
    fn unreserved(&self, path: &Path, text: &Located<String>) -> Result<(), PolicyError> {
        let root = Path::new("/");
        let place = view::RESERVED.iter().map(Path::new).find(|place| path.starts_with(place));
        match place.or_else(|| (path == root).then_some(root)) {
            Some(place) => {
                let (path, place) = (path.to_owned(), place.to_owned());
                Err(self.fault(Fault::ReservedPath { path, place }, text))
            }
            None => Ok(()),
        }
    }

    /// The sockets of the host's that may be connected to: in view, there or not yet.
    pub(super) fn sockets(&self, trees: &[&Grant]) -> Result<Vec<(PathBuf, Clause)>, PolicyError> {
        let workspace = workspace_path(self.document, &self.facts.home, &self.facts.cwd);
        let mut sockets = Vec::new();
        for text in &self.document.sockets {
            let path = absolute(&text.value, &self.facts.home, &workspace);
            self.unreserved(&path, text)?;
            let kind = self.looked(&path, text)?.map(|seen| seen.kind);
            if kind.is_some_and(|kind| kind != Kind::Other) {
                return Err(self.fault(Fault::NotASocket { path }, text));
            }
            let mut all = trees.iter();
            if !all.any(|tree| path != tree.path && path.starts_with(&tree.path)) {
                return Err(self.fault(Fault::SocketOutside { path }, text));
            }
            sockets.push((path, text.clause.clone()));
        }
        Ok(sockets)
    }
}

/// The workspace and the trees that a person granted, each that lies in no other of them.
fn persons(workspace: &Grant, grants: &[Grant]) -> Vec<PathBuf> {
    let persons = grants.iter().filter(|grant| match grant.origin {
        Origin::Workspace | Origin::Granted | Origin::Repository => true,
        Origin::System | Origin::Toolchain | Origin::Preset => false,
    });
    let all: Vec<&PathBuf> = persons.chain([workspace]).map(|tree| &tree.path).collect();
    let outer =
        |top: &&&PathBuf| !all.iter().any(|other| *other != **top && top.starts_with(other));
    all.iter().filter(outer).map(|top| (*top).clone()).collect()
}

/// `top`, and where else it stands inside: a system's tree that a link leads to is shown at the
/// link's name.
fn shown_at(top: &Path, pattern: &Pattern, workspace: &Grant, grants: &[Grant]) -> Vec<PathBuf> {
    let any = pattern.text().split('/').next() == Some(ANY);
    let moved = grants.iter().chain([workspace]).filter(|tree| tree.source != tree.path);
    let others = moved.filter_map(|tree| match top.strip_prefix(&tree.source) {
        Ok(below) => Some(tree.path.components().chain(below.components()).collect()),
        Err(_) => (any && tree.source.starts_with(top)).then(|| tree.path.clone()),
    });
    [top.to_owned()].into_iter().chain(others).collect()
}
