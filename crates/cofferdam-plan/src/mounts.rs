//! The kernel's list of mounts (`/proc/self/mountinfo`, `proc_pid_mountinfo(5)`) as text: what init
//! compares with what it put up. It reads no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::plan::Guard;

/// Mounts by their numbers: the one that each lies in, and its path.
pub type List = BTreeMap<u64, (u64, PathBuf)>;

/// The guards that no mount stands for. As many mounts must be at a path as guards were put up
/// there: one may lie on another.
#[must_use]
pub fn missing<'p>(
    guards: &[(PathBuf, Guard)],
    mounts: impl Iterator<Item = &'p Path>,
) -> Vec<(PathBuf, Guard)> {
    let put_up = count(guards.iter().map(|(at, _)| at.as_path()));
    let standing = count(mounts);
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

/// Mount id, parent id and mount point of one line of mountinfo: fields 1, 2 and 5.
#[must_use]
pub fn parse(line: &str) -> Option<(u64, (u64, PathBuf))> {
    let mut fields = line.split(' ');
    let (id, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((id, (parent, unescape(fields.nth(2)?)?)))
}

/// Where the mount `id` lies in the mount that holds it.
#[must_use]
pub fn inner(id: u64, list: &List) -> Option<PathBuf> {
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
            let mounts = there.iter().map(Path::new);
            let fallen: Vec<PathBuf> =
                missing(&guards, mounts).into_iter().map(|(at, _)| at).collect();
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
