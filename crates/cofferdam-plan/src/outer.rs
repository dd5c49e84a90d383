//! The outer part of a plan: another program makes the namespaces and the view, and starts init in them.

use std::path::PathBuf;

use crate::content::Content;
use crate::host::Program;
use crate::plan::{Argument, Expect, Step};

/// What is done outside before `Plan.setup` begins inside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Outer {
    /// The program that was found and opened, once.
    pub program: Program,
    /// The workload's user.
    pub uid: u32,
    /// What init does before it becomes that program.
    pub before: Vec<Step>,
    /// The program's options, each with its words, in order. They go over a descriptor: the command line
    /// shows none of them. Behind them stands init's own program, by a descriptor too, in the `/proc` that
    /// they mount.
    pub options: Vec<Vec<Word>>,
    /// What lies beneath a mount of ours, and so is compared from outside once everything stands: paths
    /// of the host.
    pub again: Vec<(PathBuf, Expect)>,
}

/// One word of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Word {
    /// As it is.
    Text(Argument),
    /// Number of a descriptor from which this is read.
    Content(Content),
    /// Number of a descriptor to which the program says who its child is.
    Said,
}

impl Word {
    /// A word of text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Argument(text.as_bytes().to_vec()))
    }

    /// What is made later, where this is.
    pub(crate) fn content_mut(&mut self) -> Option<&mut Content> {
        match self {
            Self::Content(content) => Some(content),
            Self::Text(_) | Self::Said => None,
        }
    }

    pub(crate) const fn waits(&self) -> bool {
        matches!(self, Self::Content(Content::Later(_) | Content::Holds(_)))
    }
}
