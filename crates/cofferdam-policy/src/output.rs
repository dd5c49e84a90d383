//! `[output]` and `[canary]`: what becomes of what the workload writes to its streams.
//!
//! Knows the values and their bounds; whoever carries the streams holds them.

use crate::model::{Clause, Danger};

/// What is done with what the workload writes to standard output, standard error and its terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Output {
    /// Which escape sequences a terminal gets to read.
    pub escapes: Escapes,
    /// The rule that says so.
    pub escapes_clause: Clause,
    /// What becomes of stand-ins and canaries.
    pub redaction: Redaction,
    /// The rule that says so.
    pub redaction_clause: Clause,
    /// Most that is passed on: both streams together, or the terminal.
    pub most: Option<Most>,
}

/// How much is passed on, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Most {
    /// Bytes.
    pub bytes: u64,
    /// The rule.
    pub clause: Clause,
}

/// Which escape sequences pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Escapes {
    /// To a terminal those of a list; to a file or a pipe every byte as it is.
    Safe,
    /// Those of the list, wherever it goes.
    Always,
    /// All of them.
    Raw,
}

/// What becomes of a stand-in or a canary in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Redaction {
    /// It is masked, with an alarm.
    On,
    /// Nobody looks for it.
    Off,
}

/// A planted string that must never leave: where it turns up, somebody took what it was planted in.
///
/// It is no secret. `Debug` and JSON leave it out all the same: a record of it would be one more place
/// where it turns up.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Canary {
    /// As alarms name it.
    pub name: String,
    /// The string: [`CANARY_BYTES`], printable.
    #[cfg_attr(feature = "json", serde(skip))]
    pub text: String,
    /// The rule.
    pub clause: Clause,
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Canary({}, {} bytes)", self.name, self.text.len())
    }
}

/// Shortest canary, which no text holds by chance, and longest. Bytes.
pub const CANARY_BYTES: (usize, usize) = (6, 1_024);
/// Most canaries.
pub const CANARIES_MAX: usize = 1_000;
/// Longest name of one. Bytes.
pub const CANARY_NAME_MAX: usize = 64;
/// Least of `max_bytes`, in which the first words of most programs have room, and most: more is no limit.
/// Bytes.
pub const MOST_BYTES: (u64, u64) = (1 << 10, 1 << 50);

impl Output {
    /// What holds where nothing is written: what a terminal shows does not act on it.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            escapes: Escapes::Safe,
            escapes_clause: Clause::built_in("output.escape_sequences"),
            redaction: Redaction::On,
            redaction_clause: Clause::built_in("output.redact"),
            most: None,
        }
    }

    /// Whether both say the same, wherever it is written.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let most = |output: &Self| output.most.as_ref().map(|most| most.bytes);
        (self.escapes, self.redaction, most(self)) == (other.escapes, other.redaction, most(other))
    }

    /// What a person has switched off.
    #[must_use]
    pub fn dangers(&self) -> Vec<Danger> {
        let danger =
            |what: &str, clause: &Clause| Danger { what: what.into(), clause: clause.clone() };
        let raw = (self.escapes == Escapes::Raw).then(|| {
            danger("its escape sequences act on the terminal that shows them", &self.escapes_clause)
        });
        let unmasked = (self.redaction == Redaction::Off).then(|| {
            danger("nobody looks for stand-ins and canaries in its output", &self.redaction_clause)
        });
        raw.into_iter().chain(unmasked).collect()
    }
}

impl Escapes {
    /// The spelling of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Always => "always",
            Self::Raw => "raw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_dangerous() {
        let built_in = Output::built_in();
        assert_eq!(built_in.dangers(), [], "by default nothing is");
        let always = Output { escapes: Escapes::Always, ..built_in.clone() };
        assert_eq!(always.dangers(), [], "nor where more is filtered");
        let raw = Output { escapes: Escapes::Raw, ..built_in.clone() };
        assert_eq!(raw.dangers().len(), 1);
        let none = Output { escapes: Escapes::Raw, redaction: Redaction::Off, ..built_in };
        let named: Vec<_> = none.dangers().into_iter().map(|danger| danger.clause.name).collect();
        assert_eq!(named, ["output.escape_sequences", "output.redact"]);
    }

    #[test]
    fn a_canary_is_in_no_debug_output() {
        let text = "planted-string".to_owned();
        let canary = Canary { name: "invoice".into(), text, clause: Clause::built_in("canary") };
        assert_eq!(format!("{canary:?}"), "Canary(invoice, 14 bytes)");
    }
}
