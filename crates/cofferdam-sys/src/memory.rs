//! Memory that stays where it is.

use std::io;

/// Keeps the pages that hold `bytes` out of swap (`mlock(2)`). They stay locked until they are unmapped:
/// a page may hold two secrets, and locks are not counted.
///
/// # Errors
/// `ENOMEM` or `EPERM`: more than `RLIMIT_MEMLOCK` lets this process lock.
pub fn lock(bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the call reads and writes no memory of ours, and the pages are mapped: `bytes` is a
    // reference.
    let answer = unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) };
    crate::check(answer.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_bytes_are_locked() {
        let bytes = [7_u8; 100];
        let locked = lock(&bytes);
        let bounded = locked.as_ref().err().and_then(io::Error::raw_os_error);
        assert!(
            locked.is_ok() || matches!(bounded, Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN)),
            "{locked:?}"
        );
        assert_eq!(bytes, [7; 100]);
    }
}
