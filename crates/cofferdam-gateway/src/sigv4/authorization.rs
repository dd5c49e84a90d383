//! The field `Authorization` of a request that is signed by version 4.

use cofferdam_policy::judge::requests::Request;

use super::{ALGORITHM, SigV4Fault, one};
use crate::fields::is_token;
use crate::percent::unhex;

/// Most fields that are signed: as many as a head has.
const NAMES_MAX: usize = crate::fields::HEADERS_MAX;
/// What is never signed: a host may see another of these than was sent, and the signature itself.
const NEVER: &[&str] = &[
    "authorization",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Its parts.
#[derive(Debug)]
pub(super) struct Authorization {
    /// The key's name.
    pub(super) id: String,
    /// What follows it in `Credential`.
    pub(super) scope: String,
    /// Of the fields that are signed: small letters, in order, none twice.
    pub(super) names: Vec<String>,
    pub(super) signature: [u8; 32],
}

impl Authorization {
    /// Its three parts, in the order that every client has, and nothing else.
    pub(super) fn read(request: &Request<'_>) -> Result<Self, SigV4Fault> {
        let value = one(request, "authorization", SigV4Fault::Twice)?.ok_or(SigV4Fault::Absent)?;
        let text = std::str::from_utf8(value).map_err(|_| SigV4Fault::Form)?;
        let (algorithm, rest) = text.split_once(' ').ok_or(SigV4Fault::Algorithm)?;
        if algorithm != ALGORITHM {
            return Err(SigV4Fault::Algorithm);
        }
        let mut parts = rest.split(',');
        let mut part = |name: &str| {
            let part = parts.next()?.trim_matches(' ');
            part.strip_prefix(name)?.strip_prefix('=')
        };
        let credential = part("Credential").ok_or(SigV4Fault::Form)?;
        let names = part("SignedHeaders").ok_or(SigV4Fault::Form)?;
        let signature = part("Signature").ok_or(SigV4Fault::Form)?;
        if parts.next().is_some() {
            return Err(SigV4Fault::Form);
        }
        let (id, scope) = credential.split_once('/').ok_or(SigV4Fault::Form)?;
        if !is_id(id) {
            return Err(SigV4Fault::Form);
        }
        let signature = unhex(signature.as_bytes()).ok_or(SigV4Fault::Form)?;
        let names: Vec<String> = names.split(';').map(str::to_owned).collect();
        let is_sorted = names.is_sorted_by(|one, other| one < other);
        let is_name = |name: &String| {
            let is_small = !name.bytes().any(|byte| byte.is_ascii_uppercase());
            let is_plain = is_small && !name.is_empty() && name.bytes().all(is_token);
            is_plain && !NEVER.contains(&name.as_str())
        };
        if !is_sorted || names.len() > NAMES_MAX || !names.iter().all(is_name) {
            return Err(SigV4Fault::Names);
        }
        Ok(Self { id: id.into(), scope: scope.into(), names, signature })
    }
}

/// Whether it can be a key's name: nothing that ends it, or a part of the field, to some reader.
pub(super) fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !id.is_empty() && id.bytes().all(is_plain)
}
