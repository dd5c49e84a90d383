//! Pid 1's last job: reap, pass signals on, watch the mounts, and end with the engine.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use cofferdam_plan::message::{Order, Report};
use cofferdam_plan::plan::Guard;
use cofferdam_sys::process::{SignalSet, exit_now, kill_all_in_scope, set_blocked, signal_fd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};

use crate::broker::Denials;
use crate::control::Control;
use crate::terminal::Terminal;
use crate::watch::Watch;
use crate::{Doing, Failed};

/// `SIGCHLD` (`signal(7)`).
const SIGCHLD: i32 = 17;

/// The mounts are looked at so often where nothing wakes pid 1: a guard that the host moves with what
/// it lies on makes no event. A look takes 0.1 ms.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Children reaped before mounts and orders are looked at again: a flood of orphans must not keep
/// pid 1 from either.
const REAPED_AT_ONCE: u32 = 64;

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`: what a terminal or a person
/// sends to a group. Without a pid namespace a process of the workload may join init's group and read the
/// terminal from the background; and init itself takes the terminal from there.
const CALLERS: [i32; 7] = [1, 2, 3, 15, 20, 21, 22];

/// Keeps what is meant for the engine from init; the workload unblocks it.
pub(crate) fn block_callers_signals() -> io::Result<()> {
    set_blocked(&callers()).map(drop)
}

fn callers() -> SignalSet {
    CALLERS.into_iter().fold(SignalSet::empty(), SignalSet::with)
}

/// What pid 1 leads.
pub(crate) struct Led {
    /// The workload's first process, whose group has the same number.
    pub(crate) workload: i32,
    pub(crate) terminal: Option<Terminal>,
    /// What the broker refused and has not told yet.
    pub(crate) denials: Arc<Denials>,
    /// How its processes are ended, without a pid namespace.
    pub(crate) kin: Option<Kin>,
}

impl Led {
    /// Ends every process, this one last.
    fn end(&self, status: u8) -> ! {
        self.kin.iter().for_each(Kin::end);
        exit_now(status)
    }
}

/// The processes of a sandbox without a pid namespace: each is a child of this one as soon as its own
/// parent has ended (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`).
#[derive(Debug)]
pub(crate) struct Kin {
    /// `/proc/self/task/TID/children`.
    list: File,
    /// Whether this process's signals reach its kin alone.
    pub(crate) scoped: bool,
}

impl Kin {
    /// As often are they looked for: each time those are there whose parents were ended the last time.
    const ROUNDS: u32 = 10_000;

    pub(crate) fn adopt() -> Result<Self, Failed> {
        let doing = "adopt what is left behind";
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).doing(doing)?;
        let own = rustix::thread::gettid().as_raw_nonzero();
        let list = File::open(format!("/proc/self/task/{own}/children")).doing(doing)?;
        Ok(Self { list, scoped: false })
    }

    /// Kills all of them, until there is none.
    fn end(&self) {
        for _ in 0..Self::ROUNDS {
            if self.scoped {
                kill_all_in_scope().unwrap_or(());
            } else {
                self.kill_children();
            }
            if matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {
                return;
            }
        }
    }

    /// Those that a page of the list has; the others have their turn.
    fn kill_children(&self) {
        let mut text = [0; 4096];
        let length = rustix::io::pread(&self.list, &mut text, 0).unwrap_or(0);
        let text = str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default();
        // A number that is cut at the end of the page has no space behind it.
        let whole = text.rsplit_once(' ').map_or("", |(whole, _)| whole);
        for pid in whole.split(' ').filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            kill_process(pid, Signal::KILL).unwrap_or(());
        }
    }
}

/// Makes ended and stopped children readable on a descriptor. The caller's stay blocked: in init's
/// group, which nobody could continue, the workload would lose a `SIGTSTP`.
pub(crate) fn block_signals() -> io::Result<OwnedFd> {
    set_blocked(&callers().with(SIGCHLD))?;
    signal_fd(&SignalSet::empty().with(SIGCHLD))
}

/// Ends when the workload ends, when a guarding mount falls, or when the engine is gone. The end
/// of pid 1 is the end of every process in the sandbox (`pid_namespaces(7)`).
pub(crate) fn reap(
    control: &Control,
    signals: &OwnedFd,
    watch: Watch,
    led: &Led,
) -> Result<(), Failed> {
    let failed = follow(control, signals, watch, led);
    led.kin.iter().for_each(Kin::end);
    failed
}

fn follow(control: &Control, signals: &OwnedFd, mut watch: Watch, led: &Led) -> Result<(), Failed> {
    // A guard that fell since it was put up is missing here; later ones wake the poll.
    let fallen = watch.begin().doing("read the mounts")?;
    tell_fallen(control, fallen);
    // Whether more children may have ended than were reaped.
    let mut more = false;
    let mut looked = Instant::now();
    loop {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::from_borrowed_fd(control.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(watch.fd(), PollFlags::PRI),
        ];
        match poll(&mut fds, Some(if more { &at_once } else { &LOOK_EVERY })) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).doing("wait for events"),
        }
        let [ended, orders, mounts] = fds.map(|fd| !fd.revents().is_empty());
        // A fallen guard first: the workload must not run on while its last child is reaped.
        if mounts || looked.elapsed().as_secs() >= 1 {
            looked = Instant::now();
            led.denials.tell();
            let fallen = watch.fallen().doing("read the mounts")?;
            tell_fallen(control, fallen);
        }
        if orders {
            obey(control, led)?;
        }
        if ended {
            let mut pending = [0_u8; 128];
            // Which child it was is told by wait; the descriptor only has to be emptied.
            rustix::io::read(signals.as_fd(), &mut pending[..]).unwrap_or(0);
        }
        if ended || more {
            more = reap_ended(control, led)?;
        }
    }
}

fn tell_fallen(control: &Control, fallen: Vec<(PathBuf, Guard)>) {
    let kills = fallen.iter().any(|(_, guard)| *guard == Guard::Kill);
    for (path, guard) in fallen {
        let report = Report::Fell { path, kills: guard == Guard::Kill };
        // Without waiting: a full socket must not put the end off.
        drop(control.send_at_once(&report));
    }
    if kills {
        exit_now(137);
    }
}

fn obey(control: &Control, led: &Led) -> Result<(), Failed> {
    let group = Pid::from_raw(led.workload);
    match control.receive().doing("read an order")? {
        Some(Order::Signal { number }) => {
            let signal = Signal::from_named_raw(number.into());
            if let (Some(signal), Some(group)) = (signal, group) {
                // It may not have made its group yet, or have ended a moment ago.
                let sent = kill_process_group(group, signal);
                sent.or_else(|_| kill_process(group, signal)).unwrap_or(());
            }
            Ok(())
        }
        Some(Order::Foreground) => {
            if let (Some(terminal), Some(group)) = (&led.terminal, group) {
                terminal.hand_to(group);
            }
            Ok(())
        }
        Some(Order::Go) => Ok(()),
        None => led.end(137),
    }
}

/// Reaps; `true` where there may be more.
fn reap_ended(control: &Control, led: &Led) -> Result<bool, Failed> {
    for _ in 0..REAPED_AT_ONCE {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == led.workload => {
                match status.stopping_signal() {
                    // Without waiting: it goes on when the engine says so.
                    Some(signal) => {
                        drop(control.send_at_once(&Report::Stopped { signal: small(signal) }));
                    }
                    None => {
                        led.denials.tell_all();
                        control.send(&exited(status)).doing("report the end")?;
                        led.end(0)
                    }
                }
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(false),
            Err(error) => return Err(error).doing("reap"),
        }
    }
    Ok(true)
}

/// The end of a byte: statuses and signals have no more.
fn small(number: i32) -> u8 {
    u8::try_from(number & 0xFF).unwrap_or(u8::MAX)
}

fn exited(status: WaitStatus) -> Report {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Report::Exited { status: small(code), signal: 0 },
        (None, Some(signal)) => {
            Report::Exited { status: 128 | small(signal), signal: small(signal) }
        }
        (None, None) => Report::Exited { status: 125, signal: 0 },
    }
}
