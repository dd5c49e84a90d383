//! Messages of an agent, and what they are made of (RFC 4251, 5; draft-ietf-sshm-ssh-agent, 4).

/// Longest message: OpenSSH's own bound. Bytes.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// A message of no byte, or over [`FRAME_BYTES_MAX`]. The connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "a message to an agent has 1 to {FRAME_BYTES_MAX} bytes")
    }
}

/// Messages out of bytes.
#[derive(Debug, Default)]
pub struct Frames {
    /// The next one so far, with its length.
    held: Vec<u8>,
    is_odd: bool,
}

impl Frames {
    /// Before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of the bytes were taken, and the message that ends with them, without its length.
    ///
    /// # Errors
    /// A message is too long, now and for ever.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), TooLong> {
        let mut taken = 0;
        while !self.is_odd {
            let Some(missing) = self.missing() else { break };
            if missing == 0 {
                let message = self.held.split_off(LENGTH_BYTES);
                self.held.clear();
                return Ok((taken, Some(message)));
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            let part = rest.get(..missing).unwrap_or(rest);
            if part.is_empty() {
                return Ok((taken, None));
            }
            self.held.extend_from_slice(part);
            taken += part.len();
        }
        self.is_odd = true;
        Err(TooLong)
    }

    /// Bytes to the end of the length, or of the message; `None` where it is too long.
    fn missing(&self) -> Option<usize> {
        let Some(length) = self.held.first_chunk::<LENGTH_BYTES>() else {
            return Some(LENGTH_BYTES - self.held.len());
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if !(1..=FRAME_BYTES_MAX).contains(&length) {
            return None;
        }
        (length + LENGTH_BYTES).checked_sub(self.held.len())
    }
}

/// What is read from a message, in order. `None` where it ends early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    pub(super) const fn new(bytes: &'m [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'m [u8] {
        self.0
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<LENGTH_BYTES>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn string(&mut self) -> Option<&'m [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A number of any length, over zero, in the one spelling; without the byte that says so.
    pub(super) fn mpint(&mut self) -> Option<&'m [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Some(rest),
            whole @ [1..=0x7F, ..] => Some(whole),
            _ => None,
        }
    }
}

/// Writes a string behind `out`.
pub(super) fn put(out: &mut Vec<u8>, string: &[u8]) {
    // Nothing here is longer than a frame.
    let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(string);
}

/// Writes a number of any length behind `out`.
pub(super) fn put_mpint(out: &mut Vec<u8>, number: &[u8]) {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let number = number.get(start..).unwrap_or_default();
    let is_high = number.first().is_some_and(|byte| *byte >= 0x80);
    let sign: &[u8] = if is_high { &[0] } else { &[] };
    put(out, &[sign, number].concat());
}

/// A message with its length.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + LENGTH_BYTES);
    put(&mut out, message);
    out
}
