//! Names in answers of one line each: a name that holds a newline begins no line of its own.

use std::fmt::Display;

/// `text` with spaces where it would end a line or go on at a stop. Whoever names a file chooses its
/// letters, and a workload names files.
#[must_use]
pub fn in_line(text: impl Display) -> String {
    text.to_string().replace(['\n', '\t'], " ")
}
