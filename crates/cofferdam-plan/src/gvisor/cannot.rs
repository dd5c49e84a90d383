//! Why an application kernel is not put into the jail.

use cofferdam_policy::model::Clause;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cannot {
    /// It runs in the native jail alone.
    Jail {
        /// The jail that was asked for.
        jail: &'static str,
        /// Where it was asked for.
        clause: Clause,
    },
    /// No mount and no layer holds what the policy says.
    Unheld {
        /// Each with its clause.
        unheld: Vec<String>,
        /// Whether nothing that is written stays.
        ephemeral: bool,
    },
}

/// A person reads no more of them at once.
const SHOWN: usize = 6;

impl Cannot {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Jail { .. } => "gvisor-jail",
            Self::Unheld { .. } => "gvisor-unheld",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Jail { .. } => "leave the jail out, or write jail = \"native\"".into(),
            Self::Unheld { ephemeral: true, .. } => {
                "leave these clauses out, or take isolation = \"process\"".into()
            }
            Self::Unheld { ephemeral: false, .. } => {
                "take oversight = \"tenant\", of which nothing stays, or the workspace read-only \
                 (--workspace .:ro); or leave these clauses out, or take isolation = \"process\""
                    .into()
            }
        }
    }
}

impl std::fmt::Display for Cannot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jail { jail, clause } => {
                write!(out, "gVisor runs in the native jail alone, and not in `{jail}`: {clause}")
            }
            Self::Unheld { unheld, .. } => {
                let shown: Vec<&str> = unheld.iter().take(SHOWN).map(String::as_str).collect();
                write!(out, "nobody holds this under gVisor: {}", shown.join("; "))?;
                match unheld.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(out, "; and {more} more"),
                }
            }
        }
    }
}
