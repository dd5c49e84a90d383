//! The Policy: resolved rules, every path absolute and free of symbolic links.
//!
//! Plain data. It can be printed, compared in a test and written to the audit log.

use std::path::PathBuf;

use crate::facts::{Person, Seen};
use crate::limits::Limits;

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

/// Which wall stands around the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Isolation {
    /// The host's kernel serves the workload, inside the native jail.
    Process,
}

/// What a granted tree may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Mode {
    /// Read and execute; nothing below it changes.
    ReadOnly,
    /// Read, execute, change, create and remove.
    ReadWrite,
}

impl Mode {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        }
    }
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
    /// The rule that grants it.
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

/// Whether a variable's value may stand in plans, logs and Debug output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Made by cofferdam or named in the default allow-list.
    Value,
    /// Only the name is shown.
    NameOnly,
}

impl Variable {
    /// The value as records show it.
    #[must_use]
    pub fn shown_value(&self) -> &str {
        match self.shown {
            Shown::Value => &self.value,
            Shown::NameOnly => "(value not recorded)",
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
    /// Which wall.
    pub isolation: Isolation,
    /// The clause that chose the wall.
    pub isolation_clause: Clause,
    /// The tree that the workload works in.
    pub workspace: Grant,
    /// Every other tree in the view: the person's, the system's, the toolchains'. The workspace is
    /// not among them. Sorted by path, so that an outer tree comes before an inner one.
    pub grants: Vec<Grant>,
    /// Names in the workspace that exist and stay as they are.
    pub guarded: Vec<Guarded>,
    /// Names that the built-in list protects and that do not exist yet.
    pub unguarded: Vec<PathBuf>,
    /// Hooks that are links into what may be written: guarded as links, not for what they lead to.
    pub led_away: Vec<LeftOut>,
    /// Own programs and the policy's file, where they lie below a writable tree: bound read-only.
    pub own: Vec<Guarded>,
    /// Entries of `/etc` that are hidden, by their real paths, with their kind; they exist here.
    pub hidden: Vec<(PathBuf, Seen)>,
    /// Entries of `/etc` that cofferdam writes itself; they exist on this host.
    pub replaced: Vec<Replaced>,
    /// Names at the root that are symbolic links on this host (`/bin` -> `usr/bin`).
    pub root_links: Vec<(PathBuf, PathBuf)>,
    /// Toolchains that are not in the view, because a symbolic link leads to them.
    pub left_out: Vec<LeftOut>,
    /// The private home: made fresh for each run.
    pub home: PathBuf,
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
    /// The clause that closes the network.
    pub network_clause: Clause,
    /// How much the workload may use.
    pub limits: Limits,
}
