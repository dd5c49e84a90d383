//! Whom the sandbox believes where the gateway looks into TLS: the system's authorities, those of the
//! policy, and the session's own.
//!
//! Nothing of a file but its certificates goes inside: what else a person keeps there may be a key.

mod java;
mod pem;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cofferdam_plan::message::Believed;
use cofferdam_plan::model::{Clause, Ours, Policy};
use cofferdam_plan::plan::Trusted;
use rustix::fs::{FileType, Mode, OFlags, fstat};

use crate::refusal::errno_text;

/// Most of all files of authorities. The lists of the distributions have 150 to 450 of them in up to
/// 700 KiB. Init has room for these, as text and in Java's form.
const BYTES_MAX: u64 = 4 << 20;

/// A file of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read the authorities in {}: {why}   {clause}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
        /// The rule that needs it.
        clause: Clause,
    },
    /// A person names it, and it has no certificate.
    #[error("{} holds no certificate   {clause}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The rule that names it.
        clause: Clause,
    },
}

impl TrustError {
    /// Stable name for scripts and the audit log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unread { .. } => "authorities-unread",
            Self::Empty { .. } => "authorities-empty",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unread { .. } => {
                "name a file that you can read, of at most 4 MiB with the system's own".into()
            }
            Self::Empty { .. } => {
                "name a file with `-----BEGIN CERTIFICATE-----` lines (PEM)".into()
            }
        }
    }
}

/// Authorities that are believed inside, but for the session's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Trust {
    believed: Believed,
    /// Whether the system's are in view inside.
    shown: bool,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} certificates", self.certificates().count())
    }
}

impl Trust {
    /// Reads them; `None` where nobody looks into TLS.
    ///
    /// # Errors
    /// A file cannot be read, or is too long; or one that a person names has no certificate.
    pub fn read(policy: &Policy) -> Result<Option<Self>, TrustError> {
        let network = &policy.network;
        if !network.rules.inspects() {
            return Ok(None);
        }
        let (mut believed, mut left) = (Believed::default(), BYTES_MAX);
        let shown = policy.replaced.iter().any(|ours| ours.by == Ours::Authorities);
        if let Some(system) = &policy.authorities {
            let text = read(system, &Clause::built_in("network.inspect"), &mut left)?;
            believed.system = pem::certificates(&text).collect();
        }
        for file in &network.trust_ca {
            let (path, clause) = (&file.path, &file.clause);
            let more: Vec<_> = pem::certificates(&read(path, clause, &mut left)?).collect();
            if more.is_empty() {
                return Err(TrustError::Empty { path: path.clone(), clause: clause.clone() });
            }
            believed.named.extend(more);
        }
        let mut seen = std::collections::BTreeSet::new();
        for list in [&mut believed.named, &mut believed.system] {
            // Java's store has a name for each, OpenSSL complains of none.
            list.retain(|certificate| seen.insert(certificate.clone()));
        }
        Ok(Some(Self { believed, shown }))
    }

    /// The gateway's part: it believes hosts by what was read here, and by nothing else.
    pub(crate) const fn believed(&self) -> &Believed {
        &self.believed
    }

    /// Those that are believed inside, each once: the system's are those that would be seen anyway.
    fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let system = self.believed.system.iter().filter(|_| self.shown);
        system.chain(&self.believed.named).map(Vec::as_slice)
    }

    /// A file for the sandbox, with `session`, its own authority, in it.
    pub(crate) fn file(&self, what: Trusted, session: &[u8]) -> Vec<u8> {
        let own = [session];
        let all = self.certificates().chain(own);
        match what {
            Trusted::Everybody => pem::text(all).into_bytes(),
            Trusted::Session => pem::text(own.into_iter()).into_bytes(),
            Trusted::Java => java::store(all),
        }
    }
}

/// Whether it is one value of ASN.1, a SEQUENCE, and nothing behind it (X.690, 8.1 and 8.9): Java
/// believes nobody of a list that has anything else in it.
pub(crate) fn is_one(certificate: &[u8]) -> bool {
    let Some(([0x30, first], rest)) = certificate.split_first_chunk::<2>() else { return false };
    match first {
        0..=0x7F => rest.len() == usize::from(*first),
        0x81..=0x84 => {
            let Some((length, rest)) = rest.split_at_checked(usize::from(first & 0x0F)) else {
                return false;
            };
            let length = length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            length > 0x7F && rest.len() == length
        }
        _ => false,
    }
}

/// A regular file, whole, of at most `left` bytes, which are fewer then. One that is none is not waited
/// for.
fn read(path: &Path, clause: &Clause, left: &mut u64) -> Result<Vec<u8>, TrustError> {
    let unread =
        |why: String| TrustError::Unread { path: path.to_owned(), why, clause: clause.clone() };
    let said = |error: io::Error| match error.raw_os_error() {
        Some(errno) => unread(errno_text(errno)),
        None => unread(error.to_string()),
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| said(errno.into()))?;
    let seen = fstat(&file).map_err(|errno| said(errno.into()))?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return Err(unread("it is no file".into()));
    }
    let mut bytes = Vec::new();
    File::from(file).take(*left + 1).read_to_end(&mut bytes).map_err(said)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    *left = left
        .checked_sub(length)
        .ok_or_else(|| unread("all authorities together are longer than 4 MiB".into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_certificate() {
        let long = [vec![0x30, 0x82, 0x01, 0x00], vec![7; 256]].concat();
        for (bytes, want, why) in [
            (&[0x30, 2, 1, 2][..], true, "a short one"),
            (&long, true, "a length of two bytes"),
            (&[0x30, 0x81, 2, 1, 2], false, "a length that is not as short as it can be"),
            (&[0x30, 2, 1, 2, 0], false, "a byte behind it"),
            (&[0x30, 2, 1], false, "it ends early"),
            (&[0x30, 0x80, 0, 0], false, "no length: that is not DER"),
            (&[0x31, 2, 1, 2], false, "a SET"),
            (&[0x30, 0x84, 0, 0], false, "it ends in its length"),
            (&[0x30], false, "it ends before it"),
            (&[], false, "nothing"),
        ] {
            assert_eq!(is_one(bytes), want, "{why}");
        }
    }

    #[test]
    fn what_is_read() {
        let folder = std::env::temp_dir().join(format!("cofferdam-trust-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let clause = Clause::built_in("network.inspect");
        let file = folder.join("list");
        std::fs::write(&file, "0123456789").unwrap();
        let mut left = 21;
        assert_eq!(read(&file, &clause, &mut left).unwrap(), b"0123456789");
        assert_eq!(read(&file, &clause, &mut left).unwrap().len(), 10);
        assert_eq!(left, 1, "of all files together");
        let pipe = folder.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for (path, why) in [
            (&file, "all authorities together are longer than 4 MiB"),
            (&folder, "it is no file"),
            (&folder.join("list/x"), "not a directory"),
            (&pipe, "it is no file"),
            (&folder.join("none"), "no such file or directory"),
        ] {
            let error = read(path, &clause, &mut left).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
