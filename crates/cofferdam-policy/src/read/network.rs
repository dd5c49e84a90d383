//! `[network]`, `--allow` and `--publish`: whom the workload may talk to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use toml::de::{DeTable, DeValue};

use super::{Reader, Table, Value, check_path, value_of};
use crate::document::{Document, NetworkText, agree};
use crate::error::{NetworkFault, PolicyError};
use crate::hosts;
use crate::judge::hosts::{Allowed, Denied, Pattern, Protocol};
use crate::judge::requests::{Asked, Inspect};
use crate::model::{Clause, Danger};
use crate::network::{ProxyHost, ProxyProtocol, Published, UpstreamProxy};

/// Most ports of one rule: each is a listening socket in the sandbox.
pub(crate) const PORTS_MAX: usize = 64;
/// Longest reason: what stands in a denial and in the exit note is one line. Letters.
pub(crate) const REASON_LETTERS_MAX: usize = 200;
/// Where no port is written.
const PORT_OF_TLS: u16 = 443;
const PORT_OF_HTTP: u16 = 80;

pub(super) const NETWORK: Table = Table {
    name: "network",
    now: &["allow", "deny", "upstream_proxy", "publish", "trust_ca"],
    later: &["listen", "local", "dns"],
};
pub(super) const ALLOW: Table = Table {
    name: "network.allow",
    now: &[
        "host",
        "ports",
        "protocol",
        "dial",
        "reason",
        "dangerous_wide_wildcard",
        "inspect",
        "methods",
        "paths",
        "query",
        "headers",
        "remove_headers",
        "set_headers",
        "max_request_bytes",
        "max_response_bytes",
        "rate",
        "git",
        "graphql",
        "refuse_body",
        "websocket",
        "h2c",
        "credential",
    ],
    later: &["body"],
};
pub(super) const DENY: Table = Table {
    name: "network.deny",
    now: &["host", "ports", "methods", "paths", "reason"],
    later: &[],
};

impl Reader<'_> {
    pub(super) fn network(
        &self,
        table: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        let network = &mut document.network;
        if let Some(value) = value_of(table, "allow") {
            self.allow(value, network)?;
        }
        if let Some(value) = value_of(table, "deny") {
            let deny: &mut Vec<Denied> = &mut network.deny;
            for (index, entry) in self.list(DENY.name, value)?.iter().enumerate() {
                let clause = self.clause(format!("{}[{index}]", DENY.name), entry);
                deny.push(self.denied(entry, clause)?);
            }
        }
        if let Some(value) = value_of(table, "trust_ca") {
            network.trust_ca.extend(self.names("network.trust_ca", value, check_path)?);
        }
        if let Some(value) = value_of(table, "upstream_proxy") {
            let key = "network.upstream_proxy";
            let proxy = upstream_proxy(self.text(key, value)?, self.clause(key, value));
            network.upstream_proxy = Some(proxy.map_err(|fault| self.at(fault, value))?);
        }
        if let Some(value) = value_of(table, "publish") {
            let key = "network.publish";
            for (index, entry) in self.list(key, value)?.iter().enumerate() {
                let clause = self.clause(format!("{key}[{index}]"), entry);
                let published = published(self.text(key, entry)?, clause);
                let added = published.and_then(|published| network.publish(published));
                added.map_err(|fault| self.at(fault, entry))?;
            }
        }
        Ok(())
    }

    pub(super) fn at(&self, fault: impl Into<NetworkFault>, value: &Value<'_>) -> PolicyError {
        self.at_key(fault, value.span())
    }

    pub(super) fn at_key(
        &self,
        fault: impl Into<NetworkFault>,
        span: std::ops::Range<usize>,
    ) -> PolicyError {
        self.fault(fault.into().into(), span)
    }

    fn allow(&self, value: &Value<'_>, network: &mut NetworkText) -> Result<(), PolicyError> {
        let entries = self.list(ALLOW.name, value)?;
        let allow: &mut Vec<Allowed> = &mut network.allow;
        let before = allow.len();
        allow.reserve_exact(entries.len());
        let mut read = |(index, entry): (usize, &Value<'_>)| {
            // Ten thousand times: without the machinery that formats.
            let name = [ALLOW.name, "[", &index.to_string(), "]"].concat();
            let clause = self.clause(name, entry);
            let (rule, danger) = self.allowed(entry, clause)?;
            allow.push(rule);
            network.dangers.extend(danger);
            Ok(())
        };
        let read = entries.iter().enumerate().try_for_each(&mut read);
        // Of two faults the one that comes first in the text is told.
        agree(allow).map_err(|(at, fault)| {
            let entry = at.checked_sub(before).and_then(|index| entries.get(index));
            self.at(fault, entry.unwrap_or(value))
        })?;
        read
    }

    /// One `network.allow`, and what is dangerous in it.
    fn allowed(
        &self,
        entry: &Value<'_>,
        clause: Clause,
    ) -> Result<(Allowed, Option<Danger>), PolicyError> {
        let table = self.table(entry, &ALLOW)?;
        let (pattern, host) = self.host(table, entry, &ALLOW)?;
        let mut danger = None;
        if hosts::is_wide(&pattern) {
            if !self.flagged(table, "dangerous_wide_wildcard")? {
                return Err(self.at(NetworkFault::Wide { host: pattern.to_string() }, host));
            }
            let what = format!("`{pattern}` is reached, where anybody can have a host");
            danger = Some(Danger { what, clause: clause.clone() });
        } else {
            self.flagged(table, "dangerous_wide_wildcard")?;
        }
        let ports = self.ports(table, &ALLOW)?;
        let mut ports = ports.unwrap_or_else(|| vec![PORT_OF_TLS]);
        let protocol = match value_of(table, "protocol") {
            Some(value) => {
                let text = self.text("network.allow.protocol", value)?;
                protocol(text).map_err(|fault| self.at(fault, value))?
            }
            None => {
                let at = value_of(table, "ports").unwrap_or(entry);
                usual(&ports).map_err(|fault| self.at(fault, at))?
            }
        };
        let dial = match value_of(table, "dial") {
            None => None,
            Some(value) => {
                let text = self.text("network.allow.dial", value)?;
                let dial = dial(text, &pattern, &ports);
                Some(dial.map_err(|fault| self.at(fault, value))?)
            }
        };
        let reason = self.reason(table, "network.allow.reason")?;
        ports.sort_unstable();
        let (inspect, requests) = self.inside(table, protocol)?;
        Ok((Allowed { pattern, ports, protocol, dial, inspect, requests, reason, clause }, danger))
    }

    fn denied(&self, entry: &Value<'_>, clause: Clause) -> Result<Denied, PolicyError> {
        let table = self.table(entry, &DENY)?;
        let (pattern, _) = self.host(table, entry, &DENY)?;
        let mut ports = self.ports(table, &DENY)?.unwrap_or_default();
        ports.sort_unstable();
        let reason = self.reason(table, "network.deny.reason")?;
        let methods = self.methods(table, "network.deny.methods")?;
        let paths = self.paths(table, "network.deny.paths")?;
        Ok(Denied { pattern, ports, methods, paths, reason, clause })
    }

    fn host<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        entry: &Value<'_>,
        of: &'static Table,
    ) -> Result<(Pattern, &'t Value<'i>), PolicyError> {
        let key = of.name;
        let Some(value) = value_of(table, "host") else {
            return Err(self.at(NetworkFault::HostMissing { key }, entry));
        };
        let full = if key == ALLOW.name { "network.allow.host" } else { "network.deny.host" };
        let text = self.text(full, value)?;
        let pattern = pattern(text).map_err(|fault| self.at(fault, value))?;
        Ok((pattern, value))
    }

    /// The ports as they are written; nothing where they are not.
    fn ports(
        &self,
        table: &DeTable<'_>,
        of: &'static Table,
    ) -> Result<Option<Vec<u16>>, PolicyError> {
        let Some(value) = value_of(table, "ports") else { return Ok(None) };
        let key = if of.name == ALLOW.name { "network.allow.ports" } else { "network.deny.ports" };
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong(key, "an array", value))?;
        if list.is_empty() {
            return Err(self.at(NetworkFault::PortsEmpty { key }, value));
        }
        if list.len() > PORTS_MAX {
            return Err(self.at(NetworkFault::PortsMany { key, count: list.len() }, value));
        }
        let mut ports = Vec::new();
        for entry in list {
            let DeValue::Integer(_) = entry.get_ref() else {
                return Err(self.wrong(key, "an array of whole numbers", entry));
            };
            // As it stands in the text: TOML's other spellings of a number are none here.
            let text = self.source.text.get(entry.span()).unwrap_or_default();
            let fault = || NetworkFault::Port { got: text.to_owned() };
            let port = hosts::port(text).ok_or_else(|| self.at(fault(), entry))?;
            if ports.contains(&port) {
                return Err(self.at(NetworkFault::PortTwice { port }, entry));
            }
            ports.push(port);
        }
        Ok(Some(ports))
    }

    fn reason(&self, table: &DeTable<'_>, key: &str) -> Result<Option<String>, PolicyError> {
        let Some(value) = value_of(table, "reason") else { return Ok(None) };
        let text = self.text(key, value)?;
        let letters = text.chars().count();
        let line = (1..=REASON_LETTERS_MAX).contains(&letters) && !text.contains(char::is_control);
        let fault = || self.at(NetworkFault::Reason { key: key.into() }, value);
        line.then(|| Some(text.to_owned())).ok_or_else(fault)
    }

    pub(super) fn flagged(&self, table: &DeTable<'_>, key: &str) -> Result<bool, PolicyError> {
        let Some(value) = value_of(table, key) else { return Ok(false) };
        let found = value.get_ref().as_bool();
        found.ok_or_else(|| self.wrong(&format!("{}.{key}", ALLOW.name), "a boolean", value))
    }
}

fn pattern(text: &str) -> Result<Pattern, NetworkFault> {
    hosts::parse_pattern(text).map_err(|fault| NetworkFault::Host { host: text.into(), fault })
}

fn protocol(text: &str) -> Result<Protocol, NetworkFault> {
    let all = [Protocol::Tls, Protocol::Http, Protocol::Tcp];
    let found = all.into_iter().find(|protocol| protocol.as_str() == text);
    found.ok_or_else(|| NetworkFault::ProtocolUnknown { asked: text.into() })
}

/// What everybody speaks on these ports.
fn usual(ports: &[u16]) -> Result<Protocol, NetworkFault> {
    if ports.iter().all(|port| *port == PORT_OF_TLS) {
        Ok(Protocol::Tls)
    } else if ports.iter().all(|port| *port == PORT_OF_HTTP) {
        Ok(Protocol::Http)
    } else {
        Err(NetworkFault::ProtocolMissing { ports: ports.into() })
    }
}

/// What is dialled for the one host and the one port of a rule.
fn dial(text: &str, pattern: &Pattern, ports: &[u16]) -> Result<SocketAddr, NetworkFault> {
    let one = match pattern {
        Pattern::Exact(_) => true,
        Pattern::Below(_) | Pattern::AnyName => false,
        Pattern::Net(net) => net.addresses(1).is_some(),
    };
    if !one {
        return Err(NetworkFault::DialMany { host: pattern.to_string() });
    }
    if ports.len() != 1 {
        return Err(NetworkFault::DialPorts { ports: ports.into() });
    }
    let fault = || NetworkFault::Dial { got: text.into() };
    let (host, rest) = text.rsplit_once(':').ok_or_else(fault)?;
    let port = hosts::port(rest).ok_or_else(fault)?;
    let address = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok()).map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    // An IPv4 address in IPv6 form is a second spelling.
    let address = address.filter(|address| address.to_canonical() == *address);
    Ok(SocketAddr::new(address.ok_or_else(fault)?, port))
}

/// `http://HOST:PORT` or `socks5://HOST:PORT`.
fn upstream_proxy(text: &str, clause: Clause) -> Result<UpstreamProxy, NetworkFault> {
    let (scheme, rest) = text.split_once("://").ok_or(NetworkFault::Proxy)?;
    let speaks = match scheme {
        "http" => ProxyProtocol::Http,
        "socks5" => ProxyProtocol::Socks5,
        other => return Err(NetworkFault::ProxyScheme { asked: other.into() }),
    };
    if rest.contains('@') {
        return Err(NetworkFault::ProxyUser);
    }
    let (host, port) = rest.rsplit_once(':').ok_or(NetworkFault::Proxy)?;
    let port = hosts::port(port).ok_or(NetworkFault::Proxy)?;
    let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(inner) => {
            let address = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            ProxyHost::Address(address.ok_or(NetworkFault::Proxy)?.into())
        }
        None => match host.parse::<Ipv4Addr>() {
            Ok(address) => ProxyHost::Address(address.into()),
            Err(_) => ProxyHost::Name(hosts::name(host).map_err(|_| NetworkFault::Proxy)?),
        },
    };
    Ok(UpstreamProxy { speaks, host, port, clause })
}

/// `PORT` or `PORT:HOSTPORT`.
pub(crate) fn published(text: &str, clause: Clause) -> Result<Published, NetworkFault> {
    let (inside, outside) = text.split_once(':').unwrap_or((text, text));
    match (hosts::port(inside), hosts::port(outside)) {
        (Some(inside), Some(outside)) => {
            let outside = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), outside);
            Ok(Published { inside, outside, clause })
        }
        _ => Err(NetworkFault::Publish { got: text.into() }),
    }
}

/// `HOST[:PORT[/PROTOCOL]]`, the words of `--allow`; an IPv6 address has brackets.
pub(crate) fn allow_flag(words: &str, clause: Clause) -> Result<Allowed, NetworkFault> {
    let (host, rest) = parts(words)?;
    let pattern = pattern(host)?;
    let (ports, protocol) = match rest {
        None => (vec![PORT_OF_TLS], Protocol::Tls),
        Some(rest) => {
            let (number, word) = match rest.split_once('/') {
                Some((number, word)) => (number, Some(word)),
                None => (rest, None),
            };
            let fault = || NetworkFault::Port { got: number.into() };
            let ports = vec![hosts::port(number).ok_or_else(fault)?];
            let protocol = word.map_or_else(|| usual(&ports), protocol)?;
            (ports, protocol)
        }
    };
    if hosts::is_wide(&pattern) {
        return Err(NetworkFault::Wide { host: pattern.to_string() });
    }
    let (inspect, requests) = (Inspect::Auto, Asked::default());
    Ok(Allowed { pattern, ports, protocol, dial: None, inspect, requests, reason: None, clause })
}

/// The host, and what follows the colon behind it.
fn parts(words: &str) -> Result<(&str, Option<&str>), NetworkFault> {
    let unknown = || NetworkFault::AllowWords { got: words.into() };
    if let Some(inner) = words.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or_else(unknown)?;
        // Brackets hold an address of IPv6, or a block of them, and nothing else.
        let address = host.split('/').next().unwrap_or_default();
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(unknown());
        }
        return match rest.strip_prefix(':') {
            Some(rest) => Ok((host, Some(rest))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(unknown()),
        };
    }
    // What is no host at all is told as that: a URL has colons too.
    if words.contains("://") || words.contains('@') {
        return Ok((words, None));
    }
    match words.split_once(':') {
        None => Ok((words, None)),
        Some((_, rest)) if rest.contains(':') => {
            let address = words.split('/').next().unwrap_or_default();
            let is_one = address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b));
            Err(if is_one { NetworkFault::AllowBrackets } else { unknown() })
        }
        Some((host, rest)) => Ok((host, Some(rest))),
    }
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
