//! Facts: what the caller's side of the machine looks like, read once and recorded.
//!
//! This module holds the values; `cofferdam-sandbox` reads them. Nothing here opens a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (only where the path itself was asked about, not what it leads to).
    Link,
    /// A socket, a FIFO or a device.
    Other,
}

/// What was seen at a path (`statx(2)`), without following a symbolic link in its last component.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// The same thing by a path without symbolic links; `None` where the path asked about has none.
    /// For a [`Kind::Link`] that leads nowhere, `None` as well.
    pub real: Option<PathBuf>,
    /// Where a symbolic link points, as written in it.
    pub link: Option<PathBuf>,
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, 0o7777 at most.
    pub mode: u32,
    /// Number of hard links.
    pub links: u64,
    /// Whether an access list (`acl(5)`) may let in more than `mode` says. Looked for below `/etc`
    /// alone, where `mode` shuts others out; elsewhere `false` says nothing.
    pub acl: bool,
}

impl Seen {
    /// Whether the host's own permissions shut user `uid` with these groups out: no owner's, group's
    /// or other's bit is theirs, and no access list adds one.
    #[must_use]
    pub fn is_shut_for(&self, uid: u32, groups: &[u32]) -> bool {
        let group = groups.contains(&self.gid) && self.mode & 0o070 != 0;
        uid != 0 && self.uid != uid && !group && self.mode & 0o007 == 0 && !self.acl
    }
}

/// Who started cofferdam, and who the workload is on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Person {
    /// Effective user of the caller.
    pub caller_uid: u32,
    /// Effective group of the caller.
    pub caller_gid: u32,
    /// Supplementary groups of the caller. An unprivileged caller cannot drop them.
    pub caller_groups: Vec<u32>,
    /// How the workload gets its ids.
    pub ids: Ids,
    /// The user's name inside.
    pub name: String,
}

/// How the workload gets its user and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Ids {
    /// The caller's own, who is not root.
    Caller {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Root started it and the workspace belongs to somebody: the workload is that user.
    Owner {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Root started it and the workspace is root's: the workload is a user that owns nothing, and
    /// granted trees are idmapped so that root's files there are its own.
    StandIn {
        /// User, unused on the host.
        uid: u32,
        /// Group, unused on the host.
        gid: u32,
    },
}

impl Ids {
    /// User and group of the workload.
    #[must_use]
    pub const fn pair(self) -> (u32, u32) {
        match self {
            Self::Caller { uid, gid } | Self::Owner { uid, gid } | Self::StandIn { uid, gid } => {
                (uid, gid)
            }
        }
    }
}

/// The user and group that stand in for root: far above any that a distribution hands out
/// (`systemd-nspawn` and containers use ranges that start below 2^31).
pub const STAND_IN_ID: u32 = 0x7C0F_FE00;

/// The stand-in inside a container that maps only the first 65,536 ids; below `nobody`, above the
/// ranges that systemd hands out (60001 to 60513 and 61184 to 65519).
pub const STAND_IN_ID_SMALL: u32 = 65_521;

/// Who the workload is, from who started it and who owns the workspace.
///
/// Root never maps to root: a uid 0 inside would write `/proc/sys` and leave root's files behind.
/// An owner gets the group of its account, `primary`, never that of the directory, which may be any
/// (`disk`, `shadow`). Without an account: the group of its own number if the directory has that.
#[must_use]
pub fn workload_ids(
    caller: (u32, u32),
    owner: (u32, u32),
    primary: Option<u32>,
    stand_in: u32,
) -> Ids {
    match (caller, owner) {
        ((0, _), (0, _)) => Ids::StandIn { uid: stand_in, gid: stand_in },
        ((0, _), (uid, group)) => {
            let own_number = if group == uid { uid } else { stand_in };
            let gid = primary.filter(|gid| *gid != 0).unwrap_or(own_number);
            Ids::Owner { uid, gid }
        }
        ((uid, gid), _) => Ids::Caller { uid, gid },
    }
}

/// Variables with their values. `Debug` shows the names: a value may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(pub BTreeMap<String, String>);

impl std::fmt::Debug for Values {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

/// The repository that the workspace belongs to, where its `.git` is above the workspace, or is a
/// file. What is said of it is what files on disk say of each other; whether it may be shown is
/// decided later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Enclosing {
    /// A git directory that says itself that it belongs to the work tree at `top`.
    Found {
        /// The directory that has the `.git`: the workspace or one above it.
        top: PathBuf,
        /// What has everything that git needs: `top/.git`, or what is shared of a worktree, or the
        /// submodule's own.
        directory: PathBuf,
    },
    /// A `.git` that is not believed.
    LeftOut {
        /// The `.git`.
        at: PathBuf,
        /// Why not.
        why: String,
    },
}

/// The root file system that a policy names in place of the host's system, as it was seen: what is at
/// its own names, which begin at its root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Rootfs {
    /// Its root on the host, without symbolic links.
    pub root: PathBuf,
    /// The digest of the manifest, where it is an image that was unpacked.
    pub digest: Option<String>,
    /// What is at its root, and what else was looked at; `None` where nothing is. Links lead to other
    /// names of the same root, also to some where nothing is.
    pub paths: BTreeMap<PathBuf, Option<Seen>>,
}

/// Everything that the resolution of a policy may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Facts {
    /// Who started it.
    pub person: Person,
    /// The home of the person, without symbolic links.
    pub home: PathBuf,
    /// The working directory, without symbolic links (`getcwd(2)`).
    pub cwd: PathBuf,
    /// Homes of this caller, of the workload and, for root, of everybody: too much for a grant.
    pub homes: Vec<PathBuf>,
    /// Where our own configuration and state are; no grant may hold them.
    pub own_places: Vec<PathBuf>,
    /// Our own programs that lie below a writable tree: they are bound read-only.
    pub own_programs: Vec<PathBuf>,
    /// The file that the policy was read from, the user's own where that is another, and every link
    /// on the way to them: below a writable grant files are bound read-only, and links a refusal.
    pub policy_files: Vec<PathBuf>,
    /// Git directories that belong to the writable trees, besides `.git` itself: of submodules and
    /// worktrees, behind a `.git` that is a file, and trees that are bare repositories.
    pub git_directories: Vec<PathBuf>,
    /// The repository around the workspace.
    pub enclosing: Option<Enclosing>,
    /// The kept home of this workspace, where the policy asks for one.
    pub kept_home: Option<PathBuf>,
    /// The system that is seen in place of the host's, where the policy names one that is there.
    pub rootfs: Option<Rootfs>,
    /// Variables that some clause passes, with their values.
    #[cfg_attr(feature = "json", serde(skip))]
    pub environment: Values,
    /// Names of all variables of the caller, sorted: the values of the others are not kept.
    pub environment_names: Vec<String>,
    /// The caller's `PATH`.
    pub path: Vec<PathBuf>,
    /// Every path that was looked at; `None` where nothing is there.
    pub paths: BTreeMap<PathBuf, Option<Seen>>,
    /// Paths that could not be looked at, with the system's words: what is there is not known.
    pub unseen: BTreeMap<PathBuf, String>,
}

impl Facts {
    /// Whether `inner` is `outer` or lies in it, by name or because something above `inner` is the
    /// very directory that `outer` names: a bind mount gives a directory two names.
    #[must_use]
    pub fn holds(&self, outer: &Path, inner: &Path) -> bool {
        let same = |at: &Path| match (self.seen(at), self.seen(outer)) {
            (Some(one), Some(other)) => (one.dev, one.ino) == (other.dev, other.ino),
            (None, _) | (_, None) => false,
        };
        inner.starts_with(outer) || inner.ancestors().any(same)
    }

    /// What the workload's system has at `path`: the host's, or the root file system's that stands for it.
    #[must_use]
    pub fn of_system(&self, path: &Path) -> Option<&Seen> {
        match &self.rootfs {
            Some(rootfs) => rootfs.paths.get(path).and_then(Option::as_ref),
            None => self.seen(path),
        }
    }

    /// What was seen at `path`; `None` where nothing is, or nobody looked.
    #[must_use]
    pub fn seen(&self, path: &Path) -> Option<&Seen> {
        self.paths.get(path).and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_permissions_shut_out() {
        let seen = |(uid, gid, mode, acl)| {
            let kind = Kind::File;
            Seen { kind, real: None, link: None, dev: 1, ino: 1, uid, gid, mode, links: 1, acl }
        };
        for (what, who, groups, want, why) in [
            ((0, 42, 0o640, false), 1000, &[1000][..], true, "another's, of another group"),
            ((0, 42, 0o640, false), 1000, &[1000, 42], false, "a member of its group"),
            ((0, 42, 0o600, false), 1000, &[42], true, "whose group may nothing"),
            ((0, 42, 0o640, true), 1000, &[1000], false, "an access list may name anybody"),
            ((0, 42, 0o644, false), 1000, &[1000], false, "everybody's"),
            ((0, 42, 0o601, false), 1000, &[1000], false, "to pass through as well"),
            ((1000, 42, 0o000, false), 1000, &[1000], false, "an owner gives itself the bits"),
            ((7, 42, 0o600, false), 0, &[0], false, "root"),
        ] {
            assert_eq!(seen(what).is_shut_for(who, groups), want, "{why}");
        }
    }
}
