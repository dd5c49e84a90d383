//! Signals that a person or a supervisor sends to `cofferdam run` go to the workload.

use std::os::fd::OwnedFd;

use cofferdam_sys::process::{SignalSet, set_blocked, signal_fd};

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM` (`signal(7)`).
const FORWARDED: [i32; 4] = [1, 2, 3, 15];

/// Blocks the signals and gives a descriptor that delivers them. `None` where the kernel refuses:
/// they then end cofferdam at once, and the sandbox with it.
pub(super) fn forwarded() -> Option<OwnedFd> {
    let signals = FORWARDED.into_iter().fold(SignalSet::empty(), SignalSet::with);
    let fd = signal_fd(&signals).ok()?;
    set_blocked(&signals).ok()?;
    Some(fd)
}
