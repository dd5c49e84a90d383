//! DNS within HTTP (RFC 8484, RFC 9230): a resolver behind the judge of names would be a way around it.

use super::letters::{Letter, Reading, Stars, letters};
use super::{Request, is_same_field};

/// Media types of questions and answers: RFC 8484, the JSON form that two public resolvers speak, RFC 9230.
const TYPES: [&str; 3] =
    ["application/dns-message", "application/dns-json", "application/oblivious-dns-message"];

/// Whether `request` is a question to a resolver, as far as it says so.
pub(super) fn is_question(request: &Request<'_>) -> bool {
    let says = |(name, value): &(&str, &[u8])| {
        let same = |field: &&[u8]| is_same_field(field, name.as_bytes());
        let field = [b"accept".as_slice(), b"content-type"].iter().any(same);
        let value = value.to_ascii_lowercase();
        let has = |kind: &&str| value.windows(kind.len()).any(|part| part == kind.as_bytes());
        field && TYPES.iter().any(has)
    };
    let path = decoded(request.path);
    let there = path.trim_end_matches('/').ends_with("/dns-query");
    let parameters = request.query.unwrap_or_default();
    let mut names = parameters.split(['&', ';']).filter_map(|part| part.split('=').next());
    request.headers.iter().any(says) || (there && names.any(|name| decoded(name) == "dns"))
}

/// In small letters and without codes, as a careless reader has it.
fn decoded(text: &str) -> String {
    let letters = letters(text.as_bytes(), Reading::Decoded, Stars::Plain);
    let bytes = letters.iter().map(|letter| match letter {
        Letter::Byte(byte) => char::from(byte.to_ascii_lowercase()),
        Letter::Slash => '/',
        Letter::Any => '*',
    });
    bytes.collect()
}
