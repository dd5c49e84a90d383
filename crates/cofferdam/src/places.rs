//! Where our own files are, and the one reading of the policy.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt};
use std::path::{Component, Path, PathBuf};

use cofferdam_gateway::vault::Vault;
use cofferdam_policy::{Base, Document, Layer, LayerText, Source};
use cofferdam_sandbox::Caller;
use cofferdam_sandbox::facts::real_path;
use rustix::fs::{Mode, OFlags, fcntl_setfl};

use crate::control::SessionError;
use crate::managed;
use crate::options::{PolicyFrom, ProjectFrom};
use crate::refused::Refused;
use crate::trusted::{ProjectPolicy, Store, Text, file_of};

/// Longest policy text that is read. Bytes.
const POLICY_BYTES_MAX: u64 = 1 << 20;
/// Links on the way to the policy; the kernel follows as many (`path_resolution(7)`).
const LINKS_MAX: usize = 40;
/// Our directory in each base directory, and the base directories' defaults below a home.
const OWN: &str = "cofferdam";
const CONFIG: &str = ".config";
const STATE: &str = ".local/state";

/// Our own directories.
pub(crate) struct Places {
    pub(crate) config: PathBuf,
    pub(crate) state: PathBuf,
    /// Symbolic links on the way to them.
    links: Vec<PathBuf>,
}

/// A policy, and what must stay as it is for it to be the same the next time.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) document: Document,
    /// The file, by its real path, the user's own policy where that is another, and every link on
    /// the way to that.
    pub(crate) files: Vec<PathBuf>,
    /// The ceiling, which stays the same for the session's whole life.
    pub(crate) managed: Option<LayerText>,
    /// The project's policy.
    pub(crate) project: ProjectPolicy,
}

/// Which layers besides the one that is asked for hold.
pub(crate) enum Around<'t> {
    /// The managed one alone.
    Managed,
    /// The project's too, as far as it is trusted.
    Project,
    /// The project's too, by these bytes, which somebody may trust.
    Offered(&'t Text),
    /// None: a text of our own that looks at the machine.
    Nothing,
}

impl From<ProjectFrom> for Around<'_> {
    fn from(from: ProjectFrom) -> Self {
        match from {
            ProjectFrom::Trusted => Self::Project,
            ProjectFrom::None => Self::Managed,
        }
    }
}

impl Places {
    /// The XDG base directories (XDG Base Directory Specification), without symbolic links.
    pub(crate) fn of(caller: &Caller) -> Self {
        let home = caller.own_home();
        let place = |variable: &str, default: &str| {
            caller.directory(variable).unwrap_or_else(|| home.join(default)).join(OWN)
        };
        let (mut links, config) = resolved(place("XDG_CONFIG_HOME", CONFIG));
        let (more, state) = resolved(place("XDG_STATE_HOME", STATE));
        links.extend(more);
        Self { config, state, links }
    }

    /// These, and those of the workload's user, whose home is `home`.
    pub(crate) fn and_of(&self, home: &Path) -> Vec<PathBuf> {
        let theirs = [CONFIG, STATE].map(|place| home.join(place).join(OWN));
        // The same words need no second look.
        let theirs = theirs.into_iter().filter(|at| *at != self.config && *at != self.state);
        let theirs = theirs.map(real_path);
        let mut places = vec![self.config.clone(), self.state.clone()];
        places.extend(theirs.filter(|at| *at != self.config && *at != self.state));
        places
    }

    /// The audit log: `asked` for, or the one in the state directory.
    pub(crate) fn log(&self, asked: Option<&Path>, caller: &Caller) -> Result<PathBuf, Refused> {
        let path =
            asked.map_or_else(|| self.state.join("audit.jsonl"), |path| caller.cwd.join(path));
        // The last name is not followed: a log that is a link is refused when it is opened.
        let folder = match asked {
            Some(_) => real_path(path.parent().unwrap_or(Path::new("/")).to_owned()),
            None => self.state.clone(),
        };
        let upwards = folder.components().any(|part| part == Component::ParentDir);
        match path.file_name() {
            Some(name) if !upwards => Ok(folder.join(name)),
            Some(_) | None => Err(Refused::AuditPath { path }),
        }
    }

    /// The policy that `from` names, between what is `around` it.
    pub(crate) fn read(
        &self,
        from: &PolicyFrom,
        around: Around<'_>,
        caller: &Caller,
    ) -> Result<Read, Refused> {
        let users = self.config.join("policy.toml");
        let (mut files, end) = way_to(&users);
        files.push(end);
        files.extend(self.links.iter().cloned());
        let managed = match around {
            Around::Nothing => None,
            Around::Managed | Around::Project | Around::Offered(_) => {
                managed::read(&caller.listed_home())?
            }
        };
        let managed = managed.map(|(text, way)| {
            files.extend(way);
            text
        });
        let mut texts: Vec<LayerText> = managed.iter().cloned().collect();
        let mut project = ProjectPolicy::None;
        let as_written = |layer, source| LayerText { layer, source, base: Base::AsWritten };
        match from {
            PolicyFrom::Text { name, text } => {
                let source = Source { name: name.clone(), text: text.clone() };
                texts.push(as_written(Layer::Named, source));
            }
            PolicyFrom::File(path) => {
                files.extend(way_to(&caller.cwd.join(path)).0);
                let opened = open(path, Other::Read).map_err(unreadable(path, true))?;
                files.extend(opened.real.clone().filter(|real| !files.contains(real)));
                texts.push(as_written(Layer::Named, opened.source(path)?));
            }
            PolicyFrom::User => {
                if let Some(opened) = self.users(&users, caller)? {
                    texts.push(as_written(Layer::User, opened.source(&users)?));
                }
                let found = self.of_project(around, caller)?;
                project = found.0;
                if let Some(text) = found.1 {
                    files.push(file_of(&text.project));
                    texts.push(text.layer()?);
                }
            }
        }
        Ok(Read { document: Document::stack(texts)?, files, managed, project })
    }

    /// The project's text, where it holds, and what is to be said of it.
    fn of_project(
        &self,
        around: Around<'_>,
        caller: &Caller,
    ) -> Result<(ProjectPolicy, Option<Text>), Refused> {
        match around {
            Around::Nothing | Around::Managed => Ok((ProjectPolicy::None, None)),
            Around::Project => Ok(self.trusted(caller)?.find(&caller.cwd, &homes(caller))?),
            Around::Offered(text) => {
                let (project, sha256) = (text.project.clone(), text.sha256());
                Ok((ProjectPolicy::Trusted { project, sha256 }, Some(text.clone())))
            }
        }
    }

    /// What the person trusts. A store below the working directory is not the person's, but of whoever
    /// wrote these files: it would trust itself.
    pub(crate) fn trusted(&self, caller: &Caller) -> Result<Store, Refused> {
        if Store::is_there(&self.state) {
            self.state_is_the_persons(caller)?;
        }
        Ok(Store::open(&self.state)?)
    }

    /// Refuses a state directory in which nothing may be trusted.
    pub(crate) fn state_is_the_persons(&self, caller: &Caller) -> Result<(), Refused> {
        if is_below_the_work(&self.state, caller) {
            return Err(Refused::StateInside { path: self.state.clone() });
        }
        Ok(())
    }

    /// Where everything is recorded, where somebody manages that. `None` too where that cannot be read,
    /// which is a refusal of its own.
    pub(crate) fn managed_log(caller: &Caller) -> Option<PathBuf> {
        let (text, _) = managed::read(&caller.listed_home()).ok()??;
        let document = Document::stack(vec![text]).ok()?;
        document.managed.audit.map(|audit| PathBuf::from(audit.value))
    }

    /// The user's policy, if there is one. What cannot be looked at, or leads nowhere, is one that
    /// cannot be read.
    fn users(&self, path: &Path, caller: &Caller) -> Result<Option<Opened>, Refused> {
        let there = |path: &Path| match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Ok(_) | Err(_) => true,
        };
        let of_home = caller.home.join(CONFIG).join(OWN).join("policy.toml");
        if caller.own_home() != caller.home && there(&of_home) {
            return Err(Refused::OthersPolicy { path: of_home });
        }
        if !there(path) {
            return Ok(None);
        }
        if self.below_the_work(caller) {
            return Err(Refused::ConfigInside { path: self.config.clone() });
        }
        let opened = open(path, Other::Leave).map_err(unreadable(path, false))?;
        if !opened.seen.is_file() {
            let what = io::Error::other("it is not a regular file");
            return Err(unreadable(path, false)(what));
        }
        let folder = std::fs::metadata(&self.config).map_err(unreadable(&self.config, false))?;
        for (at, seen) in [(path, &opened.seen), (&self.config, &folder)] {
            if others_may_write(seen, caller) {
                let (path, owner, mode) = (at.to_owned(), seen.uid(), seen.mode() & 0o7777);
                return Err(Refused::PolicyShared { path, owner, mode });
            }
        }
        Ok(Some(opened))
    }

    /// The caller's vault, which is never below the working directory.
    pub(crate) fn vault(&self, caller: &Caller) -> Result<Vault, Refused> {
        if self.below_the_work(caller) {
            return Err(Refused::ConfigInside { path: self.config.clone() });
        }
        // A directory of its own: nobody else reads it, and policies may be read.
        Ok(Vault::at(self.config.join("vault")))
    }

    fn below_the_work(&self, caller: &Caller) -> bool {
        is_below_the_work(&self.config, caller)
    }
}

/// Whether a variable leads `place`, a directory of ours, into the working directory, or elsewhere into
/// the repository around it: who wrote these files is not the person. The listed home is, wherever it
/// is.
fn is_below_the_work(place: &Path, caller: &Caller) -> bool {
    let home = caller.listed_home();
    let repository = |at: &&Path| at.join(".git").exists() && caller.cwd.starts_with(at);
    let around = place.ancestors().find(repository);
    let below = place.starts_with(&caller.cwd).then_some(caller.cwd.as_path());
    below.or(around).is_some_and(|tree| !home.starts_with(tree))
}

/// Directories that are no project, nor is what holds them.
pub(crate) fn homes(caller: &Caller) -> [PathBuf; 3] {
    [caller.home.clone(), caller.own_home(), caller.listed_home()]
}

/// The policy in `path` below the `managed` one, for a session that runs: a regular file, and every
/// link on the way to it.
pub(crate) fn read_regular(path: &Path, managed: Option<LayerText>) -> Result<Read, Refused> {
    let unread = |source| SessionError::Unread { path: path.to_owned(), source };
    let (mut files, end) = way_to(path);
    let opened = open(path, Other::Leave).map_err(unread)?;
    if !opened.seen.is_file() {
        return Err(unread(io::Error::other("it is not a regular file")).into());
    }
    files.push(end);
    files.extend(opened.real.clone());
    let source = opened.source(path)?;
    let named = LayerText { layer: Layer::Named, source, base: Base::AsWritten };
    let document = Document::stack(managed.iter().cloned().chain([named]).collect())?;
    Ok(Read { document, files, managed, project: ProjectPolicy::None })
}

/// The group of a user alone (as most distributions make one) is no others.
pub(crate) fn others_may_write(seen: &Metadata, caller: &Caller) -> bool {
    let private = seen.gid() == caller.gid() && caller.gid() == caller.uid();
    let bits = if private { 0o002 } else { 0o022 };
    seen.mode() & bits != 0 || ![0, caller.uid()].contains(&seen.uid())
}

/// The links on the way to `path`, and its real path. Each directory is looked at once: where there
/// is no link and no way up, the path is its own real one.
fn resolved(path: PathBuf) -> (Vec<PathBuf>, PathBuf) {
    let (links, end) = way_to(&path);
    let upwards = path.components().any(|part| part == Component::ParentDir);
    if links.is_empty() && !upwards { (links, end) } else { (links, real_path(path)) }
}

/// The same in one list.
pub(crate) fn ways_to(path: &Path) -> Vec<PathBuf> {
    let (mut files, end) = way_to(path);
    files.push(end);
    files
}

/// Every symbolic link on the way to `path`, by its real path, and where the way ends: a workload
/// that can turn one of them has another file read the next time.
fn way_to(path: &Path) -> (Vec<PathBuf>, PathBuf) {
    let mut links = Vec::new();
    let mut at = PathBuf::from("/");
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    // The next part is the last of the list.
    let mut rest = parts(path);
    while let Some(part) = rest.pop() {
        let next = match part.as_encoded_bytes() {
            b"/" => {
                at = PathBuf::from("/");
                continue;
            }
            b"." => continue,
            b".." => at.parent().unwrap_or(Path::new("/")).to_owned(),
            _ => at.join(&part),
        };
        match std::fs::read_link(&next) {
            Ok(target) if links.len() < LINKS_MAX => {
                rest.extend(parts(&target));
                links.push(next);
            }
            Ok(_) | Err(_) => at = next,
        }
    }
    (links, at)
}

/// An open policy file.
struct Opened {
    bytes: Vec<u8>,
    /// Its path without symbolic links; `None` for a pipe.
    real: Option<PathBuf>,
    seen: Metadata,
}

impl Opened {
    fn source(self, path: &Path) -> Result<Source, Refused> {
        Ok(Source::from_bytes(path.display().to_string(), self.bytes)?)
    }
}

/// At most one byte more than a policy may have: the parser says that it is too long. The path is
/// used once; where the file lies is asked of the descriptor. A FIFO that has a name may be a workload's
/// doing, and nobody waits for its other end; a pipe of the shell's (`<(...)`) has none.
fn open(path: &Path, other: Other) -> io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let fd: OwnedFd = rustix::fs::open(path, flags, Mode::empty())?;
    let file = File::from(fd);
    let seen = file.metadata()?;
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    if seen.file_type().is_fifo() && real.is_absolute() {
        return Err(io::Error::other("it is a FIFO, not a regular file"));
    }
    let real = Some(real).filter(|real| real.is_absolute() && seen.is_file());
    let mut bytes = Vec::new();
    if seen.is_file() || other == Other::Read {
        fcntl_setfl(&file, OFlags::empty())?;
        file.take(POLICY_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(Opened { bytes, real, seen })
}

/// Whether what is no regular file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Read,
    Leave,
}

fn unreadable(path: &Path, named: bool) -> impl Fn(io::Error) -> Refused {
    let path = path.to_owned();
    move |source| Refused::PolicyFile { path: path.clone(), source, named }
}
