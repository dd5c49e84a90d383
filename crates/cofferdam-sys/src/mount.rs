//! Mount attributes: the one call of the new mount API that `rustix` lacks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Whether a change holds for one mount or for those below it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This mount.
    One,
    /// This mount and every mount below it.
    Tree,
}

/// What `mount_setattr(2)` may switch on. Nothing is ever switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Attributes(u64);

impl Attributes {
    /// Nothing changes through this mount.
    pub const READ_ONLY: Self = Self(libc::MOUNT_ATTR_RDONLY);
    /// Setuid and file capabilities have no effect.
    pub const NO_SETUID: Self = Self(libc::MOUNT_ATTR_NOSUID);
    /// Device files do not open.
    pub const NO_DEVICES: Self = Self(libc::MOUNT_ATTR_NODEV);
    /// Nothing executes.
    pub const NO_EXEC: Self = Self(libc::MOUNT_ATTR_NOEXEC);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Adds attributes to the mount that `mount` is the root of (`mount_setattr(2)`, Linux 5.12).
///
/// # Errors
/// `EPERM`: no `CAP_SYS_ADMIN` in the mount's user namespace. `EINVAL`: not a mount's root.
pub fn set_attributes(mount: BorrowedFd<'_>, set: Attributes, reach: Reach) -> io::Result<()> {
    setattr(mount, set.0, 0, reach)
}

/// Makes a detached mount show ids through `user_namespace` (`MOUNT_ATTR_IDMAP`, Linux 5.12).
///
/// # Errors
/// `EINVAL`: the file system cannot be idmapped. `EPERM`: the caller is not root in the user
/// namespace of the file system, or the mount is idmapped already.
pub fn set_idmap(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    let fd = u64::try_from(user_namespace.as_raw_fd()).map_err(io::Error::other)?;
    setattr(mount, libc::MOUNT_ATTR_IDMAP, fd, Reach::Tree)
}

fn setattr(mount: BorrowedFd<'_>, set: u64, userns_fd: u64, reach: Reach) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd };
    let recursive = match reach {
        Reach::One => 0,
        Reach::Tree => libc::AT_RECURSIVE,
    };
    // SAFETY: the path is a static empty C string, and pointer and size are those of `attr`,
    // which the kernel only reads.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(answer).map(drop)
}
