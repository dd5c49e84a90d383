//! `cofferdam audit`: what its commands take.

use std::path::PathBuf;

use clap::Subcommand;

pub(super) const AFTER: &str = "Examples:
  cofferdam audit verify                  is the record whole?";

const AFTER_VERIFY: &str = "Examples:
  cofferdam audit verify                  the log of this user
  cofferdam audit verify --json run.jsonl";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
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
