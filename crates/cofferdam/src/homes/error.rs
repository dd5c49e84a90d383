//! What can be wrong with a kept home.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::system_words;

/// Why a kept home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Something of ours is another's, or others may enter it.
    #[error("{} is not this user's alone: owner {owner}, mode {mode:04o}", path.display())]
    NotOurs {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Something else stands where a directory of ours should be.
    #[error("{} is no directory", path.display())]
    NoDirectory {
        /// Where.
        path: PathBuf,
    },
    /// Sandboxes use it.
    #[error("the home of {} is in use", workspace.display())]
    InUse {
        /// Whose home.
        workspace: PathBuf,
    },
    /// There is none.
    #[error("no home is kept for {}", workspace.display())]
    Unknown {
        /// Whose home.
        workspace: PathBuf,
    },
    /// What the workload must never change lies in it.
    #[error("{} lies in the kept home, which the workload may change", path.display())]
    Holds {
        /// What.
        path: PathBuf,
    },
    /// A run left something in the home where a tree of the view must appear.
    #[error("in the kept home something is in the way of {}: {}", path.display(), system_words(source))]
    InTheWay {
        /// The tree.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot {doing} the kept home {}", path.display())]
    System {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl HomeError {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotOurs { .. } => "home-not-ours",
            Self::NoDirectory { .. } => "home-no-directory",
            Self::InUse { .. } => "home-in-use",
            Self::Unknown { .. } => "home-not-kept",
            Self::Holds { .. } => "home-holds-ours",
            Self::InTheWay { .. } => "home-in-the-way",
            Self::System { .. } => "home-system",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotOurs { path, .. } => {
                let path = path.display();
                format!("make it yours alone: chmod go-rwx {path}, and chown it to yourself")
            }
            Self::NoDirectory { .. } => "look at what it is, and move it away".into(),
            Self::InUse { .. } => "end the sandboxes that run in that workspace first".into(),
            Self::Unknown { .. } => "`cofferdam home list` names those that are kept".into(),
            Self::Holds { .. } => "move it out of the state directory, and name it there".into(),
            Self::InTheWay { .. } => {
                "start that workspace's home afresh: cofferdam home reset WORKSPACE".into()
            }
            Self::System { source, .. } => {
                format!("the system said: {}; or write home = \"private\"", system_words(source))
            }
        }
    }
}

pub(super) fn system(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> HomeError {
    move |source| HomeError::System { doing, path: path.to_owned(), source }
}
