//! The head of an HTTP/1 request, read strictly, and the head that goes upstream.
//!
//! RFC 9112 without what it allows for old senders' sake. [`Head::upstream`] writes from what was
//! read, never from the bytes that came: what was judged is what is sent.

use cofferdam_policy::judge::hosts::Host;
use cofferdam_policy::judge::requests::{Requests, is_same_field};

use crate::authority::{self, AuthorityFault};
use crate::body::Framing;
use crate::fields::{
    Field, LineFault, Lines, elements, is_hop, is_websocket, length, token, values, write,
};

mod fault;
#[cfg(test)]
mod tests;

pub use fault::HeadFault;

/// Longest method; the longest in the registry, `UPDATEREDIRECTREF`, has 17. Bytes.
pub const METHOD_BYTES_MAX: usize = 32;
/// Longest target. RFC 9110, 4.1 asks for 8,000; common servers stop at 8 KiB. Bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Where `http` is without a port (RFC 9110, 4.2.1).
const HTTP_PORT: u16 = 80;
/// Where `https` is (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;
/// Fields that some servers take a method or a target from, whatever the start line says: what was judged
/// would not be what is done.
///
/// Methods: `X-HTTP-Method-Override` of Google's interfaces, Rack, Symfony and Laravel, `X-HTTP-Method` of
/// Microsoft's, `X-Method-Override` of IBM's. Targets: the two that IIS's rewriters write, which Symfony
/// (CVE-2018-14773), Zend and Laminas (ZF2018-01) and Yii take from any client in some version.
///
/// What a proxy only tells of the request before it (`X-Original-Method`, `X-Original-URI`,
/// `X-Forwarded-Path` and its like) is in no framework known the method or the path itself.
const OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// What a request is about, in its four forms (RFC 9112, 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `host:port`, of `CONNECT` alone.
    Authority(Host, u16),
    /// `http://host:port/path?query`, as a proxy is asked.
    Absolute {
        /// Whom it names.
        host: Host,
        /// 80 where none was written.
        port: u16,
        /// From its first `/`; `*` for `OPTIONS` without one.
        path_and_query: String,
    },
    /// `/path?query`.
    Origin(String),
    /// `*`, of `OPTIONS` alone.
    Asterisk,
}

/// In which scheme a request is asked: what is meant where a port is left out, and which absolute targets
/// can be for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`: in the clear, or to a proxy.
    Http,
    /// `https`: inside of TLS that ends here.
    Https,
}

impl Scheme {
    /// Where it is without a port (RFC 9110, 4.2.1 and 4.2.2).
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => HTTP_PORT,
            Self::Https => HTTPS_PORT,
        }
    }

    /// As a target has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// HTTP/1 has two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// As a start line has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Another message may follow.
    Stay,
    /// It ends.
    Close,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How it was asked.
    pub scheme: Scheme,
    /// A token; case counts.
    pub method: String,
    /// As it was written.
    pub target: Target,
    /// As it was written.
    pub version: Version,
    /// Every field, in order.
    pub headers: Vec<Field>,
    /// Whom the request is for: the target's host, or the one in `Host`.
    pub host: Host,
    /// Its port; 80 where none was written.
    pub port: u16,
    /// How the body's end is told.
    pub framing: Framing,
    /// Of these many bytes the head was read. The body follows.
    pub length: usize,
}

/// The head at the start of `bytes`; `None` while its end has not come.
///
/// # Errors
/// The first thing that is wrong, from left to right, then of the whole. The connection cannot be
/// used any further: nobody knows where the next request begins.
pub fn parse(bytes: &[u8]) -> Result<Option<Head>, HeadFault> {
    parse_in(Scheme::Http, bytes)
}

/// The same in another scheme.
///
/// # Errors
/// As [`parse`].
pub fn parse_in(scheme: Scheme, bytes: &[u8]) -> Result<Option<Head>, HeadFault> {
    let mut lines = Lines::new(bytes);
    let Some(line) = lines.line()? else { return Ok(None) };
    let (method, target, version) = start(scheme, line)?;
    let Some(headers) = lines.fields()? else { return Ok(None) };
    let (host, port) = place(scheme, &target, version, &headers)?;
    let framing = framing(&target, version, &headers)?;
    connection(&headers)?;
    let length = lines.length();
    Ok(Some(Head { scheme, method, target, version, headers, host, port, framing, length }))
}

impl Head {
    /// The request that goes to `port` of `host`, the judged ones: origin form, `Host` from them, and
    /// nothing that was for this connection only. A `CONNECT` stays one, for a proxy upstream.
    ///
    /// Asking for WebSocket is passed on; every other `Upgrade` is forgotten, which RFC 9110, 7.8
    /// lets every receiver do.
    #[must_use]
    pub fn outgoing(&self, host: &Host, port: u16) -> Self {
        let target = match &self.target {
            Target::Authority(..) => Target::Authority(host.clone(), port),
            Target::Absolute { path_and_query, .. } if path_and_query == "*" => Target::Asterisk,
            Target::Absolute { path_and_query: path, .. } | Target::Origin(path) => {
                Target::Origin(path.clone())
            }
            Target::Asterisk => Target::Asterisk,
        };
        let is_connect = matches!(target, Target::Authority(..));
        let place = if port == self.scheme.port() && !is_connect {
            host.to_string()
        } else {
            format!("{host}:{port}")
        };
        let mut headers = vec![Field::new("Host", &place)];
        let stays = |field: &&Field| {
            !field.is("host")
                && !is_override(field.name.as_bytes())
                && !is_masked(field)
                && !is_hop(field, &self.headers)
        };
        headers.extend(self.headers.iter().filter(stays).cloned());
        if self.asks_websocket() {
            headers
                .extend([Field::new("Connection", "Upgrade"), Field::new("Upgrade", "websocket")]);
        }
        let mut head = Self { target, headers, host: host.clone(), port, ..self.clone() };
        head.length = head.write().len();
        head
    }

    /// The bytes of [`Head::outgoing`]. [`parse`] reads them as the same head; they may be longer than
    /// what came by a blank for each field and a `Host`.
    #[must_use]
    pub fn upstream(&self, host: &Host, port: u16) -> Vec<u8> {
        self.outgoing(host, port).write()
    }

    /// The same with what a rule wants of its fields: some do not go on, some have a value of the rule's.
    #[must_use]
    pub fn edited(mut self, requests: &Requests) -> Self {
        self.headers.retain(|field| {
            let removed = requests.remove_headers.iter().any(|name| field.is_like(name));
            !removed && !requests.set_headers.iter().any(|(name, _)| field.is_like(name))
        });
        let set = requests.set_headers.iter();
        self.headers.extend(set.map(|(name, value)| Field::new(name, value)));
        self
    }

    /// The bytes of this head.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let start = format!("{} {} {}", self.method, self.target, self.version.as_str());
        write(start.as_bytes(), &self.headers)
    }

    /// Whether it asks for WebSocket, and may (RFC 6455, 4.1).
    #[must_use]
    pub fn asks_websocket(&self) -> bool {
        self.method == "GET"
            && self.version == Version::Http11
            && self.framing == Framing::None
            && is_websocket(&self.headers)
    }

    /// Whether the sender means to send another request after this one (RFC 9112, 9.3). HTTP/1.0
    /// asks for it with a field that no list of ours takes up: it closes.
    #[must_use]
    pub fn after(&self) -> After {
        let closes = elements(&self.headers, "connection")
            .chain(elements(&self.headers, "proxy-connection"))
            .any(|part| part.eq_ignore_ascii_case(b"close"));
        if closes || self.version == Version::Http10 { After::Close } else { After::Stay }
    }
}

impl Target {
    /// Path and query as they go on; `*` of `OPTIONS` without a path, empty for `CONNECT`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        match self {
            Self::Authority(..) => "",
            Self::Absolute { path_and_query, .. } => path_and_query,
            Self::Origin(path) => path,
            Self::Asterisk => "*",
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Authority(host, port) => write!(out, "{host}:{port}"),
            Self::Absolute { host, port, path_and_query } => {
                let path = if path_and_query == "*" { "" } else { path_and_query };
                write!(out, "http://{host}:{port}{path}")
            }
            Self::Origin(path) => out.write_str(path),
            Self::Asterisk => out.write_str("*"),
        }
    }
}

/// Method, target and version, with one space between each.
fn start(scheme: Scheme, line: &[u8]) -> Result<(String, Target, Version), HeadFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadFault::StartLine);
    };
    let method = self::method(method)?;
    let version = protocol(version)?;
    Ok((method.into(), self::target(scheme, method, target)?, version))
}

/// A method, as far as its bytes say.
pub(crate) fn method(bytes: &[u8]) -> Result<&str, HeadFault> {
    token(bytes).filter(|method| method.len() <= METHOD_BYTES_MAX).ok_or(HeadFault::Method)
}

/// The target of a request with this method.
pub(crate) fn target(scheme: Scheme, method: &str, bytes: &[u8]) -> Result<Target, HeadFault> {
    if ["TRACE", "TRACK"].iter().any(|echo| method.eq_ignore_ascii_case(echo)) {
        return Err(HeadFault::Echo);
    }
    if bytes.len() > TARGET_BYTES_MAX {
        return Err(HeadFault::TargetTooLong);
    }
    form(scheme, method, bytes)
}

/// Other versions of HTTP are 505; what is no version is 400. HTTP/0.9 had no version to write.
fn protocol(version: &[u8]) -> Result<Version, HeadFault> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'] => Err(HeadFault::Version),
        [..] => Err(HeadFault::StartLine),
    }
}

/// The one form that a target has for its method.
fn form(scheme: Scheme, method: &str, target: &[u8]) -> Result<Target, HeadFault> {
    if let Some(other) = odd(target) {
        return Err(HeadFault::TargetByte(other));
    }
    let text = std::str::from_utf8(target).map_err(|_| HeadFault::TargetForm)?;
    if method == "CONNECT" {
        let (host, port) = authority::parse(target, None).map_err(HeadFault::Authority)?;
        return Ok(Target::Authority(host, port));
    }
    if text.starts_with('/') {
        return Ok(Target::Origin(text.into()));
    }
    if text == "*" && method == "OPTIONS" {
        return Ok(Target::Asterisk);
    }
    let (written, rest) = text.split_once("://").ok_or(HeadFault::TargetForm)?;
    if !written.eq_ignore_ascii_case(scheme.as_str()) {
        let other = scheme == Scheme::Http && written.eq_ignore_ascii_case("https");
        return Err(if other { HeadFault::Https } else { HeadFault::TargetForm });
    }
    let (place, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) =
        authority::parse(place.as_bytes(), Some(scheme.port())).map_err(HeadFault::Authority)?;
    let path_and_query = match (path.chars().next(), method) {
        (None, "OPTIONS") => "*".into(),
        (Some('/'), _) => path.into(),
        (None | Some(_), _) => format!("/{path}"),
    };
    Ok(Target::Absolute { host, port, path_and_query })
}

/// The first byte that is in no target. RFC 3986 has fewer; clients write more of them plainly. Of
/// those, what other servers refuse is refused (`<` and `>`, the backtick in a path, quotes in a query),
/// and what some take for a slash or the end.
fn odd(target: &[u8]) -> Option<u8> {
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let fits = |at: usize, byte: u8| match byte {
        b'#' | b'\\' | b'<' | b'>' => false,
        b'`' => at > query,
        b'"' => at < query,
        byte => byte.is_ascii_graphic(),
    };
    target.iter().enumerate().find(|(at, byte)| !fits(*at, **byte)).map(|(_, byte)| *byte)
}

/// Whom the request is for. Where target and `Host` both say it, they say the same.
pub(crate) fn place(
    scheme: Scheme,
    target: &Target,
    version: Version,
    headers: &[Field],
) -> Result<(Host, u16), HeadFault> {
    let mut hosts = values(headers, "host");
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(HeadFault::HostTwice);
    }
    let is_named = matches!(target, Target::Authority(..) | Target::Absolute { .. });
    if first.is_none() && (version == Version::Http11 || !is_named) {
        return Err(HeadFault::HostMissing);
    }
    let said = |default: u16| match first {
        Some(value) => authority::parse(value, Some(default)).map(Some).map_err(HeadFault::Host),
        None => Ok(None),
    };
    let (named, said) = match target {
        // Old clients leave the port out of it.
        Target::Authority(host, port) => (Some((host.clone(), *port)), said(*port)?),
        Target::Absolute { host, port, .. } => (Some((host.clone(), *port)), said(scheme.port())?),
        Target::Origin(_) | Target::Asterisk => (None, said(scheme.port())?),
    };
    match (named, said) {
        (Some(named), Some(said)) if named != said => Err(HeadFault::HostDiffers),
        (Some(place), _) | (None, Some(place)) => Ok(place),
        (None, None) => Err(HeadFault::HostMissing),
    }
}

/// How the body's end is told: in one way, or in none.
fn framing(target: &Target, version: Version, headers: &[Field]) -> Result<Framing, HeadFault> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    let framing = match (lengths.next(), codings.next()) {
        (None, None) => Framing::None,
        (Some(_), Some(_)) => return Err(HeadFault::TwoFramings),
        (Some(value), None) => match length(value).ok_or(HeadFault::Length)? {
            0 => Framing::None,
            length => Framing::Length(length),
        },
        (None, Some(value)) if value.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        (None, Some(value)) => return Err(coding(value)),
    };
    if lengths.next().is_some() {
        return Err(HeadFault::Length);
    }
    if codings.next().is_some() || (framing == Framing::Chunked && version == Version::Http10) {
        return Err(HeadFault::Coding);
    }
    // It would be a body to some and the tunnel's first bytes to others (RFC 9110, 9.3.6).
    if matches!(target, Target::Authority(..)) && framing != Framing::None {
        return Err(HeadFault::ConnectBody);
    }
    Ok(framing)
}

/// A coding that exists is one that we do not have; every other is a mistake, or a trap for a reader
/// that looks for `chunked` within it.
fn coding(value: &[u8]) -> HeadFault {
    let known = ["gzip", "x-gzip", "compress", "x-compress", "deflate", "chunked"];
    let fields = [Field { name: "transfer-encoding".into(), value: value.into() }];
    let is_known = |part: &[u8]| known.iter().any(|k| part.eq_ignore_ascii_case(k.as_bytes()));
    let mut parts: Vec<&[u8]> = elements(&fields, "transfer-encoding").collect();
    let ends_chunked = parts.pop().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let once = !parts.iter().any(|part| part.eq_ignore_ascii_case(b"chunked"));
    let others = !parts.is_empty() && parts.iter().all(|part| is_known(part));
    if ends_chunked && once && others { HeadFault::CodingUnknown } else { HeadFault::Coding }
}

/// `Connection` names tokens, and none of the fields that say where a request goes and ends: taken
/// away with the rest, they would leave another request than the one judged.
fn connection(headers: &[Field]) -> Result<(), HeadFault> {
    let kept = ["host", "content-length", "transfer-encoding"];
    for part in elements(headers, "connection") {
        let name = token(part).ok_or(HeadFault::Connection)?;
        if kept.iter().any(|field| field.eq_ignore_ascii_case(name)) {
            return Err(HeadFault::Connection);
        }
    }
    Ok(())
}

/// Whether a field of this name names another method or target than the start line, to some server.
pub(crate) fn is_override(name: &[u8]) -> bool {
    OVERRIDES.iter().any(|other| is_same_field(other.as_bytes(), name))
}

/// Whether some server would take a field, by its name, for one that says where the body ends, which it was
/// not read for here.
fn is_masked(field: &Field) -> bool {
    ["content-length", "transfer-encoding"]
        .iter()
        .any(|name| field.is_like(name) && !field.is(name))
}

impl From<LineFault> for HeadFault {
    fn from(fault: LineFault) -> Self {
        Self::Line(fault)
    }
}
