//! What can be asked of a run, and done for it, before it starts.

use cofferdam_gateway::vault::{Needs, Secret, Vault};
use cofferdam_plan::Coverage;
use cofferdam_plan::message::{Lent, StandIn};
use cofferdam_policy::credentials::{Credential, Placed, Source, part};

use crate::engine::Prepared;
use crate::homes::HomeError;

impl Prepared {
    /// What the policy gives up and this jail does not hold here, by name.
    #[must_use]
    pub fn given_up(&self) -> Vec<&'static str> {
        let rules = self.policy.best_effort.iter().filter(|rule| {
            let says = format!("{}: ", rule.promise.as_str());
            let open = |row: &Coverage| row.clause == rule.clause && row.says.starts_with(&says);
            self.plan.coverage.iter().any(open)
        });
        let mut names: Vec<&str> = rules.map(|rule| rule.promise.as_str()).collect();
        names.dedup();
        names
    }

    /// Whether a secret of it is in a vault that a passphrase opens, and none was given: nothing starts
    /// with it before [`Prepared::unlock`].
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let in_vault = |one: &Credential| matches!(one.source, Source::Vault(_));
        let some = self.policy.credentials.iter().any(in_vault);
        let locked = |lent: &Lent| {
            // A vault that cannot be read is told of by the gateway, with the rule that names it.
            let needs = Vault::at(lent.vault.clone()).needs();
            lent.passphrase.is_none() && matches!(needs, Ok(Needs::Passphrase))
        };
        some && self.lent.as_ref().is_some_and(locked)
    }

    /// Puts the files of credentials into a kept home, with what stands in: those of another session are
    /// worth nothing.
    pub(crate) fn put_stand_ins(&self, stand_ins: &[StandIn]) -> Result<(), HomeError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let known = |asked: &str| {
            let mut parts = stand_ins.iter().filter_map(|one| part(&one.name, &one.value, asked));
            parts.next().map(str::as_bytes)
        };
        let files = self.policy.credentials.iter().flat_map(|one| &one.files);
        let rows = files.map(|file| (file.path.as_path(), Placed::filled(&file.content, known)));
        kept.put(&self.policy, rows)
    }

    /// Gives what opens the vault to the gateway, which says where it does not.
    pub fn unlock(&mut self, passphrase: &Secret) {
        if let Some(lent) = &mut self.lent {
            lent.passphrase = Some(passphrase.expose().to_vec());
        }
    }
}
