//! `cofferdam-init`: obeys the Plan, becomes pid 1 of the sandbox, and starts the workload.
//!
//! Decides nothing: orders and reports go over descriptor 1 (a socketpair with the engine), and the
//! Plan arrives there as data, in a sealed memfd. It reads no policy text, no environment
//! and no configuration, has one thread, and carries no secret. When the engine goes away it goes
//! away, and the kernel kills the rest of the pid namespace with it.
#![cfg(target_os = "linux")]

mod broker;
mod confine;
mod control;
mod network;
mod outer;
mod reap;
mod steps;
mod terminal;
mod view;
mod watch;
mod workload;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use cofferdam_plan::message::{Order, Report};
use cofferdam_plan::plan::{Carrier, Plan, Step};
use cofferdam_plan::{BUILD, wire};
use cofferdam_sys::process::exit_now;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::control::Control;
use crate::steps::Stage;
use crate::terminal::Terminal;

/// A plan is far smaller; a larger file is not from our engine. Bytes.
const PLAN_BYTES_MAX: u64 = 16 << 20;
/// Room for an ordinary plan: it comes with one read. Bytes.
const PLAN_BYTES: usize = 32 << 10;

/// What went wrong while a step was obeyed.
#[derive(Debug)]
pub(crate) struct Failed {
    doing: String,
    errno: i32,
}

impl Failed {
    pub(crate) fn new(doing: impl fmt::Display, error: &io::Error) -> Self {
        Self { doing: doing.to_string(), errno: error.raw_os_error().unwrap_or(0) }
    }
}

/// Adds what was being done to an error.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failed> {
        self.map_err(|error| Failed::new(what, &error.into()))
    }
}

/// The whole program. Comes back never: it ends as pid 1, as the workload, or on a failure that
/// the engine has been told.
pub fn main() -> ! {
    // What the caller left open is nobody's inside. The first three are ours, and nothing else is open.
    let closed = cofferdam_sys::process::close_from(3).doing("close what was left open");
    let control = Control::from_stdout();
    let mut at = 0;
    if let Err(failed) = closed.and_then(|()| run(&control, &mut at)) {
        let report = Report::Failed { step: at, doing: failed.doing, errno: failed.errno };
        // The engine may be gone; then nobody is left to tell.
        drop(control.send(&report));
    }
    exit_now(125)
}

fn run(control: &Control, at: &mut u32) -> Result<(), Failed> {
    // It is in the caller's group, where Ctrl-C and a closed window are the engine's to hear.
    reap::block_callers_signals().doing("block signals")?;
    // From the first moment on: another process of this user must not trace the set-up.
    confine::set_dumpable(rustix::process::DumpableBehavior::NotDumpable)
        .doing("switch core dumps and tracing off")?;
    // It was started in the caller's directory, which it has no business in.
    rustix::process::chdir("/").doing("leave the caller's directory")?;
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    let given = control.receive_given().doing("receive the plan and the workload's streams")?;
    let plan = read_plan(given.plan)?;
    let mut stage = Stage::new(control);
    if let Some(outer) = &plan.outer {
        // No step of `setup`, which is for the init inside.
        *at = u32::MAX;
        return outer::become_program(outer, stage, given.pipes, umask);
    }
    for step in &plan.setup {
        stage.perform(step)?;
        *at += 1;
    }
    let (kin, terminal) = (stage.kin.take(), stage.terminal.take());
    let watch = stage.into_watch().doing("read the mounts")?;
    let streams = plan.workload.streams;
    let inner = streams.has_terminal() && terminal.is_none();
    let inner = inner.then(|| Terminal::make(control, "/dev/pts/ptmx")).transpose()?;
    let terminal = terminal.or(inner);
    let stdio = connect(streams.each(), given.pipes, terminal.as_ref())?;
    // Here, so that `plan` finds out as well; the workload inherits it.
    let directory = &plan.workload.directory;
    rustix::process::chdir(directory).doing(format_args!("enter {}", directory.display()))?;
    control
        .send(&Report::Ready { build: BUILD.into(), watched: watch.len() })
        .doing("report to the engine")?;
    match control.receive().doing("wait for the engine")? {
        Some(Order::Go) => {}
        // The engine is gone, or changed its mind: nothing of the workload has run.
        Some(Order::Signal { .. } | Order::Foreground) | None => exit_now(125),
    }
    start(&plan, control, Connected { stdio, terminal, umask }, (watch, kin))
}

/// What the workload begins with.
pub(crate) struct Connected {
    pub(crate) stdio: [OwnedFd; 3],
    pub(crate) terminal: Option<Terminal>,
    pub(crate) umask: rustix::fs::Mode,
}

/// A descriptor for each stream: the next pipe, or the terminal.
fn connect(
    carriers: [Carrier; 3],
    pipes: Vec<OwnedFd>,
    terminal: Option<&Terminal>,
) -> Result<[OwnedFd; 3], Failed> {
    let missing = || Failed { doing: "connect a stream that was not given".into(), errno: 0 };
    let mut pipes = pipes.into_iter();
    let mut connect = |carrier| match carrier {
        Carrier::Pipe => pipes.next().ok_or_else(missing),
        Carrier::Terminal => terminal.ok_or_else(missing)?.stream(),
    };
    let [input, output, error] = carriers;
    Ok([connect(input)?, connect(output)?, connect(error)?])
}

/// Forks the workload and becomes its reaper.
fn start(
    plan: &Plan,
    control: &Control,
    connected: Connected,
    (watch, kin): (watch::Watch, Option<reap::Kin>),
) -> Result<(), Failed> {
    let signals = reap::block_signals().doing("block SIGCHLD")?;
    if let Some(terminal) = &connected.terminal {
        terminal.lead()?;
    }
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (from, to) = pair.doing("make a socket for the broker")?;
    match cofferdam_sys::process::fork(cofferdam_sys::process::Kin::Child)
        .doing("fork the workload")?
    {
        cofferdam_sys::process::Forked::Child => {
            drop((signals, watch, kin, from));
            workload::become_workload(plan, control, connected, &to)
        }
        cofferdam_sys::process::Forked::Parent(pid) => {
            drop(to);
            // The terminal stays open here: without a process of the workload's that has it open, its
            // other end would tell of an end again and again.
            let Connected { stdio, terminal, .. } = connected;
            drop(stdio);
            let denials = broker::Denials::new(control.share().doing("share the control socket")?);
            answer(plan, from, &denials)?;
            for step in &plan.setup {
                if let Step::InitSeccomp { program } = step {
                    cofferdam_sys::seccomp::set_filter(program).doing("filter init's own calls")?;
                }
            }
            reap::reap(
                control,
                &signals,
                watch,
                &reap::Led { workload: pid, terminal, denials, kin },
            )
        }
    }
}

/// Takes the descriptor on which the workload's calls arrive, and starts the broker.
fn answer(plan: &Plan, from: OwnedFd, denials: &Arc<broker::Denials>) -> Result<(), Failed> {
    for step in &plan.setup {
        if let Step::Broker { program, threads } = step {
            // While the child gets ready.
            let place = broker::Broker::start(program, *threads)?;
            match steps::receive_descriptor(&from) {
                Ok(listener) => {
                    drop(place.set(broker::Broker::new(listener, plan, Arc::clone(denials))?));
                    // A child that is gone has nothing to wait for.
                    rustix::io::write(&from, &[1]).unwrap_or(0);
                }
                // The child has failed before, and tells why itself.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error).doing("take the workload's calls"),
            }
        }
    }
    Ok(())
}

fn read_plan(from: OwnedFd) -> Result<Plan, Failed> {
    let mut bytes = Vec::with_capacity(PLAN_BYTES);
    File::from(from).take(PLAN_BYTES_MAX).read_to_end(&mut bytes).doing("read the plan")?;
    let other =
        || Failed { doing: "read a plan of this build: reinstall cofferdam".into(), errno: 0 };
    // The build comes first, so that a plan of another build is told from a damaged one.
    let plan: Plan = wire::decode(&bytes).map_err(|_| other())?;
    if plan.build == BUILD { Ok(plan) } else { Err(other()) }
}
