//! What a name says, in the kernel's own layout: for somebody else's memory.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// `struct stat` of a name, as bytes (`newfstatat`, `stat(2)`).
///
/// # Errors
/// Those of `fstatat(2)`.
pub fn stat(directory: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<[u8; 144]> {
    const _: () = assert!(size_of::<libc::stat>() == 144);
    let mut bytes = [0; 144];
    // SAFETY: the name is a C string; the kernel writes one `struct stat`, for which `bytes` has the
    // room and any alignment will do.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            directory.as_raw_fd(),
            name.as_ptr(),
            bytes.as_mut_ptr(),
            flags,
        )
    };
    check(answer).map(|_| bytes)
}

/// `struct statx` of a name, as bytes (`statx(2)`, Linux 4.11).
///
/// # Errors
/// Those of `statx(2)`.
pub fn statx(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: i32,
    mask: u32,
) -> io::Result<[u8; 256]> {
    const _: () = assert!(size_of::<libc::statx>() == 256);
    let mut bytes = [0; 256];
    // SAFETY: as for `stat`, with one `struct statx`.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_statx,
            directory.as_raw_fd(),
            name.as_ptr(),
            flags,
            mask,
            bytes.as_mut_ptr(),
        )
    };
    check(answer).map(|_| bytes)
}
