//! One look at one path, or at what a descriptor holds.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::facts::{Kind, Seen};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use rustix::io::Errno;

use super::FactsError;

/// Looks at one path without following its last symbolic link. `None` where nothing is there, an
/// error where that cannot be known.
pub(super) fn look_at(path: &Path) -> Result<Result<Option<Seen>, Errno>, FactsError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = |resolve| openat2(CWD, path, flags, Mode::empty(), resolve);
    let (fd, direct) = match open(ResolveFlags::NO_SYMLINKS) {
        Ok(fd) => (fd, true),
        Err(Errno::LOOP) => match open(ResolveFlags::empty()) {
            Ok(fd) => (fd, false),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Ok(None)),
            Err(errno) => return Ok(Err(errno)),
        },
        Err(Errno::NOSYS) => return Err(FactsError::NoOpenat2),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Ok(None)),
        Err(errno) => return Ok(Err(errno)),
    };
    let mut seen = match seen(&fd, path.starts_with("/etc")) {
        Ok(seen) => seen,
        Err(errno) => return Ok(Err(errno)),
    };
    let led = seen.kind == Kind::Link || !direct;
    seen.real = led.then(|| fs::canonicalize(path).ok()).flatten();
    Ok(Ok(Some(seen)))
}

/// What `fd` holds; an access list is looked for where `acl` says so. By which other path it is reached
/// is not asked.
pub(super) fn seen(fd: &OwnedFd, acl: bool) -> Result<Seen, Errno> {
    let stat = fstat(fd)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    };
    let link = (kind == Kind::Link)
        .then(|| readlinkat(fd, "", Vec::new()).ok()?.into_string().ok())
        .flatten()
        .map(PathBuf::from);
    Ok(Seen {
        kind,
        real: None,
        link,
        dev: stat.st_dev,
        ino: stat.st_ino,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        links: stat.st_nlink,
        acl: acl && is_for_a_group(stat.st_mode) && may_have_acl(fd),
    })
}

/// Whether owner and group alone have rights. Only there does an access list matter: with one, these
/// bits are the most that it gives to anybody it names (`acl(5)`).
const fn is_for_a_group(mode: u32) -> bool {
    mode & 0o007 == 0 && mode & 0o070 != 0
}

/// Whether there is an access list, or that cannot be known. The descriptor is one of `O_PATH`, of
/// which no attribute can be asked but by its name.
fn may_have_acl(fd: &OwnedFd) -> bool {
    let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut none = [0_u8; 0];
    let asked = rustix::fs::getxattr(name, "system.posix_acl_access", &mut none[..]);
    !matches!(asked, Err(Errno::NODATA | Errno::OPNOTSUPP))
}
