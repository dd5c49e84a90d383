//! The gateway's half of the plan: whom it lets the workload talk to, and on which sockets it hears.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cofferdam_policy::credentials::Credential;
use cofferdam_policy::hostname::Name;
use cofferdam_policy::judge::hosts::HostRules;
use cofferdam_policy::network::{Published, TrustedFile, UpstreamProxy};
use cofferdam_policy::output::Canary;

/// Port of the HTTP proxy on [`crate::synthetic::GATEWAY_V4`].
pub const PROXY_PORT: u16 = 3128;
/// Port of the SOCKS5 proxy there.
pub const SOCKS_PORT: u16 = 1080;

/// Sockets of each family for connections to published servers; each carries one at a time.
pub const PUBLISHED_SPARES: usize = 64;

/// What the gateway consults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Egress {
    /// Whom the workload may talk to.
    pub rules: HostRules,
    /// Through whom the gateway dials.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// Addresses of the names that rules write out; the gateway gives the next ones to names below a
    /// wildcard.
    pub names: Vec<Assigned>,
    /// The sockets that it gets, in this order.
    pub doors: Vec<Door>,
    /// Servers of the workload's that the host's loopback reaches.
    pub publish: Vec<Published>,
    /// Files with authorities beside the system's that hosts are believed by.
    pub trust_ca: Vec<TrustedFile>,
    /// Whether somebody outside is asked about what no rule allows.
    pub approve: bool,
    /// Whose identity requests may bear: where the gateway finds each, and how it is borne.
    pub credentials: Vec<Credential>,
    /// Strings that must never leave.
    pub canaries: Vec<Canary>,
}

impl Egress {
    /// Whether there is a way out: for what a rule allows, or a person may.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        !self.rules.allow.is_empty() || self.approve
    }
}

/// A name and its addresses inside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Assigned {
    /// The name.
    pub name: Name,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

/// A socket and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Door {
    /// The socket.
    pub socket: Socket,
    /// What it is for.
    pub serves: Serves,
}

/// A socket that init makes in the sandbox's network namespace for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Socket {
    /// Listens (`tcp(7)`); one of IPv6 takes no IPv4.
    Listen(SocketAddr),
    /// Takes packets (`udp(7)`) and tells to which address they were sent; IPv6 takes no IPv4.
    Packets(SocketAddr),
    /// A stream socket without an address: the gateway binds or connects it later, in the namespace
    /// that it was made in.
    Spare(Family),
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Serves {
    /// Questions for addresses (RFC 1035).
    Lookups,
    /// An HTTP proxy (RFC 9110, 7.7 and 9.3.6).
    Proxy,
    /// A SOCKS5 proxy (RFC 1928).
    Socks,
    /// Whatever was dialled: the destination tells the host.
    Destinations,
    /// Nothing yet.
    Spare,
}

impl Socket {
    /// Where it hears; `None` for a spare one.
    #[must_use]
    pub const fn at(&self) -> Option<SocketAddr> {
        match self {
            Self::Listen(at) | Self::Packets(at) => Some(*at),
            Self::Spare(_) => None,
        }
    }

    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Listen(SocketAddr::V4(_)) | Self::Packets(SocketAddr::V4(_)) => Family::V4,
            Self::Listen(SocketAddr::V6(_)) | Self::Packets(SocketAddr::V6(_)) => Family::V6,
            Self::Spare(family) => *family,
        }
    }
}

/// Every address of a family.
#[must_use]
pub const fn every(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
