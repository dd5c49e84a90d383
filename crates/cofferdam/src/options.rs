//! What an embedder or the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use cofferdam_policy::{Document, PolicyError};

/// Where the policy text comes from.
#[derive(Clone, Debug, Default)]
pub enum PolicyFrom {
    /// The user's file if there is one, else the built-in default.
    #[default]
    User,
    /// This file and nothing else.
    File(PathBuf),
    /// This text, named for errors.
    Text {
        /// The name that errors show.
        name: String,
        /// The text.
        text: String,
    },
}

/// Whether the project's policy (`.cofferdam/policy.toml`) holds beside the user's. Where another file or
/// text is named, neither does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProjectFrom {
    /// If a person trusts it.
    #[default]
    Trusted,
    /// It does not.
    None,
}

/// Whose rules of the network hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkFrom {
    /// The policy's, its presets' and the options'.
    #[default]
    Policy,
    /// Nobody's: nothing goes in or out. [`Options::allow`] and [`Options::publish`] contradict it.
    None,
}

/// Whether a person is asked about what no rule of the network allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody is: it is refused.
    #[default]
    Off,
    /// Who connects to the session's control socket: `cofferdam approve`.
    Socket,
    /// The same, and the terminal of this process (`/dev/tty`). For runs whose streams are files,
    /// `/dev/null`, or collected by whoever calls: nothing of the workload may get to where a person is
    /// asked, and a pipe may lead there (`| tee log`).
    Terminal,
}

/// What to run and how: the same things that the command line takes. `Debug` leaves the values of
/// variables out.
#[derive(Clone, Default)]
pub struct Options {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Where the policy comes from.
    pub policy: PolicyFrom,
    /// Whether the project's policy holds.
    pub project: ProjectFrom,
    /// `auto`, `process` or `gvisor`, in place of the policy's isolation.
    pub isolation: Option<String>,
    /// `developer`, `unattended` or `tenant`, in place of the policy's oversight.
    pub oversight: Option<String>,
    /// gVisor's program, in place of the distribution's.
    pub runsc: Option<PathBuf>,
    /// `auto`, `native`, `bubblewrap` or `landlock`, in place of the policy's jail.
    pub jail: Option<String>,
    /// A root file system or the tar of an image, in place of the policy's.
    pub rootfs: Option<String>,
    /// `NAME[,NAME...]`: clauses that a jail need not hold which cannot, in addition to the policy's.
    pub best_effort: Vec<String>,
    /// `PATH[:MODE]` in place of the policy's workspace.
    pub workspace: Option<String>,
    /// `PATH:MODE`, in addition to the policy's grants.
    pub grants: Vec<String>,
    /// Paths that are hidden, in addition to the policy's.
    pub hide: Vec<String>,
    /// Paths that stay as they are, in addition to the policy's.
    pub protect: Vec<String>,
    /// `NAME` or `NAME=VALUE`, in addition to the policy's environment.
    pub variables: Vec<String>,
    /// `NAME`: passes a variable even if it holds a secret.
    pub dangerous_variables: Vec<String>,
    /// Names of presets, after those that the policy extends.
    pub presets: Vec<String>,
    /// `NAME=VALUE`, in place of the policy's limit.
    pub limits: Vec<String>,
    /// Whether anything goes in or out at all.
    pub network: NetworkFrom,
    /// `HOST[:PORT[/PROTOCOL]]`, in addition to the policy's hosts.
    pub allow: Vec<String>,
    /// `PORT[:HOSTPORT]`, in addition to the policy's published ports.
    pub publish: Vec<String>,
    /// Whether a person is asked about what no rule allows.
    pub approve: Approval,
    /// `safe` or `raw`, in place of what the policy says of the output.
    pub output: Option<String>,
    /// The audit log, in place of the one in the state directory.
    pub audit: Option<PathBuf>,
    /// What the command's streams are: pipes, or a terminal of the sandbox's own
    /// ([`cofferdam_sandbox::terminal::streams`]). With a terminal, [`Session::run`](crate::Session::run) needs the
    /// caller's as its input.
    pub streams: cofferdam_plan::plan::Streams,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.variables.iter().map(|words| words.split('=').next().unwrap_or_default());
        out.debug_struct("Options")
            .field("command", &self.command)
            .field("policy", &self.policy)
            .field("project", &self.project)
            .field("isolation", &self.isolation)
            .field("oversight", &self.oversight)
            .field("runsc", &self.runsc)
            .field("jail", &self.jail)
            .field("rootfs", &self.rootfs)
            .field("best_effort", &self.best_effort)
            .field("workspace", &self.workspace)
            .field("grants", &self.grants)
            .field("hide", &self.hide)
            .field("protect", &self.protect)
            .field("variables", &names.collect::<Vec<_>>())
            .field("dangerous_variables", &self.dangerous_variables)
            .field("presets", &self.presets)
            .field("limits", &self.limits)
            .field("network", &self.network)
            .field("allow", &self.allow)
            .field("publish", &self.publish)
            .field("approve", &self.approve)
            .field("output", &self.output)
            .field("audit", &self.audit)
            .field("streams", &self.streams)
            .finish()
    }
}

impl Options {
    /// Options that run `words` under the user's or the built-in policy.
    pub fn command<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { command: words.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// What the options say, over the policy's text.
    pub(crate) fn add_to(&self, document: &mut Document) -> Result<(), PolicyError> {
        if let Some(isolation) = &self.isolation {
            document.set_isolation(isolation)?;
        }
        if let Some(oversight) = &self.oversight {
            document.set_oversight(oversight)?;
        }
        if let Some(jail) = &self.jail {
            document.set_jail(jail)?;
        }
        if let Some(rootfs) = &self.rootfs {
            document.set_rootfs(rootfs)?;
        }
        for names in &self.best_effort {
            document.add_best_effort(names)?;
        }
        if let Some(workspace) = &self.workspace {
            document.set_workspace(workspace)?;
        }
        for grant in &self.grants {
            document.add_grant(grant)?;
        }
        for path in &self.hide {
            document.add_hidden(path)?;
        }
        for path in &self.protect {
            document.add_protected(path)?;
        }
        for variable in &self.variables {
            document.add_variable(variable)?;
        }
        for name in &self.dangerous_variables {
            document.add_dangerous_variable(name)?;
        }
        if self.network == NetworkFrom::None {
            document.close_network();
        }
        if self.approve != Approval::Off {
            document.ask_outside()?;
        }
        for host in &self.allow {
            document.add_allowed(host)?;
        }
        for port in &self.publish {
            document.add_published(port)?;
        }
        for limit in &self.limits {
            document.set_limit(limit)?;
        }
        if let Some(word) = &self.output {
            document.set_output(word)?;
        }
        for preset in &self.presets {
            document.add_preset(preset)?;
        }
        Ok(())
    }
}
