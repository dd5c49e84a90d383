//! `cofferdam trust`.

use std::path::PathBuf;

use clap::Args;

pub(super) const AFTER: &str = "Examples:
  cofferdam trust                         what does this project's policy change? then: yes
  cofferdam trust ~/src/app
  cofferdam trust --json                  the same to look at; nothing is asked
  cofferdam trust --list
  cofferdam trust --remove ~/src/app

Only what was read is trusted: when .cofferdam/policy.toml changes, nothing runs there before you
have read it again. It is asked on a terminal (/dev/tty), and nowhere else.

Exit status: 0, or 125 where nothing is trusted.";

/// Whom to trust.
#[derive(Args, Debug)]
pub(in crate::cli) struct Trust {
    /// The project; the one of the working directory by default
    pub(in crate::cli) dir: Option<PathBuf>,
    /// Say which projects are trusted; none of them is looked at
    #[arg(long, conflicts_with_all = ["dir", "remove"])]
    pub(in crate::cli) list: bool,
    /// Trust it no more; the directory need not exist any more
    #[arg(long)]
    pub(in crate::cli) remove: bool,
    /// Answer in JSON, and ask nothing
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
