//! The one walk over a log, line by line, for the verifier and for people who read it.
//!
//! Holds one line and the one before it in memory, whatever the length of the log. Knows nothing of
//! terminals: a line holds what an attacker may have written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::log::{LOCK_WAIT, system_words};
use crate::record::{self, Head, MAX_RECORD_BYTES, Record};
use crate::verify::{Broken, Problem, Verified};

/// One line of a log. A line that a killed writer left, and that the record after it accounts for,
/// is none.
#[derive(Debug)]
pub struct Line<'l> {
    /// From 1, in the file.
    pub number: u64,
    /// As it stands there, without its newline; empty where it is too long to be read.
    pub bytes: &'l [u8],
    /// What it says, as far as it has the form of a record; with a problem, it only claims so.
    pub record: Option<Record<'l>>,
    /// Why it does not verify.
    pub problem: Option<Problem>,
}

/// An open log, to the end that it had then. Records that are added meanwhile are not read, and
/// whoever adds them does not wait for the reader.
#[derive(Debug)]
pub struct Reading {
    file: File,
    length: u64,
}

impl Reading {
    /// Opens the log at `path` between two records.
    ///
    /// # Errors
    /// [`Problem::Unreadable`]: it is not there, is no regular file, or a writer keeps it locked for
    /// more than 5 seconds.
    pub fn open(path: &Path) -> Result<Self, Broken> {
        Self::opened(path).map_err(|error| unreadable(&error))
    }

    fn opened(path: &Path) -> io::Result<Self> {
        // NONBLOCK: a FIFO must not keep us waiting for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        // Writers hold the lock for one record. Without one the end is the end of a record, or of a
        // line that is never finished; what lies before it does not change.
        let until = Instant::now() + LOCK_WAIT;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockShared) {
            match error {
                Errno::AGAIN | Errno::INTR if Instant::now() <= until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Errno::AGAIN | Errno::INTR => return Err(io::Error::other("it is locked")),
                _ => return Err(error.into()),
            }
        }
        let length = file.metadata()?.len();
        flock(&file, FlockOperation::Unlock)?;
        Ok(Self { file, length })
    }

    /// Shows every line to `visit`, from the first on, until it breaks off.
    ///
    /// # Errors
    /// The first line at which the chain does not hold, among those that were read. The lines after
    /// it were shown all the same.
    pub fn each(
        &self,
        mut visit: impl FnMut(&Line<'_>) -> ControlFlow<()>,
    ) -> Result<Verified, Broken> {
        let bytes = At { file: &self.file, at: 0, end: self.length };
        walk(BufReader::with_capacity(1 << 16, bytes), &mut visit)
    }
}

/// The bytes of a file up to an end, without its offset.
struct At<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = into.len().min(left);
        let length = self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += u64::try_from(length).unwrap_or_default();
        Ok(length)
    }
}

fn unreadable(error: &io::Error) -> Broken {
    Broken { line: 0, problem: Problem::Unreadable(system_words(error)) }
}

type Visit<'v> = &'v mut dyn FnMut(&Line<'_>) -> ControlFlow<()>;

/// What is known at a line, of all before it.
struct Walk<'v> {
    visit: Visit<'v>,
    head: Head,
    /// Lines since `head` that are no records: each may have been one.
    lost: u64,
    records: u64,
    torn: u64,
    /// By the beginning of their names' hashes: a name may be as long as a record.
    sessions: BTreeSet<u128>,
    broken: Option<Broken>,
}

pub(crate) fn walk(mut lines: impl BufRead, visit: Visit<'_>) -> Result<Verified, Broken> {
    let mut walk = Walk {
        visit,
        head: Head::empty(),
        lost: 0,
        records: 0,
        torn: 0,
        sessions: BTreeSet::new(),
        broken: None,
    };
    let unfinished = match walk.lines(&mut lines) {
        Ok(ControlFlow::Continue(unfinished)) => unfinished,
        Ok(ControlFlow::Break(())) => 0,
        Err(error) => return Err(walk.broken.unwrap_or_else(|| unreadable(&error))),
    };
    match walk.broken {
        Some(broken) => Err(broken),
        None => Ok(Verified {
            records: walk.records,
            torn: walk.torn,
            sessions: walk.sessions.len(),
            head: walk.head.hash,
            unfinished,
        }),
    }
}

impl Walk<'_> {
    /// Gives the length of an unfinished line at the end.
    fn lines(&mut self, lines: &mut impl BufRead) -> io::Result<ControlFlow<(), u64>> {
        // A line that is no record, until the record after it accounts for it.
        let mut suspect: Option<(u64, Vec<u8>)> = None;
        let mut unfinished = 0;
        for number in 1.. {
            let mut line = Vec::new();
            let limit = u64::try_from(MAX_RECORD_BYTES).unwrap_or(u64::MAX);
            lines.take(limit).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                break;
            }
            let whole = line.pop() == Some(b'\n');
            if !whole && lines.fill_buf()?.is_empty() {
                unfinished = u64::try_from(line.len() + 1).unwrap_or(u64::MAX);
                break;
            }
            let before = suspect.take();
            let went_on = if !whole {
                lines.skip_until(b'\n')?;
                self.too_long(number, before)
            } else if let Some(record) = record::read(&line) {
                self.record(number, &line, record, before)
            } else {
                suspect = Some((number, line));
                self.lost(before)
            };
            if went_on.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(self.lost(suspect).map_continue(|()| unfinished))
    }

    /// A line whose own hash holds, after one of which that is not so, if there is one.
    fn record(
        &mut self,
        number: u64,
        bytes: &[u8],
        record: Record<'_>,
        before: Option<(u64, Vec<u8>)>,
    ) -> ControlFlow<()> {
        let accounts = match (&record.torn, &before) {
            (Some((length, sha256)), Some((_, line))) => {
                u64::try_from(line.len()) == Ok(*length)
                    && crate::digest::sha256_of_parts(&[line]) == *sha256
            }
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
        };
        let alone = before.is_none() && !accounts;
        self.torn += u64::from(accounts && before.is_some());
        self.lost(before.filter(|_| !accounts))?;
        let chained = record.prev == self.head.hash && record.seq == self.head.seq + 1;
        // After a line that was changed its successor still follows it, which cannot be seen.
        let after_lost = self.lost > 0 && record.seq == self.head.seq + 1 + self.lost;
        let problem = match (alone, chained || after_lost) {
            (true, _) => Some(Problem::Changed),
            (false, true) => None,
            (false, false) => Some(Problem::Chain),
        };
        self.records += 1;
        self.lost = 0;
        self.sessions.insert(record::short_hash(record.session.as_bytes()));
        self.head = record.head();
        if let Some(problem) = problem.clone() {
            self.broken.get_or_insert(Broken { line: number, problem });
        }
        (self.visit)(&Line { number, bytes, record: Some(record), problem })
    }

    /// A line that is no record, and that none accounts for.
    fn lost(&mut self, line: Option<(u64, Vec<u8>)>) -> ControlFlow<()> {
        match line {
            Some((number, line)) => self.bad(number, &line, Problem::Changed),
            None => ControlFlow::Continue(()),
        }
    }

    fn too_long(&mut self, number: u64, before: Option<(u64, Vec<u8>)>) -> ControlFlow<()> {
        self.lost(before)?;
        self.bad(number, &[], Problem::TooLong)
    }

    fn bad(&mut self, number: u64, bytes: &[u8], problem: Problem) -> ControlFlow<()> {
        self.lost += 1;
        self.broken.get_or_insert(Broken { line: number, problem: problem.clone() });
        let record = record::parse(bytes);
        (self.visit)(&Line { number, bytes, record, problem: Some(problem) })
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
