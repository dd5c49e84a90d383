//! The caller's terminal while the workload has one of its own.
//!
//! What a person types goes to the sandbox's terminal byte for byte, so the caller's is raw
//! meanwhile, and Ctrl-C, Ctrl-Z and their like act inside. It is given back as it was whenever this
//! process ends, stops, or is not the one that the terminal hears, and before that every question
//! that the workload put to it is answered and forgotten ([`Screen`]).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use cofferdam_plan::plan::{Carrier, Streams};
use cofferdam_sys::process::{SignalSet, set_blocked, unblock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::{Errno, read, write};
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetpgrp,
    tcgetsid, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::answers::Answers;
use crate::screen::Screen;

/// `SIGTSTP` (`signal(7)`).
const SIGTSTP: i32 = 20;
/// Who are you (`ECMA-48`, DA): every terminal answers, and answers come in the order of questions.
const LAST_QUESTION: &[u8] = b"\x1b[c";
/// The longest wait for that answer, and for the next of many: longer than the way to a terminal
/// across the world and back.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The longest wait for all of them.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// After the answer, so long without another means that it was the last.
const QUIET: Duration = Duration::from_millis(40);
/// The longest wait for a terminal that takes no output.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Which streams of the workload belong on a terminal of its own, given the caller's.
///
/// There is one where standard input is a terminal; output and error are on it where they are the
/// same terminal, and pipes where they lead elsewhere.
#[must_use]
pub fn streams(input: BorrowedFd<'_>, output: BorrowedFd<'_>, error: BorrowedFd<'_>) -> Streams {
    let device = |fd: BorrowedFd<'_>| {
        let seen = fstat(fd).ok().filter(|_| isatty(fd))?;
        // A session has one terminal, and `/dev/tty` is another name of it.
        let own = tcgetsid(fd).is_ok();
        Some(if own { None } else { Some((seen.st_dev, seen.st_rdev)) })
    };
    let Some(terminal) = device(input) else { return Streams::default() };
    let carrier = |fd| match device(fd) {
        Some(other) if other == terminal => Carrier::Terminal,
        Some(_) | None => Carrier::Pipe,
    };
    Streams { input: Carrier::Terminal, output: carrier(output), error: carrier(error) }
}

/// Gives the terminal back when this program panics: a release build does not unwind.
pub fn restore_on_panic(terminal: OwnedFd) {
    let Ok(found) = tcgetattr(&terminal) else { return };
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tcsetattr(&terminal, OptionalActions::Now, &found).unwrap_or(());
        report(panic);
    }));
}

/// Whether others write to the caller's terminal, and read from it, while the workload runs: its
/// output goes elsewhere (`| less`).
fn is_shared(streams: Streams) -> bool {
    streams.output != Carrier::Terminal
}

/// Whether this process is the one that the terminal hears. Of a terminal that is not its session's
/// (`setsid(1)`, `su -c`) there are no jobs: whoever reads it gets what is typed (`tcgetpgrp(3)`).
fn hears(fd: BorrowedFd<'_>) -> bool {
    match tcgetpgrp(fd) {
        Ok(group) => group == getpgrp(),
        Err(error) => error == Errno::NOTTY,
    }
}

/// Gives the sandbox's terminal, `inside`, the settings and size of the caller's.
pub(crate) fn resemble(
    inside: BorrowedFd<'_>,
    callers: BorrowedFd<'_>,
    streams: Streams,
) -> io::Result<()> {
    let mut settings = tcgetattr(callers)?;
    if !hears(callers) {
        // A shell has made them its own for its prompt.
        settings.input_modes.remove(InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP);
        settings.input_modes.insert(InputModes::ICRNL | InputModes::IXON);
        settings.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
        settings.local_modes.insert(
            LocalModes::ISIG
                | LocalModes::ICANON
                | LocalModes::IEXTEN
                | LocalModes::ECHO
                | LocalModes::ECHOE
                | LocalModes::ECHOK,
        );
    }
    if is_shared(streams) {
        // The caller's goes on to make two characters of a line feed: see `Terminal::take`.
        settings.output_modes.remove(OutputModes::OPOST);
    }
    tcsetattr(inside, OptionalActions::Now, &settings)?;
    Ok(tcsetwinsize(inside, tcgetwinsize(callers)?)?)
}

/// The caller's terminal, tied to the sandbox's.
#[derive(Debug)]
pub(crate) struct Terminal<'a> {
    fd: BorrowedFd<'a>,
    /// Our end of the sandbox's.
    inside: OwnedFd,
    /// How the caller had it; nothing before it was given to this process, which may begin in the
    /// background.
    found: Option<Termios>,
    /// Whether the workload's output goes elsewhere: others may write here meanwhile, and read.
    shared: bool,
    /// Whether the workload has asked for what is typed.
    wanted: bool,
    /// Whether what is typed goes to the workload now.
    taken: bool,
}

impl<'a> Terminal<'a> {
    /// Ties the caller's terminal to the sandbox's, `inside`.
    pub(crate) fn tie(fd: BorrowedFd<'a>, inside: OwnedFd, streams: Streams) -> io::Result<Self> {
        let shared = is_shared(streams);
        let found = hears(fd).then(|| tcgetattr(fd)).transpose()?;
        Ok(Self { fd, inside, found, shared, wanted: !shared, taken: false })
    }

    pub(crate) fn inside(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    pub(crate) const fn caller(&self) -> BorrowedFd<'a> {
        self.fd
    }

    /// Whether what is typed goes to the workload.
    pub(crate) const fn taken(&self) -> bool {
        self.taken
    }

    /// Whether it should, but this process is in the background.
    pub(crate) const fn waits(&self) -> bool {
        self.wanted && !self.taken
    }

    /// The workload asks for what is typed. `false` where it has done so before.
    pub(crate) fn want(&mut self) -> bool {
        !std::mem::replace(&mut self.wanted, true)
    }

    /// The sandbox's terminal gets the size of the caller's, and the workload hears of it.
    pub(crate) fn resize(&self) {
        // Without a size a program takes the usual one.
        let resized = tcgetwinsize(self.fd).and_then(|size| tcsetwinsize(&self.inside, size));
        resized.unwrap_or(());
    }

    /// Makes the terminal raw, where this process is the one it hears; whoever started it may have
    /// changed it meanwhile.
    pub(crate) fn take(&mut self) {
        self.taken = false;
        if !self.wanted || !hears(self.fd) {
            return;
        }
        let found = self.found.take().map_or_else(|| tcgetattr(self.fd), Ok);
        let Ok(found) = found else { return };
        let mut raw = found.clone();
        raw.make_raw();
        if self.shared {
            // What others write here keeps its lines.
            raw.output_modes = found.output_modes;
        }
        self.found = Some(found);
        self.taken = tcsetattr(self.fd, OptionalActions::Now, &raw).is_ok();
    }

    /// As the caller had it.
    pub(crate) fn give_back(&mut self) {
        // In the background it belongs to somebody else, and is not this process's to change.
        if std::mem::take(&mut self.taken)
            && let Some(found) = self.found.as_ref().filter(|_| hears(self.fd))
        {
            tcsetattr(self.fd, OptionalActions::Now, found).unwrap_or(());
        }
    }

    /// Stops this process as the workload was, and comes back when both shall go on. Where there is
    /// nobody who could continue it, it comes back at once. `group`: everybody of this one is told,
    /// since the terminal, being raw, has told nobody.
    pub(crate) fn stop(group: bool) {
        let told = if group {
            kill_current_process_group(Signal::TSTP)
        } else {
            kill_process(getpid(), Signal::TSTP)
        };
        // Blocked until here. The kernel stops no group that nobody can continue (`setpgid(2)`).
        if let (Ok(()), Ok(blocked)) = (told, unblock(&SignalSet::empty().with(SIGTSTP))) {
            drop(set_blocked(&blocked));
        }
    }

    /// The workload is gone, or stopped: leaves the terminal, written to as `fd`, as it was. `false`
    /// where it is not this process's to leave.
    pub(crate) fn settle(&mut self, fd: BorrowedFd<'_>, screen: &Screen, answered: usize) -> bool {
        let found = self.found.clone().map_or_else(|| tcgetattr(self.fd), Ok);
        let left = found.is_ok_and(|found| settle(fd, &found, screen, answered));
        self.give_back();
        left
    }
}

/// Leaves a terminal that a workload has written to as it was, with no answer on its way that the
/// next reader would take for something typed. `answered`: how often it has told the workload who it
/// is.
///
/// Where this process is not the one that the terminal hears, nothing is done, and this is `false`:
/// it may neither read nor move what somebody else shows there.
pub(crate) fn settle(
    fd: BorrowedFd<'_>,
    found: &Termios,
    screen: &Screen,
    answered: usize,
) -> bool {
    if !hears(fd) {
        return false;
    }
    say(fd, &screen.leave());
    let mut raw = found.clone();
    raw.make_raw();
    if screen.asked() && tcsetattr(fd, OptionalActions::Now, &raw).is_ok() {
        say(fd, LAST_QUESTION);
        forget_answers(fd, screen.who().saturating_sub(answered));
        tcsetattr(fd, OptionalActions::Flush, found).unwrap_or(());
    }
    true
}

/// Writes `bytes` to a terminal, which may be slow.
fn say(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    let until = Instant::now() + TAKEN_WITHIN;
    while !bytes.is_empty() {
        if !ready(fd, PollFlags::OUT, until) {
            return;
        }
        match write(fd, bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Reads and drops what is typed until the terminal has answered the last question, and `others`
/// before that have the same answer.
fn forget_answers(fd: BorrowedFd<'_>, others: usize) {
    let end = Instant::now() + ANSWERS_WITHIN;
    let mut until = Instant::now() + ANSWER_WITHIN;
    let mut answers = Answers::default();
    let mut bytes = [0_u8; 4096];
    while ready(fd, PollFlags::IN, until) {
        match read(fd, &mut bytes[..]) {
            Ok(0) => return,
            Ok(length) => {
                answers.follow(bytes.get(..length).unwrap_or_default());
                let wait = if answers.count() > others { QUIET } else { ANSWER_WITHIN };
                until = end.min(Instant::now() + wait);
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// However waiting ends, the caller finds the terminal as it was.
impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Waits until `fd` has what `flags` say, or `until`.
pub(crate) fn ready(fd: BorrowedFd<'_>, flags: PollFlags, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&left)) {
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}
