//! The measuring program: calls on names in its working directory, each timed.

use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, mkdir, openat, rename, rmdir, stat, unlink};
use rustix::io::{Result, pwrite};

use crate::bench::stat::median_of;

/// The task that is this program.
pub(crate) const TASK: &str = "bench-calls";
/// How often each call is made.
const ROUNDS: usize = 2_000;
/// The same where a directory is removed each time: ext4 waits 4 ms in that.
const ROUNDS_WAITED: usize = 200;
/// What the broker may add to a call that changes a name or opens to write. Seconds.
const ADDED_MAX: f64 = 30e-6;
/// What the filter and Landlock may add to a call that the broker never sees: it would cost five times
/// as much at least. Seconds.
const UNCHANGED_MAX: f64 = 1e-6;
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
    /// Those that are judged only where something is hidden by a pattern.
    pub(super) const LOOKS: [Self; 2] = [Self::OpenToRead, Self::Stat];
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
            Self::Create => "open to create a new name (`O_EXCL`)",
            Self::Unlink => "unlink",
            Self::OpenToWrite => "open to write (`O_CREAT`) an existing name",
            Self::Rename => "rename to a new name",
            Self::OpenToRead => "open to read",
            Self::Stat => "stat",
            Self::Write => "write of 4 KiB",
        }
    }

    /// What may be added to it where nothing is hidden. Seconds; `None` where the wait of the file
    /// system is so much longer that this does not show.
    pub(super) const fn added_max(self) -> Option<f64> {
        match self {
            Self::RemoveDirectory => None,
            Self::MakeDirectory
            | Self::Create
            | Self::Unlink
            | Self::OpenToWrite
            | Self::Rename => Some(ADDED_MAX),
            Self::OpenToRead | Self::Stat | Self::Write => Some(UNCHANGED_MAX),
        }
    }

    /// Makes the call so often, and what it takes before and after; the seconds of each.
    fn timed(self) -> Result<Vec<f64>> {
        let waited = matches!(self, Self::MakeDirectory | Self::RemoveDirectory);
        let rounds = if waited { ROUNDS_WAITED } else { ROUNDS };
        (0..rounds).map(|_| self.once()).collect()
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

/// The calls that a word of the command line asks for.
pub(super) fn asked(which: &str) -> Option<&'static [Call]> {
    match which {
        "all" => Some(&Call::ALL),
        "looks" => Some(&Call::LOOKS),
        _ => None,
    }
}

/// Measures these calls and prints the median of each.
pub(crate) fn run(which: &str) -> std::result::Result<(), String> {
    let calls = asked(which).ok_or_else(|| format!("`{which}`: all or looks"))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let made = openat(CWD, "file", flags, Mode::RUSR | Mode::WUSR);
    made.map(drop).map_err(|error| format!("file: {error}"))?;
    for call in calls {
        let took = call.timed().map_err(|error| format!("{}: {error}", call.words()))?;
        println!("{}", median_of(took));
    }
    Ok(())
}
