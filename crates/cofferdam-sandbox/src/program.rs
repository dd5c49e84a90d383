//! A program of the host's that is started by us: found where only those put it who may, opened once,
//! and from there on its descriptor alone.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cofferdam_plan::host::Program;
use rustix::fs::{Mode, OFlags, ResolveFlags, fgetxattr, openat2};

/// Writable by the group or by others.
const SHARED: u32 = 0o022;
/// Set-user-ID and set-group-ID.
const SETID: u32 = 0o6000;
/// Only its owner removes or renames what is in such a directory (`inode(7)`).
const STICKY: u32 = 0o1000;

/// Whose a program, and every directory above it, may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owners {
    /// Root's: this user here.
    Root(u32),
    /// Root's, or the caller's, who names it.
    RootOr {
        /// Root.
        root: u32,
        /// The caller.
        caller: u32,
    },
}

/// What was found in the places for a program.
#[derive(Debug)]
pub(crate) enum Search {
    /// Nothing.
    Missing,
    /// One that is not to be trusted.
    Untrusted {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// One, opened.
    Opened(OwnedFd, Program),
}

/// The first of `places` below `top` that is there, judged: `top` itself is trusted.
pub(crate) fn search(top: &Path, places: &[&str], root: u32) -> Search {
    let found = places.iter().map(|place| in_place(top, &top.join(place), Owners::Root(root)));
    found.into_iter().find(|found| !matches!(found, Search::Missing)).unwrap_or(Search::Missing)
}

/// What is at `place`. A link of the system's, as /usr/local or /bin can be, is followed once, and what it
/// leads to judged.
pub(crate) fn in_place(top: &Path, place: &Path, owners: Owners) -> Search {
    let Ok(path) = std::fs::canonicalize(place) else { return Search::Missing };
    match open_trusted(top, &path, owners) {
        Ok((program, dev, ino)) => Search::Opened(program, Program { path, dev, ino }),
        Err(why) => Search::Untrusted { path, why },
    }
}

fn open_trusted(top: &Path, path: &Path, owners: Owners) -> Result<(OwnedFd, u64, u64), String> {
    for above in path.ancestors().skip(1).take_while(|above| above.starts_with(top)) {
        let seen = std::fs::symlink_metadata(above).map_err(|error| error.to_string())?;
        owners.judge(&above.display().to_string(), &seen)?;
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let program = openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve)
        .map_err(|error| format!("it cannot be opened: {}", io::Error::from(error)))?;
    let file = std::fs::File::from(program);
    let seen = file.metadata().map_err(|error| error.to_string())?;
    if !seen.is_file() {
        return Err("it is no regular file".into());
    }
    owners.judge("it", &seen)?;
    if seen.mode() & SETID != 0 {
        return Err("it has the set-user-ID or set-group-ID bit".into());
    }
    let mut value = [0_u8; 64];
    // ENODATA and EOPNOTSUPP: there are none.
    if fgetxattr(&file, c"security.capability", &mut value).is_ok() {
        return Err("it has capabilities of its own (capabilities(7))".into());
    }
    if seen.permissions().mode() & 0o111 == 0 {
        return Err("nobody may execute it".into());
    }
    Ok((file.into(), seen.dev(), seen.ino()))
}

impl Owners {
    fn judge(self, what: &str, seen: &std::fs::Metadata) -> Result<(), String> {
        let (uid, mode) = (seen.uid(), seen.mode());
        let (allowed, root, named) = match self {
            Self::Root(root) => (uid == root, root, false),
            Self::RootOr { root, caller } => (uid == root || uid == caller, root, true),
        };
        if !allowed {
            return Err(format!("{what} is of user {uid}"));
        }
        // As /tmp is: what is in it is judged by itself, and stays where it is.
        let kept = named && seen.is_dir() && uid == root && mode & STICKY != 0;
        if mode & SHARED != 0 && !kept {
            return Err(format!("others may write {what}, mode {:04o}", mode & 0o7777));
        }
        // By its other name it could be in a tree that is granted.
        if named && seen.is_file() && uid != root && seen.nlink() > 1 {
            return Err(format!(
                "{what} has {} names (link(2)), and is no program of root's",
                seen.nlink()
            ));
        }
        Ok(())
    }
}
