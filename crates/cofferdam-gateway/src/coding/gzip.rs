//! RFC 1952: members, one behind another.

use flate2::Crc;

use super::{CodingFault, Inflate, Step};

/// Longest name or comment of a member. Bytes.
const TEXT_BYTES_MAX: u32 = 64 * 1024;
/// Bytes before the optional parts of a head.
const HEAD_BYTES: usize = 10;

/// Flags (2.3.1): a checksum of the head, an extra field, a name, a comment, and those that mean nothing.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xE0;

/// A body of members.
pub(super) struct Gzip {
    state: State,
    /// The flags whose parts are still to come.
    flags: u8,
    /// Bytes of a part with a length: the head, a length itself, what is behind a member.
    part: Vec<u8>,
    inflate: Inflate,
    sum: Crc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the head.
    Head,
    /// In the length of its extra field.
    ExtraLength,
    /// In that, of which so many bytes are to come.
    Extra(u16),
    /// In a name or a comment, after so many bytes.
    Text(u32),
    /// In the head's checksum.
    HeadSum,
    /// In what was packed.
    Packed,
    /// In its checksum and length.
    Sums,
    /// Behind a member, where another one may begin.
    Between,
    /// Among zeros, with which tapes are filled up.
    Padding,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            state: State::Head,
            flags: 0,
            part: Vec::new(),
            inflate: Inflate::new(false),
            sum: Crc::new(),
        }
    }
}

impl Gzip {
    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::Between | State::Padding)
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        let mut taken = 0;
        while self.state != State::Packed {
            let Some(&byte) = input.get(taken) else { return Ok(Step { taken, more: false }) };
            self.byte(byte)?;
            taken += 1;
        }
        let before = out.len();
        let rest = input.get(taken..).unwrap_or_default();
        let step = self.inflate.step(rest, out)?;
        self.sum.update(out.get(before..).unwrap_or_default());
        if self.inflate.ended {
            self.state = State::Sums;
        }
        Ok(Step { taken: taken + step.taken, more: step.more })
    }

    /// A byte that is not packed.
    fn byte(&mut self, byte: u8) -> Result<(), CodingFault> {
        match self.state {
            State::Head => {
                self.part.push(byte);
                self.head()?;
            }
            State::ExtraLength => {
                self.part.push(byte);
                if let &[low, high] = self.part.as_slice() {
                    self.part.clear();
                    self.state = State::Extra(u16::from_le_bytes([low, high]));
                    if self.state == State::Extra(0) {
                        self.next();
                    }
                }
            }
            State::Extra(1) => self.next(),
            State::Extra(left) => self.state = State::Extra(left.saturating_sub(1)),
            State::Text(_) if byte == 0 => self.next(),
            State::Text(TEXT_BYTES_MAX) => return Err(CodingFault::Malformed),
            State::Text(count) => self.state = State::Text(count + 1),
            State::HeadSum => {
                self.part.push(byte);
                if self.part.len() == 2 {
                    self.part.clear();
                    self.next();
                }
            }
            State::Packed => {}
            State::Sums => {
                self.part.push(byte);
                self.sums()?;
            }
            State::Between if byte == 0 => self.state = State::Padding,
            State::Between => {
                *self = Self::default();
                self.part.push(byte);
                self.head().map_err(|_| CodingFault::Trailing)?;
            }
            State::Padding if byte == 0 => {}
            State::Padding => return Err(CodingFault::Trailing),
        }
        Ok(())
    }

    /// The head so far.
    fn head(&mut self) -> Result<(), CodingFault> {
        let known = [0x1F, 0x8B, 8];
        if self.part.iter().zip(known).any(|(byte, known)| *byte != known) {
            return Err(CodingFault::Malformed);
        }
        if self.part.len() == HEAD_BYTES {
            self.flags = self.part.get(3).copied().unwrap_or_default();
            if self.flags & RESERVED != 0 {
                return Err(CodingFault::Malformed);
            }
            self.part.clear();
            self.next();
        }
        Ok(())
    }

    /// To the next part that the flags tell of.
    fn next(&mut self) {
        let parts = [
            (FEXTRA, State::ExtraLength),
            (FNAME, State::Text(0)),
            (FCOMMENT, State::Text(0)),
            (FHCRC, State::HeadSum),
        ];
        let part = parts.into_iter().find(|(flag, _)| self.flags & flag != 0);
        let (flag, state) = part.unwrap_or((0, State::Packed));
        self.flags &= !flag;
        self.state = state;
    }

    /// The sums so far.
    fn sums(&mut self) -> Result<(), CodingFault> {
        if let Some((sum, amount)) = self.part.split_at_checked(4)
            && amount.len() == 4
        {
            if sum != self.sum.sum().to_le_bytes() || amount != self.sum.amount().to_le_bytes() {
                return Err(CodingFault::Malformed);
            }
            self.part.clear();
            self.state = State::Between;
        }
        Ok(())
    }
}
