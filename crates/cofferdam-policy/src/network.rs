//! What the policy says of the network, resolved.

use core::net::SocketAddr;

use crate::hostname::Name;
use crate::judge::hosts::HostRules;
use crate::model::Clause;

/// `[network]`, with the flags of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Network {
    /// Whom the workload may talk to.
    pub rules: HostRules,
    /// Through whom the gateway dials, where it may not dial itself.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// Servers of the workload's that the host's loopback reaches.
    pub publish: Vec<Published>,
    /// Files with authorities beside the system's that hosts are believed by, in PEM.
    pub trust_ca: Vec<TrustedFile>,
    /// Whether somebody outside is asked about what no rule allows: the flag that says so.
    pub approve: Option<Clause>,
}

/// A file of `network.trust_ca`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct TrustedFile {
    /// Where it is, absolute.
    pub path: std::path::PathBuf,
    /// The rule.
    pub clause: Clause,
}

impl Network {
    /// No way out and none in.
    #[must_use]
    pub fn closed(base: Clause) -> Self {
        let (publish, trust_ca) = (Vec::new(), Vec::new());
        let rules = HostRules::none(base);
        Self { rules, upstream_proxy: None, publish, trust_ca, approve: None }
    }

    /// Whether there is a way out: for what a rule allows, or a person may.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        !self.rules.allow.is_empty() || self.approve.is_some()
    }

    /// Whether nothing goes in or out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.leads_out() && self.publish.is_empty()
    }
}

/// A proxy outside that the gateway asks to dial: `network.upstream_proxy`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct UpstreamProxy {
    /// How it is asked.
    pub speaks: ProxyProtocol,
    /// Where it is.
    pub host: ProxyHost,
    /// Its port.
    pub port: u16,
    /// The rule.
    pub clause: Clause,
}

/// How an upstream proxy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum ProxyProtocol {
    /// HTTP `CONNECT` in the clear (RFC 9110, 9.3.6): `http://HOST:PORT`.
    Http,
    /// SOCKS version 5, names resolved by the proxy (RFC 1928): `socks5://HOST:PORT`.
    Socks5,
}

impl ProxyProtocol {
    /// The scheme of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
        }
    }
}

/// Where an upstream proxy is. A person named it, so an address of a special range is as good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum ProxyHost {
    /// By name, `localhost` among them.
    Name(Name),
    /// By address.
    Address(core::net::IpAddr),
}

impl std::fmt::Display for ProxyHost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(out),
            Self::Address(core::net::IpAddr::V4(address)) => address.fmt(out),
            Self::Address(core::net::IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

/// `--publish PORT[:HOSTPORT]`: a server inside that the host's loopback reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Published {
    /// The port that the workload listens on, at 127.0.0.1.
    pub inside: u16,
    /// Where the host reaches it: a loopback address and a port.
    pub outside: SocketAddr,
    /// The rule.
    pub clause: Clause,
}
