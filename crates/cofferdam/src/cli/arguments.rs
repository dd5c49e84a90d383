//! What the command line takes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::say::Output;

/// Contains a command: it can work in the workspace and nowhere else.
#[derive(Debug, Parser)]
#[command(name = "cofferdam", version, max_term_width = 100, after_help = AFTER)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER: &str = "Examples:
  cofferdam run -- make test              work here, see no secrets, reach no network
  cofferdam run --workspace ~/src/app -- claude
  cofferdam plan -- make test             what run would do, and who holds each rule
  cofferdam audit verify                  is the record whole?

Exit status: the command's own; 125 refused or failed, 126 not executable, 127 not found,
128+n ended by signal n.";

const AFTER_RUN: &str = "Examples:
  cofferdam run -- make test
  cofferdam run --grant ~/data:ro --env CI=1 -- ./train --epochs 3
  cofferdam run --workspace ~/src/app:ro -- rg pattern
  while read name; do cofferdam run -- ./check \"$name\" < /dev/null; done < names

Standard input goes to the command. A first signal (Ctrl-C, TERM, HUP) goes to it too; the same
signal again within two seconds ends the sandbox.

Exit status: the command's own; 125 refused or failed, 126 not executable, 127 not found,
128+n ended by signal n.";

const AFTER_PLAN: &str = "Examples:
  cofferdam plan -- make test             the view, the environment, who holds each clause
  cofferdam plan --json -- make test      the same with every step, for machines

Nothing is run and nothing is recorded. Exit status: 0, or 125 where `run` would refuse.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command inside the wall
    #[command(after_help = AFTER_RUN)]
    Run(What),
    /// Show exactly what `run` would do, and refuse as it would
    #[command(after_help = AFTER_PLAN)]
    Plan(What),
    /// Look at the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check the hash chain; exit 1 when it does not hold
    Verify {
        /// The log; the one in the state directory by default
        file: Option<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to run, and where.
#[derive(Args, Clone, Debug)]
pub(super) struct What {
    /// Policy file in place of the user's ($XDG_CONFIG_HOME/cofferdam/policy.toml)
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// Directory to work in; MODE is rw or ro
    #[arg(long, value_name = "PATH[:MODE]")]
    pub(super) workspace: Option<String>,
    /// One more tree to see; MODE is rw or ro. May be given more than once
    #[arg(long = "grant", value_name = "PATH:MODE")]
    pub(super) grants: Vec<String>,
    /// Pass a variable, or set one. May be given more than once
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(super) variables: Vec<String>,
    /// A limit, such as memory=2GiB, processes=256 or wall_time=30m. May be given more than once
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(super) limits: Vec<String>,
    /// The network inside: none
    #[arg(long, value_name = "none")]
    pub(super) network: Option<String>,
    /// Audit log in place of the one in the state directory
    #[arg(long, value_name = "FILE")]
    pub(super) audit: Option<PathBuf>,
    /// Say nothing but refusals
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Speak JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Whether a refusal goes on record.
    #[arg(skip)]
    pub(super) records: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

impl What {
    pub(super) fn output(&self) -> Output {
        match (self.json, self.quiet) {
            (true, _) => Output::Json,
            (false, true) => Output::Quiet,
            (false, false) => Output::Text,
        }
    }
}
