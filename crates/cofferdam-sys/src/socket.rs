//! Sockets addressed by the bytes that somebody else wrote.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Binds to the address that `bytes` say (`bind(2)`).
///
/// # Errors
/// Those of `bind(2)`.
pub fn bind(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel copies `length` bytes and reads what they say with care of their length.
    let answer = unsafe { libc::bind(socket.as_raw_fd(), bytes.as_ptr().cast(), length) };
    check(answer.into()).map(drop)
}

/// Connects to the address that `bytes` say (`connect(2)`).
///
/// # Errors
/// Those of `connect(2)`.
pub fn connect(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: as for `bind`.
    let answer = unsafe { libc::connect(socket.as_raw_fd(), bytes.as_ptr().cast(), length) };
    check(answer.into()).map(drop)
}
