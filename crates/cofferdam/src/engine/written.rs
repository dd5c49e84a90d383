//! Whether what the policy planted stands in a file that the workload wrote: asked when it has ended.
//!
//! Files lie where the person works with them afterwards, and many a program sends them on: a canary in one
//! is an alarm. Whatever the workload has made of its trees, nothing in them is followed, nothing but regular
//! files is opened, and entries, bytes and time are bounded; a look that was not whole says so.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cofferdam_audit::redact::{Finder, Found, Needles};
use cofferdam_policy::model::Policy;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

/// Most entries of directories that are looked at.
const ENTRIES_MAX: u64 = 1_000_000;
/// Most bytes that are read.
const BYTES_MAX: u64 = 4 << 30;
/// Deepest directory, counted from its tree: as many are open at a time.
const DEPTH_MAX: usize = 128;
/// Longest time.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Most files that are told of.
const FOUND_MAX: usize = 100;
/// What is read at once. Bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Clocks of file systems are behind by a few milliseconds.
const BEHIND: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Each file once.
    pub(super) found: Vec<(PathBuf, Found)>,
    /// Why not every file was looked through; `None` where each was.
    pub(super) open: Option<String>,
}

/// A directory that is still to be looked at.
struct Below {
    at: Rc<OwnedFd>,
    name: OsString,
    path: PathBuf,
    depth: usize,
}

/// One look.
struct Look<'n> {
    needles: &'n Needles,
    /// What was changed before is none of the workload's.
    since: Duration,
    ends: Instant,
    entries: u64,
    bytes: u64,
    /// Directories by device and inode: a tree may lie in another.
    seen: BTreeSet<(u64, u64)>,
    written: Written,
}

/// Looks through what changed in every tree that the workload may write to, since it was started.
pub(super) fn look(policy: &Policy, needles: &Needles, started: SystemTime) -> Written {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(BEHIND);
    let mut look = Look {
        needles,
        since,
        ends: Instant::now() + TIME_MAX,
        entries: 0,
        bytes: 0,
        seen: BTreeSet::new(),
        written: Written::default(),
    };
    let trees = policy.grants.iter().chain([&policy.workspace]);
    let trees = trees.filter(|tree| tree.mode.is_written());
    let roots = trees.map(|tree| (tree.source.as_path(), (tree.seen.dev, tree.seen.ino)));
    let home = policy.kept_home.iter();
    let home = home.map(|kept| (kept.source.as_path(), (kept.seen.dev, kept.seen.ino)));
    for (path, expected) in roots.chain(home) {
        if let Err(why) = look.tree(path, expected) {
            look.written.open.get_or_insert(why);
        }
    }
    look.written
}

impl Look<'_> {
    /// # Errors
    /// Why something of it was not looked at.
    fn tree(&mut self, path: &Path, expected: (u64, u64)) -> Result<(), String> {
        let hold = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, path, hold, Mode::empty()).map_err(|error| told(path, error))?;
        let stat = fstat(&root).map_err(|error| told(path, error))?;
        if (stat.st_dev, stat.st_ino) != expected {
            return Err(format!("{} is another one by now", path.display()));
        }
        let (above, Some(name)) = (path.parent().unwrap_or(Path::new("/")), path.file_name())
        else {
            return Err(format!("{} has no name", path.display()));
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let first =
                Below { at: Rc::new(root), name: ".".into(), path: path.to_owned(), depth: 0 };
            return self.directories(first);
        }
        let above = openat(CWD, above, hold | OFlags::DIRECTORY, Mode::empty());
        let above = above.map_err(|error| told(path, error))?;
        self.entry(&above, name, path)
    }

    fn directories(&mut self, first: Below) -> Result<(), String> {
        let (mut waiting, mut fault) = (vec![first], None);
        while let Some(Below { at, name, path, depth }) = waiting.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = openat(&at, &name, flags, Mode::empty());
            let directory = match opened.and_then(|opened| Ok((fstat(&opened)?, opened))) {
                Ok((stat, opened)) if self.seen.insert((stat.st_dev, stat.st_ino)) => opened,
                Ok(_) => continue,
                Err(error) => {
                    fault.get_or_insert_with(|| told(&path, error));
                    continue;
                }
            };
            let here = Rc::new(directory);
            let entries = Dir::read_from(&here).map_err(|error| told(&path, error))?;
            for entry in entries {
                let Ok(entry) = entry else { break };
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                self.entries += 1;
                self.bounded()?;
                let below = path.join(name);
                if entry.file_type() == FileType::Directory && depth < DEPTH_MAX {
                    let (at, name) = (Rc::clone(&here), name.to_owned());
                    waiting.push(Below { at, name, path: below, depth: depth + 1 });
                } else if let Err(why) = self.entry(&here, name, &below) {
                    fault.get_or_insert(why);
                }
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// One name that is no directory's, or too deep.
    fn entry(&mut self, at: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), String> {
        let changed = |stat: &Stat| {
            let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
            let more = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
            Duration::new(seconds, more) >= self.since
        };
        let stat = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat.map_err(|error| told(path, error))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return Err(format!("{} is too deep", path.display()));
        }
        if !changed(&stat) {
            return Ok(());
        }
        if let Some(found) = self.needles.first_in(name.as_bytes()) {
            return self.told(path, found);
        }
        if kind != FileType::RegularFile {
            return Ok(());
        }
        // It waits for nobody, whatever has the name by now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = openat(at, name, flags | OFlags::CLOEXEC, Mode::empty());
        let mut file = File::from(opened.map_err(|error| told(path, error))?);
        let stat = fstat(&file).map_err(|error| told(path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        match self.file(&mut file, path)? {
            Some(found) => self.told(path, found),
            None => Ok(()),
        }
    }

    fn told(&mut self, path: &Path, found: Found) -> Result<(), String> {
        if self.written.found.len() >= FOUND_MAX {
            return Err(format!("a canary is in more than {FOUND_MAX} files"));
        }
        self.written.found.push((path.to_owned(), found));
        Ok(())
    }

    fn file(&mut self, file: &mut File, path: &Path) -> Result<Option<Found>, String> {
        let (mut finder, mut piece) = (Finder::new(self.needles), vec![0; PIECE_BYTES]);
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return Ok(finder.finish()),
                Ok(count) => piece.get(..count).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("{}: {error}", path.display())),
            };
            self.bytes = self.bytes.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
            if let Some(found) = finder.feed(read) {
                return Ok(Some(found));
            }
            self.bounded()?;
        }
    }

    fn bounded(&self) -> Result<(), String> {
        let gib = BYTES_MAX >> 30;
        if self.entries > ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} names"));
        }
        if self.bytes > BYTES_MAX {
            return Err(format!("more than {gib} GiB were written"));
        }
        if Instant::now() > self.ends {
            return Err(format!("it took longer than {} seconds", TIME_MAX.as_secs()));
        }
        Ok(())
    }
}

fn told(path: &Path, error: Errno) -> String {
    format!("{}: {}", path.display(), std::io::Error::from(error))
}
