//! Where a path leads: the parent directory as a descriptor, the last name, and the path of both
//! without symbolic links.
//!
//! The kernel resolves, in one step where no link of `/proc` is on the way; those stand for whoever
//! asks, so the broker follows them by hand for the caller.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;

use cofferdam_plan::judge::names::Ask;
use cofferdam_plan::judge::path::split;
use cofferdam_plan::message::Operation;

use super::Broker;
use super::caller::Caller;

/// `AT_FDCWD`.
pub(super) const HERE: i32 = -100;
/// Symbolic links on the way, as for the kernel (`path_resolution(7)`).
const LINKS_MAX: u32 = 40;
/// What of pid 1 everybody may read.
const TOLD: [&str; 5] = ["stat", "status", "statm", "comm", "cmdline"];

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) parent: OwnedFd,
    /// The last name as the caller wrote it, with a slash behind it if there was one.
    pub(super) name: CString,
    /// The parent's path and the name.
    pub(super) path: PathBuf,
    /// Whether the name is one, and not `.`, `..` or `/`.
    pub(super) plain: bool,
    /// Whether a slash follows it.
    pub(super) slash: bool,
    /// Whether links of `/proc`, which mean something else to the kernel when the broker asks, may be
    /// on the way.
    pub(super) by_hand: bool,
}

/// Where a path leads whose last name is followed too.
#[derive(Debug)]
pub(super) enum Target {
    /// To a name that is no symbolic link, as far as the last look told.
    Name(Place),
    /// To this thing, held without the right to read or write it.
    Thing(OwnedFd, PathBuf),
}

/// What a symbolic link says.
enum Link {
    Text(CString),
    /// It leads somewhere without words: a link of `/proc`.
    Jump(OwnedFd),
}

impl Place {
    /// Holds what has the name now, without the right to read or write it; a symbolic link itself.
    pub(super) fn hold(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.parent, &self.name, flags, Mode::empty())
    }
}

impl Target {
    /// The thing, and its path.
    pub(super) fn hold(self) -> Result<(OwnedFd, PathBuf), Errno> {
        match self {
            Self::Thing(fd, path) => Ok((fd, path)),
            Self::Name(place) => Ok((place.hold()?, place.path)),
        }
    }
}

impl Broker {
    /// The path of what a descriptor names (`proc_pid_fd(5)`).
    ///
    /// What has lost its name is told with that name all the same: who holds it may not do more with it
    /// than before.
    pub(super) fn path_of(&self, fd: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
        /// What `/proc` says behind a name that is no more.
        const GONE: &[u8] = b" (deleted)";
        let path = readlinkat(&self.own, fd.as_raw_fd().to_string(), Vec::new())?.into_bytes();
        if let Some(before) = path.strip_suffix(GONE) {
            // Unless that is the name.
            let there = statat(&self.root, path.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
            let same = |there: &rustix::fs::Stat| {
                fstat(fd).is_ok_and(|fd| (fd.st_dev, fd.st_ino) == (there.st_dev, there.st_ino))
            };
            if !there.as_ref().is_ok_and(same) {
                return Ok(PathBuf::from(std::ffi::OsString::from_vec(before.to_vec())));
            }
        }
        Ok(PathBuf::from(std::ffi::OsString::from_vec(path)))
    }

    /// A path to a descriptor's thing, for calls that take no descriptor.
    pub(super) fn way_to(fd: BorrowedFd<'_>) -> String {
        format!("/proc/self/fd/{}", fd.as_raw_fd())
    }

    /// Whether this is of a process or thread that is the broker itself.
    fn is_own(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix("/proc") else { return false };
        let Some(first) = below.iter().next().and_then(OsStr::to_str) else { return false };
        let own = std::process::id().to_string();
        let task = || statat(&self.proc, format!("{own}/task/{first}"), AtFlags::empty()).is_ok();
        first.bytes().all(|byte| byte.is_ascii_digit()) && (first == own || task())
    }
}

impl Caller<'_> {
    /// Resolves all but the last name of the path in an argument.
    pub(super) fn place(&self, (fd, index): (i32, usize)) -> Result<Place, Errno> {
        let text = self.text(index)?;
        self.place_from(self.start(fd, text.to_bytes())?, text.to_bytes())
    }

    /// The same for a path that stands elsewhere, from this working directory.
    pub(super) fn place_of(&self, text: &CStr, here: &OwnedFd) -> Result<Place, Errno> {
        let start = if text.to_bytes().first() == Some(&b'/') { &self.broker.root } else { here };
        self.place_from(start.try_clone().map_err(|_| Errno::MFILE)?, text.to_bytes())
    }

    /// Where a path starts.
    fn start(&self, fd: i32, text: &[u8]) -> Result<OwnedFd, Errno> {
        match text.first() {
            None => Err(Errno::NOENT),
            Some(b'/') => Ok(self.broker.root.try_clone().map_err(|_| Errno::MFILE)?),
            Some(_) => self.directory(fd),
        }
    }

    pub(super) fn place_from(&self, start: OwnedFd, text: &[u8]) -> Result<Place, Errno> {
        let (above, name, slash) = split(text);
        let (parent, mut path, by_hand) = if above.is_empty() {
            let path = self.broker.path_of(start.as_fd())?;
            (start, path, false)
        } else {
            self.enter(start, above)?
        };
        let plain = !matches!(name, b"." | b".." | b"/");
        if plain {
            path.push(OsStr::from_bytes(name));
        }
        let proc = path.starts_with("/proc");
        let told = TOLD.iter().any(|told| name == told.as_bytes());
        if proc && path.iter().count() > 3 && self.broker.is_own(&path) && !told {
            return Err(Errno::ACCESS);
        }
        let mut name = name.to_vec();
        if slash && plain {
            name.push(b'/');
        }
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        Ok(Place { parent, name, path, plain, slash, by_hand })
    }

    /// A directory below `start`, its path, and whether it was walked to by hand.
    fn enter(&self, start: OwnedFd, text: &[u8]) -> Result<(OwnedFd, PathBuf, bool), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let plainly = ResolveFlags::NO_MAGICLINKS;
        let text = CString::new(text).map_err(|_| Errno::INVAL)?;
        match openat2(&start, &text, flags, Mode::empty(), plainly) {
            Ok(fd) => {
                let path = self.broker.path_of(fd.as_fd())?;
                if !path.starts_with("/proc") {
                    return Ok((fd, path, false));
                }
            }
            Err(errno @ (Errno::NAMETOOLONG | Errno::MFILE | Errno::NFILE)) => return Err(errno),
            Err(_) => {}
        }
        // Links of /proc were the broker's own on that way.
        let fd = self.walk(start, text.to_bytes())?;
        let path = self.broker.path_of(fd.as_fd())?;
        Ok((fd, path, true))
    }

    /// The same name by name.
    fn walk(&self, start: OwnedFd, text: &[u8]) -> Result<OwnedFd, Errno> {
        let words = |text: &[u8]| -> Vec<Vec<u8>> {
            text.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
        };
        let root = || self.broker.root.try_clone().map_err(|_| Errno::MFILE);
        let mut at = if text.first() == Some(&b'/') { root()? } else { start };
        let mut left = words(text);
        let mut links = 0;
        while let Some(word) = left.pop() {
            if word.is_empty() {
                continue;
            }
            let word = CString::new(word).map_err(|_| Errno::INVAL)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(&at, &word, flags, Mode::empty());
            let next = next.map_err(|errno| self.shut(at.as_fd(), &word, errno))?;
            match FileType::from_raw_mode(fstat(&next)?.st_mode) {
                FileType::Directory => at = next,
                FileType::Symlink => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::LOOP);
                    }
                    match self.read_link(at.as_fd(), &word)? {
                        Link::Jump(fd) => at = fd,
                        Link::Text(text) => {
                            if text.to_bytes().first() == Some(&b'/') {
                                at = root()?;
                            }
                            left.extend(words(text.to_bytes()));
                        }
                    }
                }
                FileType::RegularFile
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => return Err(Errno::NOTDIR),
            }
        }
        if FileType::from_raw_mode(fstat(&at)?.st_mode) == FileType::Directory {
            Ok(at)
        } else {
            Err(Errno::NOTDIR)
        }
    }

    /// What is behind a hidden directory is not there, though the mount over it says that it is shut.
    fn shut(&self, at: BorrowedFd<'_>, word: &CStr, errno: Errno) -> Errno {
        // Where nothing is hidden there is nothing to ask.
        if word == c"." || word == c".." || !self.broker.rules.looks() {
            return errno;
        }
        let path = self.broker.path_of(at).unwrap_or_default();
        let path = path.join(OsStr::from_bytes(word.to_bytes()));
        match self.ask(Operation::Look, &path, Ask::Look(&path)) {
            Err(hidden) if errno == Errno::ACCESS => hidden,
            Ok(_) | Err(_) => errno,
        }
    }

    /// What the symbolic link `name` in `at` means to the caller.
    fn read_link(&self, at: BorrowedFd<'_>, name: &CStr) -> Result<Link, Errno> {
        let path = self.broker.path_of(at)?;
        if path == Path::new("/proc") {
            if let Some(text) = self.own_link(name.to_bytes())? {
                return CString::new(text).map(Link::Text).map_err(|_| Errno::INVAL);
            }
        } else if path.starts_with("/proc") {
            if self.broker.is_own(&path) {
                return Err(Errno::ACCESS);
            }
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            return openat(at, name, flags, Mode::empty()).map(Link::Jump);
        }
        readlinkat(at, name, Vec::new()).map(Link::Text)
    }

    /// What the links of `/proc` that stand for whoever asks say to the caller.
    pub(super) fn own_link(&self, name: &[u8]) -> Result<Option<String>, Errno> {
        Ok(match name {
            b"self" => Some(self.process()?.to_string()),
            b"thread-self" => Some(format!("{}/task/{}", self.process()?, self.call.thread)),
            _ => None,
        })
    }

    /// Follows the last name of `place` one link further; `None` where it is no link.
    pub(super) fn follow(&self, place: &Place) -> Result<Option<Target>, Errno> {
        match readlinkat(&place.parent, &place.name, Vec::new()) {
            Ok(_) => {}
            // Not a link, or not there: whoever uses the name is told.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(None),
            // A link of /proc to what has no path.
            Err(Errno::NAMETOOLONG) => {}
            Err(errno) => return Err(errno),
        }
        Ok(Some(match self.read_link(place.parent.as_fd(), &place.name)? {
            Link::Jump(fd) => {
                let path = self.broker.path_of(fd.as_fd())?;
                Target::Thing(fd, path)
            }
            Link::Text(text) => {
                let parent = place.parent.try_clone().map_err(|_| Errno::MFILE)?;
                let absolute = text.to_bytes().first() == Some(&b'/');
                let root = || self.broker.root.try_clone().map_err(|_| Errno::MFILE);
                let start = if absolute { root()? } else { parent };
                Target::Name(self.place_from(start, text.to_bytes())?)
            }
        }))
    }

    /// Where the path in an argument leads, its last name followed.
    pub(super) fn target(&self, at: (i32, usize)) -> Result<Target, Errno> {
        let place = self.place(at)?;
        self.target_of(place)
    }

    pub(super) fn target_of(&self, mut place: Place) -> Result<Target, Errno> {
        for _ in 0..=LINKS_MAX {
            if !place.plain || place.slash {
                return self.directory_of(&place);
            }
            match self.follow(&place)? {
                None => return Ok(Target::Name(place)),
                Some(Target::Name(next)) => place = next,
                Some(thing @ Target::Thing(..)) => return Ok(thing),
            }
        }
        Err(Errno::LOOP)
    }

    /// The directory that a path with `.`, `..` or a slash at its end names.
    pub(super) fn directory_of(&self, place: &Place) -> Result<Target, Errno> {
        let parent = place.parent.try_clone().map_err(|_| Errno::MFILE)?;
        let (fd, path, _) = self.enter(parent, place.name.to_bytes())?;
        Ok(Target::Thing(fd, path))
    }
}
