//! What engine and init say to each other on their socketpair, one message a packet.

use std::path::PathBuf;

/// From init to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Pid 1 of the sandbox exists; a sibling of init's first process, so a child of the engine.
    Forked {
        /// Its pid as the engine sees it.
        pid: u32,
    },
    /// Every step of `setup` is done; the workload waits for [`Order::Go`].
    Ready {
        /// [`crate::BUILD`] of init.
        build: String,
        /// How many mounts are watched.
        watched: u32,
    },
    /// A step failed; nothing of the workload ran.
    Failed {
        /// Index in `Plan::setup`; its length for the exec.
        step: u32,
        /// What init was doing, for a person.
        doing: String,
        /// `errno(3)`, 0 where no system call failed.
        errno: i32,
    },
    /// The program could not be started.
    NotStarted {
        /// `errno(3)` of `execve(2)`.
        errno: i32,
    },
    /// A guarding mount is gone.
    Fell {
        /// Where it was.
        path: PathBuf,
        /// Whether the workload is killed for it.
        kills: bool,
    },
    /// The other end of the sandbox's terminal comes with this packet (`unix(7)`, `SCM_RIGHTS`).
    Terminal,
    /// A signal stopped the workload: job control of its terminal, mostly.
    Stopped {
        /// The signal.
        signal: u8,
    },
    /// The workload ended.
    Exited {
        /// The exit status, or 128 and the signal.
        status: u8,
        /// The signal that ended it, 0 for none.
        signal: u8,
    },
}

/// From the engine to init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The start is on record: run the workload.
    Go,
    /// The workload's process group is the one that the sandbox's terminal hears from here on, and
    /// goes on: it had stopped to ask for that.
    Foreground,
    /// Send a signal to the workload's process group.
    Signal {
        /// The number, 1 to 31.
        number: u8,
    },
}
