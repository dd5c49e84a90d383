//! What the engine asks the kernel before it plans, and init never.

use std::io;

use crate::check;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const CREATE_RULESET_VERSION: libc::c_uint = 1;

/// The Landlock ABI of this kernel, from 1; 0 where there is none or it is switched off.
#[must_use]
pub fn landlock_abi() -> u32 {
    // SAFETY: with a null attribute and the VERSION flag the call reads no memory.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(answer).unwrap_or(0)
}

/// Asks for a filter with a descriptor as [`set_filter_listening`](crate::seccomp::set_filter_listening) does, and with no program.
///
/// # Errors
/// Always. `EFAULT`: the kernel looked for the program, so it knows how. `EINVAL`: it does not know one
/// of the flags (Linux 5.19).
pub fn ask_listening() -> io::Result<()> {
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let program = std::ptr::null::<libc::sock_fprog>();
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads the program through the pointer and answers EFAULT where it is null.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, program) };
    check(answer).map(drop)
}

/// Whether a signal is ignored, as it was on entry to a program that has not changed it
/// (`sigaction(2)`).
///
/// # Errors
/// `EINVAL`: no such signal.
pub fn is_ignored(signal: libc::c_int) -> io::Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action nothing changes; the kernel writes one `sigaction`, for which
    // `action` has the room.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    check(answer.into())?;
    // SAFETY: written by the call above; zeroed, and so valid, before.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}
