//! In the place of the keychain where the library is built without it: nothing is there.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use super::Name;
use super::error::{KeychainFault, VaultError};
use super::secret::Secret;

/// The first word of a process that asks; none does.
pub(crate) const WORD: &str = "vault-keychain";

/// Which keychain it is: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keychain {}

impl Keychain {
    /// Stable name for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {}
    }
}

const fn none(name: String) -> VaultError {
    VaultError::Keychain { name, fault: KeychainFault::NoSession }
}

/// # Errors
/// There is none.
pub fn get(name: &Name) -> Result<Secret, VaultError> {
    Err(none(name.as_str().into()))
}

/// # Errors
/// There is none.
pub fn set(name: &Name, _: &Secret) -> Result<Keychain, VaultError> {
    Err(none(name.as_str().into()))
}

/// # Errors
/// There is none.
pub fn remove(name: &Name) -> Result<Keychain, VaultError> {
    Err(none(name.as_str().into()))
}

/// # Errors
/// There is none.
pub fn names() -> Result<Vec<String>, VaultError> {
    Err(none(String::new()))
}

pub(super) fn asked(name: &Name, _: &[(OsString, OsString)]) -> Result<Secret, VaultError> {
    Err(none(name.as_str().into()))
}

pub(crate) fn main(_: Option<impl AsRef<OsStr>>) -> ExitCode {
    ExitCode::from(125)
}
