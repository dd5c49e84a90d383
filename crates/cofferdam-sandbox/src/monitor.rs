//! A running sandbox: carries its streams, passes signals on, waits for its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use cofferdam_plan::message::{Order, Report};
use cofferdam_plan::plan::{self, Bounds};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use crate::bubblewrap::Said;
use crate::carry::{Carry, Ready};
use crate::cgroup::Group;
use crate::controls::{Rules, Stream};
use crate::gateway::{Gateway, Witness};
use crate::limits::{self, Clock, Due};
use crate::outcome::Outcome;
use crate::streams::{Incoming, Outgoing, Sink, Streams};
use crate::terminal::Terminal;

/// `SIGHUP`, `SIGINT`, `SIGTERM` (`signal(7)`): they ask for the end. `SIGQUIT` does too, but is
/// also how programs are made to tell what they do (a Java thread dump), time and again.
const ENDING: [u8; 3] = [1, 2, 15];
/// `SIGHUP`, and of jobs and terminals `SIGCONT`, `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`, `SIGWINCH`.
const SIGHUP: u8 = 1;
pub(crate) const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;
pub(crate) const SIGTSTP: u8 = 20;
const SIGTTIN: u8 = 21;
const SIGTTOU: u8 = 22;
pub(crate) const SIGWINCH: u8 = 28;
/// `SIGTERM`, for a command whose time is over.
const SIGTERM: u8 = 15;
/// Who asks again so soon is not content with the workload's answer.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// And who asks twice at once asked once: `timeout(1)` signals the process and then its group.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A sandbox whose workload runs.
#[derive(Debug)]
pub struct Running {
    pub(crate) control: OwnedFd,
    /// Init's first process, which ends once pid 1 exists and its own part is done; with an outer part,
    /// what it has become, which ends with pid 1.
    pub(crate) first: Option<Child>,
    pub(crate) pid1: Option<OwnedFd>,
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) error: Option<OwnedFd>,
    /// Our end of the sandbox's terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) streams: plan::Streams,
    pub(crate) bounds: Bounds,
    /// Whether its processes are in the host's own pid namespace.
    pub(crate) shared: bool,
    /// What becomes of what it writes.
    pub(crate) shows: plan::Output,
    /// Removed once every process in it is gone.
    pub(crate) group: Option<Group>,
    /// Ended when the workload is, after its last words.
    pub(crate) gateway: Option<Gateway>,
    /// What the program of an outer part says, where the plan has one.
    pub(crate) said: Option<Said>,
}

impl Running {
    /// Carries the streams until the sandbox is gone and what it wrote is passed on, and tells
    /// `witness` of every mount that fell and of every connection.
    ///
    /// # Errors
    /// `poll(2)` or the socket failed, which leaves nothing to wait for: the sandbox is ended.
    pub fn wait(mut self, streams: Streams<'_>, witness: &mut dyn Witness) -> io::Result<Outcome> {
        let mut carry = self.carry(streams)?;
        let mut outcome = None;
        let mut asked = Asked::default();
        // Asked for when nobody was left who could have heard it.
        let mut late = None;
        let mut stage = Stage::Reports;
        let mut clock = Clock::start(&self.bounds, Instant::now());
        // Who has no signals is never stopped with the workload.
        let _wakes =
            carry.signals.and_then(|_| clock.wakes(Instant::now()).transpose()).transpose()?;
        if let Some(gateway) = &mut self.gateway {
            gateway.open(witness);
        }
        while stage != Stage::Gone {
            let heard = self.gateway.as_ref().and_then(Gateway::socket);
            let way = (heard, witness.bell());
            let ready = carry.poll(self.end(stage), way, clock.left(Instant::now()))?;
            if let Some(gateway) = &mut self.gateway {
                if ready.has(Ready::GATEWAY) {
                    gateway.hear(witness);
                }
                // What was heard may be answered at once.
                if ready.has(Ready::BELL | Ready::GATEWAY) {
                    gateway.tell(witness);
                }
            }
            if let Some(terminal) = carry.terminal.as_mut().filter(|terminal| terminal.waits()) {
                terminal.take();
            }
            match clock.due(Instant::now()) {
                None => {}
                // Either may have ended a moment ago.
                Some(Due::Ask) => drop(self.order(&Order::Signal { number: SIGTERM })),
                Some(Due::Kill) => drop(self.kill()),
            }
            if ready.has(Ready::SIGNALS)
                && let Some(number) = carry.signal()?
            {
                match stage {
                    Stage::Reports if carry.is_of_terminal(number) => {
                        self.obey_terminal(number, &mut carry);
                    }
                    Stage::Reports => self.pass_signal(number, &mut asked, &mut outcome),
                    Stage::Ends | Stage::Gone => late = late.or(ending(number)),
                }
            }
            if ready.has(Ready::END) {
                stage = match stage {
                    Stage::Reports if self.hear(&mut outcome, witness, &mut carry)? => {
                        Stage::Reports
                    }
                    Stage::Reports if self.pid1.is_some() => {
                        self.group.iter().for_each(Group::hasten);
                        Stage::Ends
                    }
                    Stage::Reports | Stage::Ends | Stage::Gone => Stage::Gone,
                };
            }
            carry.step(ready);
            carry.tell(witness);
            if carry.hung_up() {
                // The sandbox's terminal went with the caller's.
                drop(self.order(&Order::Signal { number: SIGHUP }));
            }
        }
        self.reap();
        if let Some(gateway) = self.gateway.take() {
            gateway.finish(witness);
        }
        let outcome = outcome.unwrap_or(Outcome::Lost);
        let used = self.group.as_ref().map(Group::used).unwrap_or_default();
        let outcome = limits::judged(outcome, &self.bounds, &clock, &used);
        let outcome = carry.finish(outcome, late, clock.patience(Instant::now()));
        carry.tell_all(witness);
        outcome
    }

    /// What tells that this stage is over. The socket ends a moment before the last processes do,
    /// and these may still write.
    fn end(&self, stage: Stage) -> Option<BorrowedFd<'_>> {
        match stage {
            Stage::Reports => Some(self.control.as_fd()),
            Stage::Ends | Stage::Gone => self.pid1.as_ref().map(AsFd::as_fd),
        }
    }

    /// One report. `false` when there will be no more.
    fn hear(
        &mut self,
        outcome: &mut Option<Outcome>,
        witness: &mut dyn Witness,
        carry: &mut Carry<'_>,
    ) -> io::Result<bool> {
        let Some(report) = self.receive()? else { return Ok(false) };
        match report {
            Report::Fell { path, kills } => {
                witness.fell(&path, kills);
                if kills && outcome.is_none() {
                    *outcome = Some(Outcome::Killed { fallen: path });
                }
            }
            Report::Denied(denied) => witness.denied(*denied),
            Report::NotStarted { errno } => *outcome = Some(Outcome::NotStarted(errno)),
            Report::Failed { doing, errno, .. } => {
                *outcome = Some(Outcome::Failed { doing, errno });
            }
            Report::Exited { status, signal } => {
                outcome.get_or_insert(match signal {
                    0 => Outcome::Exited(status),
                    signal => Outcome::Signaled(signal),
                });
            }
            Report::Stopped { signal } => self.stopped(signal, carry),
            Report::Terminal => carry.hears = true,
            Report::Ready { .. } | Report::Forked { .. } | Report::Sockets | Report::Agent => {}
        }
        Ok(true)
    }

    /// Ties the streams together.
    fn carry<'s>(&mut self, streams: Streams<'s>) -> io::Result<Carry<'s>> {
        let Streams { input, output, error, signals, masks } = streams;
        let rules = Rules::new(&self.shows, masks);
        let tie = |(inside, fd)| Terminal::tie(fd, inside, self.streams);
        let mut terminal = self.terminal.take().zip(input).map(tie).transpose()?;
        let (mut typed, mut shown) = (self.input.take(), None);
        if let Some(terminal) = &mut terminal {
            let inside = || terminal.inside().try_clone_to_owned();
            (typed, shown) = (Some(inside()?), Some(inside()?));
            for end in typed.iter().chain(&shown) {
                fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
            }
            terminal.take();
        }
        let shown = terminal.as_ref().map(|terminal| {
            let caller = Sink::Descriptor(terminal.caller());
            Outgoing::new(shown, caller, (Stream::Terminal, &rules))
        });
        Ok(Carry {
            input: Incoming::new(typed, input),
            output: Outgoing::new(self.output.take(), output, (Stream::Output, &rules)),
            error: Outgoing::new(self.error.take(), error, (Stream::Error, &rules)),
            shown,
            hears: terminal.is_none(),
            terminal,
            signals,
        })
    }

    /// The workload was stopped: by Ctrl-Z, or because it wants what is typed. Who has no signals to
    /// hear of a continuation does not stop either, and with a terminal nor does the workload: nobody
    /// inside would continue it.
    fn stopped(&self, signal: u8, carry: &mut Carry<'_>) {
        let asks = signal == SIGTTIN || signal == SIGTTOU;
        if asks && carry.terminal.as_mut().is_some_and(Terminal::want) {
            if let Some(terminal) = &mut carry.terminal {
                terminal.take();
            }
            return drop(self.order(&Order::Foreground));
        }
        match (carry.signals, &carry.terminal) {
            (Some(_), terminal) => {
                let group = terminal.as_ref().is_some_and(Terminal::taken);
                // Whoever reads the terminal meanwhile gets neither answers nor modes.
                carry.catch_up();
                carry.settle();
                Terminal::stop(group);
                self.go_on(carry);
            }
            (None, Some(_)) => self.go_on(carry),
            (None, None) => {}
        }
    }

    /// Takes the terminal again and lets the workload go on.
    fn go_on(&self, carry: &mut Carry<'_>) {
        if let Some(terminal) = &mut carry.terminal {
            terminal.take();
            terminal.resize();
        }
        // It may have ended a moment ago.
        drop(self.order(&Order::Signal { number: SIGCONT }));
    }

    /// A signal that tells of the terminal, or of the job that this process is.
    fn obey_terminal(&self, number: u8, carry: &mut Carry<'_>) {
        match (number, &carry.terminal) {
            (SIGCONT, _) => self.go_on(carry),
            (SIGWINCH, Some(terminal)) => terminal.resize(),
            // Without a terminal the workload's group is one that the kernel does not stop otherwise.
            (SIGTSTP, None) => drop(self.order(&Order::Signal { number: SIGSTOP })),
            (SIGTSTP, Some(_)) => drop(self.order(&Order::Signal { number })),
            _ => {}
        }
    }

    /// Passes a signal on; one that asks for the end again ends the sandbox.
    fn pass_signal(&self, number: u8, asked: &mut Asked, outcome: &mut Option<Outcome>) {
        if asked.again(number, Instant::now()) {
            // Gone already is as good.
            drop(self.kill());
            outcome.get_or_insert(Outcome::Ended(number));
        } else {
            // Init may have ended a moment ago; its last report is on its way then.
            drop(self.order(&Order::Signal { number }));
        }
    }

    /// Ends every process of the sandbox at once.
    ///
    /// # Errors
    /// `ESRCH`: it is gone already.
    pub fn kill(&self) -> io::Result<()> {
        let Some(pid1) = &self.pid1 else { return Ok(()) };
        if self.shared {
            self.ask_init(pid1);
        }
        pidfd_send_signal(pid1, Signal::KILL)?;
        self.group.iter().for_each(Group::hasten);
        Ok(())
    }

    /// Without a pid namespace init ends the others, and does so when nobody is at its socket's other end; one
    /// that does not is killed all the same.
    fn ask_init(&self, init: &OwnedFd) {
        /// More than to kill a few thousand processes takes.
        const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
        rustix::net::shutdown(&self.control, rustix::net::Shutdown::Write).unwrap_or(());
        // Whatever comes of it, a signal to this process among it, the caller kills.
        poll(&mut [PollFd::new(init, PollFlags::IN)], Some(&PATIENCE)).unwrap_or(0);
    }

    /// Takes pid 1's exit status; it is our child, and a zombie until then.
    fn reap(&mut self) {
        if let Some(pid1) = &self.pid1 {
            // ECHILD where the embedding program reaps every child itself: it is gone all the same.
            while let Err(Errno::INTR) = waitid(WaitId::PidFd(pid1.as_fd()), WaitIdOptions::EXITED)
            {
            }
            // Init ends them before it ends, but not where it was killed or failed itself.
            if self.shared {
                self.group.iter().for_each(Group::kill);
            }
        }
        self.reap_first();
    }
}

impl Running {
    /// Ends and reaps what waits outside for a pid 1 that is gone.
    fn reap_first(&mut self) {
        if let Some(mut first) = self.first.take() {
            drop(first.kill());
            drop(first.wait());
        }
    }
}

/// A sandbox that nobody waits for any more is ended and reaped.
impl Drop for Running {
    fn drop(&mut self) {
        if self.said.is_some() && self.pid1.is_some() {
            drop(self.kill());
            self.reap();
            return;
        }
        // A start that was given up: the end of the socket ends init's processes by themselves.
        if let Some(mut first) = self.first.take() {
            rustix::net::shutdown(&self.control, rustix::net::Shutdown::Write).unwrap_or(());
            // It has told of pid 1, if there is one, before it ends.
            drop(first.wait());
            if self.pid1.is_none()
                && let Ok(Some(Report::Forked { pid })) = self.receive()
            {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                self.pid1 = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            }
        }
        if self.kill().is_ok() {
            self.reap();
        }
    }
}

/// How far a sandbox has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Init reports.
    Reports,
    /// Init has said all; its processes are being ended.
    Ends,
    /// No process of it is left.
    Gone,
}

/// When each of [`ENDING`] came last.
#[derive(Debug, Default)]
struct Asked([Option<Instant>; ENDING.len()]);

impl Asked {
    /// Whether this signal asks for the end, and did so shortly before `now` too.
    fn again(&mut self, number: u8, now: Instant) -> bool {
        let place = ENDING.iter().zip(&mut self.0).find(|(signal, _)| **signal == number);
        let before = place.and_then(|(_, last)| last.replace(now));
        let since = before.map(|before| now.saturating_duration_since(before));
        since.is_some_and(|since| (AGAIN_AFTER..=AGAIN_WITHIN).contains(&since))
    }
}

/// The signal, where it is one that asks for the end.
pub(crate) fn ending(number: u8) -> Option<u8> {
    ENDING.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_signal_soon_again_ends() {
        for (signals, want, why) in [
            (&[(0, 15)][..], false, "once"),
            (&[(0, 15), (1, 15)], true, "twice"),
            (&[(0, 1), (2, 1)], true, "twice, at the limit"),
            (&[(0, 2), (3, 2)], false, "asked anew later"),
            (&[(0, 2), (3, 2), (4, 2)], true, "and that again"),
            (&[(0, 2), (1, 15)], false, "another: a supervisor follows a person"),
            (&[(0, 15), (1, 2), (2, 15)], true, "with another between"),
            (&[(0, 3), (0, 3), (0, 3)], false, "SIGQUIT as often as you like"),
        ] {
            check(signals.iter().map(|(secs, signal)| (secs * 1_000, *signal)), want, why);
        }
        // Milliseconds: timeout(1) signals the process and then its group.
        for (signals, want, why) in [
            (&[(0, 15), (0, 15)][..], false, "twice at once is once"),
            (&[(0, 15), (49, 15)], false, "nor does a person press so fast"),
            (&[(0, 15), (50, 15)], true, "twice"),
            (&[(0, 15), (1, 15), (400, 15), (401, 15)], false, "the last of two pairs"),
            (&[(0, 15), (1, 15), (400, 15)], true, "and what it makes of the second"),
        ] {
            check(signals.iter().copied(), want, why);
        }
    }

    /// What the last of `signals`, each with its milliseconds, means.
    #[track_caller]
    fn check(signals: impl Iterator<Item = (u64, u8)>, want: bool, why: &str) {
        let begin = Instant::now();
        let mut asked = Asked::default();
        let again = |(at, signal)| asked.again(signal, begin + Duration::from_millis(at));
        assert_eq!(signals.map(again).last(), Some(want), "{why}");
    }
}
