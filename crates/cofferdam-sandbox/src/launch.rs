//! Starts `cofferdam-init` with a Plan.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use cofferdam_plan::facts::Ids;
use cofferdam_plan::host::Groups;
use cofferdam_plan::message::{Lent, Order, Report, SOCKETS_MAX, StandIn, ToGateway};
use cofferdam_plan::plan::{Bounds, Carrier, Output, Spaces, Step, Streams};
use cofferdam_plan::{BUILD, Host, Plan, wire};
use cofferdam_sys::process::{SignalSet, set_blocked, unblock};
use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_getfl, fcntl_setfl, memfd_create,
};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::bubblewrap::{self, Said};
use crate::cgroup::{self, Group};
use crate::gateway::Gateway;
use crate::monitor::Running;
use crate::refusal::StartRefusal;
use crate::terminal;
use crate::trust::Trust;

/// `SIGTSTP` (`signal(7)`).
const SIGTSTP: i32 = 20;
/// A report carries a few paths at most, each below 4,400 bytes and, where it is no UTF-8, three
/// times that; longer ones are cut by the kernel and refused by the decoder.
const REPORT_BYTES_MAX: usize = 64 << 10;

/// Our own programs, opened once.
#[derive(Debug)]
pub struct Programs {
    init: OwnedFd,
    /// Where the gateway's is.
    pub(crate) gateway: PathBuf,
    /// Real paths of those that exist, for the plan: below a writable grant they are bound
    /// read-only.
    pub paths: Vec<PathBuf>,
}

impl Programs {
    /// Opens the programs beside `/proc/self/exe`.
    ///
    /// # Errors
    /// [`StartRefusal::ProgramMissing`].
    pub fn beside_this_one() -> Result<Self, StartRefusal> {
        let exe =
            std::fs::read_link("/proc/self/exe").map_err(StartRefusal::system("find myself"))?;
        Self::in_directory(exe.parent().unwrap_or(Path::new("/")))
    }

    /// Opens the programs in `directory`, for a program that embeds the engine.
    ///
    /// # Errors
    /// [`StartRefusal::ProgramMissing`].
    pub fn in_directory(directory: &Path) -> Result<Self, StartRefusal> {
        let path = directory.join("cofferdam-init");
        let missing = |source| StartRefusal::ProgramMissing { path: path.clone(), source };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let init = rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| missing(e.into()))?;
        // Links are resolved once for all of them, on the start path.
        let real = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        let resolve = |name: &&str| {
            let path = real.join(name);
            let link = std::fs::symlink_metadata(&path).ok()?.is_symlink();
            if link { std::fs::canonicalize(&path).ok() } else { Some(path) }
        };
        let paths = ["cofferdam", "cofferdam-init", "cofferdam-gateway"]
            .iter()
            .filter_map(resolve)
            .collect();
        let gateway = directory.join("cofferdam-gateway");
        Ok(Self { init, gateway, paths })
    }
}

/// What is handed to a sandbox beside its plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handed<'a> {
    /// Who is believed inside, where the gateway looks into TLS.
    pub trust: Option<&'a Trust>,
    /// What the gateway finds secrets with, where the plan has credentials.
    pub lent: Option<&'a Lent>,
    /// The program that builds the sandbox, where the plan has an outer part.
    pub outer: Option<BorrowedFd<'a>>,
}

/// Init, started and without a plan: it waits for one, and ends by itself when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    running: Running,
    entering: Entering,
}

const GROUP: &str = "put the sandbox in its cgroup";

/// Init is being moved into its group meanwhile.
#[derive(Debug, Default)]
struct Entering(Option<JoinHandle<io::Result<()>>>);

impl Entering {
    fn done(mut self) -> io::Result<()> {
        match self.0.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(entered) => entered.unwrap_or_else(|_| Err(io::ErrorKind::Other.into())),
        }
    }
}

/// The number that is being written is init's as long as nobody has reaped it.
impl Drop for Entering {
    fn drop(&mut self) {
        drop(self.0.take().map(JoinHandle::join));
    }
}

impl Waiting {
    /// Starts init. Loading it takes as long as deciding what it shall do, so a caller who will
    /// need it starts it first.
    ///
    /// # Errors
    /// Init could not be started at all.
    pub fn start(programs: &Programs) -> Result<Self, StartRefusal> {
        let system = |doing| StartRefusal::system(doing);
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|e| system("make a socketpair")(e.into()))?;
        let path = format!("/proc/self/fd/{}", programs.init.as_raw_fd());
        // Stopped by Ctrl-Z before it is init, it would hold this process, which waits for that with all
        // signals blocked (`vfork(2)`). Init blocks them itself.
        let before = unblock(&SignalSet::empty()).map_err(system("block signals"))?;
        set_blocked(&before.with(SIGTSTP)).map_err(system("block signals"))?;
        // Without a working directory of its own: with one, a static program's standard library
        // forks, which copies this process. Init goes to `/` itself.
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let spawn = || {
            Command::new(path)
                .arg0("cofferdam-init")
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::from(theirs))
                .stderr(Stdio::null())
                .spawn()
        };
        let mut group = Group::make(Path::new("/"));
        let first = match &mut group {
            None => Ok(spawn()),
            Some(group) => group.inside(spawn),
        };
        set_blocked(&before).map_err(system("block signals"))?;
        let first = first.map_err(system(GROUP))?;
        let first = first.map_err(system("start cofferdam-init"))?;
        let entering = Entering(match group.as_mut().map(Group::entrances) {
            Some(entrances) if !entrances.is_empty() => {
                let init = first.id();
                Some(std::thread::spawn(move || cgroup::enter(&entrances, init)))
            }
            Some(_) | None => None,
        });
        let running = Running {
            control: ours,
            first: Some(first),
            pid1: None,
            input: None,
            output: None,
            error: None,
            terminal: None,
            streams: Streams::default(),
            bounds: Bounds::default(),
            shared: false,
            shows: Output::built_in(),
            group,
            gateway: None,
            said: None,
        };
        Ok(Self { running, entering })
    }

    /// The group that it is in, with processor time where `cpus` asks for it.
    pub fn groups(&mut self, cpus: bool) -> Option<Groups> {
        let group = self.running.group.as_mut()?;
        if cpus {
            group.add_cpus(Path::new("/"));
        }
        Some(group.groups())
    }

    /// Whether init may enter the namespaces that `plan` begins with: it does so, and ends.
    #[must_use]
    pub fn may_enter(mut self, plan: &Plan, ids: Ids) -> bool {
        let entering = |step: &&Step| {
            matches!(step, Step::Become { .. } | Step::MapIds { .. } | Step::MakePrivate)
                || matches!(step, Step::Unshare { spaces: Spaces::Inside })
        };
        let setup = plan.setup.iter().filter(entering).cloned().collect();
        let mut trial = Plan { setup, outer: None, ..plan.clone() };
        trial.workload.streams = Streams::default();
        trial.workload.directory = "/".into();
        let asked = || -> io::Result<Option<Report>> {
            let pipes = Pipes::new(trial.workload.streams, ids)?;
            self.running.send_plan(&trial, &pipes.theirs().collect::<Vec<_>>())?;
            self.running.receive()
        };
        matches!({ asked }(), Ok(Some(Report::Ready { .. })))
    }

    /// Hands `plan` over, with the workload's streams, and its half of it to the gateway, if it has one.
    /// Does not wait for what comes of it, but for the session's authority where the plan looks into TLS,
    /// and for what stands in for credentials.
    ///
    /// # Errors
    /// Init is gone, or there are no descriptors left, or its group does not take it; the gateway is
    /// gone, or none was started and the plan has work for it.
    pub fn build(
        self,
        plan: &Plan,
        ids: Ids,
        gateway: Option<Gateway>,
        handed: Handed<'_>,
    ) -> Result<Preparing, StartRefusal> {
        let Self { mut running, entering } = self;
        let system = |doing| StartRefusal::system(doing);
        running.bounds = plan.bounds.clone();
        running.shared = plan.setup.contains(&Step::Subreaper);
        running.shows = plan.output.clone();
        running.gateway = match (&plan.egress, gateway) {
            (None, _) => None,
            (Some(egress), Some(mut gateway)) => {
                let given = gateway.give(egress, ids, handed);
                // One that is gone has said why, or that it is gone is the better reason.
                if given.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                    gateway.ready()?;
                }
                given.map_err(system("hand the gateway its part of the plan"))?;
                Some(gateway)
            }
            (Some(_), None) => return Err(StartRefusal::GatewayDied { said: "nobody has".into() }),
        };
        // Before it has a plan, so that all it forks is inside.
        entering.done().and_then(|()| running.limit()).map_err(system(GROUP))?;
        let authority = running.authority(plan)?;
        let stand_ins = running.stand_ins(plan)?;
        // What is made later and is not there leaves a plan that cannot be read.
        let file = |what| match (&authority, handed.trust) {
            (Some(session), Some(trust)) => trust.file(what, session),
            (None, _) | (Some(_), None) => Vec::new(),
        };
        let is_whole = !plan.egress.as_ref().is_some_and(|egress| egress.rules.inspects())
            || (authority.is_some() && handed.trust.is_some());
        let whole = (plan.waits() && is_whole).then(|| plan.completed(file, &stand_ins));
        let pipes = Pipes::new(plan.workload.streams, ids).map_err(system("make pipes"))?;
        running
            .hand_over(whole.as_ref().unwrap_or(plan), &pipes, handed.outer)
            .map_err(system("hand the plan over"))?;
        running.input = pipes.input.map(|pair| pair.ours);
        running.output = pipes.output.map(|pair| pair.ours);
        running.error = pipes.error.map(|pair| pair.ours);
        running.streams = plan.workload.streams;
        Ok(Preparing { running, authority, stand_ins })
    }
}

/// A sandbox that is being built; nothing of the workload runs before [`Preparing::go`].
#[derive(Debug)]
pub struct Preparing {
    running: Running,
    authority: Option<Vec<u8>>,
    stand_ins: Vec<StandIn>,
}

impl Preparing {
    /// Waits until every step of the plan is done.
    ///
    /// # Errors
    /// The step that failed, with the cause that `host` explains.
    pub fn ready(&mut self, plan: &Plan, host: &Host) -> Result<(), StartRefusal> {
        let built = self.running.built();
        match built.map_err(StartRefusal::system("hear from cofferdam-init"))? {
            Some(Report::Ready { build, .. }) if build == BUILD => {
                let again = plan.outer.as_ref().map_or(&[][..], |outer| &outer.again);
                if let Some(path) = bubblewrap::changed(again) {
                    return Err(StartRefusal::changed(path));
                }
                self.running.gateway.as_mut().map_or(Ok(()), Gateway::ready)
            }
            Some(Report::Failed { step, doing, errno }) => {
                Err(StartRefusal::Step { step, doing, errno, said: None }.explained(plan, host))
            }
            _ => match self.running.said.take().and_then(Said::failure) {
                Some(said) => Err(StartRefusal::outer(&said, host)),
                None => Err(StartRefusal::InitDied { doing: "building the sandbox" }),
            },
        }
    }

    /// The certificate of the session's own authority (X.509, DER), where the gateway looks into TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref()
    }

    /// What stands in for each credential of this session.
    #[must_use]
    pub fn stand_ins(&self) -> &[StandIn] {
        &self.stand_ins
    }

    /// Gives the sandbox's terminal, if it has one, settings and size of the caller's. To be called
    /// after [`Preparing::ready`] and before [`Preparing::go`]: a program asks for them first.
    ///
    /// # Errors
    /// The caller's terminal is gone.
    pub fn resemble(&self, callers: BorrowedFd<'_>) -> Result<(), StartRefusal> {
        let Some(inside) = &self.running.terminal else { return Ok(()) };
        let done = terminal::resemble(inside.as_fd(), callers, self.running.streams);
        done.map_err(StartRefusal::system("set the sandbox's terminal up"))
    }

    /// Lets the workload run as soon as every step is done. To be called once the start is on
    /// record, before or after [`Preparing::ready`].
    ///
    /// # Errors
    /// Init is gone.
    pub fn go(&self) -> Result<(), StartRefusal> {
        self.running.order(&Order::Go).map_err(StartRefusal::system("start the workload"))
    }

    /// The sandbox after [`Preparing::ready`] and [`Preparing::go`].
    #[must_use]
    pub fn into_running(self) -> Running {
        self.running
    }
}

impl Running {
    /// Sends the plan with the workload's ends of `pipes`. Where it has an outer part, that goes first,
    /// with the program and a pipe for what it says; the rest waits in the socket for init inside. What is
    /// there for persons alone stays here.
    fn hand_over(
        &mut self,
        plan: &Plan,
        pipes: &Pipes,
        program: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut inner = Plan { coverage: Vec::new(), ..plan.clone() };
        if inner.outer.is_some() {
            let program = program.ok_or(io::ErrorKind::NotFound)?;
            let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
            let (setup, egress) = (std::mem::take(&mut inner.setup), inner.egress.take());
            self.send_plan(&inner, &[program, theirs.as_fd()])?;
            self.said = Some(Said::new(ours));
            (inner.outer, inner.setup, inner.egress) = (None, setup, egress);
        }
        let pipes: Vec<_> = pipes.theirs().collect();
        self.send_plan(&inner, &pipes)
    }

    fn send_plan(&self, plan: &Plan, along: &[BorrowedFd<'_>]) -> io::Result<()> {
        let memory = sealed(&wire::encode(plan))?;
        let fds: Vec<_> = [memory.as_fd()].into_iter().chain(along.iter().copied()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.control, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The certificate of the session's own authority, where the plan looks into TLS.
    fn authority(&mut self, plan: &Plan) -> Result<Option<Vec<u8>>, StartRefusal> {
        let inspects = plan.egress.as_ref().is_some_and(|egress| egress.rules.inspects());
        match &mut self.gateway {
            Some(gateway) if inspects => gateway.authority().map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// What stands in for each credential of the plan, where there is one.
    fn stand_ins(&mut self, plan: &Plan) -> Result<Vec<StandIn>, StartRefusal> {
        let wanted = plan.egress.as_ref().map_or(&[][..], |egress| &egress.credentials);
        match &mut self.gateway {
            Some(gateway) if !wanted.is_empty() => gateway.stand_ins(wanted),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// Sets the limits of the group; init is in all of it.
    fn limit(&mut self) -> io::Result<()> {
        let (Some(group), Some(first)) = (&mut self.group, &self.first) else { return Ok(()) };
        group.set(&self.bounds)?;
        cgroup::enter(&group.entrances(), first.id())
    }

    /// Hears that pid 1 exists, that it is ready, and that the first process has done its part
    /// too; or what failed.
    fn built(&mut self) -> io::Result<Option<Report>> {
        if let (Some(said), Some(first)) = (&mut self.said, &self.first) {
            self.pid1 = said.child(first.id())?;
        }
        let report = loop {
            match self.receive()? {
                Some(Report::Forked { pid }) => {
                    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                    let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
                    // Our child, so the number is its own until we reap it.
                    self.pid1 = Some(pidfd_open(pid, PidfdFlags::empty())?);
                }
                Some(Report::Terminal | Report::Sockets | Report::Agent) => {}
                other => break other,
            }
        };
        let Some(Report::Ready { .. }) = report else { return Ok(report) };
        if self.said.is_some() {
            // What the first process has become waits for pid 1.
            return Ok(report);
        }
        match self.first.take().map(|mut first| first.wait()).transpose()? {
            Some(status) if status.success() => Ok(report),
            // It has said why before it ended, unless somebody killed it.
            Some(status) if status.code().is_some() => self.receive(),
            Some(_) | None => Ok(None),
        }
    }

    /// The next report; `None` when every process that holds the other end is gone. A terminal that
    /// comes along is kept, sockets are passed on to the gateway.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Report>> {
        let mut bytes = [0_u8; REPORT_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let into = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.control, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(packet) => break packet.bytes,
                // The other end went away with an order unread. This is told once, and before what
                // it had still said: that comes next.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let fds = match ancillary.drain().next() {
            Some(RecvAncillaryMessage::ScmRights(fds)) => fds.collect(),
            Some(_) | None => Vec::new(),
        };
        let report = match bytes.get(..length) {
            None | Some([]) => None,
            Some(bytes) => Some(wire::decode(bytes).map_err(io::Error::other)?),
        };
        match (&report, &self.gateway) {
            (Some(Report::Terminal), _) => self.terminal = fds.into_iter().next(),
            // A gateway that is gone says why where it is waited for.
            (Some(Report::Sockets), Some(gateway)) => {
                gateway.pass(&ToGateway::Sockets, &fds).unwrap_or(());
            }
            (Some(Report::Agent), Some(gateway)) => {
                gateway.pass(&ToGateway::Agent, &fds).unwrap_or(());
            }
            _ => {}
        }
        Ok(report)
    }

    pub(crate) fn order(&self, order: &Order) -> io::Result<()> {
        let bytes = wire::encode(order);
        let mut none = SendAncillaryBuffer::default();
        // Without waiting: a pid 1 that was stopped from outside takes no order.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.control, &[IoSlice::new(&bytes)], &mut none, flags)?;
        Ok(())
    }
}

/// A pipe of the workload's.
struct Pair {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// The workload's streams, but for those that are on a terminal.
struct Pipes {
    input: Option<Pair>,
    output: Option<Pair>,
    error: Option<Pair>,
}

impl Pipes {
    /// Pipes that belong to the workload's user: `/dev/stdout` is opened anew by name.
    fn new(streams: Streams, ids: Ids) -> io::Result<Self> {
        let make = |carrier, read: bool| -> io::Result<Option<Pair>> {
            if carrier == Carrier::Terminal {
                return Ok(None);
            }
            let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
            if !matches!(ids, Ids::Caller { .. }) {
                let (uid, gid) = ids.pair();
                rustix::fs::fchown(
                    &from,
                    Some(rustix::fs::Uid::from_raw(uid)),
                    Some(rustix::fs::Gid::from_raw(gid)),
                )?;
            }
            let (ours, theirs) = if read { (to, from) } else { (from, to) };
            // The workload can open its pipes anew, read what it wrote and write what it should
            // read, between our poll and our call. This flag belongs to our end only.
            fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
            Ok(Some(Pair { ours, theirs }))
        };
        Ok(Self {
            input: make(streams.input, true)?,
            output: make(streams.output, false)?,
            error: make(streams.error, false)?,
        })
    }

    /// The workload's ends, in the order of its streams.
    fn theirs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.input, &self.output, &self.error].into_iter().flatten().map(|p| p.theirs.as_fd())
    }
}

/// A file in memory that nobody can change any more.
pub(crate) fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("cofferdam-plan", flags)?);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}
