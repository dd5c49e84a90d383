//! Wire forms of the gateway's half of the plan.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cofferdam_policy::credentials::{Credential, Inject, Logins, OAuth, Placed, Source, SshHost};
use cofferdam_policy::hostname::Name;
use cofferdam_policy::judge::hosts::{Allowed, Denied, HostRules, Net, Pattern, Protocol};
use cofferdam_policy::judge::requests::{
    Asked, GitAccess, GraphQl, Inspect, LinePattern, MemberPattern, PathPattern, Rate, Repository,
    Requests,
};
use cofferdam_policy::network::{ProxyHost, ProxyProtocol, Published, TrustedFile, UpstreamProxy};

use super::{Malformed, Wire};
use crate::egress::{Assigned, Door, Egress, Family, Serves, Socket};

impl Wire for u16 {
    fn put(&self, to: &mut Vec<u8>) {
        u32::from(*self).put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Self::try_from(u32::take(from)?).map_err(|_| Malformed)
    }
}

impl Wire for Ipv4Addr {
    fn put(&self, to: &mut Vec<u8>) {
        self.to_bits().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        u32::take(from).map(Self::from_bits)
    }
}

impl Wire for Ipv6Addr {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.octets());
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (octets, rest) = from.split_first_chunk::<16>().ok_or(Malformed)?;
        *from = rest;
        Ok(Self::from(*octets))
    }
}

impl Wire for IpAddr {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_ipv6().put(to);
        match self {
            Self::V4(address) => address.put(to),
            Self::V6(address) => address.put(to),
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        if bool::take(from)? {
            Ipv6Addr::take(from).map(Self::V6)
        } else {
            Ipv4Addr::take(from).map(Self::V4)
        }
    }
}

/// Without flow label and scope: no rule can name them.
impl Wire for SocketAddr {
    fn put(&self, to: &mut Vec<u8>) {
        self.ip().put(to);
        self.port().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self::new(IpAddr::take(from)?, u16::take(from)?))
    }
}

/// Only in its one spelling.
impl Wire for Name {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_str().to_owned().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let text = String::take(from)?;
        let name = Self::parse(text.as_bytes()).map_err(|_| Malformed)?;
        if name.as_str() == text { Ok(name) } else { Err(Malformed) }
    }
}

impl Wire for Net {
    fn put(&self, to: &mut Vec<u8>) {
        self.address().put(to);
        self.prefix().put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Self::new(IpAddr::take(from)?, u8::take(from)?).ok_or(Malformed)
    }
}

/// By their text: what is made of it is made again.
macro_rules! wire_text {
    ($name:ident, $parse:expr) => {
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                self.text().to_owned().put(to);
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                let text = String::take(from)?;
                $parse(text.as_str()).ok_or(Malformed)
            }
        }
    };
}

wire_text!(PathPattern, |text| PathPattern::parse(text).ok());
wire_text!(LinePattern, LinePattern::parse);
wire_text!(MemberPattern, |text: &str| text.parse().ok());
wire_enum!(Pattern { 0 => Exact(name), 1 => Below(name), 2 => AnyName, 3 => Net(net) });
wire_enum!(Protocol { 0 => Tls, 1 => Http, 2 => Tcp });
wire_struct!(Allowed { pattern, ports, protocol, dial, inspect, requests, reason, clause });
wire_struct!(Denied { pattern, ports, methods, paths, reason, clause });
wire_enum!(Inspect { 0 => Auto, 1 => Always, 2 => Never });
wire_struct!(Requests {
    methods,
    paths,
    query,
    headers,
    remove_headers,
    set_headers,
    max_request_bytes,
    max_response_bytes,
    rate,
    git,
    graphql,
    refuse_body,
    websocket,
    h2c,
    credential
});
impl Wire for Asked {
    fn put(&self, to: &mut Vec<u8>) {
        Requests::put(self, to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Requests::take(from).map(Self::from)
    }
}
wire_struct!(Credential { name, source, member, inject, env, files, expires, open, oauth, clause });
wire_struct!(OAuth { access_token, refresh_token, id_token });
wire_struct!(Logins { hosts, users });
wire_struct!(SshHost { names, key, fingerprint });
wire_enum!(Source {
    0 => Vault(name),
    1 => Keychain(name),
    2 => Env(name),
    3 => File(path),
    4 => Command(words),
    5 => OAuth
});
wire_struct!(Placed { path, content });
wire_struct!(Rate { requests, seconds });
wire_struct!(Repository { path, access });
wire_enum!(GitAccess { 0 => Read, 1 => Write });
wire_enum!(GraphQl { 0 => Query });
wire_struct!(TrustedFile { path, clause });
wire_struct!(HostRules { allow, deny, base });
wire_enum!(ProxyProtocol { 0 => Http, 1 => Socks5 });
wire_enum!(ProxyHost { 0 => Name(name), 1 => Address(address) });
wire_struct!(UpstreamProxy { speaks, host, port, clause });
wire_struct!(Published { inside, outside, clause });
wire_struct!(Egress {
    rules,
    upstream_proxy,
    names,
    doors,
    publish,
    trust_ca,
    approve,
    credentials,
    canaries
});
wire_struct!(Assigned { name, v4, v6 });
wire_struct!(Door { socket, serves });
wire_enum!(Socket { 0 => Listen(at), 1 => Packets(at), 2 => Spare(family) });
wire_enum!(Family { 0 => V4, 1 => V6 });
wire_enum!(Serves { 0 => Lookups, 1 => Proxy, 2 => Socks, 3 => Destinations, 4 => Spare });

impl Wire for Inject {
    fn put(&self, to: &mut Vec<u8>) {
        let (tag, text): (u8, String) = match self {
            Self::Header(name) => (0, name.clone()),
            Self::Bearer => (1, String::new()),
            Self::Basic(user) => return (2_u8, user.clone()).put(to),
            Self::Query(name) => (3, name.clone()),
            Self::Cookie(name) => (4, name.clone()),
            Self::Json(way) => return (5_u8, way.clone()).put(to),
            Self::Form(name) => (6, name.clone()),
            Self::SigV4 { service, region } => {
                return (7_u8, (service.clone(), region.clone())).put(to);
            }
            Self::Ssh(logins) => return (8_u8, logins.clone()).put(to),
        };
        (tag, text).put(to);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match u8::take(from)? {
            0 => Self::Header(String::take(from)?),
            1 if String::take(from)?.is_empty() => Self::Bearer,
            2 => Self::Basic(Wire::take(from)?),
            3 => Self::Query(String::take(from)?),
            4 => Self::Cookie(String::take(from)?),
            5 => Self::Json(Vec::take(from)?),
            6 => Self::Form(String::take(from)?),
            7 => {
                let (service, region) = Wire::take(from)?;
                Self::SigV4 { service, region }
            }
            8 => Self::Ssh(Logins::take(from)?),
            _ => return Err(Malformed),
        })
    }
}
