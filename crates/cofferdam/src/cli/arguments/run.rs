//! `cofferdam run`, `plan` and `shell`: what to run, and where.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::say::Output;

const AFTER_RUN: &str = "Examples:
  cofferdam run -- make test
  cofferdam run --grant ~/data:ro --env CI=1 -- ./train --epochs 3
  cofferdam run --workspace ~/src/app:ro -- rg pattern
  cofferdam run --allow api.example.com -- ./client
  cofferdam run --allow db.example.com:5432/tcp --publish 3000 -- npm start
  cofferdam run --network none -- make test    whatever the policy opens
  cofferdam run --approve -- ./agent           ask about other hosts: cofferdam approve
  while read name; do cofferdam run -- ./check \"$name\" < /dev/null; done < names

Standard input goes to the command. A first signal (Ctrl-C, TERM, HUP) goes to it too; the same
signal again within two seconds ends the sandbox.

Exit status: the command's own; 125 refused or failed, 126 not executable, 127 not found,
128+n ended by signal n.";

const AFTER_SHELL: &str = "Examples:
  cofferdam shell                         in the working directory
  cofferdam shell --grant ~/data:ro
  cofferdam shell -- -c 'ls -la ~'        words for the shell

The prompt begins with `(cofferdam)`.

Exit status: the shell's own; 125 refused or failed.";

const AFTER_PLAN: &str = "Examples:
  cofferdam plan -- make test             the view, the environment, who holds each clause
  cofferdam plan --json -- make test      the same with every step, for machines

Nothing is run and nothing is recorded.

Exit status: 0, or 125 where `run` would refuse.";

/// Commands that build a sandbox.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Inside {
    /// Run a command inside the wall
    #[command(after_help = AFTER_RUN)]
    Run(What),
    /// Open a shell inside the wall: bash where it is in view, else /bin/sh
    #[command(after_help = AFTER_SHELL)]
    #[command(mut_arg("command", |word| word.required(false).value_name("WORD").help("Words for the shell")))]
    Shell(What),
    /// Show exactly what `run` would do, and refuse as it would
    #[command(after_help = AFTER_PLAN)]
    Plan(What),
}

/// What to run, and where.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct What {
    /// Policy file in place of the user's ($XDG_CONFIG_HOME/cofferdam/policy.toml) and the project's
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) around: Around,
    /// The kernel that serves the command: auto (by oversight), process (the host's) or gvisor
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) isolation: Option<String>,
    /// Who watches: developer, or tenant: gVisor, of which nothing stays
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) oversight: Option<String>,
    /// gVisor's program, in place of the distribution's
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) runsc: Option<PathBuf>,
    /// The cage around the command: auto, native, bubblewrap or landlock
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) jail: Option<String>,
    /// The system that is seen in place of the host's: a directory that holds a root file system, or the tar
    /// of an OCI image layout
    #[arg(long, value_name = "DIR|TAR")]
    pub(in crate::cli) rootfs: Option<String>,
    /// Clauses that need not be held where a jail without namespaces cannot. May be given more than once
    #[arg(long, value_name = "NAME[,NAME]")]
    pub(in crate::cli) best_effort: Vec<String>,
    /// Directory to work in; MODE is rw, nd (nothing in it is lost) or ro
    #[arg(long, value_name = "PATH[:MODE]")]
    pub(in crate::cli) workspace: Option<String>,
    /// One more tree to see; MODE is rw, nd (nothing in it is lost) or ro. May be given more than
    /// once
    #[arg(long = "grant", value_name = "PATH:MODE")]
    pub(in crate::cli) grants: Vec<String>,
    /// Hide a file or directory, or all that a pattern names ('**/.env'), there or not yet. May be
    /// given more than once
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) hide: Vec<String>,
    /// Keep a file or directory, or all that a pattern names, as it is, there or not yet. May be
    /// given more than once
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) protect: Vec<String>,
    /// What a toolchain or an agent needs, by name (node, rust, codex, ...). May be given more than
    /// once
    #[arg(long = "preset", value_name = "NAME")]
    pub(in crate::cli) presets: Vec<String>,
    /// Pass a variable, or set one. May be given more than once
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) variables: Vec<String>,
    /// Pass a variable that may hold a secret: the real value is inside then, and can be sent. May be
    /// given more than once
    #[arg(long = "dangerous-env", value_name = "NAME")]
    pub(in crate::cli) dangerous_variables: Vec<String>,
    /// A limit, such as memory=2GiB, processes=256 or wall_time=30m. May be given more than once
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(in crate::cli) limits: Vec<String>,
    /// Close the network, whatever policy and presets open
    #[arg(long, value_name = "none")]
    pub(in crate::cli) network: Option<String>,
    /// One more host to talk to: a name, *.NAME for all below it, or an address. 443 speaks tls, 80
    /// http; another port needs tls, http or tcp. May be given more than once
    #[arg(long, value_name = "HOST[:PORT[/PROTOCOL]]")]
    pub(in crate::cli) allow: Vec<String>,
    /// A server inside that is reached at 127.0.0.1:HOSTPORT outside. May be given more than once
    #[arg(long, value_name = "PORT[:HOSTPORT]")]
    pub(in crate::cli) publish: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) asking: Asking,
    /// What a terminal gets to read: text and escape sequences of a list (safe), or everything as it comes,
    /// with nobody looking for stand-ins and canaries (raw)
    #[arg(long = "output", value_name = "safe|raw")]
    pub(in crate::cli) shown: Option<String>,
    /// Audit log in place of the one in the state directory
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) audit: Option<PathBuf>,
    /// Say nothing but refusals
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Speak JSON, one object a line
    #[arg(long)]
    json: bool,
    #[cfg(debug_assertions)]
    #[command(flatten)]
    tracing: Tracing,
    /// What the words after `--` are.
    #[arg(skip)]
    pub(in crate::cli) program: Program,
    /// Whether a refusal goes on record.
    #[arg(skip)]
    pub(in crate::cli) records: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(in crate::cli) command: Vec<OsString>,
}

/// Which layers hold beside the one that is named.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Around {
    /// Leave the project's policy (.cofferdam/policy.toml) out, trusted or not
    #[arg(long)]
    pub(in crate::cli) no_project: bool,
}

/// Whether a person is asked.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Asking {
    /// Ask a person about hosts that no rule allows, outside: `cofferdam approve` in another terminal
    #[arg(long)]
    pub(in crate::cli) approve: bool,
}

/// What release builds do not have; read before all other words.
#[cfg(debug_assertions)]
#[derive(Args, Clone, Debug)]
struct Tracing {
    /// Say when each phase of the start was done, in microseconds (not in release builds)
    #[arg(long)]
    trace_start: bool,
}

/// What runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Program {
    /// The words are the command.
    #[default]
    Named,
    /// A shell gets the words.
    Shell,
}

impl What {
    pub(in crate::cli) fn output(&self) -> Output {
        match (self.json, self.quiet) {
            (true, _) => Output::Json,
            (false, true) => Output::Quiet,
            (false, false) => Output::Text,
        }
    }
}
