//! Trust in projects: which bytes of a project's policy a person has read and agreed to.
//!
//! `trust/HASH` below our state has one line with the SHA-256 of the text, then the project's path. A
//! project's file is opened once, and through no link of the project's; what is parsed, shown and
//! pinned are the bytes that were read then.

mod asked;
mod error;
mod showing;

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cofferdam_policy::document::TEXT_BYTES_MAX;
use cofferdam_policy::{Base, Layer, LayerText, Source};
use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, fstat, fsync, mkdirat, openat, openat2,
    renameat, unlinkat,
};
use rustix::io::Errno;

use crate::digest;
use crate::refused::Refused;
pub use error::TrustedError;
pub use showing::Offer;

/// A project's policy, below the project.
pub(crate) const BELOW: &str = ".cofferdam/policy.toml";
const FOLDER: &str = "trust";
/// A hash, a newline and a path. Bytes.
const PIN_BYTES_MAX: u64 = 8 << 10;
/// More projects than anybody trusts.
const LIST_MAX: usize = 10_000;

/// The project's policy of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectPolicy {
    /// There is none, or nobody looked.
    #[default]
    None,
    /// It holds.
    Trusted {
        /// The project.
        project: PathBuf,
        /// Of its text, in hexadecimal.
        sha256: String,
    },
    /// There is one that nobody trusts: it was not opened, and holds nothing.
    Untrusted {
        /// The project.
        project: PathBuf,
    },
}

/// A project that a person trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProject {
    /// The project's directory.
    pub project: PathBuf,
    /// SHA-256 of the policy's text, in hexadecimal.
    pub sha256: String,
}

/// A project's text as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) project: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Text {
    /// Opens and reads the policy of `project`, a path without links, once.
    pub(crate) fn read(project: &Path) -> Result<Self, TrustedError> {
        let unread = |source: io::Error| TrustedError::Unread { path: file_of(project), source };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat2(CWD, project, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .map_err(|error| unread(error.into()))?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let below = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        let file = openat2(&top, BELOW, flags, Mode::empty(), below);
        let file = match file {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => {
                return Err(unread(io::Error::other("a symbolic link leads to it")));
            }
            Err(error) => return Err(unread(error.into())),
        };
        let seen = file.metadata().map_err(unread)?;
        if !seen.is_file() {
            return Err(unread(io::Error::other("it is not a regular file")));
        }
        let most = TEXT_BYTES_MAX as u64;
        let mut bytes = Vec::new();
        if seen.len() <= most {
            file.take(most + 1).read_to_end(&mut bytes).map_err(unread)?;
        }
        if seen.len() > most || bytes.len() > TEXT_BYTES_MAX {
            return Err(unread(io::Error::other("it is longer than a policy may be")));
        }
        Ok(Self { project: project.to_owned(), bytes })
    }

    /// What is pinned.
    pub(crate) fn sha256(&self) -> String {
        digest::sha256(&self.bytes)
    }

    /// The same bytes as a layer.
    pub(crate) fn layer(&self) -> Result<LayerText, Refused> {
        let name = file_of(&self.project).display().to_string();
        let source = Source::from_bytes(name, self.bytes.clone())?;
        let base = Base::Directory(self.project.clone());
        Ok(LayerText { layer: Layer::Project, source, base })
    }
}

/// The policy of `project`.
pub(crate) fn file_of(project: &Path) -> PathBuf {
    project.join(BELOW)
}

/// Where `cwd` is in a project with a policy: the nearest directory that has one, up to the
/// repository's top; outside of a repository `cwd` alone. No home is a project, nor what holds one.
pub(crate) fn project_of<'c>(cwd: &'c Path, homes: &[PathBuf]) -> Option<&'c Path> {
    let there = |path: PathBuf| std::fs::symlink_metadata(path).is_ok();
    let top = cwd.ancestors().find(|at| there(at.join(".git"))).unwrap_or(cwd);
    let inside = cwd.ancestors().take_while(|at| at.starts_with(top));
    let mut projects = inside.filter(|at| !homes.iter().any(|home| home.starts_with(at)));
    projects.find(|at| there(file_of(at)))
}

/// What a person trusts.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// `None` where nobody has trusted anything.
    at: Option<OwnedFd>,
}

impl Store {
    /// Whether there is one below `state`, or something that nobody can look at.
    pub(crate) fn is_there(state: &Path) -> bool {
        let seen = std::fs::symlink_metadata(state.join(FOLDER));
        !seen.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// The store below `state`, to be read.
    pub(crate) fn open(state: &Path) -> Result<Self, TrustedError> {
        let path = state.join(FOLDER);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = match openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(at) => Some(at),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(TrustedError::system("open", &path, error)),
        };
        let store = Self { path, at };
        store.at.as_ref().map_or(Ok(()), |at| store.ours(at, 0o077))?;
        Ok(store)
    }

    /// The same, made where it is missing.
    pub(crate) fn make(state: &Path) -> Result<Self, TrustedError> {
        let failed = |error: Errno| TrustedError::system("make", state, error);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
        made.map_err(|source| TrustedError::System { doing: "make", path: state.into(), source })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = openat2(CWD, state, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        match mkdirat(above.map_err(failed)?, FOLDER, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Self::open(state),
            Err(error) => Err(failed(error)),
        }
    }

    /// Refuses what is not this user's alone.
    fn ours(&self, at: &OwnedFd, closed: u32) -> Result<(), TrustedError> {
        let seen = fstat(at).map_err(|error| TrustedError::system("look at", &self.path, error))?;
        let (owner, mode) = (seen.st_uid, seen.st_mode & 0o7777);
        if owner == rustix::process::geteuid().as_raw() && mode & closed == 0 {
            return Ok(());
        }
        Err(TrustedError::NotOurs { path: self.path.clone(), owner, mode })
    }

    /// What is pinned for `project`.
    pub(crate) fn pin_of(&self, project: &Path) -> Result<Option<String>, TrustedError> {
        let Some(at) = &self.at else { return Ok(None) };
        let found = self.entry(at, &digest::sha256(project.as_os_str().as_encoded_bytes()))?;
        match found {
            Some(found) if found.project == project => Ok(Some(found.sha256)),
            Some(_) => Err(self.broken()),
            None => Ok(None),
        }
    }

    fn entry(&self, at: &OwnedFd, name: &str) -> Result<Option<TrustedProject>, TrustedError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(at, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(TrustedError::system("open", &self.path, error)),
        };
        self.ours(&file, 0o077)?;
        let mut bytes = Vec::new();
        let read = File::from(file).take(PIN_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|source| TrustedError::System {
            doing: "read",
            path: self.path.clone(),
            source,
        })?;
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let (first, rest) = bytes.split_at(line.ok_or_else(|| self.broken())?);
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if first.len() != 64 || !first.iter().all(hex) {
            return Err(self.broken());
        }
        let sha256 = String::from_utf8_lossy(first).into_owned();
        let path = rest.get(1..).unwrap_or_default().to_vec();
        let project = PathBuf::from(std::ffi::OsString::from_vec(path));
        Ok(Some(TrustedProject { project, sha256 }))
    }

    fn broken(&self) -> TrustedError {
        TrustedError::Broken { path: self.path.clone() }
    }

    /// Has `text` be trusted: a whole new file takes the old one's place.
    pub(crate) fn pin(&self, text: &Text) -> Result<(), TrustedError> {
        let Some(at) = &self.at else { return Err(self.broken()) };
        let failed = |source: io::Error| TrustedError::System {
            doing: "write",
            path: self.path.clone(),
            source,
        };
        let path = text.project.as_os_str().as_encoded_bytes();
        let name = digest::sha256(path);
        let new = format!("{name}.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let make = || openat(at, &new, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = match make() {
            // Of one that was killed, and whose number this process has now.
            Err(Errno::EXIST) => {
                unlinkat(at, &new, AtFlags::empty()).map_err(|error| failed(error.into()))?;
                make()
            }
            made => made,
        };
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        let mut bytes = format!("{}\n", text.sha256()).into_bytes();
        bytes.extend(path);
        let written = file.write_all(&bytes).and_then(|()| Ok(fsync(file.as_fd())?));
        let done = written.and_then(|()| Ok(renameat(at, &new, at, &name)?));
        if done.is_err() {
            unlinkat(at, &new, AtFlags::empty()).unwrap_or(());
        }
        done.map_err(failed)
    }

    /// Has nothing of `project` be trusted any more, and says whether something was.
    pub(crate) fn remove(&self, project: &Path) -> Result<bool, TrustedError> {
        let Some(at) = &self.at else { return Ok(false) };
        let name = digest::sha256(project.as_os_str().as_encoded_bytes());
        match unlinkat(at, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(TrustedError::system("remove a file of", &self.path, error)),
        }
    }

    /// Every project that is trusted, by path. None of them is looked at.
    pub(crate) fn list(&self) -> Result<Vec<TrustedProject>, TrustedError> {
        let Some(at) = &self.at else { return Ok(Vec::new()) };
        let failed = |error| TrustedError::system("list", &self.path, error);
        let mut found = Vec::new();
        for entry in Dir::read_from(at).map_err(failed)?.take(LIST_MAX) {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.len() == 64 {
                found.extend(self.entry(at, name)?);
            }
        }
        found.sort_by(|one, other| one.project.cmp(&other.project));
        Ok(found)
    }

    /// The trusted text that holds in `cwd`: of the nearest directory above that a person trusts,
    /// wherever a repository begins, since what is hidden there must not be seen from a directory
    /// further down. What nobody trusts is not opened.
    ///
    /// # Errors
    /// The text is not the one that is trusted, or cannot be read.
    pub(crate) fn find(
        &self,
        cwd: &Path,
        homes: &[PathBuf],
    ) -> Result<(ProjectPolicy, Option<Text>), TrustedError> {
        for project in cwd.ancestors().filter(|_| self.at.is_some()) {
            let Some(sha256) = self.pin_of(project)? else { continue };
            let changed = || TrustedError::Changed { project: project.to_owned() };
            // One that is gone or became a link hides nothing any more.
            let text = Text::read(project).map_err(|_| changed())?;
            if text.sha256() != sha256 {
                return Err(changed());
            }
            let project = project.to_owned();
            return Ok((ProjectPolicy::Trusted { project, sha256 }, Some(text)));
        }
        let untrusted = project_of(cwd, homes).map(Path::to_owned);
        let policy = untrusted.map(|project| ProjectPolicy::Untrusted { project });
        Ok((policy.unwrap_or_default(), None))
    }
}

#[cfg(test)]
mod tests;
