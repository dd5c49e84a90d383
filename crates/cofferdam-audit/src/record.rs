//! The bytes of a record, and the one reading of them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::digest::sha256_of_parts;
use crate::escaped::escaped;
use crate::event::Event;

/// Longest line, newline included; a plan is far smaller. Bytes.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// `prev` of a log's first record.
pub const FIRST_PREV: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What the next record must know of the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of the record, from 1; 0 before the first.
    pub(crate) seq: u64,
    /// Its hash.
    pub(crate) hash: String,
}

impl Head {
    pub(crate) fn empty() -> Self {
        Self { seq: 0, hash: FIRST_PREV.to_owned() }
    }
}

/// A record as it stands in a line. What its event holds stays text until somebody asks: a plan is
/// long.
#[derive(Debug)]
pub struct Record<'l> {
    pub(crate) hash: Cow<'l, str>,
    pub(crate) prev: Cow<'l, str>,
    /// Number of the record, from 1.
    pub seq: u64,
    /// The run it belongs to.
    pub session: Cow<'l, str>,
    /// When it was written: RFC 3339, UTC, milliseconds.
    pub time: Cow<'l, str>,
    /// What happened, in a word.
    pub kind: String,
    /// What happened, as JSON.
    pub event: &'l RawValue,
    /// Length and hash of the line that this record calls torn, if it is of that kind.
    pub(crate) torn: Option<(u64, String)>,
}

impl Record<'_> {
    pub(crate) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone().into_owned() }
    }
}

/// Tells texts apart, in less room than they take.
pub(crate) fn short_hash(text: &[u8]) -> u128 {
    let bytes = Sha256::digest(text);
    bytes.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

/// A line begins with its own hash: these bytes, 64 hexadecimal digits, `",`. The hash covers
/// everything after them.
const BEGIN: &[u8] = b"{\"hash\":\"";
const DIGITS: usize = 64;
const AFTER: &[u8] = b"\",";

/// What a line says of itself, in the order in which it is written.
#[derive(Serialize)]
struct Written<'r> {
    prev: &'r str,
    seq: u64,
    session: &'r str,
    time: &'r str,
    event: &'r Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found<'l> {
    #[serde(borrow)]
    hash: Cow<'l, str>,
    #[serde(borrow)]
    prev: Cow<'l, str>,
    seq: u64,
    #[serde(borrow)]
    session: Cow<'l, str>,
    #[serde(borrow)]
    time: Cow<'l, str>,
    #[serde(borrow)]
    event: &'l RawValue,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct Torn {
    bytes: u64,
    sha256: String,
}

/// The record after `last`, as a line with its newline.
pub(crate) fn line(
    last: &Head,
    time: &str,
    session: &str,
    event: &Event,
) -> serde_json::Result<(Head, Vec<u8>)> {
    let seq = last.seq + 1;
    let object = serde_json::to_string(&Written { prev: &last.hash, seq, session, time, event })?;
    let object = escaped(&object);
    // Without its brace, which stands before the hash.
    let rest = object.as_bytes().get(1..).unwrap_or_default();
    let hash = sha256_of_parts(&[rest]);
    let bytes = [BEGIN, hash.as_bytes(), AFTER, rest, b"\n"].concat();
    Ok((Head { seq, hash }, bytes))
}

/// Whether a line without its newline begins with the hash of the bytes after it.
fn holds(line: &[u8]) -> bool {
    let parts = line.strip_prefix(BEGIN).and_then(|line| line.split_at_checked(DIGITS));
    let Some((hash, rest)) = parts else { return false };
    let rest = rest.strip_prefix(AFTER);
    rest.is_some_and(|rest| sha256_of_parts(&[rest]).as_bytes() == hash)
}

/// What a line says, if it has the form of a record: it may not hold.
pub(crate) fn parse(line: &[u8]) -> Option<Record<'_>> {
    let Found { hash, prev, seq, session, time, event } = serde_json::from_slice(line).ok()?;
    let Kind { kind } = serde_json::from_str(event.get()).ok()?;
    let torn = match kind.as_str() {
        "torn" => Some(serde_json::from_str(event.get()).ok()?),
        _ => None,
    };
    let torn = torn.map(|Torn { bytes, sha256 }| (bytes, sha256));
    Some(Record { hash, prev, seq, session, time, kind, event, torn })
}

/// Reads a line without its newline; `None` unless it is a record whose hash covers its bytes.
pub(crate) fn read(line: &[u8]) -> Option<Record<'_>> {
    if holds(line) { parse(line) } else { None }
}
