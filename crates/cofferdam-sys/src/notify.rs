//! System calls that a filter hands to a supervisor (`seccomp_unotify(2)`), and the memory of those
//! who make them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// A call that waits for its answer (`struct seccomp_notif`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// Names it until it is answered.
    pub id: u64,
    /// The thread that makes it, in the reader's pid namespace.
    pub thread: u32,
    flags: u32,
    /// Its number.
    pub number: i32,
    architecture: u32,
    instruction: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `struct seccomp_notif_addfd`.
#[repr(C)]
struct Give {
    id: u64,
    flags: u32,
    source: u32,
    number: u32,
    new_flags: u32,
}

/// `SECCOMP_IOCTL_NOTIF_*`: direction, size of what is passed, `!`, number.
const RECEIVE: libc::c_ulong = 0xC050_2100;
const SEND: libc::c_ulong = 0xC018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const ADD_FD: libc::c_ulong = 0x4018_2103;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// Takes the next call (`SECCOMP_IOCTL_NOTIF_RECV`, Linux 5.0); waits for one.
///
/// # Errors
/// `ENOENT`: it was gone before it could be told. `EINTR`. `ENOTCONN`: nobody is left who could make
/// one.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Call> {
    let mut call = Call::default();
    // SAFETY: the request writes one `struct seccomp_notif`, whose size it names and `call` has; it
    // wants zeroes there, which `default` gives.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut call) };
    check(answer.into()).map(|_| call)
}

/// Whether the call still waits, so that what was read of the thread meanwhile was the caller's
/// (`SECCOMP_IOCTL_NOTIF_ID_VALID`, Linux 5.0).
#[must_use]
pub fn waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the request reads one `u64` through the pointer, which is to `id`.
    unsafe { libc::ioctl(listener.as_raw_fd(), ID_VALID, &raw const id) == 0 }
}

/// Answers a call with a value, or with an `errno(3)` (`SECCOMP_IOCTL_NOTIF_SEND`, Linux 5.0). Never
/// lets it be made: the flag for that is not here.
///
/// # Errors
/// `ENOENT`: the caller is gone.
pub fn answer(listener: BorrowedFd<'_>, id: u64, answer: Result<i64, i32>) -> io::Result<()> {
    let (value, error) = match answer {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno),
    };
    let response = Response { id, value, error, flags: 0 };
    // SAFETY: the request reads one `struct seccomp_notif_resp`, which `response` is.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw const response) };
    check(answer.into()).map(drop)
}

/// Gives the caller a copy of `fd` under the lowest free number, which is the answer's
/// (`SECCOMP_IOCTL_NOTIF_ADDFD`, Linux 5.9). `new_flags` is `O_CLOEXEC` or 0.
///
/// # Errors
/// `EMFILE`: the caller's limit. `EBADF`: a descriptor of `O_PATH`. `ENOENT`: the caller is gone.
pub fn give(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    new_flags: u32,
) -> io::Result<i64> {
    let source = u32::try_from(fd.as_raw_fd()).map_err(io::Error::other)?;
    let give = Give { id, flags: 0, source, number: 0, new_flags };
    // SAFETY: the request reads one `struct seccomp_notif_addfd`, which `give` is.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), ADD_FD, &raw const give) };
    check(answer.into())
}

/// Lets caller and supervisor wake each other on one processor (`SECCOMP_IOCTL_NOTIF_SET_FLAGS`,
/// Linux 6.6): a call costs a quarter.
///
/// # Errors
/// `EINVAL` or `ENOTTY` before Linux 6.6, which only costs time.
pub fn wake_on_one_processor(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes an integer.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
    check(answer.into()).map(drop)
}

/// The kernel transfers whole pieces: one that ends with a page is read though the next page is not
/// there (`process_vm_readv(2)`).
const PAGE: u64 = 4096;

/// `address` and on, as two pieces that each lie in one page, or in whole ones.
fn pieces(address: u64, bytes: usize) -> io::Result<[libc::iovec; 2]> {
    let to_page = usize::try_from(PAGE - address % PAGE).map_err(io::Error::other)?;
    let first = bytes.min(to_page);
    let start = usize::try_from(address).map_err(io::Error::other)?;
    let next = start.checked_add(first).ok_or(io::ErrorKind::InvalidInput)?;
    let piece = |at: usize, bytes| libc::iovec {
        iov_base: std::ptr::without_provenance_mut(at),
        iov_len: bytes,
    };
    Ok([piece(start, first), piece(next, bytes - first)])
}

/// Copies memory of a thread's process (`process_vm_readv(2)`, Linux 3.2), at most `to` and a page
/// border's worth less where the next page is not there. How many bytes came.
///
/// # Errors
/// `EFAULT`: nothing is there. `ESRCH`: it is gone. `EPERM`: it may not be read.
pub fn read_memory(thread: u32, address: u64, to: &mut [u8]) -> io::Result<usize> {
    let remote = pieces(address, to.len())?;
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let thread = libc::pid_t::try_from(thread).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `to.len()` bytes into `to`; the other addresses are looked up
    // in the other process alone.
    let answer =
        unsafe { libc::process_vm_readv(thread, &raw const local, 1, remote.as_ptr(), 2, 0) };
    usize::try_from(check(libc::c_long::try_from(answer).map_err(io::Error::other)?)?)
        .map_err(io::Error::other)
}

/// Writes memory of a thread's process (`process_vm_writev(2)`, Linux 3.2), all of `from`.
///
/// # Errors
/// `EFAULT`: not all of it is there. `ESRCH`, `EPERM` as for [`read_memory`].
pub fn write_memory(thread: u32, address: u64, from: &[u8]) -> io::Result<()> {
    let remote = pieces(address, from.len())?;
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let thread = libc::pid_t::try_from(thread).map_err(io::Error::other)?;
    // SAFETY: the kernel only reads `from`; the other addresses are looked up in the other process.
    let answer =
        unsafe { libc::process_vm_writev(thread, &raw const local, 1, remote.as_ptr(), 2, 0) };
    let written = check(libc::c_long::try_from(answer).map_err(io::Error::other)?)?;
    if usize::try_from(written) == Ok(from.len()) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}
