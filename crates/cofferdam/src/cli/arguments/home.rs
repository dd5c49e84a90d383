//! `cofferdam home`.

use std::path::PathBuf;

use clap::Subcommand;

pub(super) const AFTER: &str = "Examples:
  cofferdam home list                     which are kept
  cofferdam home reset                    a fresh one for this directory";

const AFTER_LIST: &str = "Examples:
  cofferdam home list
  cofferdam home list --json";

const AFTER_RESET: &str = "Examples:
  cofferdam home reset
  cofferdam home reset ~/src/app
  cofferdam home reset --all

A home that a running sandbox uses stays: end that first.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HomeCommand {
    /// Say which are kept, where, and when each was last used
    #[command(after_help = AFTER_LIST)]
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the home of a workspace; the next run there makes a fresh one
    #[command(after_help = AFTER_RESET)]
    Reset {
        /// The workspace, which need not exist any more; the working directory by default
        workspace: Option<PathBuf>,
        /// Every kept home
        #[arg(long, conflicts_with = "workspace")]
        all: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}
