//! Why a project's policy does not hold, or is not trusted.

use std::io;
use std::path::{Path, PathBuf};

use cofferdam_audit::system_words;
use rustix::io::Errno;

/// One situation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedError {
    /// The text is not the one that was trusted.
    #[error("the policy of the project {} is not the one that you trusted", project.display())]
    Changed {
        /// The project.
        project: PathBuf,
    },
    /// There is nothing to trust.
    #[error("{} is in no project with a policy", path.display())]
    NoProject {
        /// Where somebody looked.
        path: PathBuf,
    },
    /// Nothing to take back.
    #[error("{} is not trusted", path.display())]
    NotTrusted {
        /// The project.
        path: PathBuf,
    },
    /// It cannot be read, or is no file.
    #[error("cannot read the project's policy {}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody is there to be asked.
    #[error("there is no terminal to ask at, so nothing is trusted")]
    NoTerminal,
    /// The person did not say `yes`.
    #[error("you did not type `yes`, so nothing is trusted")]
    Declined,
    /// Others could change what is trusted.
    #[error("what is trusted is not yours alone: {}: owner {owner}, mode {mode:04o}", path.display())]
    NotOurs {
        /// The directory of the store.
        path: PathBuf,
        /// Its owner, or that of a file in it.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A file of the store that this program did not write.
    #[error("what is trusted cannot be told: a file in {} is broken", path.display())]
    Broken {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}, where what is trusted is kept", path.display())]
    System {
        /// What it was doing.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl TrustedError {
    pub(super) fn system(doing: &'static str, path: &Path, error: Errno) -> Self {
        Self::System { doing, path: path.to_owned(), source: error.into() }
    }

    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "project-changed",
            Self::NoProject { .. } => "no-project",
            Self::NotTrusted { .. } => "project-not-trusted",
            Self::Unread { .. } => "project-unread",
            Self::NoTerminal => "trust-no-terminal",
            Self::Declined => "trust-declined",
            Self::NotOurs { .. } => "trust-shared",
            Self::Broken { .. } => "trust-broken",
            Self::System { .. } => "trust-store",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Changed { .. } => {
                "read what it says now: cofferdam trust; or run without it and \
                 what it hides: --no-project"
                    .into()
            }
            Self::NoProject { .. } => {
                "cd into the project, or write a policy: cofferdam policy init".into()
            }
            Self::NotTrusted { .. } => "see what is: cofferdam trust --list".into(),
            Self::Unread { source, .. } => {
                format!("{}; a project's policy is a file of its own", system_words(source))
            }
            Self::NoTerminal => "read and trust it at a terminal; to look alone: --json".into(),
            Self::Declined => "read it again, or run without it".into(),
            Self::NotOurs { path, .. } => {
                format!("see who changed it, then remove it: {}", path.display())
            }
            Self::Broken { path } => format!("remove it, and trust again: {}", path.display()),
            Self::System { source, .. } => {
                format!("the system said: {}; repair it", system_words(source))
            }
        }
    }
}
