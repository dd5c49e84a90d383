//! One step of the Plan, one act. There is no `if policy` here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::message::Report;
use cofferdam_plan::plan::{Aside, Guard, Opening, Spaces, Step};
use cofferdam_sys::process::{Forked, Kin as Of, Namespaces, exit_now, fork, unshare};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{DumpableBehavior, Pid, WaitOptions, waitpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::confine;
use crate::control::Control;
use crate::network;
use crate::reap::Kin;
use crate::terminal::Terminal;
use crate::view::{self, Held, NewRoot};
use crate::watch::Watch;
use crate::{Doing, Failed};

/// `LANDLOCK_SCOPE_SIGNAL`.
const SIGNALS: u64 = 2;

/// What the steps have made so far.
pub(crate) struct Stage<'a> {
    control: &'a Control,
    held: BTreeMap<PathBuf, Held>,
    idmap: Option<OwnedFd>,
    root: Option<NewRoot>,
    guards: Vec<(PathBuf, Guard)>,
    /// Those of them that hold a name of a tree.
    names: BTreeSet<PathBuf>,
    /// Pid 1's end of a socket on which the first process hands the network over.
    aside: Option<OwnedFd>,
    /// How the sandbox's processes are ended, without a pid namespace.
    pub(crate) kin: Option<Kin>,
    pub(crate) terminal: Option<Terminal>,
    /// The child that holds `idmap`'s namespace; it ends by itself.
    idmap_holder: Option<Pid>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(control: &'a Control) -> Self {
        Self {
            control,
            held: BTreeMap::new(),
            idmap: None,
            root: None,
            guards: Vec::new(),
            names: BTreeSet::new(),
            aside: None,
            kin: None,
            terminal: None,
            idmap_holder: None,
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
                idmap_namespace(*uid, *gid).map(|(namespace, holder)| {
                    (self.idmap, self.idmap_holder) = (Some(namespace), holder)
                })
            }
            Step::Open(opening) => self.open(opening),
            Step::Hostname { name } => {
                rustix::system::sethostname(name.as_bytes()).doing("name the machine")
            }
            Step::JoinNetwork => self.join_network(),
            Step::NewRoot => NewRoot::make().map(|root| self.root = Some(root)),
            Step::NoCoreDumps => confine::no_core_dumps().doing("forbid core dumps"),
            Step::NoNewPrivileges => {
                rustix::thread::set_no_new_privs(true).doing("give up privileges through exec")
            }
            Step::Landlock { handled, rules } => confine::restrict(*handled, 0, rules),
            Step::Subreaper => Kin::adopt().map(|kin| self.kin = Some(kin)),
            Step::LandlockOnHost { handled, network, scoped, rules, terminal } => {
                let own = self.terminal.as_ref().map(|own| (own.fd(), *terminal));
                confine::restrict_on_host((*handled, *network, *scoped), rules, own)?;
                self.kin.iter_mut().for_each(|kin| kin.scoped = *scoped & SIGNALS != 0);
                Ok(())
            }
            Step::Terminal => Terminal::make(self.control, "/dev/ptmx")
                .map(|terminal| self.terminal = Some(terminal)),
            Step::DropCapabilities => confine::drop_capabilities(),
            Step::Directory { path, mode } => self.root()?.directory(path, *mode),
            Step::File { path, content, mode } => self.root()?.file(path, content, *mode),
            Step::Link { path, to } => self.root()?.link(path, to),
            Step::Listen { path } => {
                let socket = self.root()?.listen(path)?;
                let sent = self.control.send_along(&Report::Agent, &[socket.as_fd()]);
                sent.doing("hand the agent's socket over")
            }
            Step::Tmpfs { path, mode, bytes, files } => {
                self.root()?.tmpfs(path, *mode, (*bytes, *files))
            }
            Step::Devpts { path, terminals } => self.root()?.devpts(path, *terminals),
            Step::Limit { resource, soft, hard } => confine::limit(*resource, *soft, *hard),
            Step::KilledFirst { score } => killed_first(*score),
            Step::Proc { path, access } => self.root()?.proc(path, *access),
            Step::Attach { target, guard } => self.attach(target, *guard),
            Step::Bind { from, at, expect, access, guard } => {
                self.guards.push((at.clone(), *guard));
                self.names.insert(at.clone());
                self.root()?.bind(from, at, *expect, *access)
            }
            Step::Pivot => self.root()?.pivot(),
            Step::ThisRoot => NewRoot::of_this().map(|root| self.root = Some(root)),
            Step::Seal => self.root()?.seal(),
            Step::Here { parts } => self.beside(parts),
            Step::Found { at, expect, access, guard, name } => {
                self.guards.push((at.clone(), *guard));
                self.names.extend(name.then(|| at.clone()));
                access.map_or(Ok(()), |access| view::found(at, *expect, access))
            }
            // For one process each, after the fork: see `workload` and `start`.
            Step::WorkloadLandlock { .. }
            | Step::Seccomp { .. }
            | Step::Broker { .. }
            | Step::InitSeccomp { .. } => Ok(()),
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
    fn fork(&mut self, aside: &[Aside]) -> Result<(), Failed> {
        let doing = "fork pid 1";
        // Held now: once pid 1 has left the old root, this process has no /proc of its own.
        let own = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = openat(CWD, "/proc/self", own, Mode::empty()).doing(doing)?;
        let flags = SocketFlags::CLOEXEC;
        let (wait, done) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).doing(doing)?;
        match fork(Of::Sibling).doing(doing)? {
            Forked::Child => {
                self.aside = Some(wait);
                Ok(())
            }
            Forked::Parent(pid) => {
                drop(wait);
                let pid = u32::try_from(pid).unwrap_or(0);
                self.control.send(&Report::Forked { pid }).doing("report pid 1")?;
                self.beside(aside)?;
                // No network of its own, and nothing else to wait for.
                if aside.is_empty() {
                    exit_now(0)
                }
                let namespace = OFlags::RDONLY | OFlags::CLOEXEC;
                let namespace = openat(&own, "ns/net", namespace, Mode::empty());
                let namespace = namespace.doing("hold the network namespace")?;
                match send_descriptor(&done, namespace.as_fd()) {
                    // Pid 1 has failed meanwhile, and tells why itself.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit_now(125),
                    sent => sent.doing("hand the network over")?,
                }
                if let Some(holder) = self.idmap_holder.take() {
                    waitpid(Some(holder), WaitOptions::empty()).doing("reap a child")?;
                }
                exit_now(0)
            }
        }
    }

    /// What is made for the network.
    fn beside(&self, parts: &[Aside]) -> Result<(), Failed> {
        for part in parts {
            match part {
                Aside::Network => unshare(Namespaces::NETWORK).doing("enter a network namespace"),
                Aside::Loopback => network::loopback().doing("bring the loopback interface up"),
                Aside::EveryAddress { ipv6 } => {
                    network::every_address(*ipv6).doing("make every address our own")
                }
                Aside::Sockets { sockets } => network::sockets(self.control, sockets),
            }?;
        }
        Ok(())
    }

    /// Enters the network namespace that the first process has made; it tells of a failure itself.
    fn join_network(&mut self) -> Result<(), Failed> {
        let doing = "enter the sandbox's network namespace";
        let missing = || Failed { doing: doing.into(), errno: 0 };
        let network = receive_descriptor(&self.aside.take().ok_or_else(missing)?).doing(doing)?;
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).doing(doing)
    }

    /// The mounts to watch, once everything is built.
    pub(crate) fn into_watch(self) -> io::Result<Watch> {
        Watch::new(self.guards, self.names)
    }
}

fn enter(spaces: Spaces) -> Result<(), Failed> {
    match spaces {
        Spaces::Mount => unshare(Namespaces::MOUNT).doing("enter a mount namespace"),
        Spaces::Inside => {
            // User namespace first and alone: its refusal has causes and remedies of its own.
            unshare(Namespaces::USER).doing("enter a user namespace")?;
            unshare(Namespaces::OTHERS).doing("enter mount, pid and other namespaces")
        }
    }
}

/// `/proc/self/uid_map` belongs to root while this process is not dumpable, so it is for the
/// length of three writes; nothing of the workload exists yet.
fn map_own_ids(uid: u32, gid: u32) -> Result<(), Failed> {
    confine::set_dumpable(DumpableBehavior::Dumpable).doing("open the id maps")?;
    let mapped = confine::map_ids("self", (uid, gid), (uid, gid)).doing("map user and group");
    confine::set_dumpable(DumpableBehavior::NotDumpable).doing("close the id maps")?;
    mapped
}

/// The same: `/proc/self/oom_score_adj` belongs to whom the process does.
fn killed_first(score: u32) -> Result<(), Failed> {
    let doing = "be the first to be killed for memory";
    confine::set_dumpable(DumpableBehavior::Dumpable).doing(doing)?;
    let told = std::fs::write("/proc/self/oom_score_adj", score.to_string()).doing(doing);
    confine::set_dumpable(DumpableBehavior::NotDumpable).doing(doing)?;
    told
}

/// A user namespace in which the disk's 0 is the stand-in. It is born with a child, which ends as
/// soon as the namespace is held otherwise.
fn idmap_namespace(uid: u32, gid: u32) -> Result<(OwnedFd, Option<Pid>), Failed> {
    let doing = "make the namespace for idmapped mounts";
    let (mut wait, done) = io::pipe().doing(doing)?;
    match fork(Of::ChildElsewhere).doing(doing)? {
        Forked::Child => {
            drop(done);
            // Nothing is ever written: it reads the end.
            exit_now(u8::from(wait.read(&mut [0]).is_err()))
        }
        Forked::Parent(pid) => {
            confine::map_ids(&pid.to_string(), (0, 0), (uid, gid)).doing(doing)?;
            let namespace = File::open(format!("/proc/{pid}/ns/user")).doing(doing)?;
            drop(done);
            Ok((namespace.into(), Pid::from_raw(pid)))
        }
    }
}

/// Sends one byte with a descriptor (`unix(7)`, `SCM_RIGHTS`).
pub(crate) fn send_descriptor(to: &OwnedFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(to, &[IoSlice::new(&[1])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The descriptor of one such message; `UnexpectedEof` where the other end is gone.
pub(crate) fn receive_descriptor(from: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0_u8; 1];
    let bytes = &mut [IoSliceMut::new(&mut byte)];
    recvmsg(from, bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    match ancillary.drain().next() {
        Some(RecvAncillaryMessage::ScmRights(mut fds)) => fds.next().ok_or_else(gone),
        Some(_) | None => Err(gone()),
    }
}
