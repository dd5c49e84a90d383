//! `isolation`, `oversight`, `jail`, what that need not hold, and whose system is in it.

use toml::de::DeTable;

use super::{Reader, check_path, nearest};
use crate::document::Document;
use crate::error::{Fault, LayerFault, PolicyError};
use crate::layers::Layer;
use crate::model::{Isolation, Jail, Oversight};
use crate::promise::Promise;

/// The isolation that is called `word`.
pub(crate) fn isolation(word: &str) -> Result<Isolation, Fault> {
    let all = [Isolation::Auto, Isolation::Process, Isolation::Gvisor];
    match all.into_iter().find(|one| one.as_str() == word) {
        Some(found) => Ok(found),
        None if word == "vm" => Err(Fault::IsolationLater { asked: word.into() }),
        None => Err(Fault::IsolationUnknown { asked: word.into() }),
    }
}

/// The oversight that is called `word`.
pub(crate) fn oversight(word: &str) -> Result<Oversight, Fault> {
    let found = Oversight::ALL.into_iter().find(|one| one.as_str() == word);
    found.ok_or_else(|| Fault::OversightUnknown { asked: word.into() })
}

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

/// Which kernel serves the workload, and who watches.
fn wall(document: &Document) -> (Option<Isolation>, Oversight) {
    (document.kernel().ok().map(|(kernel, _)| kernel), document.oversight.value)
}

impl Reader<'_> {
    /// `isolation` and `oversight`.
    pub(super) fn isolation(
        &self,
        top: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        let before = wall(document);
        if let Some(value) = top.get("isolation") {
            let word = self.text("isolation", value)?;
            let found = isolation(word).map_err(|fault| self.fault(fault, value.span()))?;
            document.isolation = self.located(found, value, self.clause("isolation", value));
        }
        if let Some(value) = top.get("oversight") {
            let word = self.text("oversight", value)?;
            let found = oversight(word).map_err(|fault| self.fault(fault, value.span()))?;
            document.oversight = self.located(found, value, self.clause("oversight", value));
        }
        self.no_weaker(before, top, document)
    }

    /// A project does not take the kernel away that the person's own text put around it.
    fn no_weaker(
        &self,
        before: (Option<Isolation>, Oversight),
        top: &DeTable<'_>,
        document: &Document,
    ) -> Result<(), PolicyError> {
        let now = wall(document);
        let kernel = before.0 == Some(Isolation::Gvisor) && now.0 != before.0;
        // Then what it writes would stay.
        let stays = before.1 == Oversight::Tenant && now.1 != before.1;
        if self.layer == Layer::Project && (kernel || stays) {
            for key in ["isolation", "oversight"] {
                if let Some((at, _)) = top.get_key_value(key) {
                    let fault = LayerFault::NotAProjects { key: key.into() };
                    return Err(self.fault(fault.into(), at.span()));
                }
            }
        }
        Ok(())
    }

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
