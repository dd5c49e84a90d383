//! SHA-256 (FIPS 180-4) as the names of our own files and records write it: in small hexadecimal digits.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// What is read of a file at once. Bytes.
const PART: usize = 1 << 18;

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    sha256_of_parts(&[bytes])
}

/// SHA-256 of `parts`, one after the other.
#[must_use]
pub fn sha256_of_parts(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    digits(hasher)
}

/// SHA-256 of all that `from` still has.
///
/// # Errors
/// It cannot be read.
pub fn sha256_of(mut from: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut part = vec![0; PART];
    loop {
        match from.read(&mut part)? {
            0 => return Ok(digits(hasher)),
            length => hasher.update(part.get(..length).unwrap_or_default()),
        }
    }
}

fn digits(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
