//! The writer: one record, one locked append.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{
    Access, AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, ResolveFlags, accessat,
    fallocate, flock, fstatfs, openat2, statfs,
};
use rustix::io::Errno;

use crate::event::Event;
use crate::record::{self, Head, MAX_RECORD_BYTES};

/// How long a writer waits for another one; a record takes well under a millisecond.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How much of the end is read at a time to find the last record. Bytes.
const TAIL_STEP: u64 = 64 << 10;

/// This moment, as records have it (RFC 3339, UTC, milliseconds).
#[must_use]
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

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
    /// It has another name, which may lie where anything can change it.
    #[error("the audit log {} has {links} hard links", path.display())]
    Linked {
        /// The log.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// It was removed, replaced or cut short while this log was open.
    #[error("the audit log {} was removed, replaced or cut short", path.display())]
    Gone {
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
            Self::Linked { .. } => "audit-linked",
            Self::Gone { .. } => "audit-gone",
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
            Self::Shared { owner, .. } if *owner != rustix::process::geteuid().as_raw() => {
                "it is another user's: name one of your own: --audit FILE".into()
            }
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
            Self::Linked { .. } => {
                "remove the other name, or name another log: --audit FILE".into()
            }
            Self::Gone { .. } => {
                "leave the log where it is while sandboxes run; see who moves it".into()
            }
            Self::TooLong { .. } => "shorten the command line".into(),
            Self::Write { source, .. } => {
                let why = system_words(source);
                format!("the system said: {why}; make room, or name another: --audit FILE")
            }
        }
    }
}

/// What the system said, without Rust's ` (os error N)`, as a part of a sentence.
#[must_use]
pub fn system_words(error: &io::Error) -> String {
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
    /// Up to here blocks are set aside. Bytes from the start of the file; 0 for none.
    aside: u64,
}

/// Blocks beyond the end would stay with the file; the lock goes with the descriptor.
impl Drop for Log {
    fn drop(&mut self) {
        // An append-only file keeps them: nobody is worse off.
        drop(self.give_back());
    }
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
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|source| LogError::Directory { path: folder.to_owned(), source })?;
        }
        Self::opened(path, session, OFlags::CREATE)
    }

    fn opened(path: &Path, session: String, create: OFlags) -> Result<Self, LogError> {
        let owned = || path.to_owned();
        let failed = |source| LogError::Open { path: path.to_owned(), source };
        // NONBLOCK: a FIFO in its place must not keep us waiting for a reader. No symbolic link on
        // the way either: where the log lies was judged by its real path.
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let flags = flags | OFlags::NOCTTY | OFlags::NOFOLLOW | create;
        let mode = if create.is_empty() { Mode::empty() } else { Mode::RUSR | Mode::WUSR };
        let file = match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP | Errno::ISDIR) => return Err(LogError::NotRegular { path: owned() }),
            Err(error) => return Err(failed(error.into())),
        };
        let seen = file.metadata().map_err(failed)?;
        if !seen.is_file() {
            return Err(LogError::NotRegular { path: owned() });
        }
        if seen.nlink() != 1 {
            return Err(LogError::Linked { path: owned(), links: seen.nlink() });
        }
        let (owner, mode) = (seen.uid(), seen.mode() & 0o7777);
        if owner != rustix::process::geteuid().as_raw() || mode & 0o077 != 0 {
            return Err(LogError::Shared { path: owned(), owner, mode });
        }
        Ok(Self { path: owned(), file, session, last: None, aside: 0 })
    }

    /// Whether [`Log::open`] and a record would work at `path`, without making or writing anything.
    ///
    /// # Errors
    /// What they would refuse.
    pub fn check(path: &Path) -> Result<(), LogError> {
        match Self::opened(path, String::new(), OFlags::empty()) {
            Ok(log) => {
                log.lock()?;
                let end = log.end()?;
                let torn = log.line_before(end)?;
                let start = end - u64::try_from(torn.len()).unwrap_or(end);
                log.head_at(start).map(drop)
            }
            // `open` makes the directory first, and fails there.
            Err(LogError::Open { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => {
                let path = path.parent().unwrap_or(Path::new("/")).to_owned();
                Err(LogError::Directory { path, source })
            }
            Err(LogError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let there = path.ancestors().skip(1).find(|above| above.exists());
                let there = there.unwrap_or(Path::new("/"));
                let access = Access::WRITE_OK | Access::EXEC_OK;
                let may = accessat(CWD, there, access, AtFlags::EACCESS).and_then(|()| {
                    // Root may write anywhere, and yet no file can be made there.
                    let kernels = [0x9FA0, 0x6265_6572].contains(&statfs(there)?.f_type);
                    if kernels { Err(Errno::NOENT) } else { Ok(()) }
                });
                may.map_err(|error| LogError::Directory {
                    path: path.parent().unwrap_or(Path::new("/")).to_owned(),
                    source: error.into(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// The record is not in the log; what was half written is taken back.
    pub fn append(&mut self, event: &Event) -> Result<(), LogError> {
        self.lock()?;
        let written = self.in_place().and_then(|()| self.append_locked(event));
        // The lock goes with the descriptor if this fails.
        flock(&self.file, FlockOperation::Unlock).map_err(|error| self.failed(error.into()))?;
        written
    }

    /// Whether the file system has room for `bytes` more, and sets them aside where it can
    /// (`fallocate(2)`, beyond the end): a record that must be written later finds its place.
    ///
    /// # Errors
    /// There is no room, or the log is not where it was.
    pub fn has_room(&mut self, bytes: u64) -> Result<(), LogError> {
        self.lock()?;
        let room = self.in_place().and_then(|()| {
            let end = self.end()?;
            if end.saturating_add(bytes) <= self.aside {
                return Ok(());
            }
            // As much again, so that not every connection asks.
            let more = bytes.saturating_mul(2);
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, end, more) {
                Ok(()) => {
                    self.aside = end.saturating_add(more);
                    Ok(())
                }
                // Not of this file system (ext3, FAT, NFS before 4.2): nothing is set aside, so what is
                // free is asked for each time. Another writer may take it all the same.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    let free = fstatfs(&self.file).map_err(|error| self.failed(error.into()))?;
                    let free = (free.f_blocks, free.f_bavail, free.f_bsize);
                    if fits(free, bytes) { Ok(()) } else { Err(self.failed(Errno::NOSPC.into())) }
                }
                Err(error) => Err(self.failed(error.into())),
            }
        });
        flock(&self.file, FlockOperation::Unlock).map_err(|error| self.failed(error.into()))?;
        room
    }

    /// Gives back what [`Log::has_room`] set aside and nobody used.
    fn give_back(&mut self) -> Result<(), LogError> {
        if std::mem::take(&mut self.aside) > 0 {
            self.lock()?;
            let end = self.end()?;
            self.file.set_len(end).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// A record in a file that nobody finds any more is no record.
    fn in_place(&self) -> Result<(), LogError> {
        let open = self.file.metadata().map_err(|error| self.failed(error))?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) == (open.dev(), open.ino()) => Ok(()),
            Ok(_) | Err(_) => Err(LogError::Gone { path: self.path.clone() }),
        }
    }

    fn append_locked(&mut self, event: &Event) -> Result<(), LogError> {
        let mut end = self.end()?;
        let mut head = match &self.last {
            Some((at, head)) if *at == end => head.clone(),
            // Our own record is not there any more.
            Some((at, _)) if *at > end => return Err(LogError::Gone { path: self.path.clone() }),
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
        let time = now();
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
            return Ok(read.head());
        }
        let start = *end - u64::try_from(torn.len()).map_err(|_| damaged())?;
        let head = self.head_at(start)?;
        let event = Event::Torn {
            bytes: u64::try_from(torn.len()).map_err(|_| damaged())?,
            sha256: crate::digest::sha256_of_parts(&[&torn]),
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
        read.map(|read| read.head()).ok_or_else(|| LogError::Damaged { path: self.path.clone() })
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

/// Whether `bytes` fit where a file system has this many blocks, of these many are free, of these many
/// bytes. One without blocks (ramfs) does not count them.
fn fits((blocks, free, each): (u64, u64, i64), bytes: u64) -> bool {
    blocks == 0 || free.saturating_mul(u64::try_from(each).unwrap_or(0)) >= bytes
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
