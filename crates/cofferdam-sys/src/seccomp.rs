//! Seccomp filters (`seccomp(2)`, Linux 3.17): puts on bytes that the plan assembled.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::{check, new_fd};

/// Puts a filter on the calling thread and what it starts, for good.
///
/// `program` is classic BPF in the kernel's layout, 8 bytes an instruction, at most 4,096 of them.
/// The caller is single-threaded.
///
/// # Errors
/// `EINVAL`: the program is not valid. `EACCES`: `no_new_privs` is not set.
pub fn set_filter(program: &[u8]) -> io::Result<()> {
    install(program, 0).map(drop)
}

/// Puts a filter on as [`set_filter`] does, and gives the descriptor on which the calls arrive that
/// the filter hands to a supervisor (`seccomp_unotify(2)`, Linux 5.0). Who waits for an answer is woken
/// by nothing but its death (`WAIT_KILLABLE_RECV`, Linux 5.19): a call that is begun again after a
/// signal would be made twice.
///
/// # Errors
/// Those of [`set_filter`]. `EBUSY`: a filter above this one has such a descriptor already. `EINVAL`:
/// also before Linux 5.19.
pub fn set_filter_listening(program: &[u8]) -> io::Result<OwnedFd> {
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let fd = new_fd(install(program, flags)?)?;
    // SAFETY: the kernel has just created `fd` for this call, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn install(program: &[u8], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    let filter: Vec<libc::sock_filter> = program
        .as_chunks::<8>()
        .0
        .iter()
        .map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_le_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_le_bytes([k0, k1, k2, k3]),
        })
        .collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel copies the program and never writes it; the field is not const in the header.
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `program` names `len` instructions of `filter`, alive until the call is over.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    check(answer)
}
