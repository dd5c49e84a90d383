//! `cofferdam audit`: what its commands take.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cofferdam_audit::{Filter, Moment};

pub(super) const AFTER: &str = "Examples:
  cofferdam audit show --last 20          what happened lately
  cofferdam audit verify                  is the record whole?";

const AFTER_SHOW: &str = "Examples:
  cofferdam audit show --last 20
  cofferdam audit show --failed --since 2h
  cofferdam audit show --kind name                which names were denied, by which rule
  cofferdam audit show --session 3f9a --full      all of one run, with its plan
  cofferdam audit show --kind refusal --kind exit --since 2026-11-01 --until 2026-12-01
  cofferdam audit show --json | jq .event.kind

A line that does not verify begins with `!`, and is shown whatever the filters say.

Exit status: 0, 1 where the chain does not hold, 125 where the log cannot be read.";

const AFTER_VERIFY: &str = "Examples:
  cofferdam audit verify                  the log of this user
  cofferdam audit verify --json run.jsonl

Exit status: 0, or 1 where the chain does not hold.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Show what happened, oldest first; exit 1 when the chain does not hold
    #[command(after_help = AFTER_SHOW)]
    Show(Show),
    /// Check the hash chain; exit 1 when it does not hold
    #[command(after_help = AFTER_VERIFY)]
    Verify {
        /// The log; the one in the state directory by default
        file: Option<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which log, which of its records, and how.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Show {
    /// The log; the one in the state directory by default
    pub(in crate::cli) file: Option<PathBuf>,
    /// Only of sessions whose name begins so
    #[arg(long, value_name = "PREFIX", value_parser = session)]
    session: Option<String>,
    /// Only events of this kind, such as start, exit or refusal. May be given more than once
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<String>,
    /// Not before: RFC 3339, a day (UTC), or how long ago (30m, 2h, 3d)
    #[arg(long, value_name = "WHEN")]
    since: Option<Moment>,
    /// Not after: the same forms
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// Only the last N of them
    #[arg(long, value_name = "N", value_parser = number)]
    pub(in crate::cli) last: Option<u64>,
    /// Only what went wrong: refusals, denials, ends that are not 0, kills
    #[arg(long)]
    failed: bool,
    /// The whole record, with everything that was read and decided
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) full: bool,
    /// The records as they stand in the log, one a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl Show {
    /// `None` where no time can be both.
    pub(in crate::cli) fn filter(&self) -> Option<Filter> {
        let crossed = self.since.zip(self.until).is_some_and(|(since, until)| since > until);
        (!crossed).then(|| Filter {
            session: self.session.clone().unwrap_or_default(),
            kinds: self.kinds.clone(),
            since: self.since,
            until: self.until,
            failed: self.failed,
        })
    }
}

fn session(words: &str) -> Result<String, &'static str> {
    let hexadecimal = words.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hexadecimal && (1..=32).contains(&words.len()) {
        return Ok(words.to_owned());
    }
    Err("a session begins with 1 to 32 of the letters 0-9 and a-f")
}

fn kind(words: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if !words.is_empty() && words.bytes().all(plain) {
        return Ok(words.to_owned());
    }
    Err("a kind is a word in small letters, such as refusal")
}

fn number(words: &str) -> Result<u64, &'static str> {
    words.parse().ok().filter(|number| *number > 0).ok_or("it is a number of records, from 1")
}
