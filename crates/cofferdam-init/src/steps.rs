//! One step of the Plan, one act. There is no `if policy` here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::message::Report;
use cofferdam_plan::plan::{Guard, Opening, Spaces, Step};
use cofferdam_sys::process::{Forked, Kin, Namespaces, exit_now, fork, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::confine::{self, Dumpable};
use crate::control::Control;
use crate::view::{Held, NewRoot};
use crate::watch::Watch;
use crate::{Doing, Failed};

/// What the steps have made so far.
pub(crate) struct Stage<'a> {
    control: &'a Control,
    held: BTreeMap<PathBuf, Held>,
    idmap: Option<OwnedFd>,
    root: Option<NewRoot>,
    guards: Vec<(PathBuf, Guard)>,
    /// Pid 1's end of a pipe on which the first process says that its part is done.
    aside: Option<PipeReader>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(control: &'a Control) -> Self {
        Self {
            control,
            held: BTreeMap::new(),
            idmap: None,
            root: None,
            guards: Vec::new(),
            aside: None,
        }
    }

    /// Obeys one step.
    pub(crate) fn perform(&mut self, step: &Step) -> Result<(), Failed> {
        match step {
            Step::Unshare { spaces } => enter(*spaces),
            Step::Become { uid, gid } => confine::become_user(*uid, *gid),
            Step::MapIds { uid, gid } => map_own_ids(*uid, *gid),
            Step::Fork { aside } => self.fork(aside),
            Step::MakePrivate => {
                mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                    .doing("keep mount events inside")
            }
            Step::IdmapNamespace { uid, gid } => {
                self.idmap = Some(idmap_namespace(*uid, *gid)?);
                Ok(())
            }
            Step::Open(opening) => self.open(opening),
            Step::Hostname { name } => {
                rustix::system::sethostname(name.as_bytes()).doing("name the machine")
            }
            Step::Loopback => loopback().doing("bring the loopback interface up"),
            Step::NewRoot => {
                self.root = Some(NewRoot::make()?);
                Ok(())
            }
            Step::NoCoreDumps => confine::no_core_dumps().doing("forbid core dumps"),
            Step::NoNewPrivileges => {
                rustix::thread::set_no_new_privs(true).doing("give up privileges through exec")
            }
            Step::Landlock { handled, rules } => confine::restrict(*handled, 0, rules),
            Step::DropCapabilities => confine::drop_capabilities(),
            Step::Directory { path, mode } => self.root()?.directory(path, *mode),
            Step::File { path, content, mode } => self.root()?.file(path, content, *mode),
            Step::Link { path, to } => self.root()?.link(path, to),
            Step::Tmpfs { path, mode } => self.root()?.tmpfs(path, *mode),
            Step::Devpts { path } => self.root()?.devpts(path),
            Step::Proc { path } => self.root()?.proc(path),
            Step::Attach { target, guard } => self.attach(target, *guard),
            Step::Bind { from, at, expect, access, guard } => {
                self.guards.push((at.clone(), *guard));
                self.root()?.bind(from, at, *expect, *access)
            }
            Step::Pivot => self.root()?.pivot(),
            // For one process each, after the fork: see `workload` and `start`.
            Step::WorkloadLandlock { .. } | Step::Seccomp { .. } | Step::InitSeccomp { .. } => {
                Ok(())
            }
        }
    }

    fn root(&mut self) -> Result<&mut NewRoot, Failed> {
        let missing = || Failed { doing: "build before there is a root".into(), errno: 0 };
        self.root.as_mut().ok_or_else(missing)
    }

    fn attach(&mut self, target: &Path, guard: Guard) -> Result<(), Failed> {
        let Some(held) = self.held.remove(target) else {
            let doing = format!("attach {}, which was never opened", target.display());
            return Err(Failed { doing, errno: 0 });
        };
        self.guards.push((target.to_owned(), guard));
        self.root()?.attach(held, target)
    }

    fn open(&mut self, opening: &Opening) -> Result<(), Failed> {
        let idmap = self.idmap.as_ref().map(AsFd::as_fd);
        let held = Held::open(opening, idmap).map_err(|f| Failed {
            doing: format!("{} {}", f.doing, opening.path.display()),
            ..f
        })?;
        self.held.insert(opening.target.clone(), held);
        Ok(())
    }

    /// The child goes on as pid 1; this process tells the engine its pid, does the rest and ends.
    fn fork(&mut self, aside: &[Step]) -> Result<(), Failed> {
        let (wait, done) = io::pipe().doing("make a pipe")?;
        match fork(Kin::Sibling).doing("fork pid 1")? {
            Forked::Child => {
                self.aside = Some(wait);
                Ok(())
            }
            Forked::Parent(pid) => {
                let pid = u32::try_from(pid).unwrap_or(0);
                self.control.send(&Report::Forked { pid }).doing("report pid 1")?;
                for step in aside {
                    self.perform(step)?;
                }
                (&done).write_all(&[1]).doing("tell pid 1")?;
                exit_now(0)
            }
        }
    }

    /// Waits until the first process has done its part; it tells of a failure itself.
    pub(crate) fn aside_done(&mut self) -> Result<(), Failed> {
        match self.aside.take() {
            Some(mut wait) => wait.read_exact(&mut [0]).doing("finish what goes on beside pid 1"),
            None => Ok(()),
        }
    }

    /// The mounts to watch, once everything is built.
    pub(crate) fn into_watch(self) -> io::Result<Watch> {
        Watch::new(&self.guards)
    }
}

fn enter(spaces: Spaces) -> Result<(), Failed> {
    match spaces {
        Spaces::Mount => unshare(Namespaces::MOUNT).doing("enter a mount namespace"),
        Spaces::All => {
            // User namespace first and alone: its refusal has causes and remedies of its own.
            unshare(Namespaces::USER).doing("enter a user namespace")?;
            unshare(Namespaces::OTHERS).doing("enter mount, pid, network and other namespaces")
        }
    }
}

/// `/proc/self/uid_map` belongs to root while this process is not dumpable, so it is for the
/// length of three writes; nothing of the workload exists yet.
fn map_own_ids(uid: u32, gid: u32) -> Result<(), Failed> {
    confine::set_dumpable(Dumpable::Yes).doing("open the id maps")?;
    let mapped = confine::map_ids("self", (uid, gid), (uid, gid)).doing("map user and group");
    confine::set_dumpable(Dumpable::No).doing("close the id maps")?;
    mapped
}

/// A user namespace in which the disk's 0 is the stand-in; a child of ours holds it meanwhile.
fn idmap_namespace(uid: u32, gid: u32) -> Result<OwnedFd, Failed> {
    let doing = "make the namespace for idmapped mounts";
    let (mut ready, tell) = io::pipe().doing(doing)?;
    let (wait, mut done) = io::pipe().doing(doing)?;
    match fork(Kin::Child).doing(doing)? {
        Forked::Child => {
            drop((ready, done));
            let entered = unshare(Namespaces::USER).is_ok();
            let told = (&tell).write_all(&[u8::from(entered)]).is_ok();
            // Stays until the other end closes.
            let waited = (&wait).read(&mut [0]).is_ok();
            exit_now(u8::from(!(told && waited)))
        }
        Forked::Parent(pid) => {
            drop((tell, wait));
            let mut entered = [0];
            ready.read_exact(&mut entered).doing(doing)?;
            let pid_text = pid.to_string();
            let mapped = confine::map_ids(&pid_text, (0, 0), (uid, gid));
            let namespace = mapped.and_then(|()| File::open(format!("/proc/{pid}/ns/user")));
            done.write_all(&[0]).doing(doing)?;
            drop(done);
            rustix::process::waitpid(
                rustix::process::Pid::from_raw(pid),
                rustix::process::WaitOptions::empty(),
            )
            .doing(doing)?;
            Ok(namespace.doing(doing)?.into())
        }
    }
}

fn loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    cofferdam_sys::process::loopback_up(socket.as_fd())
}
