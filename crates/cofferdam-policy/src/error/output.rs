//! What can be wrong with `[output]` and `[canary]`: one variant a situation.

use crate::output::{CANARIES_MAX, CANARY_BYTES, CANARY_NAME_MAX};

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputFault {
    #[error("unknown value of `output.escape_sequences`: `{asked}`")]
    Escapes { asked: String },
    #[error("`{got}` is no value of `output.max_bytes`")]
    Bytes { got: String },
    #[error("unknown value of `--output`: `{asked}`")]
    Word { asked: String },
    #[error("`[canary]` has {count} strings; at most {CANARIES_MAX} are allowed")]
    CanaryMany { count: usize },
    #[error("`{name}` is no name of a canary")]
    CanaryName { name: String },
    #[error("`canary.{name}` is no string of {} to {} bytes", CANARY_BYTES.0, CANARY_BYTES.1)]
    CanaryText { name: String },
}

impl OutputFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Escapes { .. } => "output-escapes",
            Self::Bytes { .. } => "output-bytes",
            Self::Word { .. } => "output-word",
            Self::CanaryMany { .. } => "canary-many",
            Self::CanaryName { .. } => "canary-name",
            Self::CanaryText { .. } => "canary-text",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::Escapes { .. } => "write `safe`, `always` (files and pipes too) or `raw`".into(),
            Self::Bytes { .. } => {
                "write a size such as \"64MiB\", or a plain number of bytes, from 1KiB to 1024TiB".into()
            }
            Self::Word { .. } => "write `safe` or `raw`".into(),
            Self::CanaryMany { .. } => "keep those that are planted where it matters".into(),
            Self::CanaryName { .. } => {
                format!("write 1 to {CANARY_NAME_MAX} letters, digits, `-` or `_`")
            }
            Self::CanaryText { .. } => {
                "write a string that no text has by chance: printable, in one line, no space around it"
                    .into()
            }
        }
    }
}
