//! The bytes of a record, and the one reading of them.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

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

/// The record after `last`, as a line with its newline.
pub(crate) fn line(last: &Head, time: &str, session: &str, event: Value) -> (Head, Vec<u8>) {
    let mut object = Map::new();
    object.insert("seq".into(), (last.seq + 1).into());
    object.insert("time".into(), time.into());
    object.insert("session".into(), session.into());
    object.insert("prev".into(), last.hash.clone().into());
    object.insert("event".into(), event);
    // A `Map` is sorted by key, so this is the one spelling of the record.
    let bare = Value::Object(object.clone()).to_string();
    let hash = hex_sha256(&[last.hash.as_bytes(), bare.as_bytes()]);
    object.insert("hash".into(), hash.clone().into());
    let mut bytes = Value::Object(object).to_string().into_bytes();
    bytes.push(b'\n');
    (Head { seq: last.seq + 1, hash }, bytes)
}

/// Reads a line without its newline; `None` unless it is a record in its one spelling whose
/// hash covers it.
pub(crate) fn read(line: &[u8]) -> Option<Read> {
    let value: Value = serde_json::from_slice(line).ok()?;
    if value.to_string().as_bytes() != line {
        return None;
    }
    let Value::Object(mut object) = value else { return None };
    let Some(Value::String(hash)) = object.remove("hash") else { return None };
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    if names != ["event", "prev", "seq", "session", "time"] {
        return None;
    }
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let (prev, session, _time) = (text("prev")?, text("session")?, text("time")?);
    let seq = object.get("seq")?.as_u64()?;
    let event = object.get("event")?;
    let torn = match event.get("kind")?.as_str()? {
        "torn" => Some((event.get("bytes")?.as_u64()?, event.get("sha256")?.as_str()?.to_owned())),
        _ => None,
    };
    let bare = Value::Object(object).to_string();
    (hex_sha256(&[prev.as_bytes(), bare.as_bytes()]) == hash).then_some(Read {
        head: Head { seq, hash },
        prev,
        session,
        torn,
    })
}
