//! Every reason for which a command was not started, in one shape.

use std::io;
use std::path::PathBuf;

use cofferdam_audit::LogError;
use cofferdam_policy::PolicyError;
use cofferdam_sandbox::StartRefusal;
use cofferdam_sandbox::facts::FactsError;

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
    /// The audit log would be writable from inside.
    #[error("the audit log {} is inside {}, which the workload may change", log.display(), tree.display())]
    AuditInside {
        /// The log.
        log: PathBuf,
        /// The writable tree.
        tree: PathBuf,
    },
    /// A policy file cannot be read.
    #[error("cannot read the policy {}", path.display())]
    PolicyFile {
        /// The file.
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
            Self::Host(refusal) => refusal.code(),
            Self::Start(refusal) => refusal.code(),
            Self::Audit(error) => error.code(),
            Self::Unrecordable(_) => "audit-unrecordable",
            Self::AuditInside { .. } => "audit-inside",
            Self::PolicyFile { .. } => "policy-file",
            Self::Network { .. } => "network-not-yet",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Policy(error) => error.hint(),
            Self::Facts(error) => error.hint(),
            Self::Host(refusal) => refusal.hint(),
            Self::Start(refusal) => refusal.hint(),
            Self::Audit(error) => error.hint(),
            Self::Unrecordable(source) => format!("report it: {source}"),
            Self::AuditInside { .. } => "name a log outside every writable tree".into(),
            Self::PolicyFile { source, .. } => {
                let words = source.to_string();
                let words = words.split(" (os error").next().unwrap_or_default().to_lowercase();
                format!(
                    "the system said: {words}; name a file that you can read, or leave --policy out"
                )
            }
            Self::Network { .. } => "use --network none, which is the default".into(),
        }
    }
}
