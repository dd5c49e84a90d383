//! Every reason for which a command was not started, in one shape.

use std::io;
use std::path::PathBuf;

use cofferdam_audit::{LogError, system_words};
use cofferdam_gateway::vault::VaultError;
use cofferdam_policy::{Clause, Message, PolicyError};
use cofferdam_sandbox::facts::FactsError;
use cofferdam_sandbox::image::ImageError;
use cofferdam_sandbox::{StartRefusal, TrustError};

use crate::control::SessionError;
use crate::homes::HomeError;
use crate::prompt::PromptError;
use crate::trusted::TrustedError;
use crate::why::WhyError;

/// The command was not started, and nothing is left of the attempt. Exit status 125.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The policy text or a flag says something that cannot hold.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The caller's side could not be read.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A file of authorities cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The archive of an image cannot be used.
    #[error("{source}   {clause}")]
    Image {
        /// What is wrong with it.
        source: Box<ImageError>,
        /// The rule that names it.
        clause: Clause,
    },
    /// Root unpacks where only root may go, and the workload is another user.
    #[error("root unpacks images for itself, and the workload would be user {uid}   {clause}")]
    ImageForAnother {
        /// The workspace's owner.
        uid: u32,
        /// The rule that names the archive.
        clause: Clause,
    },
    /// This machine cannot hold the policy.
    #[error(transparent)]
    Host(#[from] cofferdam_plan::Refusal),
    /// The sandbox could not be built.
    #[error(transparent)]
    Start(#[from] StartRefusal),
    /// No record, no action.
    #[error("no record, no action: {0}")]
    Audit(#[from] LogError),
    /// What was decided cannot be written down.
    #[error("no record, no action: what was decided cannot be written as JSON")]
    Unrecordable(#[source] serde_json::Error),
    /// What must not leave cannot be looked for.
    #[error("cannot look for stand-ins and canaries in the output: {why}")]
    Needles {
        /// Why.
        why: String,
    },
    /// The command ran, and how it ended could not be written down.
    #[error(
        "the command ran and ended with status {status}, but its end is not on record: {source}"
    )]
    Unrecorded {
        /// The status that it ended with.
        status: u8,
        /// Why it is not.
        source: LogError,
    },
    /// The audit log would be within reach from inside.
    #[error("the audit log {} is inside {}, which is in the workload's view", log.display(), tree.display())]
    AuditInside {
        /// The log.
        log: PathBuf,
        /// The tree in the view.
        tree: PathBuf,
    },
    /// The path of the log cannot be resolved.
    #[error("the audit log's path {} leads up from a directory that is not there, or has no name", path.display())]
    AuditPath {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing to run.
    #[error("the command is empty")]
    EmptyCommand,
    /// Configuration would come from below the working directory.
    #[error("HOME or XDG_CONFIG_HOME leads to {}, inside the working directory or its repository, which are not trusted", path.display())]
    ConfigInside {
        /// Where it leads.
        path: PathBuf,
    },
    /// What is trusted would come from below the working directory.
    #[error("HOME or XDG_STATE_HOME leads to {}, inside the working directory or its repository, which are not trusted", path.display())]
    StateInside {
        /// Where it leads.
        path: PathBuf,
    },
    /// Others could change what the user's policy says.
    #[error("others may write the policy {}: owner {owner}, mode {mode:04o}", path.display())]
    PolicyShared {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A policy file cannot be read.
    #[error("cannot read the policy {}", path.display())]
    PolicyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// Whether a person named it.
        named: bool,
    },
    /// The project has a policy already.
    #[error("{} is there already", path.display())]
    PolicyExists {
        /// The policy.
        path: PathBuf,
    },
    /// A project's policy cannot be written.
    #[error("cannot write {}", path.display())]
    PolicyUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory that is no project, since nothing could be run in it.
    #[error("{} is no project: it is or holds the home directory", path.display())]
    ProjectTooWide {
        /// The directory.
        path: PathBuf,
    },
    /// `HOME` is another user's and has a policy, which is not root's.
    #[error("HOME is another user's, whose policy {} is not root's", path.display())]
    OthersPolicy {
        /// The policy.
        path: PathBuf,
    },
    /// A managed policy that is there is never passed over.
    #[error("cannot read the managed policy: {}", path.display())]
    ManagedUnread {
        /// The file, or what is on the way to it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than root could change what is managed.
    #[error("the managed policy is not root's alone: {}: owner {owner}, mode {mode:04o}", path.display())]
    ManagedShared {
        /// The file, or what is on the way to it.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Another log than the managed one.
    #[error("--audit {} goes beyond what is managed: {ceiling}", path.display())]
    ManagedAudit {
        /// The log that was asked for.
        path: PathBuf,
        /// The rule.
        ceiling: Clause,
    },
    /// The project's policy does not hold, or is not trusted.
    #[error(transparent)]
    Project(#[from] TrustedError),
    /// A question that has no answer.
    #[error(transparent)]
    Why(#[from] WhyError),
    /// The kept home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A session that runs was not found, or did not do what it was asked.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A secret cannot be had or kept.
    #[error("{}", .0.what())]
    Vault(#[from] VaultError),
    /// The person gave no secret, or asked for what the vault is not.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// What was asked for could not be told.
    #[error("the answer cannot be written to standard output")]
    Unanswered(#[source] io::Error),
    /// `doctor` itself cannot do its work.
    #[error("cannot {doing}, so nothing can be tried")]
    Diagnosis {
        /// What it was doing.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The path of this installation has a meaning of its own in an AppArmor profile.
    #[error("no AppArmor profile can name {}", path.display())]
    NoProfile {
        /// The path.
        path: PathBuf,
    },
    /// A log that was to be shown.
    #[error("cannot read the audit log {}: {why}", path.display())]
    LogUnread {
        /// The log.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Nothing lies between two times.
    #[error("--since is later than --until, so nothing lies between them")]
    TimesCrossed,
    /// A manual page cannot be written.
    #[error("cannot write the manual pages to {}", path.display())]
    Pages {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A flag that only has one value in this release.
    #[error("--network {asked} is not in this release")]
    Network {
        /// What was asked for.
        asked: String,
    },
}

impl Refused {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::Facts(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Image { source, .. } => source.code(),
            Self::ImageForAnother { .. } => "image-for-another",
            Self::Host(refusal) => refusal.code(),
            Self::Start(refusal) => refusal.code(),
            Self::Audit(error) => error.code(),
            Self::Unrecordable(_) => "audit-unrecordable",
            Self::Needles { .. } => "output-needles",
            Self::Unrecorded { .. } => "end-unrecorded",
            Self::AuditInside { .. } => "audit-inside",
            Self::AuditPath { .. } => "audit-path",
            Self::EmptyCommand => "empty-command",
            Self::ConfigInside { .. } => "config-inside",
            Self::StateInside { .. } => "state-inside",
            Self::PolicyShared { .. } => "policy-shared",
            Self::PolicyFile { .. } => "policy-file",
            Self::PolicyExists { .. } => "policy-exists",
            Self::PolicyUnwritable { .. } => "policy-unwritable",
            Self::ProjectTooWide { .. } => "project-too-wide",
            Self::OthersPolicy { .. } => "policy-of-another",
            Self::ManagedUnread { .. } => "managed-unread",
            Self::ManagedShared { .. } => "managed-shared",
            Self::ManagedAudit { .. } => "managed-audit",
            Self::Project(error) => error.code(),
            Self::Home(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Why(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Prompt(error) => error.code(),
            Self::Unanswered(_) => "answer-lost",
            Self::Diagnosis { .. } => "cannot-diagnose",
            Self::NoProfile { .. } => "no-profile",
            Self::LogUnread { .. } => "audit-unread",
            Self::TimesCrossed => "times-crossed",
            Self::Pages { .. } => "pages-unwritten",
            Self::Network { .. } => "network-not-yet",
        }
    }

    /// The whole message, for a terminal of `columns` columns.
    pub(crate) fn drawn(&self, color: bool, columns: usize) -> String {
        if let Self::Policy(error) = self {
            return cofferdam_policy::render(error, color, columns);
        }
        let (what, hint) = (format!("refused: {self}"), self.hint());
        let between = if let Self::Session(error) = self { error.lines() } else { Vec::new() };
        let message = Message { what: &what, code: self.code(), between: &between, hint: &hint };
        message.text(color, columns)
    }

    /// Whether it is the log's own place or state that was refused: nothing is recorded there.
    #[must_use]
    pub(crate) const fn is_of_the_log(&self) -> bool {
        matches!(
            self,
            Self::Audit(_)
                | Self::Unrecordable(_)
                | Self::AuditInside { .. }
                | Self::AuditPath { .. }
        )
    }

    /// The next thing to do.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: one row a situation")]
    pub fn hint(&self) -> String {
        match self {
            Self::Policy(error) => error.hint(),
            Self::Facts(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Image { source, .. } => source.hint(),
            Self::ImageForAnother { .. } => {
                "run as that user (sudo -u NAME cofferdam ...), or unpack it and name the directory"
                    .into()
            }
            Self::Host(refusal) => refusal.hint(),
            Self::Start(refusal) => refusal.hint(),
            Self::Audit(error) => error.hint(),
            Self::Unrecordable(source) => format!("report it: {source}"),
            Self::Needles { .. } => "remove canaries from [canary]".into(),
            Self::Unrecorded { source, .. } => source.hint(),
            Self::AuditInside { .. } => "name a log outside of the workspace and grants".into(),
            Self::AuditPath { .. } => "name a file by a path without `..`: --audit FILE".into(),
            Self::EmptyCommand => "name a program: cofferdam run -- CMD".into(),
            Self::ConfigInside { .. } => {
                "unset it, or name the policy that you mean: --policy FILE".into()
            }
            Self::StateInside { .. } => "unset it, or run without a project: --no-project".into(),
            Self::PolicyShared { path, .. } => {
                let path = path.display();
                format!("make it yours alone: chmod go-w {path}, and chown it to yourself")
            }
            Self::PolicyFile { source, named: true, .. } => format!(
                "the system said: {}; name a file that you can read, or leave --policy out",
                system_words(source)
            ),
            Self::PolicyFile { source, .. } => format!(
                "the system said: {}; repair it, set HOME to your own home, or name another: \
                 --policy FILE",
                system_words(source)
            ),
            Self::PolicyExists { .. } => "read it; --force puts a new one in its place".into(),
            Self::PolicyUnwritable { source, .. } => format!(
                "the system said: {}; name a directory that is yours, without links: cofferdam \
                 policy init DIR",
                system_words(source)
            ),
            Self::ProjectTooWide { .. } => {
                "cd into the project, or name it: cofferdam policy init DIR".into()
            }
            Self::OthersPolicy { path } => {
                format!(
                    "name it if it shall hold: --policy {}; or set HOME: sudo -H",
                    path.display()
                )
            }
            Self::ManagedUnread { source, .. } => {
                format!("the system said: {}; have root repair it", system_words(source))
            }
            Self::ManagedShared { path, .. } => {
                let path = path.display();
                format!("as root: chown root {path}; chmod go-w {path}")
            }
            Self::ManagedAudit { .. } => "leave --audit out".into(),
            Self::Project(error) => error.hint(),
            Self::Home(error) => error.hint(),
            Self::Session(error) => error.hint(),
            Self::Why(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::Prompt(error) => error.hint(),
            Self::Unanswered(source) => {
                format!("the system said: {}; make room where it goes", system_words(source))
            }
            Self::Diagnosis { source, .. } => {
                format!("the system said: {}; TMPDIR may name another place", system_words(source))
            }
            Self::NoProfile { .. } => {
                "install cofferdam in /usr/local/bin, or anywhere by a path of plain letters".into()
            }
            Self::LogUnread { .. } => {
                "the first `cofferdam run` makes it; another one: cofferdam audit show FILE".into()
            }
            Self::TimesCrossed => "exchange them; 2h is later than 3h, for both are ago".into(),
            Self::Pages { source, .. } => {
                let why = system_words(source);
                format!("the system said: {why}; name a directory that you can write")
            }
            Self::Network { .. } => {
                "`none` closes it; --allow HOST opens one host, and nothing opens all".into()
            }
        }
    }
}
