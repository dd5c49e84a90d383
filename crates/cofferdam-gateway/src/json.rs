//! JSON in which no member stands twice: readers differ in which of two they take.
//!
//! RFC 8259 and nothing beside it: no byte order mark, no comment, no number that is none, no half of a
//! surrogate pair, nothing behind.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value. What nobody asks for is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Text(String),
    /// A number or a truth.
    Other,
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why a text is not one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// It is no JSON, or over 128 deep: `serde_json`'s own bound.
    Syntax,
    /// A member stands there twice.
    Twice,
}

/// The one value of a text.
pub(crate) fn read(text: &str) -> Result<Json, Odd> {
    let json: Json = serde_json::from_str(text).map_err(|_| Odd::Syntax)?;
    if twice(&json) { Err(Odd::Twice) } else { Ok(json) }
}

/// Whether an object has two members of one name, at any depth.
fn twice(json: &Json) -> bool {
    match json {
        Json::Null | Json::Text(_) | Json::Other => false,
        Json::List(some) => some.iter().any(twice),
        Json::Object(members) => {
            let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            names.len() < count || members.iter().any(|(_, value)| twice(value))
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut some = Vec::new();
        while let Some(one) = from.next_element()? {
            some.push(one);
        }
        Ok(Json::List(some))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
