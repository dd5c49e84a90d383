//! Objects of JSON, read so that every reader sees the same: no name is there twice.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::error::MemberFault;
use super::secret::{Secret, SecretFault};

/// Most members of one object.
const MEMBERS_MAX: usize = 4_096;
/// How an error of ours is told from those of the parser.
const TWICE: &str = "a name is there twice";

/// The members of an object, in their order.
pub(super) struct Members<'a, V>(pub(super) Vec<(Cow<'a, str>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Members<'a, V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reader(PhantomData)).map(Members)
    }
}

struct Reader<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
    type Value = Vec<(Cow<'static, str>, V)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'static, str>, V)> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(TWICE));
            }
            if members.len() >= MEMBERS_MAX {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name.into(), value));
        }
        Ok(members)
    }
}

/// The string at the end of the way `member` into an object of JSON.
pub(super) fn string_of(
    json: &[u8],
    member: &[String],
) -> Result<Result<Secret, SecretFault>, MemberFault> {
    let at = at(json, member)?;
    let value: String = serde_json::from_str(at.get()).map_err(|_| MemberFault::OtherType)?;
    Ok(Secret::of(Zeroizing::new(value).as_bytes()))
}

/// The same object with another string there; all other bytes stay.
pub(super) fn with_string(
    json: &[u8],
    member: &[String],
    value: &Secret,
) -> Result<Result<Secret, SecretFault>, MemberFault> {
    let at = at(json, member)?.get();
    if !at.starts_with('"') {
        return Err(MemberFault::OtherType);
    }
    let value = std::str::from_utf8(value.expose()).map_err(|_| MemberFault::OtherType)?;
    let value = serde_json::to_string(value).map_err(|_| MemberFault::OtherType)?;
    let value = Zeroizing::new(value);
    // It is a part of the text, so the addresses tell where.
    let start = at.as_ptr().addr().checked_sub(json.as_ptr().addr());
    let start = start.ok_or(MemberFault::NotJson)?;
    let (before, after) = (json.get(..start), json.get(start + at.len()..));
    let (Some(before), Some(after)) = (before, after) else { return Err(MemberFault::NotJson) };
    let mut out = Zeroizing::new(Vec::with_capacity(json.len() + value.len()));
    [before, value.as_bytes(), after].iter().for_each(|piece| out.extend_from_slice(piece));
    Ok(Secret::of(&out))
}

/// Longest text of a member that is no secret. Bytes.
const PLAIN_BYTES_MAX: usize = 4 << 10;

/// What stands there, as it stands there on one line: it is no secret. `null` where it is not there.
pub(super) fn plain_of(json: &[u8], member: &[String]) -> Result<String, MemberFault> {
    let text = match at(json, member) {
        Err(MemberFault::Missing) => return Ok("null".into()),
        found => found?.get(),
    };
    // Between its parts alone there are lines.
    let line: String = text.chars().filter(|letter| !letter.is_control()).collect();
    if line.len() > PLAIN_BYTES_MAX { Err(MemberFault::OtherType) } else { Ok(line) }
}

/// What stands at the end of the way.
fn at<'j>(json: &'j [u8], member: &[String]) -> Result<&'j RawValue, MemberFault> {
    let mut at: &RawValue = serde_json::from_slice(json).map_err(|_| MemberFault::NotJson)?;
    for name in member {
        if !at.get().starts_with('{') {
            return Err(MemberFault::OtherType);
        }
        let members: Members<'_, &RawValue> = serde_json::from_str(at.get()).map_err(|error| {
            let twice = error.to_string().starts_with(TWICE);
            if twice { MemberFault::Twice } else { MemberFault::NotJson }
        })?;
        let mut found = members.0.into_iter().filter(|row| row.0 == *name);
        at = found.next().ok_or(MemberFault::Missing)?.1;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_is_as_it_stands() {
        use MemberFault::{NotJson, OtherType};
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(PLAIN_BYTES_MAX));
        for (json, member, want, why) in [
            (r#"{"a": 17, "b": 1}"#, &["a"][..], Ok("17"), "a number"),
            (r#"{"a": {"b": "x\"y"}}"#, &["a", "b"], Ok(r#""x\"y""#), "a text with its quotes"),
            ("{\"a\": [\"x\",\n \"y\"]}", &["a"], Ok("[\"x\", \"y\"]"), "on one line"),
            (r#"{"a": 17}"#, &["b"], Ok("null"), "not there"),
            (r#"{"a": 17}"#, &["a", "b"], Err(OtherType), "nothing within"),
            ("text", &["a"], Err(NotJson), "no JSON"),
            (&long, &["a"], Err(OtherType), "too long"),
        ] {
            let member: Vec<String> = member.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(plain_of(json.as_bytes(), &member), want.map(str::to_owned), "{why}");
        }
    }

    #[test]
    fn another_string_is_put_there() {
        use MemberFault::{Missing, OtherType};
        for (json, member, want, why) in [
            (r#"{"a": "x", "b": 1}"#, &["a"][..], Ok(r#"{"a": "n\"w", "b": 1}"#), "a member"),
            (
                r#" {"o":{"t":"x y"},"n":[1,{}]} "#,
                &["o", "t"],
                Ok(r#" {"o":{"t":"n\"w"},"n":[1,{}]} "#),
                "within",
            ),
            (r#"{"a":null}"#, &["a"], Err(OtherType), "nothing is no string"),
            (r#"{"b":"x"}"#, &["a"], Err(Missing), "another name"),
        ] {
            let member: Vec<String> = member.iter().map(|&name| name.to_owned()).collect();
            let value = Secret::of(b"n\"w").unwrap();
            let got = with_string(json.as_bytes(), &member, &value);
            let got =
                got.map(|secret| String::from_utf8(secret.unwrap().expose().to_vec()).unwrap());
            assert_eq!(got, want.map(str::to_owned), "{why}");
        }
    }

    #[test]
    fn the_way_to_a_string() {
        use MemberFault::{Missing, NotJson, OtherType, Twice};
        let deep = format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000));
        for (json, member, want, why) in [
            (r#"{"a":"x"}"#, &["a"][..], Ok("x"), "a member"),
            (r#" {"o":{"t":"x y"},"n":[1,{}]} "#, &["o", "t"], Ok("x y"), "a member of a member"),
            (r#"{"a":"\u0078\n"}"#, &["a"], Ok("x\n"), "escaped"),
            (r#"{"\u0061":"x"}"#, &["a"], Ok("x"), "an escaped name"),
            (r#"{"a.b":"x"}"#, &["a.b"], Ok("x"), "a dot is a letter"),
            (r#"{"b":"x"}"#, &["a"], Err(Missing), "another name"),
            (r#"{"a":{}}"#, &["a", "b"], Err(Missing), "an empty object"),
            (r#"{"a":"x","a":"y"}"#, &["a"], Err(Twice), "readers take either"),
            (r#"{"a":"x","\u0061":"y"}"#, &["a"], Err(Twice), "the same in other letters"),
            (r#"{"b":1,"b":2,"a":"x"}"#, &["a"], Err(Twice), "another name twice"),
            (r#"{"a":1}"#, &["a"], Err(OtherType), "a number"),
            (r#"{"a":null}"#, &["a"], Err(OtherType), "nothing"),
            (r#"{"a":["x"]}"#, &["a", "0"], Err(OtherType), "a list"),
            (r#"["x"]"#, &["a"], Err(OtherType), "no object"),
            (r#"{"a":"x"} {"a":"y"}"#, &["a"], Err(NotJson), "two of them"),
            (r#"{"a":"x""#, &["a"], Err(NotJson), "cut"),
            (r#"{a:"x"}"#, &["a"], Err(NotJson), "no JSON"),
            ("", &["a"], Err(NotJson), "nothing"),
            (&deep, &["a"], Err(OtherType), "however deep"),
        ] {
            let member: Vec<String> = member.iter().map(|&name| name.to_owned()).collect();
            let got = string_of(json.as_bytes(), &member);
            let got =
                got.map(|secret| String::from_utf8(secret.unwrap().expose().to_vec()).unwrap());
            assert_eq!(got, want.map(str::to_owned), "{why}");
        }
        let member = ["a".to_owned()];
        for (json, want) in [
            (r#"{"a":""}"#, SecretFault::Empty),
            (r#"{"a":"x\u0000"}"#, SecretFault::Control),
            (r#"{"a":"x\r\ny"}"#, SecretFault::Control),
        ] {
            assert_eq!(string_of(json.as_bytes(), &member).unwrap().err(), Some(want), "{json}");
        }
    }
}
