//! Document and Facts to Policy: every path absolute, checked, and tied to what was seen there.
//!
//! Pure. Refuses rather than repairs: a path that is a symbolic link, too wide or not there is an
//! error at the line that names it.

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod credential_tests;
mod credentials;
#[cfg(test)]
mod fixture;
mod guard;
mod hold;
#[cfg(test)]
mod layers_tests;
mod names;
mod network;
#[cfg(test)]
mod page_tests;
mod preset;
mod repository;
mod rootfs;
#[cfg(test)]
mod rootfs_tests;
mod shared;
mod trust;
mod width;
mod written;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::ceiling;
use crate::document::{Document, GrantText, Located, Presence, Setting, matches};
use crate::error::{Fault, PolicyError};
use crate::facts::{Facts, Kind, Seen};
use crate::model::{
    Clause, Grant, Isolation, LeftOut, Missing, Mode, Origin, Ours, Oversight, Policy, Replaced,
    Shown, Variable,
};
use crate::view;
pub use network::trusted_files;
pub use rootfs::{rootfs_path, wanted_in_rootfs};
pub use shared::listed;
use shared::moved;
pub(crate) use written::paths as written_paths;

/// The workspace's path as written in `document`, made absolute.
#[must_use]
pub fn workspace_path(document: &Document, home: &Path, cwd: &Path) -> PathBuf {
    absolute(&document.workspace.value.path, home, cwd)
}

/// The trees that somebody asked for.
#[must_use]
pub fn asked_trees(document: &Document, home: &Path, cwd: &Path) -> Vec<PathBuf> {
    let trees = document.grants.iter().chain([&document.workspace]);
    trees.map(|tree| absolute(&tree.value.path, home, cwd)).collect()
}

/// Those of them that shall be written.
#[must_use]
pub fn writable_trees(document: &Document, home: &Path, cwd: &Path) -> Vec<PathBuf> {
    let writable = document.grants.iter().chain([&document.workspace]);
    let writable = writable.filter(|tree| tree.value.mode.is_written());
    writable.map(|tree| absolute(&tree.value.path, home, cwd)).collect()
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
        .chain(document.presets.iter().flat_map(|preset| &preset.grants))
        .map(|grant| absolute(&grant.value.path, home, cwd))
        .chain(view::TOOLCHAINS.iter().map(|name| home.join(name)))
        .collect();
    paths.extend(written::wanted(document, home, cwd));
    paths.extend(trust::wanted(document));
    paths.extend(rootfs::wanted(document, home, cwd));
    paths.extend(ceiling::wanted(document, home, cwd));
    paths.extend(trusted_files(document, home, cwd).into_iter().map(|file| file.path));
    paths.extend(credentials::wanted(document, home, cwd));
    for list in [view::SYSTEM, view::ETC_HIDDEN, view::ETC_OURS] {
        paths.extend(list.iter().map(PathBuf::from));
    }
    for top in writable_trees(document, home, cwd).into_iter().chain([workspace.clone()]) {
        for name in view::PROTECTED {
            paths.extend(steps_down(&top, Path::new(name)));
        }
        // What is above a tree shows whether it is another name of a place of ours or of a home.
        paths.extend(top.ancestors().map(Path::to_owned));
    }
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
pub(crate) fn absolute(text: &str, home: &Path, cwd: &Path) -> PathBuf {
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
    let policy = resolved(document, facts)?;
    ceiling::hold(document, facts, &policy)?;
    Ok(policy)
}

#[expect(clippy::too_many_lines, reason = "a policy, field by field")]
fn resolved(document: &Document, facts: &Facts) -> Result<Policy, PolicyError> {
    let mut resolver = Resolver { document, facts, inspects: false };
    let (network, network_clause) = resolver.network();
    resolver.inspects = network.rules.inspects();
    resolver.home()?;
    let mut workspace = resolver.workspace()?;
    let (mut grants, mut missing) = resolver.grants(&workspace)?;
    narrow(&mut workspace, &mut grants);
    let (system, root_links, rootfs) = resolver.shown_system(&grants, &workspace)?;
    let (toolchains, left_out) = resolver.toolchains();
    let built_in: Vec<Grant> = system
        .into_iter()
        .filter(|tree| !named(&grants, &workspace, &tree.path))
        .chain(toolchains.into_iter().filter(|t| !held(&grants, &workspace, &t.path)))
        .collect();
    let (of_presets, lacking) = resolver.presets(&grants, &workspace, &built_in);
    missing.extend(lacking);
    grants.extend(built_in.into_iter().chain(of_presets));
    let (of_git, mut repository) = resolver.repository(&workspace, &grants);
    grants.extend(of_git);
    let named = resolver.names(&workspace, &grants)?;
    named.bear_on(&mut grants, &mut workspace);
    repository.shown.retain(|path| grants.iter().any(|grant| grant.path == *path));
    grants.sort_by(|a, b| a.path.cmp(&b.path));
    let (isolation, isolation_clause) = document.kernel()?;
    let kept = resolver.held(&named, (&grants, &workspace), &repository)?;
    let kept_home = resolver.kept_home()?;
    let home = resolver.inner_home(kept_home.as_ref());
    resolver.has_places(&grants, &workspace, &home)?;
    let mut environment = resolver.environment(&grants, &workspace, &home);
    repository.variables(&mut environment);
    let dangers = [resolver.dangers(&environment), document.output.dangers()].concat();
    let view = (grants.as_slice(), &workspace, kept.concealed.as_slice());
    let credentials = resolver.borne(&network, view, &mut environment)?;
    resolver.no_trusted_file_lacks(&network)?;
    let seeds = moved(resolver.seeds(&grants, &workspace), &facts.home, &home);
    let authorities = resolver.system_authorities(&grants, &workspace);
    let withheld = resolver.withheld(&environment);
    Ok(Policy {
        isolation,
        isolation_clause: isolation_clause.clone(),
        oversight: document.oversight.value,
        jail: document.jail.value,
        jail_clause: document.jail.clause.clone(),
        rootfs,
        best_effort: shared::best_effort(document),
        workspace,
        grants,
        guarded: kept.guarded,
        unguarded: kept.unguarded,
        names: kept.names,
        sockets: kept.sockets,
        led_away: kept.led_away,
        concealed: kept.concealed,
        idle: kept.idle,
        own: kept.own,
        etc: shared::etc(document, facts, &kept.hidden),
        hidden: kept.hidden,
        replaced: kept.replaced,
        authorities,
        root_links,
        left_out,
        presets: document.presets.iter().map(preset::extended).collect(),
        missing,
        seeds,
        repository,
        home,
        kept_home,
        home_clause: document.home.clause.clone(),
        person: facts.person.clone(),
        cwd: kept.cwd,
        environment,
        withheld,
        network,
        network_clause,
        limits: document.limits.clone(),
        credentials,
        output: document.output.clone(),
        canaries: document.canaries.clone(),
        dangers,
    })
}

/// At equal paths the most restrictive wins, the workspace being one grant among them.
fn narrow(workspace: &mut Grant, grants: &mut Vec<Grant>) {
    grants.retain(|grant| {
        let same = grant.path == workspace.path;
        if same && grant.mode < workspace.mode {
            workspace.mode = grant.mode;
            workspace.clause = grant.clause.clone();
        }
        !same
    });
}

/// An entry of `/etc` by its real path, since that is what a mount is put on.
fn entry_of_etc(facts: &Facts, path: &Path) -> Option<(PathBuf, Seen)> {
    entry_by(|path| facts.of_system(path), path)
}

fn entry_by<'s>(seen: impl Fn(&Path) -> Option<&'s Seen>, path: &Path) -> Option<(PathBuf, Seen)> {
    let real = seen(path)?.real.clone().unwrap_or_else(|| path.to_owned());
    let there = seen(&real)?.clone();
    Some((real, there))
}

fn in_view(grants: &[Grant], path: &Path) -> bool {
    grants.iter().any(|grant| path.starts_with(&grant.path))
}

/// What is hidden in `/etc`. A link out of the view leads nowhere without our doing.
fn hidden(facts: &Facts, grants: &[Grant]) -> Vec<(PathBuf, Seen)> {
    let entries = view::ETC_HIDDEN.iter().filter_map(|name| entry_of_etc(facts, Path::new(name)));
    entries.filter(|(path, _)| in_view(grants, path)).collect()
}

/// What stands in `/etc` as our own file: over the host's, or in `/run`, which is ours, where the
/// host's is a link into it.
fn replaced(facts: &Facts, grants: &[Grant]) -> Vec<Replaced> {
    if let Some(rootfs) = &facts.rootfs {
        return rootfs::replaced(rootfs, grants);
    }
    let entries = view::ETC_OURS.iter().filter_map(|name| {
        let path = PathBuf::from(name);
        let (at, seen) = entry_of_etc(facts, &path)?;
        let ours = at.starts_with("/run") || (seen.kind == Kind::File && in_view(grants, &at));
        ours.then_some(Replaced { path, at, by: Ours::Own })
    });
    entries.collect()
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
    /// Whether some connection of TLS may be looked into.
    inspects: bool,
}

impl Resolver<'_> {
    fn fault<T>(&self, fault: Fault, at: &Located<T>) -> PolicyError {
        at.fault(fault, self.document.source_of(&at.clause))
    }

    /// The checks that a workspace and a grant share.
    fn granted(&self, text: &Located<GrantText>, origin: Origin) -> Result<Grant, PolicyError> {
        let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
        let Some(seen) = self.facts.seen(&path) else {
            if let Some(why) = self.facts.unseen.get(&path) {
                return Err(self.fault(Fault::CannotLook { path, why: why.clone() }, text));
            }
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
        if let Some(place) = self.the_systems(&path, text.value.mode) {
            return Err(self.fault(Fault::SystemTree { path, place }, text));
        }
        if text.value.mode.is_written()
            && let Some(place) = width::git_directory(&path)
        {
            return Err(self.fault(Fault::GrantProtected { path, place }, text));
        }
        Ok(Grant {
            source: path.clone(),
            path,
            mode: text.value.mode,
            origin,
            seen: seen.clone(),
            clause: text.clause.clone(),
            asked: text.clause.clone(),
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

    fn grants(&self, workspace: &Grant) -> Result<(Vec<Grant>, Vec<Missing>), PolicyError> {
        let (mut grants, mut missing): (Vec<Grant>, Vec<Missing>) = Default::default();
        for text in &self.document.grants {
            let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
            if let Some(why) = self.too_wide(&path) {
                return Err(self.fault(Fault::GrantTooWide { path, why }, text));
            }
            if text.value.presence == Presence::Optional && self.is_absent(&path) {
                missing.push(preset::missing(path, "does not exist", &text.clause));
                continue;
            }
            let grant = self.granted(text, Origin::Granted)?;
            let holds = workspace.path != grant.path && workspace.path.starts_with(&grant.path);
            if holds && grant.mode != Mode::ReadOnly {
                let why = "it holds the workspace, around which a grant is read-only".to_owned();
                return Err(self.fault(Fault::GrantTooWide { path: grant.path, why }, text));
            }
            match grants.iter_mut().find(|earlier| earlier.path == grant.path) {
                Some(earlier) if earlier.mode <= grant.mode => {}
                Some(earlier) => *earlier = grant,
                None => grants.push(grant),
            }
        }
        self.unprotected(&grants, workspace)?;
        self.no_optional_guard(&grants, workspace)?;
        Ok((grants, missing))
    }

    /// No writable grant lies at or below a protected name of another writable tree, or of the
    /// workspace, writable or not.
    fn unprotected(&self, grants: &[Grant], workspace: &Grant) -> Result<(), PolicyError> {
        let writable = || grants.iter().filter(|grant| grant.mode.is_written());
        for text in &self.document.grants {
            let path = absolute(&text.value.path, &self.facts.home, &self.facts.cwd);
            let Some(grant) = writable().find(|grant| grant.path == path) else { continue };
            let mut tops = writable().chain([workspace]).map(|tree| &tree.path);
            if let Some(place) = tops.find_map(|top| width::protected(&grant.path, top)) {
                return Err(self.fault(Fault::GrantProtected { path, place }, text));
            }
        }
        Ok(())
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

    /// Toolchains that are there, and those that are left out: a symbolic link in the home may lead
    /// anywhere, and a workload that once could write beside it may have made it.
    fn toolchains(&self) -> (Vec<Grant>, Vec<LeftOut>) {
        let (mut trees, mut left_out) = (Vec::new(), Vec::new());
        // Who is one of many strangers sees nothing of the home.
        let strange = matches!(self.document.kernel(), Ok((Isolation::Gvisor, _)))
            && self.document.oversight.value == Oversight::Tenant;
        for name in view::TOOLCHAINS.iter().filter(|_| !strange) {
            let path = self.facts.home.join(name);
            match self.facts.seen(&path).and_then(|seen| seen.real.clone()) {
                Some(real) => left_out.push(LeftOut { path, real }),
                None => {
                    trees.extend(self.built_in_tree(
                        path,
                        Origin::Toolchain,
                        "filesystem.toolchains",
                    ));
                }
            }
        }
        (trees, left_out)
    }

    /// A built-in tree if it is there; by its real path where a symbolic link of the system's
    /// leads to it.
    fn built_in_tree(&self, path: PathBuf, origin: Origin, clause: &str) -> Option<Grant> {
        let seen = self.facts.seen(&path)?;
        let source = seen.real.clone().unwrap_or_else(|| path.clone());
        let seen = self.facts.seen(&source)?.clone();
        let systems = view::SYSTEM.iter().any(|place| Path::new(place) == source);
        let whole = seen.kind == Kind::Directory && (systems || self.too_wide(&source).is_none());
        whole.then(|| Grant {
            path,
            source,
            mode: Mode::ReadOnly,
            origin,
            seen,
            clause: Clause::built_in(clause),
            asked: Clause::built_in(clause),
        })
    }

    fn environment(&self, grants: &[Grant], workspace: &Grant, home: &Path) -> Vec<Variable> {
        let ours = Clause::built_in("environment");
        let temporary = shared::temporary(self.document, home);
        let home = home.display().to_string();
        let name = self.facts.person.name.clone();
        let mut variables: Vec<Variable> = [
            ("HOME", home),
            ("USER", name.clone()),
            ("LOGNAME", name),
            ("TMPDIR", temporary),
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
        let known = |name: &str| {
            view::DEFAULT_VARIABLES.contains(&name) || view::LOCALE_VARIABLES.contains(&name)
        };
        let dangerous =
            |name: &str| self.document.dangerous.iter().any(|passed| passed.value == name);
        self.set_by_presets(&mut variables);
        for pattern in self.document.passed() {
            let passed = self.facts.environment.0.iter();
            let passed = passed.filter(|(name, _)| matches(&pattern.value, name));
            for (name, value) in passed {
                preset::give_way(&mut variables, name, pattern);
                if variables.iter().all(|variable| variable.name != *name) {
                    variables.push(Variable {
                        name: name.clone(),
                        value: value.clone(),
                        shown: if known(name) && !dangerous(name) {
                            Shown::Value
                        } else {
                            Shown::NameOnly
                        },
                        clause: pattern.clause.clone(),
                    });
                }
            }
        }
        for set in &self.document.set {
            let Setting { name, value } = set.value.clone();
            variables.retain(|variable| variable.name != name);
            let clause = set.clause.clone();
            variables.push(Variable { name, value, shown: Shown::NameOnly, clause });
        }
        variables
    }

    /// Names of the caller's variables that `environment` does not have.
    fn withheld(&self, environment: &[Variable]) -> Vec<String> {
        let passes = |name: &String| environment.iter().any(|variable| variable.name == *name);
        let names = self.facts.environment_names.iter();
        names.filter(|name| !passes(name)).cloned().collect()
    }

    /// The caller's `PATH` without what the workload cannot see, relative entries and repetitions.
    fn visible_path(&self, grants: &[Grant], workspace: &Grant) -> String {
        let visible = |entry: &&PathBuf| {
            let linked = self.facts.rootfs.is_none()
                && view::SYSTEM.iter().any(|tree| entry.starts_with(tree));
            let granted = grants.iter().chain([workspace]).any(|g| entry.starts_with(&g.path));
            entry.is_absolute() && (linked || granted)
        };
        // Each once: what is not in the first is not in the second either.
        let mut seen = BTreeSet::new();
        let first = |entry: &&PathBuf| seen.insert((*entry).clone());
        let kept: Vec<String> = self
            .facts
            .path
            .iter()
            .filter(visible)
            .filter(first)
            .map(|entry| entry.display().to_string())
            .collect();
        let mut kept = kept;
        // Of another system's directories the caller's shell need not know.
        let usual = view::FALLBACK_PATH.iter().map(|entry| (*entry).to_owned());
        if kept.is_empty() || self.facts.rootfs.is_some() {
            let missing: Vec<String> = usual.filter(|entry| !kept.contains(entry)).collect();
            kept.extend(missing);
        }
        kept.join(":")
    }
}
