//! Removes a tree that a workload filled: by descriptors, without following a link, with few of them
//! open and no recursion however deep it is.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, chmodat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

/// Names of a directory that are read before they are removed: its owner may add to it meanwhile.
const NAMES_AT_ONCE: usize = 65_536;

/// Removes `name` in `above` with all that is in it; what is not there is removed already.
///
/// Directories below the first level are moved up to it, so that none is ever deeper: each is moved
/// once, and emptied there. After `within` it is given up.
pub(super) fn tree(above: BorrowedFd<'_>, name: &str, within: Duration) -> io::Result<()> {
    let began = Instant::now();
    match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Ok(seen) if FileType::from_raw_mode(seen.st_mode) == FileType::Directory => {}
        Ok(_) => return Ok(unlinkat(above, name, AtFlags::empty())?),
        Err(error) => return Err(error.into()),
    }
    let root = open(above, name)?;
    let mut moved = 0_u64;
    loop {
        let names = names(&root)?;
        if names.is_empty() {
            break;
        }
        for name in names {
            if began.elapsed() > within {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if unlink(root.as_fd(), &name)? {
                continue;
            }
            let directory = open(root.as_fd(), &name)?;
            for inner in self::names(&directory)? {
                if began.elapsed() > within {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                if unlink(directory.as_fd(), &inner)? {
                    continue;
                }
                // To move a directory is to write in it: its `..` changes.
                drop(open(directory.as_fd(), &inner)?);
                loop {
                    let free = OsString::from(format!(".moved-{moved}"));
                    moved += 1;
                    let flags = rustix::fs::RenameFlags::NOREPLACE;
                    match rustix::fs::renameat_with(&directory, &inner, &root, &free, flags) {
                        Ok(()) => break,
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            match unlinkat(&root, &name, AtFlags::REMOVEDIR) {
                // More than was read at once: it comes again.
                Ok(()) | Err(Errno::NOTEMPTY) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    drop(root);
    Ok(unlinkat(above, name, AtFlags::REMOVEDIR)?)
}

/// Removes what is no directory; `false` where it is one.
fn unlink(at: BorrowedFd<'_>, name: &CString) -> io::Result<bool> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The directory `name`, opened so that it can be listed and emptied: its owner, who removes it, may
/// have shut it. The bits are changed through the descriptor, so of nothing else.
fn open(above: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let hold = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat2(above, name, hold, Mode::empty(), resolve)?;
    chmodat(CWD, format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU, AtFlags::empty())?;
    let list = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat2(&held, ".", list, Mode::empty(), resolve)?)
}

/// What is in it, `.` and `..` left out.
fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut found = Vec::new();
    // And two for `.` and `..`.
    for entry in Dir::read_from(directory)?.take(NAMES_AT_ONCE + 2) {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            found.push(name);
        }
    }
    Ok(found)
}
