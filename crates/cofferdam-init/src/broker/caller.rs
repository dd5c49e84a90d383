//! Who makes a call: its arguments, its memory, its directory, its descriptors, its umask.

use std::cell::RefCell;
use std::ffi::CString;
use std::fmt::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cofferdam_plan::judge::Because;
use cofferdam_plan::judge::names::{Answer, Ask, judge};
use cofferdam_plan::message::Operation;
use cofferdam_plan::process::{Whom, heard, longest_file, pseudo_terminal, value};
use cofferdam_sys::notify::{self, Call};
use rustix::fs::{AtFlags, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::place::{HERE, Place};
use super::{Broker, errno};

/// Longest path with its NUL (`PATH_MAX`, `path_resolution(7)`).
const PATH_BYTES_MAX: usize = 4096;
/// Most paths are no longer: they come with one read.
const PATH_BYTES: usize = 256;
/// Status files that a thread of the broker keeps open. One of a thread that is gone gives `ESRCH`.
const STATUSES_MAX: usize = 8;

/// Open `/proc/TID/status`: to open it takes longer than to read it.
#[derive(Debug, Default)]
pub(super) struct Statuses(RefCell<Vec<(u32, OwnedFd)>>);

/// A thread that waits for the answer to its call.
#[derive(Debug)]
pub(super) struct Caller<'b> {
    pub(super) broker: &'b Broker,
    pub(super) call: Call,
    statuses: &'b Statuses,
}

impl<'b> Caller<'b> {
    pub(super) fn new(broker: &'b Broker, statuses: &'b Statuses, call: Call) -> Self {
        Self { broker, call, statuses }
    }

    fn argument(&self, index: usize) -> u64 {
        self.call.arguments.get(index).copied().unwrap_or(0)
    }

    /// An argument of which the kernel reads 32 bits.
    pub(super) fn bits(&self, index: usize) -> u32 {
        let [a, b, c, d, ..] = self.argument(index).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The same with a sign: a descriptor.
    pub(super) fn int(&self, index: usize) -> i32 {
        self.bits(index).cast_signed()
    }

    /// An argument of 64 bits.
    pub(super) fn long(&self, index: usize) -> u64 {
        self.argument(index)
    }

    /// A path that an argument points to.
    pub(super) fn text(&self, index: usize) -> Result<CString, Errno> {
        self.text_of(index, PATH_BYTES_MAX, Errno::NAMETOOLONG)
    }

    /// A C string, copied once: what the caller writes there afterwards is nobody's business.
    pub(super) fn text_of(&self, index: usize, most: usize, long: Errno) -> Result<CString, Errno> {
        let mut address = self.argument(index);
        let mut text = Vec::new();
        let mut chunk = [0; PATH_BYTES];
        while text.len() < most {
            let room = chunk.len().min(most - text.len());
            let part = chunk.get_mut(..room).unwrap_or_default();
            let came = self.read(address, part)?;
            let part = part.get(..came).unwrap_or_default();
            match part.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend_from_slice(part.get(..end).unwrap_or_default());
                    return CString::new(text).map_err(|_| Errno::INVAL);
                }
                None if came == 0 => return Err(Errno::FAULT),
                None => text.extend_from_slice(part),
            }
            address = address.wrapping_add(u64::try_from(came).unwrap_or(0));
        }
        Err(long)
    }

    fn read(&self, address: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let read = notify::read_memory(self.call.thread, address, to);
        read.map_err(|error| match errno(&error) {
            // A program that may be executed but not read.
            Errno::PERM => Errno::ACCESS,
            errno => errno,
        })
    }

    /// Bytes that an argument points to, all of them.
    pub(super) fn bytes(&self, index: usize, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let address = self.argument(index).wrapping_add(u64::try_from(done).unwrap_or(0));
            let rest = bytes.get_mut(done..).unwrap_or_default();
            match self.read(address, rest)? {
                0 => return Err(Errno::FAULT),
                came => done += came,
            }
        }
        Ok(bytes)
    }

    /// Writes where an argument points to.
    pub(super) fn write(&self, index: usize, bytes: &[u8]) -> Result<(), Errno> {
        let written = notify::write_memory(self.call.thread, self.argument(index), bytes);
        written.map_err(|error| errno(&error))
    }

    /// Whether the call still waits: what was read of the thread was the caller's.
    pub(super) fn stands(&self) -> Result<(), Errno> {
        let waits = notify::waits(self.broker.listener.as_fd(), self.call.id);
        if waits { Ok(()) } else { Err(Errno::SRCH) }
    }

    /// Something below `/proc` of the caller's.
    fn own(&self, below: std::fmt::Arguments<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut path = String::with_capacity(32);
        write!(path, "{}/{below}", self.call.thread).map_err(|_| Errno::INVAL)?;
        openat(&self.broker.proc, path, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// The directory that a relative path starts in: the working directory, or a descriptor's.
    pub(super) fn directory(&self, fd: i32) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if fd == HERE {
            return self.own(format_args!("cwd"), flags);
        }
        self.own(format_args!("fd/{fd}"), flags).map_err(bad)
    }

    /// What a descriptor names, without the right to read or write it.
    pub(super) fn named(&self, fd: i32) -> Result<OwnedFd, Errno> {
        if fd == HERE {
            return self.directory(fd);
        }
        self.own(format_args!("fd/{fd}"), OFlags::PATH).map_err(bad)
    }

    /// A copy of a descriptor of the caller's.
    pub(super) fn descriptor(&self, fd: i32) -> Result<OwnedFd, Errno> {
        /// `PIDFD_THREAD`, Linux 6.9.
        const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(0o200);
        let thread = self.call.thread.cast_signed();
        let open =
            |number: i32, flags| pidfd_open(Pid::from_raw(number).ok_or(Errno::SRCH)?, flags);
        let process = match open(thread, THREAD) {
            Err(Errno::INVAL) => open(self.process()?, PidfdFlags::empty())?,
            opened => opened?,
        };
        let copy = pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?;
        self.stands()?;
        Ok(copy)
    }

    /// The value of a row of the caller's status (`proc_pid_status(5)`).
    fn status(&self, row: &str) -> Result<u32, Errno> {
        let radix = if row == "Umask:" { 8 } else { 10 };
        let mut text = [0; 256];
        let length = self.read_status(&mut text)?;
        let value = value(text.get(..length).unwrap_or_default(), row);
        value.and_then(|value| u32::from_str_radix(value, radix).ok()).ok_or(Errno::INVAL)
    }

    fn read_status(&self, to: &mut [u8]) -> Result<usize, Errno> {
        let mut open = self.statuses.0.borrow_mut();
        let thread = self.call.thread;
        if let Some(index) = open.iter().position(|(of, _)| *of == thread) {
            let (_, status) = open.remove(index);
            // Where the number is another thread's by now, the old one is gone.
            if let Ok(length) = rustix::io::pread(&status, &mut *to, 0) {
                open.push((thread, status));
                return Ok(length);
            }
        }
        let status = self.own(format_args!("status"), OFlags::RDONLY)?;
        let length = rustix::io::pread(&status, to, 0)?;
        if open.len() >= STATUSES_MAX {
            open.remove(0);
        }
        open.push((thread, status));
        Ok(length)
    }

    /// The process that the thread belongs to.
    pub(super) fn process(&self) -> Result<i32, Errno> {
        self.status("Tgid:").map(u32::cast_signed)
    }

    /// Makes the caller's umask this thread's own: with a default ACL the kernel needs the real one
    /// (`acl(5)`).
    pub(super) fn take_umask(&self) -> Result<(), Errno> {
        let mask = self.status("Umask:")?;
        rustix::process::umask(Mode::from_raw_mode(mask));
        Ok(())
    }

    /// What the caller hears where a signal that it does not block waits for it: but for its death,
    /// nothing else wakes who waits for an answer.
    pub(super) fn signalled(&self) -> Option<Errno> {
        /// `ERESTARTSYS`: the kernel runs the handler, and begins the call again or tells `EINTR`.
        const RESTART: Errno = Errno::from_raw_os_error(512);
        let mut text = [0; 4096];
        let length = self.read_status(&mut text).ok()?;
        match heard(text.get(..length).unwrap_or_default())? {
            Whom::Thread => Some(RESTART),
            // It may be for another thread of the process, and this one would be told of a restart.
            Whom::Process => Some(Errno::INTR),
        }
    }

    /// How long a file the caller may make (`RLIMIT_FSIZE`, `getrlimit(2)`).
    pub(super) fn longest(&self) -> Result<u64, Errno> {
        let text = super::content(self.own(format_args!("limits"), OFlags::RDONLY)?, 16 << 10)?;
        longest_file(&text).ok_or(Errno::INVAL)
    }

    /// The minor number of the caller's terminal, if it has one and that is of the sandbox.
    pub(super) fn terminal(&self) -> Option<u32> {
        let stat = self.own(format_args!("stat"), OFlags::RDONLY).ok()?;
        pseudo_terminal(&super::content(stat, 4096).ok()?)
    }

    /// Asks the judge; a denial is told, and an error. What is no file of a tree, a pipe above all, has
    /// no path.
    pub(super) fn ask(
        &self,
        operation: Operation,
        path: &Path,
        ask: Ask<'_>,
    ) -> Result<Answer<'b>, Errno> {
        if !path.is_absolute() {
            return Ok(Answer::Allow);
        }
        match judge(&self.broker.rules, ask) {
            Answer::Deny(clause, because) => {
                // Who is told to copy is refused nothing yet.
                if because != Because::Copied {
                    self.broker.denials.denied(operation, path, clause, because);
                }
                Err(Errno::from_raw_os_error(because.errno()))
            }
            answer @ (Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_)) => Ok(answer),
        }
    }

    /// The same for what makes a name: one that is there already is `EEXIST` whoever holds it, and one
    /// that is hidden cannot be told to be absent.
    pub(super) fn ask_new(
        &self,
        operation: Operation,
        place: &Place,
        ask: Ask<'_>,
    ) -> Result<Answer<'b>, Errno> {
        match judge(&self.broker.rules, ask) {
            Answer::Deny(clause, because) => {
                let hidden = because == Because::Hidden;
                let there =
                    rustix::fs::statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW);
                if there.is_ok() && !hidden {
                    return Err(Errno::EXIST);
                }
                self.broker.denials.denied(operation, &place.path, clause, because);
                let errno = Errno::from_raw_os_error(because.errno());
                Err(if hidden { Errno::ACCESS } else { errno })
            }
            answer @ (Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_)) => Ok(answer),
        }
    }
}

/// A descriptor that is not there.
fn bad(errno: Errno) -> Errno {
    if errno == Errno::NOENT { Errno::BADF } else { errno }
}
