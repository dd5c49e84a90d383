//! What this session has made: it may be lost again, where what is older may not.

use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use cofferdam_plan::judge::names::Thing;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};
use rustix::io::Errno;

/// A file, for good: inodes are used again, and then were born later.
type Identity = (u32, u32, u64, i64, u32);

/// What is not remembered counts as older, so forgetting loses nothing of the host's.
const MADE_MAX: usize = 1 << 20;

/// Identities of what was made.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<HashSet<Identity>>);

/// What stands at a name, and whether it is a directory, a socket, and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) thing: Thing,
    pub(super) kind: FileType,
    pub(super) identity: Identity,
    links: u32,
}

impl Made {
    /// Looks at a name, or with an empty one at the descriptor itself; never follows a link.
    pub(super) fn look(&self, at: impl AsFd, name: &CStr) -> Result<Found, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        let seen = statx(at, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
        let identity = identity(&seen);
        let kind = FileType::from_raw_mode(seen.stx_mode.into());
        let made = self.set().contains(&identity);
        let thing = Thing { made, directory: kind == FileType::Directory, bytes: seen.stx_size };
        Ok(Found { thing, kind, identity, links: seen.stx_nlink })
    }

    /// Remembers what has just been made under a name, or is held by a descriptor.
    pub(super) fn remember(&self, at: impl AsFd, name: &CStr) {
        if let Ok(found) = self.look(at, name) {
            let mut set = self.set();
            if set.len() < MADE_MAX {
                set.insert(found.identity);
            }
        }
    }

    /// Forgets what has lost its last name.
    pub(super) fn forget(&self, found: &Found) {
        if found.thing.made && (found.links < 2 || found.thing.directory) {
            self.set().remove(&found.identity);
        }
    }

    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<Identity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(seen: &Statx) -> Identity {
    let born = seen.stx_btime;
    (seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino, born.tv_sec, born.tv_nsec)
}
