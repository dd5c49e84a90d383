//! Rules of the network: presets', the text's and the flags', joined.

use super::Resolver;
use crate::document::NetworkText;
use crate::model::{Clause, Danger, Variable};
use crate::network::Network;

impl Resolver<'_> {
    /// The network, and the clause that stands for it where no rule of its own does.
    pub(super) fn network(&self) -> (Network, Clause) {
        let own = &self.document.network;
        if let Some(flag) = &own.closed {
            return (Network::closed(flag.clone()), flag.clone());
        }
        let mut network = Network::closed(own.base.clone());
        for text in self.networks() {
            network.rules.allow.extend(text.allow.iter().cloned());
            network.rules.deny.extend(text.deny.iter().cloned());
            network.publish.extend(text.publish.iter().cloned());
            // The text comes last, so its own wins.
            network.upstream_proxy = text.upstream_proxy.clone().or(network.upstream_proxy);
        }
        (network, own.base.clone())
    }

    /// Presets' networks in their order, then the text's with the flags'.
    fn networks(&self) -> impl Iterator<Item = &NetworkText> {
        let presets = self.document.presets.iter().map(|preset| &preset.network);
        presets.chain([&self.document.network])
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
        secrets.chain(wide).collect()
    }
}
