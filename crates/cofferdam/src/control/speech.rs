//! What a session and those who ask it say to each other: one JSON object a line.
//!
//! Both are of this user's, and may be of different builds: what is not understood is refused, never
//! guessed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::refused::Refused;

/// Longest line of either side. Bytes.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest line that a session reads: a path, mostly. Bytes.
pub(super) const ASKED_BYTES_MAX: usize = 16 << 10;
/// Words of a command that are told: more tell no more. Letters.
const COMMAND_LETTERS_MAX: usize = 200;

/// What a session is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Ask {
    /// Who are you?
    Describe {},
    /// Have this policy hold.
    Apply {
        /// Its file, absolute.
        file: PathBuf,
        /// How an error is to be drawn.
        drawn: Drawn,
    },
    /// What is asked for?
    Questions {},
    /// The same, and again whenever it changes.
    Watch {},
    /// What a person says to a question.
    Answer {
        /// Which one.
        id: u64,
        /// Whether it may be.
        allowed: bool,
    },
    /// This credential is worth nothing from here on.
    Revoke {
        /// Its name.
        credential: String,
    },
    /// The secret of this credential is another one by now.
    Rotate {
        /// Its name.
        credential: String,
    },
}

/// How an error is drawn for the terminal of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Whether it takes colors.
    pub color: bool,
    /// Its columns.
    pub columns: usize,
}

/// What a session says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Reply {
    /// This is it.
    Session(Box<Running>),
    /// The policy holds from here on.
    Live {
        /// The number of its rules.
        generation: u32,
        /// How many of them allow a host.
        rules: usize,
    },
    /// The policy cannot hold while the session runs; the one before it does.
    Restart {
        /// What of it cannot: one thing each.
        because: Vec<String>,
    },
    /// It was refused, and nothing changed.
    Refused(Box<Told>),
    /// What is asked for, oldest first.
    Questions {
        /// Each of them.
        open: Vec<Asked>,
    },
    /// The gateway is told of this credential.
    Told {
        /// Its name.
        credential: String,
    },
    /// The answer was taken.
    Answered {
        /// To which question.
        id: u64,
        /// What it was.
        allowed: bool,
    },
}

/// A session that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its name: 32 letters.
    pub id: String,
    /// The process that holds it.
    pub pid: u32,
    /// When it was started (RFC 3339).
    pub since: String,
    /// What runs in it, shortened.
    pub command: String,
    /// The policy's file, or `built-in`.
    pub policy: String,
    /// The number of the rules that hold; those of the start are 0.
    pub generation: u32,
    /// Whether it asks about what no rule allows.
    pub approve: bool,
    /// Names of its credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
}

/// A question that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its number in the session.
    pub id: u64,
    /// For whom it is.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// What is spoken.
    pub protocol: String,
    /// The method, where requests are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How long an answer is waited for. Seconds.
    pub seconds_left: u64,
}

/// A refusal, as it is said elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Stable name.
    pub code: String,
    /// What and why.
    pub message: String,
    /// The next thing to do.
    pub hint: String,
    /// The policy's file, where the fault is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line there, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The letter there, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// As it is drawn.
    pub drawn: String,
}

impl Told {
    /// What `refused` is, drawn as `drawn` says.
    pub(super) fn of(refused: &Refused, drawn: Drawn) -> Self {
        let error = if let Refused::Policy(error) = refused { Some(error) } else { None };
        let file = error.and_then(|error| error.file()).map(ToOwned::to_owned);
        let line = error.and_then(|error| error.line());
        let column = error.and_then(|error| error.column());
        Self {
            code: refused.code().into(),
            message: refused.to_string(),
            hint: refused.hint(),
            file,
            line,
            column,
            drawn: refused.drawn(drawn.color, drawn.columns),
        }
    }
}

/// A command in one line, shortened.
pub(super) fn command(words: impl IntoIterator<Item = String>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
        if line.len() > COMMAND_LETTERS_MAX * 4 {
            break;
        }
    }
    if line.chars().count() <= COMMAND_LETTERS_MAX {
        return line;
    }
    line.chars().take(COMMAND_LETTERS_MAX).chain(['…']).collect()
}

/// A line of `value`. A value that cannot be written is none of ours.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
