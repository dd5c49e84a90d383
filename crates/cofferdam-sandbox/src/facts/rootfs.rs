//! What a root file system has, by names that begin at its root: each link in it is followed there and
//! nowhere else, by our own steps, also where it leads to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use cofferdam_plan::facts::{Kind, Rootfs, Seen};
use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::look;

/// Most names at its root; each that is shown costs a mount.
const NAMES_MAX: usize = 256;
/// Links on the way to a name; the kernel follows as many (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// A root file system that a policy names.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path that the policy names.
    pub named: PathBuf,
    /// Its root: that directory, or where that image was unpacked.
    pub root: PathBuf,
    /// The digest of the image's manifest.
    pub digest: Option<String>,
    /// What is looked at in it, by its own names.
    pub wanted: BTreeSet<PathBuf>,
}

/// Looks at the root, and at each name of `asked` and of `places`. `None` where it is no directory, an error
/// where what is there cannot be known.
pub(super) fn look<'p>(
    asked: Asked,
    places: impl Iterator<Item = &'p PathBuf>,
) -> Result<Option<Rootfs>, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let said = |errno: Errno| crate::refusal::errno_text(errno.raw_os_error());
    let held = match openat2(CWD, &asked.root, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(held) => held,
        // What stands there instead is told by the look at the path itself.
        Err(Errno::NOTDIR | Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(said(errno)),
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&held).map_err(said)? {
        let name = entry.map_err(said)?.file_name().to_bytes().to_vec();
        // The plan is text; what has no name in it is not shown.
        let name = String::from_utf8(name).ok();
        names.extend(name.filter(|name| name != "." && name != ".."));
        if names.len() > NAMES_MAX {
            return Err(format!("it has more than {NAMES_MAX} names at its root"));
        }
    }
    let mut inside = Inside { held, paths: BTreeMap::new() };
    for name in &names {
        inside.look(Path::new("/").join(name)).map_err(said)?;
    }
    // What is attached in none of its directories needs no place there.
    let holds = |path: &Path| {
        let top: PathBuf = path.components().take(2).collect();
        top.strip_prefix("/").is_ok_and(|top| names.iter().any(|name| Path::new(name) == top))
    };
    let places = places.filter(|path| holds(path)).cloned();
    for path in asked.wanted.into_iter().chain(places) {
        inside.look(path).map_err(said)?;
    }
    Ok(Some(Rootfs { root: asked.root, digest: asked.digest, paths: inside.paths }))
}

struct Inside {
    held: OwnedFd,
    paths: BTreeMap<PathBuf, Option<Seen>>,
}

impl Inside {
    /// Looks at `path`, and at what it leads to.
    fn look(&mut self, path: PathBuf) -> Result<(), Errno> {
        if self.paths.contains_key(&path) {
            return Ok(());
        }
        let above = self.followed(path.parent().unwrap_or(Path::new("/")))?;
        let at = path.file_name().map_or_else(|| above.clone(), |name| above.join(name));
        let Some(fd) = self.open(&at)? else {
            self.paths.insert(path, None);
            return Ok(());
        };
        let mut seen = look::seen(&fd, path.starts_with("/etc"))?;
        let real = if seen.kind == Kind::Link { self.followed(&at)? } else { at };
        let other = (real != path).then_some(real);
        seen.real = other.clone().filter(|real| real.to_str().is_some());
        self.paths.insert(path, Some(seen));
        other.map_or(Ok(()), |real| self.look(real))
    }

    /// `path` without links, which lead from this root on; what is not there stays as it is written.
    fn followed(&self, path: &Path) -> Result<PathBuf, Errno> {
        let parts = |path: &Path| -> Vec<OsString> {
            path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut at = PathBuf::from("/");
        // The next part is the last of the list.
        let mut rest = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => at = PathBuf::from("/"),
                Some(Component::ParentDir) => drop(at.pop()),
                Some(Component::CurDir | Component::Prefix(_)) | None => {}
                Some(Component::Normal(_)) => {
                    let next = at.join(&part);
                    match self.link(&next)? {
                        Some(_) if links == LINKS_MAX => return Err(Errno::LOOP),
                        Some(target) => {
                            links += 1;
                            rest.extend(parts(&target));
                        }
                        None => at = next,
                    }
                }
            }
        }
        Ok(at)
    }

    fn link(&self, at: &Path) -> Result<Option<PathBuf>, Errno> {
        let Some(fd) = self.open(at)? else { return Ok(None) };
        match rustix::fs::readlinkat(&fd, "", Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
            // Of everything that is no link (readlink(2)).
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Holds what is at `at`, which has no link on its way; `None` where nothing is.
    fn open(&self, at: &Path) -> Result<Option<OwnedFd>, Errno> {
        let below = at.strip_prefix("/").unwrap_or(at);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(self.held.as_fd(), below, flags, Mode::empty(), resolve) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Whether `path` of the root file system at `root` is a file that may be executed; links lead from that
/// root on.
#[must_use]
pub fn is_program(root: &Path, path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(held) = openat2(CWD, root, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) else {
        return false;
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let seen =
        openat2(held, path, flags, Mode::empty(), resolve).and_then(|fd| look::seen(&fd, false));
    seen.is_ok_and(|seen| seen.kind == Kind::File && seen.mode & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn asked(root: &Path, wanted: &[&str]) -> Asked {
        let wanted = wanted.iter().map(PathBuf::from).collect();
        Asked { named: root.to_owned(), root: root.to_owned(), digest: None, wanted }
    }

    #[test]
    fn links_lead_from_its_root_on() {
        let name = format!("cofferdam-rootfs-{}", std::process::id());
        let root = std::fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("usr/bin/sh"), "").unwrap();
        std::fs::write(root.join("etc/real"), "").unwrap();
        for (target, at) in [
            ("usr/bin", "bin"),
            ("/etc/real", "etc/absolute"),
            ("../../../../etc/real", "etc/upwards"),
            ("../run/resolve/conf", "etc/resolv.conf"),
            ("/proc/self/root/etc/passwd", "etc/passwd"),
            ("loop", "etc/loop"),
        ] {
            symlink(target, root.join(at)).unwrap();
        }
        let wanted = [
            "/bin/sh",
            "/etc/absolute",
            "/etc/upwards",
            "/etc/resolv.conf",
            "/etc/passwd",
            "/etc/none",
        ];
        let found = look(asked(&root, &wanted), [].iter()).unwrap().unwrap();
        let real = |path: &str| {
            let seen = found.paths.get(Path::new(path)).unwrap().as_ref();
            seen.map(|seen| (seen.kind, seen.real.clone()))
        };
        let leads = |kind, to: &str| Some((kind, Some(PathBuf::from(to))));
        assert_eq!(real("/bin"), leads(Kind::Link, "/usr/bin"));
        assert_eq!(real("/bin/sh"), leads(Kind::File, "/usr/bin/sh"));
        assert_eq!(real("/usr"), Some((Kind::Directory, None)));
        assert_eq!(real("/etc/absolute"), leads(Kind::Link, "/etc/real"));
        assert_eq!(real("/etc/upwards"), leads(Kind::Link, "/etc/real"));
        assert_eq!(real("/etc/resolv.conf"), leads(Kind::Link, "/run/resolve/conf"));
        assert_eq!(real("/etc/passwd"), leads(Kind::Link, "/proc/self/root/etc/passwd"));
        assert_eq!(real("/etc/none"), None);
        // The host's own is not what it led to.
        assert_eq!(real("/proc/self/root/etc/passwd"), None);
        assert!(look(asked(&root, &["/etc/loop"]), [].iter()).is_err(), "an endless link");
        let none = look(asked(&root.join("etc/real"), &[]), [].iter()).unwrap();
        assert_eq!(none, None, "a file has no names");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
