//! Where control sockets are: `sessions/NAME` below the state directory, one for each session.
//!
//! The state directory is in no view (`containment::f48_own_state`), so no workload finds a socket by
//! name. The directory is mode 0700 and this user's, no link leads to it, and everything in it is
//! reached by its descriptor: a path of any length fits into `sun_path` (`unix(7)`, 108 bytes).

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, chmodat, fstat, mkdirat, openat, openat2,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// The directory below the state directory.
const SESSIONS: &str = "sessions";
/// A session's name: 128 bits in hexadecimal.
pub(super) const NAME_LETTERS: usize = 32;
/// What is bound and does not listen yet has this behind its name: nobody takes it for a stale one.
const MAKING: &str = ".new";
/// As long may a start take to listen; what is older was left by one that was killed.
const MAKING_MAX: Duration = Duration::from_secs(60);
/// Peers that the kernel lets wait.
const BACKLOG: i32 = 16;

/// The directory, open.
#[derive(Debug)]
pub(crate) struct Sockets {
    at: OwnedFd,
    path: PathBuf,
}

/// A socket that listens, and its name, which goes away with it.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) fd: OwnedFd,
    sockets: Sockets,
    name: String,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Where somebody removed it already, it is gone.
        unlinkat(&self.sockets.at, &self.name, AtFlags::empty()).unwrap_or(());
    }
}

/// Whether the directory is made where it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Leave,
}

impl Sockets {
    /// The directory below `state`.
    ///
    /// # Errors
    /// `NotFound` where it is missing and is not made; `PermissionDenied` where it is not this user's
    /// alone; what the system said.
    pub(crate) fn open(state: &Path, missing: Missing) -> io::Result<Self> {
        if missing == Missing::Make {
            DirBuilder::new().recursive(true).mode(0o700).create(state)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let above = openat2(CWD, state, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
        if missing == Missing::Make {
            match mkdirat(&above, SESSIONS, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let at = openat(&above, SESSIONS, flags, Mode::empty())?;
        let seen = fstat(&at)?;
        if seen.st_uid != rustix::process::geteuid().as_raw() || seen.st_mode & 0o077 != 0 {
            let what = "it is not this user's alone: owner or mode";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        Ok(Self { at, path: state.join(SESSIONS) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Listens as `name`, mode 0600. The name appears when the socket listens.
    pub(super) fn listen(self, name: &str) -> io::Result<Listener> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let making = format!("{name}{MAKING}");
        bind(&fd, &self.address(&making)?)?;
        let mut listener = Listener { fd, sockets: self, name: making.clone() };
        let at = &listener.sockets.at;
        chmodat(at, &making, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
        listen(&listener.fd, BACKLOG)?;
        renameat(at, &making, at, name)?;
        name.clone_into(&mut listener.name);
        Ok(listener)
    }

    /// A connection to the session `name`; `None` where it has ended, and then its name is removed.
    ///
    /// # Errors
    /// What the system said; `PermissionDenied` where who listens is neither this user nor root.
    pub(crate) fn connect(&self, name: &str) -> io::Result<Option<OwnedFd>> {
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        match connect(&fd, &self.address(name)?) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            // Nobody listens: its engine was killed.
            Err(Errno::CONNREFUSED) => {
                unlinkat(&self.at, name, AtFlags::empty()).unwrap_or(());
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        if is_trusted(socket_peercred(&fd)?.uid.as_raw()) {
            return Ok(Some(fd));
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user listens there"))
    }

    /// The names of all sessions, those that were killed among them.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.at)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            match name.strip_suffix(MAKING) {
                Some(_) => self.tidy(name),
                None if is_name(name) => names.push(name.to_owned()),
                None => {}
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes what a start left that was killed before it listened.
    fn tidy(&self, name: &str) {
        let Ok(seen) = statat(&self.at, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        let made = UNIX_EPOCH + Duration::from_secs(u64::try_from(seen.st_mtime).unwrap_or(0));
        let age = SystemTime::now().duration_since(made).unwrap_or_default();
        if age > MAKING_MAX {
            unlinkat(&self.at, name, AtFlags::empty()).unwrap_or(());
        }
    }

    fn address(&self, name: &str) -> io::Result<SocketAddrUnix> {
        Ok(SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", self.at.as_raw_fd()))?)
    }
}

/// Whether a text is a session's name.
pub(super) fn is_name(text: &str) -> bool {
    text.len() == NAME_LETTERS && is_prefix(text)
}

/// Whether a text is the beginning of one.
pub(super) fn is_prefix(text: &str) -> bool {
    text.len() <= NAME_LETTERS
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Who may ask a session for something: its own user and root.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
