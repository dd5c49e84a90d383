//! `cofferdam sessions` and `cofferdam approve`.

use clap::{Args, Subcommand};

pub(super) const AFTER_SESSIONS: &str = "Examples:
  cofferdam sessions                      those of this user
  cofferdam sessions --json | jq -r .sessions[].id

A session whose network is closed cannot be asked anything, and is not listed.

Exit status: 0, or 125.";

pub(super) const AFTER_APPROVE: &str = "Examples:
  cofferdam approve                       the only session that asks, one question at a time
  cofferdam approve 3f9a                  the one whose name begins so
  cofferdam approve 3f9a --list           what is asked for, for a script
  cofferdam approve 3f9a --yes 7          allow what question 7 asks for

Only `y` and Enter allow. A yes is a rule of that session alone, on record with who gave it.

Exit status: 0, or 125.";

/// Which session, and what is said.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Approve {
    /// Beginning of its name, 4 letters or more; the only one that asks by default
    pub(in crate::cli) session: Option<String>,
    /// List what is asked for
    #[arg(long, conflicts_with_all = ["yes", "no"])]
    pub(in crate::cli) list: bool,
    /// Allow what this question asks for, until the session ends
    #[arg(long, value_name = "ID", conflicts_with = "no")]
    pub(in crate::cli) yes: Option<u64>,
    /// Refuse it
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) no: Option<u64>,
    /// Answer in JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

pub(super) const AFTER_CREDENTIALS: &str = "Examples:
  cofferdam sessions                       what runs, and whose identity it bears
  cofferdam credentials revoke npm         in the only session that runs
  cofferdam credentials revoke 3f9a npm    in the one whose name begins so
  cofferdam vault rotate npm && cofferdam credentials rotate npm

A revoked credential is worth nothing for the rest of the session: the next request is refused, and what
is under way is cut. What stands in for it inside stays the same when it is rotated.

Exit status: 0, or 125.";

const AFTER_REVOKE: &str = "Examples:
  cofferdam credentials revoke npm         in the only session that runs
  cofferdam credentials revoke 3f9a npm    in the one whose name begins so

Exit status: 0, or 125.";

const AFTER_ROTATE: &str = "Examples:
  cofferdam credentials rotate npm         after `cofferdam vault rotate npm`
  cofferdam credentials rotate 3f9a npm --json

Exit status: 0, or 125.";

/// What is done with a credential of a session that runs.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum CredentialsCommand {
    /// Make it worth nothing for the rest of the session
    #[command(after_help = AFTER_REVOKE)]
    Revoke(Credential),
    /// Read its secret again from where it comes
    #[command(after_help = AFTER_ROTATE)]
    Rotate(Credential),
}

/// Which session, and which credential.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Credential {
    /// [SESSION] NAME: the beginning of the session's name, 4 letters or more, and the credential's
    #[arg(required = true, num_args = 1..=2, value_name = "SESSION|NAME")]
    pub(in crate::cli) words: Vec<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
