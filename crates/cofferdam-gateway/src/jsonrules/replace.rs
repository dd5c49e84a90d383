//! One text of a body in place of another.

use std::ops::Range;

use cofferdam_policy::judge::requests::folded;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::JsonFault;

/// What [`super::replace_member`] does; the body was read before.
pub(super) fn replace(
    body: &[u8],
    path: &[String],
    expect: &[u8],
    with: &[u8],
) -> Result<Vec<u8>, JsonFault> {
    let text = std::str::from_utf8(body).map_err(|_| JsonFault::Syntax)?;
    let place = place(text, path)?;
    let given = text.get(place.clone()).ok_or(JsonFault::Syntax)?;
    if !given.starts_with('"') {
        return Err(JsonFault::Kind);
    }
    let given: String = serde_json::from_str(given).map_err(|_| JsonFault::Syntax)?;
    if !bool::from(given.as_bytes().ct_eq(expect)) {
        return Err(JsonFault::Other);
    }
    let with = std::str::from_utf8(with).map_err(|_| JsonFault::Real)?;
    let with = Zeroizing::new(serde_json::to_string(with).map_err(|_| JsonFault::Real)?);
    let (before, after) = (body.get(..place.start), body.get(place.end..));
    let (Some(before), Some(after)) = (before, after) else { return Err(JsonFault::Syntax) };
    Ok([before, with.as_bytes(), after].concat())
}

/// Where the value of the member stands, with its quotes.
fn place(text: &str, path: &[String]) -> Result<Range<usize>, JsonFault> {
    let mut at: &str = text.trim_matches([' ', '\t', '\n', '\r']);
    if path.is_empty() {
        return Err(JsonFault::Absent);
    }
    for name in path {
        if !at.starts_with('{') {
            return Err(JsonFault::Absent);
        }
        let Members(members) = serde_json::from_str(at).map_err(|_| JsonFault::Syntax)?;
        let same = |(other, _): &&(String, &RawValue)| folded(other) == folded(name);
        let mut found = members.iter().filter(same);
        match (found.next(), found.next()) {
            (Some((other, value)), None) if other == name => at = value.get(),
            (None, _) => return Err(JsonFault::Absent),
            (Some(_), _) => return Err(JsonFault::Twice),
        }
    }
    // It is a part of the text, so the addresses tell where.
    let start = at.as_ptr().addr().checked_sub(text.as_ptr().addr()).ok_or(JsonFault::Syntax)?;
    let place = start..start + at.len();
    if text.get(place.clone()) == Some(at) { Ok(place) } else { Err(JsonFault::Syntax) }
}

/// An object, its values as they are written.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        from.deserialize_map(Object).map(Self)
    }
}
