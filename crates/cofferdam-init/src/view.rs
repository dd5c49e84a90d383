//! The view: detached mounts on descriptors, put together under a new root.
//!
//! Every path of the host is opened once, without following a symbolic link, and compared with
//! what Facts recorded; from there on only the descriptor is used. Nothing is ever created
//! outside the file systems that were made here.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use cofferdam_plan::plan::{Access, Content, Expect, Idmap, Opening};
use cofferdam_sys::mount::{Attributes, Reach, set_attributes, set_idmap};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatVfsMountFlags, chmodat, fstat,
    fstatvfs, mkdirat, openat, openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    open_tree, unmount,
};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use crate::network::BACKLOG;
use crate::{Doing, Failed};

const HOLD: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Most bytes that the root itself holds: a handful of files of ours, with authorities twice 4 MiB.
const ROOT_BYTES: &str = "16m";
/// Names in it: ours, and a place for each mount.
const ROOT_FILES: &str = "65536";

/// A tree of the host, checked and cloned, not attached yet.
#[derive(Debug)]
pub(crate) struct Held {
    mount: OwnedFd,
    directory: bool,
}

impl Held {
    /// Opens, compares and clones what `opening` names.
    pub(crate) fn open(opening: &Opening, idmap: Option<BorrowedFd<'_>>) -> Result<Self, Failed> {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let at = openat2(CWD, &opening.path, HOLD, Mode::empty(), resolve).doing("open")?;
        let seen = fstat(&at).doing("look at")?;
        compare(&seen, opening.expect)?;
        let directory = FileType::from_raw_mode(seen.st_mode) == FileType::Directory;
        let mount = clone(at.as_fd(), directory).doing("clone the mount of")?;
        restrict(mount.as_fd(), opening.access, directory).doing("restrict the mount of")?;
        match (opening.idmap, idmap) {
            (Idmap::None, _) => {}
            (Idmap::Required, None) => {
                return Err(Failed {
                    doing: "idmap, without a namespace for it,".into(),
                    errno: 0,
                });
            }
            (Idmap::Required, Some(ns)) => set_idmap(mount.as_fd(), ns).doing("idmap")?,
            // Without it the stand-in reads what everybody may read there, no more.
            (Idmap::IfPossible, ns) => drop(ns.map(|ns| set_idmap(mount.as_fd(), ns))),
        }
        Ok(Self { mount, directory })
    }
}

pub(crate) fn compare(seen: &Stat, expect: Expect) -> Result<(), Failed> {
    let same = match expect {
        Expect::Inode { dev, ino } => seen.st_dev == dev && seen.st_ino == ino,
        Expect::Device { major, minor } => {
            FileType::from_raw_mode(seen.st_mode) == FileType::CharacterDevice
                && rustix::fs::major(seen.st_rdev) == major
                && rustix::fs::minor(seen.st_rdev) == minor
        }
    };
    if same {
        return Ok(());
    }
    Err(Failed {
        doing: "find what was there when the plan was made: changed meanwhile:".into(),
        errno: 0,
    })
}

fn clone(at: BorrowedFd<'_>, directory: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if directory {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(at, "", flags)
}

fn restrict(mount: BorrowedFd<'_>, access: Access, directory: bool) -> io::Result<()> {
    let plain = Attributes::NO_SETUID.and(Attributes::NO_DEVICES);
    let attributes = match access {
        Access::ReadOnly => plain.and(Attributes::READ_ONLY),
        Access::ReadWrite => plain,
        Access::Device => Attributes::NO_SETUID.and(Attributes::NO_EXEC),
    };
    set_attributes(mount, attributes, if directory { Reach::Tree } else { Reach::One })
}

/// The root of the sandbox while it is put together.
#[derive(Debug)]
pub(crate) struct NewRoot {
    root: OwnedFd,
    /// Device numbers of the file systems made here: only in these is anything created.
    own: Vec<u64>,
}

impl NewRoot {
    /// Makes an empty root and puts it above the old one, which paths still lead to.
    pub(crate) fn make() -> Result<Self, Failed> {
        let root = memory(0o755, ROOT_BYTES, ROOT_FILES).doing("make an empty root")?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&root, "", CWD, "/", flags).doing("put the new root up")?;
        let own = vec![fstat(&root).doing("look at the new root")?.st_dev];
        Ok(Self { root, own })
    }

    /// The root that this process has, which another program has built.
    pub(crate) fn of_this() -> Result<Self, Failed> {
        let doing = "hold the root";
        let flags = HOLD | OFlags::DIRECTORY;
        let root = openat(CWD, "/", flags, Mode::empty()).doing(doing)?;
        let own = vec![fstat(&root).doing(doing)?.st_dev];
        Ok(Self { root, own })
    }

    /// Makes the root read-only.
    pub(crate) fn seal(&self) -> Result<(), Failed> {
        let doing = "make the root read-only";
        set_attributes(self.root.as_fd(), Attributes::READ_ONLY, Reach::One).doing(doing)
    }

    /// Opens a path inside the new root; symbolic links are never followed.
    fn hold(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        openat2(&self.root, path, HOLD, Mode::empty(), resolve)
    }

    /// Whether `directory` lies in a file system that was made here.
    fn ours(&self, directory: BorrowedFd<'_>) -> rustix::io::Result<bool> {
        Ok(self.own.contains(&fstat(directory)?.st_dev))
    }

    /// The directory `path`, made with everything above it where it is missing.
    fn ensure(&self, path: &Path) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        // Most are there: one call. Where this fails, the walk makes what is missing or says why.
        if let Ok(at) = openat2(&self.root, path, HOLD | OFlags::DIRECTORY, Mode::empty(), resolve)
        {
            return Ok(at);
        }
        let mut at = self.root.try_clone()?;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            at = self.enter(at.as_fd(), name)?;
        }
        Ok(at)
    }

    fn enter(&self, above: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        let flags = HOLD | OFlags::DIRECTORY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(above, name, flags, Mode::empty(), resolve) {
            Err(Errno::NOENT) if self.ours(above)? => {
                mkdirat(above, name, Mode::from_raw_mode(0o755))?;
                Ok(openat2(above, name, flags, Mode::empty(), resolve)?)
            }
            found => Ok(found?),
        }
    }

    /// The directory above `path`, made where missing, and the last name.
    fn above<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let above = self.ensure(path.parent().unwrap_or(Path::new("/")))?;
        if self.ours(above.as_fd())? { Ok((above, name)) } else { Err(Errno::ROFS.into()) }
    }

    pub(crate) fn directory(&self, path: &Path, mode: u32) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let (above, name) = self.above(path)?;
            match mkdirat(&above, name, Mode::from_raw_mode(mode)) {
                Err(Errno::EXIST) => Ok(()),
                made => Ok(made?),
            }
        };
        made().doing(format_args!("make the directory {}", path.display()))
    }

    pub(crate) fn file(&self, path: &Path, content: &Content, mode: u32) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let (above, name) = self.above(path)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(&above, name, flags, Mode::from_raw_mode(mode))?;
            File::from(file).write_all(content.as_bytes())
        };
        made().doing(format_args!("write {}", path.display()))
    }

    pub(crate) fn link(&self, path: &Path, to: &Path) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let (above, name) = self.above(path)?;
            Ok(symlinkat(to, &above, name)?)
        };
        made().doing(format_args!("make the link {}", path.display()))
    }

    /// A socket that hears at `path`, whoever the workload's user is.
    pub(crate) fn listen(&self, path: &Path) -> Result<OwnedFd, Failed> {
        let made = || -> io::Result<OwnedFd> {
            let (above, name) = self.above(path)?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            // An address is a path; this process has no other use for a directory of its own.
            rustix::process::fchdir(&above)?;
            bind(&socket, &SocketAddrUnix::new(name)?)?;
            chmodat(&above, name, Mode::from_raw_mode(0o600), AtFlags::empty())?;
            listen(&socket, BACKLOG)?;
            Ok(socket)
        };
        made().doing(format_args!("hear at {}", path.display()))
    }

    pub(crate) fn tmpfs(
        &mut self,
        path: &Path,
        mode: u32,
        (bytes, files): (u64, u64),
    ) -> Result<(), Failed> {
        let mut made = || -> io::Result<()> {
            let at = self.ensure(path)?;
            let mount = memory(mode, &bytes.to_string(), &files.to_string())?;
            self.own.push(fstat(&mount)?.st_dev);
            Ok(move_onto(mount.as_fd(), at.as_fd())?)
        };
        made().doing(format_args!("mount a private {}", path.display()))
    }

    pub(crate) fn devpts(&self, path: &Path, terminals: u32) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let at = self.ensure(path)?;
            let fs = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_set_flag(fs.as_fd(), "newinstance")?;
            fsconfig_set_string(fs.as_fd(), "ptmxmode", "0666")?;
            fsconfig_set_string(fs.as_fd(), "mode", "0620")?;
            fsconfig_set_string(fs.as_fd(), "max", terminals.to_string())?;
            fsconfig_create(fs.as_fd())?;
            let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            let mount = fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
            Ok(move_onto(mount.as_fd(), at.as_fd())?)
        };
        made().doing("mount private pseudo-terminals")
    }

    /// Mounts `/proc`.
    pub(crate) fn proc(&self, path: &Path, access: Access) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let at = self.ensure(path)?;
            let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(fs.as_fd())?;
            let mut flags = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, access != Access::ReadWrite);
            let mount = fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
            Ok(move_onto(mount.as_fd(), at.as_fd())?)
        };
        made().doing("mount a private /proc")
    }

    pub(crate) fn attach(&self, held: Held, target: &Path) -> Result<(), Failed> {
        let made = || -> io::Result<()> {
            let at = if held.directory { self.ensure(target)? } else { self.place(target)? };
            Ok(move_onto(held.mount.as_fd(), at.as_fd())?)
        };
        made().doing(format_args!("attach {}", target.display()))
    }

    /// A file to mount another file on, made where it is missing.
    fn place(&self, target: &Path) -> io::Result<OwnedFd> {
        match self.hold(target) {
            Err(Errno::NOENT) => {
                let (above, name) = self.above(target)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                drop(openat(&above, name, flags, Mode::from_raw_mode(0o600))?);
                Ok(self.hold(target)?)
            }
            found => Ok(found?),
        }
    }

    pub(crate) fn bind(
        &self,
        from: &Path,
        at: &Path,
        expect: Option<Expect>,
        access: Access,
    ) -> Result<(), Failed> {
        let about = |what: &str| format!("{what} {}", at.display());
        let source = self.hold(from).doing(about("find what is bound at"))?;
        let seen = fstat(&source).doing(about("look at what is bound at"))?;
        if let Some(expect) = expect {
            compare(&seen, expect)
                .map_err(|f| Failed { doing: format!("{} {}", f.doing, at.display()), ..f })?;
        }
        let directory = FileType::from_raw_mode(seen.st_mode) == FileType::Directory;
        let mount = clone(source.as_fd(), directory).doing(about("clone the mount for"))?;
        if access != Access::ReadWrite {
            restrict(mount.as_fd(), access, directory).doing(about("restrict the mount at"))?;
        }
        let target = self.hold(at).doing(about("find"))?;
        move_onto(mount.as_fd(), target.as_fd()).doing(about("bind"))
    }

    /// Makes the new root read-only and the only one.
    pub(crate) fn pivot(&self) -> Result<(), Failed> {
        let doing = "leave the old root";
        set_attributes(self.root.as_fd(), Attributes::READ_ONLY, Reach::One).doing(doing)?;
        rustix::process::fchdir(&self.root).doing(doing)?;
        rustix::process::pivot_root(".", ".").doing(doing)?;
        // The old root now lies on the new one; with it goes every path out.
        unmount(".", UnmountFlags::DETACH).doing(doing)?;
        rustix::process::chdir("/").doing(doing)
    }
}

/// Compares what another program has mounted at `at`: the thing itself, and how it is mounted.
pub(crate) fn found(at: &Path, expect: Option<Expect>, access: Access) -> Result<(), Failed> {
    let about = |what: &str| format!("{what} {}", at.display());
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let held = openat2(CWD, at, HOLD, Mode::empty(), resolve).doing(about("find"))?;
    let seen = fstat(&held).doing(about("look at"))?;
    if let Some(expect) = expect {
        compare(&seen, expect)
            .map_err(|f| Failed { doing: format!("{} {}", f.doing, at.display()), ..f })?;
    }
    let flags = fstatvfs(&held).doing(about("look at the mount of"))?.f_flag;
    let wanted = match access {
        Access::ReadOnly => StatVfsMountFlags::RDONLY | StatVfsMountFlags::NODEV,
        Access::ReadWrite => StatVfsMountFlags::NODEV,
        Access::Device => StatVfsMountFlags::empty(),
    };
    if flags.contains(wanted | StatVfsMountFlags::NOSUID) {
        return Ok(());
    }
    Err(Failed { doing: about("hold what is mounted otherwise than was asked for at"), errno: 0 })
}

fn memory(mode: u32, bytes: &str, files: &str) -> io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(fs.as_fd(), "mode", format!("{mode:o}"))?;
    fsconfig_set_string(fs.as_fd(), "size", bytes)?;
    fsconfig_set_string(fs.as_fd(), "nr_inodes", files)?;
    fsconfig_create(fs.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

fn move_onto(mount: BorrowedFd<'_>, at: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", at, "", flags)
}
