//! What every sandbox promises and a jail without namespaces cannot hold, by name: a policy may give each
//! of them up, one by one, and nothing gives one up by itself.

use crate::model::Clause;

/// A built-in clause that some jail does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Promise {
    /// What is not granted is absent.
    Absent,
    /// Other processes are not seen, and none of the sandbox's outlives it.
    Processes,
    /// `/tmp`, `/var/tmp` and `/dev/shm` are the sandbox's own.
    PrivatePlaces,
    /// The private places have a size.
    PrivateSize,
    /// The sandbox's processes are counted apart from those of its user.
    ProcessLimit,
    /// Times of files outside of what is granted stay.
    Times,
    /// No signal leaves.
    Signals,
    /// No abstract socket of the host's is reached.
    AbstractSockets,
}

impl Promise {
    /// Each of them, in the order in which a person reads of them.
    pub const ALL: [Self; 8] = [
        Self::Absent,
        Self::Processes,
        Self::PrivatePlaces,
        Self::PrivateSize,
        Self::ProcessLimit,
        Self::Times,
        Self::Signals,
        Self::AbstractSockets,
    ];

    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Processes => "processes",
            Self::PrivatePlaces => "private-places",
            Self::PrivateSize => "private-size",
            Self::ProcessLimit => "process-limit",
            Self::Times => "times",
            Self::Signals => "signals",
            Self::AbstractSockets => "abstract-sockets",
        }
    }

    /// What is promised.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Absent => "what is not granted is absent",
            Self::Processes => {
                "processes outside are not seen, and none of the sandbox's outlives it"
            }
            Self::PrivatePlaces => "/tmp, /var/tmp and /dev/shm are the sandbox's own",
            Self::PrivateSize => "the private places have a size",
            Self::ProcessLimit => {
                "the sandbox's processes are counted apart from its user's others"
            }
            Self::Times => "times of files that are not granted stay",
            Self::Signals => "no signal reaches a process outside",
            Self::AbstractSockets => "no abstract socket outside is reached",
        }
    }

    /// What is open where it is not held.
    #[must_use]
    pub const fn open(self) -> &'static str {
        match self {
            Self::Absent => {
                "what is not granted is denied, not absent: that it is there, its status, its attributes \
                 and where a link leads can be seen, and names and changes in it watched (inotify), those of \
                 terminals too"
            }
            Self::Processes => {
                "/proc can be read: the command lines of every process, the machine's connections, keys by \
                 name; and what is left when init itself is killed runs on, under its walls, where no \
                 control group ends it"
            }
            Self::PrivatePlaces => {
                "/tmp, /var/tmp and /dev/shm are denied: only TMPDIR, in the private home, is the \
                 sandbox's own"
            }
            Self::PrivateSize => {
                "the private home is a directory on the host's disk, without a limit"
            }
            Self::ProcessLimit => {
                "only the user's own limit holds, which all of their processes share"
            }
            Self::Times => {
                "the times of files that the workload's user owns can be set, granted or not \
                 (utimensat)"
            }
            Self::Signals => {
                "every process of this user can be signalled, init too: Landlock before ABI 6"
            }
            Self::AbstractSockets => {
                "every abstract socket of this machine can be connected to: Landlock before ABI 6"
            }
        }
    }
}

/// A promise that need not be held, with the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct BestEffort {
    /// Which.
    pub promise: Promise,
    /// The rule.
    pub clause: Clause,
}
