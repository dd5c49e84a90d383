//! RFC 8878: frames, one behind another. The frames and the bounds of blocks are read here, so that no more
//! than one block is unpacked at a time.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{CodingFault, Step, into_room};

/// Largest window (RFC 9659, 3). Bytes.
const WINDOW_BYTES_MAX: u64 = 8 << 20;
/// Largest block (RFC 8878, 3.1.1.2.4). Bytes.
const BLOCK_BYTES_MAX: usize = 128 * 1024;
/// Begins a frame (3.1.1).
const MAGIC: u32 = 0xFD2F_B528;
/// Begins one to skip (3.1.2), but for the last four bits.
const SKIPPED: u32 = 0x184D_2A50;

/// A body of frames.
pub(super) struct Zstd {
    state: State,
    /// What is needed to go on, so far.
    part: Vec<u8>,
    /// Whether a frame has ended.
    any: bool,
    frame: FrameDecoder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a frame's magic number.
    Magic,
    /// In the length of one to skip.
    SkipLength,
    /// In that, of which so many bytes are to come.
    Skip(u32),
    /// In the head of a frame.
    Head,
    /// In the head of a block.
    Block { sum: bool },
    /// In a block that is so long with its head, and may be the last.
    Content { length: usize, last: bool, sum: bool },
    /// Giving out what a block made.
    Made { last: bool, sum: bool },
}

impl Default for Zstd {
    fn default() -> Self {
        Self { state: State::Magic, part: Vec::new(), any: false, frame: FrameDecoder::new() }
    }
}

impl Zstd {
    pub(super) fn may_end(&self) -> bool {
        self.any && self.state == State::Magic && self.part.is_empty()
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        let mut taken = 0;
        loop {
            if let State::Made { last, sum } = self.state {
                let made = into_room(out, |room| {
                    let made = self.frame.read(room).unwrap_or_default();
                    (made, made)
                });
                if made > 0 {
                    return Ok(Step { taken, more: true });
                }
                self.any |= last;
                self.state = if last { State::Magic } else { State::Block { sum } };
            }
            let rest = input.get(taken..).unwrap_or_default();
            if let State::Skip(left) = self.state {
                let some = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                taken += some;
                let left = left - u32::try_from(some).unwrap_or(left);
                if left > 0 {
                    self.state = State::Skip(left);
                    return Ok(Step { taken, more: false });
                }
                (self.state, self.any) = (State::Magic, true);
                continue;
            }
            let missing = self.wanted().saturating_sub(self.part.len());
            let (some, _) = rest.split_at(rest.len().min(missing));
            self.part.extend_from_slice(some);
            taken += some.len();
            if some.len() < missing {
                return Ok(Step { taken, more: false });
            }
            self.go_on()?;
        }
    }

    /// How many bytes of a part there must be to go on.
    fn wanted(&self) -> usize {
        match self.state {
            State::Magic | State::SkipLength => 4,
            State::Head => head_length(self.part.get(4).copied()),
            State::Block { .. } => 3,
            State::Content { length, sum, last } => length + if sum && last { 4 } else { 0 },
            State::Skip(_) | State::Made { .. } => 0,
        }
    }

    /// The part is there.
    fn go_on(&mut self) -> Result<(), CodingFault> {
        let word = self.part.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        match self.state {
            State::Magic if word == MAGIC => self.state = State::Head,
            State::Magic if word & !15 == SKIPPED => {
                self.part.clear();
                self.state = State::SkipLength;
            }
            State::Magic if self.any => return Err(CodingFault::Trailing),
            State::Magic => return Err(CodingFault::Malformed),
            State::SkipLength => {
                self.part.clear();
                self.state = State::Skip(word);
            }
            // The first byte tells how long it is.
            State::Head if self.part.len() < self.wanted() => {}
            State::Head => {
                let sum = check_head(self.part.get(4..).unwrap_or_default())?;
                let head = std::mem::take(&mut self.part);
                self.frame.reset(head.as_slice()).map_err(|_| CodingFault::Malformed)?;
                self.state = State::Block { sum };
            }
            State::Block { sum } => {
                let [a, b, c] = self.part.first_chunk().copied().unwrap_or_default();
                let head = u32::from_le_bytes([a, b, c, 0]);
                let size = usize::try_from(head >> 3).unwrap_or(usize::MAX);
                let content = match head >> 1 & 3 {
                    1 => 1,
                    0 | 2 => size,
                    _ => return Err(CodingFault::Malformed),
                };
                if size > BLOCK_BYTES_MAX {
                    return Err(CodingFault::Malformed);
                }
                self.state = State::Content { length: 3 + content, last: head & 1 == 1, sum };
            }
            State::Content { last, sum, .. } => {
                let block = std::mem::take(&mut self.part);
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let ended = self.frame.decode_blocks(block.as_slice(), one);
                if ended.map_err(|_| CodingFault::Malformed)? != last {
                    return Err(CodingFault::Malformed);
                }
                self.state = State::Made { last, sum };
            }
            State::Skip(_) | State::Made { .. } => {}
        }
        Ok(())
    }
}

/// Bytes of the magic number and a frame's head, by its first byte.
fn head_length(descriptor: Option<u8>) -> usize {
    let Some(descriptor) = descriptor else { return 5 };
    let single = descriptor & 0x20 != 0;
    let window = usize::from(!single);
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    5 + window + dictionary_length(descriptor) + size
}

fn dictionary_length(descriptor: u8) -> usize {
    match descriptor & 3 {
        3 => 4,
        length => usize::from(length),
    }
}

/// Whether a checksum is behind the frame of this head (3.1.1.1).
fn check_head(head: &[u8]) -> Result<bool, CodingFault> {
    let Some((&descriptor, rest)) = head.split_first() else { return Err(CodingFault::Malformed) };
    if descriptor & 8 != 0 {
        return Err(CodingFault::Malformed);
    }
    let single = descriptor & 0x20 != 0;
    let (window, rest) = rest.split_at_checked(usize::from(!single)).unwrap_or_default();
    let length = dictionary_length(descriptor);
    let (dictionary, size) = rest.split_at_checked(length).unwrap_or_default();
    if dictionary.iter().any(|&byte| byte != 0) {
        return Err(CodingFault::Window);
    }
    let bytes = match window.first() {
        Some(&byte) => {
            let base = 1_u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        }
        None => {
            let size = size.iter().rev().fold(0, |size, &byte| size << 8 | u64::from(byte));
            size.saturating_add(if descriptor >> 6 == 1 { 256 } else { 0 })
        }
    };
    if bytes > WINDOW_BYTES_MAX { Err(CodingFault::Window) } else { Ok(descriptor & 4 != 0) }
}
