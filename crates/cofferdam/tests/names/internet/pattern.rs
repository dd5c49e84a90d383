//! Bytes that say where they belong, so that none is lost, doubled or moved unseen.

use std::io::{Read, Result, Write};

/// What is repeated, with another number in front each time.
const BLOCK: usize = 1 << 20;

/// The first so many bytes: blocks of noise, each with its number.
#[derive(Debug)]
pub struct Pattern {
    block: Vec<u8>,
    number: u64,
    at: usize,
    left: u64,
}

impl Pattern {
    pub fn of(bytes: u64) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK {
            // Xorshift (Marsaglia, 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend(state.to_le_bytes());
        }
        block[..8].fill(0);
        Self { block, number: 0, at: 0, left: bytes }
    }

    /// Small hexadecimal digits of SHA-256 of all of them.
    pub fn digest(bytes: u64) -> String {
        let mut digest = Digest::default();
        let mut pattern = Self::of(bytes);
        while pattern.left > 0 {
            let size = pattern.piece().len();
            digest.add(&pattern.block[pattern.at..pattern.at + size]);
            pattern.pass(size);
        }
        digest.text()
    }

    /// Writes all of them.
    pub fn pour(mut self, to: &mut impl Write) -> Result<()> {
        while self.left > 0 {
            let piece = self.piece();
            to.write_all(piece)?;
            let size = piece.len();
            self.pass(size);
        }
        Ok(())
    }

    /// The next ones, as many as are there at once.
    fn piece(&self) -> &[u8] {
        let rest = &self.block[self.at..];
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
        &rest[..size]
    }

    fn pass(&mut self, size: usize) {
        self.at += size;
        self.left -= size as u64;
        if self.at == BLOCK {
            self.at = 0;
            self.number += 1;
            self.block[..8].copy_from_slice(&self.number.to_le_bytes());
        }
    }
}

impl Read for Pattern {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let piece = self.piece();
        let size = piece.len().min(to.len());
        to[..size].copy_from_slice(&piece[..size]);
        self.pass(size);
        Ok(size)
    }
}

/// SHA-256 (FIPS 180-4) of what comes, and how much that is.
pub struct Digest(ring::digest::Context, u64);

impl std::fmt::Debug for Digest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Digest of {} bytes", self.1)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256), 0)
    }
}

impl Digest {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
        self.1 += bytes.len() as u64;
    }

    pub fn text(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What `/sink` answers.
    pub fn line(self) -> String {
        let size = self.1;
        format!("{size} {}\n", self.text())
    }
}

/// Of bytes that are there.
pub fn sha256(bytes: &[u8]) -> String {
    let mut digest = Digest::default();
    digest.add(bytes);
    digest.text()
}

#[test]
fn a_pattern_is_what_its_digest_says() {
    let size = (3 << 20) + 77;
    let mut bytes = Vec::new();
    Pattern::of(size).read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.len() as u64, sha256(&bytes)), (size, Pattern::digest(size)));
    assert_ne!(bytes[..BLOCK], bytes[BLOCK..2 * BLOCK], "each block is another");
}
