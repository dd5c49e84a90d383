//! Document and Facts to Policy: every path absolute, checked, and tied to what was seen there.
//!
//! Pure. Refuses rather than repairs: a path that is a symbolic link, too wide or not there is an
//! error at the line that names it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::document::{Document, GrantText, Located, matches};
use crate::error::{Fault, PolicyError};
use crate::facts::{Facts, Kind, Seen};
use crate::model::{Clause, Grant, Guarded, Mode, Origin, Policy, Shown, Variable};
use crate::view;

/// The workspace's path as written in `document`, made absolute.
#[must_use]
pub fn workspace_path(document: &Document, home: &Path, cwd: &Path) -> PathBuf {
    absolute(&document.workspace.value.path, home, cwd)
}

/// Every path that [`resolve`] will ask Facts about.
///
/// The caller looks at each once, without following a last symbolic link, and at what such a link
/// leads to.
#[must_use]
pub fn wanted_paths(document: &Document, home: &Path, cwd: &Path) -> BTreeSet<PathBuf> {
    let workspace = workspace_path(document, home, cwd);
    let mut paths: BTreeSet<PathBuf> = document
        .grants
        .iter()
        .map(|grant| absolute(&grant.value.path, home, cwd))
        .chain(view::TOOLCHAINS.iter().map(|name| home.join(name)))
        .collect();
    for list in [view::SYSTEM, view::ETC_HIDDEN, view::ETC_OURS] {
        paths.extend(list.iter().map(PathBuf::from));
    }
    for name in view::PROTECTED {
        paths.extend(steps_down(&workspace, Path::new(name)));
    }
    paths.insert(workspace);
    paths
}

/// `workspace/.git`, then `workspace/.git/hooks`, for `.git/hooks`.
fn steps_down(top: &Path, below: &Path) -> Vec<PathBuf> {
    let mut at = top.to_owned();
    below
        .components()
        .map(|part| {
            at.push(part);
            at.clone()
        })
        .collect()
}

/// Expands `~` and makes `text` absolute, dropping `.`; the Document has refused `..`.
fn absolute(text: &str, home: &Path, cwd: &Path) -> PathBuf {
    let joined = match text.strip_prefix('~') {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => cwd.join(text),
    };
    joined.components().filter(|part| *part != Component::CurDir).collect()
}

/// Makes the Policy.
///
/// `command_cwd` is where the caller stands: the workload starts there if it is inside the
/// workspace, else at the workspace's root. It never changes what is granted.
///
/// # Errors
/// The first rule that cannot hold on this machine, with its place in the text.
pub fn resolve(document: &Document, facts: &Facts) -> Result<Policy, PolicyError> {
    let resolver = Resolver { document, facts };
    let workspace = resolver.workspace()?;
    let mut grants = resolver.grants(&workspace)?;
    let mut workspace = workspace;
    // At equal paths the most restrictive wins, the workspace being one grant among them.
    grants.retain(|grant| {
        let same = grant.path == workspace.path;
        if same && grant.mode < workspace.mode {
            workspace.mode = grant.mode;
            workspace.clause = grant.clause.clone();
        }
        !same
    });
    let (system, root_links) = resolver.system();
    let built_in: Vec<Grant> = system
        .into_iter()
        .filter(|tree| !named(&grants, &workspace, &tree.path))
        .chain(resolver.toolchains().into_iter().filter(|t| !held(&grants, &workspace, &t.path)))
        .collect();
    grants.extend(built_in);
    grants.sort_by(|a, b| a.path.cmp(&b.path));
    let (guarded, unguarded) = resolver.guarded(&workspace)?;
    let own = resolver.own_programs(&grants, &workspace);
    let etc = |list: &[&str]| -> Vec<(PathBuf, Seen)> {
        list.iter()
            .filter_map(|name| Some((PathBuf::from(name), facts.seen(Path::new(name))?.clone())))
            .collect()
    };
    let cwd = if facts.cwd.starts_with(&workspace.path) {
        facts.cwd.clone()
    } else {
        workspace.path.clone()
    };
    let environment = resolver.environment(&grants, &workspace);
    let withheld = facts
        .environment_names
        .iter()
        .filter(|name| !environment.iter().any(|variable| variable.name == **name))
        .cloned()
        .collect();
    Ok(Policy {
        isolation: document.isolation.value,
        isolation_clause: document.isolation.clause.clone(),
        workspace,
        grants,
        guarded,
        unguarded,
        own,
        hidden: etc(view::ETC_HIDDEN),
        replaced: etc(view::ETC_OURS),
        root_links,
        home: facts.home.clone(),
        home_clause: document.home.clone(),
        person: facts.person.clone(),
        cwd,
        environment,
        withheld,
        network_clause: document.network.clone(),
    })
}

/// Whether a person's grant names exactly `path`.
fn named(grants: &[Grant], workspace: &Grant, path: &Path) -> bool {
    workspace.path == path || grants.iter().any(|grant| grant.path == path)
}

/// Whether the workspace or a person's grant already holds `path`; system trees do not count.
fn held(grants: &[Grant], workspace: &Grant, path: &Path) -> bool {
    path.starts_with(&workspace.path)
        || grants
            .iter()
            .any(|grant| grant.origin == Origin::Granted && path.starts_with(&grant.path))
}

struct Resolver<'a> {
    document: &'a Document,
    facts: &'a Facts,
}

impl Resolver<'_> {
    fn fault<T>(&self, fault: Fault, at: &Located<T>) -> PolicyError {
        at.fault(fault, &self.document.source)
    }

    /// The checks that a workspace and a grant share.
    fn granted(&self, text: &Located<GrantText>, origin: Origin) -> Result<Grant, PolicyError> {
        let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
        let Some(seen) = self.facts.seen(&path) else {
            return Err(self.fault(Fault::NotFound { path, clause: text.clause.clone() }, text));
        };
        if let Some(place) = view::RESERVED.iter().find(|place| path.starts_with(place)) {
            return Err(self.fault(Fault::ReservedPath { path, place: (*place).into() }, text));
        }
        let hidden = view::ETC_HIDDEN.iter().chain(view::ETC_OURS);
        if let Some(place) = hidden.into_iter().find(|place| path.starts_with(place)) {
            return Err(self.fault(Fault::ReservedPath { path, place: (*place).into() }, text));
        }
        if seen.kind == Kind::Link || seen.real.as_ref().is_some_and(|real| *real != path) {
            let real = seen.real.clone();
            return Err(self.fault(Fault::SymbolicLink { path, real }, text));
        }
        if seen.kind == Kind::Other {
            return Err(self.fault(Fault::NotRegular { path }, text));
        }
        Ok(Grant {
            source: path.clone(),
            path,
            mode: text.value.mode,
            origin,
            seen: seen.clone(),
            clause: text.clause.clone(),
        })
    }

    fn workspace(&self) -> Result<Grant, PolicyError> {
        let text = &self.document.workspace;
        let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
        if let Some(why) = self.too_wide(&path) {
            return Err(self.fault(Fault::WorkspaceTooWide { path, why }, text));
        }
        let grant = self.granted(text, Origin::Workspace)?;
        if grant.seen.kind != Kind::Directory {
            return Err(self.fault(Fault::NotADirectory { path: grant.path }, text));
        }
        Ok(grant)
    }

    fn grants(&self, workspace: &Grant) -> Result<Vec<Grant>, PolicyError> {
        let mut grants: Vec<Grant> = Vec::new();
        for text in &self.document.grants {
            let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
            if let Some(why) = self.too_wide(&path) {
                return Err(self.fault(Fault::GrantTooWide { path, why }, text));
            }
            let grant = self.granted(text, Origin::Granted)?;
            if workspace.path != grant.path && workspace.path.starts_with(&grant.path) {
                let why = "it holds the workspace, which has its own rule".to_owned();
                return Err(self.fault(Fault::GrantTooWide { path: grant.path, why }, text));
            }
            match grants.iter_mut().find(|earlier| earlier.path == grant.path) {
                Some(earlier) if earlier.mode <= grant.mode => {}
                Some(earlier) => *earlier = grant,
                None => grants.push(grant),
            }
        }
        Ok(grants)
    }

    /// Why a tree is too much to hand over, if it is.
    fn too_wide(&self, path: &Path) -> Option<String> {
        let facts = self.facts;
        if path == Path::new("/") {
            return Some("it is the whole machine".into());
        }
        if facts.home.starts_with(path) {
            return Some("it is or holds the home directory".into());
        }
        if let Some(place) =
            view::SHARED_TEMPORARY.iter().find(|place| Path::new(place).starts_with(path))
        {
            return Some(format!("it is or holds the shared temporary directory {place}"));
        }
        if let Some(place) =
            facts.own_places.iter().find(|place| place.starts_with(path) || path.starts_with(place))
        {
            return Some(format!(
                "cofferdam keeps its configuration or state in {}",
                place.display()
            ));
        }
        view::SYSTEM
            .iter()
            .chain(view::RESERVED)
            .find(|place| path == Path::new(place) && **place != "/opt")
            .map(|place| format!("{place} belongs to the system"))
    }

    /// System trees, and the names at the root that are links into them.
    fn system(&self) -> (Vec<Grant>, Vec<(PathBuf, PathBuf)>) {
        let (mut trees, mut links) = (Vec::new(), Vec::new());
        for name in view::SYSTEM {
            let path = PathBuf::from(name);
            let Some(seen) = self.facts.seen(&path) else { continue };
            let real = seen.real.clone().unwrap_or_else(|| path.clone());
            let inside = view::SYSTEM.iter().any(|tree| *tree != *name && real.starts_with(tree));
            match (&seen.link, inside) {
                (Some(link), true) => links.push((path, link.clone())),
                _ => trees.extend(self.built_in_tree(path, Origin::System, "filesystem.system")),
            }
        }
        (trees, links)
    }

    fn toolchains(&self) -> Vec<Grant> {
        let trees = view::TOOLCHAINS.iter().map(|name| self.facts.home.join(name));
        trees
            .filter_map(|path| self.built_in_tree(path, Origin::Toolchain, "filesystem.toolchains"))
            .collect()
    }

    /// A built-in tree if it is there; by its real path where a symbolic link leads to it.
    fn built_in_tree(&self, path: PathBuf, origin: Origin, clause: &str) -> Option<Grant> {
        let seen = self.facts.seen(&path)?;
        let source = seen.real.clone().unwrap_or_else(|| path.clone());
        let seen = self.facts.seen(&source)?.clone();
        let whole = seen.kind == Kind::Directory && self.too_wide_source(&source).is_none();
        whole.then(|| Grant {
            path,
            source,
            mode: Mode::ReadOnly,
            origin,
            seen,
            clause: Clause::built_in(clause),
        })
    }

    /// A toolchain that is a link to the home or to our state would hand that over.
    fn too_wide_source(&self, source: &Path) -> Option<String> {
        if view::SYSTEM.iter().any(|place| Path::new(place) == source) {
            return None;
        }
        self.too_wide(source)
    }

    /// The protected names that exist, and those that do not.
    fn guarded(&self, workspace: &Grant) -> Result<(Vec<Guarded>, Vec<PathBuf>), PolicyError> {
        let (mut guarded, mut absent) = (Vec::new(), Vec::new());
        if workspace.mode == Mode::ReadOnly {
            return Ok((guarded, absent));
        }
        for name in view::PROTECTED {
            let steps = steps_down(&workspace.path, Path::new(name));
            match self.guard(&steps, &Clause::built_in("filesystem.protect"))? {
                Some(kept) if guarded.contains(&kept) => {}
                Some(kept) => guarded.push(kept),
                None => absent.extend(steps.into_iter().next_back()),
            }
        }
        Ok((guarded, absent))
    }

    /// Guards the last of `steps` if all of them exist. A file among the outer ones (`.git` in a
    /// worktree) is guarded itself: it says where the real directory is.
    fn guard(&self, steps: &[PathBuf], clause: &Clause) -> Result<Option<Guarded>, PolicyError> {
        let mut ancestors = Vec::new();
        for (index, path) in steps.iter().enumerate() {
            let Some(seen) = self.facts.seen(path) else { return Ok(None) };
            let path = path.clone();
            let last = index + 1 == steps.len();
            match seen.kind {
                Kind::Link => return Err(PolicyError::plain(Fault::GuardedLink { path })),
                Kind::Other => return Err(PolicyError::plain(Fault::NotRegular { path })),
                Kind::File if seen.links > 1 => {
                    let links = seen.links;
                    return Err(PolicyError::plain(Fault::GuardedHardLink { path, links }));
                }
                Kind::Directory if !last => ancestors.push((path, seen.clone())),
                Kind::File | Kind::Directory => {
                    let (seen, clause) = (seen.clone(), clause.clone());
                    return Ok(Some(Guarded { path, seen, ancestors, clause }));
                }
            }
        }
        Ok(None)
    }

    /// Our own programs that lie below a writable tree. They may have more than one link (cargo
    /// makes them so): while they run the kernel refuses to write them (`ETXTBSY`).
    fn own_programs(&self, grants: &[Grant], workspace: &Grant) -> Vec<Guarded> {
        let clause = Clause::built_in("filesystem.own-programs");
        let writable = grants.iter().chain([workspace]).filter(|g| g.mode == Mode::ReadWrite);
        let tops: Vec<&Path> = writable.map(|grant| grant.path.as_path()).collect();
        self.facts
            .own_programs
            .iter()
            .filter_map(|program| {
                let top = tops.iter().filter(|top| program.starts_with(top)).max()?;
                let steps = steps_down(top, program.strip_prefix(top).ok()?);
                let (last, outer) = steps.split_last()?;
                let ancestors = outer
                    .iter()
                    .map(|path| Some((path.clone(), self.facts.seen(path)?.clone())))
                    .collect::<Option<Vec<_>>>()?;
                let seen = self.facts.seen(last)?.clone();
                Some(Guarded { path: last.clone(), seen, ancestors, clause: clause.clone() })
            })
            .collect()
    }

    fn environment(&self, grants: &[Grant], workspace: &Grant) -> Vec<Variable> {
        let ours = Clause::built_in("environment");
        let home = self.facts.home.display().to_string();
        let name = self.facts.person.name.clone();
        let mut variables: Vec<Variable> = [
            ("HOME", home),
            ("USER", name.clone()),
            ("LOGNAME", name),
            ("TMPDIR", "/tmp".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("PATH", self.visible_path(grants, workspace)),
        ]
        .map(|(name, value)| Variable {
            name: name.into(),
            value,
            shown: Shown::Value,
            clause: ours.clone(),
        })
        .into();
        let by_default = |name: &str| view::DEFAULT_VARIABLES.iter().any(|p| matches(p, name));
        for pattern in &self.document.variables {
            let passed = self.facts.environment.iter().filter(|(n, _)| matches(&pattern.value, n));
            for (name, value) in passed {
                if variables.iter().all(|variable| variable.name != *name) {
                    variables.push(Variable {
                        name: name.clone(),
                        value: value.clone(),
                        shown: if by_default(name) { Shown::Value } else { Shown::NameOnly },
                        clause: pattern.clause.clone(),
                    });
                }
            }
        }
        for set in &self.document.set {
            let (name, value) = set.value.clone();
            variables.retain(|variable| variable.name != name);
            let clause = set.clause.clone();
            variables.push(Variable { name, value, shown: Shown::NameOnly, clause });
        }
        variables
    }

    /// The caller's `PATH` without what the workload cannot see, and without relative entries.
    fn visible_path(&self, grants: &[Grant], workspace: &Grant) -> String {
        let visible = |entry: &&PathBuf| {
            let linked = view::SYSTEM.iter().any(|tree| entry.starts_with(tree));
            let granted = grants.iter().chain([workspace]).any(|g| entry.starts_with(&g.path));
            entry.is_absolute() && (linked || granted)
        };
        let kept: Vec<String> =
            self.facts.path.iter().filter(visible).map(|p| p.display().to_string()).collect();
        if kept.is_empty() { view::FALLBACK_PATH.join(":") } else { kept.join(":") }
    }
}
