//! What the command line takes: one module for each family of commands, each with its own help.

mod audit;
mod doctor;
mod home;
mod pages;
mod run;
mod session;
mod vault;
mod why;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::version;
pub(super) use audit::{AuditCommand, Show};
pub(super) use doctor::Doctor;
pub(super) use home::HomeCommand;
pub(super) use pages::Shell;
pub(super) use run::{Inside, Program, What};
pub(super) use session::{Approve, Credential, CredentialsCommand};
pub(super) use vault::{VaultCommand, Which};

/// Contains a command: it can work in the workspace and nowhere else.
#[derive(Debug, Parser)]
#[command(name = "cofferdam", version = version::line(), max_term_width = 100, after_help = AFTER)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands that build a sandbox, alone: describing all others takes a part of a start.
#[derive(Debug, Parser)]
#[command(name = "cofferdam")]
struct Short {
    #[command(subcommand)]
    command: Inside,
}

impl Arguments {
    /// The words of this process.
    ///
    /// # Errors
    /// They are no command line, or ask for help.
    pub(super) fn read() -> Result<Command, clap::Error> {
        // What the part does not take the whole does, or says why not.
        let short = builds().then(Short::try_parse).and_then(Result::ok);
        let whole = || Self::try_parse().map(|arguments| arguments.command);
        short.map_or_else(whole, |short| Ok(Command::Inside(short.command)))
    }
}

/// Whether the first word of this process is a command that builds a sandbox.
pub(super) fn builds() -> bool {
    let first = std::env::args_os().nth(1);
    first.is_some_and(|word| word == "run" || word == "plan" || word == "shell")
}

const AFTER: &str = "Examples:
  cofferdam run -- make test              work here, see no secrets, reach no network
  cofferdam run --workspace ~/src/app -- claude
  cofferdam plan -- make test             what run would do, and who holds each rule
  cofferdam why read ~/.ssh/id_ed25519    is it allowed, by which rule, and who holds it?
  cofferdam shell                         look around inside
  cofferdam sessions                      what runs
  cofferdam doctor                        does this machine hold the wall?
  cofferdam audit show --last 20          what happened
  cofferdam audit verify                  is the record whole?

Exit status: the command's own; 125 refused or failed, 126 not executable, 127 not found,
128+n ended by signal n.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Inside(Inside),
    /// Look at the audit log
    #[command(subcommand, after_help = audit::AFTER)]
    Audit(AuditCommand),
    /// Homes that are kept for a workspace (home = "project")
    #[command(subcommand, after_help = home::AFTER)]
    Home(HomeCommand),
    /// Keep secrets, which no sandbox ever sees
    #[command(subcommand, after_help = vault::AFTER)]
    Vault(VaultCommand),
    /// List the sessions that run and can be asked
    #[command(after_help = session::AFTER_SESSIONS)]
    Sessions {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Answer what a session asks for: one that was started with --approve
    #[command(after_help = session::AFTER_APPROVE)]
    Approve(Approve),
    /// Revoke or rotate a credential of a session that runs
    #[command(subcommand, after_help = session::AFTER_CREDENTIALS)]
    Credentials(CredentialsCommand),
    /// Write, check and look at policies, and apply one to a session that runs
    #[command(subcommand, after_help = super::policy::AFTER)]
    Policy(super::policy::PolicyCommand),
    /// Say whether an act is allowed, by which rule, and what would change that
    #[command(after_help = why::AFTER)]
    #[command(mut_arg("command", |word| word.last(false).value_name("QUESTION").help("What is asked")))]
    Why(What),
    /// Try each guarantee on this machine, and say what to do where one does not hold
    #[command(after_help = doctor::AFTER)]
    Doctor(Doctor),
    /// Print completions of this command line for a shell
    #[command(after_help = pages::AFTER_COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands into a directory
    #[command(after_help = pages::AFTER_MAN)]
    Man {
        /// Where to write them; made if it is not there
        directory: Option<PathBuf>,
    },
    /// Print the version, and what a bug report needs of the machine
    #[command(after_help = pages::AFTER_VERSION)]
    Version {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests;
