//! The writer: one record, one locked append.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::event::Event;
use crate::record::{self, Head, MAX_RECORD_BYTES};

/// How long a writer waits for another one; a record takes well under a millisecond.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How much of the end is read at a time to find the last record. Bytes.
const TAIL_STEP: u64 = 64 << 10;

/// Why a record was not written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its directory cannot be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open the audit log {}", path.display())]
    Open {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a symbolic link, a directory, a FIFO or a device.
    #[error("the audit log {} is not a regular file", path.display())]
    NotRegular {
        /// The log.
        path: PathBuf,
    },
    /// Somebody else owns it, or others may read or write it.
    #[error("others have access to the audit log {}: owner {owner}, mode {mode:04o}", path.display())]
    Shared {
        /// The log.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Another writer keeps the lock.
    #[error("the audit log {} is locked for more than {} seconds", path.display(), LOCK_WAIT.as_secs())]
    Busy {
        /// The log.
        path: PathBuf,
    },
    /// Its last line is no record, so there is nothing to chain to.
    #[error("the audit log {} does not end with a whole record", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
    },
    /// The record is longer than a record may be.
    #[error("a record of {bytes} bytes is longer than {MAX_RECORD_BYTES} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The system refused the write.
    #[error("cannot write the audit log {}", path.display())]
    Write {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LogError {
    /// Stable name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "audit-directory",
            Self::Open { .. } => "audit-open",
            Self::NotRegular { .. } => "audit-not-regular",
            Self::Shared { .. } => "audit-shared",
            Self::Busy { .. } => "audit-busy",
            Self::Damaged { .. } => "audit-damaged",
            Self::TooLong { .. } => "audit-too-long",
            Self::Write { .. } => "audit-write",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Directory { source, .. } | Self::Open { source, .. } => {
                let why = system_words(source);
                format!("the system said: {why}; name a log that you can write: --audit FILE")
            }
            Self::NotRegular { .. } => "name a regular file, or a new one: --audit FILE".into(),
            Self::Shared { path, .. } => {
                format!(
                    "make it yours alone: chmod 600 {}; or name another: --audit FILE",
                    path.display()
                )
            }
            Self::Busy { path } => {
                format!("see who holds it: fuser {}; or name another: --audit FILE", path.display())
            }
            Self::Damaged { path } => {
                let path = path.display();
                format!("look at it with `cofferdam audit verify {path}`, then move it aside")
            }
            Self::TooLong { .. } => "shorten the command line".into(),
            Self::Write { source, .. } => {
                let why = system_words(source);
                format!("the system said: {why}; make room, or name another: --audit FILE")
            }
        }
    }
}

fn system_words(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// An open log, for one session.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    session: String,
    /// Our own last record and where the file ended then: unless another wrote since, the tail
    /// need not be read again.
    last: Option<(u64, Head)>,
}

impl Log {
    /// Opens or makes the log at `path`, for the records of `session`.
    ///
    /// The file is made with mode 0600 and its missing directories with 0700. An existing file
    /// must be regular, the caller's own and nobody else's to read or write; a symbolic link is
    /// not followed.
    ///
    /// # Errors
    /// The log cannot be trusted or opened.
    pub fn open(path: &Path, session: String) -> Result<Self, LogError> {
        let owned = || path.to_owned();
        let failed = |source| LogError::Open { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|source| LogError::Directory { path: folder.to_owned(), source })?;
        }
        // NONBLOCK: a FIFO in its place must not keep us waiting for a reader.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(path);
        let file = match open {
            Ok(file) => file,
            Err(error)
                if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::ISDIR)) =>
            {
                return Err(LogError::NotRegular { path: owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let seen = file.metadata().map_err(failed)?;
        if !seen.is_file() {
            return Err(LogError::NotRegular { path: owned() });
        }
        let (owner, mode) = (seen.uid(), seen.mode() & 0o7777);
        if owner != rustix::process::geteuid().as_raw() || mode & 0o077 != 0 {
            return Err(LogError::Shared { path: owned(), owner, mode });
        }
        Ok(Self { path: owned(), file, session, last: None })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// The record is not in the log; what was half written is taken back.
    pub fn append(&mut self, event: &Event) -> Result<(), LogError> {
        self.lock()?;
        let written = self.append_locked(event);
        // The lock goes with the descriptor if this fails.
        flock(&self.file, FlockOperation::Unlock).map_err(|error| self.failed(error.into()))?;
        written
    }

    fn append_locked(&mut self, event: &Event) -> Result<(), LogError> {
        let mut end = self.end()?;
        let mut head = match &self.last {
            Some((at, head)) if *at == end => head.clone(),
            Some(_) | None => self.tail(&mut end)?,
        };
        let bytes;
        (head, bytes) = self.line(&head, event)?;
        self.write(end, &bytes)?;
        self.last = Some((self.end()?, head));
        Ok(())
    }

    /// The record after `head`, with the time of now.
    fn line(&self, head: &Head, event: &Event) -> Result<(Head, Vec<u8>), LogError> {
        let time = format!("{:.3}", jiff::Timestamp::now());
        record::line(head, &time, &self.session, event)
            .map_err(|error| self.failed(io::Error::other(error)))
    }

    fn write(&self, end: u64, bytes: &[u8]) -> Result<(), LogError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(LogError::TooLong { bytes: bytes.len() });
        }
        (&self.file).write_all(bytes).map_err(|error| {
            // Half a line is worse than none. Where the file is append-only this is refused, and
            // the next writer accounts for the torn line.
            drop(self.file.set_len(end));
            self.failed(error)
        })
    }

    fn lock(&self) -> Result<(), LogError> {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() < until => {
                    thread::sleep(Duration::from_micros(200));
                }
                Err(Errno::AGAIN) => return Err(LogError::Busy { path: self.path.clone() }),
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn end(&self) -> Result<u64, LogError> {
        Ok(self.file.metadata().map_err(|error| self.failed(error))?.len())
    }

    /// The last record. A line that a dead writer left unfinished is closed and accounted for.
    fn tail(&self, end: &mut u64) -> Result<Head, LogError> {
        let damaged = || LogError::Damaged { path: self.path.clone() };
        let torn = self.line_before(*end)?;
        if torn.is_empty() {
            return self.head_at(*end);
        }
        if let Some(read) = record::read(&torn) {
            // Whole but for its newline.
            self.write(*end, b"\n")?;
            *end += 1;
            return Ok(read.head);
        }
        let start = *end - u64::try_from(torn.len()).map_err(|_| damaged())?;
        let head = self.head_at(start)?;
        let event = Event::Torn {
            bytes: u64::try_from(torn.len()).map_err(|_| damaged())?,
            sha256: record::hex_sha256(&[&torn]),
        };
        let (head, line) = self.line(&head, &event)?;
        let bytes = [b"\n", line.as_slice()].concat();
        self.write(*end, &bytes)?;
        *end = self.end()?;
        Ok(head)
    }

    /// The record whose newline is the byte before `end`.
    fn head_at(&self, end: u64) -> Result<Head, LogError> {
        let Some(before_newline) = end.checked_sub(1) else { return Ok(Head::empty()) };
        let line = self.line_before(before_newline)?;
        let read = record::read(&line);
        read.map(|read| read.head).ok_or_else(|| LogError::Damaged { path: self.path.clone() })
    }

    /// What stands between the last newline before `end` and `end`.
    fn line_before(&self, end: u64) -> Result<Vec<u8>, LogError> {
        let mut tail: Vec<u8> = Vec::new();
        let mut start = end;
        while start > 0 {
            let from = start.saturating_sub(TAIL_STEP);
            let length = usize::try_from(start - from).unwrap_or_default();
            let mut step = vec![0_u8; length];
            self.file.read_exact_at(&mut step, from).map_err(|error| self.failed(error))?;
            let newline = step.iter().rposition(|byte| *byte == b'\n');
            let mut kept = step.split_off(newline.map_or(0, |at| at + 1));
            kept.append(&mut tail);
            tail = kept;
            if newline.is_some() {
                break;
            }
            if tail.len() > MAX_RECORD_BYTES {
                return Err(LogError::Damaged { path: self.path.clone() });
            }
            start = from;
        }
        Ok(tail)
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::Write { path: self.path.clone(), source }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
