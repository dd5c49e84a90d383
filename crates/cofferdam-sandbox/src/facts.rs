//! Reads [`Facts`]: the one place that reads the environment, and that looks at paths before the
//! jail does.

mod git;
mod lent;
mod look;
mod repository;
pub mod rootfs;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cofferdam_plan::facts::{
    Facts, Ids, Kind, Person, Rootfs, STAND_IN_ID, STAND_IN_ID_SMALL, Seen, Values, workload_ids,
};
use cofferdam_plan::view;

use crate::refusal::errno_text;
use look::look_at;
use variables::Variables;

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
    variables: Variables,
    accounts: Vec<Account>,
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
        let variables = Variables(std::env::vars_os().collect());
        let accounts = accounts();
        let uid = rustix::process::geteuid().as_raw();
        let groups = rustix::process::getgroups().unwrap_or_default();
        let listed = accounts.iter().find(|account| account.uid == uid);
        let home = match variables.get("HOME").map(PathBuf::from) {
            Some(home) if home.is_absolute() => home,
            _ => listed.map_or_else(|| "/".into(), |account| account.home.clone()),
        };
        Ok(Self {
            uid,
            gid: rustix::process::getegid().as_raw(),
            groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
            home: utf8(real_path(home), "the home directory")?,
            cwd: utf8(cwd, "the working directory")?,
            variables,
            accounts,
        })
    }

    /// A variable that names one of our own directories, where it is absolute.
    #[must_use]
    pub fn directory(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variables.get(name)?);
        path.is_absolute().then_some(path)
    }

    /// The caller's effective user.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The caller's effective group.
    #[must_use]
    pub const fn gid(&self) -> u32 {
        self.gid
    }

    /// The home in which this caller's configuration and state are. Root with another's `HOME`
    /// (`sudo -E`) keeps them in its own: a directory of root's in that home would shut its owner out.
    #[must_use]
    pub fn own_home(&self) -> PathBuf {
        use std::os::unix::fs::MetadataExt;
        let anothers = fs::metadata(&self.home).is_ok_and(|seen| seen.uid() != 0);
        let roots = self.accounts.iter().find(|account| account.uid == 0);
        match roots.filter(|_| self.uid == 0 && anothers) {
            Some(root) => real_path(root.home.clone()),
            None => self.home.clone(),
        }
    }

    /// The home that `/etc/passwd` lists for the caller; `HOME` where there is no such line.
    #[must_use]
    pub fn listed_home(&self) -> PathBuf {
        let listed = self.accounts.iter().find(|account| account.uid == self.uid);
        listed.map_or_else(|| self.home.clone(), |account| real_path(account.home.clone()))
    }

    /// Homes that no grant may hold: the caller's and that of the workload's user; and for root that
    /// of every person in `/etc/passwd`. Where these are very many, only those that one of `asked`
    /// holds by name: each is looked at and recorded.
    fn homes(&self, workload: u32, asked: &[PathBuf]) -> Vec<PathBuf> {
        let nobody = 65_534;
        let real = |account: &Account| {
            // `/` is the home of accounts that have none.
            let some = account.home != Path::new("/");
            let home = some.then(|| real_path(account.home.clone()))?;
            home.to_str().is_some().then_some(home)
        };
        let ours = |account: &&Account| account.uid == workload || account.uid == self.uid;
        let person = |account: &&Account| {
            self.uid == 0 && (account.uid == 0 || (account.uid >= 1_000 && account.uid != nobody))
        };
        let mut homes: BTreeSet<PathBuf> =
            self.accounts.iter().filter(person).filter_map(real).collect();
        if homes.len() > HOMES_MAX {
            homes.retain(|home| asked.iter().any(|tree| home.starts_with(tree)));
        }
        homes.extend(self.accounts.iter().filter(ours).filter_map(real));
        homes.insert(self.home.clone());
        homes.into_iter().collect()
    }

    /// Whose home and ids the workload gets, given the workspace: root gives way to its owner.
    #[must_use]
    pub fn person(&self, workspace: &Path) -> (Person, PathBuf) {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::symlink_metadata(workspace)
            .map_or((self.uid, self.gid), |seen| (seen.uid(), seen.gid()));
        let whose = if self.uid == 0 { owner.0 } else { self.uid };
        let account = self.accounts.iter().find(|account| account.uid == whose);
        let primary = account.map(|account| account.gid);
        let stand_in = stand_in().unwrap_or(STAND_IN_ID_SMALL);
        let ids = workload_ids((self.uid, self.gid), owner, primary, stand_in);
        let (name, home) = match (ids, account) {
            (Ids::StandIn { .. }, _) => ("sandbox".into(), self.home.clone()),
            (Ids::Owner { .. }, Some(account)) => {
                (account.name.clone(), real_path(account.home.clone()))
            }
            (Ids::Owner { .. }, None) => ("user".into(), "/home/user".into()),
            (Ids::Caller { .. }, account) => (
                account.map_or_else(|| "user".into(), |account| account.name.clone()),
                self.home.clone(),
            ),
        };
        // Accounts of services have their home in the system's trees, or none.
        let mut taken = view::SYSTEM.iter().chain(view::RESERVED).map(Path::new);
        // A home below /opt is mounted over, where it is.
        let opt = home.parent().is_some_and(|above| above.starts_with("/opt")) && home.is_dir();
        let none = home == Path::new("/") || (!opt && taken.any(|tree| home.starts_with(tree)));
        let home = if none { Path::new(view::HOMES).join(&name) } else { home };
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
        mut own: Own,
    ) -> Result<Facts, FactsError> {
        // The others are in nobody's reach, and each is a look at all that is above it.
        own.programs.retain(|program| own.writable.iter().any(|top| program.starts_with(top)));
        let mut looked = Looked::default();
        let homes = self.homes(person.ids.pair().0, &own.asked);
        let own_paths = own.programs.iter().chain(&own.policy_files).chain(&own.places);
        let own_paths = own_paths.chain(&own.log);
        let above = own_paths.chain(&homes).flat_map(|path| path.ancestors().map(Path::to_owned));
        for path in wanted.iter().cloned().chain(above) {
            looked.look(path)?;
        }
        for hooks in wanted.iter().filter(|path| path.ends_with(HOOKS)) {
            looked.look_into(hooks)?;
        }
        let mut git_directories = looked.git(&own.writable)?;
        let enclosing = looked.enclosing(&own.workspace, &home, &mut git_directories)?;
        own.kept_home.clone().map_or(Ok(()), |kept| looked.look(kept))?;
        let rootfs = own.rootfs.take().and_then(|asked| looked.rootfs(asked));
        let mut environment = BTreeMap::new();
        let mut environment_names = Vec::new();
        for (name, value) in &self.variables.0 {
            let Some(name) = name.to_str() else {
                environment_names.push(format!("{name:?}"));
                continue;
            };
            environment_names.push(name.to_owned());
            if passes(name) {
                let value = value
                    .to_str()
                    .ok_or_else(|| FactsError::NotUtf8 { what: format!("the variable {name}") })?;
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        let path = self.variables.get("PATH").map(std::env::split_paths);
        // The plan is text, and so is what is recorded of it.
        let path = path.into_iter().flatten().filter(|entry| entry.to_str().is_some());
        Ok(Facts {
            person,
            home,
            cwd: self.cwd.clone(),
            homes,
            own_places: own.places,
            own_programs: own.programs,
            policy_files: own.policy_files,
            git_directories,
            enclosing,
            kept_home: own.kept_home,
            rootfs,
            environment: Values(environment),
            environment_names,
            path: path.collect(),
            paths: looked.paths,
            unseen: looked.unseen,
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
    /// The files that policies are read from, and the links on the way to them.
    pub policy_files: Vec<PathBuf>,
    /// The audit log, by its real path.
    pub log: Option<PathBuf>,
    /// Trees that somebody asked for.
    pub asked: Vec<PathBuf>,
    /// Those of them that shall be written.
    pub writable: Vec<PathBuf>,
    /// The workspace.
    pub workspace: PathBuf,
    /// The workspace's kept home, where the policy asks for one.
    pub kept_home: Option<PathBuf>,
    /// The root file system, where the policy asks for one.
    pub rootfs: Option<rootfs::Asked>,
}

/// `path` without symbolic links, also where its last parts do not exist yet: those stay as they
/// are written. A path that leads nowhere, or up from what is not there, is given back whole.
#[must_use]
pub fn real_path(path: PathBuf) -> PathBuf {
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        match fs::canonicalize(there) {
            Ok(real) => return missing.iter().rev().fold(real, |at, name| at.join(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return path,
        }
        // A link that is there and leads nowhere is no missing name.
        let (Some(above), Some(name)) = (there.parent(), there.file_name()) else { return path };
        if fs::symlink_metadata(there).is_ok() {
            return path;
        }
        missing.push(name);
        there = above;
    }
}

/// More persons than use one machine. One look each, and one for each directory above.
const HOMES_MAX: usize = 256;
/// Where hooks are, below a repository.
const HOOKS: &str = ".git/hooks";

/// Everything that was looked at.
#[derive(Default)]
struct Looked {
    paths: BTreeMap<PathBuf, Option<Seen>>,
    unseen: BTreeMap<PathBuf, String>,
}

impl Looked {
    /// Looks at `path`, and at what it leads to.
    fn look(&mut self, path: PathBuf) -> Result<(), FactsError> {
        if self.paths.contains_key(&path) || self.unseen.contains_key(&path) {
            return Ok(());
        }
        match look_at(&path)? {
            Ok(seen) => {
                let real = seen.as_ref().and_then(|seen| seen.real.clone());
                self.paths.insert(path, seen);
                real.map_or(Ok(()), |real| self.look(real))
            }
            Err(errno) => {
                self.unseen.insert(path, errno_text(errno.raw_os_error()));
                Ok(())
            }
        }
    }

    /// Looks into a root file system; where it cannot, that is told of its path.
    fn rootfs(&mut self, asked: rootfs::Asked) -> Option<Rootfs> {
        let named = asked.named.clone();
        rootfs::look(asked, self.paths.keys()).unwrap_or_else(|why| {
            self.unseen.insert(named, why);
            None
        })
    }

    /// Looks at the names in the git directories of `tops` that must stay, and at what is above them.
    fn git(&mut self, tops: &[PathBuf]) -> Result<Vec<PathBuf>, FactsError> {
        let mut all = Vec::new();
        for top in tops {
            match git::directories(top) {
                Ok(directories) => all.extend(directories),
                // Asked about before any guard in it.
                Err(unknown) => drop(self.unseen.insert(top.join(".git"), unknown.0)),
            }
        }
        for directory in &all {
            self.git_directory(directory)?;
        }
        Ok(all)
    }

    fn git_directory(&mut self, directory: &Path) -> Result<(), FactsError> {
        utf8(directory.to_owned(), "a git directory")?;
        for above in directory.ancestors() {
            self.look(above.to_owned())?;
        }
        for name in view::GIT_NAMES {
            self.look(directory.join(name))?;
        }
        self.look_into(&directory.join("hooks"))
    }

    /// Looks at the entries of a directory that are links or have a second name. Samples never run.
    fn look_into(&mut self, folder: &Path) -> Result<(), FactsError> {
        let is_folder = |seen: &Seen| seen.kind == Kind::Directory;
        if !self.paths.get(folder).is_some_and(|seen| seen.as_ref().is_some_and(is_folder)) {
            return Ok(());
        }
        match git::of_more_than_one_name(folder) {
            Ok(entries) => {
                entries.into_iter().try_for_each(|entry| self.look(utf8(entry, "a hook")?))
            }
            Err(why) => {
                self.unseen.insert(folder.to_owned(), why);
                Ok(())
            }
        }
    }
}

fn utf8(path: PathBuf, what: &str) -> Result<PathBuf, FactsError> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(FactsError::NotUtf8 { what: format!("{what} {path:?}") }),
    }
}

/// A line of `/etc/passwd` (`passwd(5)`).
#[derive(Debug)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

/// Every account with an absolute home. Bytes that are no text spoil their own line alone.
fn accounts() -> Vec<Account> {
    let bytes = fs::read("/etc/passwd").unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(parse_account).collect()
}

fn parse_account(line: &[u8]) -> Option<Account> {
    let mut fields = line.split(|byte| *byte == b':');
    let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    let name = fields.next()?;
    let uid = text(fields.nth(1)?)?.parse().ok()?;
    let gid = text(fields.next()?)?.parse().ok()?;
    let home = PathBuf::from(text(fields.nth(1)?)?);
    let name = text(name).unwrap_or_else(|| "user".into());
    home.is_absolute().then_some(Account { name, uid, gid, home })
}

/// The stand-in's id: the small one where this user namespace maps no large ids, none where it maps
/// neither.
pub(crate) fn stand_in() -> Option<u32> {
    let maps = IdMap::read();
    [STAND_IN_ID, STAND_IN_ID_SMALL].into_iter().find(|id| maps.holds(*id))
}

/// Whose files root's are: root's, or, where this user namespace does not know root, those of whom the kernel
/// shows for everybody it does not know (`user_namespaces(7)`), none of whom is this process.
pub(crate) fn root() -> u32 {
    if IdMap::read().holds(0) {
        return 0;
    }
    let shown = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    shown.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Which users this user namespace has (`user_namespaces(7)`).
struct IdMap(String);

impl IdMap {
    fn read() -> Self {
        Self(fs::read_to_string("/proc/self/uid_map").unwrap_or_default())
    }

    fn holds(&self, id: u32) -> bool {
        let line = |line: &str| {
            let mut fields = line.split_whitespace().filter_map(|field| field.parse::<u64>().ok());
            let (first, _, count) = (fields.next()?, fields.next()?, fields.next()?);
            Some((first..first.checked_add(count)?).contains(&u64::from(id)))
        };
        self.0.lines().any(|text| line(text) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root's homes are everybody's, by their real names; others have their own.
    #[test]
    fn whose_homes_are_no_grants() {
        let folder = std::env::temp_dir().join(format!("cofferdam-homes-{}", std::process::id()));
        fs::create_dir_all(folder.join("real/bob")).unwrap();
        std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
        let real = fs::canonicalize(folder.join("real/bob")).unwrap();
        let account = |name: &str, uid, home: &Path| Account {
            name: name.into(),
            uid,
            gid: uid,
            home: home.to_owned(),
        };
        let caller = |uid| Caller {
            uid,
            gid: uid,
            groups: Vec::new(),
            variables: Variables(BTreeMap::new()),
            accounts: vec![
                account("root", 0, Path::new("/root")),
                account("daemon", 1, Path::new("/usr/sbin")),
                account("bob", 200_001, &folder.join("link/bob")),
                account("nobody", 65_534, Path::new("/nonexistent")),
                account("slash", 1_003, Path::new("/")),
            ],
            home: "/somewhere".into(),
            cwd: "/".into(),
        };
        let own = PathBuf::from("/somewhere");
        assert_eq!(caller(0).homes(5, &[]), ["/root".into(), own.clone(), real.clone()]);
        assert_eq!(caller(200_001).homes(200_001, &[]), [own.clone(), real]);
        assert_eq!(caller(7).homes(7, &[]), [own]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn lines_of_passwd() {
        let good = |name: &str, home: &str| Some((name.to_owned(), 1000, 100, PathBuf::from(home)));
        for (line, want, why) in [
            (&b"u:x:1000:100:U:/home/u:/bin/sh"[..], good("u", "/home/u"), "an ordinary line"),
            (
                b"\xe9:x:1000:100:\xe9:/home/e:",
                good("user", "/home/e"),
                "a name in another encoding",
            ),
            (b"u:x:1000:100:U:home:/bin/sh", None, "a home that is no path"),
            (b"u:x:1000:100:U:/home/\xe9:/bin/sh", None, "a home that is no text"),
            (b"u:x:-1:100:U:/home/u:/bin/sh", None, "no number"),
            (b"+::::::", None, "another source"),
            (b"", None, "an empty line"),
        ] {
            let got = parse_account(line).map(|a| (a.name, a.uid, a.gid, a.home));
            assert_eq!(got, want, "{why}");
        }
    }
}
