//! The one judge of names: what the broker asks before each operation that changes a name, opens for
//! writing, or, where something is hidden, looks.
//!
//! Adds to what mounts and Landlock hold: an [`Answer::Allow`] means that no rule about names forbids
//! the operation, and the kernel judges it besides.

use std::path::{Path, PathBuf};

use super::{Access, Because, Entry, Rules, holds};
use crate::judge::fold::Folded;
use crate::judge::pattern::{Meets, Pattern, Reached};
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
    /// As [`Hold::Protect`], but a new text that is moved there lands where it changes nothing that could
    /// run a program.
    GitConfig,
    /// Absent, with what is below it. A tree that is granted below a concrete name shows again, and the
    /// directories on the way to it can be looked at.
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
            Self::Guarded | Self::Ungranted => 13,
            // EBUSY
            Self::Pinned => 16,
            // EPERM
            Self::NoDelete | Self::Socket => 1,
            // EXDEV: programs then copy, and each file is judged.
            Self::Copied => 18,
        }
    }

    /// Every reason.
    const ALL: [Self; 9] = [
        Self::Absent,
        Self::Ungranted,
        Self::ReadOnly,
        Self::Guarded,
        Self::Hidden,
        Self::Pinned,
        Self::NoDelete,
        Self::Socket,
        Self::Copied,
    ];

    /// Stable name for scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ungranted => "ungranted",
            Self::Hidden => "hidden",
            Self::ReadOnly => "read-only",
            Self::Guarded => "protected",
            Self::Pinned => "pinned",
            Self::NoDelete => "no-delete",
            Self::Socket => "socket",
            Self::Copied => "moved-by-copies",
        }
    }

    /// The reason of this stable name.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|because| because.code() == code)
    }

    /// Why, for a person.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Absent | Self::Ungranted => "nothing grants it",
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
            Self::Absent | Self::Ungranted => "grant it with --grant",
            Self::Hidden => "take it from `hide`, if it is no secret",
            Self::ReadOnly => "grant it with mode = \"read-write\"",
            Self::Guarded => "change it outside the sandbox",
            Self::NoDelete => "remove it outside the sandbox",
            Self::Socket => "name it in [sockets] allow",
            Self::Pinned | Self::Copied => "",
        }
    }
}

/// What of a rule is made once: its top, folded, and which trees show again below the name that it
/// hides, as places among the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    top: Folded,
    shown: Vec<usize>,
}

impl Prepared {
    pub(super) fn of(rule: &NameRule, entries: &[Entry]) -> Self {
        let top = Folded::relative(rule.top.as_os_str().as_encoded_bytes());
        let concrete = rule.pattern.concrete().filter(|_| rule.hold == Hold::Hide);
        let Some(name) = concrete.map(|name| rule.top.join(name)) else {
            return Self { top, shown: Vec::new() };
        };
        let again = |entry: &Entry| {
            entry.access.is_tree() && entry.path != name && entry.path.starts_with(&name)
        };
        let all = entries.iter().enumerate().filter(|(_, entry)| again(entry));
        Self { top, shown: all.map(|(at, _)| at).collect() }
    }
}

/// A path that is asked about, folded once.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a Path,
    folded: &'a Folded,
}

/// How strongly a path is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cover {
    /// Git's settings, at their name.
    Settings,
    Guarded,
    Hidden,
}

impl Cover {
    fn deny(self, rule: &NameRule) -> Answer<'_> {
        let because = match self {
            Self::Settings | Self::Guarded => Because::Guarded,
            Self::Hidden => Because::Hidden,
        };
        Answer::Deny(&rule.clause, because)
    }
}

/// Says whether a rule about names forbids the operation. A path that is not absolute, or has a `..`,
/// is absent.
#[must_use]
pub fn judge<'r>(rules: &'r Rules, ask: Ask<'_>) -> Answer<'r> {
    let (first, second) = match ask {
        Ask::Look(path)
        | Ask::Read(path)
        | Ask::Change(path, ..)
        | Ask::Create(path, _)
        | Ask::Remove(path, _)
        | Ask::Connect(path, _) => (path, None),
        Ask::Rename { from, to, .. } | Ask::Link { from, to } => (from, Some(to)),
    };
    let (Some(one), Some(two)) =
        (Folded::absolute(first), second.map_or(Some(Folded::default()), Folded::absolute))
    else {
        return Answer::Deny(&rules.base, Because::Absent);
    };
    let looks = matches!(ask, Ask::Change(_, Change::Attributes, _));
    let changes = !matches!(ask, Ask::Look(_) | Ask::Read(_) | Ask::Connect(..));
    let mut unchanged = [Some(first), second].into_iter().flatten().filter(|_| changes);
    if let Some((clause, because)) = unchanged.find_map(|path| rules.unchanged(path, looks)) {
        return Answer::Deny(clause, because);
    }
    let moves = matches!(ask, Ask::Remove(..) | Ask::Rename { .. });
    if let Some(pin) = rules.pinned_by(first).filter(|_| moves && rules.is_alone()) {
        return Answer::Deny(&pin.clause, Because::Pinned);
    }
    let asked = Asked { path: first, folded: &one };
    let target = Asked { path: second.unwrap_or(first), folded: &two };
    match ask {
        Ask::Look(_) => look(rules, asked),
        Ask::Read(_) => read(rules, asked),
        Ask::Change(_, change, thing) => match cover(rules, asked) {
            Some((cover, rule)) => cover.deny(rule),
            None => lossy(rules, asked.path, change, thing),
        },
        Ask::Create(_, made) => create(rules, asked, made),
        Ask::Remove(_, thing) => match cover(rules, asked) {
            Some((cover, rule)) => cover.deny(rule),
            None => goes(rules, asked.path, thing),
        },
        Ask::Rename { thing, over, .. } => rename(rules, (asked, thing), (target, over)),
        Ask::Link { .. } => link(rules, asked, target),
        Ask::Connect(_, thing) => connect(rules, asked, thing),
    }
}

/// Each rule and how it meets a path.
fn met<'r>(
    rules: &'r Rules,
    asked: Asked<'_>,
) -> impl Iterator<Item = (&'r NameRule, &'r Prepared, Reached)> {
    let all = rules.names.iter().zip(&rules.prepared);
    all.map(move |(rule, made)| (rule, made, rule.pattern.reaches(&made.top, asked.folded)))
}

/// How the rule holds a path that it meets so, if it does.
fn covers(rules: &Rules, rule: &NameRule, made: &Prepared, meet: (Meets, &Path)) -> Option<Cover> {
    let (meets, path) = meet;
    let shown = || made.tree(rules).any(|entry| holds(&entry.path, path));
    match (rule.hold, meets) {
        (_, Meets::Above | Meets::No) | (Hold::ProtectEntry, Meets::Below) => None,
        (Hold::Hide, Meets::Below) if shown() => None,
        (Hold::Hide, Meets::At | Meets::Below) => Some(Cover::Hidden),
        (Hold::GitConfig, Meets::At) => Some(Cover::Settings),
        (Hold::Protect | Hold::Mask | Hold::GitConfig, Meets::Below)
        | (Hold::Protect | Hold::Mask | Hold::ProtectEntry, Meets::At) => Some(Cover::Guarded),
    }
}

impl Prepared {
    /// Trees that show again below the hidden name.
    fn tree<'r>(&self, rules: &'r Rules) -> impl Iterator<Item = &'r Entry> {
        self.shown.iter().filter_map(|at| rules.entries.get(*at))
    }
}

/// The strongest rule that holds the path; of equal ones the first.
fn cover<'r>(rules: &'r Rules, asked: Asked<'_>) -> Option<(Cover, &'r NameRule)> {
    let mut found: Option<(Cover, &NameRule)> = None;
    for (rule, made, reached) in met(rules, asked) {
        let Some(cover) = covers(rules, rule, made, (reached.meets, asked.path)) else { continue };
        if found.is_none_or(|(before, _)| before < cover) {
            found = Some((cover, rule));
        }
    }
    found
}

fn hidden<'r>(rules: &'r Rules, asked: Asked<'_>) -> Option<&'r NameRule> {
    cover(rules, asked).filter(|(cover, _)| *cover == Cover::Hidden).map(|(_, rule)| rule)
}

fn look<'r>(rules: &'r Rules, asked: Asked<'_>) -> Answer<'r> {
    let hides = |(rule, made, reached): &(&'r NameRule, &'r Prepared, Reached)| {
        covers(rules, rule, made, (reached.meets, asked.path)) == Some(Cover::Hidden)
            // Names on the way to what shows again can be passed.
            && !made.tree(rules).any(|entry| holds(asked.path, &entry.path))
    };
    match met(rules, asked).find(hides) {
        Some((rule, _, _)) => Cover::Hidden.deny(rule),
        None => Answer::Allow,
    }
}

fn read<'r>(rules: &'r Rules, asked: Asked<'_>) -> Answer<'r> {
    let mut mask = None;
    for (rule, made, reached) in met(rules, asked) {
        match covers(rules, rule, made, (reached.meets, asked.path)) {
            Some(Cover::Hidden) => return Cover::Hidden.deny(rule),
            Some(Cover::Guarded) if rule.hold == Hold::Mask => mask = mask.or(Some(rule)),
            Some(Cover::Guarded | Cover::Settings) | None => {}
        }
    }
    mask.map_or(Answer::Allow, |rule| Answer::Mask(&rule.clause))
}

fn create<'r>(rules: &'r Rules, asked: Asked<'_>, made: Made) -> Answer<'r> {
    match (cover(rules, asked), made) {
        (Some((cover, rule)), _) => cover.deny(rule),
        (None, Made::Link) => leads(rules, asked).unwrap_or(Answer::Allow),
        (None, Made::Directory | Made::File) => Answer::Allow,
    }
}

/// The denial of a symbolic link where a directory would lead to a held name: it leads elsewhere, and
/// what is made there is not held.
fn leads<'r>(rules: &'r Rules, asked: Asked<'_>) -> Option<Answer<'r>> {
    let (rule, _, _) = met(rules, asked).find(|(_, _, reached)| reached.leads())?;
    Some(Cover::Guarded.deny(rule))
}

/// What a tree in which nothing is lost says of a change.
fn lossy<'r>(rules: &'r Rules, path: &Path, change: Change, thing: Thing) -> Answer<'r> {
    let Some(entry) = rules.holding(path) else { return Answer::Allow };
    let lost = match (entry.access, change) {
        (Access::NoDelete | Access::AppendOnly, Change::Cut(to)) => to < thing.bytes,
        (Access::AppendOnly, Change::Write) => true,
        (Access::NoDelete, Change::Write)
        | (Access::NoDelete | Access::AppendOnly, Change::Append | Change::Attributes)
        | (
            Access::Absent
            | Access::ReadOnly
            | Access::ReadWrite
            | Access::Private
            | Access::Hidden
            | Access::Guarded
            | Access::Ours,
            Change::Write | Change::Append | Change::Cut(_) | Change::Attributes,
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
    (from, thing): (Asked<'_>, Thing),
    (to, over): (Asked<'_>, Option<Thing>),
) -> Answer<'r> {
    if let Some((cover, rule)) = cover(rules, from) {
        return cover.deny(rule);
    }
    let settings = match cover(rules, to) {
        Some((Cover::Settings, rule)) if !thing.directory => Some(rule),
        Some((cover, rule)) => return cover.deny(rule),
        None => None,
    };
    for (asked, moved) in [(from, Some(thing)), (to, over)] {
        let Some(moved) = moved else { continue };
        if let denied @ Answer::Deny(..) = goes(rules, asked.path, moved) {
            return denied;
        }
    }
    let denied = if thing.directory || over.is_some_and(|over| over.directory) {
        carries(rules, from, to)
    } else {
        // Whatever is no directory may be a link; what is there may come to `from`.
        leads(rules, to).or_else(|| over.and_then(|_| leads(rules, from)))
    };
    denied.unwrap_or_else(|| settings.map_or(Answer::Allow, |rule| Answer::GitConfig(&rule.clause)))
}

/// The denial where a directory could carry a held name from one place, or to the other: what lies in
/// it is judged file by file.
fn carries<'r>(rules: &'r Rules, from: Asked<'_>, to: Asked<'_>) -> Option<Answer<'r>> {
    let both = met(rules, from).zip(met(rules, to));
    for ((rule, _, here), (_, _, there)) in both {
        let above = here.meets == Meets::Above || there.meets == Meets::Above;
        // What is hidden or masked in it stays so.
        let moves = matches!(rule.hold, Hold::Hide | Hold::Mask) && here.is_as(there);
        if above && !moves {
            return Some(Answer::Deny(&rule.clause, Because::Copied));
        }
    }
    None
}

fn link<'r>(rules: &'r Rules, from: Asked<'_>, to: Asked<'_>) -> Answer<'r> {
    if let Some((cover, rule)) = cover(rules, from).or_else(|| cover(rules, to)) {
        return cover.deny(rule);
    }
    if let Some(denied) = leads(rules, to) {
        return denied;
    }
    // A second name in a tree of other rules would be a way to lose what is kept under the first.
    match rules.holding(from.path).filter(|tree| tree.access.keeps()) {
        Some(tree) if rules.holding(to.path) != Some(tree) => {
            Answer::Deny(&tree.clause, Because::NoDelete)
        }
        Some(_) | None => Answer::Allow,
    }
}

fn connect<'r>(rules: &'r Rules, asked: Asked<'_>, thing: Thing) -> Answer<'r> {
    if let Some(rule) = hidden(rules, asked) {
        return Cover::Hidden.deny(rule);
    }
    let granted = rules.sockets.iter().any(|(socket, _)| socket == asked.path);
    // In a private place every socket was made inside.
    let private = || rules.holding(asked.path).is_some_and(|place| place.access == Access::Private);
    if thing.made || granted || private() {
        return Answer::Allow;
    }
    Answer::Deny(&rules.socket_clause, Because::Socket)
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
