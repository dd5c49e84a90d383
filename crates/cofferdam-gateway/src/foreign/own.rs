//! Where a request bears this session's stand-in.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::{Request, is_same_field};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Foreign, Kind, told};
use crate::forms;
use crate::percent::{decode, encode};

/// Where the stand-in stands, so that its bytes and no others are replaced, by [`Own::written`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// In a field.
    Field {
        /// The field's number.
        at: usize,
        /// Of its value.
        bytes: Range<usize>,
    },
    /// The value of the one cookie.
    Cookie {
        /// The number of the field.
        at: usize,
        /// Of its value.
        bytes: Range<usize>,
    },
    /// In user and password.
    Basic {
        /// The number of the field.
        at: usize,
        /// Of its value: what is in base64.
        bytes: Range<usize>,
        /// Who is named, up to the colon.
        user: String,
    },
    /// The value of a parameter.
    Parameter {
        /// Of the query.
        bytes: Range<usize>,
    },
    /// In the body, which has not been looked at ([`crate::jsonrules`], [`crate::forms`]).
    Body,
    /// A signature, which has not been verified ([`crate::sigv4`]).
    Signature,
}

impl Own {
    /// What is written in place of the bytes, for `real`. `None` where such a place cannot bear the secret,
    /// or is in the body or a signature.
    #[must_use]
    pub fn written(&self, real: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let is_value = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic() || !byte.is_ascii();
        let is_octet = |byte: &u8| byte.is_ascii_graphic() && !b"\",;\\".contains(byte);
        let is_text = |byte: &u8| !byte.is_ascii_control();
        let fits = match self {
            // Readers leave out blanks around a value.
            Self::Field { .. } => real.iter().all(is_value) && real.trim_ascii() == real,
            Self::Cookie { .. } => real.iter().all(is_octet),
            Self::Basic { .. } => real.iter().all(is_text),
            Self::Parameter { .. } => true,
            Self::Body | Self::Signature => false,
        };
        if !fits || real.is_empty() {
            return None;
        }
        let mut out = Zeroizing::new(Vec::new());
        match self {
            Self::Field { .. } | Self::Cookie { .. } => out.extend_from_slice(real),
            Self::Basic { user, .. } => {
                let plain = Zeroizing::new([user.as_bytes(), b":", real].concat());
                let coded = Zeroizing::new(STANDARD.encode(plain.as_slice()));
                out.extend_from_slice(coded.as_bytes());
            }
            Self::Parameter { .. } => encode(&mut out, real, b""),
            Self::Body | Self::Signature => return None,
        }
        Some(out)
    }
}

/// The fields that bear what is expected.
pub(super) fn fields(expected: &Inject) -> Vec<&str> {
    match expected {
        Inject::Header(name) => vec![name],
        Inject::Bearer | Inject::Basic(_) => vec!["authorization"],
        Inject::Cookie(_) => vec!["cookie"],
        Inject::SigV4 { .. } => vec!["authorization", "x-amz-security-token"],
        Inject::Query(_) | Inject::Json(_) | Inject::Form(_) | Inject::Ssh(_) => Vec::new(),
    }
}

pub(super) fn find(
    request: &Request<'_>,
    expected: &Inject,
    stand_in: &[u8],
) -> Result<Own, Foreign> {
    match expected {
        Inject::Header(name) => {
            let (at, value) = one(request, name)?;
            let bytes = is_own(name, stand_in, value, 0..value.len())?;
            Ok(Own::Field { at, bytes })
        }
        Inject::Bearer => {
            let (at, value) = one(request, "authorization")?;
            // GitHub's own programs call it otherwise.
            let start = scheme(value, b"bearer").or_else(|_| scheme(value, b"token"))?;
            let bytes = is_own("authorization", stand_in, value, start..value.len())?;
            Ok(Own::Field { at, bytes })
        }
        Inject::Basic(user) => basic(request, user.as_deref(), stand_in),
        Inject::Query(name) => parameter(request.query.unwrap_or_default(), name, stand_in),
        Inject::Cookie(name) => {
            let (at, value) = one(request, "cookie")?;
            let start =
                value.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            let start = value.len() - start.ok_or_else(|| other("cookie"))?.len();
            let bytes = is_own("cookie", stand_in, value, start..value.len())?;
            Ok(Own::Cookie { at, bytes })
        }
        Inject::Json(_) | Inject::Form(_) => Ok(Own::Body),
        Inject::SigV4 { .. } => one(request, "authorization").map(|_| Own::Signature),
        // No rule names one: no request bears a key of ssh.
        Inject::Ssh(_) => Err(Foreign { carrier: "ssh".into(), kind: Kind::Missing }),
    }
}

fn other(carrier: &str) -> Foreign {
    Foreign { carrier: told(carrier.as_bytes()), kind: Kind::Other }
}

/// Number and value of the one field of this name.
fn one<'a>(request: &Request<'a>, name: &str) -> Result<(usize, &'a [u8]), Foreign> {
    let fault = |kind| Foreign { carrier: told(name.as_bytes()), kind };
    let fields = request.headers.iter().enumerate();
    let mut fields = fields.filter(|(_, field)| is_same_field(field.0.as_bytes(), name.as_bytes()));
    match (fields.next(), fields.next()) {
        (None, _) => Err(fault(Kind::Missing)),
        (Some(_), Some(_)) => Err(fault(Kind::Twice)),
        // Another spelling is another field to some hosts.
        (Some((_, (field, _))), None) if !field.eq_ignore_ascii_case(name) => {
            Err(fault(Kind::Additional))
        }
        (Some((at, (_, value))), None) => Ok((at, value)),
    }
}

/// The range, where it holds the stand-in.
fn is_own(
    carrier: &str,
    stand_in: &[u8],
    value: &[u8],
    bytes: Range<usize>,
) -> Result<Range<usize>, Foreign> {
    let given = value.get(bytes.clone()).unwrap_or_default();
    let is_own = !stand_in.is_empty() && bool::from(given.ct_eq(stand_in));
    if is_own { Ok(bytes) } else { Err(other(carrier)) }
}

/// Where what follows a scheme and one blank begins.
fn scheme(value: &[u8], scheme: &[u8]) -> Result<usize, Foreign> {
    let start = scheme.len() + 1;
    let (given, blank) = (value.get(..scheme.len()), value.get(scheme.len()));
    let is_scheme = given.is_some_and(|given| given.eq_ignore_ascii_case(scheme));
    if is_scheme && blank == Some(&b' ') { Ok(start) } else { Err(other("authorization")) }
}

fn basic(request: &Request<'_>, user: Option<&str>, stand_in: &[u8]) -> Result<Own, Foreign> {
    let fault = || other("authorization");
    let (at, value) = one(request, "authorization")?;
    let bytes = scheme(value, b"basic")?..value.len();
    let coded = value.get(bytes.clone()).unwrap_or_default();
    // The engine takes one spelling alone: with its padding, and without bits that say nothing.
    let plain = STANDARD.decode(coded).map_err(|_| fault())?;
    let colon = plain.iter().position(|byte| *byte == b':').ok_or_else(fault)?;
    let (given, password) = plain.split_at(colon);
    is_own("authorization", stand_in, password, 1..password.len())?;
    let given = std::str::from_utf8(given).map_err(|_| fault())?;
    let is_user = user.is_none_or(|user| user == given) && !given.contains(char::is_control);
    if !is_user {
        return Err(fault());
    }
    Ok(Own::Basic { at, bytes, user: given.into() })
}

fn parameter(query: &str, name: &str, stand_in: &[u8]) -> Result<Own, Foreign> {
    let fault = |kind| Foreign { carrier: told(name.as_bytes()), kind };
    let query = query.as_bytes();
    let mut written = Vec::new();
    encode(&mut written, name.as_bytes(), b"");
    let mut found = None;
    for pair in forms::pairs(query) {
        let given = query.get(pair.name).unwrap_or_default();
        let is_like =
            forms::plain(given).is_some_and(|plain| forms::is_like(&plain, name.as_bytes()));
        if !is_like {
            continue;
        }
        if given != name.as_bytes() && given != written {
            return Err(fault(Kind::Additional));
        }
        if found.replace(pair.value).is_some() {
            return Err(fault(Kind::Twice));
        }
    }
    let bytes = found.ok_or_else(|| fault(Kind::Missing))?;
    let value = decode(query.get(bytes.clone()).unwrap_or_default());
    let value = value.ok_or_else(|| fault(Kind::Other))?;
    is_own(name, stand_in, &value, 0..value.len())?;
    Ok(Own::Parameter { bytes })
}
