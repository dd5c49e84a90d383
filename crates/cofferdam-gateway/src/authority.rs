//! Whom a connection is for, as `CONNECT`, `Host` and absolute targets write it.
//!
//! RFC 3986, 3.2, without what two readers read in two ways: no userinfo, no escapes, no zone, no
//! spelling of an address but the plain one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cofferdam_policy::hostname::{NAME_BYTES_MAX, Name, NameFault};
use cofferdam_policy::judge::hosts::{Host, canonical};

/// Longest authority: a name with the dot at the end, a colon, five digits. Bytes.
pub const AUTHORITY_BYTES_MAX: usize = NAME_BYTES_MAX + 1 + 1 + PORT_DIGITS_MAX;
/// 65535 has five digits.
const PORT_DIGITS_MAX: usize = 5;

/// Why bytes are no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityFault {
    /// Over [`AUTHORITY_BYTES_MAX`].
    TooLong,
    /// `user@`: what stands before it is not the host.
    Userinfo,
    /// This byte is in no authority of ours.
    Byte(u8),
    /// A bracket without its twin, or something between `]` and the port.
    Bracket,
    /// An IPv6 address belongs into brackets: its last colon could be the port's.
    Unbracketed,
    /// No IPv6 address stands in the brackets.
    Address,
    /// A port is 1 to 65535, in digits, without a sign or zeros before it.
    Port,
    /// There is no port, and no default.
    NoPort,
    /// What should be a name is none.
    Name(NameFault),
}

impl AuthorityFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "authority-long",
            Self::Userinfo => "authority-userinfo",
            Self::Byte(_) => "authority-byte",
            Self::Bracket => "authority-bracket",
            Self::Unbracketed => "authority-unbracketed",
            Self::Address => "authority-address",
            Self::Port => "authority-port",
            Self::NoPort => "authority-no-port",
            Self::Name(_) => "authority-name",
        }
    }
}

impl std::fmt::Display for AuthorityFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(out, "an authority has at most {AUTHORITY_BYTES_MAX} bytes"),
            Self::Userinfo => out.write_str("there is a user before the host"),
            Self::Byte(byte) => write!(out, "byte 0x{byte:02x} is in no authority"),
            Self::Bracket => out.write_str("brackets do not match"),
            Self::Unbracketed => out.write_str("an IPv6 address stands in brackets"),
            Self::Address => out.write_str("there is no IPv6 address in the brackets"),
            Self::Port => out.write_str("a port is 1 to 65535, in plain digits"),
            Self::NoPort => out.write_str("there is no port"),
            Self::Name(fault) => fault.fmt(out),
        }
    }
}

impl From<NameFault> for AuthorityFault {
    fn from(fault: NameFault) -> Self {
        Self::Name(fault)
    }
}

/// Host and port of `host`, `host:port`, `a.b.c.d:port` or `[v6]:port`.
///
/// # Errors
/// The first thing that is wrong. Nothing is repaired, but for the case of a name and the dot at its
/// end; an IPv4 address in IPv6 form is the IPv4 address.
pub fn parse(bytes: &[u8], default_port: Option<u16>) -> Result<(Host, u16), AuthorityFault> {
    if bytes.len() > AUTHORITY_BYTES_MAX {
        return Err(AuthorityFault::TooLong);
    }
    if bytes.contains(&b'@') {
        return Err(AuthorityFault::Userinfo);
    }
    let fits = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(byte);
    if let Some(other) = bytes.iter().find(|byte| !fits(byte)) {
        return Err(AuthorityFault::Byte(*other));
    }
    let (host, digits) = match bytes.strip_prefix(b"[") {
        Some(rest) => bracketed(rest)?,
        None => plain(bytes)?,
    };
    let port = match digits {
        Some(digits) => Some(port(digits)?),
        None => default_port.filter(|port| *port != 0),
    };
    Ok((host, port.ok_or(AuthorityFault::NoPort)?))
}

/// The host that bytes without brackets and port spell: an IPv4 address in its plain spelling, or a
/// name.
///
/// # Errors
/// They spell neither.
pub fn host(bytes: &[u8]) -> Result<Host, NameFault> {
    let address: Option<Ipv4Addr> = text(bytes).and_then(|text| text.parse().ok());
    match address {
        Some(address) => Ok(Host::Address(IpAddr::V4(address))),
        None => Name::parse(bytes).map(Host::Name),
    }
}

/// What stands after `[`: the address, and the port's digits.
fn bracketed(rest: &[u8]) -> Result<(Host, Option<&[u8]>), AuthorityFault> {
    let (inside, after) = cut(rest, b']').ok_or(AuthorityFault::Bracket)?;
    let digits = match after {
        [] => None,
        [b':', digits @ ..] => Some(digits),
        [..] => return Err(AuthorityFault::Bracket),
    };
    let address: Option<Ipv6Addr> = text(inside).and_then(|text| text.parse().ok());
    let address = address.ok_or(AuthorityFault::Address)?;
    Ok((Host::Address(canonical(IpAddr::V6(address))), digits))
}

fn plain(bytes: &[u8]) -> Result<(Host, Option<&[u8]>), AuthorityFault> {
    if bytes.contains(&b'[') || bytes.contains(&b']') {
        return Err(AuthorityFault::Bracket);
    }
    let Some((name, digits)) = cut(bytes, b':') else {
        return Ok((host(bytes)?, None));
    };
    if digits.contains(&b':') {
        return Err(AuthorityFault::Unbracketed);
    }
    Ok((host(name)?, Some(digits)))
}

fn port(digits: &[u8]) -> Result<u16, AuthorityFault> {
    let plain = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    if !plain || digits.len() > PORT_DIGITS_MAX {
        return Err(AuthorityFault::Port);
    }
    text(digits).and_then(|text| text.parse().ok()).ok_or(AuthorityFault::Port)
}

/// What stands before and after the first `byte`.
pub(crate) fn cut(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at_checked(bytes.iter().position(|b| *b == byte)?)?;
    Some((before, after.get(1..)?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], default: Option<u16>, want: Result<&str, AuthorityFault>, why: &str) {
        let got = parse(bytes, default).map(|(host, port)| format!("{host}:{port}"));
        assert_eq!(got.as_deref(), want.as_ref().map(|text| *text), "{why}: {bytes:?}");
    }

    #[test]
    fn what_an_authority_is() {
        let longest = [b"a.".repeat(126).as_slice(), b"a.:65535"].concat();
        let spelled = format!("{}a:65535", "a.".repeat(126));
        for (bytes, want, why) in [
            (&b"good.test:443"[..], "good.test:443", "as most write it"),
            (b"GOOD.Test:443", "good.test:443", "case says nothing"),
            (b"good.test.:443", "good.test:443", "nor does the root's dot"),
            (b"localhost:1", "localhost:1", "the first port"),
            (b"203.0.113.7:65535", "203.0.113.7:65535", "the last port"),
            (b"[2001:DB8:0::1]:443", "[2001:db8::1]:443", "one spelling of IPv6"),
            (b"[::ffff:203.0.113.7]:443", "203.0.113.7:443", "IPv4 in IPv6 form"),
            (b"[::ffff:cb00:7107]:443", "203.0.113.7:443", "the same in hexadecimal"),
            (b"[::1]:80", "[::1]:80", "loopback is the judge's business"),
            (&longest, &spelled, "the longest that there is"),
        ] {
            check(bytes, None, Ok(want), why);
        }
        for (bytes, want, why) in [
            (&b"good.test"[..], "good.test:80", "a default port"),
            (b"[::1]", "[::1]:80", "after brackets too"),
            (b"203.0.113.7", "203.0.113.7:80", "after an address too"),
        ] {
            check(bytes, Some(80), Ok(want), why);
            check(bytes, None, Err(AuthorityFault::NoPort), "there is no default");
            check(bytes, Some(0), Err(AuthorityFault::NoPort), "0 is no port");
        }
    }

    #[test]
    fn what_none_is() {
        use AuthorityFault::{Address, Bracket, Byte, Port, TooLong, Unbracketed, Userinfo};
        let name = AuthorityFault::Name;
        for (bytes, want, why) in [
            (&b""[..], name(NameFault::Empty), "nothing"),
            (b":443", name(NameFault::Empty), "no host"),
            (b".:443", name(NameFault::Empty), "the root is no host"),
            (b"good.test@evil.test:443", Userinfo, "the host is the other one"),
            (b"evil.test\0.good.test:443", Byte(0), "getaddrinfo ends it there"),
            (b"evil.test\r\n.good.test:443", Byte(b'\r'), "a line of its own"),
            (b"evil.test\n.good.test:443", Byte(b'\n'), "the same"),
            (b"evil.test .good.test:443", Byte(b' '), "a space"),
            (b" good.test:443", Byte(b' '), "a space first"),
            (b"good.test:443 ", Byte(b' '), "a space last"),
            (b"good.test\t:443", Byte(b'\t'), "a tab"),
            (b"good.test\x7f:443", Byte(0x7F), "DEL"),
            (b"evil.test%00.good.test:443", Byte(b'%'), "an escape"),
            (b"good.test/:443", Byte(b'/'), "a path"),
            (b"good.test\\:443", Byte(b'\\'), "a path to some"),
            (b"good.test#:443", Byte(b'#'), "a fragment"),
            ("good。test:443".as_bytes(), Byte(0xE3), "a dot to Unicode"),
            (b"good.test:", Port, "a colon and no port"),
            (b"good.test:0", Port, "0 is no port"),
            (b"good.test:65536", Port, "one too many"),
            (b"good.test:0443", Port, "zeros first"),
            (b"good.test:+443", Byte(b'+'), "a sign"),
            (b"good.test:-1", Port, "a sign"),
            (b"good.test:443443", Port, "six digits"),
            (b"good.test:https", Port, "a service's name"),
            (b"good.test:443:443", Unbracketed, "two ports"),
            (b"::1", Unbracketed, "IPv6 without brackets"),
            (b"2001:db8::1:443", Unbracketed, "the same, with a port or not?"),
            (b"[::1]443", Bracket, "no colon"),
            (b"[::1", Bracket, "never closed"),
            (b"::1]:443", Bracket, "never opened"),
            (b"[[::1]]:443", Bracket, "twice"),
            (b"[::1%eth0]:443", Byte(b'%'), "a zone"),
            (b"[::1%25eth0]:443", Byte(b'%'), "a zone of RFC 6874"),
            (b"[good.test]:443", Address, "a name in brackets"),
            (b"[203.0.113.7]:443", Address, "IPv4 in brackets"),
            (b"[]:443", Address, "nothing in brackets"),
            (b"[::127.1]:443", Address, "half an IPv4 address"),
            (b"127.1:443", name(NameFault::Number), "inet_aton reads it"),
            (b"0177.0.0.1:443", name(NameFault::Number), "octal"),
            (b"127.0.0.01:443", name(NameFault::Number), "a zero first"),
            (b"0x7f.0.0.1:443", name(NameFault::Number), "hexadecimal"),
            (b"2130706433:443", name(NameFault::Number), "one number"),
            (b"127.0.0.1.:443", name(NameFault::Number), "the dot does not hide it"),
            (b"256.0.0.1:443", name(NameFault::Number), "no address either"),
            (b"*.good.test:443", Byte(b'*'), "a pattern"),
            (&b"a".repeat(AUTHORITY_BYTES_MAX + 1), TooLong, "longer than any"),
        ] {
            check(bytes, Some(80), Err(want), why);
        }
    }

    #[test]
    fn a_printed_authority_is_itself() {
        for text in ["good.test:443", "203.0.113.7:1", "[2001:db8::1]:80", "_a.b-c.test:65535"] {
            check(text.as_bytes(), None, Ok(text), "printed and read again");
        }
    }
}
