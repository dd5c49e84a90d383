//! Terminals: the one call that types in a person's place.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Puts `byte` into the input of a terminal as if it were typed (`TIOCSTI`, `ioctl_tty(2)`).
///
/// # Errors
/// `EPERM`: not the caller's controlling terminal, or a filter forbids it. `EIO`: the kernel's
/// setting `dev.tty.legacy_tiocsti` forbids it (Linux 6.2). `ENOTTY`: no terminal.
pub fn type_in(terminal: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    // SAFETY: TIOCSTI reads one byte through the pointer, which is to `byte`.
    let answer = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const byte) };
    crate::check(answer.into()).map(drop)
}
