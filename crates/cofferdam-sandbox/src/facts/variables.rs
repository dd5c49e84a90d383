//! The caller's environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::Caller;

/// The caller's environment. `Debug` shows how many: a value may be a secret.
pub(super) struct Variables(pub(super) BTreeMap<OsString, OsString>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} variables", self.0.len())
    }
}

impl Variables {
    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(&OsString::from(name))
    }
}

impl Caller {
    /// A variable of the caller's.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }
}
