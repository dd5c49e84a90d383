//! Where secrets are kept, and how the gateway gets them.
//!
//! `vault.age` is an age file in cofferdam's configuration: any age opens it, with the key in
//! `vault.key` beside it or with a passphrase. It is replaced whole, what was before it is
//! `vault.age.previous`, and what cannot be read is never written over.
//!
//! The gateway reads every secret before it confines itself ([`Sources`]). What it learns later goes to
//! a process that was started before ([`writer`]).

mod command;
mod error;
mod folder;
#[cfg(feature = "keychain")]
pub mod keychain;
#[cfg(not(feature = "keychain"))]
#[path = "vault/no_keychain.rs"]
pub mod keychain;
mod members;
pub mod reader;
mod sealed;
mod secret;
mod source;
pub mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

pub use error::{CommandFault, KeychainFault, MemberFault, VaultError};
use folder::{Absent, Folder};
pub use keychain::Keychain;
use sealed::{Contents, Keys, Opens, SealFault, has_passphrase};
pub use secret::{SECRET_BYTES_MAX, Secret, SecretFault, read_bounded, without_line_end};
pub use source::{SURROUNDINGS, Sources};

const FILE: &str = "vault.age";
const PREVIOUS: &str = "vault.age.previous";
const KEY: &str = "vault.key";
/// Longest wait for another writer, which needs a second where a passphrase is in use.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Longest name of a secret.
const NAME_LETTERS_MAX: usize = 64;

/// The name of a secret: 1 to 64 of `a` to `z`, digits, `.`, `_` and `-`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name that `text` is.
    ///
    /// # Errors
    /// [`VaultError::Name`]: it is none.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let first = |letter: &u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let plain = |letter: &u8| first(letter) || b"._-".contains(letter);
        let bytes = text.as_bytes();
        let good = bytes.len() <= NAME_LETTERS_MAX
            && bytes.first().is_some_and(first)
            && bytes.iter().all(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(VaultError::Name) }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No other process of this user reads the memory of this one from here on, and a crash leaves none.
///
/// # Errors
/// The system's.
pub fn unreadable() -> std::io::Result<()> {
    crate::confine::unreadable()
}

/// What a vault asks for before it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// There is none.
    Absent,
    /// The key beside it.
    Key,
    /// A passphrase.
    Passphrase,
}

/// Whether a secret of that name was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It was not.
    New,
    /// It was, and its value is in the previous version.
    Replaced,
}

/// The secrets of a vault, in memory.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    contents: Contents,
}

impl Opened {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.contents.0.keys()
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// [`VaultError::Unknown`]: there is none.
    pub fn secret(&self, name: &Name) -> Result<&Secret, VaultError> {
        self.contents.0.get(name).ok_or_else(|| unknown(name))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn unknown(name: &Name) -> VaultError {
    VaultError::Unknown { name: name.as_str().to_owned() }
}

/// The place of a vault.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
}

/// A vault that this process alone changes.
struct Held {
    folder: Folder,
    /// The file as it is; `None` where there is none yet.
    file: Option<Zeroizing<Vec<u8>>>,
    _lock: File,
}

impl Vault {
    /// The vault in this directory, which is absolute, without symbolic links.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.path(FILE)
    }

    /// What opens it.
    ///
    /// # Errors
    /// It is not this user's alone, or no vault; the system's.
    pub fn needs(&self) -> Result<Needs, VaultError> {
        let Some(folder) = Folder::open(&self.folder, Absent::Leave)? else {
            return Ok(Needs::Absent);
        };
        let Some(file) = folder.read(FILE)? else { return Ok(Needs::Absent) };
        match has_passphrase(&file).map_err(|fault| self.fault(fault, Needs::Key))? {
            true => Ok(Needs::Passphrase),
            false => Ok(Needs::Key),
        }
    }

    /// Reads all of it, once.
    ///
    /// # Errors
    /// There is none; it is locked, another's, or not whole; the key is not there or another one.
    pub fn open(&self, passphrase: Option<&Secret>) -> Result<Opened, VaultError> {
        let folder = Folder::open(&self.folder, Absent::Leave)?;
        let folder = folder.ok_or_else(|| VaultError::Missing { path: self.path(FILE) })?;
        let once = || {
            let file = folder.read(FILE)?.ok_or_else(|| self.absent(&folder))?;
            self.contents(&folder, &file, passphrase)
        };
        // Where the key is changed between the two files the second look finds both new.
        let contents = match once() {
            Err(VaultError::WrongKey { .. }) => once()?,
            other => other?,
        };
        Ok(Opened { path: self.path(FILE), contents })
    }

    /// Stores a secret. A vault that is not there is made: opened by the passphrase where one is given,
    /// and by a key of its own otherwise.
    ///
    /// # Errors
    /// As of [`Vault::open`]; the vault is full; another writer does not end; the system's.
    pub fn set(
        &self,
        name: &Name,
        secret: &Secret,
        passphrase: Option<&Secret>,
    ) -> Result<Stored, VaultError> {
        let held = self.hold(Absent::Make)?;
        let mut contents = match &held.file {
            Some(file) => self.contents(&held.folder, file, passphrase)?,
            None => Contents::default(),
        };
        let before = contents.0.insert(name.clone(), secret.copy());
        self.store(&held, &contents, passphrase)?;
        Ok(if before.is_some() { Stored::Replaced } else { Stored::New })
    }

    /// Stores another value of a secret that is there.
    ///
    /// # Errors
    /// As of [`Vault::set`], and [`VaultError::Unknown`].
    pub fn rotate(
        &self,
        name: &Name,
        secret: &Secret,
        passphrase: Option<&Secret>,
    ) -> Result<(), VaultError> {
        self.change(passphrase, |contents| {
            let value = contents.0.get_mut(name).ok_or_else(|| unknown(name))?;
            *value = secret.copy();
            Ok(())
        })
    }

    /// Changes parts of a secret that is there, all of them or none.
    ///
    /// # Errors
    /// As of [`Vault::rotate`]; the secret is no JSON object with such a member.
    fn alter(
        &self,
        name: &Name,
        changes: &[writer::Change],
        passphrase: Option<&Secret>,
    ) -> Result<(), VaultError> {
        self.change(passphrase, |contents| {
            let value = contents.0.get_mut(name).ok_or_else(|| unknown(name))?;
            for writer::Change { member, secret } in changes {
                *value = match member.as_slice() {
                    [] => secret.copy(),
                    some => members::with_string(value.expose(), some, secret)
                        .map_err(|fault| VaultError::Member { member: some.join("."), fault })??,
                };
            }
            Ok(())
        })
    }

    /// Removes a secret. The previous version has it until the next change.
    ///
    /// # Errors
    /// As of [`Vault::set`], and [`VaultError::Unknown`].
    pub fn remove(&self, name: &Name, passphrase: Option<&Secret>) -> Result<(), VaultError> {
        self.change(passphrase, |contents| {
            contents.0.remove(name).map(drop).ok_or_else(|| unknown(name))
        })
    }

    /// Seals the vault and its previous version anew: to the passphrase `to`, or to a new key. What
    /// opened them before opens them no more. At every step between, both files open.
    ///
    /// # Errors
    /// As of [`Vault::set`].
    pub fn rekey(
        &self,
        passphrase: Option<&Secret>,
        to: Option<&Secret>,
    ) -> Result<(), VaultError> {
        let held = self.hold(Absent::Leave)?;
        let file = held.file.as_ref().ok_or_else(|| self.absent(&held.folder))?;
        let contents = self.contents(&held.folder, file, passphrase)?;
        let keys = match (to, held.folder.read(KEY)?) {
            (Some(_), _) => None,
            (None, Some(text)) => Some(self.keys(&text)?.before()),
            (None, None) => Some(Keys::new()),
        };
        if let Some(keys) = &keys {
            held.folder.replace(KEY, &keys.text())?;
        }
        let by = match (to, &keys) {
            (Some(words), _) => Opens::Passphrase(words),
            (None, Some(keys)) => Opens::Keys(keys),
            (None, None) => return Err(VaultError::NoKey { path: self.path(KEY) }),
        };
        let sealed = contents.seal(&by).ok_or(VaultError::Full)?;
        held.folder.replace(PREVIOUS, file)?;
        held.folder.replace(FILE, &sealed)?;
        held.folder.replace(PREVIOUS, &sealed)?;
        match keys {
            Some(keys) => held.folder.replace(KEY, &keys.newest().text()),
            None => held.folder.remove(KEY),
        }
    }

    fn change(
        &self,
        passphrase: Option<&Secret>,
        act: impl FnOnce(&mut Contents) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let held = self.hold(Absent::Leave)?;
        let file = held.file.as_ref().ok_or_else(|| self.absent(&held.folder))?;
        let mut contents = self.contents(&held.folder, file, passphrase)?;
        act(&mut contents)?;
        self.store(&held, &contents, passphrase)
    }

    /// The folder, locked, and the file as it is.
    fn hold(&self, absent: Absent) -> Result<Held, VaultError> {
        let missing = || VaultError::Missing { path: self.path(FILE) };
        let folder = Folder::open(&self.folder, absent)?.ok_or_else(missing)?;
        let lock = folder.lock(LOCK_WAIT)?;
        let file = folder.read(FILE)?;
        // A new one would take the place of what a person may want back.
        if file.is_none() && folder.has(PREVIOUS) {
            return Err(VaultError::Gone { path: self.path(FILE) });
        }
        Ok(Held { folder, file, _lock: lock })
    }

    fn store(
        &self,
        held: &Held,
        contents: &Contents,
        passphrase: Option<&Secret>,
    ) -> Result<(), VaultError> {
        let by_words = match &held.file {
            Some(file) => has_passphrase(file).map_err(|fault| self.fault(fault, Needs::Key))?,
            None => passphrase.is_some(),
        };
        let sealed = match (by_words, passphrase) {
            (true, None) => return Err(VaultError::Locked { path: self.path(FILE) }),
            (true, Some(words)) => contents.seal(&Opens::Passphrase(words)),
            (false, _) => {
                let keys = match held.folder.read(KEY)? {
                    Some(text) => self.keys(&text)?,
                    None if held.file.is_some() => {
                        return Err(VaultError::NoKey { path: self.path(KEY) });
                    }
                    None => {
                        let keys = Keys::new();
                        held.folder.replace(KEY, &keys.text())?;
                        keys
                    }
                };
                contents.seal(&Opens::Keys(&keys))
            }
        };
        let sealed = sealed.ok_or(VaultError::Full)?;
        if let Some(file) = &held.file {
            held.folder.replace(PREVIOUS, file)?;
        }
        held.folder.replace(FILE, &sealed)
    }

    fn contents(
        &self,
        folder: &Folder,
        file: &[u8],
        passphrase: Option<&Secret>,
    ) -> Result<Contents, VaultError> {
        if has_passphrase(file).map_err(|fault| self.fault(fault, Needs::Key))? {
            let locked = || VaultError::Locked { path: self.path(FILE) };
            let by = Opens::Passphrase(passphrase.ok_or_else(locked)?);
            return Contents::open(file, &by).map_err(|fault| self.fault(fault, Needs::Passphrase));
        }
        let no_key = || VaultError::NoKey { path: self.path(KEY) };
        let keys = self.keys(&folder.read(KEY)?.ok_or_else(no_key)?)?;
        Contents::open(file, &Opens::Keys(&keys)).map_err(|fault| self.fault(fault, Needs::Key))
    }

    fn keys(&self, text: &[u8]) -> Result<Keys, VaultError> {
        Keys::read(text).map_err(|why| VaultError::Corrupt { path: self.path(KEY), why })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn absent(&self, folder: &Folder) -> VaultError {
        let path = self.path(FILE);
        if folder.has(PREVIOUS) { VaultError::Gone { path } } else { VaultError::Missing { path } }
    }

    fn fault(&self, fault: SealFault, by: Needs) -> VaultError {
        match (fault, by) {
            (SealFault::Corrupt(why), _) => VaultError::Corrupt { path: self.path(FILE), why },
            (SealFault::Other, Needs::Passphrase) => {
                VaultError::WrongPassphrase { path: self.path(FILE) }
            }
            (SealFault::Other, Needs::Key | Needs::Absent) => {
                VaultError::WrongKey { path: self.path(KEY) }
            }
        }
    }
}

#[cfg(test)]
#[path = "vault/tests.rs"]
mod tests;
