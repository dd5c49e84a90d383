//! What the command line takes: one module for each family of commands, each with its own help.

mod audit;
mod run;

use clap::{Parser, Subcommand};

pub(super) use audit::AuditCommand;
pub(super) use run::What;

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

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command inside the wall
    #[command(after_help = run::AFTER_RUN)]
    Run(What),
    /// Show exactly what `run` would do, and refuse as it would
    #[command(after_help = run::AFTER_PLAN)]
    Plan(What),
    /// Look at the audit log
    #[command(subcommand, after_help = audit::AFTER)]
    Audit(AuditCommand),
}

#[cfg(test)]
mod tests;
