//! Why there is no connection.

use std::net::{IpAddr, SocketAddr};

use crate::ranges::Class;

/// Why a host was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFault {
    /// The name servers say that there is no such name, or that it has no address.
    NoSuchName,
    /// No address is left that may be dialled; this is the first that may not.
    Forbidden {
        /// The address.
        address: IpAddr,
        /// What forbids it.
        because: Why,
    },
    /// No way leads there.
    Unreachable(SocketAddr),
    /// Nobody listens there.
    Refused(SocketAddr),
    /// Nobody has answered in time.
    Timeout(SocketAddr),
    /// The upstream proxy does not let it through, or speaks otherwise than it should.
    ProxyRefused(String),
    /// The upstream proxy itself was not reached.
    ProxyUnreached(Box<DialFault>),
    /// No name server has given an answer.
    ResolverFailed(&'static str),
}

/// What forbids an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is no host of the Internet.
    Class(Class),
    /// It is one of this machine's own, so what listens there counts on being asked by it alone.
    Own,
    /// A rule of the policy denies it.
    Denied,
}

/// Whether it makes sense to try the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may pass by itself.
    Later,
    /// Not before somebody changes something.
    Never,
}

impl Why {
    /// Stable name for messages and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Class(class) => class.as_str(),
            Self::Own => "own",
            Self::Denied => "denied",
        }
    }
}

impl DialFault {
    /// Stable name for programs and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchName => "no-such-name",
            Self::Forbidden { .. } => "forbidden-address",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Timeout(_) => "timeout",
            Self::ProxyRefused(_) => "proxy-refused",
            Self::ProxyUnreached(_) => "proxy-unreached",
            Self::ResolverFailed(_) => "resolver-failed",
        }
    }

    /// Whether the same may work later.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::NoSuchName | Self::Forbidden { .. } | Self::ProxyRefused(_) => Retry::Never,
            Self::Unreachable(_)
            | Self::Refused(_)
            | Self::Timeout(_)
            | Self::ResolverFailed(_) => Retry::Later,
            Self::ProxyUnreached(fault) => fault.retry(),
        }
    }
}

impl std::fmt::Display for DialFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchName => out.write_str("the name has no address"),
            Self::Forbidden { address, because: Why::Class(class) } => {
                write!(out, "{address} is no host of the internet ({class})")
            }
            Self::Forbidden { address, because: Why::Own } => {
                write!(out, "{address} is an address of this machine")
            }
            Self::Forbidden { address, because: Why::Denied } => {
                write!(out, "{address} is denied by the policy")
            }
            Self::Unreachable(address) => write!(out, "no way leads to {address}"),
            Self::Refused(address) => write!(out, "nothing listens at {address}"),
            Self::Timeout(address) => write!(out, "{address} does not answer"),
            Self::ProxyRefused(why) => write!(out, "the upstream proxy refused: {why}"),
            Self::ProxyUnreached(fault) => {
                write!(out, "the upstream proxy was not reached: {fault}")
            }
            Self::ResolverFailed(why) => write!(out, "no name server has an answer: {why}"),
        }
    }
}

impl std::error::Error for DialFault {}
