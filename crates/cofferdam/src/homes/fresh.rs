//! The private home of a jail that has no mounts: a directory of its own, made for one run and removed
//! after it. One that a killed engine left is removed by the next start.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cofferdam_policy::{Person, facts::Ids, view};
use rustix::fs::{
    AtFlags, Dir, FlockOperation, Gid, Mode, OFlags, Uid, fchown, flock, fstat, mkdirat, openat,
    statat,
};
use rustix::io::Errno;

use super::error::{HomeError, system};
use super::folder::{Folder, ours};
use super::{ATTEMPTS_MAX, Kept, LIST_MAX, SHARED, remove};
use crate::places::Places;

const FRESH: &str = "fresh";
/// Root's state for others (`hier(7)`): on a disk, for `/run` is the machine's memory.
const STATE: &str = "/var/lib";
/// A home's owner may go on to fill it while it is removed: then the next start goes on.
const REMOVAL_TIME: Duration = Duration::from_secs(30);
/// Locked by nobody: its engine is gone.
const ALONE: FlockOperation = FlockOperation::NonBlockingLockExclusive;

/// A directory that goes when this does.
#[derive(Debug)]
pub(super) struct Fresh {
    above: OwnedFd,
    name: String,
    /// Whose it is, where root makes it.
    pub(super) owner: Option<(u32, u32)>,
}

/// Whatever hinders it, the next start tries again.
impl Drop for Fresh {
    fn drop(&mut self) {
        remove::tree(self.above.as_fd(), &self.name, REMOVAL_TIME).unwrap_or(());
    }
}

/// A fresh home for `person`, empty but for the directory of what is temporary.
pub(super) fn make(person: &Person, places: &Places) -> Result<Kept, HomeError> {
    let another = match person.ids {
        Ids::Owner { uid, gid } => Some((uid, gid)),
        Ids::Caller { .. } | Ids::StandIn { .. } => None,
    };
    let homes = match another {
        None => Folder::at(&places.state, FRESH, Mode::RWXU)?,
        // They may pass there, and list nothing.
        Some(_) => Folder::at(Path::new(STATE), "cofferdam", Mode::RWXU | Mode::XGRP | Mode::XOTH)?,
    };
    sweep(&homes);
    for _ in 0..ATTEMPTS_MAX {
        let name = crate::engine::session_name();
        let path = homes.path.join(&name);
        let failed = |error: Errno| system("make", &path)(error.into());
        mkdirat(&homes.at, &name, Mode::RWXU).map_err(failed)?;
        let above = homes.at.try_clone().map_err(system("hold", &path))?;
        let fresh = Fresh { above, name, owner: another };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let home = openat(&homes.at, &fresh.name, flags, Mode::empty()).map_err(failed)?;
        flock(&home, SHARED).map_err(failed)?;
        // Swept by another start before it was locked: once more.
        let seen = fstat(&home).map_err(failed)?;
        let there = statat(&homes.at, &fresh.name, AtFlags::SYMLINK_NOFOLLOW);
        if !there.is_ok_and(|there| (there.st_dev, there.st_ino) == (seen.st_dev, seen.st_ino)) {
            continue;
        }
        mkdirat(&home, view::OWN_TEMPORARY, Mode::RWXU).map_err(failed)?;
        if let Some((uid, gid)) = another {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            let temporary = openat(&home, view::OWN_TEMPORARY, flags, Mode::empty());
            fchown(temporary.map_err(failed)?, uid, gid).map_err(failed)?;
            fchown(&home, uid, gid).map_err(failed)?;
        }
        let lock = File::from(home.try_clone().map_err(system("hold", &path))?);
        return Ok(Kept { path, home, _lock: lock, fresh: Some(fresh) });
    }
    Err(HomeError::InUse { workspace: homes.path })
}

/// Removes what killed engines left. What cannot be removed stays for the next start.
fn sweep(homes: &Folder) {
    let entries = Dir::read_from(&homes.at).into_iter().flatten().take(LIST_MAX).flatten();
    for entry in entries {
        let Ok(name) = entry.file_name().to_str() else { continue };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if name.starts_with('.') {
            continue;
        }
        if let Ok(home) = openat(&homes.at, name, flags, Mode::empty())
            && flock(&home, ALONE).is_ok()
        {
            remove::tree(homes.at.as_fd(), name, REMOVAL_TIME).unwrap_or(());
        }
    }
}

impl Folder {
    /// `name` in the directory `above`, made where it is missing.
    fn at(above: &Path, name: &str, mode: Mode) -> Result<Self, HomeError> {
        let path: PathBuf = above.join(name);
        let failed = |error: std::io::Error| system("make", &path)(error);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(above).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let above = rustix::fs::open(above, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        match mkdirat(&above, name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let at = openat(&above, name, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        ours(&at, &path, 0o777 & !mode.as_raw_mode())?;
        Ok(Self { path, at })
    }
}
