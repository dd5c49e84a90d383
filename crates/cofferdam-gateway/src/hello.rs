//! The first message of TLS, as far as it names a host: ClientHello (RFC 8446, 4.1.2 and 5.1) with
//! `server_name` (RFC 6066, 3).
//!
//! Every length must fit to the byte and no extension may come twice: a server that reads on where we
//! stopped, or takes the other of two, would see another name.

use std::collections::BTreeSet;

use cofferdam_policy::hostname::{Name, NameFault};

/// Longest hello, with the headers of its records. Bytes. One with post-quantum keys has 1.8 KiB, one
/// that resumes with a large ticket a few more; 16 KiB is a whole record (RFC 8446, 5.1), and nothing
/// known sends two.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// The server does not know the name (RFC 6066, 3).
pub const ALERT_UNRECOGNIZED_NAME: u8 = 112;
/// The rules do not allow it (RFC 8446, 6.2).
pub const ALERT_ACCESS_DENIED: u8 = 49;
/// A message that cannot be read (RFC 8446, 6.2).
pub const ALERT_DECODE_ERROR: u8 = 50;
/// There is no name at all (RFC 8446, 6.2).
pub const ALERT_MISSING_EXTENSION: u8 = 109;

const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const MESSAGE_HEADER: usize = 4;
/// Largest plaintext of a record (RFC 8446, 5.1). Bytes.
const RECORD_BYTES_MAX: usize = 1 << 14;
const RANDOM_BYTES: usize = 32;
const SESSION_BYTES_MAX: usize = 32;

const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Encrypted ClientHello (RFC 9849), and the draft before it that some still send.
const ECH: [u16; 2] = [0xFE0D, 0xFFCE];

/// What a ClientHello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Whom it is for; no name where it does not say.
    pub server_name: Option<Name>,
    /// Whether it has an encrypted hello, real or made up to look like one.
    pub ech: Ech,
    /// Of these many bytes it was read, headers of records too. Other messages may follow.
    pub length: usize,
}

/// Whether a second hello is hidden in the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ech {
    /// There is none.
    Absent,
    /// There may be: the name that counts is perhaps another.
    Present,
}

/// Why bytes are no ClientHello that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloFault {
    /// Not the header of a TLS record with a handshake in it.
    NotTls,
    /// A record of no length, or over what one may have.
    Record,
    /// A handshake, but not its first message.
    NotHello,
    /// Over [`HELLO_BYTES_MAX`].
    TooLong,
    /// Something follows the message within its record.
    Trailing,
    /// A length that does not fit, in the part that this names.
    Length(&'static str),
    /// The same extension twice.
    Twice(u16),
    /// A list of names with none, with several, or with another kind.
    NameList,
    /// The name ends in a dot, which RFC 6066 does not have.
    NameDot,
    /// The name is none; an address is none either.
    Name(NameFault),
}

impl HelloFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotTls => "tls-none",
            Self::Record => "tls-record",
            Self::NotHello => "tls-no-hello",
            Self::TooLong => "tls-long",
            Self::Trailing => "tls-trailing",
            Self::Length(_) => "tls-length",
            Self::Twice(_) => "tls-extension-twice",
            Self::NameList => "tls-name-list",
            Self::NameDot => "tls-name-dot",
            Self::Name(_) => "tls-name",
        }
    }

    /// The description of the alert that answers it.
    #[must_use]
    pub const fn alert(&self) -> u8 {
        match self {
            Self::NotTls
            | Self::Record
            | Self::NotHello
            | Self::TooLong
            | Self::Trailing
            | Self::Length(_)
            | Self::Twice(_)
            | Self::NameList => ALERT_DECODE_ERROR,
            Self::NameDot | Self::Name(_) => ALERT_UNRECOGNIZED_NAME,
        }
    }
}

impl std::fmt::Display for HelloFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotTls => out.write_str("it is not TLS"),
            Self::Record => out.write_str("a record has no length that one may have"),
            Self::NotHello => out.write_str("the first message is no ClientHello"),
            Self::TooLong => write!(out, "a ClientHello has at most {HELLO_BYTES_MAX} bytes"),
            Self::Trailing => out.write_str("something follows the ClientHello in its record"),
            Self::Length(part) => write!(out, "a length does not fit: {part}"),
            Self::Twice(kind) => write!(out, "extension {kind} comes twice"),
            Self::NameList => out.write_str("`server_name` is not one host name"),
            Self::NameDot => out.write_str("`server_name` ends in a dot"),
            Self::Name(fault) => write!(out, "`server_name`: {fault}"),
        }
    }
}

/// The plaintext record of a fatal alert (RFC 8446, 6): the connection ends after it.
#[must_use]
pub const fn alert(description: u8) -> [u8; 7] {
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, description]
}

/// The ClientHello at the start of `bytes`; `None` while it is not whole.
///
/// # Errors
/// The first thing that is wrong, from left to right: it does not depend on how the bytes were cut on
/// their way, into segments or into records.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, HelloFault> {
    let all = bytes.get(..HELLO_BYTES_MAX).unwrap_or(bytes);
    let (mut message, mut at, mut declared) = (Vec::new(), 0_usize, 0_usize);
    loop {
        let rest = all.get(at..).unwrap_or_default();
        if let Some(length) = record(rest)? {
            declared += length;
            let payload = rest.get(RECORD_HEADER..).unwrap_or_default();
            let payload = payload.get(..length).unwrap_or(payload);
            message.extend_from_slice(payload);
            let whole = payload.len() == length;
            let needed = needed(&message)?;
            if needed.is_some_and(|needed| declared > needed) {
                return Err(HelloFault::Trailing);
            }
            if whole {
                at += RECORD_HEADER + length;
                if needed == Some(declared) {
                    let body = message.get(MESSAGE_HEADER..).unwrap_or_default();
                    return hello(body, at).map(Some);
                }
                continue;
            }
        }
        return if all.len() == HELLO_BYTES_MAX { Err(HelloFault::TooLong) } else { Ok(None) };
    }
}

/// The length that the header of a record tells; `None` while it is not whole.
fn record(bytes: &[u8]) -> Result<Option<usize>, HelloFault> {
    let is = |at: usize, fits: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| fits(*byte));
    if !is(0, |kind| kind == HANDSHAKE) || !is(1, |major| major == 3) {
        return Err(HelloFault::NotTls);
    }
    // 3.1 in a first hello, for old servers' sake; 3.3 in all others. 3.0 was SSL.
    if !is(2, |minor| (1..=3).contains(&minor)) {
        return Err(HelloFault::NotTls);
    }
    let Some([_, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length == 0 || length > RECORD_BYTES_MAX {
        return Err(HelloFault::Record);
    }
    Ok(Some(length))
}

/// The message's length with its header, as that tells it.
fn needed(message: &[u8]) -> Result<Option<usize>, HelloFault> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloFault::NotHello);
    }
    let Some([_, a, b, c]) = message.first_chunk::<MESSAGE_HEADER>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, *a, *b, *c]);
    let length = usize::try_from(length).map_err(|_| HelloFault::TooLong)?;
    if length > HELLO_BYTES_MAX {
        Err(HelloFault::TooLong)
    } else {
        Ok(Some(MESSAGE_HEADER + length))
    }
}

fn hello(body: &[u8], length: usize) -> Result<Hello, HelloFault> {
    let mut body = Part { rest: body, name: "hello" };
    // legacy_version: what it really is, an extension says. Before TLS there were no extensions.
    let version = body.u16()?;
    if !(0x0301..=0x0303).contains(&version) {
        return Err(HelloFault::NotTls);
    }
    body.take(RANDOM_BYTES)?;
    if body.short("session")?.rest.len() > SESSION_BYTES_MAX {
        return Err(HelloFault::Length("session"));
    }
    let suites = body.long("cipher suites")?.rest.len();
    if suites == 0 || suites % 2 != 0 {
        return Err(HelloFault::Length("cipher suites"));
    }
    if body.short("compression")?.rest.is_empty() {
        return Err(HelloFault::Length("compression"));
    }
    let mut hello = Hello { server_name: None, ech: Ech::Absent, length };
    if body.rest.is_empty() {
        return Ok(hello);
    }
    let mut extensions = body.long("extensions")?;
    body.end()?;
    let mut seen = BTreeSet::new();
    while !extensions.rest.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.long("extension")?;
        if !seen.insert(kind) {
            return Err(HelloFault::Twice(kind));
        }
        if kind == SERVER_NAME {
            hello.server_name = Some(server_name(content)?);
        }
        if ECH.contains(&kind) {
            hello.ech = Ech::Present;
        }
    }
    Ok(hello)
}

fn server_name(mut content: Part<'_>) -> Result<Name, HelloFault> {
    let mut list = content.long("server_name")?;
    content.end()?;
    if list.rest.is_empty() || list.take(1)? != [HOST_NAME] {
        return Err(HelloFault::NameList);
    }
    let name = list.long("host name")?.rest;
    if !list.rest.is_empty() {
        return Err(HelloFault::NameList);
    }
    if name.ends_with(b".") {
        return Err(HelloFault::NameDot);
    }
    Name::parse(name).map_err(HelloFault::Name)
}

/// Bytes of a message that are not read yet, and what they are.
#[derive(Debug)]
struct Part<'a> {
    rest: &'a [u8],
    name: &'static str,
}

impl<'a> Part<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloFault> {
        let split = self.rest.split_at_checked(count);
        let (taken, rest) = split.ok_or(HelloFault::Length(self.name))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, HelloFault> {
        let split = self.rest.split_first_chunk();
        let (bytes, rest) = split.ok_or(HelloFault::Length(self.name))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// A vector whose length is one byte.
    fn short(&mut self, name: &'static str) -> Result<Self, HelloFault> {
        let length = self.take(1)?.first().copied().unwrap_or_default();
        let rest = self.take(length.into()).map_err(|_| HelloFault::Length(name))?;
        Ok(Self { rest, name })
    }

    /// A vector whose length is two bytes.
    fn long(&mut self, name: &'static str) -> Result<Self, HelloFault> {
        let length = self.u16()?;
        let rest = self.take(length.into()).map_err(|_| HelloFault::Length(name))?;
        Ok(Self { rest, name })
    }

    fn end(&self) -> Result<(), HelloFault> {
        if self.rest.is_empty() { Ok(()) } else { Err(HelloFault::Length(self.name)) }
    }
}

#[cfg(test)]
mod tests;
