//! What a rule asks of each request, and the one judge of requests.
//!
//! A rule with [`Requests`] is about the inside of a connection: TLS is ended in the gateway for it, and
//! each request is judged by the bytes that are sent on. Of a body nothing is known here: what a GraphQL
//! document does, the gateway finds out of a request that a rule with [`Requests::graphql`] allows; so it does
//! with what a rule with [`Requests::refuse_body`] refuses.

mod asked;
mod dns;
mod git;
mod letters;
mod members;
mod pattern;
mod target;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::about::About;
use super::hosts::{Allowed, Decision, Denied, HostRules, Pattern, Protocol, Unwanted};
use super::overlap::Overlap;
use crate::model::Clause;
pub use asked::Asked;
use git::Says;
pub use members::{MEMBERS_BYTES_MAX, MemberFault, MemberPattern, PARTS_MAX, States, folded};
pub use pattern::{LinePattern, PATTERN_BYTES_MAX, PathFault, PathPattern};
use target::Target;
pub use target::{Trick, trick, trick_of_query};

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
    /// A path like one of these.
    pub paths: Vec<PathPattern>,
    /// Each parameter of the query like one of these (`name=value`, with `*`); an empty list: no query.
    pub query: Option<Vec<LinePattern>>,
    /// Each of these fields once ([`is_same_field`]), with a value like this. Small letters.
    pub headers: Vec<(String, LinePattern)>,
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
    /// The body is one value of JSON in which none of these finds anything.
    pub refuse_body: Vec<MemberPattern>,
    /// Whether a connection may become a WebSocket.
    pub websocket: bool,
    /// Whether HTTP/2 may be spoken in the clear (RFC 9113, 3.3).
    pub h2c: bool,
    /// Only requests that bear this credential, by what stands in for it, and no other identity: the name
    /// of a [`crate::credentials::Credential`].
    pub credential: Option<String>,
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
    /// Its path without the slash in front and `.git` behind: `owner/name`, or `owner/*` for each of theirs
    /// ([`Repository::is_path`]).
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
    /// Whether it asks something of paths that a second reading could answer otherwise.
    fn judges_paths(&self) -> bool {
        let patterns = !self.paths.is_empty() && !self.paths.iter().any(PathPattern::is_all);
        patterns || !self.git.is_empty()
    }
}

impl Allowed {
    /// Whether somebody has to look into the connections that it allows.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.inspect == Inspect::Always || self.requests.asks()
    }

    fn looks_into_tls(&self) -> bool {
        self.protocol == Protocol::Tls && self.looks()
    }
}

/// A request as it goes on, before fields are removed or set. `Debug` leaves out what may be a secret.
#[derive(Clone, Copy)]
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

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Request({} {}, {} fields)", self.method, self.path, self.headers.len())
    }
}

/// How a connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// Nobody looks into it: this rule allows it as it is.
    Opaque(&'a Allowed),
    /// Each request is judged; this is the first rule that names the host, for what is dialled.
    Inside(&'a Allowed),
}

impl<'r> About<'r> {
    /// Whether a connection may be, and how it is carried. Of HTTP in the clear requests are always
    /// looked at.
    ///
    /// # Errors
    /// The rule that decided, and why.
    pub fn sight(
        &self,
        port: u16,
        protocol: Protocol,
    ) -> Result<Sight<'r>, (&'r Clause, Unwanted)> {
        let first = match self.decide(port, protocol) {
            Decision::Allow(rule) => rule,
            Decision::Deny(clause, because) => return Err((clause, because)),
        };
        let inner = self.inner_denials(port).next();
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
                let mut rules = self.allowing(port, protocol);
                Ok(match rules.find(|rule| rule.looks()) {
                    Some(_) => Sight::Inside(first),
                    None => Sight::Opaque(first),
                })
            }
        }
    }

    /// Whether `request` may go on. The first rule that allows it decides; a rule that denies it wins.
    ///
    /// A target that two readers may read differently is allowed by no rule where some rule for
    /// `port` judges paths.
    #[must_use]
    pub fn decide_request(
        &self,
        port: u16,
        protocol: Protocol,
        request: &Request<'_>,
    ) -> Decision<'r> {
        if let Decision::Deny(clause, because) = self.decide(port, protocol) {
            return Decision::Deny(clause, because);
        }
        let target = Target::of(request.path);
        let denied = |rule: &&Denied| rule.denies(request.method, &target);
        if let Some(rule) = self.inner_denials(port).find(denied) {
            return Decision::Deny(&rule.clause, Unwanted::Denied);
        }
        let mut judging = self.inner_denials(port).filter(|rule| rule.judges_paths());
        let denying = judging.next().map(|rule| &rule.clause);
        let mut rules = self.allowing(port, protocol);
        let judging = rules.find(|rule| rule.requests.judges_paths()).map(|rule| &rule.clause);
        let tricked = denying.or(judging).and_then(|clause| Some((clause, target.trick?)));
        match (tricked, denying) {
            // A pattern may ask for this one, and no pattern that denies could be led around by it.
            (None, _) | (Some((_, Trick::EncodedSlash)), None) => {}
            (Some((clause, trick)), _) => {
                return Decision::Deny(clause, Unwanted::Ambiguous(trick.as_str()));
            }
        }
        if dns::is_question(request) {
            return Decision::Deny(self.base(), Unwanted::Resolver);
        }
        let slash = tricked.map(|(_, trick)| trick);
        // Of rules that all refuse, the one that came furthest is the one that is meant.
        let mut found = (Stage::None, self.base(), Unwanted::Host);
        for rule in self.allowing(port, protocol) {
            match rule.refuses(request, &target, slash) {
                None => return Decision::Allow(rule),
                Some((stage, because)) if stage > found.0 => found = (stage, &rule.clause, because),
                Some(_) => {}
            }
        }
        Decision::Deny(found.1, found.2)
    }

    /// The first rule by which requests to the host bear `credential`, where no rule denies the port.
    #[must_use]
    pub fn bearing(&self, credential: &str) -> Option<&'r Allowed> {
        let open = |rule: &&Allowed| rule.ports.iter().any(|port| self.denial(*port).is_none());
        let bears = |rule: &&Allowed| rule.requests.credential.as_deref() == Some(credential);
        self.allow().filter(bears).find(open)
    }

    /// Credentials that the host may know: those of every rule for it, one name perhaps more than once.
    pub fn bound(&self) -> impl Iterator<Item = &'r str> {
        self.allow().filter_map(|rule| rule.requests.credential.as_deref())
    }

    /// Rules that allow something of `port`.
    fn allowing(&self, port: u16, protocol: Protocol) -> impl Iterator<Item = &'r Allowed> {
        self.allow().filter(move |rule| rule.ports.contains(&port) && rule.protocol == protocol)
    }

    /// Rules that deny some requests to `port`, not all.
    fn inner_denials(&self, port: u16) -> impl Iterator<Item = &'r Denied> {
        let on = move |rule: &&Denied| rule.ports.is_empty() || rule.ports.contains(&port);
        self.deny().filter(|rule| rule.is_inner()).filter(on)
    }
}

impl HostRules {
    /// Whether some connection of TLS may be looked into, so that an authority is needed.
    #[must_use]
    pub fn inspects(&self) -> bool {
        is_inspected(self.allow.iter(), self.deny.iter())
    }

    /// The hosts whose TLS may be looked into: patterns of rules for TLS, none twice. No connection to
    /// another host is ever [`Sight::Inside`] by TLS.
    #[must_use]
    pub fn inspected_patterns(&self) -> Vec<&Pattern> {
        let inspected = Inspected::of(self);
        let rules = self.allow.iter().filter(|rule| inspected.may(rule));
        let mut seen: HashSet<&Pattern, BuildHasherDefault<DefaultHasher>> = HashSet::default();
        rules.map(|rule| &rule.pattern).filter(|pattern| seen.insert(pattern)).collect()
    }
}

/// Whether some connection of TLS may be looked into, under these rules.
pub(crate) fn is_inspected<'r>(
    mut allow: impl Iterator<Item = &'r Allowed> + Clone,
    deny: impl Iterator<Item = &'r Denied>,
) -> bool {
    // One that looks meets itself. Only where there is none it takes an index to say.
    let looks = |rule: &Allowed| rule.looks_into_tls() && rule.inspect != Inspect::Never;
    if allow.clone().any(looks) {
        return true;
    }
    let inspected = Inspected::among(allow.clone(), deny);
    allow.any(|rule| inspected.may(rule))
}

/// Which connections of TLS may be looked into, asked of each rule.
#[derive(Debug)]
pub struct Inspected<'r> {
    looking: Overlap<'r, Allowed>,
    inner: Overlap<'r, Denied>,
}

impl<'r> Inspected<'r> {
    /// Looks at each rule once.
    #[must_use]
    pub fn of(rules: &'r HostRules) -> Self {
        Self::among(rules.allow.iter(), rules.deny.iter())
    }

    /// The same of some rules.
    pub fn among(
        allow: impl Iterator<Item = &'r Allowed>,
        deny: impl Iterator<Item = &'r Denied>,
    ) -> Self {
        let looking = allow.filter(|rule| rule.looks_into_tls());
        let inner = deny.filter(|rule| rule.is_inner());
        Self {
            looking: Overlap::new(looking, |rule| &rule.pattern),
            inner: Overlap::new(inner, |rule| &rule.pattern),
        }
    }

    /// Whether a connection of TLS for which `rule`, one of them, is the first may be looked into.
    #[must_use]
    pub fn may(&self, rule: &Allowed) -> bool {
        let shares =
            |ports: &[u16]| ports.is_empty() || ports.iter().any(|port| rule.ports.contains(port));
        rule.protocol == Protocol::Tls
            && rule.inspect != Inspect::Never
            && !(self.looking.is_empty() && self.inner.is_empty())
            && (self.looking.meeting(&rule.pattern).any(|other| shares(&other.ports))
                || self.denying(rule).next().is_some())
    }

    /// The rules that deny some requests of what `rule` allows.
    pub fn denying(&self, rule: &Allowed) -> impl Iterator<Item = &'r Denied> {
        let shares =
            |ports: &[u16]| ports.is_empty() || ports.iter().any(|port| rule.ports.contains(port));
        self.inner.meeting(&rule.pattern).filter(move |other| shares(&other.ports))
    }
}

/// How far a request came in a rule that refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    None,
    Method,
    Path,
    Query,
    Fields,
    Access,
    Upgrade,
}

impl Allowed {
    /// Why it does not allow `request`, whose `slash` it has to ask for by a pattern where there is one.
    fn refuses(
        &self,
        request: &Request<'_>,
        target: &Target,
        slash: Option<Trick>,
    ) -> Option<(Stage, Unwanted)> {
        let asked = &self.requests;
        let method = |method: &String| method == request.method;
        if !asked.methods.is_empty() && !asked.methods.iter().any(method) {
            return Some((Stage::Method, Unwanted::Method));
        }
        // GraphQL over HTTP has these two.
        if asked.graphql.is_some() && !["GET", "POST"].contains(&request.method) {
            return Some((Stage::Method, Unwanted::Method));
        }
        let all = asked.paths.iter().any(PathPattern::is_all) || asked.paths.is_empty();
        let like = asked.paths.iter().any(|pattern| pattern.allows(target));
        match slash {
            Some(trick) if !like => {
                return Some((Stage::Path, Unwanted::Ambiguous(trick.as_str())));
            }
            None if !like && !all => return Some((Stage::Path, Unwanted::Path)),
            Some(_) | None => {}
        }
        if let Some(because) = asked.refuses_query(request.query) {
            return Some((Stage::Query, because));
        }
        if !asked.headers.iter().all(|(name, value)| has_once(request, name, value)) {
            return Some((Stage::Fields, Unwanted::Header));
        }
        if let Some(because) = asked.refuses_git(request) {
            return Some(because);
        }
        if request.websocket && self.looks() && !asked.websocket {
            return Some((Stage::Upgrade, Unwanted::Websocket));
        }
        None
    }
}

impl Requests {
    fn refuses_query(&self, query: Option<&str>) -> Option<Unwanted> {
        let (Some(patterns), Some(query)) = (&self.query, query) else { return None };
        if let Some(trick) = trick_of_query(query) {
            return Some(Unwanted::Ambiguous(trick.as_str()));
        }
        let like =
            |parameter: &str| patterns.iter().any(|pattern| pattern.holds_parameter(parameter));
        (!query.split('&').all(like)).then_some(Unwanted::Query)
    }

    fn refuses_git(&self, request: &Request<'_>) -> Option<(Stage, Unwanted)> {
        if self.git.is_empty() {
            return None;
        }
        let Some(asked) = git::asked(request.method, request.path, request.query) else {
            return Some((Stage::Path, Unwanted::NotGit));
        };
        match git::says(&self.git, asked) {
            Says::Allowed => None,
            Says::OnlyRead => Some((Stage::Access, Unwanted::GitAccess)),
            Says::Unknown => Some((Stage::Fields, Unwanted::Repository)),
        }
    }
}

/// Whether some host takes these two names for one: case says nothing, and in a variable of CGI
/// (RFC 3875, 4.1.18), which PHP and WSGI have too, `X-Tenant` and `X_Tenant` are both `HTTP_X_TENANT`. Some
/// servers have `_` there for every byte that is neither letter nor digit.
#[must_use]
pub fn is_same_field(one: &[u8], other: &[u8]) -> bool {
    let same = |(one, other): (&u8, &u8)| {
        one.eq_ignore_ascii_case(other)
            || !(one.is_ascii_alphanumeric() || other.is_ascii_alphanumeric())
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Whether `request` has the field `name` once, with a value like `value`. As `name` is written: of
/// another name that some hosts take for it, others see nothing.
fn has_once(request: &Request<'_>, name: &str, value: &LinePattern) -> bool {
    let same = |(field, _): &&(&str, &[u8])| is_same_field(field.as_bytes(), name.as_bytes());
    let mut fields = request.headers.iter().filter(same);
    let first = fields.next().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    fields.next().is_none() && first.is_some_and(|(_, given)| value.holds(given))
}

impl Denied {
    /// Whether it judges paths by more than that there is one.
    fn judges_paths(&self) -> bool {
        !self.paths.is_empty() && !self.paths.iter().any(PathPattern::is_all)
    }

    /// Whether it is about a request with this method and target, to some reader: hosts take `delete` for
    /// `DELETE`, and `/Admin/` for `/admin`.
    fn denies(&self, method: &str, target: &Target) -> bool {
        let like = |pattern: &PathPattern| pattern.is_all() || pattern.denies(target);
        (self.methods.is_empty() || self.methods.iter().any(|m| m.eq_ignore_ascii_case(method)))
            && (self.paths.is_empty() || self.paths.iter().any(like))
    }
}
