//! Whose identity a request bears: an allowed host is still a way out for who brings a key of their own.
//!
//! A rule with a credential passes requests that bear this session's stand-in, in the one place that the
//! credential says, and nothing else that could be an identity, wherever it stands. What may be one is told
//! by names alone ([`is_carrier_field`], [`is_carrier_parameter`]); of a body the rule names the member.

mod fault;
mod names;
mod own;
#[cfg(test)]
mod tests;

use std::ops::Range;

use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::{Request, is_same_field};

pub use self::fault::{Foreign, Kind};
pub use self::names::{is_carrier_field, is_carrier_parameter};
pub use self::own::Own;
use crate::forms;

/// Longest name that is told of. Bytes: all that are known fit.
const NAME_BYTES_MAX: usize = 64;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The field with this number.
    Field(usize),
    /// These bytes of the query: a parameter, its name and its value.
    Parameter(Range<usize>),
    /// A parameter of the path, behind a semicolon (RFC 3986, 3.3).
    Path,
    /// Before the host of a target (RFC 3986, 3.2.1).
    Userinfo,
}

/// A part of a request that may bear an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Where it is.
    pub place: Place,
    /// Its name, for the log: printable, at most 64 bytes, never the value.
    pub name: String,
}

/// Every part of a request's head that may bear an identity.
#[must_use]
pub fn carriers(request: &Request<'_>) -> Vec<Carrier> {
    let mut found = Vec::new();
    for (at, (name, _)) in request.headers.iter().enumerate() {
        if is_carrier_field(name.as_bytes()) {
            found.push(Carrier { place: Place::Field(at), name: told(name.as_bytes()) });
        }
    }
    if !request.path.starts_with('/') && request.path.contains('@') {
        found.push(Carrier { place: Place::Userinfo, name: "userinfo".into() });
    }
    for segment in request.path.split('/') {
        for parameter in segment.split(';').skip(1) {
            if let Some(name) = parameter_name(parameter.as_bytes()) {
                found.push(Carrier { place: Place::Path, name });
            }
        }
    }
    let query = request.query.unwrap_or_default();
    let mut start = 0;
    // Old servers part parameters at a semicolon.
    for parameter in query.split(['&', ';']) {
        let place = start..start + parameter.len();
        start = place.end + 1;
        if let Some(name) = parameter_name(parameter.as_bytes()) {
            found.push(Carrier { place: Place::Parameter(place), name });
        }
    }
    found
}

/// The name of a parameter that may bear an identity. One that can be read in two ways may.
fn parameter_name(parameter: &[u8]) -> Option<String> {
    let mut parts = parameter.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    let is_named = parts.next().is_some();
    let plain = forms::plain(name);
    let is_odd = plain.as_ref().is_none_or(|plain| {
        plain.iter().any(|byte| *byte == b'%' || byte.is_ascii_control() || !byte.is_ascii())
    });
    if !is_odd && !is_carrier_parameter(&plain.unwrap_or_default()) {
        return None;
    }
    // What stands alone may be a value.
    Some(if is_named && !is_odd { told(name) } else { "parameter".into() })
}

/// A name as it is told.
fn told(name: &[u8]) -> String {
    let letter = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    name.iter().take(NAME_BYTES_MAX).map(letter).collect()
}

/// Whether a request bears this session's own stand-in where `expected` says, and no other identity. Where
/// it is in the body, or is a signature, only the head is judged here ([`Own::Body`], [`Own::Signature`]).
///
/// # Errors
/// It is not there, is another, or is not alone.
pub fn check(request: &Request<'_>, expected: &Inject, stand_in: &[u8]) -> Result<Own, Foreign> {
    let found = own::find(request, expected, stand_in);
    let is_own = |carrier: &Carrier| match (&carrier.place, &found) {
        (Place::Field(at), _) => {
            let name = request.headers.get(*at).map_or("", |(name, _)| *name).as_bytes();
            own::fields(expected).iter().any(|own| is_same_field(own.as_bytes(), name))
        }
        (Place::Parameter(place), Ok(Own::Parameter { bytes })) => {
            place.start <= bytes.start && place.end == bytes.end
        }
        (Place::Parameter(_) | Place::Path | Place::Userinfo, _) => false,
    };
    let more = carriers(request).into_iter().find(|carrier| !is_own(carrier));
    match (found, more) {
        (Err(fault), _) if fault.kind != Kind::Missing => Err(fault),
        (_, Some(carrier)) => Err(Foreign { carrier: carrier.name, kind: Kind::Additional }),
        (found, None) => found,
    }
}
