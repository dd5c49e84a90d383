//! Kept homes: for each workspace that asks for one, a home below our state.
//!
//! `homes/HASH/` has `home`, which the workload gets; `workspace`, which says whose it is; and
//! `lock`, which every run holds shared and a reset alone. What is in `home` the workload wrote: it
//! is never read here, and no link in it is followed.

mod error;
mod folder;
mod fresh;
mod remove;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use cofferdam_policy::facts::Kind;
use cofferdam_policy::model::{Home, Jail, Policy};
use cofferdam_policy::{Document, Person, facts::Ids};
use cofferdam_sandbox::facts::real_path;
use cofferdam_sandbox::{Caller, gitconfig};
use rustix::fs::{
    AtFlags, Dir, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_NOW,
    Uid, chownat, fstat, futimens, mkdirat, openat, openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::digest::sha256;
use crate::engine::Engine;
use crate::places::Places;
use crate::refused::Refused;
pub use error::HomeError;
use error::system;
use folder::{Folder, HOME, LOCK, NAME, REMOVED};

/// Longest wait for a run that makes the same home, or a reset of it.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// As often may a reset come between the steps of a start.
const ATTEMPTS_MAX: u32 = 64;
/// More homes than anybody has.
const LIST_MAX: usize = 10_000;
/// A person's git configuration is a page. Bytes.
const CONFIG_BYTES_MAX: u64 = 64 << 10;
/// Longer than any name or address. Bytes.
const IDENTITY_BYTES_MAX: usize = 256;

const SHARED: FlockOperation = FlockOperation::NonBlockingLockShared;
const ALONE: FlockOperation = FlockOperation::NonBlockingLockExclusive;

/// The directory below `homes` for a workspace.
fn hash(workspace: &Path) -> String {
    sha256(workspace.as_os_str().as_encoded_bytes())
}

/// The home of one workspace, held for a run.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Where it is on the host.
    pub(crate) path: PathBuf,
    home: OwnedFd,
    /// Locked, shared, until this is dropped.
    _lock: File,
    /// Removed with this, where it was made for one run.
    fresh: Option<fresh::Fresh>,
}

impl Kept {
    /// The home of `workspace`, made and seeded where it is not there yet; `None` where the policy
    /// asks for none, or where the policy is going to be refused for it.
    pub(crate) fn of(
        document: &Document,
        person: &Person,
        workspace: &Path,
        (places, caller): (&Places, &Caller),
    ) -> Result<Option<Self>, HomeError> {
        let shared = document.jail.value == Jail::Landlock;
        if shared && document.home.value == Home::Private {
            return match person.ids {
                // Refused for it.
                Ids::StandIn { .. } => Ok(None),
                Ids::Caller { .. } | Ids::Owner { .. } => fresh::make(person, places).map(Some),
            };
        }
        // In the home of another, root makes nothing.
        let another = matches!(person.ids, Ids::Owner { .. });
        let directory = std::fs::symlink_metadata(workspace).is_ok_and(|seen| seen.is_dir());
        if document.home.value == Home::Private || another || !directory {
            return Ok(None);
        }
        for _ in 0..ATTEMPTS_MAX {
            let homes = Folder::of_homes(&places.state, true)?;
            let path = homes.path.join(hash(workspace));
            let folder = Folder::in_directory(&homes.at, path.clone(), true)?;
            // Taken away since: once more, from the beginning.
            let Some(lock) = folder.lock(SHARED, LOCK_WAIT)? else { continue };
            if let Some(home) = folder.home()? {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let used = Timestamps { last_access: now, last_modification: now };
                futimens(&lock, &used).map_err(|error| system("mark", &path)(error.into()))?;
                return Ok(Some(Self { path: path.join(HOME), home, _lock: lock, fresh: None }));
            }
            drop(lock);
            let Some(lock) = folder.lock(ALONE, LOCK_WAIT)? else { continue };
            if folder.home()?.is_none() {
                folder.make(workspace, &identity(caller))?;
            }
            drop(lock);
        }
        Err(HomeError::InUse { workspace: workspace.to_owned() })
    }

    /// Makes places in the home for what the view shows below it. Nothing in it is followed, and
    /// what a run left in the way is a refusal.
    pub(crate) fn make_room(&self, policy: &Policy) -> Result<(), HomeError> {
        let found = policy.kept_home.as_ref().map(|kept| (kept.seen.dev, kept.seen.ino));
        let held =
            fstat(&self.home).map_err(|error| system("look at", &self.path)(error.into()))?;
        if found != Some((held.st_dev, held.st_ino)) {
            return Err(HomeError::NoDirectory { path: self.path.clone() });
        }
        let trees = policy.grants.iter().chain([&policy.workspace]);
        let places = trees.map(|tree| (tree.path.as_path(), tree.seen.kind));
        let private = ["/tmp", "/var/tmp", "/dev/shm"].map(|at| (Path::new(at), Kind::Directory));
        let all: Vec<(&Path, Kind)> = places.chain(private).collect();
        for (path, kind) in &all {
            let Ok(below) = path.strip_prefix(&policy.home) else { continue };
            // What stands in another tree has its place there.
            let held = all.iter().any(|(outer, _)| {
                outer != path && path.starts_with(outer) && outer.starts_with(&policy.home)
            });
            if below.as_os_str().is_empty() || held {
                continue;
            }
            self.place(below, *kind, &[]).map_err(|error| {
                let source = io::Error::from(error);
                HomeError::InTheWay { path: (*path).to_owned(), source }
            })?;
        }
        for seed in &policy.seeds {
            let Ok(below) = seed.path.strip_prefix(&policy.home) else { continue };
            self.place(below, Kind::File, seed.content.as_bytes()).map_err(|error| {
                let source = io::Error::from(error);
                HomeError::InTheWay { path: seed.path.clone(), source }
            })?;
        }
        Ok(())
    }

    /// Puts files into the home, whatever was there; nothing in it is followed.
    pub(crate) fn put<'p>(
        &self,
        policy: &Policy,
        files: impl Iterator<Item = (&'p Path, Vec<u8>)>,
    ) -> Result<(), HomeError> {
        for (path, content) in files {
            let Ok(below) = path.strip_prefix(&policy.home) else { continue };
            self.replace(below, &content).map_err(|error| {
                let source = io::Error::from(error);
                HomeError::InTheWay { path: path.to_owned(), source }
            })?;
        }
        Ok(())
    }

    /// A file that is there as a whole or not at all; a link that has its name goes.
    fn replace(&self, below: &Path, content: &[u8]) -> Result<(), Errno> {
        let name = below.file_name().ok_or(Errno::INVAL)?;
        let directory = below.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(directory) = directory {
            self.place(directory, Kind::Directory, &[])?;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let hold = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = directory.unwrap_or(Path::new("."));
        let at = openat2(&self.home, at, hold, Mode::empty(), resolve)?;
        let new = format!(".cofferdam-{}", std::process::id());
        // Left by one that was ended here, with another session's.
        unlinkat(&at, &new, AtFlags::empty()).unwrap_or(());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = File::from(openat(&at, &new, flags | OFlags::CLOEXEC, mode)?);
        let written = (&file).write_all(content);
        let put = written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        let put = put.and_then(|()| renameat(&at, &new, &at, name));
        put.inspect_err(|_| unlinkat(&at, &new, AtFlags::empty()).unwrap_or(()))
    }

    /// Gives what was just made to whom the home is, where root makes it.
    fn give(&self, at: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        let owner = self.fresh.as_ref().and_then(|fresh| fresh.owner);
        let Some((uid, gid)) = owner else { return Ok(()) };
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// A directory, or a file that begins with `content` where it is not there.
    fn place(&self, below: &Path, kind: Kind, content: &[u8]) -> Result<(), Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let hold = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = openat2(&self.home, ".", hold, Mode::empty(), resolve)?;
        let mut parts = below.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else { return Err(Errno::INVAL) };
            if parts.peek().is_none() && kind != Kind::Directory {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let mode = Mode::RUSR | Mode::WUSR;
                let file = match openat(&at, name, flags | OFlags::CLOEXEC, mode) {
                    // What it is, is seen when the tree is put there.
                    Err(Errno::EXIST) => return Ok(()),
                    made => File::from(made?),
                };
                self.give(&at, name)?;
                let written = (&file).write_all(content);
                if written.is_err() {
                    // Half a file would be taken for a whole one by every later run.
                    unlinkat(&at, name, AtFlags::empty()).unwrap_or(());
                }
                return written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
            }
            match mkdirat(&at, name, Mode::RWXU) {
                Ok(()) => self.give(&at, name)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            at = openat2(&at, name, hold | OFlags::DIRECTORY, Mode::empty(), resolve)?;
        }
        Ok(())
    }
}

/// Nothing that decides about a run, or records it, lies in the home.
pub(crate) fn holds_none_of<'p>(
    home: &Path,
    mut ours: impl Iterator<Item = &'p PathBuf>,
) -> Result<(), HomeError> {
    let held = ours.find(|path| path.starts_with(home));
    held.map_or(Ok(()), |path| Err(HomeError::Holds { path: path.clone() }))
}

/// The home of `workspace` where a run has made it; where none has, `document` gets a private one.
/// Makes nothing.
pub(crate) fn to_look_at(
    document: &mut Document,
    person: &Person,
    workspace: &Path,
    places: &Places,
) -> Option<PathBuf> {
    let home = folder::homes(&places.state).join(hash(workspace)).join(HOME);
    let there = std::fs::symlink_metadata(&home).is_ok_and(|seen| seen.is_dir());
    let asked = document.home.value == Home::Project;
    // What root is refused in the home of another, it is refused here.
    if asked && !there && !matches!(person.ids, Ids::Owner { .. }) {
        document.home.value = Home::Private;
    }
    (asked && there).then_some(home)
}

/// Who the caller is to git, as a file of git's, and nothing else of its configuration: a helper or
/// a key in it would be one more thing that the workload has.
fn identity(caller: &Caller) -> String {
    let config = caller.directory("XDG_CONFIG_HOME").unwrap_or_else(|| caller.home.join(".config"));
    // The second file wins (git-config(1), FILES).
    let files = [config.join("git/config"), caller.home.join(".gitconfig")];
    let texts: Vec<String> = files.iter().filter_map(|file| configuration(file)).collect();
    let line = |key: &str| {
        let value = texts.iter().rev().find_map(|text| gitconfig::value(text, "user", key))?;
        let fits = !value.is_empty() && value.len() <= IDENTITY_BYTES_MAX;
        fits.then(|| gitconfig::entry(key, &value)).flatten()
    };
    let lines: String = ["name", "email"].into_iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { format!("[user]\n{lines}") }
}

/// The text of a file that is a regular one of the usual length. People keep it behind a link.
fn configuration(path: &Path) -> Option<String> {
    use std::io::Read;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let seen = file.metadata().ok()?;
    if !seen.is_file() || seen.len() > CONFIG_BYTES_MAX {
        return None;
    }
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A kept home, as `cofferdam home list` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHome {
    /// Whose it is.
    pub workspace: PathBuf,
    /// Where it is.
    pub path: PathBuf,
    /// When a run last began in it; `None` where that is not known.
    pub last_used: Option<SystemTime>,
    /// Whether the workspace is still there.
    pub workspace_exists: bool,
}

impl Engine {
    /// The kept homes of the caller, by workspace. Looks at what is ours alone, never into a home.
    ///
    /// # Errors
    /// The state directory cannot be read or is not the caller's own.
    pub fn homes() -> Result<Vec<KeptHome>, Refused> {
        let caller = Caller::read()?;
        let state = Places::of(&caller).state;
        let mut found = Vec::new();
        for folder in folders(&state)? {
            // Interrupted before it was one.
            if statat(&folder.at, HOME, AtFlags::SYMLINK_NOFOLLOW).is_err() {
                continue;
            }
            let used = statat(&folder.at, LOCK, AtFlags::SYMLINK_NOFOLLOW).ok();
            let since = used.and_then(|seen| u64::try_from(seen.st_mtime).ok());
            let last_used = since.map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(since));
            let workspace = folder.workspace();
            let seen = std::fs::symlink_metadata(&workspace);
            let workspace_exists = seen.is_ok_and(|seen| seen.is_dir());
            let path = folder.path.join(HOME);
            found.push(KeptHome { workspace, path, last_used, workspace_exists });
        }
        found.sort_by(|a, b| a.workspace.cmp(&b.workspace));
        Ok(found)
    }

    /// Removes the kept home of `workspace`, which need not be there any more; `None` is all of them.
    /// Gives the workspaces whose homes are gone.
    ///
    /// # Errors
    /// A sandbox uses it, none is kept, or the system refuses.
    pub fn reset_homes(workspace: Option<&Path>) -> Result<Vec<PathBuf>, Refused> {
        let caller = Caller::read()?;
        let state = Places::of(&caller).state;
        let asked = workspace.map(|path| real_path(caller.cwd.join(path)));
        let wanted = asked.as_deref().map(hash);
        let mut gone = Vec::new();
        for folder in folders(&state)? {
            if wanted.as_ref().is_none_or(|name| folder.path.ends_with(name)) {
                let workspace = folder.workspace();
                reset(&state, &folder)?;
                gone.push(workspace);
            }
        }
        match asked {
            Some(workspace) if gone.is_empty() => Err(HomeError::Unknown { workspace }.into()),
            Some(_) | None => Ok(gone),
        }
    }
}

/// What is kept, in no order.
fn folders(state: &Path) -> Result<Vec<Folder>, HomeError> {
    if std::fs::symlink_metadata(folder::homes(state)).is_err() {
        return Ok(Vec::new());
    }
    let homes = Folder::of_homes(state, false)?;
    let failed = |error: Errno| system("list", &homes.path)(error.into());
    let mut found = Vec::new();
    for entry in Dir::read_from(&homes.at).map_err(failed)?.take(LIST_MAX) {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            found.push(Folder::in_directory(&homes.at, homes.path.join(name), false)?);
        }
    }
    Ok(found)
}

fn reset(state: &Path, folder: &Folder) -> Result<(), HomeError> {
    let failed = |error: Errno| system("remove", &folder.path)(error.into());
    let Some(_lock) = folder.lock(ALONE, Duration::ZERO)? else { return Ok(()) };
    let gone = |removed: Result<(), Errno>| match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed(error)),
    };
    for name in [REMOVED, folder::MAKING] {
        remove::tree(folder.at.as_fd(), name, Duration::MAX)
            .map_err(system("remove", &folder.path))?;
    }
    // Whatever interrupts this, no later run finds half a home.
    gone(renameat(&folder.at, HOME, &folder.at, REMOVED))?;
    remove::tree(folder.at.as_fd(), REMOVED, Duration::MAX)
        .map_err(system("remove", &folder.path))?;
    for name in [NAME, LOCK] {
        gone(unlinkat(&folder.at, name, AtFlags::empty()))?;
    }
    let homes = Folder::of_homes(state, false)?;
    let name = folder.path.file_name().unwrap_or_default();
    gone(unlinkat(&homes.at, name, AtFlags::REMOVEDIR))
}
