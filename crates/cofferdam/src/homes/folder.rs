//! The directories and the lock of a kept home, reached by descriptors: no link is followed, and what
//! is not this user's alone is not used.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, ResolveFlags, chmodat, flock, fstat, mkdirat,
    openat, openat2, renameat, statat,
};
use rustix::io::Errno;

use super::error::{HomeError, system};
use super::remove;

const HOMES: &str = "homes";
pub(super) const HOME: &str = "home";
pub(super) const LOCK: &str = "lock";
pub(super) const NAME: &str = "workspace";
/// A home that is being made, and one that is being removed: neither is anybody's.
pub(super) const MAKING: &str = "making";
pub(super) const REMOVED: &str = "removed";
/// A path, and a newline. Bytes.
const NAME_BYTES_MAX: u64 = 8 << 10;

/// Where all of them are.
pub(super) fn homes(state: &Path) -> PathBuf {
    state.join(HOMES)
}

/// The directories of one workspace's home, open.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) at: OwnedFd,
}

impl Folder {
    /// `name` in `above`, made with mode 0700 where it is missing. No link is followed.
    pub(super) fn in_directory(
        above: &OwnedFd,
        path: PathBuf,
        make: bool,
    ) -> Result<Self, HomeError> {
        let name = path.file_name().unwrap_or_default().to_owned();
        if make {
            match mkdirat(above, &name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(system("make", &path)(error.into())),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = match openat(above, &name, flags, Mode::empty()) {
            Ok(at) => at,
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(HomeError::NoDirectory { path }),
            Err(error) => return Err(system("open", &path)(error.into())),
        };
        ours(&at, &path, 0o077)?;
        Ok(Self { path, at })
    }

    /// `homes` below the state directory, which is made where it is missing if `make` says so.
    pub(super) fn of_homes(state: &Path, make: bool) -> Result<Self, HomeError> {
        if make {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
            made.map_err(system("make the directory of", state))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let above = openat2(CWD, state, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        let above = above.map_err(|error| system("open the directory of", state)(error.into()))?;
        Self::in_directory(&above, homes(state), make)
    }

    /// The lock, held as `operation` says. `None` where a reset took the file away meanwhile.
    pub(super) fn lock(
        &self,
        operation: FlockOperation,
        wait: Duration,
    ) -> Result<Option<File>, HomeError> {
        let failed = system("lock", &self.path);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match openat(&self.at, LOCK, flags | OFlags::CLOEXEC, mode) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let until = Instant::now() + wait;
        loop {
            match flock(&file, operation) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() >= until => {
                    return Err(HomeError::InUse { workspace: self.workspace() });
                }
                Err(Errno::AGAIN) => thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(failed(error.into())),
            }
        }
        let open = fstat(&file).map_err(|error| failed(error.into()))?;
        let named = statat(&self.at, LOCK, AtFlags::SYMLINK_NOFOLLOW);
        let same =
            named.is_ok_and(|named| (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino));
        Ok(same.then_some(file))
    }

    /// Whose home it is, as was written when it was made.
    pub(super) fn workspace(&self) -> PathBuf {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut text = String::new();
        if let Ok(file) = openat(&self.at, NAME, flags, Mode::empty()) {
            drop(File::from(file).take(NAME_BYTES_MAX).read_to_string(&mut text));
        }
        PathBuf::from(text.trim_end_matches('\n'))
    }

    /// The home itself, if it has been made.
    pub(super) fn home(&self) -> Result<Option<OwnedFd>, HomeError> {
        let path = self.path.join(HOME);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let home = match openat(&self.at, HOME, flags, Mode::empty()) {
            Ok(home) => home,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(HomeError::NoDirectory { path }),
            Err(error) => return Err(system("open", &path)(error.into())),
        };
        // Its permission bits are the workload's; what is above it shuts others out.
        let mode = ours(&home, &path, 0)?;
        if mode & 0o700 != 0o700 {
            // Through the descriptor, so of nothing else.
            let held = format!("/proc/self/fd/{}", home.as_raw_fd());
            chmodat(CWD, held, Mode::RWXU, AtFlags::empty())
                .map_err(|error| system("open", &path)(error.into()))?;
        }
        Ok(Some(home))
    }

    /// Makes the home whole before it gets its name.
    pub(super) fn make(&self, workspace: &Path, seed: &str) -> Result<(), HomeError> {
        let failed = |error: Errno| system("make", &self.path)(error.into());
        remove::tree(self.at.as_fd(), MAKING, Duration::MAX).map_err(system("tidy", &self.path))?;
        mkdirat(&self.at, MAKING, Mode::RWXU).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let making = openat(&self.at, MAKING, flags, Mode::empty()).map_err(failed)?;
        let write = |at: &OwnedFd, name: &str, text: &[u8]| -> io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
            let mode = Mode::RUSR | Mode::WUSR;
            File::from(openat(at, name, flags | OFlags::CLOEXEC, mode)?).write_all(text)
        };
        if !seed.is_empty() {
            write(&making, ".gitconfig", seed.as_bytes()).map_err(system("seed", &self.path))?;
        }
        let mut name = workspace.as_os_str().as_encoded_bytes().to_vec();
        name.push(b'\n');
        write(&self.at, NAME, &name).map_err(system("make", &self.path))?;
        renameat(&self.at, MAKING, &self.at, HOME).map_err(failed)
    }
}

/// The permission bits of a directory, which must be this user's and have none of `closed`.
pub(super) fn ours(at: &OwnedFd, path: &Path, closed: u32) -> Result<u32, HomeError> {
    let seen = fstat(at).map_err(|error| system("look at", path)(error.into()))?;
    let (owner, mode) = (seen.st_uid, seen.st_mode & 0o7777);
    if owner == rustix::process::geteuid().as_raw() && mode & closed == 0 {
        return Ok(mode);
    }
    Err(HomeError::NotOurs { path: path.to_owned(), owner, mode })
}
