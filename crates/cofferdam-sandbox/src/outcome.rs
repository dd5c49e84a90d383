//! How a sandbox ended, and the exit status that says so.

use std::path::PathBuf;

use crate::limits::Hit;

/// How the workload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with this status.
    Exited(u8),
    /// A signal ended it.
    Signaled(u8),
    /// The program could not be started: `errno(3)`.
    NotStarted(i32),
    /// A guarding mount fell, and the workload was killed for it.
    Killed {
        /// The mount.
        fallen: PathBuf,
    },
    /// The person ended the sandbox with a signal: by asking again, or once the workload had ended
    /// and what it wrote was not taken.
    Ended(u8),
    /// A step after the start failed; the workload did not run.
    Failed {
        /// What init was doing.
        doing: String,
        /// `errno(3)`.
        errno: i32,
    },
    /// What it wrote could not be passed on (a full disk): whatever it ended with, a part is lost.
    OutputLost {
        /// `standard output` or `standard error`.
        stream: &'static str,
        /// `errno(3)`.
        errno: i32,
        /// The status it ended with itself.
        status: u8,
        /// Limits that it ran into.
        hits: Vec<Hit>,
    },
    /// It ran into limits, and ended with this status: 137 where a limit ended it.
    Limited {
        /// The status.
        status: u8,
        /// Which limits; at least one.
        hits: Vec<Hit>,
    },
    /// Init went away without a word: killed from outside.
    Lost,
}

impl Outcome {
    /// The limits that were met, as far as the kernel tells.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        if let Self::Limited { hits, .. } | Self::OutputLost { hits, .. } = self {
            hits
        } else {
            &[]
        }
    }

    /// The exit status, as `env(1)` and container tools give it.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Exited(status) | Self::Limited { status, .. } => *status,
            Self::Signaled(signal) | Self::Ended(signal) => 128 | *signal,
            Self::NotStarted(2) => 127,
            Self::NotStarted(_) => 126,
            Self::Killed { .. } => 137,
            Self::Failed { .. } | Self::OutputLost { .. } | Self::Lost => 125,
        }
    }
}
