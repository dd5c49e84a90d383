//! A request as it is signed (AWS: "Create a canonical request").

use cofferdam_policy::judge::requests::Request;

use super::{SigV4Fault, TOKEN, sha256};
use crate::percent::{decode, encode};

/// Services whose paths are signed as they are written. All others sign the path in its normal form, and
/// what is coded in it is coded again.
const AS_WRITTEN: &[&str] = &["s3", "s3-object-lambda", "s3-outposts", "s3express"];
/// What stands in a URL that is signed, in versions 4 and 2.
const SIGNS: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-region-set",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "awsaccesskeyid",
    "signature",
];

/// The parts that are the same whoever signs.
#[derive(Debug)]
pub(super) struct Canonical<'p> {
    method: String,
    path: Vec<u8>,
    query: Vec<u8>,
    payload: &'p [u8],
}

impl<'p> Canonical<'p> {
    pub(super) fn of(
        request: &Request<'_>,
        service: &str,
        payload: &'p [u8],
    ) -> Result<Self, SigV4Fault> {
        let path = path(request.path, service)?;
        let query = query(request.query.unwrap_or_default())?;
        Ok(Self { method: request.method.into(), path, query, payload })
    }

    /// The hash of the whole, with these fields. A token that is given stands for the one that came.
    pub(super) fn hash(
        &mut self,
        request: &Request<'_>,
        names: &[String],
        token: Option<&[u8]>,
    ) -> Result<[u8; 32], SigV4Fault> {
        let mut whole = Vec::new();
        for line in [self.method.as_bytes(), &self.path, &self.query] {
            whole.extend_from_slice(line);
            whole.push(b'\n');
        }
        for name in names {
            whole.extend_from_slice(name.as_bytes());
            whole.push(b':');
            match token.filter(|_| name == TOKEN) {
                Some(token) => value(&mut whole, token),
                None => values(&mut whole, request, name)?,
            }
            whole.push(b'\n');
        }
        whole.push(b'\n');
        whole.extend_from_slice(names.join(";").as_bytes());
        whole.push(b'\n');
        whole.extend_from_slice(self.payload);
        sha256(&whole).as_ref().try_into().map_err(|_| SigV4Fault::Signature)
    }
}

/// All values of a field, in order, with commas between.
fn values(out: &mut Vec<u8>, request: &Request<'_>, name: &str) -> Result<(), SigV4Fault> {
    let mut is_first = true;
    for (_, given) in request.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)) {
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        value(out, given);
    }
    if is_first { Err(SigV4Fault::Missing) } else { Ok(()) }
}

/// One value: no blanks around it, and one where there were several.
fn value(out: &mut Vec<u8>, given: &[u8]) {
    let mut is_after_blank = true;
    for byte in given.trim_ascii() {
        let is_blank = *byte == b' ';
        if !(is_blank && is_after_blank) {
            out.push(*byte);
        }
        is_after_blank = is_blank;
    }
}

fn path(path: &str, service: &str) -> Result<Vec<u8>, SigV4Fault> {
    if !path.starts_with('/') {
        return Err(SigV4Fault::Path);
    }
    if AS_WRITTEN.contains(&service) {
        return Ok(path.into());
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in &parts {
        out.push(b'/');
        encode(&mut out, part.as_bytes(), b"");
    }
    if parts.is_empty() || path.ends_with('/') {
        out.push(b'/');
    }
    Ok(out)
}

/// Parameters in order of name and value, each coded in the one way.
fn query(query: &str) -> Result<Vec<u8>, SigV4Fault> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let coded = |part: &str| {
        // A plus is a blank to some hosts and a plus to others.
        let bytes = decode(part.as_bytes()).filter(|_| !part.contains('+'));
        let mut out = Vec::with_capacity(part.len());
        encode(&mut out, &bytes.ok_or(SigV4Fault::Query)?, b"");
        Ok(out)
    };
    let mut parameters = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.is_empty() {
            return Err(SigV4Fault::Query);
        }
        parameters.push((coded(name)?, coded(value)?));
    }
    parameters.sort_unstable();
    let joined = parameters.iter().map(|(name, value)| [name.as_slice(), value].join(&b'='));
    Ok(joined.collect::<Vec<_>>().join(&b'&'))
}

/// Whether a URL bears a signature, or some part of one.
pub(super) fn is_presigned(query: Option<&str>) -> bool {
    let is_part = |parameter: &str| {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(name) = decode(name.as_bytes()) else { return false };
        // Some readers leave out blanks before a name.
        let name = name.trim_ascii().to_ascii_lowercase();
        let same = |known: &&str| {
            cofferdam_policy::judge::requests::is_same_field(known.as_bytes(), &name)
        };
        SIGNS.iter().any(same)
    };
    query.is_some_and(|query| query.split(['&', ';']).any(is_part))
}
