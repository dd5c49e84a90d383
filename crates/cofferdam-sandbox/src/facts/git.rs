//! Finds the git directories of a writable tree, besides `.git` itself: what is in them runs when a
//! person next uses git there. Bounded: so many looks, and never into the work tree.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::errno_text;

/// More submodules and worktrees than a repository has, and few enough to mount guards for.
const DIRECTORIES_MAX: usize = 256;
/// `modules/` has the submodules' names for directories: `vendor/lib/deep` is three.
const DEPTH_MAX: u32 = 8;
/// Entries of `modules/` and `worktrees/` that are looked at.
const ENTRIES_MAX: usize = 4_096;
/// More entries than anybody has hooks. One look each.
const HOOKS_MAX: usize = 1_000;
/// A `.git` file is one line with a path. Bytes.
pub(super) const LINE_BYTES_MAX: u64 = 8 << 10;

/// Why the git directories of a tree are not known.
#[derive(Debug)]
pub(super) struct Unknown(pub(super) String);

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Self {
        Self(errno_text(error.raw_os_error().unwrap_or(0)))
    }
}

/// The git directories that belong to the tree at `top`.
pub(super) fn directories(top: &Path) -> Result<Vec<PathBuf>, Unknown> {
    let mut found = Found::default();
    let dot = top.join(".git");
    match fs::symlink_metadata(&dot) {
        Ok(seen) if seen.is_dir() => found.below(&dot)?,
        Ok(seen) if seen.is_file() => {
            if let Some(real) = led_to(&dot, top)? {
                found.push(real.clone())?;
                found.below(&real)?;
                // A worktree's: hooks and configuration are those of the repository it belongs to.
                if let Some(common) = common(&real)? {
                    found.push(common.clone())?;
                    found.below(&common)?;
                }
            }
        }
        // A link is refused where guards are decided.
        Ok(_) => {}
        // A tree of one file has none either.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
        Err(error) => return Err(error.into()),
    }
    // A bare repository is its own git directory. It is known by what its guard keeps in place: what
    // the workload may rename today must not decide about tomorrow's guards.
    if is_git_configuration(&top.join("config"))? {
        found.push(top.to_owned())?;
        found.below(top)?;
    }
    Ok(found.directories)
}

/// Where a `.git` that is a file leads (`gitrepository-layout(5)`): `gitdir: PATH`, and nothing else.
fn led_to(file: &Path, top: &Path) -> Result<Option<PathBuf>, Unknown> {
    let bytes = beginning(file, LINE_BYTES_MAX)?.unwrap_or_default();
    let path = parse_gitdir(&bytes).ok_or_else(|| Unknown("it is no `gitdir: PATH`".into()))?;
    match fs::canonicalize(top.join(path)) {
        Ok(real) => Ok(Some(real)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where a worktree's git directory says that everything shared is.
fn common(directory: &Path) -> Result<Option<PathBuf>, Unknown> {
    let Some(bytes) = beginning(&directory.join("commondir"), LINE_BYTES_MAX)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| Unknown("commondir is no text".into()))?;
    match fs::canonicalize(directory.join(text.trim_end_matches(['\n', '\r']))) {
        Ok(real) => Ok(Some(real).filter(|real| real != directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file says what every repository's configuration says.
fn is_git_configuration(file: &Path) -> Result<bool, Unknown> {
    let bytes = beginning(file, LINE_BYTES_MAX)?.unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    Ok(lines.any(|line| line.eq_ignore_ascii_case(b"[core]")))
}

/// The first bytes of a regular file; `None` where nothing or something else is there. A workload may
/// have put anything here: no link is followed, and nobody waits for a FIFO's other end.
pub(super) fn beginning(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => File::from(fd),
        // A link, a socket, a device that is not there.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn parse_gitdir(bytes: &[u8]) -> Option<&Path> {
    let text = std::str::from_utf8(bytes).ok()?.strip_prefix("gitdir: ")?;
    let path = text.trim_end_matches(['\n', '\r']);
    (!path.is_empty() && !path.contains(['\n', '\0'])).then(|| Path::new(path))
}

/// Entries of `folder` that are links or have a second name, but for samples; or why that is not
/// known.
pub(super) fn of_more_than_one_name(folder: &Path) -> Result<Vec<PathBuf>, String> {
    use std::os::unix::fs::MetadataExt;
    let words = |error: io::Error| errno_text(error.raw_os_error().unwrap_or(0));
    let mut found = Vec::new();
    for (number, entry) in fs::read_dir(folder).map_err(words)?.enumerate() {
        if number >= HOOKS_MAX {
            return Err(format!("more than {HOOKS_MAX} entries"));
        }
        let path = entry.map_err(words)?.path();
        if path.extension().is_some_and(|end| end == "sample") {
            continue;
        }
        let seen = match fs::symlink_metadata(&path) {
            Ok(seen) => seen,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(words(error)),
        };
        if seen.is_symlink() || (seen.is_file() && seen.nlink() > 1) {
            found.push(path);
        }
    }
    Ok(found)
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) directories: Vec<PathBuf>,
    looked_at: usize,
}

impl Found {
    pub(super) fn push(&mut self, directory: PathBuf) -> Result<(), Unknown> {
        if self.directories.len() >= DIRECTORIES_MAX {
            return Err(Unknown(format!("more than {DIRECTORIES_MAX} submodules and worktrees")));
        }
        self.directories.push(directory);
        Ok(())
    }

    /// Worktrees and submodules of the git directory `at`.
    pub(super) fn below(&mut self, at: &Path) -> Result<(), Unknown> {
        for worktree in self.entries(&at.join("worktrees"))? {
            self.push(worktree)?;
        }
        self.modules(&at.join("modules"), 0)
    }

    fn modules(&mut self, at: &Path, depth: u32) -> Result<(), Unknown> {
        if depth > DEPTH_MAX {
            return Err(Unknown(format!("submodules more than {DEPTH_MAX} deep")));
        }
        for entry in self.entries(at)? {
            // Any of them: its guards keep `config` and `hooks` in place, HEAD is the workload's.
            let has = |name: &str| fs::symlink_metadata(entry.join(name)).is_ok();
            if ["HEAD", "config", "hooks"].into_iter().any(has) {
                self.push(entry.clone())?;
                self.modules(&entry.join("modules"), depth + 1)?;
            } else {
                self.modules(&entry, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Directories in `at`, which need not be there.
    fn entries(&mut self, at: &Path) -> Result<Vec<PathBuf>, Unknown> {
        let list = match fs::read_dir(at) {
            Ok(list) => list,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let mut directories = Vec::new();
        for entry in list {
            let entry = entry?;
            self.looked_at += 1;
            if self.looked_at > ENTRIES_MAX {
                return Err(Unknown(format!("more than {ENTRIES_MAX} entries")));
            }
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            }
        }
        Ok(directories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_git_file_says() {
        for (text, want, why) in [
            (
                &b"gitdir: ../main/.git/worktrees/x\n"[..],
                Some("../main/.git/worktrees/x"),
                "a worktree",
            ),
            (b"gitdir: /a b/.bare", Some("/a b/.bare"), "without a newline"),
            (b"gitdir: x\r\n", Some("x"), "from elsewhere"),
            (b"gitdir: \n", None, "no path"),
            (b"gitdir:x\n", None, "no space: git refuses it too"),
            (b"gitdir: x\ngitdir: y\n", None, "two lines"),
            (b"gitdir: \xff\n", None, "no text"),
            (b"", None, "nothing"),
        ] {
            assert_eq!(parse_gitdir(text), want.map(Path::new), "{why}");
        }
    }
}
