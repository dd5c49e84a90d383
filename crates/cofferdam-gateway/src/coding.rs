//! Content codings of bodies, undone as they pass (RFC 9110, 8.4): gzip, deflate, br and zstd.
//!
//! A little goes in and a little comes out: what is held is bounded by the coding's window, and what comes
//! out by what went in. A stream that is cut short, goes on behind its end or is not what its name says is
//! refused.

mod gzip;
#[cfg(test)]
mod tests;
mod zstd;

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

use gzip::Gzip;
use zstd::Zstd;

/// Most codings of one body. Two are seen, where a proxy packs what was packed.
const CODINGS_MAX: usize = 3;
/// Most bytes that come of one step.
pub const STEP_BYTES: usize = 32 * 1024;
/// Most bytes that come of one body: 8 GiB.
const OUT_BYTES_MAX: u64 = 8 << 30;
/// Most bytes that come of one that went in: deflate makes 1,032 at most (zlib's technical notes).
const INFLATION_MAX: u64 = 1_100;
/// Over that, so that a small body may be well packed. Bytes.
const INFLATION_FREE: u64 = 1 << 20;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodingFault {
    /// A coding that is none of those known.
    Unknown,
    /// More than three, one within another.
    Many,
    /// The bytes are not what the coding's name says.
    Malformed,
    /// The body ends before the coding does.
    Truncated,
    /// The body goes on behind the coding's end.
    Trailing,
    /// What comes out is more than 8 GiB, or more than 1,100 times what went in and 1 MiB.
    Inflates,
    /// A window of more than 8 MiB (RFC 9659, 3), or a dictionary that is not there.
    Window,
}

impl CodingFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "coding-unknown",
            Self::Many => "coding-many",
            Self::Malformed => "coding-malformed",
            Self::Truncated => "coding-truncated",
            Self::Trailing => "coding-trailing",
            Self::Inflates => "coding-inflates",
            Self::Window => "coding-window",
        }
    }
}

impl fmt::Display for CodingFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unknown => "the body has a content coding that is not gzip, deflate, br or zstd",
            Self::Many => "the body has more than three content codings",
            Self::Malformed => "the body is not in the content coding that it says",
            Self::Truncated => "the body ends before its content coding does",
            Self::Trailing => "the body goes on after its content coding has ended",
            Self::Inflates => "the body unpacks to far more than any real one",
            Self::Window => "the body needs more memory or a dictionary to be unpacked",
        })
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the piece that went in; the rest is to be given again.
    pub taken: usize,
    /// Whether more comes out without any more going in.
    pub more: bool,
}

/// One body.
#[derive(Debug)]
pub struct Decoder {
    /// The outermost first.
    stages: Vec<Stage>,
    /// Bytes that went into the first.
    taken: u64,
}

/// One coding.
#[derive(Debug)]
struct Stage {
    coding: Coding,
    /// What the one before made, and how much of it went in. Nothing, for the first.
    inbox: Vec<u8>,
    used: usize,
    /// Whether it makes more of what it has.
    more: bool,
    /// Bytes that it made.
    made: u64,
}

enum Coding {
    Gzip(Box<Gzip>),
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl fmt::Debug for Coding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        })
    }
}

impl Decoder {
    /// For a body with these values of `Content-Encoding`, each of which may be a list; `None` where there
    /// is nothing to undo.
    ///
    /// # Errors
    /// [`CodingFault::Unknown`] and [`CodingFault::Many`].
    pub fn new(content_encoding: &[&[u8]]) -> Result<Option<Self>, CodingFault> {
        let mut stages = Vec::new();
        let names = content_encoding.iter().flat_map(|value| value.split(|&byte| byte == b','));
        for name in names {
            let coding = match name.trim_ascii().to_ascii_lowercase().as_slice() {
                // Empty elements of a list count for nothing (RFC 9110, 5.6.1.2).
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Coding::Gzip(Box::default()),
                b"deflate" => Coding::Deflate(Box::default()),
                b"br" => Coding::Brotli(Box::default()),
                b"zstd" => Coding::Zstd(Box::default()),
                _ => return Err(CodingFault::Unknown),
            };
            if stages.len() == CODINGS_MAX {
                return Err(CodingFault::Many);
            }
            stages.push(Stage { coding, inbox: Vec::new(), used: 0, more: false, made: 0 });
        }
        // The last one that was applied is the first to undo.
        stages.reverse();
        Ok((!stages.is_empty()).then_some(Self { stages, taken: 0 }))
    }

    /// One step: appends at most [`STEP_BYTES`] to `out`. To be called again with the rest of the piece, or
    /// with nothing, until all is taken and no more comes.
    ///
    /// # Errors
    /// [`CodingFault`] but for `Unknown`, `Many` and `Truncated`. Nothing may be fed any more then.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        let waiting = |stage: &Stage| stage.more || stage.used < stage.inbox.len();
        // The innermost first, so that nothing piles up between two.
        let at = self.stages.iter().rposition(waiting).unwrap_or_default();
        let (front, behind) = self.stages.split_at_mut_checked(at + 1).unwrap_or_default();
        let Some(stage) = front.last_mut() else { return Ok(Step { taken: 0, more: false }) };
        let first = at == 0;
        let inbox = std::mem::take(&mut stage.inbox);
        let input = if first { piece } else { inbox.get(stage.used..).unwrap_or_default() };
        let target = match behind.first_mut() {
            Some(next) => {
                next.inbox.clear();
                next.used = 0;
                &mut next.inbox
            }
            None => out,
        };
        let before = target.len();
        let Step { taken, more } = stage.coding.step(input, target)?;
        stage.made += u64::try_from(target.len() - before).unwrap_or(u64::MAX);
        (stage.inbox, stage.more) = (inbox, more);
        stage.used += if first { 0 } else { taken };
        let taken = if first { taken } else { 0 };
        self.taken += u64::try_from(taken).unwrap_or(u64::MAX);
        let most = self.taken.saturating_mul(INFLATION_MAX).saturating_add(INFLATION_FREE);
        if self.stages.iter().any(|stage| stage.made > most.min(OUT_BYTES_MAX)) {
            return Err(CodingFault::Inflates);
        }
        Ok(Step { taken, more: self.stages.iter().any(waiting) })
    }

    /// The body has ended, and all of it was fed. One without a byte is whole: a reply to `HEAD` has none.
    ///
    /// # Errors
    /// [`CodingFault::Truncated`].
    pub fn finish(&self) -> Result<(), CodingFault> {
        let whole = |stage: &Stage| stage.coding.may_end() && stage.used == stage.inbox.len();
        let ended = self.taken == 0 || self.stages.iter().all(whole);
        if ended { Ok(()) } else { Err(CodingFault::Truncated) }
    }
}

impl Coding {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, out),
            Self::Deflate(deflate) => deflate.step(input, out),
            Self::Brotli(brotli) => brotli.step(input, out),
            Self::Zstd(zstd) => zstd.step(input, out),
        }
    }

    fn may_end(&self) -> bool {
        match self {
            Self::Gzip(gzip) => gzip.may_end(),
            Self::Deflate(deflate) => deflate.inflate.as_ref().is_some_and(|one| one.ended),
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.may_end(),
        }
    }
}

/// Makes room for a step at the end of `out`, and leaves there what `make` says that it wrote.
fn into_room<T>(out: &mut Vec<u8>, make: impl FnOnce(&mut [u8]) -> (usize, T)) -> T {
    let before = out.len();
    out.resize(before + STEP_BYTES, 0);
    let (made, told) = make(out.get_mut(before..).unwrap_or_default());
    out.truncate(before + made);
    told
}

/// A stream of RFC 1951 or 1950.
struct Inflate {
    stream: Decompress,
    ended: bool,
}

impl Inflate {
    fn new(zlib: bool) -> Self {
        Self { stream: Decompress::new(zlib), ended: false }
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
        let (status, full) = into_room(out, |room| {
            let status = self.stream.decompress(input, room, FlushDecompress::None);
            let made = usize::try_from(self.stream.total_out() - before_out).unwrap_or_default();
            (made, (status, made == room.len()))
        });
        let taken = usize::try_from(self.stream.total_in() - before_in).unwrap_or_default();
        self.ended = match status {
            Ok(Status::StreamEnd) => true,
            Ok(Status::Ok | Status::BufError) => false,
            Err(_) => return Err(CodingFault::Malformed),
        };
        Ok(Step { taken, more: full && !self.ended })
    }
}

/// What is called deflate: RFC 1950 by the standard, RFC 1951 by some servers.
#[derive(Default)]
struct Deflate {
    /// The first byte, before the second one tells which.
    first: Option<u8>,
    inflate: Option<Inflate>,
}

impl Deflate {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        if let Some(inflate) = &mut self.inflate {
            if inflate.ended && !input.is_empty() {
                return Err(CodingFault::Trailing);
            }
            return inflate.step(input, out);
        }
        let Some((&byte, _)) = input.split_first() else {
            return Ok(Step { taken: 0, more: false });
        };
        let Some(first) = self.first else {
            self.first = Some(byte);
            return Ok(Step { taken: 1, more: false });
        };
        // RFC 1950, 2.2: method 8, a window of 32 KiB at most, no dictionary, a multiple of 31.
        let sum = u16::from_be_bytes([first, byte]) % 31;
        let zlib = first & 0x0F == 8 && first >> 4 <= 7 && byte & 0x20 == 0 && sum == 0;
        let inflate = self.inflate.insert(Inflate::new(zlib));
        inflate.step(&[first], out)?;
        inflate.step(input, out)
    }
}

/// RFC 7932; a window of 16 MiB at most, for which its own header has no larger one.
struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    total: usize,
    ended: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let alloc = StandardAlloc::default;
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self { state, total: 0, ended: false }
    }
}

impl Brotli {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        if self.ended {
            let trailing = Err(CodingFault::Trailing);
            return if input.is_empty() { Ok(Step { taken: 0, more: false }) } else { trailing };
        }
        let (mut left, mut taken) = (input.len(), 0);
        let result = into_room(out, |room| {
            let (mut free, mut made) = (room.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut taken,
                input,
                &mut free,
                &mut made,
                room,
                &mut self.total,
                &mut self.state,
            );
            (made, result)
        });
        let more = match result {
            BrotliResult::ResultSuccess => {
                self.ended = true;
                false
            }
            BrotliResult::NeedsMoreInput => false,
            BrotliResult::NeedsMoreOutput => true,
            BrotliResult::ResultFailure => return Err(CodingFault::Malformed),
        };
        Ok(Step { taken, more })
    }
}
