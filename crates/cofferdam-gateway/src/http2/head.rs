//! The head of a request in HTTP/2, read by the functions that read one of HTTP/1, and the head that goes
//! on.

use std::borrow::Cow;

use cofferdam_plan::message::{HttpVersion, Requested};
use cofferdam_policy::judge::hosts::Host;
use cofferdam_policy::judge::requests::Requests;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Uri};

use super::Whom;
use crate::body::Framing;
use crate::coding::CodingFault;
use crate::fields::{Field, HEADERS_MAX, LineFault, is_hop, length, lists, values};
use crate::head::{self, Head, HeadFault, Scheme, Target, Version};
use crate::reply::{self, Reply};
use crate::scrub::Pairs;
use crate::{authority, relay};

/// Why a request in HTTP/2 is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misread {
    /// As in HTTP/1.
    Head(HeadFault),
    /// `CONNECT`: a connection that is for one host becomes no tunnel.
    Connect,
    /// `:scheme` is another than the connection's.
    Scheme,
    /// A value begins or ends with a blank (RFC 9113, 8.2.1), which the next reader may take away.
    Blank,
    /// It is for another host than the connection: for whom.
    Elsewhere(String),
    /// There are too many others already: of this connection, or of all.
    TooMany,
}

impl Misread {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Head(fault) => fault.code(),
            Self::Connect => "http-connect",
            Self::Scheme => "http-scheme",
            Self::Blank => "http-blank",
            Self::Elsewhere(_) => "host-mismatch",
            Self::TooMany => "http-streams",
        }
    }

    /// The status of the answer (RFC 9110, 15). Another connection would be the right one: 421.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Head(fault) => fault.status(),
            Self::Connect | Self::Scheme | Self::Blank => 400,
            Self::Elsewhere(_) => 421,
            Self::TooMany => 503,
        }
    }
}

impl std::fmt::Display for Misread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(fault) => fault.fmt(out),
            Self::Connect => out.write_str("a CONNECT inside of a connection that is for one host"),
            Self::Scheme => out.write_str("`:scheme` is not the connection's"),
            Self::Blank => out.write_str("a field begins or ends with a blank"),
            Self::Elsewhere(named) => write!(out, "the request is for {named}"),
            Self::TooMany => out.write_str("too many requests are under way"),
        }
    }
}

impl From<HeadFault> for Misread {
    fn from(fault: HeadFault) -> Self {
        Self::Head(fault)
    }
}

/// Reads a head. Where it could be read and is refused all the same, what is put on record comes along.
pub(super) fn read(
    parts: &Parts,
    framing: Framing,
    whom: &Whom,
) -> Result<Head, (Option<Requested>, Misread)> {
    let head = whole(parts, framing, whom.scheme).map_err(|misread| (None, misread))?;
    if (&head.host, head.port) != (&whom.host, whom.port) {
        let named = format!("{}:{}", head.host, head.port);
        return Err((Some(requested(&head)), Misread::Elsewhere(named)));
    }
    if head::is_echo(&head.method) {
        return Err((Some(requested(&head)), HeadFault::Echo.into()));
    }
    Ok(head)
}

fn whole(parts: &Parts, framing: Framing, scheme: Scheme) -> Result<Head, Misread> {
    let method = head::method(parts.method.as_str().as_bytes())?;
    if method == "CONNECT" {
        return Err(Misread::Connect);
    }
    // The crate keeps no scheme where there is no `:authority`; ours is what goes on.
    if parts.uri.scheme_str().is_some_and(|said| said != scheme.as_str()) {
        return Err(Misread::Scheme);
    }
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let target = match head::target(scheme, method, path.as_bytes())? {
        target @ (Target::Origin(_) | Target::Asterisk) => target,
        Target::Absolute { .. } | Target::Authority(..) => return Err(HeadFault::TargetForm.into()),
    };
    let headers = fields(&parts.headers);
    if headers.len() > HEADERS_MAX {
        return Err(HeadFault::Line(LineFault::TooMany).into());
    }
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if headers.iter().any(|field| blank(field.value.first()) || blank(field.value.last())) {
        return Err(Misread::Blank);
    }
    let lengths: Vec<_> = values(&headers, "content-length").map(length).collect();
    if !matches!(lengths.as_slice(), [] | [Some(_)]) {
        return Err(HeadFault::Length.into());
    }
    // `:authority` is to HTTP/2 what an absolute target is to HTTP/1: `Host` may be left out beside it.
    let named = match parts.uri.authority() {
        None => target.clone(),
        Some(said) => {
            let said = authority::parse(said.as_str().as_bytes(), Some(scheme.port()));
            let (host, port) = said.map_err(HeadFault::Authority)?;
            Target::Absolute { host, port, path_and_query: path.into() }
        }
    };
    let (host, port) = head::place(scheme, &named, Version::Http10, &headers)?;
    let (method, version) = (method.to_owned(), Version::Http11);
    Ok(Head { scheme, method, target, version, headers, host, port, framing, length: 0 })
}

/// What is put on record of a request.
pub(super) fn requested(head: &Head) -> Requested {
    Requested { version: HttpVersion::Http2, ..relay::requested(head) }
}

/// The request that goes on, to the judged host: `out` is the head as its rule wants it.
pub(super) fn outgoing(
    (head, out): (&Head, &Head),
    whom: &Whom,
    requests: &Requests,
) -> Option<Request<()>> {
    let uri = Uri::builder()
        .scheme(whom.scheme.as_str())
        .authority(place(whom.scheme, &whom.host, whom.port))
        .path_and_query(out.target.path_and_query());
    let mut request = Request::builder().method(out.method.as_str()).uri(uri.build().ok()?);
    let headers = request.headers_mut()?;
    for field in out.headers.iter().filter(|field| !field.is("host")) {
        let mut value = HeaderValue::from_bytes(&field.value).ok()?;
        // No table of a connection's keeps it (RFC 7541, 7.1.3).
        value.set_sensitive(SENSITIVE.iter().any(|name| field.is(name)));
        headers.append(name(field)?, value);
    }
    // Whoever can read fields behind a body says so to every server on the way (RFC 9113, 8.2.2).
    let removed = requests.remove_headers.iter().any(|name| name == "te");
    if lists(&head.headers, "te", "trailers") && !removed {
        headers.append(http::header::TE, HeaderValue::from_static("trailers"));
    }
    request.body(()).ok()
}

/// Fields whose value may be a secret.
const SENSITIVE: &[&str] = &["authorization", "cookie", "x-api-key"];

fn name(field: &Field) -> Option<HeaderName> {
    HeaderName::from_bytes(field.name.as_bytes()).ok()
}

/// As `:authority` has it.
fn place(scheme: Scheme, host: &Host, port: u16) -> String {
    if port == scheme.port() { host.to_string() } else { format!("{host}:{port}") }
}

/// The head of an answer as the client gets it: without `Alt-Svc`, which would name another way to the
/// same host, and without what is for one connection.
pub(super) fn answer(status: StatusCode, headers: &HeaderMap) -> Response<()> {
    let read = fields(headers);
    let mut response = Response::new(());
    *response.status_mut() = status;
    for ((name, value), field) in headers.iter().zip(&read) {
        if !field.is("alt-svc") && !is_hop(field, &read) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// Takes the secrets out of an answer's fields.
pub(super) fn clean(pairs: &Pairs, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let Cow::Owned(other) = pairs.scrub_whole(value.as_bytes()) else { continue };
        // What stands in for letters of a field is letters.
        *value = HeaderValue::from_bytes(&other).unwrap_or(HeaderValue::from_static(""));
    }
}

/// What cleans the body behind these fields, which say nothing then that does not hold any more.
pub(super) fn reply(pairs: &Pairs, headers: &mut HeaderMap) -> Result<Reply, CodingFault> {
    let read = fields(headers);
    let made = Reply::new(pairs, &read)?;
    for field in read.iter().filter(|field| reply::is_of_body(field)) {
        headers.remove(field.name.as_str());
    }
    Ok(made)
}

/// Takes away what does not go on of an answer to a request for tokens.
pub(super) fn without_tokens(headers: &mut HeaderMap) {
    for field in fields(headers).iter().filter(|field| !reply::stays_with_tokens(field)) {
        headers.remove(field.name.as_str());
    }
}

/// Length of a body, where the head tells it.
pub(super) fn told(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH).and_then(|value| length(value.as_bytes()))
}

pub(super) fn fields(headers: &HeaderMap) -> Vec<Field> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| Field {
        name: name.as_str().into(),
        value: value.as_bytes().into(),
    };
    headers.iter().map(field).collect()
}
