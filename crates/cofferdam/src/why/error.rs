//! Questions that cannot be answered.

use std::path::PathBuf;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhyError {
    /// The first word is no question.
    #[error("`{asked}` is neither a question nor the number of an event")]
    Question {
        /// The word.
        asked: String,
        /// The question that it may have been.
        nearest: Option<String>,
    },
    /// Words are missing, or too many.
    #[error("`why {question}` takes {form}")]
    Words {
        /// The question.
        question: &'static str,
        /// What it takes.
        form: &'static str,
    },
    /// No host can be called so.
    #[error("`{asked}` is no host: {why}")]
    Host {
        /// What was asked.
        asked: String,
        /// Why not.
        why: String,
    },
    /// The policy has no such credential.
    #[error("the policy has no credential `{asked}`")]
    Credential {
        /// What was asked.
        asked: String,
        /// One that it may have been.
        nearest: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The log has no event of this number.
    #[error("{} has no event {number}", log.display())]
    NoEvent {
        /// The number.
        number: u64,
        /// The log.
        log: PathBuf,
    },
    /// A text is no event.
    #[error("{from} holds no event: {why}")]
    NoRecord {
        /// The file, or `standard input`.
        from: String,
        /// What was wrong.
        why: String,
    },
}

impl WhyError {
    /// Stable name for scripts. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Question { .. } => "why-question",
            Self::Words { .. } => "why-words",
            Self::Host { .. } => "why-host",
            Self::Credential { .. } => "why-credential",
            Self::NoEvent { .. } => "why-no-event",
            Self::NoRecord { .. } => "why-no-record",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Question { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Question { nearest: None, .. } => {
                "ask read, write, create, delete, exec, connect or use, or name an event: cofferdam \
                 why --help"
                    .into()
            }
            Self::Words { question, .. } => format!("as in: cofferdam why {}", example(question)),
            Self::Host { .. } => {
                "name a host, or an address, and perhaps a port: api.example.com:443".into()
            }
            Self::Credential { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Credential { known, .. } if known.is_empty() => {
                "it has none: [credentials.NAME] makes one".into()
            }
            Self::Credential { known, .. } => format!("it has {}", known.join(", ")),
            Self::NoEvent { .. } => {
                "`cofferdam audit show --json` shows each with its number, `seq`".into()
            }
            Self::NoRecord { .. } => {
                "give one line of `cofferdam audit show --json`, or its `event` alone".into()
            }
        }
    }
}

/// A whole question.
fn example(question: &str) -> &'static str {
    match question {
        "connect" => "connect api.example.com:443 GET /v1/models",
        "use" => "use github api.github.com",
        "write" => "write .git/config",
        "create" => "create .envrc",
        "delete" => "delete Makefile",
        "exec" => "exec /usr/bin/make",
        _ => "read ~/.ssh/id_ed25519",
    }
}
