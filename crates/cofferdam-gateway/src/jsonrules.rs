//! What a rule asks of a body in JSON: that members are not there, and that one holds a stand-in, which is
//! replaced.
//!
//! A body that two readers could take in two ways is refused. Names and values are compared as the laxest
//! reader known compares them, so that more is refused, never less: Go's takes a member of any case, a URL
//! is read without blanks before it.

mod fault;
mod pattern;
mod replace;
#[cfg(test)]
mod tests;

pub use self::fault::{JsonFault, PatternFault};
use self::pattern::States;
pub use self::pattern::{PARTS_MAX, Pattern};
use crate::json::{self, Json, Odd};

/// Whether no pattern finds anything in a body, which is one value of JSON. In time linear in the body for
/// each pattern.
///
/// # Errors
/// A pattern finds something, or the body can be read in two ways.
pub fn refuse(patterns: &[Pattern], body: &[u8]) -> Result<(), JsonFault> {
    let value = read(body)?;
    for pattern in patterns {
        if finds(pattern, pattern.start(), &value) {
            return Err(JsonFault::Found { pattern: pattern.to_string() });
        }
    }
    Ok(())
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
    let value = json::read(text).map_err(|odd| match odd {
        Odd::Syntax => JsonFault::Syntax,
        Odd::Twice => JsonFault::Twice,
    })?;
    if has_cut_name(&value) { Err(JsonFault::Name) } else { Ok(value) }
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

/// Whether the pattern, which has come so far, ends at `value` or within. As deep as the reader allows.
fn finds(pattern: &Pattern, states: States, value: &Json) -> bool {
    if states.is_empty() {
        return false;
    }
    let text = match value {
        Json::Text(text) => Some(text.as_str()),
        Json::Null | Json::Other | Json::List(_) | Json::Object(_) => None,
    };
    if pattern.ends(states, text) {
        return true;
    }
    match value {
        Json::Null | Json::Text(_) | Json::Other => false,
        Json::List(some) => {
            let next = pattern.step(states, None);
            some.iter().any(|one| finds(pattern, next, one))
        }
        Json::Object(members) => {
            members.iter().any(|(name, one)| finds(pattern, pattern.step(states, Some(name)), one))
        }
    }
}
