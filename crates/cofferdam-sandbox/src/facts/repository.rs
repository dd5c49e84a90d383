//! Finds the repository that the workspace belongs to, where its git directory is elsewhere.
//!
//! Whatever is in the workspace an earlier workload may have written: a `.git` that is a file and
//! names another project's git directory, or a directory that looks like part of one. So a git
//! directory outside is told only where it names this very work tree itself; whose it is and
//! whether it may be shown is decided from Facts. Symbolic links are never followed to a `.git`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use cofferdam_plan::facts::Enclosing;

use super::git::{Found, LINE_BYTES_MAX, Unknown, beginning, parse_gitdir};
use super::{FactsError, Looked, utf8};
use crate::gitconfig;

/// A submodule's configuration; those of people are a page. Bytes.
const CONFIG_BYTES_MAX: u64 = 256 << 10;

impl Looked {
    /// The repository around `workspace`, its git directories added to `directories`.
    pub(super) fn enclosing(
        &mut self,
        workspace: &Path,
        home: &Path,
        directories: &mut Vec<PathBuf>,
    ) -> Result<Option<Enclosing>, FactsError> {
        let Some(found) = nearest(workspace, home) else { return Ok(None) };
        let (top, directory) = match found {
            Ok(found) => found,
            Err((at, why)) => return Ok(Some(Enclosing::LeftOut { at, why })),
        };
        let mut all = Found::default();
        if let Err(Unknown(why)) = all.push(directory.clone()).and_then(|()| all.below(&directory))
        {
            return Ok(Some(Enclosing::LeftOut { at: directory, why }));
        }
        for path in [&top, &directory, &top.join(".git")] {
            utf8(path.clone(), "a git directory")?;
            for above in path.ancestors() {
                self.look(above.to_owned())?;
            }
        }
        for at in all.directories {
            if !directories.contains(&at) {
                self.git_directory(&at)?;
                directories.push(at);
            }
        }
        Ok(Some(Enclosing::Found { top, directory }))
    }
}

/// The top of the work tree and its git directory; or a `.git` that is not believed, and why.
type Nearest = Result<(PathBuf, PathBuf), (PathBuf, String)>;

fn nearest(workspace: &Path, home: &Path) -> Option<Nearest> {
    for top in workspace.ancestors() {
        let dot = top.join(".git");
        let Ok(seen) = fs::symlink_metadata(&dot) else { continue };
        let own = top == workspace;
        if !own && home.starts_with(top) {
            return Some(Err((dot, "it is the home directory's".into())));
        }
        if seen.is_symlink() {
            // In the workspace itself it is refused where guards are decided.
            return (!own).then(|| Err((dot, "it is a symbolic link".into())));
        }
        if seen.is_file() {
            return linked(top, &dot);
        }
        if own {
            return None;
        }
        if is_repository(&dot) {
            if fs::symlink_metadata(dot.join("commondir")).is_ok() {
                return Some(Err((dot, "its commondir leads elsewhere".into())));
            }
            return Some(Ok((top.to_owned(), dot)));
        }
        // Git goes on from there too.
    }
    None
}

/// What git takes for a git directory (`gitrepository-layout(5)`).
fn is_repository(at: &Path) -> bool {
    let is = |name: &str| fs::symlink_metadata(at.join(name));
    is("HEAD").is_ok_and(|seen| seen.is_file() || seen.is_symlink())
        && is("objects").is_ok_and(|seen| seen.is_dir())
        && is("refs").is_ok_and(|seen| seen.is_dir())
}

/// Where the file `dot` leads, if what is there leads back. `None` where it leads into the work
/// tree itself: that is in view as it is.
fn linked(top: &Path, dot: &Path) -> Option<Nearest> {
    let not = |why: &str| Some(Err((dot.to_owned(), why.to_owned())));
    let text = beginning(dot, LINE_BYTES_MAX).ok().flatten().unwrap_or_default();
    let Some(path) = parse_gitdir(&text) else { return not("it is no `gitdir: PATH`") };
    let Ok(real) = fs::canonicalize(top.join(path)) else {
        return not("what it names is not there");
    };
    if real.starts_with(top) {
        return None;
    }
    let above = real.parent().filter(|above| above.ends_with("worktrees"));
    let directory = match above.and_then(Path::parent) {
        Some(common) => {
            if !leads_back(&real, top) {
                return not("the worktree that it names is another one");
            }
            if named_in(&real, "commondir").as_deref() != Some(common) {
                return not("the worktree that it names has its repository elsewhere");
            }
            if !is_named_so(common) {
                return not("its repository is called neither .git, NAME.git nor .bare");
            }
            common.to_owned()
        }
        None if is_module(&real) => {
            if !has_work_tree(&real, top) {
                return not("the submodule that it names is another one");
            }
            real
        }
        None => {
            return not("what it names says of no work tree; grant that directory if it is meant");
        }
    };
    if !is_repository(&directory) {
        return not("what it names is no repository");
    }
    Some(Ok((top.to_owned(), directory)))
}

/// Whether a directory is called as people call a git directory. A tree that a workload could write
/// once must not become one with all that its owner keeps there.
fn is_named_so(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".git") || name == ".bare"
}

/// The path in the one line of a file in `directory`.
fn named_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let text = beginning(&directory.join(name), LINE_BYTES_MAX).ok()??;
    let text = std::str::from_utf8(&text).ok()?.trim_end_matches(['\n', '\r']);
    if text.is_empty() || text.contains(['\n', '\0']) {
        return None;
    }
    Some(lexical(directory, Path::new(text)))
}

/// `path` from the real path `from`, by its words alone. Whoever owns a work tree can make a link in it,
/// so what a link leads to is not what was named.
fn lexical(from: &Path, path: &Path) -> PathBuf {
    let mut out = from.to_owned();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// Whether the worktree's directory `at` names the `.git` of `top` (`git-worktree(1)`).
fn leads_back(at: &Path, top: &Path) -> bool {
    named_in(at, "gitdir").is_some_and(|dot| dot == top.join(".git"))
}

/// Whether it lies where a superproject keeps its submodules (`gitsubmodules(7)`).
fn is_module(at: &Path) -> bool {
    at.ancestors().skip(1).any(|above| above.ends_with(".git/modules"))
}

/// Whether the configuration in `at` says that `top` is its work tree.
fn has_work_tree(at: &Path, top: &Path) -> bool {
    let text = beginning(&at.join("config"), CONFIG_BYTES_MAX).ok().flatten().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(&text) else { return false };
    let named = gitconfig::value(text, "core", "worktree");
    named.is_some_and(|named| lexical(at, Path::new(&named)) == top)
}
