//! The one judge: what the workload may do with a path of the host.
//!
//! [`Rules`] is made once from a [`Policy`](crate::Policy) and travels in the Plan; [`decide`] is
//! what `plan`, `why`, the broker and the property tests ask. This module reads no text and
//! touches no file: the caller resolves symbolic links first.

pub mod about;
pub mod fold;
pub mod git;
pub mod hosts;
pub mod indexed;
pub mod mask;
pub mod names;
pub mod overlap;
pub mod path;
pub mod pattern;
pub mod requests;

use std::path::{Path, PathBuf};

use crate::credentials::{AGENT, first_login};
use crate::model::{Clause, Jail, Mode, Ours, Policy};
use names::{Answer, Ask, Change, Hold, Made, NameRule, Thing};
use pattern::Meets;

/// What the workload wants to do with the thing that the host has at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Act {
    /// Read a file or list a directory.
    Read,
    /// Change a file that exists.
    Write,
    /// Make a new name.
    Create,
    /// Give the name to something else, or this thing another name.
    Rename,
    /// Remove the name.
    Remove,
    /// Run a file.
    Execute,
    /// Connect to a socket.
    Connect,
}

/// A question to the judge.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is wanted.
    pub act: Act,
    /// Absolute and without symbolic links, `.` or `..`.
    pub path: &'a Path,
}

/// How a tree appears inside, from the most specific rule that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Access {
    /// Not in the view.
    Absent,
    /// The host's tree, unchangeable.
    ReadOnly,
    /// The host's tree: names are added, and what is there may grow.
    AppendOnly,
    /// The host's tree: changeable, but what is older than the session is not lost.
    NoDelete,
    /// The host's tree, changeable.
    ReadWrite,
    /// A place of the sandbox's own, empty at the start; nothing of the host is there.
    Private,
    /// The name may show, its content does not.
    Hidden,
    /// The host's content, which must stay as it is whatever else is granted.
    Guarded,
    /// The sandbox's own file stands where the host has another.
    Ours,
}

/// One tree and how it appears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Entry {
    /// The tree's root, absolute.
    pub path: PathBuf,
    /// How it appears.
    pub access: Access,
    /// The rule that says so.
    pub clause: Clause,
}

/// What the judge knows: entries sorted by path, so that an outer tree comes before an inner one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Rules {
    /// The rule where no entry holds a path: nothing is granted.
    base: Clause,
    entries: Vec<Entry>,
    /// Rules about names, whichever tree they lie in.
    names: Vec<NameRule>,
    /// What of each of them is made once.
    #[cfg_attr(feature = "json", serde(skip))]
    prepared: Vec<names::Prepared>,
    /// Sockets of the host's that may be connected to.
    sockets: Vec<(PathBuf, Clause)>,
    /// The rule about every other socket.
    socket_clause: Clause,
    /// No mounts hold the trees: what changes something outside of the writable ones is denied here.
    alone: bool,
}

/// The answer, with the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It works.
    Allow(&'a Clause),
    /// It does not, and why in one word.
    Deny(&'a Clause, Because),
}

/// Why an act is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// Nothing grants the path.
    Absent,
    /// The same where it is seen all the same: the jail has no view of its own.
    Ungranted,
    /// The tree is read-only.
    ReadOnly,
    /// The name is protected.
    Guarded,
    /// The content is hidden.
    Hidden,
    /// The name carries a mount, or a directory above one: it stays where it is.
    Pinned,
    /// It is older than the session, in a tree in which nothing is lost.
    NoDelete,
    /// A socket that the session did not make and nothing grants.
    Socket,
    /// A directory that could carry a held name moves by copies alone.
    Copied,
}

impl Access {
    /// Whether a tree of the host's is there.
    #[must_use]
    pub const fn is_tree(self) -> bool {
        self.is_written() || matches!(self, Self::ReadOnly)
    }

    /// Whether something of the host's may change.
    #[must_use]
    pub const fn is_written(self) -> bool {
        self.keeps() || matches!(self, Self::ReadWrite)
    }

    /// Whether what is older than the session is kept.
    #[must_use]
    pub const fn keeps(self) -> bool {
        matches!(self, Self::AppendOnly | Self::NoDelete)
    }
}

impl Rules {
    /// Rules from entries in any order. At equal paths the later of `entries` wins, so callers
    /// list protections last. What no entry holds is absent.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self {
            base: Clause::built_in("filesystem"),
            entries,
            names: Vec::new(),
            prepared: Vec::new(),
            sockets: Vec::new(),
            socket_clause: Clause::built_in("filesystem.sockets"),
            alone: false,
        }
    }

    /// The same where no mounts hold the trees, if `alone`.
    #[must_use]
    pub const fn holding_alone(mut self, alone: bool) -> Self {
        self.alone = alone;
        self
    }

    /// Whether no mounts hold the trees.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// Why nothing at `path` may change, of its trees: asked where no mount says so. Devices and `/proc` are
    /// the kernel's to judge, but for what they look like.
    pub(crate) fn unchanged(&self, path: &Path, looks: bool) -> Option<(&Clause, Because)> {
        let Some(entry) = self.holding(path).filter(|_| self.alone) else {
            return self.alone.then_some((&self.base, Because::Ungranted));
        };
        let because = match entry.access {
            Access::Private | Access::AppendOnly | Access::NoDelete | Access::ReadWrite => None,
            Access::Ours => looks.then_some(Because::Ungranted),
            Access::Absent => Some(Because::Ungranted),
            Access::ReadOnly => Some(Because::ReadOnly),
            Access::Guarded => Some(Because::Guarded),
            Access::Hidden => Some(Because::Hidden),
        };
        because.map(|because| (&entry.clause, because))
    }

    /// The same with rules about names, in the order in which they are asked.
    #[must_use]
    pub fn with_names(mut self, names: Vec<NameRule>) -> Self {
        self.prepared = names.iter().map(|rule| names::Prepared::of(rule, &self.entries)).collect();
        self.names = names;
        self
    }

    /// The same with sockets that may be connected to.
    #[must_use]
    pub fn with_sockets(mut self, sockets: Vec<(PathBuf, Clause)>) -> Self {
        self.sockets = sockets;
        self
    }

    /// Rules about names.
    #[must_use]
    pub fn names(&self) -> &[NameRule] {
        &self.names
    }

    /// Sockets of the host's that may be connected to.
    #[must_use]
    pub fn sockets(&self) -> &[(PathBuf, Clause)] {
        &self.sockets
    }

    /// The rule about every other socket.
    #[must_use]
    pub const fn socket_clause(&self) -> &Clause {
        &self.socket_clause
    }

    /// Whether looks and opens for reading are judged as well: something is hidden or masked.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.names.iter().any(|rule| matches!(rule.hold, Hold::Hide | Hold::Mask))
    }

    /// Whether what is done through descriptors may lose what is older than the session.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.entries.iter().any(|entry| entry.access.keeps())
    }

    /// The rules of a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let places: &[(&str, Access)] = match policy.jail {
            // What is the sandbox's own elsewhere is the host's there, so nothing of it is granted.
            Jail::Landlock => &[("/dev", Access::Ours), ("/proc", Access::Ours)],
            Jail::Auto | Jail::Native | Jail::Bubblewrap | Jail::Seatbelt => &[
                ("/tmp", Access::Private),
                ("/var/tmp", Access::Private),
                ("/dev/shm", Access::Private),
                ("/dev", Access::Ours),
                ("/proc", Access::Ours),
                ("/run", Access::Ours),
                ("/sys", Access::Ours),
            ],
        };
        let private = places.iter().map(|(path, access)| Entry {
            path: path.into(),
            access: *access,
            clause: Clause::built_in("filesystem"),
        });
        let home = Entry {
            path: policy.home.clone(),
            access: Access::Private,
            clause: policy.home_clause.clone(),
        };
        let etc = Clause::built_in("filesystem.etc");
        let inspect = Clause::built_in("network.inspect");
        let entry = |path: &Path, access, clause: &Clause| Entry {
            path: path.to_owned(),
            access,
            clause: clause.clone(),
        };
        let granted = policy.grants.iter().chain([&policy.workspace]);
        let agent = first_login(&policy.credentials).map(|one| (AGENT.into(), one.clause.clone()));
        Self::new(
            private
                .chain([home])
                .chain(granted.map(|grant| {
                    let access = match grant.mode {
                        Mode::ReadOnly => Access::ReadOnly,
                        Mode::AppendOnly => Access::AppendOnly,
                        Mode::NoDelete => Access::NoDelete,
                        Mode::ReadWrite => Access::ReadWrite,
                    };
                    entry(&grant.path, access, &grant.clause)
                }))
                .chain(policy.hidden.iter().map(|(path, _)| entry(path, Access::Hidden, &etc)))
                .chain(policy.replaced.iter().filter(|_| policy.jail != Jail::Landlock).map(
                    |ours| {
                        let clause = match ours.by {
                            Ours::Own => &etc,
                            Ours::Authorities | Ours::AuthoritiesOfJava => &inspect,
                        };
                        entry(&ours.at, Access::Ours, clause)
                    },
                ))
                .chain(
                    policy
                        .guarded
                        .iter()
                        .chain(&policy.own)
                        .map(|kept| entry(&kept.path, Access::Guarded, &kept.clause)),
                )
                .chain(
                    policy
                        .concealed
                        .iter()
                        .map(|name| entry(&name.path, Access::Hidden, &name.clause)),
                ),
        )
        .with_names(policy.names.clone())
        .with_sockets(policy.sockets.iter().cloned().chain(agent).collect())
        .holding_alone(policy.jail == Jail::Landlock)
    }

    /// Entries for codecs and people, outer before inner.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The most specific entry whose tree holds `path`.
    pub(crate) fn holding(&self, path: &Path) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| holds(&entry.path, path))
            .max_by_key(|entry| entry.path.as_os_str().len())
    }

    /// Whether an act in a private place works at the start. Only directories are there: the place
    /// itself and those that lead to a tree that appears in it, which may be moved with what they
    /// hold; no wall depends on their names.
    fn in_private(&self, request: Request<'_>, place: &Entry) -> bool {
        let made = |path: &Path| self.pinned_by(path).is_some();
        match request.act {
            Act::Create => request.path.parent().is_some_and(made),
            Act::Read => made(request.path),
            Act::Rename => made(request.path) && request.path != place.path,
            Act::Write | Act::Remove | Act::Execute | Act::Connect => false,
        }
    }

    /// What forbids the act by its name. A directory moves by copies where a name below it is held;
    /// where patterns alone may name something there, what the host has is taken for a file.
    fn of_names(&self, Request { act, path }: Request<'_>) -> Option<(&Clause, Because)> {
        let older = Thing { made: false, directory: false, bytes: 0 };
        let ask = match act {
            Act::Read => Ask::Read(path),
            // No open is judged where a program is run, but the name is there or is not.
            Act::Execute => Ask::Look(path),
            Act::Write => Ask::Change(path, Change::Write, older),
            Act::Create => Ask::Create(path, Made::File),
            Act::Rename | Act::Remove => Ask::Remove(path, older),
            Act::Connect => Ask::Connect(path, older),
        };
        if let Answer::Deny(clause, because) = names::judge(self, ask) {
            return Some((clause, because));
        }
        let carries = |rule: &&NameRule| {
            rule.pattern.concrete().is_some() && rule.pattern.meets(&rule.top, path) == Meets::Above
        };
        let carried = self.names.iter().find(carries).filter(|_| act == Act::Rename);
        carried.map(|rule| (&rule.clause, Because::Copied))
    }

    /// An entry at or below `path`, which keeps the name `path` where it is.
    pub(crate) fn pinned_by(&self, path: &Path) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path.starts_with(path))
    }
}

/// Whether `path` is `tree` or below it, of absolute paths without empty words: as
/// [`Path::starts_with`], which reads every word again each time.
fn holds(tree: &Path, path: &Path) -> bool {
    let tree = tree.as_os_str().as_encoded_bytes();
    let tree = tree.strip_suffix(b"/").unwrap_or(tree);
    let rest = path.as_os_str().as_encoded_bytes().strip_prefix(tree);
    rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

/// Says whether the workload may do `request`, and which rule says so: what [`names::judge`] says of
/// the name, then what the trees say.
///
/// Total and deny by default: a path that no entry holds is absent. Speaks of the start, when
/// everything is older than the session, and of cofferdam's walls only; the host's own permission bits
/// apply besides.
#[must_use]
pub fn decide<'a>(rules: &'a Rules, request: Request<'_>) -> Verdict<'a> {
    if let Some((clause, because)) = rules.of_names(request) {
        return Verdict::Deny(clause, because);
    }
    let Some(entry) = rules.holding(request.path) else {
        return Verdict::Deny(&rules.base, Because::Absent);
    };
    let moves = matches!(request.act, Act::Rename | Act::Remove);
    let deny = |because| Verdict::Deny(&entry.clause, because);
    match entry.access {
        // What is in a private place is the sandbox's own affair; the host has nothing there.
        Access::Private if rules.in_private(request, entry) => Verdict::Allow(&entry.clause),
        Access::Absent | Access::Private | Access::Ours => deny(Because::Absent),
        Access::Hidden => deny(Because::Hidden),
        Access::ReadOnly | Access::Guarded => match request.act {
            Act::Read | Act::Execute | Act::Connect => Verdict::Allow(&entry.clause),
            Act::Write | Act::Create | Act::Rename | Act::Remove => {
                deny(if entry.access == Access::Guarded {
                    Because::Guarded
                } else {
                    Because::ReadOnly
                })
            }
        },
        Access::AppendOnly | Access::NoDelete | Access::ReadWrite => {
            match rules.pinned_by(request.path) {
                Some(pin) if moves => Verdict::Deny(&pin.clause, Because::Pinned),
                Some(_) | None => Verdict::Allow(&entry.clause),
            }
        }
    }
}

/// The rule by which whoever reads `path` gets a placeholder, where [`decide`] allows the read.
#[must_use]
pub fn masked<'a>(rules: &'a Rules, path: &Path) -> Option<&'a Clause> {
    match names::judge(rules, Ask::Read(path)) {
        Answer::Mask(clause) => Some(clause),
        Answer::Allow | Answer::GitConfig(_) | Answer::Deny(..) => None,
    }
}

/// Says whether a symbolic link at `path` leads anywhere inside, and which rule says so. Its name is looked
/// at, and it lies in a tree of the host's; a link in a place of the sandbox's own is not there.
#[must_use]
pub fn leads<'a>(rules: &'a Rules, path: &Path) -> Verdict<'a> {
    if let Answer::Deny(clause, because) = names::judge(rules, Ask::Look(path)) {
        return Verdict::Deny(clause, because);
    }
    decide(rules, Request { act: Act::Read, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let entry = |path: &str, access| Entry {
            path: path.into(),
            access,
            clause: Clause::built_in(path),
        };
        Rules::new([
            entry("/home/u", Access::Private),
            entry("/usr", Access::ReadOnly),
            entry("/home/u/w", Access::ReadWrite),
            entry("/home/u/w/.git/hooks", Access::Guarded),
            entry("/home/u/w/vendor", Access::ReadOnly),
            entry("/etc/shadow", Access::Hidden),
        ])
    }

    #[track_caller]
    fn check(act: Act, path: &str, want: Option<Because>, why: &str) {
        let rules = rules();
        let got = match decide(&rules, Request { act, path: Path::new(path) }) {
            Verdict::Allow(_) => None,
            Verdict::Deny(_, because) => Some(because),
        };
        assert_eq!(got, want, "{act:?} {path}: {why}");
    }

    #[test]
    fn the_most_specific_rule_decides() {
        use Act::{Create, Execute, Read, Remove, Rename, Write};
        for (act, path, want, why) in [
            (Read, "/root/.ssh/id", Some(Because::Absent), "nothing grants it"),
            (Read, "/home/u/.ssh/id", Some(Because::Absent), "the private home is empty"),
            (Create, "/home/u/x", None, "a private place takes new names"),
            (Read, "/home/u", None, "the fresh home can be listed"),
            (Rename, "/home/u", Some(Because::Absent), "and stays where it is"),
            (Create, "/home/u/.ssh/x", Some(Because::Absent), "whose directory is there"),
            (Read, "/usr/bin/true", None, "the system is readable"),
            (Execute, "/usr/bin/true", None, "and runs"),
            (Write, "/usr/bin/true", Some(Because::ReadOnly), "and stays"),
            (Write, "/home/u/w/a", None, "the workspace is writable"),
            (Read, "/home/u/wx", Some(Because::Absent), "a longer name is another name"),
            (Write, "/home/u/w/.git/hooks/x", Some(Because::Guarded), "protected"),
            (Create, "/home/u/w/.git/hooks/x", Some(Because::Guarded), "protected"),
            (Read, "/home/u/w/.git/hooks/x", None, "protected is readable"),
            (Write, "/home/u/w/.git/index", None, "beside the protected name"),
            (Rename, "/home/u/w/.git", Some(Because::Pinned), "would carry hooks away"),
            (Rename, "/home/u/w", Some(Because::Pinned), "a mount stays"),
            (Remove, "/home/u/w/vendor", Some(Because::ReadOnly), "an inner tree stays"),
            (Write, "/home/u/w/vendor/x", Some(Because::ReadOnly), "inner beats outer"),
            (Rename, "/home/u/w/src", None, "nothing below is pinned"),
            (Read, "/etc/shadow", Some(Because::Hidden), "hidden"),
            (Read, "usr/bin/true", Some(Because::Absent), "a relative path is nobody's"),
        ] {
            check(act, path, want, why);
        }
    }
}
