//! What can be wrong with a layer: one variant a situation.

use std::path::PathBuf;

use crate::model::Clause;

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayerFault {
    #[error("`[managed]` holds in the managed policy alone")]
    ManagedElsewhere,
    #[error("`managed.only` has no `{asked}`")]
    OnlyUnknown { asked: String, nearest: Option<String>, known: Vec<String> },
    #[error("`{path}` begins nowhere: a managed path is absolute, or begins with `~/`")]
    PathRelative { path: String },
    #[error("`{key}` is not for a project to say")]
    NotAProjects { key: String },
    #[error("{rule} goes beyond what is managed: {what}; the ceiling is {ceiling}")]
    Beyond { rule: String, what: String, ceiling: Clause },
    #[error("a managed mount is written as {}, and a symbolic link is on the way", path.display())]
    MountLink { path: PathBuf, real: Option<PathBuf> },
    #[error("{file} is a layer already")]
    Twice { file: String },
    #[error("paths cannot begin at {}: it has a wildcard in its name, or is not UTF-8", directory.display())]
    Base { directory: PathBuf },
}

impl LayerFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::ManagedElsewhere => "managed-elsewhere",
            Self::OnlyUnknown { .. } => "managed-only-unknown",
            Self::PathRelative { .. } => "managed-path-relative",
            Self::NotAProjects { .. } => "not-a-projects",
            Self::Beyond { .. } => "beyond-managed",
            Self::MountLink { .. } => "managed-mount-link",
            Self::Twice { .. } => "layer-twice",
            Self::Base { .. } => "layer-base",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::ManagedElsewhere => {
                "take it out here; it belongs in /etc/cofferdam/policy.toml".into()
            }
            Self::OnlyUnknown { nearest: Some(nearest), .. } => format!("write `{nearest}`"),
            Self::OnlyUnknown { known, .. } => format!("one of: {}", known.join(", ")),
            Self::PathRelative { .. } => "write the whole path".into(),
            Self::NotAProjects { .. } => {
                "take it out of the project's policy, and write it in your own if you want it"
                    .into()
            }
            Self::Beyond { ceiling, .. } => format!(
                "take it out, or ask whoever manages this machine to change {}:{}",
                ceiling.file, ceiling.line
            ),
            Self::MountLink { real: Some(real), .. } => {
                format!("have whoever manages this machine write `{}`", real.display())
            }
            Self::MountLink { real: None, .. } => {
                "have whoever manages this machine write the path without links".into()
            }
            Self::Twice { .. } => "it holds anyway: leave --policy out".into(),
            Self::Base { .. } => "rename the directory".into(),
        }
    }
}
