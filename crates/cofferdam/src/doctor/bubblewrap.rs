//! `doctor`'s look at bubblewrap: whether the other jail of namespaces can be had.

use cofferdam_plan::host;
use cofferdam_sandbox::bubblewrap::{find, try_out};

/// What can be said of it.
pub(super) enum Found {
    /// It builds what plans ask of it.
    Works { path: String, version: String },
    /// It cannot be had, for this reason: only `jail = "bubblewrap"` needs it.
    Not(String),
}

/// Looks for it and has it build a sandbox of nothing.
pub(super) fn look() -> Found {
    let found = find();
    match (found.record, found.program) {
        (host::Bubblewrap::Ready(record), Some(program)) => {
            let tried = try_out(&program);
            let path = record.path.display().to_string();
            match tried.works {
                Ok(()) => Found::Works { path, version: tried.version },
                Err(words) => Found::Not(format!("{path} does not build a sandbox here: {words}")),
            }
        }
        (host::Bubblewrap::Untrusted { path, why }, _) => {
            Found::Not(format!("{} is not to be trusted: {why}", path.display()))
        }
        (host::Bubblewrap::Missing | host::Bubblewrap::Unasked | host::Bubblewrap::Ready(_), _) => {
            Found::Not("it is not installed".into())
        }
    }
}
