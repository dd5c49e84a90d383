//! The Policy: resolved rules, every path absolute and free of symbolic links.
//!
//! Plain data. It can be printed, compared in a test and written to the audit log.

use std::path::{Path, PathBuf};

use crate::credentials::Credential;
use crate::facts::{Person, Seen};
use crate::judge::names::NameRule;
use crate::limits::Limits;
use crate::network::Network;
use crate::output::{Canary, Output};
use crate::promise::{BestEffort, Promise};

/// One rule with the place where a person wrote it; the unit of coverage, verdicts and events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Clause {
    /// The rule's name in the language, such as `filesystem.grant[0]`.
    pub name: String,
    /// The file as the person named it; `built-in` and `command line` are not files.
    pub file: String,
    /// Line of the file, from 1; 0 where the clause has no line (command line, built-in view).
    pub line: u32,
}

impl Clause {
    /// A clause that every sandbox has and no text can take away.
    #[must_use]
    pub fn built_in(name: &str) -> Self {
        Self { name: name.into(), file: "built-in".into(), line: 0 }
    }

    /// A clause that came as a flag, named as the person typed it.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self { name: name.into(), file: "command line".into(), line: 0 }
    }
}

impl std::fmt::Display for Clause {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            write!(out, "{} ({})", self.name, self.file)
        } else {
            write!(out, "{} ({}:{})", self.name, self.file, self.line)
        }
    }
}

/// Which kernel serves the workload inside the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Isolation {
    /// What [`Oversight`] asks for. In a text alone: no [`Policy`] has it.
    Auto,
    /// The host's.
    Process,
    /// gVisor's application kernel, which is a program (`runsc`) of the host's.
    Gvisor,
}

impl Isolation {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Process => "process",
            Self::Gvisor => "gvisor",
        }
    }
}

/// Who watches what the workload does: what `isolation = "auto"` chooses by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Oversight {
    /// A person who reads commands: [`Isolation::Process`].
    Developer,
    /// Nobody: a virtual machine.
    Unattended,
    /// Nobody, and it is one of many strangers': [`Isolation::Gvisor`], of which nothing stays.
    Tenant,
}

impl Oversight {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Unattended => "unattended",
            Self::Tenant => "tenant",
        }
    }

    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Developer, Self::Unattended, Self::Tenant];
}

/// The host-side cage around the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Jail {
    /// The strongest that this machine lets its caller build: [`Jail::Native`], else
    /// [`Jail::Bubblewrap`]. Never one that holds less.
    Auto,
    /// Ours: namespaces, mounts, Landlock and seccomp (Linux).
    Native,
    /// The same walls in namespaces and a view that `bwrap` makes (Linux).
    Bubblewrap,
    /// Landlock and seccomp alone, for machines that forbid namespaces (Linux).
    Landlock,
    /// A profile for `sandbox-exec` (macOS).
    Seatbelt,
}

impl Jail {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Bubblewrap => "bubblewrap",
            Self::Landlock => "landlock",
            Self::Seatbelt => "seatbelt",
        }
    }

    /// Each of them, in the order in which a person reads of them.
    pub const ALL: [Self; 5] =
        [Self::Auto, Self::Native, Self::Bubblewrap, Self::Landlock, Self::Seatbelt];
}

/// What a granted tree may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Mode {
    /// Read and execute; nothing below it changes.
    ReadOnly,
    /// Read, execute, create, and add at the end of what is there: `no-delete` without `overwrite`.
    AppendOnly,
    /// Read, execute, create and change in place; what is older than the session is not lost.
    NoDelete,
    /// Read, execute, change, create and remove.
    ReadWrite,
}

impl Mode {
    /// Whether anything below it may change.
    #[must_use]
    pub const fn is_written(self) -> bool {
        match self {
            Self::ReadOnly => false,
            Self::AppendOnly | Self::NoDelete | Self::ReadWrite => true,
        }
    }

    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::AppendOnly => "no-delete without overwrite",
            Self::NoDelete => "no-delete",
            Self::ReadWrite => "read-write",
        }
    }
}

/// Which home the workload has. Never the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Home {
    /// In memory, empty, gone after the run.
    Private,
    /// One for each workspace, kept below our state.
    Project,
}

/// Why a tree is in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Origin {
    /// The directory that the workload works in.
    Workspace,
    /// Named by the person.
    Granted,
    /// `/usr` and what belongs to it.
    System,
    /// A toolchain in the home that exists on this machine.
    Toolchain,
    /// Named by a preset that the person chose.
    Preset,
    /// Of the repository that the workspace belongs to and does not hold itself.
    Repository,
}

impl Origin {
    /// One word for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Granted => "granted",
            Self::System => "system",
            Self::Toolchain => "toolchain",
            Self::Preset => "preset",
            Self::Repository => "git",
        }
    }
}

/// One tree of the host that the workload sees, at the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Grant {
    /// Where the workload finds it.
    pub path: PathBuf,
    /// Where it is on the host: `path`, but for a toolchain that is reached by a symbolic link.
    pub source: PathBuf,
    /// What may be done with it.
    pub mode: Mode,
    /// Why it is in the view.
    pub origin: Origin,
    /// What [`crate::Facts`] saw there; the jail compares device and inode before it uses it.
    pub seen: Seen,
    /// The rule that grants it, or that narrows it.
    pub clause: Clause,
    /// The rule by which it is in the view, whatever narrows it: who asked for it answers for it.
    #[cfg_attr(feature = "json", serde(skip))]
    pub asked: Clause,
}

/// A root file system that is in the view in place of the host's system directories.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Rootfs {
    /// The directory or the archive that the rule names.
    pub path: PathBuf,
    /// The digest of the image's manifest, where the rule names an archive.
    pub digest: Option<String>,
    /// Names at its root that are not in the view, with the reason, sorted by name.
    pub left_out: Vec<(PathBuf, String)>,
    /// The rule that names it.
    pub clause: Clause,
}

/// An entry of `/etc` that is our own file inside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Replaced {
    /// Its name in `/etc`.
    pub path: PathBuf,
    /// The same by a path without symbolic links: where our file stands.
    pub at: PathBuf,
    /// Which file of ours.
    pub by: Ours,
}

/// Which file of ours stands in the place of one of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Ours {
    /// The sandbox's users, names and resolvers: the one of the same name.
    Own,
    /// Whom the sandbox believes, the session's own authority among them.
    Authorities,
    /// The same for Java.
    AuthoritiesOfJava,
}

/// A name that is not followed, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct LeftOut {
    /// The name.
    pub path: PathBuf,
    /// The same thing by a path without symbolic links.
    pub real: PathBuf,
}

/// A preset that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Extended {
    /// The preset's name.
    pub name: String,
    /// The rule that asks for it: the person's, or that of a preset which extends it.
    pub clause: Clause,
}

/// A grant that is not in the view, because its rule can do without.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Missing {
    /// What would be granted.
    pub path: PathBuf,
    /// Why it is not: `does not exist`, or what stands there instead.
    pub why: String,
    /// The rule that names it.
    pub clause: Clause,
}

/// A small file of a preset's in the private home.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Seed {
    /// Absolute, in the home.
    pub path: PathBuf,
    /// Its whole text; the same for everybody, so there is no secret in it.
    pub content: String,
    /// The preset that brings it.
    pub clause: Clause,
}

/// A name below a writable tree that exists and that the workload must never change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Guarded {
    /// Absolute path, below the tree.
    pub path: PathBuf,
    /// What Facts saw there.
    pub seen: Seen,
    /// Directories between the tree and `path`, outermost first, with what Facts saw: bound
    /// on themselves, since a rename of one would carry the guarded name away.
    pub ancestors: Vec<(PathBuf, Seen)>,
    /// The rule that guards it.
    pub clause: Clause,
}

/// A name for which nothing has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Idle {
    /// The name.
    pub path: PathBuf,
    /// Why: `absent anyway`.
    pub why: &'static str,
    /// The rule.
    pub clause: Clause,
}

/// A home below our state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Kept {
    /// Where it is on the host.
    pub source: PathBuf,
    /// What Facts saw there.
    pub seen: Seen,
}

/// What of the repository around the workspace is in the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Repository {
    /// Its trees among the grants.
    pub shown: Vec<PathBuf>,
    /// The top of its work tree, where that is above the workspace and not in view.
    pub above: Option<PathBuf>,
    /// What was left out, and why.
    pub left_out: Option<(PathBuf, String)>,
}

/// One variable of the workload's environment.
///
/// `Debug` and JSON show the value only where the language itself made it or it is one of the
/// default names: what a person lets through by name may be anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name, without `=` or NUL.
    pub name: String,
    /// The value, without NUL.
    pub value: String,
    /// Whether records may show the value.
    pub shown: Shown,
    /// The rule that passes or sets it.
    pub clause: Clause,
}

/// A rule that takes a piece out of the wall because the person says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Danger {
    /// What follows from it, in words.
    pub what: String,
    /// The rule.
    pub clause: Clause,
}

/// Whether a variable's value may stand in plans, logs and Debug output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Made by cofferdam or named in the default allow-list.
    Value,
    /// Only the name is shown.
    NameOnly,
    /// The value is the name of a credential, which is shown; what stands in for that is put there later.
    StandIn,
}

impl Variable {
    /// The value as records show it.
    #[must_use]
    pub fn shown_value(&self) -> &str {
        match self.shown {
            Shown::Value => &self.value,
            Shown::NameOnly => "(value not recorded)",
            Shown::StandIn => "(what stands in for a credential)",
        }
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Variable({}={:?})", self.name, self.shown_value())
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for Variable {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = to.serialize_struct("Variable", 3)?;
        row.serialize_field("name", &self.name)?;
        row.serialize_field("value", self.shown_value())?;
        row.serialize_field("clause", &self.clause)?;
        row.end()
    }
}

/// Everything that was decided from the text and the Facts; what `compile` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Policy {
    /// Which kernel serves the workload; never [`Isolation::Auto`].
    pub isolation: Isolation,
    /// The clause that chose it: `isolation`, or `oversight`.
    pub isolation_clause: Clause,
    /// Who watches: with [`Oversight::Tenant`] under gVisor nothing of a run stays.
    pub oversight: Oversight,
    /// Which cage around it.
    pub jail: Jail,
    /// The clause that chose the cage.
    pub jail_clause: Clause,
    /// Whose system the workload sees; `None` for the host's own.
    pub rootfs: Option<Rootfs>,
    /// What need not be held where that jail cannot.
    pub best_effort: Vec<BestEffort>,
    /// The tree that the workload works in.
    pub workspace: Grant,
    /// Every other tree in the view: the person's, the system's, the toolchains'. The workspace is
    /// not among them. Sorted by path, so that an outer tree comes before an inner one.
    pub grants: Vec<Grant>,
    /// Names in writable trees that exist and stay as they are.
    pub guarded: Vec<Guarded>,
    /// Names that the built-in list protects and that do not exist yet.
    pub unguarded: Vec<PathBuf>,
    /// Rules about names, whether they exist or not, in the order in which the judge asks them.
    pub names: Vec<NameRule>,
    /// Sockets of the host's that may be connected to.
    pub sockets: Vec<(PathBuf, Clause)>,
    /// Hooks that are links into what may be written: guarded as links, not for what they lead to.
    pub led_away: Vec<LeftOut>,
    /// Names that a person hides and that would be seen otherwise.
    pub concealed: Vec<Guarded>,
    /// Names that a person hides or protects and that need nothing: why, in words.
    pub idle: Vec<Idle>,
    /// Own programs and the policy's file, where they lie below a writable tree: bound read-only.
    pub own: Vec<Guarded>,
    /// Entries of `/etc` that are hidden, by their real paths, with their kind; they exist here.
    pub hidden: Vec<(PathBuf, Seen)>,
    /// Entries of the directories of `/etc` that hold one of [`Policy::hidden`], where the jail has no
    /// mounts to hide one with and grants the others one by one.
    pub etc: Vec<(PathBuf, Seen)>,
    /// Entries of `/etc` that cofferdam writes itself, those of one kind in the order in which they are
    /// looked for; they exist on this host.
    pub replaced: Vec<Replaced>,
    /// The system's list of authorities, in view or not, where the gateway looks into TLS and there is
    /// one that the workload cannot write.
    pub authorities: Option<PathBuf>,
    /// Names at the root that are symbolic links on this host (`/bin` -> `usr/bin`).
    pub root_links: Vec<(PathBuf, PathBuf)>,
    /// Toolchains that are not in the view, because a symbolic link leads to them.
    pub left_out: Vec<LeftOut>,
    /// Presets in the order in which they hold.
    pub presets: Vec<Extended>,
    /// Grants that are not in the view, because they may be absent.
    pub missing: Vec<Missing>,
    /// Files that the private home begins with, sorted by path; none lies in a granted tree.
    pub seeds: Vec<Seed>,
    /// The repository around the workspace, as far as there is one.
    pub repository: Repository,
    /// Where the home is inside.
    pub home: PathBuf,
    /// The kept home; `None` for one that is made fresh for each run.
    pub kept_home: Option<Kept>,
    /// The clause of the home.
    pub home_clause: Clause,
    /// Who the workload is on the host.
    pub person: Person,
    /// The working directory of the workload, inside the workspace.
    pub cwd: PathBuf,
    /// The workload's whole environment.
    pub environment: Vec<Variable>,
    /// Variables of the caller that were not passed: names only, sorted.
    pub withheld: Vec<String>,
    /// Whom the workload may talk to, and who may talk to it.
    pub network: Network,
    /// The clause of the network's table.
    pub network_clause: Clause,
    /// How much the workload may use.
    pub limits: Limits,
    /// Whose identity requests may bear, in the order of the text; none where the network is closed.
    pub credentials: Vec<Credential>,
    /// What becomes of what it writes to its streams.
    pub output: Output,
    /// Strings that must never leave.
    pub canaries: Vec<Canary>,
    /// What the person has opened although it is dangerous: secrets inside, rules that are too wide.
    pub dangers: Vec<Danger>,
}

impl Policy {
    /// The rule that lets a jail without namespaces go without `promise`; no other jail heeds it.
    #[must_use]
    pub fn gives_up(&self, promise: Promise) -> Option<&Clause> {
        let rules = self.best_effort.iter().filter(|_| self.jail == Jail::Landlock);
        rules.into_iter().find(|rule| rule.promise == promise).map(|rule| &rule.clause)
    }

    /// Whether a hidden directory lies over `path`, or `path` is hidden itself: the innermost of the
    /// trees and hidden names that hold it is a hidden name.
    #[must_use]
    pub fn conceals(&self, path: &Path) -> bool {
        let hides = self.concealed.iter().map(|name| name.path.as_path());
        let trees = self.grants.iter().chain([&self.workspace]).map(|tree| tree.path.as_path());
        conceals(hides, trees, path)
    }
}

/// Whether the innermost of `hides` and `trees` that holds `path` is one of `hides`.
pub(crate) fn conceals<'p>(
    hides: impl Iterator<Item = &'p Path>,
    trees: impl Iterator<Item = &'p Path>,
    path: &Path,
) -> bool {
    let hidden = innermost(hides, path);
    hidden > 0 && hidden >= innermost(trees, path)
}

/// Parts of the longest of `tops` that holds `path`; 0 where none does.
fn innermost<'p>(tops: impl Iterator<Item = &'p Path>, path: &Path) -> usize {
    let holding = tops.filter(|top| path.starts_with(top));
    holding.map(|top| top.components().count()).max().unwrap_or(0)
}
