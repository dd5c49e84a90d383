//! The files of a vault: reached by one descriptor of their directory, this user's alone, replaced whole.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock, fstat, fsync,
    openat, openat2, renameat, unlinkat,
};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::VaultError;
use super::secret::read_bounded;

/// Longest file of ours. Bytes.
pub(super) const FILE_BYTES_MAX: usize = 8 << 20;
const LOCK: &str = "vault.lock";
/// Behind the name of a file that is being written. It is nobody's: a writer that was ended left it.
const NEW: &str = ".new";

/// Whether what is missing is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Make,
    Leave,
}

/// The directory, open.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    at: OwnedFd,
}

impl Folder {
    /// Opens it, through no link; `None` where it is not there and is not made.
    pub(super) fn open(path: &Path, absent: Absent) -> Result<Option<Self>, VaultError> {
        if absent == Absent::Make {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(system("make the directory", path))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(at) => at,
            Err(Errno::NOENT) if absent == Absent::Leave => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(VaultError::NoFile { path: path.to_owned() });
            }
            Err(error) => return Err(system("open", path)(error.into())),
        };
        ours(&at, path, 0o077)?;
        Ok(Some(Self { path: path.to_owned(), at }))
    }

    /// The whole of a file of ours; `None` where there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let path = self.path.join(name);
        let Some(fd) = open_once(&self.at, Path::new(name), &path)? else { return Ok(None) };
        ours(&fd, &path, 0o077)?;
        whole(&fd, &path, FILE_BYTES_MAX).map(Some)
    }

    /// The directory itself.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.at.as_fd()
    }

    /// Whether there is something of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.at, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Puts a file in the place of the one of this name, at once and for good. Whoever calls it holds
    /// the lock.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
        let path = self.path.join(name);
        let failed = system("write", &path);
        let new = format!("{name}{NEW}");
        self.remove(&new)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let written = (|| -> io::Result<()> {
            let mut file = File::from(openat(&self.at, &new, flags | OFlags::CLOEXEC, mode)?);
            file.write_all(bytes)?;
            file.sync_all()?;
            renameat(&self.at, &new, &self.at, name)?;
            Ok(fsync(&self.at)?)
        })();
        written.map_err(|error| {
            // What is half written is of no use.
            unlinkat(&self.at, &new, AtFlags::empty()).unwrap_or(());
            failed(error)
        })
    }

    /// Removes a file, where there is one.
    pub(super) fn remove(&self, name: &str) -> Result<(), VaultError> {
        match unlinkat(&self.at, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(system("remove", &self.path.join(name))(error.into())),
        }
    }

    /// The lock of all who change something here, held until the file is dropped.
    pub(super) fn lock(&self, wait: Duration) -> Result<File, VaultError> {
        let path = self.path.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&self.at, LOCK, flags | OFlags::CLOEXEC, mode);
        let file = File::from(file.map_err(|error| system("lock", &path)(error.into()))?);
        let until = Instant::now() + wait;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() >= until => {
                    return Err(VaultError::Busy { path: self.path.clone() });
                }
                Err(Errno::AGAIN) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(system("lock", &path)(error.into())),
            }
        }
    }
}

/// Opens a regular file to read it, once, through no link at its end. `None` where there is none.
pub(super) fn open_once(
    at: impl AsFd,
    name: &Path,
    path: &Path,
) -> Result<Option<OwnedFd>, VaultError> {
    // Without waiting for whoever writes into a FIFO.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = match openat(at, name, flags | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => {
            return Err(VaultError::NoFile { path: path.to_owned() });
        }
        Err(error) => return Err(system("open", path)(error.into())),
    };
    let seen = fstat(&fd).map_err(|error| system("look at", path)(error.into()))?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return Err(VaultError::NoFile { path: path.to_owned() });
    }
    Ok(Some(fd))
}

/// All bytes of a file, of which there are not more than `bytes_max`.
pub(super) fn whole(
    fd: &OwnedFd,
    path: &Path,
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let seen = fstat(fd).map_err(|error| system("look at", path)(error.into()))?;
    let long = || VaultError::TooLarge { path: path.to_owned() };
    // The room that it needs, and not the most that it may: it is read whole, or it has changed.
    let length = usize::try_from(seen.st_size).map_err(|_| long())?;
    if length > bytes_max {
        return Err(long());
    }
    let bytes = read_bounded(fd, length).map_err(|error| system("read", path)(error.into()))?;
    if bytes.len() > length { Err(long()) } else { Ok(bytes) }
}

/// A file or directory is this user's, and its mode has none of `closed`.
fn ours(fd: &OwnedFd, path: &Path, closed: u32) -> Result<(), VaultError> {
    let seen = fstat(fd).map_err(|error| system("look at", path)(error.into()))?;
    let (owner, mode) = (seen.st_uid, seen.st_mode & 0o7777);
    if owner == rustix::process::geteuid().as_raw() && mode & closed == 0 {
        return Ok(());
    }
    Err(VaultError::TooOpen { path: path.to_owned(), owner, mode, take: "go-rwx" })
}

pub(super) fn system(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> VaultError {
    move |source| VaultError::System { doing, path: path.to_owned(), source }
}
