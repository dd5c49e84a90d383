//! SHA-256 (FIPS 180-4) as the names of our own files and records write it.

use sha2::{Digest as _, Sha256};

/// SHA-256 of `bytes`, in small hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
