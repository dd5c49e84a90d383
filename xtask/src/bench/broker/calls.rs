//! The measuring program: calls on names in its working directory, each timed.

use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, mkdir, openat, rename, rmdir, stat, unlink};
use rustix::io::{Result, pwrite};

use crate::bench::stat::median_of;

/// The task that is this program.
pub(crate) const TASK: &str = "bench-calls";
/// How often each call is made.
const ROUNDS: usize = 2_000;
/// What is written at once. Bytes.
const PIECE: [u8; 4 << 10] = [b'x'; 4 << 10];

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    MakeDirectory,
    RemoveDirectory,
    Create,
    Unlink,
    OpenToWrite,
    Rename,
    OpenToRead,
    Stat,
    Write,
}

impl Call {
    /// In the order in which the program tells them.
    pub(super) const ALL: [Self; 9] = [
        Self::MakeDirectory,
        Self::RemoveDirectory,
        Self::Create,
        Self::Unlink,
        Self::OpenToWrite,
        Self::Rename,
        Self::OpenToRead,
        Self::Stat,
        Self::Write,
    ];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::MakeDirectory => "mkdir",
            Self::RemoveDirectory => "rmdir",
            Self::Create => "open(O_CREAT | O_EXCL) of a new name",
            Self::Unlink => "unlink",
            Self::OpenToWrite => "open(O_WRONLY | O_CREAT) of an existing name",
            Self::Rename => "rename to a new name",
            Self::OpenToRead => "open to read",
            Self::Stat => "stat",
            Self::Write => "write of 4 KiB",
        }
    }

    /// Whether the broker answers it whatever the policy hides.
    pub(super) const fn is_judged(self) -> bool {
        match self {
            Self::MakeDirectory
            | Self::RemoveDirectory
            | Self::Create
            | Self::Unlink
            | Self::OpenToWrite
            | Self::Rename => true,
            Self::OpenToRead | Self::Stat | Self::Write => false,
        }
    }

    /// Makes the call so often, and what it takes before and after; the seconds of each.
    fn timed(self) -> Result<Vec<f64>> {
        (0..ROUNDS).map(|_| self.once()).collect()
    }

    fn once(self) -> Result<f64> {
        let mode = Mode::RUSR | Mode::WUSR;
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match self {
            Self::MakeDirectory => {
                let took = time(|| mkdir("folder", Mode::RWXU))?;
                rmdir("folder").map(|()| took.0)
            }
            Self::RemoveDirectory => {
                mkdir("folder", Mode::RWXU)?;
                time(|| rmdir("folder")).map(|took| took.0)
            }
            Self::Create => {
                let took = time(|| openat(CWD, "new", new, mode))?;
                unlink("new").map(|()| took.0)
            }
            Self::Unlink => {
                drop(openat(CWD, "new", new, mode)?);
                time(|| unlink("new")).map(|took| took.0)
            }
            Self::OpenToWrite => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
                time(|| openat(CWD, "file", flags, mode)).map(|took| took.0)
            }
            Self::Rename => {
                let took = time(|| rename("file", "renamed"))?;
                rename("renamed", "file").map(|()| took.0)
            }
            Self::OpenToRead => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                time(|| openat(CWD, "file", flags, Mode::empty())).map(|took| took.0)
            }
            Self::Stat => time(|| stat("file")).map(|took| took.0),
            Self::Write => {
                let file = openat(CWD, "file", OFlags::WRONLY | OFlags::CLOEXEC, mode)?;
                time(|| pwrite(&file, &PIECE, 0)).map(|took| took.0)
            }
        }
    }
}

/// Seconds of one call, and what it gave: a descriptor is closed after them.
fn time<T>(call: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let begin = Instant::now();
    let given = call();
    let took = begin.elapsed().as_secs_f64();
    Ok((took, given?))
}

/// Measures every call and prints the median of each.
pub(crate) fn run() -> std::result::Result<(), String> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let made = openat(CWD, "file", flags, Mode::RUSR | Mode::WUSR);
    made.map(drop).map_err(|error| format!("file: {error}"))?;
    for call in Call::ALL {
        let took = call.timed().map_err(|error| format!("{}: {error}", call.words()))?;
        println!("{}", median_of(took));
    }
    Ok(())
}
