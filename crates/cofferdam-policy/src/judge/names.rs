//! The one judge of names: what the broker asks before each operation that changes a name, opens for
//! writing, or, where something is hidden, looks.
//!
//! Adds to what mounts and Landlock hold: an [`Answer::Allow`] means that no rule about names forbids
//! the operation, and the kernel judges it besides.

use std::path::{Path, PathBuf};

use super::{Access, Because, Rules};
use crate::judge::pattern::{Meets, Pattern};
use crate::model::Clause;

/// What a rule does to the names that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Hold {
    /// The name and what is below it stay as they are, and are never created.
    Protect,
    /// The name itself does; what is below it is for other rules, and it may be a directory of the
    /// host's.
    ProtectEntry,
    /// As [`Hold::Protect`], but a new text lands where it changes nothing that could run a program.
    GitConfig,
    /// Absent, with what is below it.
    Hide,
    /// Reads show a placeholder of the same shape; it stays as it is.
    Mask,
}

/// A rule about names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct NameRule {
    /// What it does.
    pub hold: Hold,
    /// The directory that `pattern` starts in, absolute.
    pub top: PathBuf,
    /// Which names below `top`.
    pub pattern: Pattern,
    /// The rule that says so.
    pub clause: Clause,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Whether this session made it, through the broker.
    pub made: bool,
    /// Whether it is a directory.
    pub directory: bool,
    /// Its size. Bytes.
    pub bytes: u64,
}

/// How a thing that exists is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Opened to be written anywhere in it.
    Write,
    /// Opened so that what is written is added at its end (`O_WRONLY | O_APPEND`).
    Append,
    /// Cut to so many bytes, or made longer; a hole punched into it is a cut to none.
    Cut(u64),
    /// Its mode or extended attributes.
    Attributes,
}

/// What is made under a new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else: a file, a FIFO, a socket.
    File,
}

/// A question to the judge. Paths are absolute and without symbolic links, `.` or `..`.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// Whether the name is there: stat, access, readlink.
    Look(&'a Path),
    /// Open for reading alone.
    Read(&'a Path),
    /// Change what stands at the path.
    Change(&'a Path, Change, Thing),
    /// Make a name that does not exist.
    Create(&'a Path, Made),
    /// Remove the name.
    Remove(&'a Path, Thing),
    /// Move the thing at `from` to the name `to`.
    Rename {
        /// From here.
        from: &'a Path,
        /// What stands there.
        thing: Thing,
        /// To here.
        to: &'a Path,
        /// What stands there already: it goes, or with `RENAME_EXCHANGE` moves to `from`.
        over: Option<Thing>,
    },
    /// Give the thing at `from` the further name `to`.
    Link {
        /// A name that it has.
        from: &'a Path,
        /// The new one.
        to: &'a Path,
    },
    /// Connect to the socket at the path.
    Connect(&'a Path, Thing),
}

/// The judge's answer, with the rule that decided where one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'r> {
    /// No rule about names forbids it.
    Allow,
    /// What is read is a placeholder.
    Mask(&'r Clause),
    /// Git's settings: the new text lands if [`super::git::edit`] lets it.
    GitConfig(&'r Clause),
    /// It does not happen.
    Deny(&'r Clause, Because),
}

impl Because {
    /// The `errno(3)` that the workload hears from the broker.
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            // ENOENT
            Self::Absent | Self::Hidden => 2,
            // EROFS
            Self::ReadOnly => 30,
            // EACCES
            Self::Guarded => 13,
            // EBUSY
            Self::Pinned => 16,
            // EPERM
            Self::NoDelete | Self::Socket => 1,
            // EXDEV: programs then copy, and each file is judged.
            Self::Copied => 18,
        }
    }

    /// Why, for a person.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Absent => "nothing grants it",
            Self::Hidden => "it is hidden",
            Self::ReadOnly => "it is read-only",
            Self::Guarded => "the name is protected: it is never changed, removed or created",
            Self::Pinned => "the name stays where it is",
            Self::NoDelete => "it is older than this session, and nothing of that is lost here",
            Self::Socket => "this session has not made the socket, and nothing grants it",
            Self::Copied => "a protected name may lie below: directories are moved file by file",
        }
    }

    /// The smallest change that would let it through; empty where there is none.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Absent => "grant it with --grant",
            Self::Hidden => "take it from `hide`, if it is no secret",
            Self::ReadOnly => "grant it with mode = \"read-write\"",
            Self::Guarded => "change it outside the sandbox",
            Self::NoDelete => "remove it outside the sandbox",
            Self::Socket => "name it in [sockets] allow",
            Self::Pinned | Self::Copied => "",
        }
    }
}

/// Says whether a rule about names forbids the operation.
#[must_use]
pub fn judge<'r>(rules: &'r Rules, ask: Ask<'_>) -> Answer<'r> {
    match ask {
        Ask::Look(path) => unless(hidden(rules, path), Because::Hidden),
        Ask::Read(path) => match held(rules, path) {
            Some(rule) if rule.hold == Hold::Hide => Answer::Deny(&rule.clause, Because::Hidden),
            Some(rule) if rule.hold == Hold::Mask => Answer::Mask(&rule.clause),
            Some(_) | None => Answer::Allow,
        },
        Ask::Change(path, change, thing) => match held(rules, path) {
            Some(rule) => Answer::Deny(&rule.clause, because(rule)),
            None => lossy(rules, path, change, thing),
        },
        Ask::Create(path, made) => create(rules, path, made),
        Ask::Remove(path, thing) => match held(rules, path) {
            Some(rule) => Answer::Deny(&rule.clause, because(rule)),
            None => goes(rules, path, thing),
        },
        Ask::Rename { from, thing, to, over } => rename(rules, (from, thing), (to, over)),
        Ask::Link { from, to } => match held(rules, from).or_else(|| held(rules, to)) {
            Some(rule) => Answer::Deny(&rule.clause, because(rule)),
            None => Answer::Allow,
        },
        Ask::Connect(path, thing) => connect(rules, path, thing),
    }
}

fn unless<'r>(rule: Option<&'r NameRule>, because: Because) -> Answer<'r> {
    rule.map_or(Answer::Allow, |rule| Answer::Deny(&rule.clause, because))
}

fn because(rule: &NameRule) -> Because {
    match rule.hold {
        Hold::Hide => Because::Hidden,
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig | Hold::Mask => Because::Guarded,
    }
}

/// The rule that covers `path`, hidden names first.
fn held<'r>(rules: &'r Rules, path: &Path) -> Option<&'r NameRule> {
    let covers = |rule: &&NameRule| match meets(rules, rule, path) {
        Meets::At => true,
        Meets::Below => rule.hold != Hold::ProtectEntry,
        Meets::Above | Meets::No => false,
    };
    hidden(rules, path).or_else(|| rules.names().iter().find(covers))
}

fn hidden<'r>(rules: &'r Rules, path: &Path) -> Option<&'r NameRule> {
    let hides = |rule: &&NameRule| {
        rule.hold == Hold::Hide && matches!(meets(rules, rule, path), Meets::At | Meets::Below)
    };
    rules.names().iter().find(hides)
}

/// How a rule meets a path. A tree that is granted below a hidden concrete name shows again.
fn meets(rules: &Rules, rule: &NameRule, path: &Path) -> Meets {
    let meets = rule.pattern.meets(&rule.top, path);
    let below = matches!(meets, Meets::Below) && rule.hold == Hold::Hide;
    if below && let Some(name) = rule.pattern.concrete() {
        let name = rule.top.join(name);
        let again = |entry: &&super::Entry| {
            entry.access.is_tree()
                && entry.path != name
                && entry.path.starts_with(&name)
                && path.starts_with(&entry.path)
        };
        if rules.entries().iter().any(|entry| again(&entry)) {
            return Meets::No;
        }
    }
    meets
}

fn create<'r>(rules: &'r Rules, path: &Path, made: Made) -> Answer<'r> {
    if let Some(rule) = held(rules, path) {
        return Answer::Deny(&rule.clause, because(rule));
    }
    // A link where a directory would lead to a held name leads elsewhere.
    let leads = |rule: &&NameRule| {
        made == Made::Link
            && rule.pattern.concrete().is_some()
            && meets(rules, rule, path) == Meets::Above
    };
    unless(rules.names().iter().find(leads), Because::Guarded)
}

/// What an open tree, or one in which nothing is lost, says of a change.
fn lossy<'r>(rules: &'r Rules, path: &Path, change: Change, thing: Thing) -> Answer<'r> {
    let Some(entry) = rules.holding(path) else { return Answer::Allow };
    let lost = match (entry.access, change) {
        (Access::NoDelete | Access::AppendOnly, Change::Cut(to)) => to < thing.bytes,
        (Access::AppendOnly, Change::Write) => true,
        (Access::NoDelete, Change::Write)
        | (Access::NoDelete | Access::AppendOnly, Change::Append | Change::Attributes) => false,
        (
            Access::Absent
            | Access::ReadOnly
            | Access::ReadWrite
            | Access::Private
            | Access::Hidden
            | Access::Guarded
            | Access::Ours,
            _,
        ) => false,
    };
    if lost && !thing.made {
        return Answer::Deny(&entry.clause, Because::NoDelete);
    }
    Answer::Allow
}

/// Whether the thing at `path` may lose that name.
fn goes<'r>(rules: &'r Rules, path: &Path, thing: Thing) -> Answer<'r> {
    match rules.holding(path) {
        Some(entry) if entry.access.keeps() && !thing.made => {
            Answer::Deny(&entry.clause, Because::NoDelete)
        }
        Some(_) | None => Answer::Allow,
    }
}

fn rename<'r>(
    rules: &'r Rules,
    (from, thing): (&Path, Thing),
    (to, over): (&Path, Option<Thing>),
) -> Answer<'r> {
    if let Some(rule) = held(rules, from) {
        return Answer::Deny(&rule.clause, because(rule));
    }
    let settings = match held(rules, to) {
        Some(rule) if rule.hold == Hold::GitConfig && !thing.directory => Some(&rule.clause),
        Some(rule) => return Answer::Deny(&rule.clause, because(rule)),
        None => None,
    };
    for (path, moved) in [(from, Some(thing)), (to, over)] {
        let Some(moved) = moved else { continue };
        if let denied @ Answer::Deny(..) = goes(rules, path, moved) {
            return denied;
        }
    }
    // What lies below a directory that moves is judged file by file.
    let carries =
        |path: &Path| rules.names().iter().find(|rule| meets(rules, rule, path) == Meets::Above);
    let moves = thing.directory || over.is_some_and(|over| over.directory);
    let link = |path: &Path| match create(rules, path, Made::Link) {
        Answer::Deny(clause, because) => Some((clause, because)),
        Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_) => None,
    };
    if moves {
        if let Some(rule) = carries(from).or_else(|| carries(to)) {
            return Answer::Deny(&rule.clause, Because::Copied);
        }
    } else if let Some((clause, because)) = link(to) {
        // Whatever is no directory may be a link.
        return Answer::Deny(clause, because);
    }
    settings.map_or(Answer::Allow, Answer::GitConfig)
}

fn connect<'r>(rules: &'r Rules, path: &Path, thing: Thing) -> Answer<'r> {
    if let Some(rule) = hidden(rules, path) {
        return Answer::Deny(&rule.clause, Because::Hidden);
    }
    let granted = rules.sockets().iter().any(|(socket, _)| socket == path);
    let private = rules.holding(path).is_some_and(|entry| entry.access == Access::Private);
    if thing.made || granted || private {
        return Answer::Allow;
    }
    Answer::Deny(rules.socket_clause(), Because::Socket)
}
