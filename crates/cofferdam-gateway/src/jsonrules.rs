//! What a rule asks of a body in JSON: that members are not there, and that one holds a stand-in, which is
//! replaced.
//!
//! A body that two readers could take in two ways is refused. Names and values are compared as the laxest
//! reader known compares them, so that more is refused, never less: Go's takes a member of any case, a URL
//! is read without blanks before it.

mod fault;
mod replace;
#[cfg(test)]
mod tests;

use cofferdam_policy::judge::requests::{
    MemberPattern as Pattern, Request, States, folded, is_same_field,
};

pub use self::fault::JsonFault;
use crate::graphql::is_json;
use crate::json::{self, Json, Odd};

/// Longest body in which something is refused: an API of models takes pictures and whole conversations.
/// Bytes. It is held until it is judged.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Most values of such a body: each costs much more memory than its bytes.
pub const VALUES_MAX: usize = 1 << 20;

/// Whether a request's whole body may go on by what a rule refuses. One without any has nothing in it.
///
/// # Errors
/// The same as of [`refuse`], or it is something else than JSON to some reader.
pub fn refuse_of(
    patterns: &[Pattern],
    request: &Request<'_>,
    body: &[u8],
) -> Result<(), JsonFault> {
    if body.is_empty() {
        return Ok(());
    }
    let of = |wanted: &'static [u8]| {
        request.headers.iter().filter(move |(name, _)| is_same_field(wanted, name.as_bytes()))
    };
    if of(b"content-encoding").next().is_some() {
        return Err(JsonFault::Coded);
    }
    let mut types = of(b"content-type");
    match (types.next(), types.next()) {
        (Some((name, value)), None)
            if name.eq_ignore_ascii_case("content-type") && is_json(value) => {}
        (_, _) => return Err(JsonFault::Type),
    }
    refuse(patterns, body)
}

/// Whether no pattern finds anything in a body, which is one value of JSON. In time linear in the body for
/// each pattern.
///
/// # Errors
/// A pattern finds something, or the body can be read in two ways.
pub fn refuse(patterns: &[Pattern], body: &[u8]) -> Result<(), JsonFault> {
    let value = read(body)?;
    let live: Vec<Live<'_>> = patterns.iter().map(|pattern| (pattern, pattern.start())).collect();
    match found(&live, &value) {
        Some(pattern) => Err(JsonFault::Found { pattern: pattern.to_string() }),
        None => Ok(()),
    }
}

/// Replaces the text of one member, which has to be `expect`, by `with`: the way to it is names of members
/// of objects, one in the other. All other bytes stay as they came.
///
/// # Errors
/// The member is not there, is no text or another one, its name is there twice to some reader, or the body
/// can be read in two ways.
pub fn replace_member(
    body: &[u8],
    path: &[String],
    expect: &[u8],
    with: &[u8],
) -> Result<Vec<u8>, JsonFault> {
    read(body)?;
    replace::replace(body, path, expect, with)
}

fn read(body: &[u8]) -> Result<Json, JsonFault> {
    let text = std::str::from_utf8(body).map_err(|_| JsonFault::Syntax)?;
    if values(text) > VALUES_MAX {
        return Err(JsonFault::Many);
    }
    let value = json::read(text).map_err(|odd| match odd {
        Odd::Syntax => JsonFault::Syntax,
        Odd::Twice => JsonFault::Twice,
    })?;
    if has_cut_name(&value) { Err(JsonFault::Name) } else { Ok(value) }
}

/// At least as many as there are values in a text, if it is JSON: one for each sign that begins or parts them.
fn values(text: &str) -> usize {
    let (mut count, mut within, mut escaped) = (1_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            b',' | b'[' | b'{' if !within => count += 1,
            _ => {}
        }
    }
    count
}

/// Whether a name holds a byte 0, where some readers end it. As deep as the reader allows.
fn has_cut_name(value: &Json) -> bool {
    match value {
        Json::Null | Json::Text(_) | Json::Other => false,
        Json::List(some) => some.iter().any(has_cut_name),
        Json::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_cut_name(value))
        }
    }
}

/// A pattern, and how far it has come.
type Live<'p> = (&'p Pattern, States);

/// The first pattern, of those that have come so far, that ends at `value` or within. As deep as the reader
/// allows.
fn found<'p>(live: &[Live<'p>], value: &Json) -> Option<&'p Pattern> {
    let text = match value {
        Json::Text(text) => Some(text.as_str()),
        Json::Null | Json::Other | Json::List(_) | Json::Object(_) => None,
    };
    if let Some((pattern, _)) = live.iter().find(|(pattern, states)| pattern.ends(*states, text)) {
        return Some(pattern);
    }
    let next = |name: Option<&str>| -> Vec<Live<'p>> {
        let step = |(pattern, states): &Live<'p>| (*pattern, pattern.step(*states, name));
        live.iter().map(step).filter(|(_, states)| !states.is_empty()).collect()
    };
    match value {
        _ if live.is_empty() => None,
        Json::Null | Json::Text(_) | Json::Other => None,
        Json::List(some) => {
            let live = next(None);
            some.iter().find_map(|one| found(&live, one))
        }
        Json::Object(members) => {
            members.iter().find_map(|(name, one)| found(&next(Some(&folded(name))), one))
        }
    }
}
