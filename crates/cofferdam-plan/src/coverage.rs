//! Coverage: for each clause, which mechanism holds it and how fully.

use cofferdam_policy::model::Clause;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Coverage {
    /// The rule.
    pub clause: Clause,
    /// What it says, for a person.
    pub says: String,
    /// What holds it, strongest first.
    pub mechanisms: Vec<String>,
    /// How fully.
    pub extent: Extent,
}

/// How fully a clause is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Extent {
    /// Wholly.
    Enforced,
    /// But for what the text says.
    Partly {
        /// What is left open.
        open: String,
    },
}
