//! Credentials: the text's and the presets', with the rules that use them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Resolver, absolute, in_view};
use crate::credentials::{
    AGENT, AGENT_VARIABLE, Credential, Inject, PARTS_MAX, Source, first_login, part,
};
use crate::document::Document;
use crate::error::{CredentialFault, PolicyError};
use crate::hosts::is_wide;
use crate::judge::hosts::Pattern;
use crate::judge::requests::Inspect;
use crate::model::{Clause, Grant, Guarded, Shown, Variable, conceals};
use crate::network::Network;

/// Files that hold secrets: whether the sandbox could read them is asked by where they are in truth.
pub(super) fn wanted(document: &Document, home: &Path, cwd: &Path) -> Vec<PathBuf> {
    let of_presets = document.presets.iter().flat_map(|preset| &preset.credentials);
    let all = document.credentials.iter().chain(of_presets);
    let file = |source: &Source| match source {
        Source::File(path) => Some(absolute(&path.display().to_string(), home, cwd)),
        Source::Vault(_)
        | Source::Keychain(_)
        | Source::Env(_)
        | Source::Command(_)
        | Source::OAuth => None,
    };
    all.filter_map(|text| file(&text.value.source)).collect()
}

impl Resolver<'_> {
    /// Those that hold, with their variables in the environment.
    pub(super) fn borne(
        &self,
        network: &Network,
        view: (&[Grant], &Grant, &[Guarded]),
        environment: &mut Vec<Variable>,
    ) -> Result<Vec<Credential>, PolicyError> {
        let credentials = self.credentials(network)?;
        self.agent(&credentials, environment)?;
        self.tokens(&credentials)?;
        self.stand_ins(&credentials, environment)?;
        self.no_secret_in_view(&credentials, view)?;
        Ok(credentials)
    }

    /// Those that hold, with absolute paths. Without a gateway there is none: nobody could make what
    /// stands in.
    fn credentials(&self, network: &Network) -> Result<Vec<Credential>, PolicyError> {
        let mut found: Vec<Credential> = Vec::new();
        let of_presets = self.document.presets.iter().flat_map(|preset| &preset.credentials);
        for text in self.document.credentials.iter().chain(of_presets) {
            // The person's word comes before a preset's.
            if found.iter().any(|other| other.name == text.value.name) {
                continue;
            }
            let mut one = text.value.clone();
            if let Source::File(path) = &one.source {
                one.source = Source::File(self.whole(&path.display().to_string()));
            }
            for file in &mut one.files {
                file.path = self.whole(&file.path.display().to_string());
            }
            found.push(one);
        }
        for rule in &network.rules.allow {
            let Some(name) = &rule.requests.credential else { continue };
            let named = found.iter().find(|one| one.name == *name);
            let fault = if named.is_none() {
                CredentialFault::Unknown { name: name.clone() }
            } else if named.is_some_and(|one| one.logins().is_some()) {
                CredentialFault::Signs { name: name.clone() }
            } else if rule.pattern == Pattern::AnyName
                || is_wide(&rule.pattern)
                || rule.inspect == Inspect::Never
            {
                CredentialFault::Carried
            } else {
                continue;
            };
            return Err(self.at_clause(fault, &rule.clause));
        }
        if network.is_closed() {
            found.clear();
        }
        Ok(found)
    }

    /// Refuses tokens that become nobody's secret, and secrets that no answer brings.
    fn tokens(&self, credentials: &[Credential]) -> Result<(), PolicyError> {
        let named = |name: &str| credentials.iter().find(|one| one.name == name);
        let all = || credentials.iter().filter_map(|one| Some((one, one.oauth.as_ref()?)));
        for (one, oauth) in all() {
            let names: BTreeSet<&str> = oauth.names().map(|(_, name)| name).collect();
            if names.len() < oauth.names().count() {
                return Err(self.at_clause(CredentialFault::TokensShared, &one.clause));
            }
            for (_, name) in oauth.names() {
                let name = name.to_owned();
                let fault = match named(&name).map(|found| &found.inject) {
                    None => CredentialFault::TokenUnknown { name },
                    Some(Inject::SigV4 { .. }) => CredentialFault::TokenSigns { name },
                    Some(_) => continue,
                };
                return Err(self.at_clause(fault, &one.clause));
            }
        }
        for one in credentials.iter().filter(|one| one.source == Source::OAuth) {
            let is_brought =
                all().any(|(_, oauth)| oauth.names().any(|(_, name)| name == one.name));
            let name = one.name.clone();
            let fault = match (is_brought, one.env.is_empty() && one.files.is_empty()) {
                (false, _) => CredentialFault::TokenNobodys { name },
                (true, false) => CredentialFault::TokenPlaced { name },
                (true, true) => continue,
            };
            return Err(self.at_clause(fault, &one.clause));
        }
        Ok(())
    }

    fn whole(&self, text: &str) -> PathBuf {
        absolute(text, &self.facts.home, &self.facts.cwd)
    }

    /// A fault of a rule, at its line where that is in the text.
    fn at_clause(&self, fault: CredentialFault, clause: &Clause) -> PolicyError {
        self.document.fault_at(fault.into(), clause)
    }

    /// Puts in where the agent of ssh is, where there is one.
    fn agent(
        &self,
        credentials: &[Credential],
        environment: &mut Vec<Variable>,
    ) -> Result<(), PolicyError> {
        let Some(first) = first_login(credentials) else { return Ok(()) };
        let holds = |one: &&Credential| one.env.iter().any(|env| env == AGENT_VARIABLE);
        let other = credentials.iter().find(holds);
        let taken = self.is_passed(AGENT_VARIABLE).then_some(first).or(other);
        if let Some(taken) = taken {
            return Err(self.at_clause(CredentialFault::AgentVariable, &taken.clause));
        }
        environment.retain(|variable| variable.name != AGENT_VARIABLE);
        let (name, value, clause) = (AGENT_VARIABLE.into(), AGENT.into(), first.clause.clone());
        environment.push(Variable { name, value, shown: Shown::Value, clause });
        Ok(())
    }

    /// Whether a person lets the caller's value through, or gives one.
    fn is_passed(&self, name: &str) -> bool {
        self.document.dangerous.iter().any(|passed| passed.value == *name)
            || self.document.set.iter().any(|set| set.value.name == *name)
    }

    /// Puts the variables in, in the place of whatever was there.
    fn stand_ins(
        &self,
        credentials: &[Credential],
        environment: &mut Vec<Variable>,
    ) -> Result<(), PolicyError> {
        for one in credentials {
            let is_parted = matches!(one.inject, Inject::SigV4 { .. });
            if is_parted && !matches!(one.env.len(), 0 | 2 | PARTS_MAX) {
                let fault = CredentialFault::Parts { count: one.env.len() };
                return Err(self.at_clause(fault, &one.clause));
            }
            // A name that means a part of this one means no other.
            let shared = credentials.iter().find(|other| {
                let (whole, name) = ("0:1:2", other.name.as_str());
                is_parted && name != one.name && part(&one.name, whole, name).is_some()
            });
            if let Some(other) = shared {
                let fault = CredentialFault::PartName { name: other.name.clone() };
                return Err(self.at_clause(fault, &other.clause));
            }
            for (at, name) in one.env.iter().enumerate() {
                let there = environment.iter().find(|variable| variable.name == *name);
                let passed = self.is_passed(name);
                let name = name.clone();
                if there.is_some_and(|there| there.shown == Shown::StandIn) {
                    return Err(
                        self.at_clause(CredentialFault::VariableShared { name }, &one.clause)
                    );
                }
                if passed {
                    return Err(self.at_clause(CredentialFault::Passed { name }, &one.clause));
                }
                environment.retain(|variable| variable.name != name);
                let value = if is_parted { format!("{}.{at}", one.name) } else { one.name.clone() };
                let clause = one.clause.clone();
                environment.push(Variable { name, value, shown: Shown::StandIn, clause });
            }
        }
        Ok(())
    }

    /// Refuses files that cannot be where they should, and secrets that the sandbox could read.
    fn no_secret_in_view(
        &self,
        credentials: &[Credential],
        (grants, workspace, hidden): (&[Grant], &Grant, &[Guarded]),
    ) -> Result<(), PolicyError> {
        let mut paths = Vec::new();
        for one in credentials {
            let refuse = |fault| Err(self.at_clause(fault, &one.clause));
            for file in &one.files {
                let path = file.path.clone();
                let mut trees = grants.iter().chain([workspace]);
                let taken = trees.any(|tree| path.starts_with(&tree.path)) || paths.contains(&path);
                if taken {
                    return refuse(CredentialFault::FileTwice { path });
                }
                paths.push(path);
            }
            let Source::File(path) = &one.source else { continue };
            let trees = || grants.iter().chain([workspace]).map(|tree| tree.path.as_path());
            let hides = hidden.iter().map(|name| name.path.as_path());
            let real = self.facts.seen(path).and_then(|seen| seen.real.as_ref()).unwrap_or(path);
            let seen = in_view(grants, real) || real.starts_with(&workspace.path);
            if seen && !conceals(hides, trees(), real) {
                return refuse(CredentialFault::InView { path: path.clone() });
            }
        }
        Ok(())
    }
}
