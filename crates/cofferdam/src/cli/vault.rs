//! `cofferdam vault`: secrets in, names out.

use std::process::ExitCode;

use cofferdam_gateway::vault::keychain;
use cofferdam_gateway::vault::{self, Keychain, Name, Needs, Secret, Stored, Vault, VaultError};
use cofferdam_sandbox::Caller;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde_json::json;

use super::arguments::{VaultCommand, Which};
use super::say::{self, Output, Say};
use crate::engine::Prepared;
use crate::places::Places;
use crate::prompt::{self, Phrase, PromptError};
use crate::refused::Refused;

/// Does what the person asks for.
pub(super) fn obey(command: &VaultCommand) -> ExitCode {
    let json = matches!(command, VaultCommand::List { json: true, .. });
    match act(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(if json { Output::Json } else { Output::Text }).refused(&refused);
            ExitCode::from(super::REFUSED)
        }
    }
}

fn act(command: &VaultCommand) -> Result<(), Refused> {
    vault::unreadable().map_err(PromptError::Readable)?;
    let person = Person::read()?;
    match command {
        VaultCommand::Set { which, passphrase } if which.keychain => {
            debug_assert!(!passphrase, "the two exclude each other");
            let name = Name::parse(&which.name)?;
            let kept = keychain::set(&name, &prompt::value(name.as_str())?)?;
            say::to_stdout(&format!("stored `{}` in {}", name.as_str(), place(kept)))
        }
        VaultCommand::Set { which, passphrase } => person.set(&which.name, *passphrase),
        VaultCommand::List { keychain: true, json } => list(&keychain::names()?, "keychain", *json),
        VaultCommand::List { keychain: false, json } => person.list(*json),
        VaultCommand::Remove(which) => person.remove(which),
        VaultCommand::Test(which) => person.test(which),
        VaultCommand::Rotate { name: Some(name), keychain: true, .. } => {
            let name = Name::parse(name)?;
            // Only what is there is rotated.
            drop(keychain::get(&name)?);
            let kept = keychain::set(&name, &prompt::value(name.as_str())?)?;
            say::to_stdout(&format!("`{}` has a new value in {}", name.as_str(), place(kept)))
        }
        VaultCommand::Rotate { name: Some(name), .. } => person.rotate(name),
        VaultCommand::Rotate { name: None, passphrase, .. } => person.rekey(*passphrase),
    }
}

/// With what opens the vault, where a passphrase does and a secret is in it.
pub(super) fn unlocked(mut prepared: Prepared) -> Result<Prepared, Refused> {
    if prepared.is_locked() {
        // Its limits are the workload's: no core is what this takes.
        let none = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        none.map_err(|error| PromptError::Readable(error.into()))?;
        if let Some(phrase) = Person::read()?.phrase()? {
            prepared.unlock(&phrase);
        }
    }
    Ok(prepared)
}

const fn place(keychain: Keychain) -> &'static str {
    match keychain {
        Keychain::SecretService => "the keychain of the session",
        Keychain::Kernel => "the kernel's keyring, which forgets at a reboot",
    }
}

fn list(names: &[String], source: &str, json: bool) -> Result<(), Refused> {
    if json {
        let row = |name: &String| json!({"name": name, "source": source});
        let rows: Vec<_> = names.iter().map(row).collect();
        return say::to_stdout(&json!({ "secrets": rows }).to_string());
    }
    if names.is_empty() {
        return say::to_stdout("no secret is kept");
    }
    let line = |name: &String| format!("{name}   {source}");
    let lines: Vec<String> = names.iter().map(line).collect();
    say::to_stdout(&cofferdam_policy::printable(&lines.join("\n")))
}

/// Who asks, and that person's vault.
struct Person {
    caller: Caller,
    vault: Vault,
}

impl Person {
    fn read() -> Result<Self, Refused> {
        let caller = Caller::read()?;
        let vault = Places::of(&caller).vault(&caller)?;
        Ok(Self { caller, vault })
    }

    /// The passphrase that opens the vault; `None` where it needs none.
    fn phrase(&self) -> Result<Option<Secret>, Refused> {
        if self.vault.needs()? != Needs::Passphrase {
            return Ok(None);
        }
        prompt::passphrase(&self.caller, Phrase::Opens, self.locked()).map(Some)
    }

    fn locked(&self) -> VaultError {
        VaultError::Locked { path: self.vault.file() }
    }

    fn set(&self, name: &str, passphrase: bool) -> Result<(), Refused> {
        let name = Name::parse(name)?;
        let phrase = match (self.vault.needs()?, passphrase) {
            (Needs::Absent, true) => {
                Some(prompt::passphrase(&self.caller, Phrase::New, self.locked())?)
            }
            (Needs::Absent, false) => None,
            (Needs::Key, true) => return Err(PromptError::HasKey.into()),
            (Needs::Key, false) | (Needs::Passphrase, _) => {
                let phrase = self.phrase()?;
                // Nobody is asked for a value in vain.
                drop(self.vault.open(phrase.as_ref())?);
                phrase
            }
        };
        let value = prompt::value(name.as_str())?;
        let stored = self.vault.set(&name, &value, phrase.as_ref())?;
        let verb = match stored {
            Stored::New => "stored",
            Stored::Replaced => "replaced",
        };
        say::to_stdout(&format!("{verb} `{}` in the vault", name.as_str()))
    }

    fn list(&self, json: bool) -> Result<(), Refused> {
        let names = match self.vault.needs()? {
            Needs::Absent => Vec::new(),
            Needs::Key | Needs::Passphrase => {
                let opened = self.vault.open(self.phrase()?.as_ref())?;
                opened.names().map(|name| name.as_str().to_owned()).collect()
            }
        };
        list(&names, "vault", json)
    }

    fn remove(&self, which: &Which) -> Result<(), Refused> {
        let name = Name::parse(&which.name)?;
        let from = if which.keychain {
            place(keychain::remove(&name)?)
        } else {
            self.vault.remove(&name, self.phrase()?.as_ref())?;
            "the vault"
        };
        say::to_stdout(&format!("removed `{}` from {from}", name.as_str()))
    }

    fn test(&self, which: &Which) -> Result<(), Refused> {
        let name = Name::parse(&which.name)?;
        let length = if which.keychain {
            keychain::get(&name)?.expose().len()
        } else {
            let opened = self.vault.open(self.phrase()?.as_ref())?;
            opened.secret(&name)?.expose().len()
        };
        let bytes = if length == 1 { "byte" } else { "bytes" };
        say::to_stdout(&format!("`{}` can be read: {length} {bytes}", name.as_str()))
    }

    fn rotate(&self, name: &str) -> Result<(), Refused> {
        let name = Name::parse(name)?;
        let phrase = self.phrase()?;
        // Only what is there is rotated, and nobody is asked for a value in vain.
        self.vault.open(phrase.as_ref())?.secret(&name).map(drop)?;
        let value = prompt::value(name.as_str())?;
        self.vault.rotate(&name, &value, phrase.as_ref())?;
        say::to_stdout(&format!("`{}` has a new value in the vault", name.as_str()))
    }

    fn rekey(&self, passphrase: bool) -> Result<(), Refused> {
        let phrase = self.phrase()?;
        if phrase.is_some() && !passphrase {
            return Err(PromptError::HasPassphrase.into());
        }
        let ask = || prompt::passphrase(&self.caller, Phrase::New, self.locked());
        let new = passphrase.then(ask).transpose()?;
        self.vault.rekey(phrase.as_ref(), new.as_ref())?;
        let what = if passphrase { "passphrase" } else { "key" };
        say::to_stdout(&format!("the vault has a new {what}"))
    }
}
