//! The audit log of cofferdam: what was decided, what ran, how it ended, in one chained file.
//!
//! One record a line, as JSON. A line begins with its hash, `{"hash":"…",`, which is the SHA-256 of
//! all the bytes after that; among them is `prev`, the hash of the record before it. Whoever changes, drops or reorders a record breaks the chain from there on, and [`verify`]
//! names the line. What the chain alone cannot show is a log cut off at its end: compare the
//! head that `cofferdam audit verify` prints with one noted elsewhere.
//!
//! Nothing here calls `fsync(2)`: a record survives the end of every process, not a power cut.

pub mod digest;
mod escaped;
mod event;
mod filter;
mod log;
mod read;
mod record;
pub mod redact;
mod tell;
mod verify;

pub use escaped::escaped;
pub use event::{
    Alarm, Asked, Connection, Event, ExitKind, NameDenied, OutputKept, Request, RuleCount,
};
pub use filter::{Filter, Moment};
pub use log::{Log, LogError, now, system_words};
pub use read::{Line, Reading};
pub use record::{FIRST_PREV, MAX_RECORD_BYTES, Record};
pub use tell::tell;
pub use verify::{Broken, Problem, Verified, verify};
