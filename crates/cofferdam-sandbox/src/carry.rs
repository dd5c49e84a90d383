//! What is carried for a sandbox that runs: its streams, its terminal, and the signals that came for it.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::tcgetattr;

use crate::gateway::Witness;
use crate::monitor::{SIGCONT, SIGTSTP, SIGWINCH, ending};
use crate::outcome::Outcome;
use crate::streams::{Incoming, Outgoing};
use crate::terminal::{TAKEN_WITHIN, Terminal, settle};

/// How often the terminal is looked at in the background.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Which descriptors have something; a set of the constants below.
#[derive(Clone, Copy)]
pub(crate) struct Ready(u16);

impl Ready {
    pub(crate) const END: u16 = 1;
    pub(crate) const SIGNALS: u16 = 2;
    pub(crate) const INPUT: u16 = 4;
    pub(crate) const INPUT_SINK: u16 = 8;
    pub(crate) const OUTPUT: u16 = 16;
    pub(crate) const ERROR: u16 = 32;
    pub(crate) const SHOWN: u16 = 64;
    pub(crate) const GATEWAY: u16 = 128;
    pub(crate) const BELL: u16 = 256;

    pub(crate) const fn has(self, which: u16) -> bool {
        self.0 & which != 0
    }
}

/// What is carried for a sandbox.
pub(crate) struct Carry<'a> {
    /// The sandbox's terminal, and what is shown on it.
    pub(crate) terminal: Option<Terminal<'a>>,
    /// Whether the workload hears it already: Ctrl-C for nobody would be lost.
    pub(crate) hears: bool,
    pub(crate) shown: Option<Outgoing<'a>>,
    pub(crate) input: Incoming<'a>,
    pub(crate) output: Outgoing<'a>,
    pub(crate) error: Outgoing<'a>,
    pub(crate) signals: Option<BorrowedFd<'a>>,
}

impl Carry<'_> {
    /// Waits until something can be done.
    pub(crate) fn poll(
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
        let rest = self.outgoing().filter_map(Outgoing::due).min();
        let rest = rest.map(|due| due.saturating_duration_since(Instant::now()));
        let left = [left, look, rest].into_iter().flatten().min();
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            // The caller asks again, with the time that is left then.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let hot = present.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Ready(hot.fold(0, |ready, ((which, ..), _)| ready | which)))
    }

    fn outgoing(&self) -> impl Iterator<Item = &Outgoing<'_>> {
        [Some(&self.output), Some(&self.error), self.shown.as_ref()].into_iter().flatten()
    }

    /// Tells of what was masked.
    pub(crate) fn tell(&mut self, witness: &mut dyn Witness) {
        let outgoing = [Some(&mut self.output), Some(&mut self.error), self.shown.as_mut()];
        let leaks = outgoing.into_iter().flatten().flat_map(Outgoing::leaks);
        leaks.for_each(|leak| witness.leaks(leak));
    }

    /// The same at the end of all streams, and what else was kept from their readers.
    pub(crate) fn tell_all(&mut self, witness: &mut dyn Witness) {
        self.tell(witness);
        let kept: Vec<_> = self.outgoing().filter_map(Outgoing::kept).collect();
        kept.into_iter().for_each(|(stream, kept)| witness.kept(stream, kept));
    }

    /// Where more input comes from: a terminal only while it is this process's to read.
    fn typed(&self) -> Option<BorrowedFd<'_>> {
        let readable = self.terminal.as_ref().is_none_or(Terminal::taken);
        self.input.source().filter(|_| readable && self.hears)
    }

    /// Whether the caller's terminal is gone; told once. Then the sandbox's is gone too: what is
    /// written there fails, instead of waiting for a reader.
    pub(crate) fn hung_up(&mut self) -> bool {
        let lost = self.shown.as_ref().is_some_and(|shown| shown.lost().is_some());
        if !(self.input.has_ended() || lost) || self.terminal.is_none() {
            return false;
        }
        (self.terminal, self.shown) = (None, None);
        self.input.close();
        true
    }

    /// Passes on what the workload wrote before it stopped, as far as that is taken at once.
    pub(crate) fn catch_up(&mut self) {
        let outgoing = [Some(&mut self.output), Some(&mut self.error), self.shown.as_mut()];
        let until = Instant::now() + TAKEN_WITHIN;
        outgoing.into_iter().flatten().for_each(|outgoing| outgoing.catch_up(until));
    }

    fn terminal_waits(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::waits)
    }

    /// Whether a signal is not the workload's, but tells of the terminal or the job.
    pub(crate) fn is_of_terminal(&self, number: u8) -> bool {
        [SIGCONT, SIGTSTP, SIGWINCH].contains(&number)
    }

    pub(crate) fn step(&mut self, ready: Ready) {
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
        let outgoing = [Some(&mut self.output), Some(&mut self.error), self.shown.as_mut()];
        for outgoing in outgoing.into_iter().flatten() {
            if outgoing.due().is_some_and(|due| due <= Instant::now()) {
                outgoing.pause();
            }
        }
    }

    /// The signal that arrived.
    pub(crate) fn signal(&self) -> io::Result<Option<u8>> {
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
    pub(crate) fn settle(&mut self) {
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
    pub(crate) fn finish(
        &mut self,
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
