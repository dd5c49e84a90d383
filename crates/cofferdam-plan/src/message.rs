//! What engine and init, and engine and gateway, say to each other on their socketpairs, one message a
//! packet.

mod gateway;

use std::path::{Path, PathBuf};

use cofferdam_policy::judge::Because;
use cofferdam_policy::model::Clause;

pub use gateway::{
    ALARMS, Believed, Ended, FromGateway, HttpVersion, Lacking, Lent, Question, Requested, StandIn,
    ToGateway, Way, Went,
};

/// Most sockets that travel in one packet, from init to the engine and from there to the gateway: every
/// receiver has room for so many, and the kernel for 253 (`unix(7)`, `SCM_RIGHTS`).
pub const SOCKETS_MAX: usize = 64;

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
    /// Sockets for the gateway come with this packet, the next ones in the order of the plan.
    Sockets,
    /// The socket of the agent of ssh comes with this packet, for the gateway.
    Agent,
    /// The broker refused an operation on a name, or could not do it.
    Denied(Box<Denied>),
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

/// What the workload wanted to do with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Operation {
    /// See whether it is there.
    Look,
    /// Open it to read.
    Read,
    /// Open it to write.
    Write,
    /// Make it.
    Create,
    /// Remove it.
    Remove,
    /// Give it to something else, or the thing another name.
    Rename,
    /// Give the thing a further name.
    Link,
    /// Make the thing shorter.
    Cut,
    /// Change mode or attributes.
    Attributes,
    /// Bind a socket to it.
    Bind,
    /// Connect to the socket at it.
    Connect,
}

impl Operation {
    /// One word for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Cut => "cut",
            Self::Attributes => "attributes",
            Self::Bind => "bind",
            Self::Connect => "connect",
        }
    }
}

/// An operation on a name that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What was wanted.
    pub operation: Operation,
    /// With which name, absolute, for a person: what is not UTF-8 in it is replaced.
    pub path: String,
    /// The rule that decided; `broker` where it could not be done.
    pub clause: Clause,
    /// Why, for a person.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// `errno(3)` that the workload heard.
    pub errno: i32,
    /// How many like it this stands for, from 1.
    pub times: u64,
}

impl Denied {
    /// A rule refused it.
    #[must_use]
    pub fn by_rule(operation: Operation, path: &Path, clause: &Clause, because: Because) -> Self {
        Self {
            operation,
            path: path.display().to_string(),
            clause: clause.clone(),
            why: because.why().into(),
            fix: because.fix().into(),
            errno: because.errno(),
            times: 1,
        }
    }

    /// It could not be done.
    #[must_use]
    pub fn by_fault(operation: Operation, path: &str, errno: i32) -> Self {
        Self {
            operation,
            path: path.into(),
            clause: Clause::built_in("broker"),
            why: "it could not be done".into(),
            fix: String::new(),
            errno,
            times: 1,
        }
    }
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
