//! The watch over mounts: a mount guards an inode, and the host can make it fall.
//!
//! When the host replaces a file by rename, the kernel detaches the mount over it. The list of
//! this namespace's mounts (`/proc/self/mountinfo`, `proc(5)`) polls `POLLPRI|POLLERR` on every
//! change. Nothing inside can mount, so a change is the host's doing.
//!
//! When the host moves the file, or a directory above it, the mount goes with it and the name is free:
//! an editor that keeps the old file as a backup does so. Nothing wakes for that, so the list is looked
//! at from time to time as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::mounts::{List, inner, missing, parse};
use cofferdam_plan::plan::Guard;

/// The mounts as they were when the workload started.
#[derive(Debug)]
pub(crate) struct Watch {
    list: File,
    guards: Vec<(PathBuf, Guard)>,
    /// Where a mount holds a name of a tree, and not a tree.
    names: BTreeSet<PathBuf>,
    mounts: Vec<Mount>,
}

#[derive(Debug)]
struct Mount {
    id: u64,
    at: PathBuf,
    guard: Guard,
    /// For one that holds a name: its place in the mount that it lies in, which may be moved as a
    /// whole by whoever has the home.
    inner: Option<PathBuf>,
}

impl Watch {
    /// Opens the list of mounts.
    ///
    /// To be called after `pivot_root(2)`: the list shows what can be reached from the root that
    /// the opening process had.
    pub(crate) fn new(guards: Vec<(PathBuf, Guard)>, names: BTreeSet<PathBuf>) -> io::Result<Self> {
        Ok(Self { list: File::open("/proc/self/mountinfo")?, guards, names, mounts: Vec::new() })
    }

    /// How many guards there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.guards.len()).unwrap_or(u32::MAX)
    }

    /// Takes the first look, and gives the guards that have fallen already. What is no guard is
    /// watched as strictly from here on.
    pub(crate) fn begin(&mut self) -> io::Result<Vec<(PathBuf, Guard)>> {
        // At one path the guard put up last decides.
        let guard_of: BTreeMap<&Path, Guard> =
            self.guards.iter().map(|(at, guard)| (at.as_path(), *guard)).collect();
        // Without a view of its own the sandbox has no mount of ours, and the host's come and go.
        if self.guards.is_empty() {
            return Ok(Vec::new());
        }
        let list = read(&mut self.list)?;
        let mount = |(id, (_, at)): (&u64, &(u64, PathBuf))| Mount {
            id: *id,
            at: at.clone(),
            guard: guard_of.get(at.as_path()).copied().unwrap_or(Guard::Kill),
            inner: self.names.contains(at).then(|| inner(*id, &list)).flatten(),
        };
        let mounts: Vec<Mount> = list.iter().map(mount).collect();
        let fallen = missing(&self.guards, mounts.iter().map(|mount| mount.at.as_path()));
        self.mounts = mounts;
        Ok(fallen)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.list.as_fd()
    }

    /// Which mounts fell since the last look. A mount that nobody made is told as a fall of `/`.
    pub(crate) fn fallen(&mut self) -> io::Result<Vec<(PathBuf, Guard)>> {
        if self.guards.is_empty() {
            return Ok(Vec::new());
        }
        let now = read(&mut self.list)?;
        let mut fallen = Vec::new();
        self.mounts.retain_mut(|mount| {
            let stands = now.contains_key(&mount.id);
            // Told once: it stands, elsewhere.
            let place = mount.inner.take_if(|place| inner(mount.id, &now).as_ref() != Some(place));
            if !stands || place.is_some() {
                fallen.push((mount.at.clone(), mount.guard));
            }
            stands
        });
        if now.keys().any(|id| !self.mounts.iter().any(|mount| mount.id == *id)) {
            fallen.push((PathBuf::from("/"), Guard::Kill));
        }
        Ok(fallen)
    }
}

/// Room for the list of an ordinary view: it comes with one read. Bytes.
const LIST_BYTES: usize = 16 << 10;

fn read(list: &mut File) -> io::Result<List> {
    let mut text = String::with_capacity(LIST_BYTES);
    list.rewind()?;
    list.read_to_string(&mut text)?;
    text.lines().map(|line| parse(line).ok_or_else(|| io::ErrorKind::InvalidData.into())).collect()
}
