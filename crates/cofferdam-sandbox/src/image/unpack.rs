//! Writes layers below a root, by descriptors: no link is followed, and what is not below it is not reached.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::view;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, fstatvfs,
    futimens, linkat, mkdirat, openat, openat2, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Fault;
use super::layer::{self, Entry, Found, Taken, What};
use super::layout::{Bounds, Layer, Layout};

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const HOLD: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// From this length on it is asked before whether there is room. Bytes.
const ROOM_FROM_BYTES: u64 = 1 << 20;

/// Unpacks `layers` in order below `root`, which is empty.
pub(super) fn all(
    layout: &Layout,
    layers: &[Layer],
    root: &Path,
    bounds: &mut Bounds,
) -> Result<(), Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::open(root, flags, Mode::empty());
    let held = held.map_err(|errno| Fault::unwritten("open its root")(errno.into()))?;
    let unpacking = Unpacking { root: held, at: root.to_owned() };
    let mut again = bounds.clone();
    // Every layer is verified, and every name of it checked, before the first is written.
    let taken: Result<Vec<Taken>, Fault> =
        layers.iter().map(|layer| layer::scan(layout, layer, bounds)).collect();
    for (layer, taken) in layers.iter().zip(taken?) {
        unpacking.take(&taken)?;
        layer::walk(layout, layer, &mut again, |found, data| match found {
            Found::Entry(entry) => unpacking.make(&entry, data),
            Found::Gone(_) | Found::Emptied(_) => Ok(()),
        })?;
    }
    unpacking.places()
}

struct Unpacking {
    root: OwnedFd,
    /// For messages.
    at: PathBuf,
}

impl Unpacking {
    /// Removes what a layer takes away of those below it.
    fn take(&self, taken: &Taken) -> Result<(), Fault> {
        for path in &taken.names {
            let Some(above) = self.directory(path.parent(), path, false)? else { continue };
            let name = path.file_name().unwrap_or_default();
            remove(&above, name).map_err(failed("remove", path))?;
        }
        for path in &taken.emptied {
            let Some(held) = self.directory(Some(path), path, false)? else { continue };
            empty(&held).map_err(failed("empty", path))?;
        }
        Ok(())
    }

    /// The directory `path`, made where it is missing and `make` says so; `about` is told of in errors.
    fn directory(
        &self,
        path: Option<&Path>,
        about: &Path,
        make: bool,
    ) -> Result<Option<OwnedFd>, Fault> {
        let path = path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let in_the_way = || {
            let name = about.as_os_str().as_encoded_bytes();
            Fault::unsafe_name(name, "what stands above it is no directory")
        };
        match openat2(&self.root, path, HOLD, Mode::empty(), RESOLVE) {
            Ok(held) => return Ok(Some(held)),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(in_the_way()),
            Err(Errno::NOENT) if make => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("open what is above", about)(errno)),
        }
        let mut held = None;
        for part in path.components() {
            let above = held.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            match mkdirat(above, part.as_os_str(), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed("make what is above", about)(errno)),
            }
            let next = match openat2(above, part.as_os_str(), HOLD, Mode::empty(), RESOLVE) {
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(in_the_way()),
                next => next.map_err(failed("open what is above", about))?,
            };
            held = Some(next);
        }
        Ok(held)
    }

    /// Makes one entry in the place of whatever has its name.
    fn make(&self, entry: &Entry, data: &mut dyn Read) -> Result<(), Fault> {
        let path = &entry.path;
        let failed = |errno| failed("make", path)(errno);
        let Some(above) = self.directory(path.parent(), path, true)? else { return Ok(()) };
        let name = path.file_name().unwrap_or_default();
        match &entry.what {
            What::Directory => directory(&above, name, entry.mode).map_err(failed),
            What::Link(target) => {
                remove(&above, name).map_err(failed)?;
                symlinkat(target, &above, name).map_err(failed)
            }
            What::HardLink(target) => self.second_name(target, path, &above),
            What::File { size } => {
                self.room(*size)?;
                remove(&above, name).map_err(failed)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let mode = Mode::RUSR | Mode::WUSR;
                let file = openat(&above, name, flags | OFlags::CLOEXEC, mode).map_err(failed)?;
                let mut file = File::from(file);
                copy(data, &mut file).map_err(|wrong| wrong.of(path))?;
                // Nobody else writes it, and it has no privilege.
                let mode = Mode::from_raw_mode(entry.mode & 0o755);
                fchmod(&file, mode).map_err(failed)?;
                let tv_sec = i64::try_from(entry.mtime).unwrap_or(0);
                let time = Timespec { tv_sec, tv_nsec: 0 };
                let times = Timestamps { last_access: time, last_modification: time };
                futimens(&file, &times).map_err(failed)
            }
        }
    }

    /// Another name of a file of the image.
    fn second_name(&self, target: &Path, path: &Path, above: &OwnedFd) -> Result<(), Fault> {
        let refuse = |why| Err(Fault::unsafe_name(path.as_os_str().as_encoded_bytes(), why));
        let failed = |errno| failed("link", path)(errno);
        let Some(held) = self.directory(target.parent(), target, false)? else {
            return refuse("it is another name of what is not there");
        };
        let (from, name) =
            (target.file_name().unwrap_or_default(), path.file_name().unwrap_or_default());
        let look = |at: &OwnedFd, name: &OsStr| statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
        let seen = match look(&held, from) {
            Ok(seen) => seen,
            Err(Errno::NOENT) => return refuse("it is another name of what is not there"),
            Err(errno) => return Err(failed(errno)),
        };
        if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
            return refuse("it is another name of what is no file");
        }
        if look(above, name).is_ok_and(|one| (one.st_dev, one.st_ino) == (seen.st_dev, seen.st_ino))
        {
            return Ok(());
        }
        remove(above, name).map_err(failed)?;
        linkat(&held, from, above, name, AtFlags::empty()).map_err(failed)
    }

    fn room(&self, need: u64) -> Result<(), Fault> {
        if need < ROOM_FROM_BYTES {
            return Ok(());
        }
        let seen = fstatvfs(&self.root).map_err(failed("look for room in", Path::new(".")))?;
        let have = seen.f_bavail.saturating_mul(seen.f_frsize);
        if have < need {
            return Err(Fault::NoRoom { at: self.at.clone(), need, have });
        }
        Ok(())
    }

    /// Makes a file for each of the sandbox's own, which are mounted there.
    fn places(&self) -> Result<(), Fault> {
        let etc = Path::new("etc");
        // An image whose /etc leads elsewhere is told about when it is looked at.
        if statat(&self.root, etc, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|seen| FileType::from_raw_mode(seen.st_mode) == FileType::Symlink)
        {
            return Ok(());
        }
        let held = self.directory(Some(etc), etc, true)?;
        for path in view::ETC_OURS {
            let (Some(held), Some(name)) = (&held, Path::new(path).file_name()) else { continue };
            let failed = |errno| failed("make a place for", Path::new(path))(errno);
            remove(held, name).map_err(failed)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::from_raw_mode(0o644);
            drop(openat(held, name, flags | OFlags::CLOEXEC, mode).map_err(failed)?);
        }
        Ok(())
    }
}

/// What went wrong while a file was copied.
enum Wrong {
    Read(io::Error),
    Write(io::Error),
}

impl Wrong {
    fn of(self, path: &Path) -> Fault {
        match self {
            Self::Read(error) => Fault::read(error),
            Self::Write(error) => Fault::unwritten(format!("write {}", shown(path)))(error),
        }
    }
}

fn copy(from: &mut dyn Read, to: &mut File) -> Result<(), Wrong> {
    use std::io::Write as _;
    let mut piece = vec![0; 128 << 10];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Wrong::Read(error)),
        };
        to.write_all(piece.get(..count).unwrap_or_default()).map_err(Wrong::Write)?;
    }
}

/// A directory that its owner may always use, and nobody else writes.
fn directory(above: &OwnedFd, name: &OsStr, mode: u32) -> Result<(), Errno> {
    let there = match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(seen) => FileType::from_raw_mode(seen.st_mode) == FileType::Directory,
        Err(Errno::NOENT) => false,
        Err(errno) => return Err(errno),
    };
    if !there {
        remove(above, name)?;
        mkdirat(above, name, Mode::RWXU)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(above, name, flags, Mode::empty())?;
    fchmod(&held, Mode::from_raw_mode((mode & 0o755) | 0o700))
}

/// Removes `name` with all that is in it, if it is there; no link is followed.
fn remove(above: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(above, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says the first; POSIX, the second.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    empty(&openat(above, name, flags, Mode::empty())?)?;
    unlinkat(above, name, AtFlags::REMOVEDIR)
}

/// Removes all that is in a directory.
fn empty(held: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(held, ".", flags, Mode::empty())?;
    // Before one is removed: what a directory lists while it changes is not said anywhere.
    let mut names = Vec::new();
    for entry in Dir::read_from(&held)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(entry.file_name().to_owned());
        }
    }
    names.iter().try_for_each(|name| {
        use std::os::unix::ffi::OsStrExt as _;
        remove(&held, OsStr::from_bytes(name.to_bytes()))
    })
}

fn shown(path: &Path) -> String {
    let text = String::from_utf8_lossy(path.as_os_str().as_encoded_bytes());
    let text: String = text.chars().take(120).collect();
    text.escape_debug().to_string()
}

fn failed(doing: &str, path: &Path) -> impl Fn(Errno) -> Fault {
    let failed = Fault::unwritten(format!("{doing} {}", shown(path)));
    move |errno| failed(errno.into())
}
