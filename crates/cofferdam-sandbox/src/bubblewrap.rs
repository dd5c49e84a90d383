//! Bubblewrap's program: found, judged, and opened once; and what it says while it starts init.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cofferdam_plan::host::Bubblewrap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::facts;
use crate::program::{self, Search};

/// Where it is looked for, and nowhere else: what a project puts on `PATH` is nobody's.
const PLACES: [&str; 2] = ["usr/bin/bwrap", "usr/local/bin/bwrap"];
/// What it says of its child and of a failure is a few lines. Bytes.
const SAID_BYTES_MAX: usize = 8 << 10;
/// It tells of its child before it mounts anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found, and the program itself where it is to be trusted.
#[derive(Debug)]
pub struct Found {
    /// For the plan.
    pub record: Bubblewrap,
    /// The program, opened.
    pub program: Option<OwnedFd>,
}

impl Found {
    /// Whether it is to be trusted, and does here what plans ask of it.
    #[must_use]
    pub fn works(&self) -> bool {
        self.program.as_ref().is_some_and(|program| try_out(program).works.is_ok())
    }
}

/// Looks for `bwrap`. It is trusted where it and every directory above it are root's and nobody else
/// may write there, and where it has no privileges of its own.
#[must_use]
pub fn find() -> Found {
    find_below(Path::new("/"), facts::root())
}

/// The same below `root`, which is trusted itself, of `owner`.
fn find_below(root: &Path, owner: u32) -> Found {
    match program::search(root, &PLACES, owner) {
        Search::Opened(program, record) => {
            Found { record: Bubblewrap::Ready(record), program: Some(program) }
        }
        Search::Untrusted { path, why } => {
            Found { record: Bubblewrap::Untrusted { path, why }, program: None }
        }
        Search::Missing => Found { record: Bubblewrap::Missing, program: None },
    }
}

/// What it does here, found out by doing.
#[derive(Debug)]
pub struct Tried {
    /// What it says of itself: for a person alone.
    pub version: String,
    /// Whether it makes namespaces and a view with the options that plans use; its own words if not.
    pub works: Result<(), String>,
}

/// Has `program` build a sandbox of nothing, some milliseconds long.
#[must_use]
pub fn try_out(program: &OwnedFd) -> Tried {
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    #[expect(clippy::disallowed_methods, reason = "a program that was judged, by its descriptor")]
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&path);
        command.arg0("bwrap").args(words).env_clear().current_dir("/");
        command.stdin(std::process::Stdio::null()).output()
    };
    let first = |bytes: &[u8]| {
        let line: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != b'\n').collect();
        String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).take(200).collect()
    };
    let version: String = run(&["--version"]).map(|ran| first(&ran.stdout)).unwrap_or_default();
    let works = match run(TRIAL) {
        Ok(ran) if ran.status.success() => Ok(()),
        Ok(ran) => Err(first(&ran.stderr)),
        Err(error) => Err(error.to_string()),
    };
    Tried { version: version.trim_start_matches("bubblewrap ").to_owned(), works }
}

/// Options of every plan, and a program that is there because it runs.
const TRIAL: &[&str] = &[
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup",
    "--hostname",
    "cofferdam",
    "--as-pid-1",
    "--ro-bind",
    "/",
    "/",
    "--perms",
    "0700",
    "--size",
    "4096",
    "--tmpfs",
    "/tmp",
    "--remount-ro",
    "/tmp",
    "--remount-ro",
    "/",
    "--",
    "/usr/bin/env",
    "true",
];

/// What the program says, from the start on.
#[derive(Debug)]
pub(crate) struct Said {
    from: OwnedFd,
    text: Vec<u8>,
}

impl Said {
    pub(crate) const fn new(from: OwnedFd) -> Self {
        Self { from, text: Vec::new() }
    }

    /// Waits until it says who its child is; `None` where it ended before.
    ///
    /// # Errors
    /// It says nothing, or what it says cannot be read.
    pub(crate) fn child(&mut self, parent: u32) -> io::Result<Option<OwnedFd>> {
        let begin = Instant::now();
        loop {
            if let Some(pid) = child(&self.text) {
                return of_parent(pid, parent).map(Some);
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            if left.is_zero() || self.text.len() > SAID_BYTES_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if self.read(left)? == 0 {
                return Ok(None);
            }
        }
    }

    fn read(&mut self, left: Duration) -> io::Result<usize> {
        let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0_u8; 1 << 10];
        let length = rustix::io::read(self.from.as_fd(), &mut bytes)?;
        self.text.extend(bytes.iter().take(length));
        Ok(length)
    }

    /// What it said of a failure, once it has ended.
    pub(crate) fn failure(mut self) -> Option<String> {
        // It holds the other end; so does init's last process for a moment.
        while self.text.len() < SAID_BYTES_MAX
            && self.read(Duration::from_secs(1)).is_ok_and(|length| length > 0)
        {}
        let text = String::from_utf8_lossy(&self.text);
        let line = text.lines().find_map(|line| line.strip_prefix("bwrap: "))?;
        Some(line.chars().filter(|letter| !letter.is_control()).take(300).collect())
    }
}

/// The number in `"child-pid": N`, once it is whole.
fn child(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, after) = text.split_once("\"child-pid\":")?;
    let after = after.trim_start();
    let end = after.find(|letter: char| !letter.is_ascii_digit())?;
    after.get(..end)?.parse().ok()
}

/// A descriptor of the process `pid`, which must be a child of `parent`: that one is our own child, so its
/// number is its own.
fn of_parent(pid: i32, parent: u32) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let process = pidfd_open(Pid::from_raw(pid).ok_or_else(gone)?, PidfdFlags::empty())?;
    let mut status = String::new();
    std::fs::File::open(format!("/proc/{pid}/status"))?.read_to_string(&mut status)?;
    let above = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let above = above.and_then(|number| number.trim().parse::<u32>().ok());
    if above == Some(parent) { Ok(process) } else { Err(gone()) }
}

/// Which path of the host is not any more what Facts saw there.
pub(crate) fn changed(again: &[(PathBuf, cofferdam_plan::plan::Expect)]) -> Option<&Path> {
    use cofferdam_plan::plan::Expect;
    let same = |path: &Path, expect: Expect| {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let seen = openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve)
            .and_then(|at| rustix::fs::fstat(&at));
        match (seen, expect) {
            (Ok(seen), Expect::Inode { dev, ino }) => seen.st_dev == dev && seen.st_ino == ino,
            (Ok(seen), Expect::Device { major, minor }) => {
                rustix::fs::major(seen.st_rdev) == major && rustix::fs::minor(seen.st_rdev) == minor
            }
            (Err(_), _) => false,
        }
    };
    again.iter().find(|(path, expect)| !same(path, *expect)).map(|(path, _)| path.as_path())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use cofferdam_plan::host::Program;

    use super::*;

    /// A directory that stands for the root, with a program in one of the places; removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir();
            let root = fs::canonicalize(root).unwrap();
            let root = root.join(format!("cofferdam-bwrap-{}-{name}", std::process::id()));
            fs::create_dir_all(root.join("usr/bin")).unwrap();
            for folder in ["", "usr", "usr/bin"] {
                mode(&root.join(folder), 0o755);
            }
            fs::write(root.join("usr/bin/bwrap"), "#!/bin/sh\n").unwrap();
            mode(&root.join("usr/bin/bwrap"), 0o755);
            Self(root)
        }

        fn bwrap(&self) -> PathBuf {
            self.0.join("usr/bin/bwrap")
        }

        /// What is found, where this process's user stands for root.
        fn found(&self) -> Bubblewrap {
            let owner = fs::metadata(&self.0).unwrap().uid();
            find_below(&self.0, owner).record
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn untrusted(tree: &Tree, why: &str) {
        let found = tree.found();
        let says = matches!(&found, Bubblewrap::Untrusted { why: said, .. } if said.contains(why));
        assert!(says, "{why}: {found:?}");
    }

    #[test]
    fn one_that_is_roots_alone_is_trusted() {
        let tree = Tree::new("trusted");
        let seen = fs::metadata(tree.bwrap()).unwrap();
        let want = Program { path: tree.bwrap(), dev: seen.dev(), ino: seen.ino() };
        assert_eq!(tree.found(), Bubblewrap::Ready(want));
    }

    #[test]
    fn what_others_could_have_put_there_is_not() {
        let tree = Tree::new("modes");
        for (bits, why) in [
            (0o775, "others may write it"),
            (0o757, "others may write it"),
            (0o4755, "set-user-ID"),
            (0o2755, "set-group-ID"),
            (0o644, "nobody may execute"),
        ] {
            mode(&tree.bwrap(), bits);
            untrusted(&tree, why);
        }
        mode(&tree.bwrap(), 0o755);
        for folder in ["usr/bin", "usr"] {
            mode(&tree.0.join(folder), 0o777);
            untrusted(&tree, "others may write");
            mode(&tree.0.join(folder), 0o755);
        }
        let stranger = fs::metadata(&tree.0).unwrap().uid() + 1;
        let found = find_below(&tree.0, stranger).record;
        assert!(matches!(found, Bubblewrap::Untrusted { .. }), "another's: {found:?}");
        assert!(matches!(tree.found(), Bubblewrap::Ready(_)));
    }

    #[test]
    fn a_directory_and_a_pipe_are_no_program() {
        let tree = Tree::new("kinds");
        fs::remove_file(tree.bwrap()).unwrap();
        assert_eq!(tree.found(), Bubblewrap::Missing);
        fs::create_dir(tree.bwrap()).unwrap();
        untrusted(&tree, "no regular file");
    }

    /// A link is judged by what it leads to, and by the way there.
    #[test]
    fn a_link_out_of_the_system_is_not_trusted() {
        let tree = Tree::new("links");
        let elsewhere = Tree::new("elsewhere");
        fs::remove_file(tree.bwrap()).unwrap();
        fs::create_dir(tree.0.join("shared")).unwrap();
        fs::copy(elsewhere.bwrap(), tree.0.join("shared/bwrap")).unwrap();
        std::os::unix::fs::symlink(tree.0.join("shared/bwrap"), tree.bwrap()).unwrap();
        mode(&tree.0.join("shared"), 0o755);
        assert!(matches!(tree.found(), Bubblewrap::Ready(_)));
        mode(&tree.0.join("shared"), 0o1777);
        untrusted(&tree, "others may write");
    }

    #[test]
    fn what_it_says_of_its_child() {
        for (text, want) in [
            ("{\n    \"child-pid\": 123,\n", Some(123)),
            ("{\n    \"child-pid\": 123", None),
            ("bwrap: setting up uid map: Permission denied\n", None),
            ("{\"child-pid\": x}", None),
            ("", None),
        ] {
            assert_eq!(child(text.as_bytes()), want, "{text}");
        }
    }

    /// Only a child of the process that was started is believed to be pid 1.
    #[test]
    fn a_strangers_number_is_not_believed() {
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        assert!(of_parent(own, u32::try_from(parent).unwrap()).is_ok());
        assert!(of_parent(own, 1 << 21).is_err());
    }
}
