//! Rules of the network: the flags', the text's and the presets', joined.

use super::{Resolver, absolute, workspace_path};
use crate::document::NetworkText;
use crate::model::{Clause, Danger, Variable};
use crate::network::{Network, TrustedFile};

impl Resolver<'_> {
    /// The network, and the clause that stands for it where no rule of its own does.
    pub(super) fn network(&self) -> (Network, Clause) {
        let own = &self.document.network;
        if let Some(flag) = &own.closed {
            return (Network::closed(flag.clone()), flag.clone());
        }
        let mut network = Network::closed(own.base.clone());
        network.approve.clone_from(&own.approve);
        network.rules.allow.extend(own.flags.iter().cloned());
        for text in self.networks() {
            network.rules.allow.extend(text.allow.iter().cloned());
            network.rules.deny.extend(text.deny.iter().cloned());
            network.publish.extend(text.publish.iter().cloned());
            let workspace = workspace_path(self.document, &self.facts.home, &self.facts.cwd);
            network.trust_ca.extend(text.trust_ca.iter().map(|file| TrustedFile {
                path: absolute(&file.value, &self.facts.home, &workspace),
                clause: file.clause.clone(),
            }));
            network.upstream_proxy = network.upstream_proxy.or_else(|| text.upstream_proxy.clone());
        }
        (network, own.base.clone())
    }

    /// The text's network, then those of presets in their order: the first rule for a host and a port
    /// says what is spoken and dialled there, and the person's word comes before a preset's.
    fn networks(&self) -> impl Iterator<Item = &NetworkText> {
        let presets = self.document.presets.iter().map(|preset| &preset.network);
        [&self.document.network].into_iter().chain(presets)
    }

    /// What is open although it is dangerous: secrets that are in `environment`, and rules that are
    /// wider than one holder's.
    pub(super) fn dangers(&self, environment: &[Variable]) -> Vec<Danger> {
        let passes = |name: &str, clause: &Clause| {
            let mut all = environment.iter();
            all.any(|variable| variable.name == name && variable.clause == *clause)
        };
        let secrets = self.document.dangerous.iter();
        let secrets = secrets.filter(|name| passes(&name.value, &name.clause)).map(|name| Danger {
            what: format!("the real value of {} is inside: it can be read and sent", name.value),
            clause: name.clause.clone(),
        });
        let wide = self.networks().flat_map(|text| text.dangers.iter().cloned());
        let wide = wide.filter(|_| self.document.network.closed.is_none());
        let asked = self.document.network.approve.iter().map(|clause| Danger {
            what: "what no rule allows is asked for outside, and one word of a person opens it"
                .into(),
            clause: clause.clone(),
        });
        secrets.chain(wide).chain(asked).collect()
    }
}
