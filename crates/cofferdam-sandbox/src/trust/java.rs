//! The store of Java's that every release since 1.2 reads without a password (`JKS`).
//!
//! From 9 on PKCS #12 is the default, and what a file is is told by its first bytes (JEP 229); without a
//! password the certificates of a PKCS #12 file are not read.

use sha1::{Digest, Sha1};

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
/// A certificate that is believed.
const TRUSTED: u32 = 2;
/// The password of every store that Java comes with: who gives it gets the check that it asks for.
const PASSWORD: &str = "changeit";
/// Between password and content in the digest, in Java's own words.
const BETWEEN: &[u8] = b"Mighty Aphrodite";

/// A store of `certificates` (DER).
pub(super) fn store<'c>(certificates: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let certificates: Vec<&[u8]> = certificates.collect();
    let mut bytes = Vec::new();
    for number in [MAGIC, VERSION, length(&certificates)] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    for (number, certificate) in certificates.iter().enumerate() {
        bytes.extend_from_slice(&TRUSTED.to_be_bytes());
        word(&format!("cofferdam-{number}"), &mut bytes);
        // When it was added, which nobody asks: milliseconds since 1970.
        bytes.extend_from_slice(&0_u64.to_be_bytes());
        word("X.509", &mut bytes);
        bytes.extend_from_slice(&length(certificate).to_be_bytes());
        bytes.extend_from_slice(certificate);
    }
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(BETWEEN);
    digest.update(&bytes);
    bytes.extend_from_slice(&digest.finalize());
    bytes
}

/// Files of authorities are bounded far below this.
fn length<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

/// `DataOutput.writeUTF` of ASCII letters, at most 65,535.
fn word(word: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(&u16::try_from(word.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend_from_slice(word.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `keytool -importcert -storetype JKS` writes it, but for the time: each field has its place.
    #[test]
    fn each_field_has_its_place() {
        let store = store([&[0x30, 1, 5][..]].into_iter());
        let (content, digest) = store.split_last_chunk::<20>().unwrap();
        let want = b"\xFE\xED\xFE\xED\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x0Bcofferdam-0\
                     \0\0\0\0\0\0\0\0\0\x05X.509\0\0\0\x03\x30\x01\x05";
        assert_eq!(content, want);
        let mut sum = Sha1::new();
        sum.update(b"\0c\0h\0a\0n\0g\0e\0i\0tMighty Aphrodite");
        sum.update(want);
        assert_eq!(digest, &sum.finalize()[..]);
    }
}
