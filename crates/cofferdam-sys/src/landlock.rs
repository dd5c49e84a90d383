//! Landlock (`landlock(7)`, Linux 5.13): three calls. Rights are numbers that the Plan carries.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::{check, new_fd};

/// `struct landlock_ruleset_attr` up to ABI 6. An older kernel takes it as long as the fields it
/// does not know are 0.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`: packed in the kernel's header.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

const RULE_PATH_BENEATH: libc::c_int = 1;

/// Makes a ruleset (`landlock_create_ruleset(2)`, Linux 5.13; `network` Linux 6.7; `scoped` Linux 6.12).
///
/// # Errors
/// `EINVAL` or `E2BIG`: a right that this kernel does not know. `ENOMSG`: no right at all.
/// `EOPNOTSUPP`: Landlock is switched off.
pub fn create_ruleset(handled: u64, network: u64, scoped: u64) -> io::Result<OwnedFd> {
    let attr = RulesetAttr { handled_access_fs: handled, handled_access_net: network, scoped };
    // SAFETY: the pointer and size are those of `attr`, which the kernel only reads.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of::<RulesetAttr>(),
            0,
        )
    };
    let fd = new_fd(answer)?;
    // SAFETY: the kernel has just created `fd` for this call, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Allows `rights` at and below what `at` names (`landlock_add_rule(2)`, Linux 5.13).
///
/// # Errors
/// `EINVAL`: a right that the ruleset does not handle, or one for directories on a file.
pub fn allow_beneath(ruleset: BorrowedFd<'_>, at: BorrowedFd<'_>, rights: u64) -> io::Result<()> {
    let attr = PathBeneathAttr { allowed_access: rights, parent_fd: at.as_raw_fd() };
    // SAFETY: the pointer is to `attr`, of the type that RULE_PATH_BENEATH says; only read.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const attr,
            0,
        )
    };
    check(answer).map(drop)
}

/// Puts the calling thread, and what it starts, under `ruleset` for good
/// (`landlock_restrict_self(2)`, Linux 5.13). The caller is single-threaded.
///
/// # Errors
/// `EPERM`: `no_new_privs` is not set. `E2BIG`: sixteen layers are there already.
pub fn restrict_self(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes two integers and reads no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    check(answer).map(drop)
}
