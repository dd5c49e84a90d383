//! Where a message's body ends, followed as the bytes pass (RFC 9112, 6 and 7).
//!
//! Nothing is kept and nothing is written anew: what is taken here is sent as it is, so chunks are
//! read as strictly as a head is.

use cofferdam_policy::judge::requests::{Requests, is_same_field};

use crate::fields::is_token;
use crate::foreign::is_carrier_field;
use crate::head::is_override;

/// Most digits of a chunk's size: those of 32 bits, which every reader has.
const SIZE_DIGITS_MAX: u8 = 8;
/// Longest extension of one chunk of an answer. Bytes. Nobody is known to use them; they are passed.
const EXTENSION_BYTES_MAX: usize = 256;
/// Longest trailers, with their line ends. Bytes. gRPC-Web and digests need a few hundred.
const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Longest name of a trailer. Bytes.
const TRAILER_NAME_BYTES_MAX: usize = 256;
/// Fields that say whom a message is for and where it ends: a reader that takes trailers for fields of
/// the head would see another message (RFC 9110, 6.5.1). The same goes for [`is_override`].
const NO_TRAILER: &[&[u8]] = &[
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"upgrade",
    b"trailer",
    b"te",
    b"content-encoding",
    b"content-range",
    b"content-type",
];

/// Whether a field of this name may stand behind a body; of a request, by its rule too.
pub(crate) fn may_trail(name: &[u8], rule: Option<&Requests>) -> bool {
    !is_override(name)
        && !NO_TRAILER.iter().any(|other| is_same_field(other, name))
        && !rule.is_some_and(|rule| is_ruled(rule, name))
}

/// Whether a rule asks for a field of this name, removes it or sets it: behind the body it would be
/// another one.
fn is_ruled(requests: &Requests, name: &[u8]) -> bool {
    let asked = requests.headers.iter().map(|(name, _)| name);
    let set = requests.set_headers.iter().map(|(name, _)| name);
    let mut ruled = requests.remove_headers.iter().chain(asked).chain(set);
    ruled.any(|ruled| is_same_field(ruled.as_bytes(), name))
        || (requests.credential.is_some() && is_carrier_field(name))
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// By its length. Bytes.
    Length(u64),
    /// By a chunk of size 0.
    Chunked,
    /// By the end of the connection; what a tunnel carries too.
    UntilClose,
}

/// Who sends the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client: extensions of chunks are refused, for servers have read them in several ways.
    Request,
    /// The server.
    Answer,
}

/// How many of the bytes belong to this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// From the start. Bytes.
    pub taken: usize,
    /// Whether the message has ended there.
    pub done: bool,
}

/// Why bytes are no body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// No size of a chunk, or one of too many digits.
    Size,
    /// An extension in a request, or one that is too long.
    Extension,
    /// A line that does not end in CR LF.
    LineEnd,
    /// The bytes after a chunk are not CR LF.
    ChunkEnd,
    /// A trailer that is no field, or one that belongs into a head.
    Trailer,
    /// The trailers are too long.
    TrailerTooLong,
}

impl BodyFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Size => "chunk-size",
            Self::Extension => "chunk-extension",
            Self::LineEnd => "chunk-line-end",
            Self::ChunkEnd => "chunk-end",
            Self::Trailer => "trailer-field",
            Self::TrailerTooLong => "trailer-long",
        }
    }
}

impl std::fmt::Display for BodyFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Size => "a chunk's size is 1 to 8 hexadecimal digits",
            Self::Extension => "a chunk has an extension",
            Self::LineEnd => "a line among the chunks does not end in CR LF",
            Self::ChunkEnd => "a chunk does not end where its size says",
            Self::Trailer => "a trailer is no field that may stand there",
            Self::TrailerTooLong => "the trailers are too long",
        })
    }
}

/// A body on its way.
#[derive(Debug)]
pub struct Body<'r> {
    side: Side,
    /// What its rule does to fields, where there is one.
    rule: Option<&'r Requests>,
    /// Whether nothing may stand behind it.
    bare: bool,
    state: State,
    /// Bytes of the trailers so far.
    trailers: usize,
    /// The trailer's name so far, in small letters.
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes and then the end.
    Left(u64),
    /// To the end of the connection.
    Open,
    /// In a chunk's size, after this many digits.
    Size(u64, u8),
    /// In its extension, after this many bytes.
    Extension(u64, usize),
    /// Before the LF after its size.
    SizeEnd(u64),
    /// In its bytes, of which this many are to come.
    Chunk(u64),
    /// Before the CR after them.
    ChunkCr,
    /// Before the LF after that.
    ChunkLf,
    /// At the start of a trailer's line.
    TrailerStart,
    /// In its name.
    TrailerName,
    /// In its value.
    TrailerValue,
    /// Before the LF after it.
    TrailerEnd,
    /// Before the last LF.
    LastEnd,
    /// It has ended.
    Done,
    /// It was refused; nothing more is taken.
    Refused(BodyFault),
}

impl<'r> Body<'r> {
    /// The body of a message of which no byte has come.
    #[must_use]
    pub fn new(framing: Framing, side: Side) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => State::Size(0, 0),
            Framing::UntilClose => State::Open,
        };
        Self { side, rule: None, bare: false, state, trailers: 0, name: Vec::new() }
    }

    /// The same of a request, for which there is a rule: what it removes or sets stands behind no body.
    #[must_use]
    pub fn ruled(framing: Framing, rule: &'r Requests) -> Self {
        Self { rule: Some(rule), ..Self::new(framing, Side::Request) }
    }

    /// The same, with nothing behind it.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { bare: true, ..self }
    }

    /// Whether the message has ended. One that lasts until the connection ends never has.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the message may end here, where the connection does.
    #[must_use]
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Done | State::Open)
    }

    /// How many of the bytes that come next belong to this message.
    ///
    /// # Errors
    /// They are no chunks, now and for ever. None of them may be sent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, BodyFault> {
        self.feed_with(bytes, &mut |_| {})
    }

    /// The same; `content` hears what they carry, without what frames it.
    ///
    /// # Errors
    /// As [`Body::feed`].
    pub fn feed_with(
        &mut self,
        bytes: &[u8],
        content: &mut dyn FnMut(&[u8]),
    ) -> Result<Fed, BodyFault> {
        let mut hears = |from: usize, step: usize| {
            content(bytes.get(from..).and_then(|rest| rest.get(..step)).unwrap_or_default());
        };
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken).copied().filter(|_| self.state != State::Done) {
            let rest = bytes.len() - taken;
            match self.state {
                State::Open => {
                    hears(taken, rest);
                    taken = bytes.len();
                }
                State::Left(left) => {
                    let (step, left) = advance(left, rest);
                    hears(taken, step);
                    taken += step;
                    self.state = if left == 0 { State::Done } else { State::Left(left) };
                }
                State::Chunk(left) => {
                    let (step, left) = advance(left, rest);
                    hears(taken, step);
                    taken += step;
                    self.state = if left == 0 { State::ChunkCr } else { State::Chunk(left) };
                }
                state @ (State::Size(..)
                | State::Extension(..)
                | State::SizeEnd(_)
                | State::ChunkCr
                | State::ChunkLf
                | State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerEnd
                | State::LastEnd
                | State::Done
                | State::Refused(_)) => match self.next(state, byte) {
                    Ok(next) => {
                        self.state = next;
                        taken += 1;
                    }
                    Err(fault) => {
                        self.state = State::Refused(fault);
                        return Err(fault);
                    }
                },
            }
        }
        if let State::Refused(fault) = self.state {
            return Err(fault);
        }
        Ok(Fed { taken, done: self.is_done() })
    }

    /// The state after one byte of what is between the chunks.
    fn next(&mut self, state: State, byte: u8) -> Result<State, BodyFault> {
        match (state, byte) {
            (State::Size(size, digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(BodyFault::Size)?;
                if digits == SIZE_DIGITS_MAX {
                    return Err(BodyFault::Size);
                }
                Ok(State::Size(size << 4 | u64::from(digit), digits + 1))
            }
            (State::Size(_, 0), _) => Err(BodyFault::Size),
            (State::Size(size, _) | State::Extension(size, _), b'\r') => Ok(State::SizeEnd(size)),
            (State::Size(size, _), b';' | b' ' | b'\t') => self.extension(size, 0),
            (State::Size(..) | State::Extension(..), b'\n') => Err(BodyFault::LineEnd),
            (State::Size(..), _) => Err(BodyFault::Size),
            (State::Extension(size, length), b'\t' | 0x20..=0x7E | 0x80..) => {
                self.extension(size, length)
            }
            (State::Extension(..), _) => Err(BodyFault::Extension),
            (State::SizeEnd(0), b'\n') => Ok(State::TrailerStart),
            (State::SizeEnd(size), b'\n') => Ok(State::Chunk(size)),
            (State::SizeEnd(_), _) => Err(BodyFault::LineEnd),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => Ok(State::Size(0, 0)),
            (State::ChunkCr | State::ChunkLf, _) => Err(BodyFault::ChunkEnd),
            (State::LastEnd, b'\n') => Ok(State::Done),
            (State::LastEnd, _) => Err(BodyFault::LineEnd),
            (
                State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerEnd,
                _,
            ) => self.trailer(state, byte),
            (State::Left(_) | State::Open | State::Chunk(_) | State::Done, _) => Ok(state),
            (State::Refused(fault), _) => Err(fault),
        }
    }

    fn extension(&self, size: u64, length: usize) -> Result<State, BodyFault> {
        match self.side {
            Side::Answer if length < EXTENSION_BYTES_MAX => Ok(State::Extension(size, length + 1)),
            Side::Answer | Side::Request => Err(BodyFault::Extension),
        }
    }

    fn trailer(&mut self, state: State, byte: u8) -> Result<State, BodyFault> {
        self.trailers += 1;
        if self.trailers > TRAILER_BYTES_MAX {
            return Err(BodyFault::TrailerTooLong);
        }
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastEnd),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            (State::TrailerEnd, _) | (_, b'\n') => Err(BodyFault::LineEnd),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, b'\t' | 0x20..=0x7E | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerName, b':') if !self.bare && may_trail(&self.name, self.rule) => {
                Ok(State::TrailerValue)
            }
            (State::TrailerStart | State::TrailerName, _)
                if is_token(byte) && self.name.len() < TRAILER_NAME_BYTES_MAX =>
            {
                if state == State::TrailerStart {
                    self.name.clear();
                }
                self.name.push(byte.to_ascii_lowercase());
                Ok(State::TrailerName)
            }
            (_, _) => Err(BodyFault::Trailer),
        }
    }
}

/// How many of `rest` bytes belong to `left`, and what is left then.
fn advance(left: u64, rest: usize) -> (usize, u64) {
    let step = usize::try_from(left).map_or(rest, |left| left.min(rest));
    (step, left.saturating_sub(u64::try_from(step).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::judge::requests::LinePattern;

    use super::*;

    /// What of `bytes` was taken and whether it ended, fed at once and byte by byte.
    fn follow(framing: Framing, side: Side, bytes: &[u8]) -> Result<Fed, BodyFault> {
        let all = Body::new(framing, side).feed(bytes);
        let mut body = Body::new(framing, side);
        let mut one = Ok(Fed { taken: 0, done: body.is_done() });
        for byte in bytes {
            let Ok(before) = one else { break };
            one = body.feed(&[*byte]).map(|fed| Fed { taken: before.taken + fed.taken, ..fed });
        }
        assert_eq!(all, one, "however it was cut: {bytes:?}");
        all
    }

    #[track_caller]
    fn check(bytes: &[u8], side: Side, want: Result<(usize, bool), BodyFault>, why: &str) {
        let got = follow(Framing::Chunked, side, bytes).map(|fed| (fed.taken, fed.done));
        assert_eq!(got, want, "{why}: {}", bytes.escape_ascii());
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        for (framing, bytes, taken, done, why) in [
            (Framing::None, &b"GET"[..], 0, true, "no body: the next message"),
            (Framing::Length(0), b"GET", 0, true, "the same"),
            (Framing::Length(3), b"abcGET", 3, true, "the next message is not in it"),
            (Framing::Length(3), b"ab", 2, false, "not yet"),
            (Framing::Length(u64::MAX), b"ab", 2, false, "however long"),
            (Framing::UntilClose, b"abc\r\n\r\n", 7, false, "everything"),
        ] {
            let fed = follow(framing, Side::Request, bytes);
            assert_eq!(fed, Ok(Fed { taken, done }), "{why}");
        }
        assert!(!Body::new(Framing::Length(1), Side::Answer).may_end(), "cut short");
        assert!(!Body::new(Framing::Chunked, Side::Answer).may_end(), "cut short");
        assert!(Body::new(Framing::UntilClose, Side::Answer).may_end(), "that is its end");
    }

    #[test]
    fn chunks_are_strict() {
        use BodyFault::{ChunkEnd, Extension, LineEnd, Size, Trailer};
        let (asks, answers) = (Side::Request, Side::Answer);
        for (bytes, side, want, why) in [
            (&b"3\r\nabc\r\n0\r\n\r\nGET"[..], asks, Ok((13, true)), "one chunk"),
            (b"a\r\n0123456789\r\n00\r\n\r\n", asks, Ok((21, true)), "ten bytes, two zeros"),
            (b"0\r\n\r\n0\r\n\r\n", asks, Ok((5, true)), "empty, then something else"),
            (b"3\r\nab", asks, Ok((5, false)), "not yet"),
            (b"0\r\n", asks, Ok((3, false)), "the empty line is missing"),
            (b"0\r\na: b\r\nC:\r\n\r\n", asks, Ok((15, true)), "trailers"),
            (b"fffffffe\r\nab", asks, Ok((12, false)), "8 digits"),
            (b"000000001\r\n", asks, Err(Size), "9 digits"),
            (b"100000003\r\nabc\r\n", asks, Err(Size), "3 to a reader of 32 bits"),
            (b"\r\n", asks, Err(Size), "no size"),
            (b"0x3\r\nabc\r\n", asks, Err(Size), "another spelling"),
            (b"-3\r\n", asks, Err(Size), "a sign"),
            (b" 3\r\n", asks, Err(Size), "a blank first"),
            (b"3 \r\nabc\r\n", asks, Err(Extension), "a blank after it"),
            (b"3;a=b\r\nabc\r\n", asks, Err(Extension), "two readers"),
            (b"3;a=b\r\nabc\r\n0\r\n\r\n", answers, Ok((17, true)), "passed"),
            (b"3  \r\nabc\r\n0 \r\n\r\n", answers, Ok((16, true)), "old servers pad"),
            (b"3;a=\"\n\"\r\nabc\r\n", answers, Err(LineEnd), "a bare LF in it"),
            (b"3;\0\r\n", answers, Err(Extension), "a control byte in it"),
            (b"3\nabc\r\n", asks, Err(LineEnd), "a bare LF"),
            (b"3\r\r\nabc", asks, Err(LineEnd), "a bare CR"),
            (b"3\r\nabcd\r\n", asks, Err(ChunkEnd), "longer than it says"),
            (b"3\r\nabc\n", asks, Err(ChunkEnd), "a bare LF after it"),
            (b"3\r\nabc\r0", asks, Err(ChunkEnd), "a bare CR after it"),
            (b"0\r\n\n", asks, Err(LineEnd), "a bare LF at the end"),
            (b"0\r\n\rG", asks, Err(LineEnd), "a bare CR at the end"),
            (b"0\r\nGET / HTTP/1.1\r\n", asks, Err(Trailer), "a request is no trailer"),
            (b"0\r\na:b\n", asks, Err(LineEnd), "a bare LF after a trailer"),
            (b"0\r\n a:b\r\n", asks, Err(Trailer), "folded"),
            (b"0\r\na\r\n\r\n", asks, Err(Trailer), "no colon"),
            (b"0\r\n:a\r\n\r\n", asks, Err(Trailer), "no name"),
            (b"0\r\na:\0\r\n\r\n", asks, Err(Trailer), "a control byte"),
            (b"0\r\nHost: evil.test\r\n\r\n", asks, Err(Trailer), "belongs into a head"),
            (b"0\r\nContent_Length: 5\r\n\r\n", asks, Err(Trailer), "to some readers"),
            (b"0\r\nX-HTTP-Method-Override: a\r\n\r\n", asks, Err(Trailer), "a method"),
            (b"0\r\nX_Original_URL: /a\r\n\r\n", asks, Err(Trailer), "a target, to some"),
            (b"0\r\nX-Original-URI: /a\r\n\r\n", asks, Ok((25, true)), "says nothing"),
            (b"0\r\nContent-LENGTH: 5\r\n\r\n", answers, Err(Trailer), "in any case"),
        ] {
            check(bytes, side, want, why);
        }
    }

    #[test]
    fn what_a_rule_removes_does_not_come_back() {
        let rule = Requests {
            remove_headers: vec!["x-gone".into()],
            set_headers: vec![("authorization".into(), "ours".into())],
            headers: vec![("x-tenant".into(), LinePattern::parse("mine").unwrap())],
            ..Requests::default()
        };
        for (name, want) in [
            ("X-Tenant", Err(BodyFault::Trailer)),
            ("x-gone", Err(BodyFault::Trailer)),
            ("X_Gone", Err(BodyFault::Trailer)),
            ("Authorization", Err(BodyFault::Trailer)),
            ("x-stays", Ok(true)),
        ] {
            let bytes = format!("0\r\n{name}: a\r\n\r\n");
            let feed = |mut body: Body<'_>| body.feed(bytes.as_bytes()).map(|fed| fed.done);
            assert_eq!(feed(Body::ruled(Framing::Chunked, &rule)), want, "{name}");
            assert_eq!(
                feed(Body::new(Framing::Chunked, Side::Request)),
                Ok(true),
                "{name}: no rule"
            );
        }
    }

    #[test]
    fn what_is_between_chunks_is_bounded() {
        let extension = |length| [b"3;", b"a".repeat(length).as_slice(), b"\r\n"].concat();
        let fits = extension(EXTENSION_BYTES_MAX - 1);
        check(&fits, Side::Answer, Ok((fits.len(), false)), "the longest extension");
        let over = extension(EXTENSION_BYTES_MAX);
        check(&over, Side::Answer, Err(BodyFault::Extension), "one byte more");
        let trailers = [&b"0\r\n"[..], &b"a: b\r\n".repeat(2_000)].concat();
        check(&trailers, Side::Answer, Err(BodyFault::TrailerTooLong), "12 KB of trailers");
        let name = [&b"0\r\n"[..], &b"a".repeat(TRAILER_NAME_BYTES_MAX + 1)].concat();
        check(&name, Side::Answer, Err(BodyFault::Trailer), "a name without end");
    }

    #[test]
    fn what_was_refused_stays_so() {
        let mut body = Body::new(Framing::Chunked, Side::Request);
        assert_eq!(body.feed(b"x"), Err(BodyFault::Size));
        assert_eq!(body.feed(b"0\r\n\r\n"), Err(BodyFault::Size), "no second try");
        assert!(!body.is_done() && !body.may_end());
    }
}
