//! Checks a whole log from its first byte to its last.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::log::{LOCK_WAIT, system_words};
use crate::record::{self, Head, MAX_RECORD_BYTES};

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

/// Reads the log at `path` to its end while no writer writes.
///
/// # Errors
/// The first line at which the chain does not hold.
pub fn verify(path: &Path) -> Result<Verified, Broken> {
    let unreadable =
        |error: io::Error| Broken { line: 0, problem: Problem::Unreadable(system_words(&error)) };
    // NONBLOCK: a FIFO must not keep us waiting for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(unreadable)?.is_file() {
        let what = io::Error::other("it is not a regular file");
        return Err(unreadable(what));
    }
    // Writers hold the lock for one record; readers share it.
    let until = Instant::now() + LOCK_WAIT;
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockShared) {
        let busy = error == Errno::AGAIN || error == Errno::INTR;
        if !busy || Instant::now() > until {
            let what = if busy { io::Error::other("it is locked") } else { error.into() };
            return Err(unreadable(what));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    chain(BufReader::new(file)).map_err(|broken| match broken {
        Stop::Broken(broken) => broken,
        Stop::Io(error) => unreadable(error),
    })
}

#[derive(Debug)]
enum Stop {
    Broken(Broken),
    Io(io::Error),
}

fn chain(mut lines: impl BufRead) -> Result<Verified, Stop> {
    let mut head = Head::empty();
    let mut sessions = BTreeSet::new();
    let (mut records, mut torn, mut unfinished) = (0, 0, 0);
    // A line that is no record, until the record after it accounts for it.
    let mut suspect: Option<(u64, Vec<u8>)> = None;
    for number in 1.. {
        let broken = |line, problem| Stop::Broken(Broken { line, problem });
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_RECORD_BYTES).unwrap_or(u64::MAX);
        (&mut lines).take(limit).read_until(b'\n', &mut line).map_err(Stop::Io)?;
        if line.is_empty() {
            break;
        }
        if line.pop() != Some(b'\n') {
            let more = !lines.fill_buf().map_err(Stop::Io)?.is_empty();
            if more {
                return Err(broken(number, Problem::TooLong));
            }
            unfinished = u64::try_from(line.len() + 1).unwrap_or(u64::MAX);
            break;
        }
        match (record::read(&line), suspect.take()) {
            (None, None) => suspect = Some((number, line)),
            (None, Some((first, _))) => return Err(broken(first, Problem::Changed)),
            (Some(read), suspect) => {
                let accounted = match (&read.torn, &suspect) {
                    (Some((bytes, sha256)), Some((_, line))) => {
                        u64::try_from(line.len()) == Ok(*bytes)
                            && record::hex_sha256(&[line]) == *sha256
                    }
                    (None, None) => true,
                    (None, Some(_)) | (Some(_), None) => false,
                };
                if !accounted {
                    let at = suspect.map_or(number, |(first, _)| first);
                    return Err(broken(at, Problem::Changed));
                }
                if read.prev != head.hash || read.head.seq != head.seq + 1 {
                    return Err(broken(number, Problem::Chain));
                }
                torn += u64::from(read.torn.is_some());
                records += 1;
                sessions.insert(read.session);
                head = read.head;
            }
        }
    }
    match suspect {
        Some((line, _)) => Err(Stop::Broken(Broken { line, problem: Problem::Changed })),
        None => {
            Ok(Verified { records, torn, sessions: sessions.len(), head: head.hash, unfinished })
        }
    }
}

/// The same over bytes in memory, for tests.
#[cfg(test)]
pub(crate) fn verify_bytes(bytes: &[u8]) -> Result<Verified, Broken> {
    chain(bytes).map_err(|stop| match stop {
        Stop::Broken(broken) => broken,
        Stop::Io(error) => Broken { line: 0, problem: Problem::Unreadable(error.to_string()) },
    })
}
