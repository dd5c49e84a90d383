//! The keychain of the system: the Secret Service of the session's bus, and the kernel's keyring where no
//! bus answers. Entries are of the service `cofferdam`, by name.
//!
//! Libraries that speak over the bus start threads, which no later confinement holds. So the gateway
//! asks a process of its own ([`asked`]), which is gone before the gateway goes on.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error};

use super::Name;
use super::command;
use super::error::{KeychainFault, VaultError};
use super::secret::{SECRET_BYTES_MAX, Secret};

/// Whose entries they are.
const SERVICE: &str = "cofferdam";
/// No name of a secret: it begins with a dot.
const TRIAL: &str = ".trial";
/// How long the bus, and a person who unlocks it, may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The same for the process that asks, with its start.
const ASKED_WITHIN: Duration = Duration::from_secs(8);
/// The first word of a process that asks.
pub(crate) const WORD: &str = "vault-keychain";
/// Most entries that are listed.
const NAMES_MAX: usize = 1_024;
/// Before a secret, and before the code of a fault.
const GOOD: u8 = b'+';
const BAD: u8 = b'-';

/// Which keychain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keychain {
    /// The Secret Service of the session's bus.
    SecretService,
    /// The kernel's keyring, which forgets at a reboot.
    Kernel,
}

impl Keychain {
    /// Stable name for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::Kernel => "kernel-keyring",
        }
    }
}

struct Store {
    which: Keychain,
    store: Arc<CredentialStore>,
}

impl Store {
    fn open() -> Result<Self, KeychainFault> {
        if let Ok(store) = zbus_secret_service_keyring_store::Store::new() {
            return Ok(Self { which: Keychain::SecretService, store });
        }
        let store = linux_keyutils_keyring_store::Store::new();
        let store = store.map_err(|_| KeychainFault::NoSession)?;
        Ok(Self { which: Keychain::Kernel, store })
    }

    fn entry(&self, name: &str) -> Result<Entry, KeychainFault> {
        Entry::new_in_store(&self.store, SERVICE, name).map_err(|error| self.fault(&error))
    }

    /// Without a keyring of the session's own the kernel takes a key, and gives it to nobody any more.
    /// So something that is no secret is tried first.
    fn takes(&self) -> Result<(), KeychainFault> {
        if self.which == Keychain::SecretService {
            return Ok(());
        }
        let trial = self.entry(TRIAL)?;
        let tried = trial.set_secret(b"trial").and_then(|()| trial.delete_credential());
        tried.map_err(|error| self.fault(&error))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open")]
    fn fault(&self, error: &Error) -> KeychainFault {
        match error {
            Error::NoStorageAccess(_) if self.which == Keychain::Kernel => KeychainFault::NoSession,
            Error::NoStorageAccess(_) => KeychainFault::Locked,
            Error::NoEntry => KeychainFault::Missing,
            Error::Ambiguous(_) => KeychainFault::Ambiguous,
            Error::TooLong(..) => KeychainFault::TooLong,
            Error::NotSupportedByStore(_) => KeychainFault::Unlisted,
            _ => KeychainFault::Failed,
        }
    }
}

/// Does something within the time. A bus that is silent keeps the thread, and not the person.
fn within<T: Send + 'static>(
    name: &str,
    act: impl FnOnce() -> Result<T, KeychainFault> + Send + 'static,
) -> Result<T, VaultError> {
    let failed = |fault| VaultError::Keychain { name: name.to_owned(), fault };
    let (to, from) = channel();
    thread::Builder::new()
        .spawn(move || drop(to.send(act())))
        .map_err(|_| failed(KeychainFault::Failed))?;
    from.recv_timeout(WITHIN).map_err(|_| failed(KeychainFault::Silent))?.map_err(failed)
}

/// The secret of an entry. Starts threads: not for a process that confines itself later.
///
/// # Errors
/// It is not there, the keychain is locked, or it does not answer; or what is there is no secret.
pub fn get(name: &Name) -> Result<Secret, VaultError> {
    let asked = name.clone();
    let bytes = within(name.as_str(), move || {
        let store = Store::open()?;
        let bytes = store.entry(asked.as_str())?.get_secret();
        bytes.map(zeroize::Zeroizing::new).map_err(|error| store.fault(&error))
    })?;
    Ok(Secret::of(&bytes)?)
}

/// Stores an entry, in the place of one of this name.
///
/// # Errors
/// As of [`get`].
pub fn set(name: &Name, secret: &Secret) -> Result<Keychain, VaultError> {
    let (asked, secret) = (name.clone(), secret.copy());
    within(name.as_str(), move || {
        let store = Store::open()?;
        store.takes()?;
        let stored = store.entry(asked.as_str())?.set_secret(secret.expose());
        stored.map(|()| store.which).map_err(|error| store.fault(&error))
    })
}

/// Removes an entry.
///
/// # Errors
/// As of [`get`].
pub fn remove(name: &Name) -> Result<Keychain, VaultError> {
    let asked = name.clone();
    within(name.as_str(), move || {
        let store = Store::open()?;
        let removed = store.entry(asked.as_str())?.delete_credential();
        removed.map(|()| store.which).map_err(|error| store.fault(&error))
    })
}

/// The names of all entries, in their order.
///
/// # Errors
/// As of [`get`]; the kernel's keyring cannot be listed.
pub fn names() -> Result<Vec<String>, VaultError> {
    within("*", || {
        let spec = HashMap::from([("service", SERVICE)]);
        let store = Store::open()?;
        let found = store.store.search(&spec).map_err(|error| store.fault(&error))?;
        let name = |entry: &Entry| entry.get_attributes().ok()?.remove("username");
        let mut names: Vec<String> = found.iter().take(NAMES_MAX).filter_map(name).collect();
        names.sort();
        Ok(names)
    })
}

/// The same as [`get`], by a process that ends before this comes back.
pub(super) fn asked(
    name: &Name,
    surroundings: &[(OsString, OsString)],
) -> Result<Secret, VaultError> {
    let failed = |fault| VaultError::Keychain { name: name.as_str().to_owned(), fault };
    let words: [&OsStr; 3] = ["/proc/self/exe".as_ref(), WORD.as_ref(), name.as_str().as_ref()];
    let said = command::said(&words, surroundings, (SECRET_BYTES_MAX + 1, ASKED_WITHIN));
    let said = said.map_err(|_| failed(KeychainFault::Silent))?;
    match said.split_first() {
        Some((&GOOD, secret)) => Ok(Secret::of(secret)?),
        Some((&BAD, code)) => {
            let mut known = KeychainFault::ALL.into_iter();
            let known = known.find(|fault| fault.code().as_bytes() == code);
            Err(failed(known.unwrap_or(KeychainFault::Failed)))
        }
        Some(_) | None => Err(failed(KeychainFault::Failed)),
    }
}

/// The whole of a process that asks for one entry: `vault-keychain NAME`. Answers on standard output.
pub(crate) fn main(name: Option<OsString>) -> ExitCode {
    let name = name.and_then(|name| Name::parse(name.to_str()?).ok());
    let (Ok(()), Some(name)) = (crate::confine::unreadable(), name) else {
        return ExitCode::from(125);
    };
    let mut stdout = std::io::stdout().lock();
    let said = match get(&name) {
        Ok(secret) => stdout.write_all(&[GOOD]).and_then(|()| stdout.write_all(secret.expose())),
        Err(error) => {
            stdout.write_all(&[BAD]).and_then(|()| stdout.write_all(error.code().as_bytes()))
        }
    };
    match said.and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(125),
    }
}
