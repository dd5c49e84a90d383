//! The one judge of names and addresses: whom the workload may talk to.
//!
//! [`HostRules`] are made once from a policy and travel in the Plan; the gateway, `plan` and the
//! property tests ask what [`HostRules::about`] says. Deny wins over allow, whatever comes first; what no rule
//! names is denied.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::requests::{Asked, Inspect, PathPattern};
use crate::hostname::Name;
use crate::list::List;
use crate::model::Clause;

/// Whom a connection is for, as the one side or the other names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(untagged))]
pub enum Host {
    /// By name.
    Name(Name),
    /// By address; an IPv4 address in IPv6 form is the IPv4 address ([`canonical`]).
    Address(IpAddr),
}

impl std::fmt::Display for Host {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(out),
            Self::Address(IpAddr::V4(address)) => address.fmt(out),
            Self::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

/// `::ffff:a.b.c.d` is `a.b.c.d` to every judge of ours, as it is to the kernel (`ipv6(7)`).
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Which hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Pattern {
    /// This name.
    Exact(Name),
    /// Names one or more labels below this one, never itself: `*.NAME`.
    Below(Name),
    /// Every name: `*`. No address.
    AnyName,
    /// These addresses, when they are asked for as such.
    Net(Net),
}

impl Pattern {
    /// Whether the rule is about `host`.
    #[must_use]
    pub fn holds(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(name), Host::Name(asked)) => name == asked,
            (Self::Below(suffix), Host::Name(asked)) => asked.is_below(suffix),
            (Self::AnyName, Host::Name(_)) => true,
            (Self::Net(net), Host::Address(address)) => net.holds(*address),
            (Self::Exact(_) | Self::Below(_) | Self::AnyName, Host::Address(_))
            | (Self::Net(_), Host::Name(_)) => false,
        }
    }

    /// Whether some host may be of both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(name), Self::Exact(other)) => name == other,
            (Self::Exact(name), Self::Below(suffix)) | (Self::Below(suffix), Self::Exact(name)) => {
                name.is_below(suffix)
            }
            (Self::Below(suffix), Self::Below(other)) => {
                suffix == other || suffix.is_below(other) || other.is_below(suffix)
            }
            (Self::Net(net), Self::Net(other)) => {
                net.holds(other.address()) || other.holds(net.address())
            }
            (Self::Net(_), Self::Exact(_) | Self::Below(_) | Self::AnyName)
            | (Self::Exact(_) | Self::Below(_) | Self::AnyName, Self::Net(_)) => false,
            (Self::AnyName, Self::Exact(_) | Self::Below(_) | Self::AnyName)
            | (Self::Exact(_) | Self::Below(_), Self::AnyName) => true,
        }
    }

    /// Whether every host of `other` is one of its own.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(name), Self::Exact(other)) => name == other,
            (Self::Below(suffix), Self::Exact(name)) => name.is_below(suffix),
            (Self::Below(suffix), Self::Below(other)) => suffix == other || other.is_below(suffix),
            (Self::AnyName, Self::Exact(_) | Self::Below(_) | Self::AnyName) => true,
            (Self::Net(net), Self::Net(other)) => {
                net.prefix() <= other.prefix() && net.holds(other.address())
            }
            (Self::Exact(_), Self::Below(_) | Self::AnyName)
            | (Self::Below(_), Self::AnyName)
            | (Self::Net(_), Self::Exact(_) | Self::Below(_) | Self::AnyName)
            | (Self::Exact(_) | Self::Below(_) | Self::AnyName, Self::Net(_)) => false,
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(out),
            Self::Below(suffix) => write!(out, "*.{suffix}"),
            Self::AnyName => out.write_str("*"),
            Self::Net(net) => net.fmt(out),
        }
    }
}

/// A block of addresses (CIDR, RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

impl Net {
    /// The block of `prefix` leading bits of `address`; `None` where the address has fewer bits, or
    /// has some set beyond them, or is an IPv4 address in IPv6 form.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let whole = prefix <= bits && canonical(address) == address;
        let net = Self { address, prefix };
        (whole && net.masked(address) == Some(address)).then_some(net)
    }

    /// The block of `prefix` leading bits that `address`, which is [`canonical`], lies in; `None` where it
    /// has fewer bits.
    pub(super) fn around(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let net = Self { address, prefix: (prefix <= bits).then_some(prefix)? };
        Some(Self { address: net.masked(address)?, prefix })
    }

    /// Its first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are fixed.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies in it; an IPv4 address in IPv6 form counts as the IPv4 address.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.masked(canonical(address)) == Some(self.address)
    }

    /// Its addresses where they are at most `most`.
    #[must_use]
    pub fn addresses(&self, most: u32) -> Option<Vec<IpAddr>> {
        let bits: u32 = if self.address.is_ipv4() { 32 } else { 128 };
        let count = 1_u32.checked_shl(bits - u32::from(self.prefix)).filter(|count| *count > 0)?;
        let nth = |n: u32| match self.address {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | n)),
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | u128::from(n))),
        };
        (count <= most).then(|| (0..count).map(nth).collect())
    }

    /// `address` with everything beyond the prefix cleared; `None` for the other family.
    fn masked(&self, address: IpAddr) -> Option<IpAddr> {
        let prefix = u32::from(self.prefix);
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                Some(IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask)))
            }
            (IpAddr::V6(_), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                Some(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // One address of IPv6 keeps its prefix: its end could be read as a port.
        if self.address.is_ipv4() && self.prefix == 32 {
            self.address.fmt(out)
        } else {
            write!(out, "{}/{}", self.address, self.prefix)
        }
    }
}

/// What is spoken on a connection, as far as the gateway looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Protocol {
    /// TLS, whose first message names the host (RFC 8446, RFC 6066).
    Tls,
    /// HTTP/1.1 in the clear: each request names the host.
    Http,
    /// Anything; nothing in it is looked at.
    Tcp,
}

impl Protocol {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// One `network.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Allowed {
    /// Which hosts.
    pub pattern: Pattern,
    /// Which ports, ascending, none twice; at least one.
    pub ports: Vec<u16>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// What is dialled, whatever the name's addresses are.
    pub dial: Option<SocketAddr>,
    /// Whether somebody looks into its connections.
    pub inspect: Inspect,
    /// What it asks of each request.
    pub requests: Asked,
    /// Why, in the policy's own words.
    pub reason: Option<String>,
    /// The rule.
    pub clause: Clause,
}

/// One `network.deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Denied {
    /// Which hosts.
    pub pattern: Pattern,
    /// Which ports, ascending; every port where there is none.
    pub ports: Vec<u16>,
    /// Only requests with one of these methods; with neither these nor paths, every connection.
    pub methods: Vec<String>,
    /// Only requests with a path like one of these.
    pub paths: Vec<PathPattern>,
    /// Why, in the policy's own words.
    pub reason: Option<String>,
    /// The rule.
    pub clause: Clause,
}

impl Denied {
    /// Whether it is about some requests, and not about connections.
    #[must_use]
    pub const fn is_inner(&self) -> bool {
        !self.methods.is_empty() || !self.paths.is_empty()
    }
}

/// What the judge knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct HostRules {
    /// In the order of the policy; the first that holds gives the clause, and no order changes whether
    /// one does.
    pub allow: List<Allowed>,
    /// What is denied even so.
    pub deny: List<Denied>,
    /// The rule where no other holds.
    pub base: Clause,
}

/// The answer, with the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// This rule lets the connection through.
    Allow(&'a Allowed),
    /// It is refused, and why.
    Deny(&'a Clause, Unwanted),
}

/// Why a connection is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// No rule names the host.
    Host,
    /// A rule names the host, none of them this port.
    Port,
    /// Rules name host and port, and another protocol: this one.
    Protocol(Protocol),
    /// A `network.deny` names it.
    Denied,
    /// A rule denies some requests, and nobody may look into this connection.
    Unseen,
    /// Rules name host and port, none of them this method.
    Method,
    /// None of them this path.
    Path,
    /// Two readers may read the target differently; what it has.
    Ambiguous(&'static str),
    /// None of them a parameter of the query.
    Query,
    /// A field that a rule requires is not there once with its value.
    Header,
    /// A rule that looks inside lets nobody change to WebSocket.
    Websocket,
    /// A rule is about git, and names other repositories.
    Repository,
    /// A rule lets the repository be read, and this writes.
    GitAccess,
    /// A rule is about git, and this is none of its requests.
    NotGit,
    /// A question to a resolver within HTTP.
    Resolver,
}

impl HostRules {
    /// No rule at all.
    #[must_use]
    pub fn none(base: Clause) -> Self {
        Self { allow: List::default(), deny: List::default(), base }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn allowed(pattern: Pattern, ports: &[u16], protocol: Protocol) -> Allowed {
        let clause = Clause::built_in(&format!("allow {pattern}"));
        let (inspect, requests) = (Inspect::Auto, Asked::default());
        let (dial, reason) = (None, None);
        Allowed { pattern, ports: ports.into(), protocol, dial, inspect, requests, reason, clause }
    }

    fn rules() -> HostRules {
        let net = Net::new("93.184.216.0".parse().unwrap(), 24).unwrap();
        let denied = |pattern: Pattern, ports: &[u16]| {
            let clause = Clause::built_in(&format!("deny {pattern}"));
            let (methods, paths) = (Vec::new(), Vec::new());
            Denied { pattern, ports: ports.into(), methods, paths, reason: None, clause }
        };
        HostRules {
            allow: vec![
                allowed(Pattern::Exact(name("good.test")), &[80, 443], Protocol::Tls),
                allowed(Pattern::Below(name("wide.test")), &[443], Protocol::Tls),
                allowed(Pattern::Exact(name("db.test")), &[5432], Protocol::Tcp),
                allowed(Pattern::Net(net), &[443], Protocol::Tls),
                allowed(Pattern::Exact(name("gone.test")), &[443], Protocol::Tls),
            ]
            .into(),
            deny: vec![
                denied(Pattern::Exact(name("bad.wide.test")), &[]),
                denied(Pattern::Exact(name("gone.test")), &[]),
                denied(Pattern::Exact(name("good.test")), &[80]),
            ]
            .into(),
            base: Clause::built_in("network"),
        }
    }

    #[track_caller]
    fn check(host: &str, port: u16, protocol: Protocol, want: Result<&str, Unwanted>, why: &str) {
        let host = host.parse().map_or_else(|_| Host::Name(name(host)), Host::Address);
        let rules = rules();
        let got = match rules.decide(&host, port, protocol) {
            Decision::Allow(rule) => Ok(rule.clause.name.clone()),
            Decision::Deny(_, because) => Err(because),
        };
        assert_eq!(got.as_deref(), want.as_ref().map(|name| *name), "{why}");
    }

    #[test]
    fn deny_wins_and_nothing_is_guessed() {
        use Protocol::{Http, Tcp, Tls};
        let deny = Err::<&str, Unwanted>;
        for (host, port, protocol, want, why) in [
            ("good.test", 443, Tls, Ok("allow good.test"), "as written"),
            ("good.test", 443, Http, deny(Unwanted::Protocol(Tls)), "another protocol"),
            ("good.test", 80, Tls, deny(Unwanted::Denied), "denied on one port"),
            ("good.test", 22, Tcp, deny(Unwanted::Port), "another port"),
            ("a.good.test", 443, Tls, deny(Unwanted::Host), "exact is exact"),
            ("a.b.wide.test", 443, Tls, Ok("allow *.wide.test"), "any depth"),
            ("wide.test", 443, Tls, deny(Unwanted::Host), "never the apex"),
            ("bad.wide.test", 443, Tls, deny(Unwanted::Denied), "deny wins"),
            ("db.test", 5432, Tcp, Ok("allow db.test"), "opaque"),
            ("93.184.216.34", 443, Tls, Ok("allow 93.184.216.0/24"), "an address as such"),
            ("::ffff:93.184.216.34", 443, Tls, Ok("allow 93.184.216.0/24"), "the same address"),
            ("93.184.217.1", 443, Tls, deny(Unwanted::Host), "outside of it"),
        ] {
            check(host, port, protocol, want, why);
        }
    }

    #[test]
    fn a_name_without_a_port_left_is_unknown() {
        let rules = rules();
        assert!(rules.knows(&name("good.test")).is_ok(), "443 is left");
        assert_eq!(rules.knows(&name("gone.test")).map_err(|e| e.1), Err(Unwanted::Denied));
        assert_eq!(rules.knows(&name("other.test")).map_err(|e| e.1), Err(Unwanted::Host));
    }

    #[test]
    fn blocks_are_whole() {
        for (address, prefix, want, why) in [
            ("10.0.0.0", 8, true, "a block"),
            ("10.0.0.1", 8, false, "bits beyond the prefix"),
            ("0.0.0.0", 0, true, "all of IPv4"),
            ("::", 0, true, "all of IPv6"),
            ("10.0.0.1", 32, true, "one address"),
            ("10.0.0.1", 33, false, "too long"),
            ("2001:db8::", 32, true, "IPv6"),
            ("::ffff:10.0.0.0", 104, false, "IPv4 in IPv6 form"),
        ] {
            assert_eq!(Net::new(address.parse().unwrap(), prefix).is_some(), want, "{why}");
        }
        let net = Net::new("10.0.0.0".parse().unwrap(), 30).unwrap();
        assert_eq!(net.addresses(4).map(|all| all.len()), Some(4));
        assert_eq!(net.addresses(3), None, "one too many");
        let net = Net::new("::".parse().unwrap(), 0).unwrap();
        assert_eq!(net.addresses(u32::MAX), None, "more than can be counted");
    }
}
