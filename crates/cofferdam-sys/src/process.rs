//! Processes and namespaces, for single-threaded callers.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// A set of namespaces for [`unshare`]; never file tables or memory, so the call is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(libc::c_int);

impl Namespaces {
    /// A user namespace (`user_namespaces(7)`, Linux 3.8).
    pub const USER: Self = Self(libc::CLONE_NEWUSER);
    /// A mount namespace.
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS);
    /// A network namespace.
    pub const NETWORK: Self = Self(libc::CLONE_NEWNET);
    /// A pid namespace.
    pub const PID: Self = Self(libc::CLONE_NEWPID);
    /// An IPC namespace.
    pub const IPC: Self = Self(libc::CLONE_NEWIPC);
    /// A namespace of the machine's name.
    pub const UTS: Self = Self(libc::CLONE_NEWUTS);
    /// A cgroup namespace (Linux 4.6).
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP);
    /// Mount, pid, IPC, UTS and cgroup namespaces (the last: Linux 4.6).
    pub const OTHERS: Self = Self(
        libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP,
    );
}

/// Enters new namespaces (`unshare(2)`); a pid namespace takes the next child.
///
/// # Errors
/// `EPERM`: forbidden here (a sysctl, AppArmor, an outer filter). `ENOSPC` or `EUSERS`: the limit
/// on namespaces or their depth. `EINVAL`: the caller has threads.
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    // SAFETY: the flags only name namespaces: no memory or file table is unshared.
    let answer = unsafe { libc::unshare(namespaces.0) };
    check(answer.into()).map(drop)
}

/// Gives the calling thread a working directory and a umask of its own (`unshare(2)`, `CLONE_FS`).
///
/// # Errors
/// `EPERM`: a filter.
pub fn own_directory() -> io::Result<()> {
    // SAFETY: what threads share of memory and files stays shared.
    let answer = unsafe { libc::unshare(libc::CLONE_FS) };
    check(answer.into()).map(drop)
}

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The new process.
    Child,
    /// The one that forked; the new process's pid as the caller sees it.
    Parent(libc::pid_t),
}

/// Whose child the new process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// The caller's.
    Child,
    /// The caller's, in a user namespace of its own (`CLONE_NEWUSER`).
    ChildElsewhere,
    /// The caller's parent's (`CLONE_PARENT`): the caller may go away.
    Sibling,
}

/// Forks (`clone(2)` without shared memory). The caller is single-threaded: no lock of another
/// thread can be held in the child.
///
/// # Errors
/// `EAGAIN`: the limit on processes. `EINVAL`: [`Kin::Sibling`] asked by a pid 1. Those of
/// [`unshare`] for [`Kin::ChildElsewhere`].
pub fn fork(kin: Kin) -> io::Result<Forked> {
    let flags = match kin {
        Kin::Child => libc::SIGCHLD,
        Kin::ChildElsewhere => libc::SIGCHLD | libc::CLONE_NEWUSER,
        Kin::Sibling => libc::SIGCHLD | libc::CLONE_PARENT,
    };
    // SAFETY: without CLONE_VM and with a null stack this is fork(2): the child gets a copy of
    // memory and goes on here; the other pointers are unused with these flags.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags),
            0_usize,
            0_usize,
            0_usize,
            0_usize,
        )
    };
    let pid = libc::pid_t::try_from(check(answer)?).map_err(io::Error::other)?;
    Ok(if pid == 0 { Forked::Child } else { Forked::Parent(pid) })
}

/// Becomes another program (`execve(2)`). Comes back only with the reason why not.
#[must_use]
pub fn execve(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with null and point at C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Kills every process that this one may signal, but for itself (`kill(2)`, `kill(-1, SIGKILL)`). For who is
/// in a Landlock domain with a scope for signals alone: those are its own then.
///
/// # Errors
/// `ESRCH`: there is none.
pub fn kill_all_in_scope() -> io::Result<()> {
    // SAFETY: the call takes two integers.
    check(unsafe { libc::kill(-1, libc::SIGKILL) }.into()).map(drop)
}

/// Ends the process at once, without unwinding or exit functions (`_exit(2)`).
pub fn exit_now(status: u8) -> ! {
    // SAFETY: the call takes an integer and does not come back.
    unsafe { libc::_exit(status.into()) }
}

/// Marks every descriptor from `first` on close-on-exec (`close_range(2)`, Linux 5.11).
///
/// # Errors
/// `ENOSYS` or `EINVAL` before Linux 5.11.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: three integers; with CLOEXEC no descriptor is closed here, so none that is owned
    // elsewhere in this process goes away under its owner.
    let answer = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    check(answer).map(drop)
}

/// Closes every descriptor from `first` on (`close_range(2)`, Linux 5.9). For the first moment of a
/// program: nobody owns one of them yet.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: three integers. Descriptors that are owned in this process would go away under their
    // owners; the caller has opened none.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    check(answer).map(drop)
}

/// Gives a signal its default action again (`signal(2)`): Rust ignores `SIGPIPE`, and an ignored
/// signal stays ignored over `execve(2)`.
///
/// # Errors
/// `EINVAL`: no such signal, or one that cannot be changed.
pub fn default_action(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: SIG_DFL installs no code of ours.
    let answer = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if answer == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ignores a signal from here on (`signal(2)`).
///
/// # Errors
/// `EINVAL`: no such signal, or one that cannot be changed.
pub fn ignore(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: SIG_IGN installs no code of ours.
    let answer = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if answer == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Brings the loopback interface of this network namespace up (`netdevice(7)`).
///
/// # Errors
/// `EPERM`: no `CAP_NET_ADMIN` in this namespace's user namespace. `ENODEV`: no `lo`.
pub fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(c"lo".to_bytes_with_nul()) {
        *to = libc::c_char::try_from(*from).map_err(io::Error::other)?;
    }
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING)
        .map_err(io::Error::other)?;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which `request` is.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(answer.into()).map(drop)
}

/// Keeps `signal` pending instead of delivering it, and gives a descriptor that becomes readable
/// when it is pending (`sigprocmask(2)` is [`set_blocked`]; this is `signalfd(2)`, Linux 2.6.27).
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn signal_fd(signals: &SignalSet) -> io::Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is initialised and only read; -1 asks for a new descriptor.
    let answer = unsafe { libc::signalfd(-1, &raw const signals.0, flags) };
    let fd = crate::new_fd(answer.into())?;
    // SAFETY: the kernel has just created `fd` for this call, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl std::fmt::Debug for SignalSet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SignalSet(..)")
    }
}

impl SignalSet {
    /// No signal.
    #[must_use]
    pub fn empty() -> Self {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the whole set that the pointer names; it cannot fail.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialised by the line above.
        Self(unsafe { set.assume_init() })
    }

    /// This set and `signal`; a number that is no signal is left out.
    #[must_use]
    pub fn with(mut self, signal: libc::c_int) -> Self {
        // SAFETY: the set is initialised; a bad number is refused with EINVAL and changes nothing.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }
}

/// Blocks exactly `signals` in the calling thread (`sigprocmask(2)`); gives the set before.
///
/// # Errors
/// None that a valid set can meet.
pub fn set_blocked(signals: &SignalSet) -> io::Result<SignalSet> {
    let mut before = SignalSet::empty();
    // SAFETY: both sets are initialised; one is only read, the other is ours to write.
    let answer = unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const signals.0, &raw mut before.0)
    };
    if answer == 0 { Ok(before) } else { Err(io::Error::from_raw_os_error(answer)) }
}

/// Lets `signals` through in the calling thread (`sigprocmask(2)`): one that is pending is delivered
/// before this comes back. Gives the set that was blocked before.
///
/// # Errors
/// None that a valid set can meet.
pub fn unblock(signals: &SignalSet) -> io::Result<SignalSet> {
    let mut before = SignalSet::empty();
    // SAFETY: both sets are initialised; one is only read, the other is ours to write.
    let answer = unsafe {
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const signals.0, &raw mut before.0)
    };
    if answer == 0 { Ok(before) } else { Err(io::Error::from_raw_os_error(answer)) }
}
