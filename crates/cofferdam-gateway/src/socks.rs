//! SOCKS version 5, both sides of it (RFC 1928): what a client inside asks of us, and what we ask of a
//! proxy upstream.
//!
//! Without authentication: who can reach the listener is the sandbox. `CONNECT` alone: `BIND` would
//! let somebody in, and `UDP ASSOCIATE` is a relay that judges nothing.

use std::net::{IpAddr, Ipv6Addr};

use cofferdam_policy::hostname::NameFault;
use cofferdam_policy::judge::hosts::{Host, canonical};

use crate::authority;

/// Longest greeting: version, count, 255 methods. Bytes.
pub const GREETING_BYTES_MAX: usize = 2 + 255;
/// Longest request, and longest reply: four bytes, a length, 255 bytes of name, a port. Bytes.
pub const REQUEST_BYTES_MAX: usize = 4 + 1 + 255 + 2;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// The answer to a greeting that offers to go without authentication.
pub const METHOD_CHOSEN: [u8; 2] = [VERSION, NO_AUTHENTICATION];
/// The answer to one that does not.
pub const METHOD_NONE: [u8; 2] = [VERSION, 0xFF];
/// Our greeting to a proxy upstream.
pub const OFFER: [u8; 3] = [VERSION, 1, NO_AUTHENTICATION];

/// The code of a reply (RFC 1928, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 0: connected.
    Succeeded,
    /// 1: a failure of ours.
    General,
    /// 2: the rules do not allow it.
    NotAllowed,
    /// 3: no way to the network.
    NetworkUnreachable,
    /// 4: no way to the host, or the name has no address.
    HostUnreachable,
    /// 5: it does not listen.
    Refused,
    /// 7: no command of ours.
    Command,
    /// 8: no form of address.
    AddressType,
}

impl Reply {
    const fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::General => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::Refused => 5,
            Self::Command => 7,
            Self::AddressType => 8,
        }
    }

    /// Its bytes. The address bound is always `0.0.0.0:0`: ours is nobody's business inside.
    #[must_use]
    pub const fn bytes(self) -> [u8; 10] {
        [VERSION, self.code(), 0, IPV4, 0, 0, 0, 0, 0, 0]
    }
}

/// Why bytes are no SOCKS of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocksFault {
    /// Another version, or another protocol.
    Version,
    /// The client does not offer, or the proxy does not choose, to go without authentication.
    Method,
    /// `BIND`, `UDP ASSOCIATE` or none that exists.
    Command,
    /// The reserved byte is not 0.
    Reserved,
    /// No form of address that exists.
    AddressType,
    /// What should be a name is none.
    Name(NameFault),
    /// 0 is no port.
    Port,
    /// The proxy upstream says so, with this code.
    Denied(u8),
}

impl SocksFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version => "socks-version",
            Self::Method => "socks-method",
            Self::Command => "socks-command",
            Self::Reserved => "socks-reserved",
            Self::AddressType => "socks-address-type",
            Self::Name(_) => "socks-name",
            Self::Port => "socks-port",
            Self::Denied(_) => "socks-denied",
        }
    }

    /// What a client is told whose request this is.
    #[must_use]
    pub const fn reply(&self) -> Reply {
        match self {
            Self::Version | Self::Method | Self::Reserved | Self::Denied(_) => Reply::General,
            Self::Command => Reply::Command,
            Self::AddressType => Reply::AddressType,
            Self::Name(_) | Self::Port => Reply::NotAllowed,
        }
    }
}

impl std::fmt::Display for SocksFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version => out.write_str("it is not SOCKS version 5"),
            Self::Method => out.write_str("authentication is asked for"),
            Self::Command => out.write_str("another command than CONNECT"),
            Self::Reserved => out.write_str("the reserved byte is not 0"),
            Self::AddressType => out.write_str("an unknown form of address"),
            Self::Name(fault) => fault.fmt(out),
            Self::Port => out.write_str("0 is no port"),
            Self::Denied(code) => write!(out, "the proxy upstream answers {code}"),
        }
    }
}

/// Whom a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// A name, or an address as such.
    pub host: Host,
    /// Never 0.
    pub port: u16,
    /// Of these many bytes it was read. What follows is for the host.
    pub length: usize,
}

/// The length of the client's greeting; `None` while it is not whole. [`METHOD_CHOSEN`] answers it.
///
/// # Errors
/// Another version, to which there is no answer; or `Method`: [`METHOD_NONE`] and the end.
pub fn greeting(bytes: &[u8]) -> Result<Option<usize>, SocksFault> {
    let Some(version) = bytes.first() else { return Ok(None) };
    if *version != VERSION {
        return Err(SocksFault::Version);
    }
    let Some(count) = bytes.get(1).copied() else { return Ok(None) };
    let length = 2 + usize::from(count);
    let Some(methods) = bytes.get(2..length) else { return Ok(None) };
    if methods.contains(&NO_AUTHENTICATION) { Ok(Some(length)) } else { Err(SocksFault::Method) }
}

/// The client's request; `None` while it is not whole.
///
/// # Errors
/// The first thing that is wrong, from left to right; [`SocksFault::reply`] answers it.
pub fn request(bytes: &[u8]) -> Result<Option<Request>, SocksFault> {
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(SocksFault::Version);
    }
    if bytes.get(1).is_some_and(|command| *command != CONNECT) {
        return Err(SocksFault::Command);
    }
    let Some((spelled, length)) = address(bytes)? else { return Ok(None) };
    let host = match spelled {
        Spelled::Address(address) => Host::Address(canonical(address)),
        Spelled::Text(text) => named(text).map_err(SocksFault::Name)?,
    };
    let port = match bytes.get(length..length + 2) {
        Some([high, low]) => u16::from_be_bytes([*high, *low]),
        Some(_) | None => return Ok(None),
    };
    if port == 0 {
        return Err(SocksFault::Port);
    }
    Ok(Some(Request { host, port, length: length + 2 }))
}

/// The length of a proxy's choice of method; `None` while it is not whole.
///
/// # Errors
/// It wants authentication, or speaks something else.
pub fn choice(bytes: &[u8]) -> Result<Option<usize>, SocksFault> {
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(SocksFault::Version);
    }
    match bytes.get(1) {
        Some(&NO_AUTHENTICATION) => Ok(Some(2)),
        Some(_) => Err(SocksFault::Method),
        None => Ok(None),
    }
}

/// Our request to a proxy upstream: the host as it was judged.
#[must_use]
pub fn ask(host: &Host, port: u16) -> Vec<u8> {
    let mut out = vec![VERSION, CONNECT, 0];
    match host {
        Host::Address(IpAddr::V4(address)) => {
            out.push(IPV4);
            out.extend(address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            out.push(IPV6);
            out.extend(address.octets());
        }
        Host::Name(name) => {
            // A name has at most 253 bytes: its length is always one byte.
            out.push(DOMAIN);
            out.push(u8::try_from(name.as_str().len()).unwrap_or(u8::MAX));
            out.extend(name.as_str().bytes());
        }
    }
    out.extend(port.to_be_bytes());
    out
}

/// The length of a proxy's reply that grants the connection; `None` while it is not whole.
///
/// # Errors
/// It does not, or speaks something else.
pub fn granted(bytes: &[u8]) -> Result<Option<usize>, SocksFault> {
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(SocksFault::Version);
    }
    if let Some(code) = bytes.get(1).filter(|code| **code != Reply::Succeeded.code()) {
        return Err(SocksFault::Denied(*code));
    }
    // What the proxy says of its own side is not looked at.
    let Some((_, length)) = address(bytes)? else { return Ok(None) };
    Ok(bytes.get(length..length + 2).map(|_| length + 2))
}

/// An address as a message has it.
enum Spelled<'a> {
    Address(IpAddr),
    Text(&'a [u8]),
}

/// The reserved byte and the address, and the length up to the port.
fn address(bytes: &[u8]) -> Result<Option<(Spelled<'_>, usize)>, SocksFault> {
    if bytes.get(2).is_some_and(|reserved| *reserved != 0) {
        return Err(SocksFault::Reserved);
    }
    let rest = bytes.get(4..).unwrap_or_default();
    match bytes.get(3) {
        None => Ok(None),
        Some(&IPV4) => Ok(rest
            .first_chunk()
            .map(|octets: &[u8; 4]| (Spelled::Address(IpAddr::from(*octets)), 4 + octets.len()))),
        Some(&IPV6) => Ok(rest
            .first_chunk()
            .map(|octets: &[u8; 16]| (Spelled::Address(IpAddr::from(*octets)), 4 + octets.len()))),
        Some(&DOMAIN) => {
            let Some((length, text)) = rest.split_first() else { return Ok(None) };
            let text = text.get(..usize::from(*length));
            Ok(text.map(|text| (Spelled::Text(text), 5 + text.len())))
        }
        Some(_) => Err(SocksFault::AddressType),
    }
}

/// A name, or an address in its one spelling: some clients send every host as text.
fn named(text: &[u8]) -> Result<Host, NameFault> {
    let v6: Option<Ipv6Addr> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match v6 {
        Some(v6) if v6.to_string().as_bytes() == text => {
            Ok(Host::Address(canonical(IpAddr::V6(v6))))
        }
        Some(_) | None => authority::host(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &[u8]) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap();
        [&[5, 1, 0, 3, length], text, &[1, 187]].concat()
    }

    /// `bytes` whole, and every beginning of them: not yet, or the same fault.
    #[track_caller]
    fn check(bytes: &[u8], want: Result<&str, SocksFault>, why: &str) {
        let got = request(bytes).map(|request| request.expect(why));
        let text = got.as_ref().map(|request| format!("{}:{}", request.host, request.port));
        assert_eq!(text.as_deref().map_err(|fault| **fault), want, "{why}: {bytes:?}");
        for end in 0..bytes.len() {
            let early = request(&bytes[..end]);
            assert!(early == Ok(None) || early.err() == want.err(), "{why}: {end} bytes");
        }
    }

    #[test]
    fn what_a_client_may_ask() {
        for (bytes, want, why) in [
            (domain(b"GOOD.test."), "good.test:443", "a name"),
            (domain(b"203.0.113.7"), "203.0.113.7:443", "an address as text"),
            (domain(b"2001:db8::1"), "[2001:db8::1]:443", "IPv6 as text"),
            (domain(b"::ffff:203.0.113.7"), "203.0.113.7:443", "IPv4 in IPv6 form"),
            (vec![5, 1, 0, 1, 203, 0, 113, 7, 0, 80], "203.0.113.7:80", "IPv4"),
            (
                [&[5, 1, 0, 4][..], &[0; 10], &[255, 255, 203, 0, 113, 7, 0, 80]].concat(),
                "203.0.113.7:80",
                "IPv4 in IPv6 form",
            ),
            ([&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat(), "[::1]:80", "IPv6"),
        ] {
            check(&bytes, Ok(want), why);
            let more = [bytes.as_slice(), b"hello"].concat();
            assert_eq!(request(&more).unwrap().unwrap().length, bytes.len(), "{why}: no more");
        }
    }

    #[test]
    fn what_it_may_not() {
        use SocksFault::{AddressType, Command, Name, Port, Reserved, Version};
        let address = [203, 0, 113, 7, 0, 80];
        for (bytes, want, code, why) in [
            ([&[4, 1, 0, 1][..], &address].concat(), Version, 1, "SOCKS4"),
            (b"GET / HTTP/1.1\r\n".to_vec(), Version, 1, "HTTP"),
            ([&[5, 2, 0, 1][..], &address].concat(), Command, 7, "BIND"),
            ([&[5, 3, 0, 1][..], &address].concat(), Command, 7, "UDP ASSOCIATE"),
            ([&[5, 1, 1, 1][..], &address].concat(), Reserved, 1, "reserved"),
            ([&[5, 1, 0, 2][..], &address].concat(), AddressType, 8, "no such form"),
            (vec![5, 1, 0, 1, 203, 0, 113, 7, 0, 0], Port, 2, "port 0"),
            (domain(b"evil.test\0.good.test"), Name(NameFault::Byte(0)), 2, "getaddrinfo ends it"),
            (domain(b"evil.test\n.good.test"), Name(NameFault::Byte(b'\n')), 2, "another"),
            (domain(b"evil.test%00.good.test"), Name(NameFault::Byte(b'%')), 2, "an escape"),
            (domain(b"good.test:443"), Name(NameFault::Byte(b':')), 2, "a port in it"),
            (domain(b"[::1]"), Name(NameFault::Byte(b'[')), 2, "brackets"),
            (domain(b"0:0::1"), Name(NameFault::Byte(b':')), 2, "not the one spelling"),
            (domain(b"127.1"), Name(NameFault::Number), 2, "inet_aton reads it"),
            (domain(b"127.0.0.01"), Name(NameFault::Number), 2, "a zero first"),
            (domain(b""), Name(NameFault::Empty), 2, "nothing"),
            (domain(&[b'a'; 255]), Name(NameFault::TooLong), 2, "longer than a name"),
        ] {
            check(&bytes, Err(want), why);
            assert_eq!(want.reply().bytes(), [5, code, 0, 1, 0, 0, 0, 0, 0, 0], "{why}");
        }
        assert_eq!(domain(&[b'a'; 255]).len(), REQUEST_BYTES_MAX, "no request is longer");
    }

    #[test]
    fn greetings() {
        use SocksFault::{Method, Version};
        let most = [&[5, 255][..], &[0; 255]].concat();
        for (bytes, want, why) in [
            (&[5, 1, 0][..], Ok(Some(3)), "without authentication"),
            (&[5, 2, 2, 0, 5], Ok(Some(4)), "one of two; the rest is the request"),
            (&most, Ok(Some(GREETING_BYTES_MAX)), "the longest"),
            (&[5, 1, 2], Err(Method), "a password alone"),
            (&[5, 0], Err(Method), "no method"),
            (&[4, 1], Err(Version), "SOCKS4"),
            (&[0x16, 3, 1], Err(Version), "TLS"),
            (&[5, 2, 0], Ok(None), "not yet"),
            (&[5], Ok(None), "not yet"),
            (&[], Ok(None), "not yet"),
        ] {
            assert_eq!(greeting(bytes), want, "{why}");
        }
    }

    #[test]
    fn a_proxy_upstream() {
        use SocksFault::{AddressType, Denied, Method, Reserved, Version};
        for text in ["good.test:443", "203.0.113.7:80", "[2001:db8::1]:1"] {
            let (host, port) = authority::parse(text.as_bytes(), None).unwrap();
            let bytes = ask(&host, port);
            let length = bytes.len();
            assert_eq!(request(&bytes), Ok(Some(Request { host, port, length })), "{text}");
        }
        for (bytes, want, why) in [
            (&[5, 0][..], Ok(Some(2)), "chosen"),
            (&[5], Ok(None), "not yet"),
            (&[5, 255], Err(Method), "none of ours"),
            (&[5, 2], Err(Method), "one that we did not offer"),
            (&[4, 0], Err(Version), "another version"),
        ] {
            assert_eq!(choice(bytes), want, "{why}");
        }
        for (bytes, want, why) in [
            (&Reply::Succeeded.bytes()[..], Ok(Some(10)), "granted"),
            (&[5, 0, 0, 3, 1, 0, 0, 0, 9], Ok(Some(8)), "bound to a name, and a byte more"),
            (&[5, 0, 0, 4], Ok(None), "not yet"),
            (&Reply::Succeeded.bytes()[..9], Ok(None), "not yet"),
            (&Reply::Refused.bytes(), Err(Denied(5)), "refused"),
            (&[5, 9], Err(Denied(9)), "with a code of its own"),
            (&[5, 0, 1], Err(Reserved), "reserved"),
            (&[5, 0, 0, 9], Err(AddressType), "no such form"),
            (b"HTTP/1.1 400", Err(Version), "another protocol"),
        ] {
            assert_eq!(granted(bytes), want, "{why}");
        }
    }
}
