//! What a terminal types by itself: who it is.

/// Counts answers to `CSI c`: `ESC [ ? digits and semicolons c`, or `9B` for `ESC [`.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    at: u8,
    count: usize,
}

impl Answers {
    /// How many there were.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Follows the next bytes that were read.
    pub(crate) fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.at = match (self.at, byte) {
                (_, 0x1B) => 1,
                (1, b'[') | (_, 0x9B) => 2,
                (2, b'?') | (3, b'0'..=b'9' | b';') => 3,
                (3, b'c') => {
                    self.count += 1;
                    0
                }
                _ => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_wherever_they_are_cut() {
        for (bytes, want, why) in [
            (&b"\x1b[?62;4c"[..], 1, "an answer"),
            (b"\x9b?62;4c", 1, "in controls of one byte"),
            (b"typed\x1b[?1;2cmore\x1b[?1;2c", 2, "among other things"),
            (b"\x1b[24;80R", 0, "the answer to another question"),
            (b"\x1b[>41;354;0c", 0, "to another again"),
            (b"\x1b[?1;2", 0, "not all of it"),
            (b"\x1b[?2026;2$y", 0, "a mode"),
        ] {
            let mut parts = Answers::default();
            bytes.chunks(1).for_each(|byte| parts.follow(byte));
            let mut whole = Answers::default();
            whole.follow(bytes);
            assert_eq!((parts.count(), whole.count()), (want, want), "{why}");
        }
    }
}
