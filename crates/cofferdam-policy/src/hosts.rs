//! Text of a rule to the pattern that the judge knows: what a person may write as `host`.
//!
//! Pure, and strict: what could be read in two ways is refused with the spelling that cannot. Other
//! scripts become A-labels here (UTS 46, non-transitional, with the rules of STD 3) and nowhere
//! else, so that the judge, the resolver and the log have the same bytes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::hostname::{Name, NameFault};
use crate::judge::hosts::{Net, Pattern};

/// Longest text of a host: four times the longest name, since a letter of another script may have
/// four bytes. Bytes.
pub const HOST_BYTES_MAX: usize = 4 * crate::hostname::NAME_BYTES_MAX;

/// The widest block that one holder was ever given has this prefix: a /8 of IPv4 before 1995, a /16
/// of IPv6. What is wider is everybody's.
const WIDE_V4: u8 = 8;
const WIDE_V6: u8 = 16;

/// Why a text is no host of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// There is nothing.
    Empty,
    /// Over [`HOST_BYTES_MAX`].
    TooLong,
    /// A blank or a control character is in it.
    Blank,
    /// A URL; the host in it, where it has one.
    Url(Option<String>),
    /// A user before an `@`.
    User,
    /// A port behind the host.
    Port(String, u16),
    /// A path, a query or a fragment behind the host.
    Path(String),
    /// An IPv6 address, or a shorter one and a port (RFC 5952, 6).
    Ambiguous(Ipv6Addr, u16),
    /// Brackets around it.
    Brackets(String),
    /// An IPv6 address with a zone (RFC 4007).
    Zone,
    /// An IPv4 address in IPv6 form.
    Mapped(Ipv4Addr),
    /// What is behind the `/` of a block is no number of bits; the most there can be.
    Prefix(u8),
    /// Bits are set beyond the prefix; the block that holds the address.
    Bits(String),
    /// `*name`: what it may be meant for.
    StarJoined(String),
    /// `*` anywhere but as the whole first label.
    StarElsewhere,
    /// A dot first, or two in a row.
    EmptyLabel,
    /// A dot at the end; the name without it.
    TrailingDot(String),
    /// No name by the rules for other scripts.
    Script,
    /// It would be shown as one name and asked for as another.
    NotOneSpelling,
    /// No name.
    Name(NameFault),
}

/// The pattern that `text` spells: a name, `*.` and a name, `*`, an address, or a block.
///
/// # Errors
/// The first thing that is wrong with it. Nothing is repaired but letters: `GOOD.Test` is
/// `good.test`, `bücher.test` is `xn--bcher-kva.test`.
pub fn parse_pattern(text: &str) -> Result<Pattern, HostFault> {
    if text.is_empty() {
        return Err(HostFault::Empty);
    }
    if text.len() > HOST_BYTES_MAX {
        return Err(HostFault::TooLong);
    }
    // Most are names in plain letters. Of what is looked for below only numbers are written so too.
    let (is_below, front) = match text.strip_prefix("*.") {
        Some(front) => (true, front),
        None => (false, text),
    };
    if front.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return match (is_below, if is_below { None } else { address(text)? }) {
            (true, _) => Ok(Pattern::Below(name(front)?)),
            (false, Some(net)) => Ok(Pattern::Net(net)),
            (false, None) => Ok(Pattern::Exact(name(front)?)),
        };
    }
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(HostFault::Blank);
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(HostFault::Url(host_of(rest)));
    }
    if text.contains('@') {
        return Err(HostFault::User);
    }
    if let Some(net) = block(text)? {
        return Ok(Pattern::Net(net));
    }
    if let Some((host, _)) = text.split_once(['/', '?', '#']) {
        return Err(HostFault::Path(host.to_owned()));
    }
    if let Some(net) = address(text)? {
        return Ok(Pattern::Net(net));
    }
    if let Some((host, rest)) = text.rsplit_once(':') {
        return Err(match port(rest) {
            Some(port) => HostFault::Port(host.to_owned(), port),
            None => HostFault::Name(NameFault::Byte(b':')),
        });
    }
    match text.strip_prefix('*') {
        Some("") => Ok(Pattern::AnyName),
        Some(rest) if rest.contains('*') => Err(HostFault::StarElsewhere),
        Some(rest) => match rest.strip_prefix('.') {
            Some(suffix) => Ok(Pattern::Below(name(suffix)?)),
            None => Err(HostFault::StarJoined(rest.to_owned())),
        },
        None if text.contains('*') => Err(HostFault::StarElsewhere),
        None => Ok(Pattern::Exact(name(text)?)),
    }
}

/// The name that `text` spells in any script.
///
/// # Errors
/// As those of [`parse_pattern`], for which it is a part.
pub fn name(text: &str) -> Result<Name, HostFault> {
    let ascii = ascii(text)?;
    if let Some(rest) = ascii.strip_suffix('.').filter(|rest| !rest.is_empty()) {
        let name = Name::parse(rest.as_bytes()).map_err(of_name)?;
        return Err(HostFault::TrailingDot(name.to_string()));
    }
    Name::parse(ascii.as_bytes()).map_err(of_name)
}

const fn of_name(fault: NameFault) -> HostFault {
    match fault {
        NameFault::Empty | NameFault::EmptyLabel => HostFault::EmptyLabel,
        NameFault::TooLong
        | NameFault::LabelTooLong
        | NameFault::Byte(_)
        | NameFault::Hyphen
        | NameFault::Number => HostFault::Name(fault),
    }
}

/// `text` in A-labels. Plain ASCII stays as it is, with the case of its letters: names that UTS 46
/// refuses, with an underscore or two hyphens in the middle, are in use.
fn ascii(text: &str) -> Result<Cow<'_, str>, HostFault> {
    let coded =
        |label: &[u8]| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
    if text.is_ascii() && !text.as_bytes().split(|byte| *byte == b'.').any(coded) {
        return Ok(Cow::Borrowed(text));
    }
    let (rules, strict) = (Uts46::new(), AsciiDenyList::STD3);
    let to_ascii = |text: &str| {
        let found = rules.to_ascii(text.as_bytes(), strict, Hyphens::Check, DnsLength::Ignore);
        found.map(String::from).map_err(|_| HostFault::Script)
    };
    let ascii = to_ascii(text)?;
    let (shown, whole) = rules.to_unicode(ascii.as_bytes(), strict, Hyphens::Check);
    if whole.is_err() || to_ascii(&shown).as_ref() != Ok(&ascii) {
        return Err(HostFault::NotOneSpelling);
    }
    Ok(Cow::Owned(ascii))
}

/// `ADDRESS/PREFIX`; nothing where no address is before the `/`.
fn block(text: &str) -> Result<Option<Net>, HostFault> {
    let Some((front, bits)) = text.split_once('/') else { return Ok(None) };
    let Ok(address) = front.parse::<IpAddr>() else { return Ok(None) };
    let most = if address.is_ipv4() { 32 } else { 128 };
    if let Some(mapped) = mapped(address) {
        return Err(HostFault::Mapped(mapped));
    }
    let plain = bits == "0" || (!bits.starts_with('0') && bits.bytes().all(|b| b.is_ascii_digit()));
    let prefix = bits.parse::<u8>().ok().filter(|prefix| plain && *prefix <= most);
    let prefix = prefix.ok_or(HostFault::Prefix(most))?;
    match Net::new(address, prefix) {
        Some(net) => Ok(Some(net)),
        None => Err(HostFault::Bits(format!("{}/{prefix}", first(address, prefix)))),
    }
}

/// The first address of the block of `prefix` bits that holds `address`.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// One address; nothing where the text is none.
fn address(text: &str) -> Result<Option<Net>, HostFault> {
    if let Some(rest) = text.strip_prefix('[') {
        return Err(HostFault::Brackets(rest.split(']').next().unwrap_or_default().to_owned()));
    }
    if let Some((address, _)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return Err(HostFault::Zone);
    }
    let Ok(address) = text.parse::<IpAddr>() else { return Ok(None) };
    if let Some(mapped) = mapped(address) {
        return Err(HostFault::Mapped(mapped));
    }
    if let Some((front, rest)) = text.rsplit_once(':')
        && let (Ok(shorter), Some(port)) =
            (front.parse::<Ipv6Addr>(), port(rest.trim_start_matches('0')))
    {
        return Err(HostFault::Ambiguous(shorter, port));
    }
    Ok(Net::new(address, if address.is_ipv4() { 32 } else { 128 }))
}

fn mapped(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

/// A port as it is written everywhere: decimal, without a zero in front, from 1.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

/// The host of what follows `://` in a URL.
fn host_of(rest: &str) -> Option<String> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

/// Whether anybody can be reached by `pattern`: a wildcard over a name below which names are given
/// to the public (the public suffix list, its private section too), all names, or a block wider
/// than any that one holder has.
///
/// A last label that the list does not know counts as one of the public's: that is the list's own
/// rule.
#[must_use]
pub fn is_wide(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Exact(_) => false,
        Pattern::AnyName => true,
        Pattern::Net(net) => {
            let one_holders = if net.address().is_ipv4() { WIDE_V4 } else { WIDE_V6 };
            net.prefix() < one_holders
        }
        Pattern::Below(name) => {
            let public = |text: &str| psl::suffix_str(text) == Some(text);
            // Some rules say it of every name below one: `*.ck`.
            public(name.as_str()) || public(&format!("{UNLISTED}.{name}"))
        }
    }
}

/// A label that no rule of the list has.
const UNLISTED: &str = "cofferdam-asks";

impl std::fmt::Display for HostFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than any name",
            Self::Blank => "it has a blank or a control character",
            Self::Url(_) => "it is a URL",
            Self::User => "it names a user",
            Self::Port(..) => "it has a port",
            Self::Path(_) => "it has a path",
            Self::Ambiguous(..) => "it is an address, or a shorter one and a port",
            Self::Brackets(_) => "it has brackets",
            Self::Zone => "it has a zone",
            Self::Mapped(_) => "it is an IPv4 address in IPv6 form",
            Self::Prefix(_) => "what follows `/` is no number of bits",
            Self::Bits(_) => "bits are set beyond its prefix",
            Self::StarJoined(_) => "`*` is joined to a name",
            Self::StarElsewhere => "`*` stands elsewhere than first",
            Self::EmptyLabel => "there is nothing before or between dots",
            Self::TrailingDot(_) => "it ends with a dot",
            Self::Script => "it is no name in any script (UTS 46)",
            Self::NotOneSpelling => "it would be shown as another name",
            Self::Name(NameFault::Byte(byte)) if byte.is_ascii_graphic() => {
                return write!(out, "`{}` is in no name", char::from(*byte));
            }
            Self::Name(fault) => return fault.fmt(out),
        };
        out.write_str(words)
    }
}

impl HostFault {
    /// The next thing to do. At most [`HINT_MAX`] letters, whatever the text was.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Url(Some(host)) | Self::Path(host) if !host.is_empty() => short_or(
                format!("write `{host}`: a rule is about a whole host"),
                "write the host alone: a rule is about all of it",
            ),
            Self::Url(_) | Self::Path(_) => {
                "write the host alone: a rule is about all of it".into()
            }
            Self::Port(host, port) if !host.is_empty() => short_or(
                format!("write `{host}`, and ports = [{port}]"),
                "write the host alone; the port goes into `ports`",
            ),
            Self::Port(..) => "write a host; the port goes into `ports`".into(),
            Self::Ambiguous(shorter, port) => short_or(
                format!("write `{shorter}`, ports = [{port}]; or add `/128` if it is one address"),
                "put the port into `ports`, or add `/128` if it is one address",
            ),
            Self::Brackets(inner) => short_or(
                format!("write `{inner}`; a port goes into `ports`"),
                "write the address without; a port goes into `ports`",
            ),
            Self::Zone => "nobody outside is reached by such an address: remove the rule".into(),
            Self::Mapped(address) => format!("write `{address}`"),
            Self::Prefix(most) => format!("write a whole number from 0 to {most}"),
            Self::Bits(block) => format!("write `{block}`, or the address alone"),
            Self::StarJoined(rest) => short_or(
                format!("write `*.{rest}` for names below it, `{rest}` for itself"),
                "write `*.NAME` for the names below it, NAME for itself",
            ),
            Self::StarElsewhere => {
                "write `*.example.com` for all names below that one, or each name".into()
            }
            Self::TrailingDot(name) => short_or(
                format!("write `{name}`: every name is meant from the root"),
                "remove it: every name is meant from the root",
            ),
            Self::User => "write what follows the `@`; who logs in is no part of a rule".into(),
            Self::Empty | Self::EmptyLabel => {
                "write a name such as `example.com`, or `*.example.com`".into()
            }
            Self::TooLong | Self::Blank | Self::Script => {
                "write the name that DNS knows, or an address".into()
            }
            Self::NotOneSpelling => "write the name in A-labels (xn--…), as DNS knows it".into(),
            Self::Name(NameFault::Number) => {
                "write an address as four decimal numbers, such as `192.0.2.1`".into()
            }
            Self::Name(_) => "a name has letters, digits and hyphens, in parts by dots".into(),
        }
    }
}

/// Letters of a hint: one line of 80 columns, so that a message with a long host stays within six.
pub const HINT_MAX: usize = 72;

fn short_or(hint: String, general: &str) -> String {
    if hint.chars().count() <= HINT_MAX { hint } else { general.to_owned() }
}

/// Letters of a host that a message repeats: it stays within six lines of 80 columns.
pub(crate) const SHOWN_MAX: usize = 48;

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
