//! Whether a request is GraphQL, and of `query` operations alone.
//!
//! The parts that a server may take the document from are read so strictly that two servers cannot find
//! two documents in them; whatever else could name an operation (a hash, another parameter, a second
//! document in the URL) is refused. What `operationName` picks is not asked: each operation of a
//! document is a query, or none of it goes on.

use cofferdam_policy::judge::requests::{Request, is_same_field};

mod document;
mod fault;
mod parameters;
#[cfg(test)]
mod tests;

pub use fault::GraphQlFault;

use crate::json::{self, Json};

/// Longest body that is read. Bytes. It is held until it is judged.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most documents of one batch.
const BATCH_MAX: usize = 100;

/// Reads a whole request, with its whole body.
///
/// # Errors
/// It is no GraphQL, more than queries, or may be read in two ways.
pub fn queries_only(request: &Request<'_>, body: &[u8]) -> Result<(), GraphQlFault> {
    // Some servers take `_` for `-`: such a field counts, and is none of those that are meant.
    let of = |wanted: &'static [u8]| {
        request.headers.iter().filter(move |(name, _)| is_same_field(wanted, name.as_bytes()))
    };
    let mut types = of(b"content-type");
    let (kind, second) = (types.next(), types.next());
    let kind = kind.filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if of(b"content-encoding").next().is_some() {
        return Err(GraphQlFault::Coded);
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(GraphQlFault::TooLong);
    }
    match (request.method, request.query) {
        // A body of `GET` has no meaning (RFC 9110, 9.3.1), and yet some servers read one.
        ("GET", Some(query)) if body.is_empty() => parameters::judge(query),
        // Many servers take what the URL has before they look at the body.
        ("POST", None) => match (kind, second) {
            (Some((_, value)), None) => judge(media(value)?, body),
            (_, _) => Err(GraphQlFault::Type),
        },
        ("POST", Some(_)) => Err(GraphQlFault::Parameter),
        ("GET", _) => Err(GraphQlFault::NoDocument),
        (_, _) => Err(GraphQlFault::Method),
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// `application/json`.
    Json,
    /// `application/graphql`: the document alone.
    Document,
}

/// The one parameter that says nothing new is `charset=utf-8`.
fn media(value: &[u8]) -> Result<Media, GraphQlFault> {
    let text = std::str::from_utf8(value).map_err(|_| GraphQlFault::Type)?.to_ascii_lowercase();
    let (name, rest) = text.split_once(';').unwrap_or((&text, "charset=utf-8"));
    if !matches!(rest.trim(), "charset=utf-8" | "charset=\"utf-8\"") {
        return Err(GraphQlFault::Type);
    }
    match name.trim() {
        "application/json" => Ok(Media::Json),
        "application/graphql" => Ok(Media::Document),
        _ => Err(GraphQlFault::Type),
    }
}

/// Whether a value of `Content-Type` is that of JSON in UTF-8, and says nothing else.
pub(crate) fn is_json(value: &[u8]) -> bool {
    matches!(media(value), Ok(Media::Json))
}

fn judge(media: Media, body: &[u8]) -> Result<(), GraphQlFault> {
    let text = || std::str::from_utf8(body).map_err(|_| GraphQlFault::Json);
    match media {
        Media::Document => document::judge(text()?),
        Media::Json => match json::read(text()?)? {
            Json::List(some) if some.is_empty() => Err(GraphQlFault::NoDocument),
            Json::List(some) if some.len() > BATCH_MAX => Err(GraphQlFault::TooLong),
            Json::List(some) => some.iter().try_for_each(one),
            whole @ (Json::Null | Json::Text(_) | Json::Other | Json::Object(_)) => one(&whole),
        },
    }
}

/// One of a batch, or the whole body.
fn one(json: &Json) -> Result<(), GraphQlFault> {
    let Json::Object(members) = json else { return Err(GraphQlFault::Json) };
    let mut document = None;
    for (name, value) in members {
        match (name.as_str(), value) {
            ("query", Json::Text(text)) => document = Some(text),
            ("operationName", Json::Text(_) | Json::Null)
            | ("variables", Json::Object(_) | Json::Null)
            | ("extensions", Json::Null) => {}
            ("extensions", Json::Object(members)) => extensions(members)?,
            ("query", Json::Null) => return Err(GraphQlFault::NoDocument),
            ("query" | "operationName" | "variables" | "extensions", _) => {
                return Err(GraphQlFault::Json);
            }
            (_, _) => return Err(GraphQlFault::Member),
        }
    }
    document::judge(document.ok_or(GraphQlFault::NoDocument)?)
}

/// A hash stands for a document that only the server knows.
fn extensions(members: &[(String, Json)]) -> Result<(), GraphQlFault> {
    if members.iter().any(|(name, _)| name.eq_ignore_ascii_case("persistedQuery")) {
        return Err(GraphQlFault::Persisted);
    }
    Ok(())
}
