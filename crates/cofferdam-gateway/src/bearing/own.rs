//! Whose identity a request bears: this session's own, in the one place where it belongs, and no other
//! one anywhere.
//!
//! An API that is allowed is still an exit for who has a key of their own to it. So a rule with a
//! credential passes a request only where what stands in for that credential is there, once, and nothing
//! else that a host could take for an identity.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::is_same_field;

use crate::fields::Field;
use crate::head::Head;
use crate::relay::split;

/// Where the stand-in is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// In these bytes of the value of this field.
    Field(usize, Range<usize>),
    /// It is the password of this user, in this field.
    Basic(usize, Vec<u8>),
    /// In these bytes of path and query.
    Query(Range<usize>),
    /// In the body, if it is anywhere.
    Body,
    /// In this field is a signature made with it, if it is one.
    Signature(usize),
}

/// Why a request does not bear the session's own identity, and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It bears none.
    None,
    /// What is in this place is not what stands in for the credential.
    Other(String),
    /// The place is there twice.
    Twice(String),
    /// In this place is one more.
    More(String),
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => out.write_str("it bears no identity"),
            Self::Other(place) => write!(out, "{place} is not this session's own"),
            Self::Twice(place) => write!(out, "{place} is there twice"),
            Self::More(place) => write!(out, "{place} is a further identity"),
        }
    }
}

/// Fields of other names that carry an identity.
const FIELDS: &[&str] =
    &["cookie", "cookie2", "dpop", "x-rapidapi-key", "x-client-cert", "client-cert"];
/// Words of a name that say that its value is one.
const WORDS: &[&str] = &[
    "apikey",
    "assertion",
    "auth",
    "authentication",
    "authorization",
    "credential",
    "credentials",
    "jwt",
    "passwd",
    "password",
    "secret",
    "sessionid",
    "signature",
    "token",
    "tokens",
];
/// Words before `key` that say so; a key of another kind is a place in a map.
const KEYS: &[&str] = &[
    "access",
    "account",
    "admin",
    "api",
    "app",
    "application",
    "auth",
    "functions",
    "license",
    "private",
    "secret",
    "security",
    "service",
    "signing",
    "subscription",
    "user",
];
/// Words before `token` that say that it is none: how far somebody has read, and what guards a form.
const NO_TOKENS: &[&str] = &[
    "continuation",
    "continue",
    "csrf",
    "cursor",
    "max",
    "next",
    "page",
    "paging",
    "previous",
    "start",
    "sync",
    "xsrf",
];
/// Beginnings of names in which such words say something else.
const NO_FIELDS: &[&str] = &["sec-websocket-", "sec-fetch-", "access-control-", "x-stainless-"];
/// Parameters of a query that carry one, whatever else their names say.
const PARAMETERS: &[&str] = &["key", "sig", "pwd", "pass", "sas"];

/// Finds the session's own identity in a request as it would go on.
///
/// # Errors
/// It bears none, another one, or more than one.
pub(crate) fn find(head: &Head, inject: &Inject, stand_in: &str) -> Result<Own, Foreign> {
    let (_, query) = split(head.target.path_and_query());
    let own = match inject {
        Inject::Header(name) => {
            let at = the_field(head, name)?;
            let value = &value(head, at);
            let whole = *value == stand_in.as_bytes();
            whole.then(|| Own::Field(at, 0..value.len())).ok_or_else(|| Foreign::Other(field(name)))
        }
        Inject::Bearer => {
            let at = the_field(head, "authorization")?;
            let value = value(head, at);
            let token = scheme(value, "bearer").filter(|token| *token == stand_in.as_bytes());
            let from = value.len() - stand_in.len().min(value.len());
            token
                .map(|_| Own::Field(at, from..value.len()))
                .ok_or_else(|| Foreign::Other(field("authorization")))
        }
        Inject::Basic(user) => {
            let at = the_field(head, "authorization")?;
            let named = basic(value(head, at), stand_in);
            let named =
                named.filter(|named| user.as_ref().is_none_or(|user| user.as_bytes() == named));
            named
                .map(|named| Own::Basic(at, named))
                .ok_or_else(|| Foreign::Other(field("authorization")))
        }
        Inject::Query(name) => parameter(head, name, stand_in),
        Inject::Cookie(name) => {
            let at = the_field(head, "cookie")?;
            let value = value(head, at);
            let start = format!("{name}=");
            let whole = value.strip_prefix(start.as_bytes()) == Some(stand_in.as_bytes());
            whole
                .then(|| Own::Field(at, start.len()..value.len()))
                .ok_or_else(|| Foreign::Other(field("cookie")))
        }
        Inject::Json(_) | Inject::Form(_) => Ok(Own::Body),
        Inject::SigV4 { .. } => the_field(head, "authorization").map(Own::Signature),
    };
    let own = own?;
    alone(head, query, &own)?;
    Ok(own)
}

/// As people read it.
fn field(name: &str) -> String {
    format!("the header `{name}`")
}

fn value(head: &Head, at: usize) -> &[u8] {
    head.headers.get(at).map(|field| field.value.as_slice()).unwrap_or_default()
}

/// The one field of this name. One of a name that some hosts take for it counts as a second one.
fn the_field(head: &Head, name: &str) -> Result<usize, Foreign> {
    let mut like = head.headers.iter().enumerate().filter(|(_, field)| field.is_like(name));
    match (like.next(), like.next()) {
        (None, _) => Err(Foreign::None),
        (Some((at, found)), None) if found.is(name) => Ok(at),
        (Some(_), None) => Err(Foreign::Other(field(name))),
        (Some(_), Some(_)) => Err(Foreign::Twice(field(name))),
    }
}

/// What follows a scheme of `Authorization` and one blank (RFC 9110, 11.4).
fn scheme<'v>(value: &'v [u8], name: &str) -> Option<&'v [u8]> {
    let (first, rest) = value.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b" ")?;
    first.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
}

/// The user of `Basic` credentials whose password is this (RFC 7617). Another spelling of the same bytes
/// in base64 is another value.
fn basic(value: &[u8], password: &str) -> Option<Vec<u8>> {
    let pair = STANDARD.decode(scheme(value, "basic")?).ok()?;
    let at = pair.iter().position(|byte| *byte == b':')?;
    let (user, rest) = pair.split_at(at);
    (rest.get(1..)? == password.as_bytes()).then(|| user.to_vec())
}

/// The one parameter of this name.
fn parameter(head: &Head, name: &str, stand_in: &str) -> Result<Own, Foreign> {
    let whole = head.target.path_and_query();
    let (path, Some(query)) = split(whole) else { return Err(Foreign::None) };
    let place = || format!("the parameter `{name}`");
    let mut found = None;
    let mut at = path.len() + 1;
    for part in query.split('&') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if is_same_field(&decoded(key), name.as_bytes()) {
            if found.is_some() {
                return Err(Foreign::Twice(place()));
            }
            let same = key == name && decoded(value) == stand_in.as_bytes();
            let from = at + key.len() + 1;
            found = Some(same.then(|| Own::Query(from..from + value.len())));
        }
        at += part.len() + 1;
    }
    found.ok_or(Foreign::None)?.ok_or_else(|| Foreign::Other(place()))
}

/// Refuses an identity beside the one that was found.
fn alone(head: &Head, query: Option<&str>, own: &Own) -> Result<(), Foreign> {
    let own_field = match own {
        Own::Field(at, _) | Own::Basic(at, _) | Own::Signature(at) => Some(*at),
        Own::Query(_) | Own::Body => None,
    };
    let signed = matches!(own, Own::Signature(_));
    for (at, other) in head.headers.iter().enumerate() {
        // It belongs to the signature, and is asked about with it.
        let part = signed && other.is("x-amz-security-token");
        if Some(at) != own_field && !part && carries(&other.name) {
            return Err(Foreign::More(field(&other.name.to_ascii_lowercase())));
        }
    }
    let mut at = split(head.target.path_and_query()).0.len() + 1;
    for part in query.into_iter().flat_map(|query| query.split('&')) {
        let key = part.split('=').next().unwrap_or(part);
        let is_own = matches!(own, Own::Query(range) if range.start == at + key.len() + 1);
        if !is_own && is_parameter(&decoded(key)) {
            let name = String::from_utf8_lossy(&decoded(key)).into_owned();
            return Err(Foreign::More(format!("the parameter `{}`", name.escape_debug())));
        }
        at += part.len() + 1;
    }
    Ok(())
}

/// Whether a field of this name carries an identity.
fn carries(name: &str) -> bool {
    let small = name.to_ascii_lowercase();
    if NO_FIELDS.iter().any(|start| small.starts_with(start)) {
        return false;
    }
    FIELDS.iter().any(|known| is_same_field(small.as_bytes(), known.as_bytes()))
        || says_so(name.as_bytes())
}

/// The same of a parameter.
fn is_parameter(name: &[u8]) -> bool {
    let small = name.to_ascii_lowercase();
    PARAMETERS.iter().any(|known| small == known.as_bytes())
        || small.starts_with(b"x-amz-")
        || small.starts_with(b"x-goog-")
        || small == b"awsaccesskeyid"
        || says_so(name)
}

/// Whether the words of a name say that its value is an identity.
fn says_so(name: &[u8]) -> bool {
    let words = words(name);
    let before = |at: usize| at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str);
    words.iter().enumerate().any(|(at, word)| {
        let is_token = word.ends_with("token") || word.ends_with("tokens");
        let no_token = before(at).is_some_and(|word| NO_TOKENS.contains(&word));
        let is_key = word == "key" && before(at).is_some_and(|word| KEYS.contains(&word));
        (is_token && !no_token)
            || is_key
            || word.ends_with("apikey")
            || (WORDS.contains(&word.as_str()) && !is_token)
    })
}

/// Words of `x-api-key`, `x_api_key` and `xApiKey`, in small letters.
fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_small = false;
    for byte in name {
        let begins = !byte.is_ascii_alphanumeric() || (was_small && byte.is_ascii_uppercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| byte.is_ascii_alphanumeric()) {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        was_small = byte.is_ascii_lowercase();
    }
    words
}

/// A part of a query without its percent signs (RFC 3986, 2.1); `+` is a blank to most readers.
fn decoded(part: &str) -> Vec<u8> {
    let bytes = part.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let code = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        let code = code.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    out
}

/// The value of `Authorization: Basic` for this user and password, to be overwritten.
pub(super) fn basic_value(user: &[u8], password: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    let pair = zeroize::Zeroizing::new([user, b":", password].concat());
    let coded = zeroize::Zeroizing::new(STANDARD.encode(pair.as_slice()));
    zeroize::Zeroizing::new([b"Basic ".as_slice(), coded.as_bytes()].concat())
}

/// A secret as a value in a query: every byte that is not unreserved is coded (RFC 3986, 2.3).
pub(super) fn in_query(secret: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(secret.len() * 3));
    for byte in secret {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// Replaces bytes of a field, and overwrites what was there.
pub(super) fn replace(field: &mut Field, range: Range<usize>, with: &[u8]) {
    let (before, after) = (field.value.get(..range.start), field.value.get(range.end..));
    let new = [before.unwrap_or_default(), with, after.unwrap_or_default()].concat();
    zeroize::Zeroize::zeroize(&mut field.value);
    field.value = new;
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
