//! Checks a whole log from its first byte to its last.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use crate::read::{Line, Reading};
use crate::record::MAX_RECORD_BYTES;

/// A log whose chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records in the chain.
    pub records: u64,
    /// Lines that a writer left unfinished and a later record accounts for.
    pub torn: u64,
    /// Different sessions.
    pub sessions: usize,
    /// Hash of the last record; [`crate::FIRST_PREV`] for an empty log.
    pub head: String,
    /// Length of an unfinished line at the end, 0 for none; the next writer accounts for it. Bytes.
    pub unfinished: u64,
}

/// Where a chain stops holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Line, from 1; 0 where the file as a whole cannot be read.
    pub line: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read: the system's words.
    Unreadable(String),
    /// The line is no record, or its bytes were changed.
    Changed,
    /// The record follows another one than it says: one was dropped, added or moved.
    Chain,
    /// The line is longer than any record.
    TooLong,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match &self.problem {
            Problem::Unreadable(why) => write!(out, "cannot be read: {why}"),
            Problem::Changed => write!(out, "broken at line {line}: the record was changed"),
            Problem::Chain => {
                write!(out, "broken at line {line}: a record was dropped, added or moved before it")
            }
            Problem::TooLong => write!(
                out,
                "broken at line {line}: longer than a record can be ({MAX_RECORD_BYTES} bytes)"
            ),
        }
    }
}

impl std::error::Error for Broken {}

/// Reads the log at `path` to the end that it has now.
///
/// # Errors
/// The first line at which the chain does not hold.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    Reading::open(path)?.each(to_the_first)
}

fn to_the_first(line: &Line<'_>) -> ControlFlow<()> {
    if line.problem.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The same over bytes in memory, for tests.
#[cfg(test)]
pub(crate) fn verify_bytes(bytes: &[u8]) -> Result<Verified, Broken> {
    crate::read::walk(bytes, &mut to_the_first)
}
