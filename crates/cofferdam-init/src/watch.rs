//! The watch over mounts: a mount guards an inode, and the host can make it fall.
//!
//! When the host replaces a file by rename, the kernel detaches the mount over it. The list of
//! this namespace's mounts (`/proc/self/mountinfo`, `proc(5)`) polls `POLLPRI|POLLERR` on every
//! change. Nothing inside can mount, so a change is the host's doing.
//!
//! When the host moves the file, or a directory above it, the mount goes with it and the name is free:
//! an editor that keeps the old file as a backup does so. Nothing wakes for that, so the list is looked
//! at from time to time as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::plan::Guard;

/// The mounts as they were when the workload started.
#[derive(Debug)]
pub(crate) struct Watch {
    list: File,
    guards: Vec<(PathBuf, Guard)>,
    /// Where a mount holds a name of a tree, and not a tree.
    names: BTreeSet<PathBuf>,
    mounts: Vec<Mount>,
}

#[derive(Debug)]
struct Mount {
    id: u64,
    at: PathBuf,
    guard: Guard,
    /// For one that holds a name: its place in the mount that it lies in, which may be moved as a
    /// whole by whoever has the home.
    inner: Option<PathBuf>,
}

/// Mounts by their numbers: the one that each lies in, and its path.
type List = BTreeMap<u64, (u64, PathBuf)>;

impl Watch {
    /// Opens the list of mounts.
    ///
    /// To be called after `pivot_root(2)`: the list shows what can be reached from the root that
    /// the opening process had.
    pub(crate) fn new(guards: Vec<(PathBuf, Guard)>, names: BTreeSet<PathBuf>) -> io::Result<Self> {
        Ok(Self { list: File::open("/proc/self/mountinfo")?, guards, names, mounts: Vec::new() })
    }

    /// How many guards there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.guards.len()).unwrap_or(u32::MAX)
    }

    /// Takes the first look, and gives the guards that have fallen already. What is no guard is
    /// watched as strictly from here on.
    pub(crate) fn begin(&mut self) -> io::Result<Vec<(PathBuf, Guard)>> {
        // At one path the guard put up last decides.
        let guard_of: BTreeMap<&Path, Guard> =
            self.guards.iter().map(|(at, guard)| (at.as_path(), *guard)).collect();
        // Without a view of its own the sandbox has no mount of ours, and the host's come and go.
        if self.guards.is_empty() {
            return Ok(Vec::new());
        }
        let list = read(&mut self.list)?;
        let mount = |(id, (_, at)): (&u64, &(u64, PathBuf))| Mount {
            id: *id,
            at: at.clone(),
            guard: guard_of.get(at.as_path()).copied().unwrap_or(Guard::Kill),
            inner: self.names.contains(at).then(|| inner(*id, &list)).flatten(),
        };
        let mounts: Vec<Mount> = list.iter().map(mount).collect();
        let fallen = missing(&self.guards, &mounts);
        self.mounts = mounts;
        Ok(fallen)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.list.as_fd()
    }

    /// Which mounts fell since the last look. A mount that nobody made is told as a fall of `/`.
    pub(crate) fn fallen(&mut self) -> io::Result<Vec<(PathBuf, Guard)>> {
        if self.guards.is_empty() {
            return Ok(Vec::new());
        }
        let now = read(&mut self.list)?;
        let mut fallen = Vec::new();
        self.mounts.retain_mut(|mount| {
            let stands = now.contains_key(&mount.id);
            // Told once: it stands, elsewhere.
            let place = mount.inner.take_if(|place| inner(mount.id, &now).as_ref() != Some(place));
            if !stands || place.is_some() {
                fallen.push((mount.at.clone(), mount.guard));
            }
            stands
        });
        if now.keys().any(|id| !self.mounts.iter().any(|mount| mount.id == *id)) {
            fallen.push((PathBuf::from("/"), Guard::Kill));
        }
        Ok(fallen)
    }
}

/// The guards that no mount stands for. As many mounts must be at a path as guards were put up
/// there: one may lie on another.
fn missing(guards: &[(PathBuf, Guard)], mounts: &[Mount]) -> Vec<(PathBuf, Guard)> {
    let put_up = count(guards.iter().map(|(at, _)| at.as_path()));
    let standing = count(mounts.iter().map(|mount| mount.at.as_path()));
    let stands =
        |(at, _): &&(PathBuf, Guard)| standing.get(at.as_path()) >= put_up.get(at.as_path());
    guards.iter().filter(|guard| !stands(guard)).cloned().collect()
}

/// How often each path is there. To compare each of a hundred paths with each other one took some
/// 0.2 ms, which on a busy machine the workload waits for.
fn count<'p>(paths: impl Iterator<Item = &'p Path>) -> BTreeMap<&'p Path, usize> {
    let mut counts = BTreeMap::new();
    for path in paths {
        *counts.entry(path).or_default() += 1;
    }
    counts
}

/// Room for the list of an ordinary view: it comes with one read. Bytes.
const LIST_BYTES: usize = 16 << 10;

fn read(list: &mut File) -> io::Result<List> {
    let mut text = String::with_capacity(LIST_BYTES);
    list.rewind()?;
    list.read_to_string(&mut text)?;
    text.lines().map(|line| parse(line).ok_or_else(|| io::ErrorKind::InvalidData.into())).collect()
}

/// Mount id, parent id and mount point of one line of mountinfo: fields 1, 2 and 5.
fn parse(line: &str) -> Option<(u64, (u64, PathBuf))> {
    let mut fields = line.split(' ');
    let (id, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((id, (parent, unescape(fields.nth(2)?)?)))
}

/// Where the mount `id` lies in the mount that holds it.
fn inner(id: u64, list: &List) -> Option<PathBuf> {
    let (parent, at) = list.get(&id)?;
    let (_, above) = list.get(parent)?;
    at.strip_prefix(above).ok().map(Path::to_owned)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'\\' {
            let (digits, after) = rest.split_at_checked(3)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 8).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_that_fell_before_the_first_look() {
        let guards =
            ["/w", "/w/.git", "/w/.git", "/etc/hosts"].map(|at| (PathBuf::from(at), Guard::Kill));
        for (there, want, why) in [
            (&["/w", "/w/.git", "/w/.git", "/etc/hosts", "/"][..], &[][..], "all of them stand"),
            (&["/w", "/w/.git", "/w/.git"], &["/etc/hosts"], "one fell"),
            (
                &["/w", "/w/.git", "/etc/hosts"],
                &["/w/.git", "/w/.git"],
                "the guard fell, the pin beneath it stands",
            ),
        ] {
            let mount =
                |at: &&str| Mount { id: 1, at: PathBuf::from(at), guard: Guard::Kill, inner: None };
            let mounts: Vec<Mount> = there.iter().map(mount).collect();
            let fallen: Vec<PathBuf> =
                missing(&guards, &mounts).into_iter().map(|(at, _)| at).collect();
            assert_eq!(fallen, want.iter().map(PathBuf::from).collect::<Vec<_>>(), "{why}");
        }
    }

    #[test]
    fn where_a_guard_lies_in_what_holds_it() {
        let place = |text: &str, id| {
            let list: List = text.lines().filter_map(parse).collect();
            inner(id, &list)
        };
        let at = |home: &str, hooks: &str| {
            format!(
                "1 0 0:1 / / rw\n2 1 0:2 / {home} rw\n3 2 0:3 / {home}/w rw\n\
                 4 3 0:3 / {home}/w/{hooks} ro\n"
            )
        };
        let hooks = |home, hooks| place(&at(home, hooks), 4);
        assert_eq!(hooks("/home", ".git/hooks"), Some(".git/hooks".into()));
        assert_eq!(hooks("/moved", ".git/hooks"), hooks("/home", ".git/hooks"), "with all of it");
        assert_ne!(hooks("/home", ".old/hooks"), hooks("/home", ".git/hooks"), "away");
        assert_eq!(place("4 9 0:3 / /w rw", 4), None, "what holds it is not there");
    }

    #[test]
    fn lines_of_mountinfo() {
        for (line, want, why) in [
            (
                "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw",
                Some((36, 35, "/mnt2")),
                "the example of proc(5)",
            ),
            ("7 1 0:1 / /a\\040b\\134 rw - tmpfs none rw", Some((7, 1, "/a b\\")), "escapes"),
            ("7 1 0:1 / /a\\04", None, "an escape that ends early"),
            ("x 1 0:1 / /a rw", None, "no id"),
            ("7 x 0:1 / /a rw", None, "no parent"),
            ("7 1 0:1 /", None, "no mount point"),
        ] {
            let want = want.map(|(id, parent, at)| (id, (parent, PathBuf::from(at))));
            assert_eq!(parse(line), want, "{why}");
        }
    }
}
