//! A running sandbox: carries its streams, passes signals on, waits for its end.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Child;

use cofferdam_plan::message::{Order, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

/// As much as a pipe takes at once by default. Bytes.
const CHUNK: usize = 64 << 10;

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
}

/// Where the workload's streams come from and go to.
pub struct Streams<'a> {
    /// What the workload reads; `None` is an empty input.
    pub input: Option<BorrowedFd<'a>>,
    /// Takes what it writes to standard output.
    pub output: &'a mut dyn Write,
    /// Takes what it writes to standard error.
    pub error: &'a mut dyn Write,
    /// A `signalfd(2)`: what arrives there goes to the workload; a second termination signal ends
    /// the sandbox.
    pub signals: Option<BorrowedFd<'a>>,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Streams(..)")
    }
}

/// How the workload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with this status.
    Exited(u8),
    /// A signal ended it.
    Signaled(u8),
    /// The program could not be started: `errno(3)`.
    NotStarted(i32),
    /// A guarding mount fell, and the workload was killed for it.
    Killed {
        /// The mount.
        fallen: PathBuf,
    },
    /// The person ended the sandbox with a second signal.
    Ended(u8),
    /// A step after the start failed; the workload did not run.
    Failed {
        /// What init was doing.
        doing: String,
        /// `errno(3)`.
        errno: i32,
    },
    /// What it wrote could not be passed on (a full disk): whatever it ended with, a part is lost.
    OutputLost {
        /// `standard output` or `standard error`.
        stream: &'static str,
        /// `errno(3)`.
        errno: i32,
        /// The status it ended with itself.
        status: u8,
    },
    /// Init went away without a word: killed from outside.
    Lost,
}

impl Outcome {
    /// The exit status, as `env(1)` and container tools give it.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Exited(status) => *status,
            Self::Signaled(signal) | Self::Ended(signal) => 128 | *signal,
            Self::NotStarted(2) => 127,
            Self::NotStarted(_) => 126,
            Self::Killed { .. } => 137,
            Self::Failed { .. } | Self::OutputLost { .. } | Self::Lost => 125,
        }
    }
}

impl Running {
    /// Carries the streams until the sandbox is gone, and tells `fell` of every mount that fell.
    ///
    /// # Errors
    /// `poll(2)` or the socket failed, which leaves nothing to wait for: the sandbox is ended.
    pub fn wait(
        mut self,
        mut streams: Streams<'_>,
        fell: &mut dyn FnMut(&PathBuf, bool),
    ) -> io::Result<Outcome> {
        if let Some(input) = &self.input {
            fcntl_setfl(input, fcntl_getfl(input)? | OFlags::NONBLOCK)?;
        }
        if streams.input.is_none() {
            self.input = None;
        }
        let buffer = vec![0; CHUNK];
        let mut carry = Carry { pending: Vec::new(), buffer, asked: 0, lost: None };
        let mut outcome = None;
        let mut open = true;
        while open || self.output.is_some() || self.error.is_some() {
            let ready = self.poll(&streams, &carry, open)?;
            if ready.has(Ready::SIGNALS)
                && let Some(ended) = carry.pass_signal(&self, &streams)?
            {
                outcome = Some(ended);
            }
            if ready.has(Ready::CONTROL) {
                open = self.hear(&mut outcome, fell)?;
            }
            if ready.has(Ready::OUTPUT) {
                carry.drain(&mut self.output, streams.output, "standard output");
            }
            if ready.has(Ready::ERROR) {
                carry.drain(&mut self.error, streams.error, "standard error");
            }
            carry.feed(&mut self.input, &mut streams.input, ready);
        }
        self.reap();
        let outcome = outcome.unwrap_or(Outcome::Lost);
        Ok(match carry.lost {
            Some((stream, errno)) => {
                Outcome::OutputLost { stream, errno, status: outcome.status() }
            }
            None => outcome,
        })
    }

    fn poll(&self, streams: &Streams<'_>, carry: &Carry, open: bool) -> io::Result<Ready> {
        let wants = self.input.is_some() && carry.pending.is_empty();
        let control = Some(self.control.as_fd()).filter(|_| open);
        let sink_flags = if carry.pending.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let places = [
            (Ready::CONTROL, control, PollFlags::IN),
            (Ready::OUTPUT, self.output.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (Ready::ERROR, self.error.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (Ready::SOURCE, streams.input.filter(|_| wants), PollFlags::IN),
            (Ready::SINK, self.input.as_ref().map(AsFd::as_fd), sink_flags),
            (Ready::SIGNALS, streams.signals.filter(|_| open), PollFlags::IN),
        ];
        let present: Vec<_> =
            places.into_iter().filter_map(|(which, fd, flags)| Some((which, fd?, flags))).collect();
        let mut fds: Vec<_> =
            present.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let hot = present.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Ready(hot.fold(0, |ready, ((which, ..), _)| ready | which)))
    }

    /// One report. `false` when there will be no more.
    fn hear(
        &self,
        outcome: &mut Option<Outcome>,
        fell: &mut dyn FnMut(&PathBuf, bool),
    ) -> io::Result<bool> {
        let Some(report) = self.receive()? else { return Ok(false) };
        match report {
            Report::Fell { path, kills } => {
                fell(&path, kills);
                if kills && outcome.is_none() {
                    *outcome = Some(Outcome::Killed { fallen: path });
                }
            }
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
            Report::Ready { .. } | Report::Forked { .. } => {}
        }
        Ok(true)
    }

    /// Ends every process of the sandbox at once.
    ///
    /// # Errors
    /// `ESRCH`: it is gone already.
    pub fn kill(&self) -> io::Result<()> {
        match &self.pid1 {
            Some(pid1) => Ok(pidfd_send_signal(pid1, Signal::KILL)?),
            None => Ok(()),
        }
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
            if let (None, Ok(Some(Report::Forked { pid }))) = (&self.pid1, self.receive()) {
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                self.pid1 = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            }
        }
        if self.kill().is_ok() {
            self.reap();
        }
    }
}

/// Which descriptors have something; a set of the constants below.
#[derive(Clone, Copy)]
struct Ready(u8);

impl Ready {
    const CONTROL: u8 = 1;
    const OUTPUT: u8 = 2;
    const ERROR: u8 = 4;
    const SOURCE: u8 = 8;
    const SINK: u8 = 16;
    const SIGNALS: u8 = 32;

    const fn has(self, which: u8) -> bool {
        self.0 & which != 0
    }
}

struct Carry {
    /// Read from the input and not yet taken by the workload.
    pending: Vec<u8>,
    buffer: Vec<u8>,
    /// How often a termination signal came.
    asked: u32,
    /// The first stream that could not be written, and why: `errno(3)`.
    lost: Option<(&'static str, i32)>,
}

impl Carry {
    /// From the workload's pipe to `to`; closes the pipe at its end, or when nobody takes more. A
    /// reader that went away has enough; any other error is a loss.
    fn drain(&mut self, from: &mut Option<OwnedFd>, to: &mut dyn Write, stream: &'static str) {
        let Some(fd) = from else { return };
        let goes_on = match read(&*fd, self.buffer.as_mut_slice()) {
            Ok(0) => false,
            Ok(length) => {
                let bytes = self.buffer.get(..length).unwrap_or_default();
                match to.write_all(bytes).and_then(|()| to.flush()) {
                    Ok(()) => true,
                    Err(error) => {
                        if error.kind() != io::ErrorKind::BrokenPipe {
                            let errno = error.raw_os_error().unwrap_or(0);
                            self.lost.get_or_insert((stream, errno));
                        }
                        false
                    }
                }
            }
            Err(error) => error == Errno::INTR || error == Errno::AGAIN,
        };
        if !goes_on {
            *from = None;
        }
    }

    /// From the caller's input to the workload's pipe, which never blocks the others.
    fn feed(&mut self, to: &mut Option<OwnedFd>, from: &mut Option<BorrowedFd<'_>>, ready: Ready) {
        if ready.has(Ready::SOURCE)
            && let Some(fd) = from
        {
            match read(*fd, self.buffer.as_mut_slice()) {
                Ok(0) => *from = None,
                Ok(length) => {
                    self.pending.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => *from = None,
            }
        }
        // Nothing to write and yet an event: the workload closed its end.
        if ready.has(Ready::SINK) && self.pending.is_empty() {
            (*to, *from) = (None, None);
        }
        if let Some(fd) = to.as_ref().filter(|_| !self.pending.is_empty()) {
            match write(fd, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // The workload closed its input.
                Err(_) => (*to, *from) = (None, None),
            }
        }
        if from.is_none() && self.pending.is_empty() {
            *to = None;
        }
    }

    /// Passes a signal on; the second `SIGINT`, `SIGTERM` or `SIGHUP` ends the sandbox.
    fn pass_signal(
        &mut self,
        running: &Running,
        streams: &Streams<'_>,
    ) -> io::Result<Option<Outcome>> {
        let Some(signals) = streams.signals else { return Ok(None) };
        // `struct signalfd_siginfo` (`signalfd(2)`): 128 bytes, the number first.
        let mut record = [0_u8; 128];
        match read(signals, &mut record[..]) {
            Ok(128) => {}
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let number = record.first().copied().unwrap_or(0);
        self.asked += 1;
        if self.asked > 1 {
            // Gone already is as good.
            drop(running.kill());
            return Ok(Some(Outcome::Ended(number)));
        }
        // Init may have ended a moment ago; its last report is on its way then.
        drop(running.order(&Order::Signal { number }));
        Ok(None)
    }
}
