//! WebSocket frames, followed as they pass (RFC 6455, 5; RFC 7692, 6 for compressed messages).
//!
//! A connection that has become a WebSocket carries frames and nothing else, so that an upgrade is no
//! way to a raw tunnel. Nothing is kept and nothing is written anew. One [`Frames`] follows one
//! direction. What a message says is not read here, but told to who asks.

use std::ops::Range;

/// Longest payload of `Close`, `Ping` and `Pong` (RFC 6455, 5.5). Bytes.
const CONTROL_BYTES_MAX: u8 = 125;

/// Who sends the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client: each frame is masked (RFC 6455, 5.1).
    Client,
    /// The server: none is.
    Server,
}

/// Whether both have agreed on `permessage-deflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {
    /// RSV1 tells of a compressed message.
    Agreed,
    /// RSV1 means nothing, and is refused.
    None,
}

/// How many of the bytes are frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// All that came. Bytes.
    pub taken: usize,
    /// Whether this side has sent its `Close`.
    pub done: bool,
}

/// What a payload is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A message, in one frame or in fragments.
    Message,
    /// `Close`, `Ping` or `Pong`: one frame each, also between fragments.
    Control,
}

/// What passes, beside what frames it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These of the bytes are of a payload. Each is masked with the next of these four, round and round;
    /// with zeros, not at all.
    Payload(Of, Range<usize>, [u8; 4]),
    /// A message or a control frame has ended.
    End(Of),
}

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// A reserved bit that nobody agreed on, or RSV1 where no message begins.
    Reserved,
    /// An opcode that has no meaning.
    Opcode,
    /// A control frame in fragments, or too long.
    Control,
    /// A client's frame without a mask, or a server's with one.
    Mask,
    /// A length in more bytes than it needs, or over 63 bits.
    Length,
    /// A `Close` of one byte: its code has two.
    Close,
    /// A continuation of nothing, or a message within a message.
    Order,
    /// Bytes after this side's `Close`.
    AfterClose,
}

impl FrameFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Reserved => "frame-reserved",
            Self::Opcode => "frame-opcode",
            Self::Control => "frame-control",
            Self::Mask => "frame-mask",
            Self::Length => "frame-length",
            Self::Close => "frame-close",
            Self::Order => "frame-order",
            Self::AfterClose => "frame-after-close",
        }
    }
}

impl std::fmt::Display for FrameFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Reserved => "a frame has a reserved bit",
            Self::Opcode => "a frame has an opcode without a meaning",
            Self::Control => "a control frame is in fragments, or over 125 bytes",
            Self::Mask => "a client's frames are masked, a server's are not",
            Self::Length => "a frame's length is in more bytes than it needs, or over 63 bits",
            Self::Close => "a `Close` has half a code",
            Self::Order => "a frame is not in its place among the fragments",
            Self::AfterClose => "something follows a `Close`",
        })
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A message or a part of one.
    Message,
    /// `Ping` and `Pong`.
    Control,
    /// `Close`.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a frame.
    Start,
    /// Before the mask's bit and the length.
    Second(Kind),
    /// In a longer length: what was read, bytes to come, and how many it has in all.
    Length(u64, u8, u8),
    /// In the mask, of which so many bytes are to come; then the payload.
    Mask(Kind, u8, u64),
    /// In the payload, of which this many bytes are to come.
    Payload(Kind, u64),
    /// This side has said its last.
    Closed,
    /// It was refused; nothing more is taken.
    Refused(FrameFault),
}

impl Kind {
    const fn of(self) -> Of {
        match self {
            Self::Message => Of::Message,
            Self::Control | Self::Close => Of::Control,
        }
    }
}

impl State {
    /// What the frame is for in which this is.
    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Second(kind) | Self::Mask(kind, ..) | Self::Payload(kind, _) => Some(kind),
            Self::Length(..) => Some(Kind::Message),
            Self::Start | Self::Closed | Self::Refused(_) => None,
        }
    }
}

/// Frames of one direction on their way.
#[derive(Debug)]
pub struct Frames {
    side: Side,
    deflate: Deflate,
    state: State,
    /// Whether a message has begun that has not ended.
    open: bool,
    /// The next four bytes of the mask.
    mask: [u8; 4],
}

impl Frames {
    /// Before the first frame, right after the heads.
    #[must_use]
    pub const fn new(side: Side, deflate: Deflate) -> Self {
        Self { side, deflate, state: State::Start, open: false, mask: [0; 4] }
    }

    /// Whether this side has sent its `Close`. The other may go on until its own (RFC 6455, 5.5.1).
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Closed
    }

    /// Follows the bytes that come next; all of them are frames.
    ///
    /// # Errors
    /// They are none, now and for ever. None of them may be sent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, FrameFault> {
        self.feed_with(bytes, &mut |_| {})
    }

    /// The same; `hears` is told what they carry, in order.
    ///
    /// # Errors
    /// As [`Frames::feed`].
    pub fn feed_with(
        &mut self,
        bytes: &[u8],
        hears: &mut dyn FnMut(Part),
    ) -> Result<Fed, FrameFault> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let before = self.state;
            if let State::Payload(kind, left) = self.state {
                let rest = bytes.len() - at;
                let step = usize::try_from(left).map_or(rest, |left| left.min(rest));
                hears(Part::Payload(kind.of(), at..at + step, self.mask));
                self.mask.rotate_left(step % 4);
                at += step;
                self.state = payload(kind, left - u64::try_from(step).unwrap_or(left));
            } else {
                match self.next(byte) {
                    Ok(state) => self.state = state,
                    Err(fault) => {
                        self.state = State::Refused(fault);
                        break;
                    }
                }
                at += 1;
            }
            let ended = matches!(self.state, State::Start | State::Closed);
            match before.kind().filter(|_| ended) {
                Some(Kind::Message) if self.open => {}
                Some(kind) => hears(Part::End(kind.of())),
                None => {}
            }
        }
        match self.state {
            State::Refused(fault) => Err(fault),
            State::Start
            | State::Second(_)
            | State::Length(..)
            | State::Mask(..)
            | State::Payload(..)
            | State::Closed => Ok(Fed { taken: bytes.len(), done: self.is_done() }),
        }
    }

    /// The state after one byte that is no payload.
    fn next(&mut self, byte: u8) -> Result<State, FrameFault> {
        match self.state {
            State::Start => Ok(State::Second(self.first(byte)?)),
            State::Second(kind) => {
                let is_masked = byte & 0x80 != 0;
                if is_masked != (self.side == Side::Client) {
                    return Err(FrameFault::Mask);
                }
                let length = byte & 0x7F;
                match (kind, length) {
                    (Kind::Control | Kind::Close, CONTROL_BYTES_MAX..)
                        if length > CONTROL_BYTES_MAX =>
                    {
                        Err(FrameFault::Control)
                    }
                    (Kind::Close, 1) => Err(FrameFault::Close),
                    (_, 126) => Ok(State::Length(0, 2, 2)),
                    (_, 127) => Ok(State::Length(0, 8, 8)),
                    (_, _) => Ok(self.masked(kind, u64::from(length))),
                }
            }
            State::Length(so_far, left, all) => {
                let length = so_far << 8 | u64::from(byte);
                if left > 1 {
                    return Ok(State::Length(length, left - 1, all));
                }
                let least = if all == 2 { 126 } else { 1 << 16 };
                if length < least || length > u64::MAX >> 1 {
                    return Err(FrameFault::Length);
                }
                Ok(self.masked(Kind::Message, length))
            }
            State::Mask(kind, left, length) => {
                // The last one comes in where the others were.
                self.mask.rotate_left(1);
                self.mask[3] = byte;
                Ok(if left > 1 {
                    State::Mask(kind, left - 1, length)
                } else {
                    payload(kind, length)
                })
            }
            State::Payload(kind, left) => Ok(payload(kind, left.saturating_sub(1))),
            State::Closed => Err(FrameFault::AfterClose),
            State::Refused(fault) => Err(fault),
        }
    }

    /// FIN, the reserved bits and the opcode.
    fn first(&mut self, byte: u8) -> Result<Kind, FrameFault> {
        let (is_last, opcode) = (byte & 0x80 != 0, byte & 0x0F);
        let begins = matches!(opcode, 1 | 2);
        let allowed = if begins && self.deflate == Deflate::Agreed { 0x40 } else { 0 };
        if byte & 0x70 & !allowed != 0 {
            return Err(FrameFault::Reserved);
        }
        match opcode {
            0..=2 => {
                if begins == self.open {
                    return Err(FrameFault::Order);
                }
                self.open = !is_last;
                Ok(Kind::Message)
            }
            8..=10 if !is_last => Err(FrameFault::Control),
            8 => Ok(Kind::Close),
            9 | 10 => Ok(Kind::Control),
            3..=7 | 11.. => Err(FrameFault::Opcode),
        }
    }

    /// What follows the length.
    fn masked(&self, kind: Kind, length: u64) -> State {
        match self.side {
            Side::Client => State::Mask(kind, 4, length),
            Side::Server => payload(kind, length),
        }
    }
}

/// The state before `left` bytes of a payload.
fn payload(kind: Kind, left: u64) -> State {
    match (kind, left) {
        (Kind::Close, 0) => State::Closed,
        (Kind::Message | Kind::Control, 0) => State::Start,
        (_, _) => State::Payload(kind, left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At once, and byte by byte: the same.
    #[track_caller]
    fn check(
        (side, deflate): (Side, Deflate),
        bytes: &[u8],
        want: Result<bool, FrameFault>,
        why: &str,
    ) {
        let all = Frames::new(side, deflate).feed(bytes);
        assert_eq!(all.map(|fed| fed.done), want, "{why}");
        assert!(all.is_err() || all.is_ok_and(|fed| fed.taken == bytes.len()), "{why}");
        let mut frames = Frames::new(side, deflate);
        let mut last = Ok(Fed { taken: 0, done: false });
        for byte in bytes {
            last = frames.feed(std::slice::from_ref(byte));
        }
        assert_eq!(last.map(|fed| fed.done), want, "{why}: byte by byte");
        assert_eq!(frames.is_done(), want == Ok(true), "{why}");
    }

    #[test]
    fn a_servers_frames_are_followed() {
        use FrameFault::{AfterClose, Control, Length, Mask, Opcode, Order, Reserved};
        let medium = [&[0x82, 126, 0, 126][..], &[7; 126]].concat();
        let large = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 1 << 16]].concat();
        for (bytes, want, why) in [
            (&b""[..], Ok(false), "nothing"),
            (b"\x81\x05Hello", Ok(false), "RFC 6455, 5.7: a text"),
            (b"\x01\x03Hel\x80\x02lo", Ok(false), "in two fragments"),
            (b"\x01\x03Hel\x89\x00\x80\x02lo", Ok(false), "a ping between them"),
            (b"\x89\x05Hello\x8a\x05Hello", Ok(false), "ping and pong"),
            (&medium, Ok(false), "126 bytes"),
            (&large, Ok(false), "65,536 bytes"),
            (b"\x82\x00", Ok(false), "nothing in it"),
            (b"\x88\x00", Ok(true), "a close"),
            (b"\x88\x02\x03\xe8", Ok(true), "with its code"),
            (b"\x88\x01\x03", Err(FrameFault::Close), "half a code"),
            (b"\x88\x00\x88\x00", Err(AfterClose), "two"),
            (b"\x88\x00G", Err(AfterClose), "another protocol after it"),
            (b"\x81\x85\0\0\0\0Hello", Err(Mask), "a server does not mask"),
            (b"\xc1\x01a", Err(Reserved), "nobody agreed on compression"),
            (b"\xa1\x01a", Err(Reserved), "RSV2"),
            (b"\x91\x01a", Err(Reserved), "RSV3"),
            (b"\x83\x00", Err(Opcode), "3 is reserved"),
            (b"\x8b\x00", Err(Opcode), "11 is reserved"),
            (b"HTTP/1.1 200 OK\r\n", Err(Reserved), "an answer of HTTP"),
            (b"\x16\x03\x01", Err(Reserved), "TLS"),
            (b"\x09\x00", Err(Control), "a ping in fragments"),
            (b"\x89\x7e\x00\x7e", Err(Control), "a ping of 126 bytes"),
            (b"\x80\x00", Err(Order), "it continues nothing"),
            (b"\x01\x00\x81\x00", Err(Order), "a message in a message"),
            (b"\x01\x00\x80\x00\x80\x00", Err(Order), "it had ended"),
            (b"\x82\x7e\x00\x7d", Err(Length), "125 in two bytes"),
            (b"\x82\x7f\0\0\0\0\0\0\xff\xff", Err(Length), "65,535 in eight"),
            (b"\x82\x7f\x80\0\0\0\0\0\0\0", Err(Length), "64 bits"),
            (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Ok(false), "63 bits"),
        ] {
            check((Side::Server, Deflate::None), bytes, want, why);
        }
    }

    #[test]
    fn a_clients_frames_are_followed() {
        use FrameFault::{AfterClose, Mask, Reserved};
        for (bytes, want, why) in [
            (&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..], Ok(false), "RFC 6455, 5.7"),
            (b"\x81\x80\0\0\0\0\x81\x80\0\0\0\0", Ok(false), "two, with nothing in them"),
            (b"\x82\xfe\x00\x7e\0\0\0\0", Ok(false), "the mask follows the length"),
            (b"\x88\x80\0\0\0\0", Ok(true), "a close"),
            (b"\x88\x82\0\0\0\0\x03\xe8", Ok(true), "with its code"),
            (b"\x88\x80\0\0\0\0\0", Err(AfterClose), "a byte after it"),
            (b"\x81\x05Hello", Err(Mask), "a client masks"),
            (b"GET / HTTP/1.1\r\n", Err(Reserved), "a request of HTTP"),
        ] {
            check((Side::Client, Deflate::None), bytes, want, why);
        }
    }

    #[test]
    fn a_compressed_message_says_so_in_its_first_frame() {
        use FrameFault::Reserved;
        for (bytes, want, why) in [
            (&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], Ok(false), "RFC 7692, 7.2.3.1"),
            (b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", Ok(false), "in fragments"),
            (b"\x81\x05Hello", Ok(false), "not every message is"),
            (b"\x41\x00\xc0\x00", Err(Reserved), "a continuation does not say it"),
            (b"\xc9\x00", Err(Reserved), "nor a ping"),
            (b"\xe1\x00", Err(Reserved), "RSV2 is still nothing"),
        ] {
            check((Side::Server, Deflate::Agreed), bytes, want, why);
        }
    }

    /// What is heard of frames that come in such pieces: each message and control frame as it was meant.
    fn heard(side: Side, pieces: &[&[u8]]) -> Vec<(Of, Vec<u8>)> {
        let (mut frames, mut all) = (Frames::new(side, Deflate::None), Vec::new());
        let (mut message, mut control) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut hears = |part: Part| match part {
                Part::Payload(of, range, mask) => {
                    let bytes = piece[range].iter().zip(mask.into_iter().cycle());
                    let to = if of == Of::Message { &mut message } else { &mut control };
                    to.extend(bytes.map(|(byte, mask)| byte ^ mask));
                }
                Part::End(Of::Message) => all.push((Of::Message, std::mem::take(&mut message))),
                Part::End(Of::Control) => all.push((Of::Control, std::mem::take(&mut control))),
            };
            frames.feed_with(piece, &mut hears).unwrap();
        }
        all
    }

    #[test]
    fn payloads_are_heard_as_they_were_meant() {
        let client = b"\x01\x83\x61\x62\x63\x64\x09\x07\x0f\x89\x82\x77\x78\x79\x7a\x07\x11\x80\x86\x41\x42\x43\x44\x2d\x2d\x63\x33\x2e\x30\x82\x80\x65\x66\x67\x68\x88\x80\x69\x6a\x6b\x6c";
        let want = vec![
            (Of::Control, b"pi".to_vec()),
            (Of::Message, [&b"hel"[..], b"lo ", b"wor"].concat()),
            (Of::Message, Vec::new()),
            (Of::Control, Vec::new()),
        ];
        let whole = heard(Side::Client, &[client]);
        let text = |all: &[(Of, Vec<u8>)]| -> Vec<(Of, String)> {
            all.iter().map(|(of, bytes)| (*of, bytes.escape_ascii().to_string())).collect()
        };
        assert_eq!(text(&whole), text(&want));
        let single: Vec<&[u8]> = client.chunks(1).collect();
        assert_eq!(text(&heard(Side::Client, &single)), text(&want), "byte by byte");
        let server = b"\x01\x01a\x80\x02bc\x81\x00";
        let want = [(Of::Message, b"abc".to_vec()), (Of::Message, Vec::new())];
        assert_eq!(heard(Side::Server, &[server]), want);
    }

    #[test]
    fn what_was_refused_stays_so() {
        let mut frames = Frames::new(Side::Server, Deflate::None);
        assert_eq!(frames.feed(b"\x83"), Err(FrameFault::Opcode));
        assert_eq!(frames.feed(b"\x81\x00"), Err(FrameFault::Opcode), "no second try");
        assert_eq!(frames.feed(b""), Err(FrameFault::Opcode), "nor by saying nothing");
    }
}
