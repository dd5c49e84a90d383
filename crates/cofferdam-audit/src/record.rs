//! The bytes of a record, and the one reading of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

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

/// A line that was read and whose own hash holds.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) head: Head,
    pub(crate) prev: String,
    pub(crate) session: String,
    /// Length and hash of the line that this record calls torn, if it is of that kind.
    pub(crate) torn: Option<(u64, String)>,
}

pub(crate) fn hex_sha256(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
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
struct Found {
    hash: String,
    prev: String,
    seq: u64,
    session: String,
    #[serde(rename = "time")]
    _time: String,
    event: Value,
}

/// The record after `last`, as a line with its newline.
pub(crate) fn line(
    last: &Head,
    time: &str,
    session: &str,
    event: &Event,
) -> serde_json::Result<(Head, Vec<u8>)> {
    let seq = last.seq + 1;
    let object = serde_json::to_vec(&Written { prev: &last.hash, seq, session, time, event })?;
    // Without its brace, which stands before the hash.
    let rest = object.get(1..).unwrap_or_default();
    let hash = hex_sha256(&[rest]);
    let bytes = [BEGIN, hash.as_bytes(), AFTER, rest, b"\n"].concat();
    Ok((Head { seq, hash }, bytes))
}

/// Reads a line without its newline; `None` unless it is a record whose hash covers its bytes.
pub(crate) fn read(line: &[u8]) -> Option<Read> {
    let (hash, rest) = line.strip_prefix(BEGIN)?.split_at_checked(DIGITS)?;
    let rest = rest.strip_prefix(AFTER)?;
    if hex_sha256(&[rest]).as_bytes() != hash {
        return None;
    }
    let found: Found = serde_json::from_slice(line).ok()?;
    let torn = match found.event.get("kind")?.as_str()? {
        "torn" => Some((
            found.event.get("bytes")?.as_u64()?,
            found.event.get("sha256")?.as_str()?.to_owned(),
        )),
        _ => None,
    };
    let Found { hash, prev, seq, session, .. } = found;
    Some(Read { head: Head { seq, hash }, prev, session, torn })
}
