//! Signals that a person or a supervisor sends to `cofferdam run` go to the workload.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cofferdam_sys::process::{SignalSet, ignore, set_blocked, signal_fd};
use cofferdam_sys::question::is_ignored;

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM`; and of jobs and terminals `SIGCONT`, `SIGTSTP`,
/// `SIGWINCH` (`signal(7)`).
const FORWARDED: [i32; 7] = [1, 2, 3, 15, 18, 20, 28];

/// The signals, while they are forwarded. Afterwards they do what they did before: a note that
/// nobody reads must not keep a person's Ctrl-C from ending us.
#[derive(Debug)]
pub(super) struct Forwarded {
    fd: OwnedFd,
    before: SignalSet,
}

impl AsFd for Forwarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        drop(set_blocked(&self.before));
    }
}

/// `SIGXFSZ`: sent to who writes beyond the caller's own `ulimit -f`.
const FILE_TOO_LONG: i32 = 25;

/// Lets a log that has reached the caller's own limit on file sizes be an error like a full disk,
/// and not our death. Init gives the workload the default action again.
pub(super) fn survive_long_files() {
    // It cannot fail: the signal exists and can be ignored.
    ignore(FILE_TOO_LONG).unwrap_or(());
}

/// Blocks the signals and gives a descriptor that delivers them. `None` where the kernel refuses:
/// they then end cofferdam at once, and the sandbox with it.
///
/// What the caller ignores stays ignored, by us and by the workload that inherits it: `nohup(1)`
/// ignores `SIGHUP`, and `&` in a script `SIGINT` and `SIGQUIT`. Blocked, it would be delivered all
/// the same.
pub(super) fn forwarded() -> Option<Forwarded> {
    let heard = FORWARDED.into_iter().filter(|signal| !is_ignored(*signal).unwrap_or(false));
    let signals = heard.fold(SignalSet::empty(), SignalSet::with);
    let fd = signal_fd(&signals).ok()?;
    let before = set_blocked(&signals).ok()?;
    Some(Forwarded { fd, before })
}
