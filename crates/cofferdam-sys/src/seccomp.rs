//! Seccomp filters (`seccomp(2)`, Linux 3.17): puts on bytes that the plan assembled.

use std::io;

use crate::check;

/// Puts a filter on the calling thread and what it starts, for good.
///
/// `program` is classic BPF in the kernel's layout, 8 bytes an instruction, at most 4,096 of them.
/// The caller is single-threaded.
///
/// # Errors
/// `EINVAL`: the program is not valid. `EACCES`: `no_new_privs` is not set.
pub fn set_filter(program: &[u8]) -> io::Result<()> {
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
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    check(answer).map(drop)
}
