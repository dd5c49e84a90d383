//! The bytes of a secret, and how they are read from where they come.

use std::fmt;
use std::os::fd::AsFd;

use rustix::io::{Errno, read};
use zeroize::{Zeroize, Zeroizing};

/// Longest secret. Bytes. Keys of 16 Ki bits and tokens of clouds are far shorter.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// A secret: overwritten when it is dropped, kept out of swap where the system lets it be, and printed
/// nowhere. There is no copy but [`Secret::copy`]'s.
pub struct Secret(Box<[u8]>);

/// Why bytes are no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// There are none.
    Empty,
    /// There are more than [`SECRET_BYTES_MAX`].
    TooLong,
    /// One of them is a control byte that is neither a line feed nor a tab: it would end a field of a
    /// request, or begin another one.
    Control,
}

impl SecretFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "secret-empty",
            Self::TooLong => "secret-long",
            Self::Control => "secret-control",
        }
    }
}

impl fmt::Display for SecretFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "the secret is empty",
            Self::TooLong => "the secret is longer than 64 KiB",
            Self::Control => "the secret holds a control byte that is no line feed and no tab",
        })
    }
}

impl Secret {
    /// A secret of these bytes, which are overwritten where they were.
    ///
    /// # Errors
    /// They are none, too many, or hold a control byte.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretFault> {
        Self::of(&Zeroizing::new(bytes))
    }

    /// The same of bytes that somebody else overwrites.
    ///
    /// # Errors
    /// As of [`Secret::new`].
    pub fn of(bytes: &[u8]) -> Result<Self, SecretFault> {
        let control = |byte: &u8| byte.is_ascii_control() && ![b'\n', b'\t'].contains(byte);
        if bytes.is_empty() {
            return Err(SecretFault::Empty);
        }
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(SecretFault::TooLong);
        }
        if bytes.iter().any(control) {
            return Err(SecretFault::Control);
        }
        let mut kept = vec![0; bytes.len()].into_boxed_slice();
        // Where the system does not let it be locked it is a secret all the same.
        drop(cofferdam_sys::memory::lock(&kept));
        kept.copy_from_slice(bytes);
        Ok(Self(kept))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A second one with the same bytes: the vault is opened once for all credentials.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut kept = vec![0; self.0.len()].into_boxed_slice();
        drop(cofferdam_sys::memory::lock(&kept));
        kept.copy_from_slice(&self.0);
        Self(kept)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// The bytes without one line end behind them: LF or CR LF.
#[must_use]
pub fn without_line_end(bytes: &[u8]) -> &[u8] {
    let cut = bytes.strip_suffix(b"\n");
    cut.map_or(bytes, |cut| cut.strip_suffix(b"\r").unwrap_or(cut))
}

/// What `fd` gives up to its end; of more than `bytes_max` bytes one too many. The room is made at once:
/// a buffer that grows leaves copies.
///
/// # Errors
/// The system's.
pub fn read_bounded(fd: impl AsFd, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let mut bytes = Zeroizing::new(vec![0; bytes_max + 1]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match read(&fd, room) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_secret() {
        let long = vec![b'a'; SECRET_BYTES_MAX];
        let longer = vec![b'a'; SECRET_BYTES_MAX + 1];
        for (bytes, want, why) in [
            (&b"sk-1"[..], None, "a token"),
            (b"a", None, "the shortest"),
            (&long, None, "the longest"),
            (b"-----BEGIN-----\n\tab\n-----END-----\n", None, "a key has lines"),
            ("gr\u{fc}\u{df}e".as_bytes(), None, "a passphrase of other letters"),
            (b"", Some(SecretFault::Empty), "nothing"),
            (&longer, Some(SecretFault::TooLong), "one more"),
            (b"a\rb", Some(SecretFault::Control), "CR ends a field"),
            (b"a\0b", Some(SecretFault::Control), "NUL ends a string"),
            (b"a\x7f", Some(SecretFault::Control), "DEL"),
            (b"\x1b[2J", Some(SecretFault::Control), "a terminal obeys it"),
        ] {
            assert_eq!(Secret::of(bytes).err(), want, "{why}");
            assert_eq!(Secret::new(bytes.to_vec()).err(), want, "{why}");
            if want.is_none() {
                let secret = Secret::of(bytes).unwrap();
                assert_eq!(secret.expose(), bytes, "{why}");
                assert_eq!(secret.copy().expose(), bytes, "{why}");
            }
        }
    }

    #[test]
    fn nothing_prints_it() {
        let secret = Secret::of(b"sk-hidden").unwrap();
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(..) Some(Secret(..))");
    }

    #[test]
    fn one_line_end_is_cut() {
        for (bytes, want) in [
            (&b"a\n"[..], &b"a"[..]),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b"a\r", b"a\r"),
            (b"a", b"a"),
            (b"a\nb", b"a\nb"),
            (b"\n", b""),
            (b"", b""),
        ] {
            assert_eq!(without_line_end(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn reading_is_bounded_however_it_comes() {
        use std::io::Write as _;
        let text = b"0123456789";
        for split in 0..=text.len() {
            let (from, mut to) = std::io::pipe().unwrap();
            let (one, other) = text.split_at(split);
            let thread = std::thread::spawn(move || {
                to.write_all(one).unwrap();
                to.write_all(other).unwrap();
            });
            assert_eq!(*read_bounded(&from, 10).unwrap(), text, "split at {split}");
            thread.join().unwrap();
        }
        let (from, mut to) = std::io::pipe().unwrap();
        to.write_all(text).unwrap();
        drop(to);
        assert_eq!(read_bounded(&from, 4).unwrap().len(), 5, "one too many, and no more");
    }
}
