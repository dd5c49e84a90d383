//! The workload's three streams, carried so that nobody who stalls is waited for.
//!
//! A step reads or writes what is there and comes back: the workload, another sandbox that got hold
//! of a pipe, and whoever reads the output may stall or take bytes away at any moment, and signals
//! and reports must be heard all the same. When to step is the monitor's business.

use std::io::IsTerminal;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use cofferdam_audit::redact::Masks;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, makedev, open};
use rustix::io::{Errno, ioctl_fionread, read, write};
use rustix::net::{SendFlags, send};
use rustix::termios::{InputModes, isatty, tcgetattr};

use crate::answers::Answers;
use crate::controls::{Controls, Kept, Leads, Leak, Passed, Rules, Stream};
use crate::screen::Screen;
use crate::terminal::ready;

/// As much as a pipe takes at once by default. Bytes.
pub(crate) const CHUNK: usize = 64 << 10;
/// More than a terminal holds of a workload that is gone. Bytes.
const TERMINAL_BYTES_MAX: u64 = 1 << 20;
/// More steps than what a stopped workload has left takes: a terminal gives 4 KiB at a time.
const STEPS_MAX: usize = 64;
/// What polls writable takes as much without waiting (`PIPE_BUF`, `pipe(7)`). Bytes.
const WITHOUT_WAITING: usize = 4096;
/// Opening `/dev/ptmx` anew gives another terminal (`pts(4)`): major and minor number.
const PTMX: (u32, u32) = (5, 2);

/// Where the workload's streams come from and go to.
#[derive(Debug)]
pub struct Streams<'a> {
    /// What the workload reads; `None` is an empty input.
    pub input: Option<BorrowedFd<'a>>,
    /// Takes what it writes to standard output.
    pub output: Sink<'a>,
    /// Takes what it writes to standard error.
    pub error: Sink<'a>,
    /// A `signalfd(2)`: what arrives there goes to the workload. `SIGHUP`, `SIGINT` or `SIGTERM`
    /// for the second time within two seconds ends the sandbox.
    pub signals: Option<BorrowedFd<'a>>,
    /// Strings that must not leave; `None` where nobody looks for any.
    pub masks: Option<&'a Masks>,
}

/// What takes a stream of the workload.
#[derive(Debug)]
pub enum Sink<'a> {
    /// A descriptor. A reader that stalls holds back the workload's stream and nothing else; one
    /// that goes away ends the stream. Its flags are left as they are, since others may share it:
    /// `O_NONBLOCK` set or not, every byte is written.
    Descriptor(BorrowedFd<'a>),
    /// Memory, without a bound.
    Collect(&'a mut Vec<u8>),
}

/// At most one chunk on its way; a next one is read when it has gone.
struct Chunk {
    bytes: Vec<u8>,
    pending: Range<usize>,
}

impl Chunk {
    fn new() -> Self {
        Self { bytes: vec![0; CHUNK], pending: 0..0 }
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn pending(&self) -> &[u8] {
        self.bytes.get(self.pending.clone()).unwrap_or_default()
    }

    /// Replaces the chunk by at most `most` bytes of `from`. Gives their number, 0 at the end.
    fn fill(&mut self, from: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
        let room = self.bytes.get_mut(..most.min(CHUNK)).unwrap_or_default();
        let length = read(from, room)?;
        self.pending = 0..length;
        Ok(length)
    }

    fn taken(&mut self, length: usize) {
        self.pending.start += length;
    }

    fn clear(&mut self) {
        self.pending = 0..0;
    }
}

/// From the caller to the workload.
pub(crate) struct Incoming<'a> {
    pipe: Option<OwnedFd>,
    source: Option<BorrowedFd<'a>>,
    chunk: Chunk,
    ended: bool,
    answers: Answers,
}

impl<'a> Incoming<'a> {
    /// `pipe` is the write end, and `O_NONBLOCK`.
    pub(crate) fn new(pipe: Option<OwnedFd>, source: Option<BorrowedFd<'a>>) -> Self {
        let pipe = pipe.filter(|_| source.is_some());
        Self { pipe, source, chunk: Chunk::new(), ended: false, answers: Answers::default() }
    }

    /// What to wait for to read more; nothing while the workload has not taken what was read.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'a>> {
        self.source.filter(|_| self.pipe.is_some() && self.chunk.is_empty())
    }

    /// How often a terminal has said who it is since this was asked last.
    pub(crate) fn answered(&mut self) -> usize {
        std::mem::take(&mut self.answers).count()
    }

    /// Nothing more comes.
    pub(crate) fn close(&mut self) {
        (self.pipe, self.source) = (None, None);
        self.chunk.clear();
    }

    /// Whether the source came to its end since this was asked last.
    pub(crate) const fn has_ended(&mut self) -> bool {
        std::mem::replace(&mut self.ended, false)
    }

    pub(crate) fn sink(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// With nothing to write, only the end of the reader is waited for.
    pub(crate) fn sink_flags(&self) -> PollFlags {
        if self.chunk.is_empty() { PollFlags::empty() } else { PollFlags::OUT }
    }

    /// Takes one step, after [`Incoming::source`] or [`Incoming::sink`] was ready.
    pub(crate) fn step(&mut self, source_ready: bool, sink_ready: bool) {
        // Nothing to write and yet an event: the workload closed its end.
        if sink_ready && self.chunk.is_empty() {
            (self.pipe, self.source) = (None, None);
        }
        if source_ready && let Some(source) = self.source {
            match self.chunk.fill(source, CHUNK) {
                Ok(length) if length > 0 => self.answers.follow(self.chunk.pending()),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Ok(_) | Err(_) => (self.source, self.ended) = (None, true),
            }
        }
        if let Some(pipe) = self.pipe.as_ref().filter(|_| !self.chunk.is_empty()) {
            match write(pipe, self.chunk.pending()) {
                Ok(length) => self.chunk.taken(length),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // The workload closed its input.
                Err(_) => (self.pipe, self.source) = (None, None),
            }
        }
        if self.source.is_none() && self.chunk.is_empty() {
            self.pipe = None;
        }
    }
}

/// From the workload to the caller.
pub(crate) struct Outgoing<'a> {
    pipe: Option<OwnedFd>,
    chunk: Chunk,
    way: Way<'a>,
    /// How much of the pipe is still the workload's, once it is gone. Bytes.
    left: Option<usize>,
    lost: Option<Errno>,
    /// What it has made of the terminal that it goes to.
    screen: Option<Screen>,
    controls: Option<Controls<'a>>,
}

impl<'a> Outgoing<'a> {
    /// `pipe` is the read end, and `O_NONBLOCK`.
    pub(crate) fn new(
        pipe: Option<OwnedFd>,
        sink: Sink<'a>,
        (stream, rules): (Stream, &Rules<'a>),
    ) -> Self {
        let way = Way::of(sink);
        let utf8 =
            |fd| tcgetattr(fd).is_ok_and(|seen| seen.input_modes.contains(InputModes::IUTF8));
        let screen = way.terminal().map(|fd| Screen::new(utf8(fd)));
        let leads = if screen.is_some() { Leads::ToTerminal } else { Leads::Elsewhere };
        let controls = rules.of(stream, leads);
        Self { pipe, chunk: Chunk::new(), way, left: None, lost: None, screen, controls }
    }

    /// What to wait for to read more; nothing while there is something to write.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| self.chunk.is_empty()).map(AsFd::as_fd)
    }

    /// What to wait for to write on; nothing while there is nothing to write.
    pub(crate) fn sink(&self) -> Option<BorrowedFd<'_>> {
        self.way.fd().filter(|_| !self.chunk.is_empty())
    }

    /// Why a part could not be passed on: `errno(3)`.
    pub(crate) fn lost(&self) -> Option<i32> {
        self.lost.map(Errno::raw_os_error)
    }

    /// The terminal that it goes to, and what it has made of it.
    pub(crate) fn screen(&self) -> Option<(BorrowedFd<'_>, &Screen)> {
        Some((self.way.terminal()?, self.screen.as_ref()?))
    }

    /// That terminal is as it was.
    pub(crate) fn left(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.left();
        }
    }

    /// Takes one step, after [`Outgoing::source`] or [`Outgoing::sink`] was ready.
    pub(crate) fn step(&mut self) {
        self.fill();
        self.pass();
    }

    /// Passes on all that has been written so far, up to a bound, as long as it is taken before
    /// `until`.
    pub(crate) fn catch_up(&mut self, until: Instant) {
        for _ in 0..STEPS_MAX {
            self.step();
            let readable = |pipe| {
                let mut look = [PollFd::from_borrowed_fd(pipe, PollFlags::IN)];
                poll(&mut look, Some(&Timespec::default())) == Ok(1)
            };
            let goes_on = match (self.sink(), self.source()) {
                (Some(sink), _) => ready(sink, PollFlags::OUT, until),
                (None, Some(pipe)) => readable(pipe),
                (None, None) => false,
            };
            if !goes_on {
                break;
            }
        }
        self.pause();
    }

    /// When what is kept back goes on without its rest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.controls.as_ref().filter(|_| self.chunk.is_empty())?.due()
    }

    /// Passes on what was kept back: nothing more came.
    pub(crate) fn pause(&mut self) {
        if let Some(controls) = self.controls.as_mut().filter(|_| self.chunk.is_empty()) {
            let passed = controls.pause(&mut self.chunk.bytes);
            self.filled(passed);
            self.pass();
        }
    }

    /// What must not leave and was on its way since this was asked last.
    pub(crate) fn leaks(&mut self) -> impl Iterator<Item = Leak> + use<> {
        self.controls.as_mut().map(Controls::leaks).into_iter().flatten()
    }

    /// What was kept from whoever reads it.
    pub(crate) fn kept(&self) -> Option<(Stream, Kept)> {
        self.controls.as_ref().map(|controls| (controls.stream(), controls.kept()))
    }

    /// The workload is gone: what is in the pipe now is the last of it. Somebody else may hold the
    /// pipe open, and go on writing.
    pub(crate) fn gone(&mut self) {
        // A terminal ends by itself, and does not tell how much it holds.
        let of = |pipe| if isatty(pipe) { Ok(TERMINAL_BYTES_MAX) } else { ioctl_fionread(pipe) };
        let left = self.pipe.as_ref().map(|pipe| of(pipe).unwrap_or(0));
        self.left = Some(left.and_then(|left| usize::try_from(left).ok()).unwrap_or(0));
    }

    /// After [`Outgoing::gone`]: passes the rest on, as far as it is taken at once. `true` when
    /// that is all of it.
    pub(crate) fn finish(&mut self) -> bool {
        loop {
            self.step();
            if !self.chunk.is_empty() {
                return false;
            }
            if self.pipe.is_none() {
                return true;
            }
        }
    }

    fn fill(&mut self) {
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.chunk.is_empty()) else { return };
        let most = self.left.unwrap_or(CHUNK);
        let read = match &mut self.controls {
            None => self.chunk.fill(pipe.as_fd(), most).map(|length| (length, Passed::On)),
            Some(controls) => controls.read(pipe.as_fd(), most, &mut self.chunk.bytes),
        };
        let goes_on = match read {
            Ok((0, _)) => false,
            Ok((length, passed)) => {
                self.filled(passed);
                self.left = self.left.map(|left| left.saturating_sub(length));
                true
            }
            Err(Errno::INTR) => true,
            // Somebody else took what was there. Nothing more comes from a workload that is gone.
            Err(Errno::AGAIN) => self.left.is_none(),
            Err(_) => false,
        };
        if !goes_on {
            self.pipe = None;
            if let Some(controls) = &mut self.controls {
                let passed = controls.finish(&mut self.chunk.bytes);
                self.filled(passed);
            }
        }
    }

    /// What the controls have let through is the chunk now; where it is the last, it says so.
    fn filled(&mut self, passed: Passed) {
        let Self { chunk, controls, screen, .. } = self;
        if let Some(controls) = controls {
            if passed == Passed::Cut {
                if let Some(screen) = screen.as_mut() {
                    screen.follow(&chunk.bytes);
                    // What comes is for a person: on the screen that was there before, in plain letters.
                    let leave = screen.leave();
                    chunk.bytes.extend_from_slice(&leave);
                    screen.follow(&leave);
                }
                let at = chunk.bytes.len();
                controls.mark(&mut chunk.bytes);
                chunk.pending = 0..chunk.bytes.len();
                return if let Some(screen) = screen {
                    screen.follow(chunk.bytes.get(at..).unwrap_or_default())
                };
            }
            chunk.pending = 0..chunk.bytes.len();
        }
        if let Some(screen) = screen {
            screen.follow(chunk.pending());
        }
    }

    /// Closes the pipe when nobody takes more. A reader that went away has enough; any other error
    /// is a loss.
    fn pass(&mut self) {
        while !self.chunk.is_empty() {
            match self.way.take(self.chunk.pending()) {
                Ok(length) => self.chunk.taken(length),
                Err(Errno::INTR | Errno::AGAIN) => return,
                Err(error) => {
                    self.lost = self.lost.or(Some(error).filter(|error| *error != Errno::PIPE));
                    self.pipe = None;
                    self.chunk.clear();
                }
            }
        }
    }
}

/// How a sink is written to without waiting for it.
enum Way<'a> {
    Memory(&'a mut Vec<u8>),
    /// A regular file waits for nobody.
    File(BorrowedFd<'a>),
    Socket(BorrowedFd<'a>),
    /// The caller's pipe or terminal, opened once more: this open file description is ours, and
    /// `O_NONBLOCK`.
    Own(OwnedFd),
    /// Whatever else: a little at a time, after a look. Somebody else who writes to the same pipe
    /// between look and write can still make us wait.
    Shared(BorrowedFd<'a>),
}

impl<'a> Way<'a> {
    fn of(sink: Sink<'a>) -> Self {
        let fd = match sink {
            Sink::Descriptor(fd) => fd,
            Sink::Collect(bytes) => return Self::Memory(bytes),
        };
        let Ok(seen) = fstat(fd) else { return Self::Shared(fd) };
        let is = FileType::from_raw_mode(seen.st_mode);
        let is_terminal = || seen.st_rdev != makedev(PTMX.0, PTMX.1) && fd.is_terminal();
        if is == FileType::RegularFile {
            Self::File(fd)
        } else if is == FileType::Socket {
            Self::Socket(fd)
        } else if is == FileType::Fifo || is == FileType::CharacterDevice && is_terminal() {
            opened_anew(fd).map_or(Self::Shared(fd), Self::Own)
        } else {
            Self::Shared(fd)
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Memory(_) => None,
            Self::File(fd) | Self::Socket(fd) | Self::Shared(fd) => Some(*fd),
            Self::Own(fd) => Some(fd.as_fd()),
        }
    }

    /// What it is written to, where that is a terminal.
    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Own(fd) => Some(fd.as_fd()).filter(|fd| isatty(fd)),
            Self::Shared(fd) => Some(*fd).filter(|fd| isatty(fd)),
            Self::Memory(_) | Self::File(_) | Self::Socket(_) => None,
        }
    }

    /// Writes a beginning of `bytes`, which are not empty; `EAGAIN` where it would have to wait.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let length = match self {
            Self::Memory(memory) => {
                memory.extend_from_slice(bytes);
                bytes.len()
            }
            Self::File(fd) => write(*fd, bytes)?,
            Self::Own(fd) => write(fd, bytes)?,
            Self::Socket(fd) => send(*fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?,
            Self::Shared(fd) => {
                let mut look = [PollFd::from_borrowed_fd(*fd, PollFlags::OUT)];
                if poll(&mut look, Some(&Timespec::default()))? == 0 {
                    return Err(Errno::AGAIN);
                }
                write(*fd, bytes.get(..WITHOUT_WAITING).unwrap_or(bytes))?
            }
        };
        // It would be tried for ever.
        if length == 0 { Err(Errno::IO) } else { Ok(length) }
    }
}

/// The same pipe or terminal with flags of our own. `None` where it cannot be opened (another
/// user's, no `/proc`), or is a pipe that was handed over to be read.
fn opened_anew(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let is_terminal = isatty(fd);
    if !is_terminal && fcntl_getfl(fd).ok()? & OFlags::ACCMODE == OFlags::RDONLY {
        return None;
    }
    // A terminal is read as well, when the workload has asked it something; and shown to, where it
    // is the input (`< /dev/tty`).
    let access = if is_terminal { OFlags::RDWR } else { OFlags::WRONLY };
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty()).ok()
}
