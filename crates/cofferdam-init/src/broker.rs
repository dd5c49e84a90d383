//! The broker: answers for the calls that change names, open for writing, or, where something is
//! hidden, look (`seccomp_unotify(2)`).
//!
//! Arguments are copied once. The parent directory is resolved to a descriptor from the caller's own
//! directory, the judge is asked about its path and the last name, and the broker performs the
//! operation itself, with that descriptor and that name. No answer ever lets the call be made: its
//! arguments could have changed meanwhile. What is not known is refused.

mod attributes;
mod caller;
mod change;
mod denials;
mod descriptor;
mod look;
mod made;
mod open;
mod place;
mod settings;
mod socket;
mod waiting;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, TryLockError};
use std::thread::Builder;
use std::time::Duration;

use cofferdam_plan::message::Operation;
use cofferdam_plan::model::{Clause, Variable};
use cofferdam_plan::plan::Plan;
use cofferdam_plan::{HostRules, Rules};
use cofferdam_sys::notify::{self, Call};
use cofferdam_sys::process::{exit_now, own_directory};
use cofferdam_sys::seccomp::set_filter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ftruncate, openat, unlinkat};
use rustix::io::Errno;

use crate::{Doing, Failed};
use caller::{Caller, Statuses};
pub(crate) use denials::Denials;
use made::Made;
use waiting::{Later, Waiting};

/// A thread's stack: paths and a few buffers lie on it. Bytes.
const STACK_BYTES: usize = 256 << 10;

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Broker {
    listener: OwnedFd,
    rules: Rules,
    /// Settings of masked files that have a value all the same.
    masked: Vec<Variable>,
    hosts: HostRules,
    made: Made,
    denials: Arc<Denials>,
    waiting: Waiting,
    /// `/`, `/proc` and `/proc/self/fd`, opened once.
    root: OwnedFd,
    proc: OwnedFd,
    own: OwnedFd,
    /// Held for reading while a call is performed, and for writing by those that need the names to stay
    /// meanwhile: a socket that is bound by the caller's own words, git's new settings.
    leads: RwLock<()>,
}

/// How a call ends.
#[derive(Debug)]
enum Reply {
    Value(i64),
    Give(Given),
    Later(Later),
    /// It is to be performed once more, without any other at the same time.
    Alone,
}

/// A descriptor for the caller.
#[derive(Debug)]
struct Given {
    fd: OwnedFd,
    /// `O_CLOEXEC` or 0.
    flags: u32,
    /// Cut to nothing once the caller has it: a caller without room for it has lost nothing.
    cut: bool,
    /// The name that was made for it, which goes again where the caller has no room.
    born: Option<(OwnedFd, CString)>,
}

type Answered = Result<Reply, Errno>;

impl Broker {
    /// Starts the threads that answer, as soon as what is given back holds a broker. Each puts `program`
    /// on itself before.
    pub(crate) fn start(program: &[u8], threads: u32) -> Result<Arc<OnceLock<Self>>, Failed> {
        let place = Arc::new(OnceLock::new());
        let spawn = |work: fn(&Self)| {
            let (place, program) = (Arc::clone(&place), program.to_vec());
            let thread = Builder::new().name("broker".into()).stack_size(STACK_BYTES);
            let begun = thread.spawn(move || {
                // Without its filter it must not answer, and without it nobody does; the same where it
                // fails itself.
                let ends = EndsAll;
                if own_directory().and_then(|()| set_filter(&program)).is_ok() {
                    work(place.wait());
                    std::mem::forget(ends);
                }
            });
            begun.doing("start the broker")
        };
        for _ in 0..threads {
            spawn(Self::serve)?;
        }
        spawn(Self::wait)?;
        Ok(place)
    }

    pub(crate) fn new(calls: OwnedFd, plan: &Plan, denials: Arc<Denials>) -> Result<Self, Failed> {
        let doing = "start the broker";
        let hold = |path: &str| {
            openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).doing(doing)
        };
        // Before Linux 6.6 a call only takes longer.
        notify::wake_on_one_processor(calls.as_fd()).unwrap_or(());
        let hosts = plan.egress.as_ref().map(|egress| egress.rules.clone());
        Ok(Self {
            listener: calls,
            rules: plan.rules.clone(),
            masked: plan.workload.masked.clone(),
            hosts: hosts.unwrap_or_else(nobody),
            made: Made::default(),
            denials,
            waiting: Waiting::default(),
            root: hold("/")?,
            proc: hold("/proc")?,
            own: hold("/proc/self/fd")?,
            leads: RwLock::new(()),
        })
    }

    /// Answers calls, one after the other.
    fn serve(&self) {
        let statuses = Statuses::default();
        loop {
            match notify::receive(self.listener.as_fd()) {
                Ok(call) => {
                    let caller = Caller::new(self, &statuses, call);
                    let mut reply = self.together(|| perform(&caller));
                    if let Ok(Reply::Alone) = reply {
                        reply = self.alone(|| perform_alone(&caller));
                    }
                    match reply {
                        Ok(Reply::Later(later)) => self.waiting.put(call, later, self),
                        reply => self.finish(&call, reply),
                    }
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    // Everybody who could call is gone.
                    Some(Errno::NOENT) if self.is_left() => return,
                    Some(Errno::NOTCONN) => return,
                    // The caller was killed first, or a signal came.
                    Some(Errno::NOENT | Errno::INTR) => {}
                    // Whoever waits for an answer would wait for ever.
                    Some(_) | None => exit_now(125),
                },
            }
        }
    }

    /// Whether nobody is left who could call; since Linux 6.11 `receive` does not wait then.
    fn is_left(&self) -> bool {
        let mut fds = [PollFd::new(&self.listener, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    fn wait(&self) {
        self.waiting.work(self);
    }

    /// Performs a call while others may be performed as well.
    fn together<T>(&self, act: impl FnOnce() -> T) -> T {
        let _leads = self.leads.read().unwrap_or_else(PoisonError::into_inner);
        act()
    }

    /// Performs a call while no other is. Not waiting in line, since who does keeps the others waiting
    /// behind it: a call on a file system that hangs may never end.
    fn alone(&self, act: impl Fn() -> Answered) -> Answered {
        /// A second in all.
        const TRIES: u32 = 1_000;
        for _ in 0..TRIES {
            match self.leads.try_write() {
                Ok(_leads) => return act(),
                Err(TryLockError::Poisoned(_)) => return Err(Errno::IO),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(Errno::AGAIN)
    }

    /// Gives a call its answer. That the caller is gone is no fault.
    fn finish(&self, call: &Call, reply: Answered) {
        let value = match reply {
            Ok(Reply::Value(value)) => Ok(value),
            Ok(Reply::Give(given)) => self.give(call, given),
            // Nothing waits for what has to wait again.
            Ok(Reply::Later(_) | Reply::Alone) => Err(Errno::AGAIN),
            Err(errno) => {
                if let Errno::MFILE | Errno::NFILE | Errno::FAULT = errno {
                    self.denials.failed(Operation::Look, "", errno);
                }
                Err(errno)
            }
        };
        let answer = value.map_err(Errno::raw_os_error);
        notify::answer(self.listener.as_fd(), call.id, answer).unwrap_or(());
    }

    /// The descriptor first, then our own copy goes, then the answer: a file that we still hold open
    /// for writing could not be executed (`ETXTBSY`).
    fn give(&self, call: &Call, given: Given) -> Result<i64, Errno> {
        let Given { fd, flags, cut, born } = given;
        match notify::give(self.listener.as_fd(), call.id, fd.as_fd(), flags) {
            Ok(number) => {
                if cut {
                    ftruncate(&fd, 0)?;
                }
                Ok(number)
            }
            Err(error) => {
                if let Some((parent, name)) = born {
                    self.unmake(&fd, &parent, &name);
                }
                let errno = errno(&error);
                self.denials.failed(Operation::Write, "", errno);
                Err(errno)
            }
        }
    }

    /// Removes what was made for a descriptor that could not be given, if it is that still.
    fn unmake(&self, fd: &OwnedFd, parent: &OwnedFd, name: &CString) {
        let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        if let (Ok(made), Ok(there)) = (rustix::fs::fstat(fd), there)
            && (made.st_dev, made.st_ino) == (there.st_dev, there.st_ino)
        {
            unlinkat(parent, name, AtFlags::empty()).unwrap_or(());
        }
    }
}

/// Ends pid 1, and every process with it, when it is dropped.
struct EndsAll;

impl Drop for EndsAll {
    fn drop(&mut self) {
        exit_now(125)
    }
}

/// Without a gateway no host is allowed.
fn nobody() -> HostRules {
    HostRules {
        allow: Vec::new().into(),
        deny: Vec::new().into(),
        base: Clause::built_in("network"),
    }
}

/// One call. Numbers are those of `arch/x86/entry/syscalls/syscall_64.tbl`.
fn perform(caller: &Caller<'_>) -> Answered {
    let here = place::HERE;
    match caller.call.number {
        2 => open::open(caller, here, (0, 1, 2)),
        85 => open::creat(caller),
        257 => open::open(caller, caller.int(0), (1, 2, 3)),
        83 => change::mkdir(caller, here, (0, 1)),
        258 => change::mkdir(caller, caller.int(0), (1, 2)),
        133 => change::mknod(caller, here, (0, 1, 2)),
        259 => change::mknod(caller, caller.int(0), (1, 2, 3)),
        86 => change::link(caller, (here, 0), (here, 1), 0),
        265 => change::link(caller, (caller.int(0), 1), (caller.int(2), 3), caller.bits(4)),
        88 => change::symlink(caller, 0, (here, 1)),
        266 => change::symlink(caller, 0, (caller.int(1), 2)),
        82 => change::rename(caller, (here, 0), (here, 1), 0),
        264 => change::rename(caller, (caller.int(0), 1), (caller.int(2), 3), 0),
        316 => change::rename(caller, (caller.int(0), 1), (caller.int(2), 3), caller.bits(4)),
        87 => change::unlink(caller, (here, 0), 0),
        263 => change::unlink(caller, (caller.int(0), 1), caller.bits(2)),
        84 => change::unlink(caller, (here, 0), AtFlags::REMOVEDIR.bits()),
        76 => attributes::truncate(caller),
        90 => attributes::chmod(caller, (here, 0), 1, 0),
        268 => attributes::chmod(caller, (caller.int(0), 1), 2, 0),
        452 => attributes::chmod(caller, (caller.int(0), 1), 2, caller.bits(3)),
        188 | 189 => attributes::set(caller),
        197 | 198 => attributes::remove(caller),
        91 => descriptor::fchmod(caller),
        190 => descriptor::set(caller),
        199 => descriptor::remove(caller),
        77 => descriptor::ftruncate(caller),
        285 => descriptor::fallocate(caller),
        72 => descriptor::set_flags(caller),
        42 => socket::connect(caller),
        49 => Ok(Reply::Alone),
        4 | 6 | 262 | 332 => look::stat(caller),
        21 | 269 | 439 => look::access(caller),
        89 | 267 => look::readlink(caller),
        // The filter hands nothing else over.
        _ => Err(Errno::NOSYS),
    }
}

/// One that came back as [`Reply::Alone`].
fn perform_alone(caller: &Caller<'_>) -> Answered {
    let here = place::HERE;
    match caller.call.number {
        49 => socket::bind(caller),
        82 => settings::rename(caller, (here, 0), (here, 1)),
        264 | 316 => settings::rename(caller, (caller.int(0), 1), (caller.int(2), 3)),
        _ => Err(Errno::NOSYS),
    }
}

/// What the kernel said.
fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The whole content of a small regular file; `TOOBIG` where there is more.
fn content(file: OwnedFd, bytes_max: u64) -> Result<Vec<u8>, Errno> {
    use io::Read;
    let mut bytes = Vec::new();
    let read = File::from(file).take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| errno(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        Ok(bytes)
    } else {
        Err(Errno::TOOBIG)
    }
}
