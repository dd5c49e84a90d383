//! The head of an HTTP/1 answer: enough of it to relay the message and to find its end.
//!
//! A server may leave out what a request may not. Where it says the end of a message in two ways, the
//! answer is refused: the client would read one of them, and we the other.

use crate::body::Framing;
use crate::fields::{
    Field, LineFault, Lines, elements, is_hop, is_websocket, length, lists, values, write,
};
use crate::head::{After, Version};

/// What was asked: it changes where an answer ends (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `HEAD`: no answer has a body.
    Head,
    /// `CONNECT`: after 2xx the connection is a tunnel.
    Connect,
    /// WebSocket: after 101 it is one.
    Websocket,
    /// Anything else.
    Other,
}

/// What comes after the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The answer proper: this one was 1xx.
    Answer,
    /// A body, and then the next message.
    Body,
    /// Another protocol, until the connection ends.
    Tunnel,
}

/// An answer's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it was written.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// The text after the status.
    pub phrase: Vec<u8>,
    /// Every field, in order.
    pub headers: Vec<Field>,
    /// What comes after the head.
    pub follows: Follows,
    /// How the body's end is told.
    pub framing: Framing,
    /// Of these many bytes the head was read.
    pub length: usize,
}

/// Why bytes are no answer that can be relayed. To the client it is 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// A line or a field.
    Line(LineFault),
    /// Not `HTTP/1.x NNN text`.
    StatusLine,
    /// 101 that nobody asked for.
    Switch,
    /// `Content-Length` is no number, or two.
    Length,
    /// `Content-Length` and `Transfer-Encoding`.
    TwoFramings,
    /// `Transfer-Encoding` is not `chunked` once, or in HTTP/1.0.
    Coding,
}

impl AnswerFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.code(),
            Self::StatusLine => "answer-status-line",
            Self::Switch => "answer-switch",
            Self::Length => "answer-length",
            Self::TwoFramings => "answer-two-framings",
            Self::Coding => "answer-coding",
        }
    }
}

impl std::fmt::Display for AnswerFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(fault) => fault.fmt(out),
            Self::StatusLine => out.write_str("the first line is no answer of HTTP/1"),
            Self::Switch => out.write_str("it switches to a protocol that nobody asked for"),
            Self::Length => out.write_str("`Content-Length` is not one number in digits"),
            Self::TwoFramings => {
                out.write_str("both `Content-Length` and `Transfer-Encoding` are there")
            }
            Self::Coding => out.write_str("`Transfer-Encoding` is not `chunked`, in HTTP/1.1"),
        }
    }
}

impl From<LineFault> for AnswerFault {
    fn from(fault: LineFault) -> Self {
        Self::Line(fault)
    }
}

/// The head at the start of `bytes`; `None` while its end has not come.
///
/// # Errors
/// The first thing that is wrong. Nothing of it may be relayed.
pub fn parse(bytes: &[u8], asked: Asked) -> Result<Option<Answer>, AnswerFault> {
    let mut lines = Lines::new(bytes);
    let Some(line) = lines.line()? else { return Ok(None) };
    let (version, status, phrase) = start(line)?;
    let Some(headers) = lines.fields()? else { return Ok(None) };
    let follows = match (status, asked) {
        (101, Asked::Websocket) if is_websocket(&headers) => Follows::Tunnel,
        (101, Asked::Websocket | Asked::Head | Asked::Connect | Asked::Other) => {
            return Err(AnswerFault::Switch);
        }
        (100..=199, _) => Follows::Answer,
        (200..=299, Asked::Connect) => Follows::Tunnel,
        (_, Asked::Websocket | Asked::Head | Asked::Connect | Asked::Other) => Follows::Body,
    };
    let said = said(version, &headers)?;
    let framing = match (follows, status, asked) {
        (Follows::Tunnel, _, _) => Framing::UntilClose,
        (Follows::Answer, _, _) | (_, 204 | 304, _) | (_, _, Asked::Head) => Framing::None,
        (Follows::Body, _, _) => said,
    };
    let (phrase, length) = (phrase.into(), lines.length());
    Ok(Some(Answer { version, status, phrase, headers, follows, framing, length }))
}

impl Answer {
    /// The head that goes to the client: always HTTP/1.1, without what was for the connection to the
    /// server only, and without `Alt-Svc`, which would name another way to the same host.
    #[must_use]
    pub fn downstream(&self, after: After) -> Vec<u8> {
        let start = [format!("HTTP/1.1 {} ", self.status).as_bytes(), &self.phrase].concat();
        // Where there is no body, these would only lead a reader astray; 304 and `HEAD` have them.
        let bodiless = self.follows != Follows::Body || self.status == 204;
        let named = self.named();
        let mut once = false;
        let stays = |field: &&Field| {
            let is_length = field.is("content-length");
            let again = is_length && std::mem::replace(&mut once, true);
            let astray = bodiless && (is_length || field.is("transfer-encoding"));
            !(again || astray || field.is("alt-svc") || is_hop(field, &named))
        };
        let mut headers: Vec<Field> = self.headers.iter().filter(stays).cloned().collect();
        match (self.follows, after) {
            (Follows::Tunnel, _) if self.status == 101 => headers
                .extend([Field::new("Connection", "Upgrade"), Field::new("Upgrade", "websocket")]),
            (Follows::Tunnel | Follows::Answer, _) | (Follows::Body, After::Stay) => {}
            (Follows::Body, After::Close) => headers.push(Field::new("Connection", "close")),
        }
        write(&start, &headers)
    }

    /// Whether the server means to answer on this connection again.
    #[must_use]
    pub fn after(&self) -> After {
        let closes = lists(&self.headers, "connection", "close")
            || self.version == Version::Http10
            || self.framing == Framing::UntilClose;
        if closes { After::Close } else { After::Stay }
    }

    /// What `Connection` names, but for what tells the body's end: that stays.
    fn named(&self) -> Vec<Field> {
        let frames = |part: &[u8]| {
            part.eq_ignore_ascii_case(b"content-length")
                || part.eq_ignore_ascii_case(b"transfer-encoding")
        };
        let names = elements(&self.headers, "connection").filter(|part| !frames(part));
        names.map(|part| Field { name: "connection".into(), value: part.into() }).collect()
    }
}

fn start(line: &[u8]) -> Result<(Version, u16, &[u8]), AnswerFault> {
    let (version, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', rest @ ..] => {
            (Version::Http11, rest)
        }
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', rest @ ..] => {
            (Version::Http10, rest)
        }
        [..] => return Err(AnswerFault::StatusLine),
    };
    let (status, phrase) = match rest {
        [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', phrase @ ..] => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            (digit(a) * 100 + digit(b) * 10 + digit(c), phrase)
        }
        [..] => return Err(AnswerFault::StatusLine),
    };
    // The text is often missing, and sometimes the space before it.
    match phrase {
        [] | [b' '] => Ok((version, status, &[])),
        [b' ', text @ ..] => Ok((version, status, text)),
        [..] => Err(AnswerFault::StatusLine),
    }
}

/// What the fields say of the body's end. The same length twice is one.
fn said(version: Version, headers: &[Field]) -> Result<Framing, AnswerFault> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::UntilClose),
        (Some(_), Some(_)) => Err(AnswerFault::TwoFramings),
        (Some(value), None) => {
            let length = length(value).ok_or(AnswerFault::Length)?;
            let same = lengths.all(|other| other == value);
            same.then_some(Framing::Length(length)).ok_or(AnswerFault::Length)
        }
        (None, Some(value)) => {
            let chunked = value.eq_ignore_ascii_case(b"chunked") && version == Version::Http11;
            let once = codings.next().is_none();
            (chunked && once).then_some(Framing::Chunked).ok_or(AnswerFault::Coding)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Want = Result<(u16, Follows, Framing), AnswerFault>;

    #[track_caller]
    fn check(text: &str, asked: Asked, want: Want, why: &str) {
        let bytes = text.as_bytes();
        let got = parse(bytes, asked).map(|answer| answer.expect(why));
        let got = got.map(|answer| (answer.status, answer.follows, answer.framing));
        assert_eq!(got, want, "{why}: {text:?}");
        let cut = (0..bytes.len()).find(|end| !matches!(parse(&bytes[..*end], asked), Ok(None)));
        let early = cut.map(|end| parse(&bytes[..end], asked).unwrap_err());
        assert!(early.is_none() || early == want.err(), "{why}: other when cut: {early:?}");
    }

    #[test]
    fn where_an_answer_ends() {
        use Asked::{Connect, Head, Other, Websocket};
        use Follows::{Answer, Body, Tunnel};
        use Framing::{Chunked, Length, None, UntilClose};
        for (text, asked, want, why) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                Other,
                (200, Body, Length(3)),
                "length",
            ),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Other, (200, Body, Length(0)), "no text"),
            ("HTTP/1.1 200 \r\n\r\n", Other, (200, Body, UntilClose), "an empty text"),
            ("HTTP/1.0 404 Not Found\r\n\r\n", Other, (404, Body, UntilClose), "HTTP/1.0"),
            ("HTTP/1.1 200 \u{e9}\r\n\r\n", Other, (200, Body, UntilClose), "a text in UTF-8"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                Other,
                (200, Body, Chunked),
                "chunks",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
                Other,
                (200, Body, Length(3)),
                "the same twice",
            ),
            ("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", Other, (204, Body, None), "204"),
            ("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", Other, (304, Body, None), "304"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Head, (200, Body, None), "HEAD"),
            ("HTTP/1.1 100 Continue\r\n\r\n", Other, (100, Answer, None), "another one follows"),
            ("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", Head, (103, Answer, None), "the same"),
            ("HTTP/1.1 200 OK\r\n\r\n", Connect, (200, Tunnel, UntilClose), "a tunnel"),
            (
                "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\n",
                Connect,
                (407, Body, Length(1)),
                "none",
            ),
            (
                "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                Websocket,
                (101, Tunnel, UntilClose),
                "WebSocket",
            ),
        ] {
            check(text, asked, Ok(want), why);
        }
    }

    #[test]
    fn what_cannot_be_relayed() {
        use AnswerFault::{Coding, Length, Line, StatusLine, Switch, TwoFramings};
        use Asked::{Other, Websocket};
        let long = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(129));
        for (text, asked, want, why) in [
            ("HTTP/2 200\r\n\r\n", Other, StatusLine, "another version"),
            ("ICY 200 OK\r\n\r\n", Other, StatusLine, "no HTTP"),
            ("HTTP/1.1 20 OK\r\n\r\n", Other, StatusLine, "two digits"),
            ("HTTP/1.1 2000\r\n\r\n", Other, StatusLine, "four"),
            ("HTTP/1.1 600 OK\r\n\r\n", Other, StatusLine, "no class of its own"),
            ("HTTP/1.1  200 OK\r\n\r\n", Other, StatusLine, "two spaces"),
            ("HTTP/1.1 200 OK\n\n", Other, Line(LineFault::BareLf), "a bare LF"),
            ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", Other, Line(LineFault::Folded), "folded"),
            ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", Other, Line(LineFault::FieldName), "a blank"),
            (&long, Other, Line(LineFault::TooMany), "129 fields"),
            ("HTTP/1.1 200 OK\r\na: \0\r\n\r\n", Other, Line(LineFault::Byte(0)), "NUL"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
                Other,
                Length,
                "two lengths",
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", Other, Length, "a list"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Other, Length, "a sign"),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", Other, Length, "nothing"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                Other,
                TwoFramings,
                "both",
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Other, Coding, "not ours"),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Other, Coding, "in 1.0"),
            ("HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n", Other, Switch, "nobody asked"),
            (
                "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                Websocket,
                Switch,
                "something else was asked",
            ),
        ] {
            check(text, asked, Err(want), why);
        }
    }

    #[test]
    fn what_the_client_sees() {
        for (text, asked, after, want, why) in [
            (
                "HTTP/1.0 200 OK\r\nAlt-Svc: h3=\"evil.test:443\"\r\nServer: x\r\n\r\n",
                Asked::Other,
                After::Close,
                "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: close\r\n\r\n",
                "no other way to the host",
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: x-a, content-length\r\nX-A: b\r\nContent-Length: 1\r\nProxy-Authenticate: c\r\nKeep-Alive: d\r\n\r\n",
                Asked::Other,
                After::Stay,
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                "what was for one connection; the length is not",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
                Asked::Other,
                After::Stay,
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                "one length",
            ),
            (
                "HTTP/1.1 204 No\r\nContent-Length: 5\r\nTransfer-Encodin: x\r\n\r\n",
                Asked::Other,
                After::Stay,
                "HTTP/1.1 204 No\r\nTransfer-Encodin: x\r\n\r\n",
                "no body, no length",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                Asked::Head,
                After::Stay,
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "what a GET would have had",
            ),
            (
                "HTTP/1.1 101\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n",
                Asked::Websocket,
                After::Stay,
                "HTTP/1.1 101 \r\nSec-WebSocket-Accept: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                "the switch itself",
            ),
        ] {
            let answer = parse(text.as_bytes(), asked).unwrap().unwrap();
            assert_eq!(String::from_utf8(answer.downstream(after)).unwrap(), want, "{why}");
        }
    }
}
