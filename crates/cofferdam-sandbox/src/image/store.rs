//! Where images are unpacked: a directory each, named by the digest of its manifest, there as a whole or
//! not at all.
//!
//! One process unpacks at a time, under a lock; what it left when it was ended goes with the next.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, renameat, syncfs};

use super::Fault;
use super::layout::Digest;

/// Written last, when everything else is on disk. Its text is that of what was done to unpack it.
const DONE: &str = "done";
const VERSION: &[u8] = b"1\n";
/// The image's root, below its directory.
const ROOT: &str = "rootfs";
const LOCK: &str = "lock";
/// Begins the name of one that is not whole.
const NEW: &str = "new-";

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directory of all images.
pub(super) struct Store {
    path: PathBuf,
    at: OwnedFd,
}

impl Store {
    /// Opens it, made where it is missing. It is the caller's alone.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let failed = Fault::unwritten(format!("make {}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(&failed)?;
        let at = rustix::fs::open(path, OPEN, Mode::empty()).map_err(|e| failed(e.into()))?;
        let seen = fstat(&at).map_err(|errno| failed(errno.into()))?;
        if seen.st_uid != rustix::process::geteuid().as_raw() || seen.st_mode & 0o022 != 0 {
            return Err(Fault::Shared(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), at })
    }

    /// A file without a name.
    pub(super) fn unnamed(&self) -> Result<File, Fault> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = openat(&self.at, ".", flags, Mode::RUSR | Mode::WUSR);
        let failed = Fault::unwritten(format!("make a file in {}", self.path.display()));
        file.map(File::from).map_err(|errno| failed(errno.into()))
    }

    /// The root of the image `digest`, which `unpack` fills where there is none.
    pub(super) fn image(
        &self,
        digest: &Digest,
        unpack: impl FnOnce(&Path) -> Result<(), Fault>,
    ) -> Result<PathBuf, Fault> {
        let name = format!("sha256-{}", digest.hex());
        let whole = self.path.join(&name);
        if is_whole(&whole) {
            return Ok(whole.join(ROOT));
        }
        let failed = |doing: &str| Fault::unwritten(format!("{doing} {}", whole.display()));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&self.at, LOCK, flags, Mode::RUSR | Mode::WUSR);
        let lock = lock.map_err(|errno| failed("lock")(errno.into()))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed("lock")(e.into()))?;
        // Another one may have made it meanwhile.
        if is_whole(&whole) {
            return Ok(whole.join(ROOT));
        }
        self.tidy(&name)?;
        let new = format!("{NEW}{}", digest.hex());
        let made = || -> io::Result<OwnedFd> {
            mkdirat(&self.at, &new, Mode::RWXU)?;
            let at = openat(&self.at, &new, OPEN, Mode::empty())?;
            mkdirat(&at, ROOT, Mode::from_raw_mode(0o755))?;
            Ok(at)
        };
        let at = made().map_err(failed("make"))?;
        unpack(&self.path.join(&new).join(ROOT))
            .inspect_err(|_| self.remove(&new).unwrap_or(()))?;
        let finish = || -> io::Result<()> {
            // What a machine that fails now has lost is not taken for whole.
            syncfs(at.as_fd())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut done = File::from(openat(&at, DONE, flags, Mode::RUSR | Mode::WUSR)?);
            done.write_all(VERSION)?;
            done.sync_all()?;
            Ok(renameat(&self.at, &new, &self.at, &name)?)
        };
        finish().map_err(failed("finish"))?;
        Ok(whole.join(ROOT))
    }

    /// Removes what is no image: of one that was ended, and one that is not whole.
    fn tidy(&self, name: &str) -> Result<(), Fault> {
        let failed = |error| Fault::unwritten(format!("tidy {}", self.path.display()))(error);
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let found = entry.map_err(failed)?.file_name();
            let Some(found) = found.to_str() else { continue };
            if found.starts_with(NEW) || found == name {
                self.remove(found).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// With all that is in it; no link is followed.
    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_dir_all(self.path.join(name))
    }
}

fn is_whole(image: &Path) -> bool {
    let mut text = Vec::new();
    let done = File::open(image.join(DONE)).and_then(|done| done.take(16).read_to_end(&mut text));
    done.is_ok() && text == VERSION
}
