//! What a rule asks of each request, and the one judge of requests.
//!
//! A rule with [`Requests`] is about the inside of a connection: TLS is ended in the gateway for it, and
//! each request is judged by the bytes that are sent on.

use super::hosts::{Allowed, Decision, Denied, Host, HostRules, Pattern, Protocol, Unwanted};
use crate::model::Clause;

/// Whether the gateway looks into connections that a rule allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Inspect {
    /// Where a rule for the host asks something of requests.
    #[default]
    Auto,
    /// Always: each request is judged and on record.
    Always,
    /// Never: an opaque tunnel.
    Never,
}

/// What a rule asks of each request. What is empty asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Requests {
    /// One of these methods, as they are written.
    pub methods: Vec<String>,
    /// A path like one of these: words between slashes, `*` for any letters of one, `**` for any words.
    pub paths: Vec<String>,
    /// Each parameter of the query like one of these (`name=value`, with `*`); an empty list: no query.
    pub query: Option<Vec<String>>,
    /// Each of these fields once, with a value like this (`*` for any letters).
    pub headers: Vec<(String, String)>,
    /// Fields that do not go on. Small letters.
    pub remove_headers: Vec<String>,
    /// Fields that go on with this value, whatever came.
    pub set_headers: Vec<(String, String)>,
    /// Longest body of a request. Bytes.
    pub max_request_bytes: Option<u64>,
    /// Longest body of an answer. Bytes.
    pub max_response_bytes: Option<u64>,
    /// How often.
    pub rate: Option<Rate>,
    /// Only git's smart HTTP, with these repositories.
    pub git: Vec<Repository>,
    /// Only GraphQL, and only such operations.
    pub graphql: Option<GraphQl>,
    /// Whether a connection may become a WebSocket.
    pub websocket: bool,
    /// Whether HTTP/2 may be spoken in the clear (RFC 9113, 3.3).
    pub h2c: bool,
}

/// So many requests in each such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Rate {
    /// How many, at least one.
    pub requests: u32,
    /// In this time. Seconds, at least one.
    pub seconds: u32,
}

/// A repository of git's, and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Repository {
    /// Its path without the slash in front and `.git` behind: `owner/name`.
    pub path: String,
    /// What may be done.
    pub access: GitAccess,
}

/// What may be done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum GitAccess {
    /// Fetch and clone.
    Read,
    /// Push too.
    Write,
}

/// Which operations of GraphQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum GraphQl {
    /// `query` alone.
    Query,
}

impl Requests {
    /// Whether something is asked of requests, so that somebody has to look at them.
    #[must_use]
    pub fn asks(&self) -> bool {
        *self != Self::default()
    }
}

/// A request as it goes on, before fields are removed or set.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// As it is written.
    pub method: &'a str,
    /// The target up to its first `?`, as it is written; `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the `?`.
    pub query: Option<&'a str>,
    /// Every field, in order: name and value as they are written.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Whether it asks for WebSocket.
    pub websocket: bool,
}

/// How a connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// Nobody looks into it: this rule allows it as it is.
    Opaque(&'a Allowed),
    /// Each request is judged; this is the first rule that names the host, for what is dialled.
    Inside(&'a Allowed),
}

impl HostRules {
    /// Whether a connection may be, and how it is carried. Of HTTP in the clear requests are always
    /// looked at.
    ///
    /// # Errors
    /// The rule that decided, and why.
    pub fn sight(
        &self,
        host: &Host,
        port: u16,
        protocol: Protocol,
    ) -> Result<Sight<'_>, (&Clause, Unwanted)> {
        let first = match self.decide(host, port, protocol) {
            Decision::Allow(rule) => rule,
            Decision::Deny(clause, because) => return Err((clause, because)),
        };
        let looks = |rule: &&Allowed| rule.inspect == Inspect::Always || rule.requests.asks();
        let inner = self.inner_denials(host, port).next();
        match (protocol, first.inspect, inner) {
            (Protocol::Http, ..) => Ok(Sight::Inside(first)),
            (Protocol::Tls, Inspect::Never, Some(denied)) | (Protocol::Tcp, _, Some(denied)) => {
                Err((&denied.clause, Unwanted::Unseen))
            }
            (Protocol::Tcp, _, None) | (Protocol::Tls, Inspect::Never, None) => {
                Ok(Sight::Opaque(first))
            }
            (Protocol::Tls, Inspect::Auto | Inspect::Always, Some(_)) => Ok(Sight::Inside(first)),
            (Protocol::Tls, Inspect::Auto | Inspect::Always, None) => {
                let mut rules = self.allowing(host, port, protocol);
                Ok(match rules.find(looks) {
                    Some(_) => Sight::Inside(first),
                    None => Sight::Opaque(first),
                })
            }
        }
    }

    /// Whether `request` may go on. The first rule that allows it decides; a rule that denies it wins.
    #[must_use]
    pub fn decide_request(
        &self,
        host: &Host,
        port: u16,
        protocol: Protocol,
        request: &Request<'_>,
    ) -> Decision<'_> {
        if let Decision::Deny(clause, because) = self.decide(host, port, protocol) {
            return Decision::Deny(clause, because);
        }
        let mut denied = self.inner_denials(host, port);
        if let Some(rule) = denied.find(|rule| rule.methods.iter().any(|m| m == request.method)) {
            return Decision::Deny(&rule.clause, Unwanted::Denied);
        }
        let mut found = (&self.base, Unwanted::Host);
        for rule in self.allowing(host, port, protocol) {
            let asked = &rule.requests;
            if !asked.methods.is_empty() && !asked.methods.iter().any(|m| m == request.method) {
                found = (&rule.clause, Unwanted::Method);
            } else {
                return Decision::Allow(rule);
            }
        }
        Decision::Deny(found.0, found.1)
    }

    /// Whether some connection of TLS is looked into.
    #[must_use]
    pub fn inspects(&self) -> bool {
        !self.inspected_patterns().is_empty()
    }

    /// The hosts whose TLS may be looked into.
    #[must_use]
    pub fn inspected_patterns(&self) -> Vec<Pattern> {
        let denies = self.deny.iter().any(Denied::is_inner);
        let looks = |rule: &&Allowed| {
            let asks = rule.inspect == Inspect::Always || rule.requests.asks() || denies;
            rule.protocol == Protocol::Tls && rule.inspect != Inspect::Never && asks
        };
        self.allow.iter().filter(looks).map(|rule| rule.pattern.clone()).collect()
    }

    /// Rules that allow something of `port` of `host`.
    fn allowing(
        &self,
        host: &Host,
        port: u16,
        protocol: Protocol,
    ) -> impl Iterator<Item = &Allowed> {
        let on = move |rule: &&Allowed| rule.ports.contains(&port) && rule.protocol == protocol;
        self.allow.iter().filter(on).filter(|rule| rule.pattern.holds(host))
    }

    /// Rules that deny some requests to `port` of `host`, not all.
    fn inner_denials(&self, host: &Host, port: u16) -> impl Iterator<Item = &Denied> {
        let on = move |rule: &&Denied| rule.ports.is_empty() || rule.ports.contains(&port);
        self.deny.iter().filter(on).filter(|rule| rule.is_inner() && rule.pattern.holds(host))
    }
}
