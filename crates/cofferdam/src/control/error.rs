//! What can be wrong between a person and a session that runs.

use std::io;
use std::path::PathBuf;

use super::speech::Running;
use crate::audit::system_words;

/// Sessions that a message names; `cofferdam sessions` names all.
const NAMED_MAX: usize = 3;
/// Letters of a line that names one.
const LINE_LETTERS_MAX: usize = 76;

/// Why a session did not do what it was asked, or was not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Too few letters, or others than a name has.
    #[error("`{asked}` is no beginning of a session's name: 4 letters or more of 0-9 and a-f")]
    Prefix {
        /// What was asked for.
        asked: String,
    },
    /// No session has this name, or none runs.
    #[error("{}", match asked {
        Some(asked) => format!("no session that runs has a name that begins with `{asked}`"),
        None => "no session runs that can be asked".to_owned(),
    })]
    Unknown {
        /// What was asked for; `None` for the only one.
        asked: Option<String>,
        /// What runs.
        running: Vec<Running>,
    },
    /// Several could be meant.
    #[error("{} sessions could be meant", running.len())]
    Several {
        /// Those.
        running: Vec<Running>,
    },
    /// The directory of control sockets cannot be used.
    #[error("cannot use the control sockets in {}: {}", path.display(), system_words(source))]
    Place {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The session went away, or says what this build does not understand.
    #[error("the session gave no answer: {}", system_words(source))]
    Lost {
        /// What the system said.
        source: io::Error,
    },
    /// Who asks is another user.
    #[error("user {uid} may not ask a session of another user's")]
    Another {
        /// Who asked.
        uid: u32,
    },
    /// The session does not understand what it is asked.
    #[error("the session does not understand this: it is of another build")]
    Build,
    /// The policy's file cannot be read by the session.
    #[error("the session cannot read the policy {}: {}", path.display(), system_words(source))]
    Unread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The workload may have written the policy.
    #[error("the workload may write {}, so what it says may be the workload's word", path.display())]
    Reachable {
        /// The file, or a link on the way to it.
        path: PathBuf,
    },
    /// The gateway did not take the rules.
    #[error("the gateway did not take the new rules: it does not read, or is gone")]
    NotTaken,
    /// The gateway took the rules, and does not say that they hold.
    #[error("the gateway has not said in time that the new rules hold")]
    NotConfirmed,
    /// The change could not be put on record.
    #[error("no record, no action: the change cannot be written to the audit log")]
    NotRecorded,
    /// Nothing of that number is asked for.
    #[error("question {id} is not open: it was answered, or is too late")]
    NoQuestion {
        /// The number.
        id: u64,
    },
    /// The session has no such credential.
    #[error("the session has no credential `{name}`")]
    NoCredential {
        /// What was asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The session asks nobody.
    #[error("the session asks nobody: what no rule allows is refused")]
    NotAsking,
    /// There is no terminal to ask on.
    #[error("a person is asked on a terminal, and there is none")]
    NoTerminal,
}

impl SessionError {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Prefix { .. } => "session-prefix",
            Self::Unknown { .. } => "session-unknown",
            Self::Several { .. } => "session-ambiguous",
            Self::Place { .. } => "control-place",
            Self::Lost { .. } => "session-lost",
            Self::Another { .. } => "session-of-another",
            Self::Build => "session-build",
            Self::Unread { .. } => "policy-unread",
            Self::Reachable { .. } => "policy-reachable",
            Self::NotTaken => "rules-not-taken",
            Self::NotConfirmed => "rules-not-confirmed",
            Self::NotRecorded => "change-unrecorded",
            Self::NoQuestion { .. } => "no-question",
            Self::NoCredential { .. } => "no-credential",
            Self::NotAsking => "not-asking",
            Self::NoTerminal => "no-terminal-to-ask",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Prefix { .. } | Self::Several { .. } => {
                "name one of them: `cofferdam sessions` lists all".into()
            }
            Self::Unknown { running, .. } if running.is_empty() => {
                "one with an open network can be asked: cofferdam run --allow HOST -- CMD".into()
            }
            Self::Unknown { .. } => "name one of these: `cofferdam sessions` lists all".into(),
            Self::Place { .. } => {
                "make it yours alone: a directory of your own, mode 0700, without links".into()
            }
            Self::Lost { .. } => "`cofferdam sessions` says whether it still runs".into(),
            Self::Another { .. } => "ask as its own user, or as root".into(),
            Self::Build => "use the `cofferdam` that started it".into(),
            Self::Unread { .. } => "name a regular file that the session's user can read".into(),
            Self::Reachable { .. } => {
                "read it, put a copy outside of what the workload may write, and apply that".into()
            }
            Self::NotTaken | Self::NotConfirmed => {
                "`cofferdam audit show` says what the gateway did; apply it again".into()
            }
            Self::NotRecorded => "make room where the audit log is".into(),
            Self::NoQuestion { .. } => "cofferdam approve --list names those that are open".into(),
            Self::NoCredential { known, .. } if known.is_empty() => {
                "its policy has no [credentials]".into()
            }
            Self::NoCredential { known, .. } => format!("it has: {}", known.join(", ")),
            Self::NotAsking => "start it with --approve".into(),
            Self::NoTerminal => {
                "in a script: cofferdam approve SESSION --list, --yes ID, --no ID".into()
            }
        }
    }

    /// The sessions that a message names, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (Self::Unknown { running, .. } | Self::Several { running }) = self else {
            return Vec::new();
        };
        let mut lines: Vec<String> = running.iter().take(NAMED_MAX).map(line).collect();
        if let Some(more) = running.len().checked_sub(NAMED_MAX).filter(|more| *more > 0)
            && let Some(last) = lines.last_mut()
        {
            *last = format!("  and {} more", more + 1);
        }
        lines
    }
}

/// A session in one line.
fn line(session: &Running) -> String {
    let Running { id, pid, since, command, .. } = session;
    let id = id.get(..12).unwrap_or(id);
    let since = since.get(..19).unwrap_or(since);
    let line = format!("  {id}  pid {pid}  since {since}Z  {}", super::prompt::plain(command));
    line.chars().take(LINE_LETTERS_MAX).collect()
}
