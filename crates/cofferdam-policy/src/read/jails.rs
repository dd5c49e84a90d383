//! `jail`, what it need not hold, and whose system is in it.

use toml::de::DeTable;

use super::{Reader, check_path, nearest};
use crate::document::Document;
use crate::error::{Fault, PolicyError};
use crate::model::Jail;
use crate::promise::Promise;

/// The jail that is called `word`.
pub(crate) fn jail(word: &str) -> Result<Jail, Fault> {
    let found = Jail::ALL.into_iter().find(|jail| jail.as_str() == word);
    found.ok_or_else(|| Fault::JailUnknown { asked: word.into() })
}

/// The promise that is called `word`.
pub(crate) fn promise(word: &str) -> Result<Promise, Fault> {
    let found = Promise::ALL.into_iter().find(|promise| promise.as_str() == word);
    let known = Promise::ALL.map(Promise::as_str);
    let nearest = || nearest(word, known.iter());
    found.ok_or_else(|| Fault::PromiseUnknown { asked: word.into(), nearest: nearest() })
}

impl Reader<'_> {
    /// `rootfs`.
    pub(super) fn rootfs(
        &self,
        top: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        if let Some(value) = top.get("rootfs") {
            let clause = self.clause("rootfs", value);
            let text = self.text("rootfs", value)?;
            let path = check_path(text).map_err(|fault| self.fault(fault, value.span()))?;
            document.rootfs = Some(self.located(path, value, clause));
        }
        Ok(())
    }

    /// `jail` and `best_effort`.
    pub(super) fn jail(
        &self,
        top: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        if let Some(value) = top.get("jail") {
            let clause = self.clause("jail", value);
            let word = self.text("jail", value)?;
            let jail = jail(word).map_err(|fault| self.fault(fault, value.span()))?;
            document.jail = self.located(jail, value, clause);
        }
        if let Some(value) = top.get("best_effort") {
            for (index, value) in self.list("best_effort", value)?.iter().enumerate() {
                let name = format!("best_effort[{index}]");
                let word = self.text(&name, value)?;
                let promise = promise(word).map_err(|fault| self.fault(fault, value.span()))?;
                let clause = self.clause(&name, value);
                document.best_effort.push(self.located(promise, value, clause));
            }
        }
        Ok(())
    }
}
