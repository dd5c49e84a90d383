//! A running sandbox: carries its streams, passes signals on, waits for its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use cofferdam_plan::message::{Order, Report};
use cofferdam_plan::plan::{self, Bounds};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use rustix::termios::tcgetattr;

use crate::cgroup::Group;
use crate::gateway::{Gateway, Witness};
use crate::limits::{self, Clock, Due};
use crate::outcome::Outcome;
use crate::streams::{Incoming, Outgoing, Sink, Streams};
use crate::terminal::{TAKEN_WITHIN, Terminal, settle};

/// `SIGHUP`, `SIGINT`, `SIGTERM` (`signal(7)`): they ask for the end. `SIGQUIT` does too, but is
/// also how programs are made to tell what they do (a Java thread dump), time and again.
const ENDING: [u8; 3] = [1, 2, 15];
/// `SIGHUP`, and of jobs and terminals `SIGCONT`, `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`, `SIGWINCH`.
const SIGHUP: u8 = 1;
const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;
const SIGTSTP: u8 = 20;
const SIGTTIN: u8 = 21;
const SIGTTOU: u8 = 22;
const SIGWINCH: u8 = 28;
/// How often the terminal is looked at in the background.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
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
    /// Init's first process, which ends once pid 1 exists and its own part is done.
    pub(crate) first: Option<Child>,
    pub(crate) pid1: Option<OwnedFd>,
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) error: Option<OwnedFd>,
    /// Our end of the sandbox's terminal.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) streams: plan::Streams,
    pub(crate) bounds: Bounds,
    /// Removed once every process in it is gone.
    pub(crate) group: Option<Group>,
    /// Ended when the workload is, after its last words.
    pub(crate) gateway: Option<Gateway>,
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
        carry.finish(outcome, late, clock.patience(Instant::now()))
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
            Report::Ready { .. } | Report::Forked { .. } | Report::Sockets => {}
        }
        Ok(true)
    }

    /// Ties the streams together.
    fn carry<'s>(&mut self, streams: Streams<'s>) -> io::Result<Carry<'s>> {
        let Streams { input, output, error, signals } = streams;
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
        let shown = terminal.as_ref().map(|t| Outgoing::new(shown, Sink::Descriptor(t.caller())));
        Ok(Carry {
            input: Incoming::new(typed, input),
            output: Outgoing::new(self.output.take(), output),
            error: Outgoing::new(self.error.take(), error),
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
        pidfd_send_signal(pid1, Signal::KILL)?;
        self.group.iter().for_each(Group::hasten);
        Ok(())
    }

    /// Takes pid 1's exit status; it is our child, and a zombie until then.
    fn reap(&self) {
        if let Some(pid1) = &self.pid1 {
            // ECHILD where the embedding program reaps every child itself: it is gone all the same.
            while let Err(Errno::INTR) = waitid(WaitId::PidFd(pid1.as_fd()), WaitIdOptions::EXITED)
            {
            }
        }
    }
}

/// A sandbox that nobody waits for any more is ended and reaped.
impl Drop for Running {
    fn drop(&mut self) {
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
fn ending(number: u8) -> Option<u8> {
    ENDING.contains(&number).then_some(number)
}

/// Which descriptors have something; a set of the constants below.
#[derive(Clone, Copy)]
struct Ready(u16);

impl Ready {
    const END: u16 = 1;
    const SIGNALS: u16 = 2;
    const INPUT: u16 = 4;
    const INPUT_SINK: u16 = 8;
    const OUTPUT: u16 = 16;
    const ERROR: u16 = 32;
    const SHOWN: u16 = 64;
    const GATEWAY: u16 = 128;
    const BELL: u16 = 256;

    const fn has(self, which: u16) -> bool {
        self.0 & which != 0
    }
}

/// What is carried for a sandbox.
struct Carry<'a> {
    /// The sandbox's terminal, and what is shown on it.
    terminal: Option<Terminal<'a>>,
    /// Whether the workload hears it already: Ctrl-C for nobody would be lost.
    hears: bool,
    shown: Option<Outgoing<'a>>,
    input: Incoming<'a>,
    output: Outgoing<'a>,
    error: Outgoing<'a>,
    signals: Option<BorrowedFd<'a>>,
}

impl Carry<'_> {
    /// Waits until something can be done.
    fn poll(
        &self,
        end: Option<BorrowedFd<'_>>,
        (gateway, bell): (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>),
        left: Option<Duration>,
    ) -> io::Result<Ready> {
        let places = [
            (Ready::END, end, PollFlags::IN),
            (Ready::GATEWAY, gateway, PollFlags::IN),
            (Ready::BELL, bell, PollFlags::IN),
            (Ready::SIGNALS, self.signals, PollFlags::IN),
            (Ready::INPUT, self.typed(), PollFlags::IN),
            (Ready::INPUT_SINK, self.input.sink(), self.input.sink_flags()),
            (Ready::OUTPUT, self.output.source(), PollFlags::IN),
            (Ready::OUTPUT, self.output.sink(), PollFlags::OUT),
            (Ready::ERROR, self.error.source(), PollFlags::IN),
            (Ready::ERROR, self.error.sink(), PollFlags::OUT),
            (Ready::SHOWN, self.shown.as_ref().and_then(Outgoing::source), PollFlags::IN),
            (Ready::SHOWN, self.shown.as_ref().and_then(Outgoing::sink), PollFlags::OUT),
        ];
        let present: Vec<_> =
            places.into_iter().filter_map(|(which, fd, flags)| Some((which, fd?, flags))).collect();
        let mut fds: Vec<_> =
            present.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        // In the background nothing tells that the terminal is this process's again, but a look.
        let look = self.terminal_waits().then_some(LOOK_AGAIN);
        let left = [left, look].into_iter().flatten().min();
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            // The caller asks again, with the time that is left then.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let hot = present.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Ready(hot.fold(0, |ready, ((which, ..), _)| ready | which)))
    }

    /// Where more input comes from: a terminal only while it is this process's to read.
    fn typed(&self) -> Option<BorrowedFd<'_>> {
        let readable = self.terminal.as_ref().is_none_or(Terminal::taken);
        self.input.source().filter(|_| readable && self.hears)
    }

    /// Whether the caller's terminal is gone; told once. Then the sandbox's is gone too: what is
    /// written there fails, instead of waiting for a reader.
    fn hung_up(&mut self) -> bool {
        let lost = self.shown.as_ref().is_some_and(|shown| shown.lost().is_some());
        if !(self.input.has_ended() || lost) || self.terminal.is_none() {
            return false;
        }
        (self.terminal, self.shown) = (None, None);
        self.input.close();
        true
    }

    /// Passes on what the workload wrote before it stopped, as far as that is taken at once.
    fn catch_up(&mut self) {
        let outgoing = [Some(&mut self.output), Some(&mut self.error), self.shown.as_mut()];
        let until = Instant::now() + TAKEN_WITHIN;
        outgoing.into_iter().flatten().for_each(|outgoing| outgoing.catch_up(until));
    }

    fn terminal_waits(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::waits)
    }

    /// Whether a signal is not the workload's, but tells of the terminal or the job.
    fn is_of_terminal(&self, number: u8) -> bool {
        [SIGCONT, SIGTSTP, SIGWINCH].contains(&number)
    }

    fn step(&mut self, ready: Ready) {
        if ready.has(Ready::SHOWN)
            && let Some(shown) = &mut self.shown
        {
            shown.step();
        }
        if ready.has(Ready::OUTPUT) {
            self.output.step();
        }
        if ready.has(Ready::ERROR) {
            self.error.step();
        }
        self.input.step(ready.has(Ready::INPUT), ready.has(Ready::INPUT_SINK));
    }

    /// The signal that arrived.
    fn signal(&self) -> io::Result<Option<u8>> {
        let Some(signals) = self.signals else { return Ok(None) };
        // `struct signalfd_siginfo` (`signalfd(2)`): 128 bytes, the number first.
        let mut record = [0_u8; 128];
        match read(signals, &mut record[..]) {
            Ok(128) => Ok(record.first().copied()),
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves every terminal that the workload wrote to as it was.
    fn settle(&mut self) {
        if let (Some(terminal), Some(shown)) = (&mut self.terminal, &mut self.shown) {
            if let Some((fd, screen)) = shown.screen()
                && terminal.settle(fd, screen, self.input.answered())
            {
                shown.left();
            }
            terminal.give_back();
        }
        for outgoing in [&mut self.output, &mut self.error] {
            if let Some((fd, screen)) = outgoing.screen()
                && let Ok(found) = tcgetattr(fd)
                && settle(fd, &found, screen, 0)
            {
                outgoing.left();
            }
        }
    }

    /// Passes on what is left in the pipes of a sandbox that is gone. Waits for a reader that is
    /// slow until a signal ends the wait, or `until`; who has ended the sandbox waits for nobody.
    fn finish(
        mut self,
        outcome: Outcome,
        late: Option<u8>,
        until: Option<Instant>,
    ) -> io::Result<Outcome> {
        let mut ended = late;
        self.input.close();
        self.output.gone();
        self.error.gone();
        if let Some(shown) = &mut self.shown {
            shown.gone();
        }
        let outcome = loop {
            let shown = self.shown.as_mut().is_none_or(Outgoing::finish);
            if let Some(terminal) = self.terminal.as_mut().filter(|_| !shown) {
                // Ctrl-C shall end this wait.
                terminal.give_back();
            }
            let done = [self.output.finish(), self.error.finish(), shown];
            if done == [true; 3] || matches!(outcome, Outcome::Ended(_)) {
                break outcome;
            }
            if let Some(number) = ended {
                // What went wrong matters more.
                let plain = matches!(outcome, Outcome::Exited(_) | Outcome::Signaled(_));
                break if plain { Outcome::Ended(number) } else { outcome };
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break outcome;
            }
            if self.poll(None, (None, None), left)?.has(Ready::SIGNALS) {
                ended = self.signal()?.and_then(ending);
            }
        };
        self.settle();
        let lost = |stream: &'static str, outgoing: &Outgoing<'_>| Some((stream, outgoing.lost()?));
        let lost = lost("standard output", &self.output).or(lost("standard error", &self.error));
        Ok(match lost {
            Some((stream, errno)) => {
                let (status, hits) = (outcome.status(), outcome.hits().to_vec());
                Outcome::OutputLost { stream, errno, status, hits }
            }
            None => outcome,
        })
    }
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
