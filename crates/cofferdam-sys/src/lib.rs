//! The system calls that no safe library gives us: one function, one call, owned fds in and out.
//!
//! Everything else goes through `rustix`. Errors are `io::Error` with the kernel's `errno`: this
//! crate does not know what the caller wanted.
#![cfg(target_os = "linux")]

pub mod landlock;
pub mod look;
pub mod memory;
pub mod mount;
pub mod net;
pub mod notify;
pub mod process;
pub mod question;
pub mod seccomp;
pub mod socket;
pub mod terminal;
pub mod timer;

use std::io;

/// The kernel's answer as a result.
fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A new file descriptor from the kernel's answer.
fn new_fd(answer: libc::c_long) -> io::Result<libc::c_int> {
    libc::c_int::try_from(check(answer)?).map_err(io::Error::other)
}
