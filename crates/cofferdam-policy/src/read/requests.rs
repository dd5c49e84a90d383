//! What a rule of the network asks of requests.

use toml::de::{DeTable, DeValue};

use super::network::{ALLOW, DENY};
use super::{ENTRIES_MAX, Reader, Value, limits, value_of};
use crate::credentials::is_name;
use crate::error::{CredentialFault, PolicyError, RequestFault};
use crate::judge::hosts::Protocol;
use crate::judge::requests::{
    Asked, GitAccess, GraphQl, Inspect, LinePattern, MemberPattern, PathPattern, Rate, Repository,
    Requests, is_same_field, trick_of_query,
};

/// Keys that are about the inside of a connection.
const INNER: &[&str] = &[
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
];
/// What git's requests are is known: nothing else can be asked of them by these.
const NOT_WITH_GIT: &[&str] = &["methods", "paths", "query", "graphql", "refuse_body", "websocket"];
/// Nobody reads operations in a WebSocket, and a document is read as such.
const NOT_WITH_GRAPHQL: &[&str] = &["refuse_body", "websocket"];
/// Nobody reads JSON in a WebSocket.
const NOT_WITH_REFUSE_BODY: &[&str] = &["websocket"];
/// Fields of one connection (RFC 9110, 7.6.1), and those that say where a message goes and where it ends:
/// the gateway's own.
const KEPT_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const KEPT_START: &str = "proxy-";
/// Fields whose value is a secret.
const SECRET_HEADERS: &[&str] =
    &["authorization", "cookie", "proxy-authorization", "x-api-key", "api-key"];
/// Parts of names whose value is a secret.
const SECRET_PARTS: &[&str] = &["token", "secret", "password", "credential", "apikey"];
/// Methods that no rule can allow: a tunnel within, and two that echo what was put in on the way.
const NEVER_METHODS: &[&str] = &["CONNECT", "TRACE", "TRACK"];
/// Longest method: none that is registered has more than 17 letters.
const METHOD_BYTES_MAX: usize = 32;
/// Longest name of a field. Bytes.
const HEADER_BYTES_MAX: usize = 128;

impl Reader<'_> {
    /// `inspect`, and what else the rule says of requests.
    pub(super) fn inside(
        &self,
        table: &DeTable<'_>,
        protocol: Protocol,
    ) -> Result<(Inspect, Asked), PolicyError> {
        let inspect = match value_of(table, "inspect") {
            None => Inspect::Auto,
            Some(value) => match self.text("network.allow.inspect", value)? {
                "auto" => Inspect::Auto,
                "always" => Inspect::Always,
                "never" => Inspect::Never,
                other => {
                    let fault = RequestFault::InspectUnknown { asked: other.into() };
                    return Err(self.at(fault, value));
                }
            },
        };
        self.agree(table, protocol, inspect)?;
        // Most rules say nothing of it, and need not be asked key by key.
        if !table.keys().any(|key| INNER.contains(&key.get_ref().as_ref())) {
            return Ok((inspect, Asked::default()));
        }
        let requests = Requests {
            methods: self.methods(table, "network.allow.methods")?,
            paths: self.paths(table, "network.allow.paths")?,
            query: self.query(table)?,
            headers: self.required(table)?,
            remove_headers: self.removed(table)?,
            set_headers: self.set(table)?,
            max_request_bytes: self.bytes(table, "max_request_bytes")?,
            max_response_bytes: self.bytes(table, "max_response_bytes")?,
            rate: self.rate(table)?,
            git: self.git(table)?,
            graphql: self.graphql(table)?,
            refuse_body: self.refuse_body(table)?,
            websocket: self.flagged(table, "websocket")?,
            h2c: self.flagged(table, "h2c")?,
            credential: self.borne(table, protocol)?,
        };
        let twice = |name: &&String| requests.set_headers.iter().any(|(set, _)| same(set, name));
        if let (Some(name), Some(value)) =
            (requests.remove_headers.iter().find(twice), value_of(table, "remove_headers"))
        {
            return Err(self.at(RequestFault::HeaderTwice { name: name.clone() }, value));
        }
        Ok((inspect, requests.into()))
    }

    /// Refuses keys that cannot hold beside others.
    fn agree(
        &self,
        table: &DeTable<'_>,
        protocol: Protocol,
        inspect: Inspect,
    ) -> Result<(), PolicyError> {
        let first = |keys: &'static [&'static str]| {
            let found = table.keys().filter_map(|key| {
                let name = keys.iter().find(|name| **name == key.get_ref().as_ref())?;
                Some((*name, key.span()))
            });
            found.min_by_key(|(_, span)| span.start)
        };
        let refuse = |fault: RequestFault, span| Err(self.at_key(fault, span));
        let inner = first(INNER);
        match (protocol, inspect, inner) {
            (Protocol::Tcp, _, Some((key, span))) => refuse(RequestFault::InsideTcp { key }, span),
            (Protocol::Tcp, Inspect::Always, None) => {
                let at = table.get_key_value("inspect").map_or(0..0, |(key, _)| key.span());
                refuse(RequestFault::InsideTcp { key: "inspect" }, at)
            }
            (Protocol::Http, Inspect::Never, _) => {
                let at = table.get_key_value("inspect").map_or(0..0, |(key, _)| key.span());
                refuse(RequestFault::NeverClear, at)
            }
            (Protocol::Tls, Inspect::Never, Some((key, span))) => {
                refuse(RequestFault::NeverAsks { key }, span)
            }
            _ => Ok(()),
        }?;
        for (of, others) in [
            ("git", NOT_WITH_GIT),
            ("graphql", NOT_WITH_GRAPHQL),
            ("refuse_body", NOT_WITH_REFUSE_BODY),
        ] {
            if let (true, Some((key, span))) = (value_of(table, of).is_some(), first(others)) {
                return refuse(RequestFault::NotWith { key, of }, span);
            }
        }
        match (protocol, first(&["h2c"])) {
            (Protocol::Tls | Protocol::Tcp, Some((_, span))) => refuse(RequestFault::H2c, span),
            (Protocol::Http, _) | (_, None) => Ok(()),
        }
    }

    /// Whose identity requests bear.
    fn borne(
        &self,
        table: &DeTable<'_>,
        protocol: Protocol,
    ) -> Result<Option<String>, PolicyError> {
        let Some(value) = value_of(table, "credential") else { return Ok(None) };
        let name = self.text("network.allow.credential", value)?;
        if protocol != Protocol::Tls {
            return Err(self.fault(CredentialFault::Carried.into(), value.span()));
        }
        if !is_name(name) {
            let fault = CredentialFault::Name { got: name.into() };
            return Err(self.fault(fault.into(), value.span()));
        }
        Ok(Some(name.into()))
    }

    /// An array with entries, where an empty one could mean none or all.
    fn filled<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        key: &'static str,
    ) -> Result<&'t [Value<'i>], PolicyError> {
        let last = last_of(key);
        let Some(value) = value_of(table, last) else { return Ok(&[]) };
        let list = self.list(key, value)?;
        if list.is_empty() {
            return Err(self.at(RequestFault::ListEmpty { key }, value));
        }
        Ok(list)
    }

    pub(super) fn methods(
        &self,
        table: &DeTable<'_>,
        key: &'static str,
    ) -> Result<Vec<String>, PolicyError> {
        let mut methods = Vec::new();
        for entry in self.filled(table, key)? {
            let method = self.text(key, entry)?.to_owned();
            let token = is_token(&method) && method.len() <= METHOD_BYTES_MAX;
            if !token || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(self.at(RequestFault::Method { got: method }, entry));
            }
            if NEVER_METHODS.contains(&method.as_str()) {
                return Err(self.at(RequestFault::MethodNever { method }, entry));
            }
            if methods.contains(&method) {
                return Err(self.at(RequestFault::MethodTwice { method }, entry));
            }
            methods.push(method);
        }
        Ok(methods)
    }

    pub(super) fn paths(
        &self,
        table: &DeTable<'_>,
        key: &'static str,
    ) -> Result<Vec<PathPattern>, PolicyError> {
        let path = |entry| {
            let text = self.text(key, entry)?;
            let fault = |why| RequestFault::RequestPath { got: text.into(), why };
            PathPattern::parse(text).map_err(|why| self.at(fault(why), entry))
        };
        self.filled(table, key)?.iter().map(path).collect()
    }

    fn query(&self, table: &DeTable<'_>) -> Result<Option<Vec<LinePattern>>, PolicyError> {
        let key = "network.allow.query";
        let Some(value) = value_of(table, "query") else { return Ok(None) };
        let parameter = |entry| {
            let text = self.text(key, entry)?;
            let one = text.contains('=') && !text.contains('&') && trick_of_query(text).is_none();
            let pattern = LinePattern::parse(text).filter(|_| one);
            pattern.ok_or_else(|| self.at(RequestFault::Query { got: text.into() }, entry))
        };
        self.list(key, value)?.iter().map(parameter).collect::<Result<_, _>>().map(Some)
    }

    /// A table whose keys are names of fields: each name in small letters, its value and its place.
    fn fields<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        key: &'static str,
    ) -> Result<Vec<(String, &'t str, &'t Value<'i>)>, PolicyError> {
        let last = last_of(key);
        let Some(value) = value_of(table, last) else { return Ok(Vec::new()) };
        let found = value.get_ref().as_table();
        let found = found.ok_or_else(|| self.wrong(key, "a table", value))?;
        if found.is_empty() {
            return Err(self.at(RequestFault::ListEmpty { key }, value));
        }
        if found.len() > ENTRIES_MAX {
            let fault = crate::error::Fault::TooMany { key: key.into(), count: found.len() };
            return Err(self.fault(fault, value.span()));
        }
        let mut entries: Vec<_> = found.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let mut fields: Vec<(String, &str, &Value<'i>)> = Vec::new();
        for (name, entry) in entries {
            let refuse = |fault: RequestFault| Err(self.at_key(fault, name.span()));
            let text = self.text(key, entry)?;
            let small = name.get_ref().to_ascii_lowercase();
            if !is_header(&small) {
                return refuse(RequestFault::HeaderName { got: small });
            }
            if fields.iter().any(|(other, ..)| same(other, &small)) {
                return refuse(RequestFault::HeaderTwice { name: small });
            }
            fields.push((small, text, entry));
        }
        Ok(fields)
    }

    fn required(&self, table: &DeTable<'_>) -> Result<Vec<(String, LinePattern)>, PolicyError> {
        let one = |(name, text, entry): (String, &str, &Value<'_>)| {
            let fault = || self.at(RequestFault::HeaderValue { name: name.clone() }, entry);
            // Any of them, or any that begins so, is no secret yet.
            if is_secret(&name) && !text.contains('*') {
                return Err(self.at(RequestFault::HeaderSecret { name }, entry));
            }
            let pattern = LinePattern::parse(text).ok_or_else(fault)?;
            Ok((name, pattern))
        };
        self.fields(table, "network.allow.headers")?.into_iter().map(one).collect()
    }

    fn removed(&self, table: &DeTable<'_>) -> Result<Vec<String>, PolicyError> {
        let key = "network.allow.remove_headers";
        let mut names: Vec<String> = Vec::new();
        for entry in self.filled(table, key)? {
            let name = self.text(key, entry)?.to_ascii_lowercase();
            if !is_header(&name) {
                return Err(self.at(RequestFault::HeaderName { got: name }, entry));
            }
            if is_kept(&name) {
                return Err(self.at(RequestFault::HeaderKept { name }, entry));
            }
            if names.iter().any(|other| same(other, &name)) {
                return Err(self.at(RequestFault::HeaderTwice { name }, entry));
            }
            names.push(name);
        }
        Ok(names)
    }

    fn set(&self, table: &DeTable<'_>) -> Result<Vec<(String, String)>, PolicyError> {
        let one = |(name, text, entry): (String, &str, &Value<'_>)| {
            // The value may be the secret itself, so no message repeats it.
            if is_secret(&name) {
                return Err(self.at(RequestFault::HeaderSecret { name }, entry));
            }
            if is_kept(&name) {
                return Err(self.at(RequestFault::HeaderKept { name }, entry));
            }
            match LinePattern::parse(text) {
                Some(_) => Ok((name, text.to_owned())),
                None => Err(self.at(RequestFault::HeaderValue { name }, entry)),
            }
        };
        self.fields(table, "network.allow.set_headers")?.into_iter().map(one).collect()
    }

    fn bytes(&self, table: &DeTable<'_>, key: &str) -> Result<Option<u64>, PolicyError> {
        let Some(value) = value_of(table, key) else { return Ok(None) };
        let found = match value.get_ref() {
            DeValue::String(text) => limits::size(text),
            DeValue::Integer(_) => {
                limits::whole(self.source.text.get(value.span()).unwrap_or_default())
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let want = "a size such as \"2MiB\", or a plain number of bytes";
                return Err(self.wrong(&format!("{}.{key}", ALLOW.name), want, value));
            }
        };
        let text = self.source.text.get(value.span()).unwrap_or_default();
        let fault = || {
            self.at(RequestFault::RequestSize { got: text.trim_matches(['"', '\'']).into() }, value)
        };
        found.map(Some).ok_or_else(fault)
    }

    /// `60/min`: a whole number, and one of three times.
    fn rate(&self, table: &DeTable<'_>) -> Result<Option<Rate>, PolicyError> {
        let Some(value) = value_of(table, "rate") else { return Ok(None) };
        let text = self.text("network.allow.rate", value)?;
        let times = [("s", 1), ("min", 60), ("h", 3_600)];
        let found = text.split_once('/').and_then(|(number, unit)| {
            let (_, seconds) = times.into_iter().find(|(name, _)| *name == unit)?;
            let requests = u32::try_from(limits::whole(number)?).ok().filter(|many| *many > 0)?;
            Some(Rate { requests, seconds })
        });
        let fault = || self.at(RequestFault::Rate { got: text.into() }, value);
        found.map(Some).ok_or_else(fault)
    }

    fn git(&self, table: &DeTable<'_>) -> Result<Vec<Repository>, PolicyError> {
        let key = "network.allow.git";
        let mut repositories: Vec<Repository> = Vec::new();
        for entry in self.filled(table, key)? {
            let text = self.text(key, entry)?;
            let found = text.rsplit_once(':').and_then(|(path, access)| {
                let access = match access {
                    "read" => GitAccess::Read,
                    "write" => GitAccess::Write,
                    _ => return None,
                };
                Repository::is_path(path).then(|| Repository { path: path.to_owned(), access })
            });
            let Some(found) = found else {
                return Err(self.at(RequestFault::Git { got: text.into() }, entry));
            };
            if repositories.iter().any(|other| other.path == found.path) {
                return Err(self.at(RequestFault::GitTwice { path: found.path }, entry));
            }
            repositories.push(found);
        }
        Ok(repositories)
    }

    fn graphql(&self, table: &DeTable<'_>) -> Result<Option<GraphQl>, PolicyError> {
        let Some(value) = value_of(table, "graphql") else { return Ok(None) };
        match self.text("network.allow.graphql", value)? {
            "query" => Ok(Some(GraphQl::Query)),
            other => Err(self.at(RequestFault::GraphQl { asked: other.into() }, value)),
        }
    }

    fn refuse_body(&self, table: &DeTable<'_>) -> Result<Vec<MemberPattern>, PolicyError> {
        let key = "network.allow.refuse_body";
        let mut patterns: Vec<MemberPattern> = Vec::new();
        for entry in self.filled(table, key)? {
            let text = self.text(key, entry)?;
            let pattern = text
                .parse::<MemberPattern>()
                .map_err(|why| self.at(RequestFault::Members { got: text.into(), why }, entry))?;
            if patterns.contains(&pattern) {
                return Err(self.at(RequestFault::MembersTwice { got: text.into() }, entry));
            }
            patterns.push(pattern);
        }
        Ok(patterns)
    }
}

/// The key within its table, of one of a rule's.
fn last_of(key: &str) -> &str {
    let within = [ALLOW.name, DENY.name].into_iter().find_map(|table| key.strip_prefix(table));
    within.and_then(|rest| rest.strip_prefix('.')).unwrap_or(key)
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

fn is_header(name: &str) -> bool {
    is_token(name) && name.len() <= HEADER_BYTES_MAX
}

fn same(one: &str, other: &str) -> bool {
    is_same_field(one.as_bytes(), other.as_bytes())
}

/// Whether a field is the gateway's own, or one that is removed or set with it.
pub(super) fn is_kept(name: &str) -> bool {
    let start = name.get(..KEPT_START.len());
    KEPT_HEADERS.iter().any(|kept| same(kept, name))
        || start.is_some_and(|start| same(KEPT_START, start))
}

/// Whether a field's name says that its value is a secret.
fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.iter().any(|secret| same(secret, name))
        || SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
