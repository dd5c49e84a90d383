//! Reads [`Facts`]: the one place that reads the environment, and that looks at paths before the
//! jail does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cofferdam_plan::facts::{
    Facts, Ids, Kind, Person, STAND_IN_ID, STAND_IN_ID_SMALL, Seen, workload_ids,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use rustix::io::Errno;

/// Why the caller's side could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// `getcwd(2)` failed: the directory was removed or is outside the caller's root.
    #[error("the working directory does not exist any more")]
    WorkingDirectory(#[source] io::Error),
    /// The kernel has no `openat2(2)` (Linux 5.6), or an outer filter hides it.
    #[error("this kernel does not open paths without following links: openat2 is missing")]
    NoOpenat2,
    /// A path or a variable that must be text is not UTF-8.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// What was read.
        what: String,
    },
}

impl FactsError {
    /// Stable name for scripts and the audit log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WorkingDirectory(_) => "no-working-directory",
            Self::NoOpenat2 => "no-openat2",
            Self::NotUtf8 { .. } => "not-utf8",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::WorkingDirectory(_) => "cd into a directory that exists".into(),
            Self::NoOpenat2 => {
                "run on Linux 5.13 or newer, and outside of a sandbox whose filter hides openat2"
                    .into()
            }
            Self::NotUtf8 { .. } => "rename it, or take it out of the environment".into(),
        }
    }
}

/// Who started cofferdam, from where and with which environment; read once.
#[derive(Debug)]
pub struct Caller {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    variables: BTreeMap<OsString, OsString>,
    /// The home directory, without symbolic links where it exists.
    pub home: PathBuf,
    /// The working directory, without symbolic links.
    pub cwd: PathBuf,
}

impl Caller {
    /// Reads ids, working directory and environment of this process.
    ///
    /// # Errors
    /// The working directory is gone, or it or the home is not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Result<Self, FactsError> {
        let cwd = std::env::current_dir().map_err(FactsError::WorkingDirectory)?;
        if !cwd.is_absolute() {
            // getcwd(2) gives "(unreachable)/..." for a directory outside the root.
            return Err(FactsError::WorkingDirectory(io::ErrorKind::NotFound.into()));
        }
        let variables: BTreeMap<_, _> = std::env::vars_os().collect();
        let uid = rustix::process::geteuid().as_raw();
        let groups = rustix::process::getgroups().unwrap_or_default();
        let home = match variables.get(&OsString::from("HOME")).map(PathBuf::from) {
            Some(home) if home.is_absolute() => home,
            _ => account(uid).map_or_else(|| "/".into(), |(_, home)| home),
        };
        Ok(Self {
            uid,
            gid: rustix::process::getegid().as_raw(),
            groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
            home: utf8(real_home(home), "the home directory")?,
            cwd: utf8(cwd, "the working directory")?,
            variables,
        })
    }

    /// A variable that names one of our own directories, where it is absolute.
    #[must_use]
    pub fn directory(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variables.get(&OsString::from(name))?);
        path.is_absolute().then_some(path)
    }

    /// Whose home and ids the workload gets, given the workspace: root gives way to its owner.
    #[must_use]
    pub fn person(&self, workspace: &Path) -> (Person, PathBuf) {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::symlink_metadata(workspace)
            .map_or((self.uid, self.gid), |seen| (seen.uid(), seen.gid()));
        let ids = workload_ids((self.uid, self.gid), owner, stand_in());
        let account = account(ids.pair().0);
        let (name, home) = match (ids, account) {
            (Ids::StandIn { .. }, _) => ("sandbox".into(), self.home.clone()),
            (Ids::Owner { .. }, Some((name, home))) => (name, real_home(home)),
            (Ids::Owner { .. }, None) => ("user".into(), "/home/user".into()),
            (Ids::Caller { .. }, account) => {
                (account.map_or_else(|| "user".into(), |(name, _)| name), self.home.clone())
            }
        };
        let home = if home == Path::new("/") { Path::new("/home").join(&name) } else { home };
        let (caller_uid, caller_gid) = (self.uid, self.gid);
        let person =
            Person { caller_uid, caller_gid, caller_groups: self.groups.clone(), ids, name };
        (person, home)
    }

    /// Looks at every path of `wanted`, and keeps the variables that `passes` names.
    ///
    /// # Errors
    /// A variable that is to be passed is not UTF-8, or the kernel cannot look safely.
    pub fn look(
        &self,
        (person, home): (Person, PathBuf),
        wanted: &BTreeSet<PathBuf>,
        passes: impl Fn(&str) -> bool,
        own: Own,
    ) -> Result<Facts, FactsError> {
        let mut paths = BTreeMap::new();
        let programs = own.programs.iter().flat_map(|path| path.ancestors().map(Path::to_owned));
        for path in wanted.iter().cloned().chain(programs) {
            if paths.contains_key(&path) {
                continue;
            }
            let seen = look_at(&path)?;
            if let Some(real) = seen.as_ref().and_then(|seen| seen.real.clone())
                && !paths.contains_key(&real)
            {
                let seen = look_at(&real)?;
                paths.insert(real, seen);
            }
            paths.insert(path, seen);
        }
        let mut environment = BTreeMap::new();
        let mut environment_names = Vec::new();
        for (name, value) in &self.variables {
            let Some(name) = name.to_str() else { continue };
            environment_names.push(name.to_owned());
            if passes(name) {
                let value = value
                    .to_str()
                    .ok_or_else(|| FactsError::NotUtf8 { what: format!("the variable {name}") })?;
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        let path = self.variables.get(&OsString::from("PATH"));
        Ok(Facts {
            person,
            home,
            cwd: self.cwd.clone(),
            own_places: own.places,
            own_programs: own.programs,
            environment,
            environment_names,
            path: path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default(),
            paths,
        })
    }
}

/// Whether the caller wants no colors (`NO_COLOR`, set and not empty).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What is our own on this machine.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Directories of configuration and state.
    pub places: Vec<PathBuf>,
    /// Programs, by their real paths.
    pub programs: Vec<PathBuf>,
}

/// `path` without symbolic links where it exists.
#[must_use]
pub fn real_home(path: PathBuf) -> PathBuf {
    fs::canonicalize(&path).unwrap_or(path)
}

fn utf8(path: PathBuf, what: &str) -> Result<PathBuf, FactsError> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(FactsError::NotUtf8 { what: what.into() }),
    }
}

/// Looks at one path without following its last symbolic link.
fn look_at(path: &Path) -> Result<Option<Seen>, FactsError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = |resolve| openat2(CWD, path, flags, Mode::empty(), resolve);
    let (fd, direct) = match open(ResolveFlags::NO_SYMLINKS) {
        Ok(fd) => (fd, true),
        Err(Errno::LOOP) => match open(ResolveFlags::empty()) {
            Ok(fd) => (fd, false),
            Err(_) => return Ok(None),
        },
        Err(Errno::NOSYS) => return Err(FactsError::NoOpenat2),
        // Not there, or not to be reached by this user: absent either way.
        Err(_) => return Ok(None),
    };
    let Ok(stat) = fstat(&fd) else { return Ok(None) };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    };
    let link = (kind == Kind::Link)
        .then(|| readlinkat(&fd, "", Vec::new()).ok()?.into_string().ok())
        .flatten()
        .map(PathBuf::from);
    let real = (kind == Kind::Link || !direct).then(|| fs::canonicalize(path).ok()).flatten();
    Ok(Some(Seen {
        kind,
        real,
        link,
        dev: stat.st_dev,
        ino: stat.st_ino,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode & 0o7777,
        links: stat.st_nlink,
    }))
}

/// Name and home of a user, from `/etc/passwd` (`passwd(5)`).
fn account(uid: u32) -> Option<(String, PathBuf)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == uid && home.starts_with('/')).then(|| (name.to_owned(), home.into()))
    })
}

/// The stand-in's id: the small one where this user namespace maps no large ids.
fn stand_in() -> u32 {
    let text = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let holds = |line: &str| {
        let mut fields = line.split_whitespace().filter_map(|field| field.parse::<u64>().ok());
        let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some((first..first + count).contains(&u64::from(STAND_IN_ID)))
    };
    if text.lines().any(|line| holds(line) == Some(true)) { STAND_IN_ID } else { STAND_IN_ID_SMALL }
}
