//! Rules of the network: the flags', the text's and the presets', joined.

use std::path::Path;

use super::{Resolver, absolute, workspace_path};
use crate::document::{Document, NetworkText};
use crate::error::{Fault, PolicyError};
use crate::facts::Kind;
use crate::judge::hosts::Allowed;
use crate::list::List;
use crate::model::{Clause, Danger, Variable};
use crate::network::{Network, TrustedFile};
use crate::presets::PREFIX;

/// Files of authorities that the text and its presets name, where anything may go out.
///
/// Whoever writes one says whom the next session's gateway believes: they are guarded as the policy is.
#[must_use]
pub fn trusted_files(document: &Document, home: &Path, cwd: &Path) -> Vec<TrustedFile> {
    let workspace = workspace_path(document, home, cwd);
    let file = |file: &crate::document::Located<String>| TrustedFile {
        path: absolute(&file.value, home, &workspace),
        clause: file.clause.clone(),
    };
    let texts = texts(document).filter(|_| document.network.closed.is_none());
    texts.flat_map(|text| &text.trust_ca).map(file).collect()
}

/// The text's network, then those of presets in their order: the first rule for a host and a port
/// says what is spoken and dialled there, and the person's word comes before a preset's.
fn texts(document: &Document) -> impl Iterator<Item = &NetworkText> {
    let presets = document.presets.iter().map(|preset| &preset.network);
    [&document.network].into_iter().chain(presets)
}

impl Resolver<'_> {
    /// The network, and the clause that stands for it where no rule of its own does.
    pub(super) fn network(&self) -> (Network, Clause) {
        let own = &self.document.network;
        if let Some(flag) = &own.closed {
            return (Network::closed(flag.clone()), flag.clone());
        }
        let mut network = Network::closed(own.base.clone());
        network.approve.clone_from(&own.approve);
        network.rules.allow = own.flags.iter().cloned().collect();
        network.trust_ca = trusted_files(self.document, &self.facts.home, &self.facts.cwd);
        for text in texts(self.document) {
            network.rules.allow.join(&text.allow);
            network.rules.deny.join(&text.deny);
            network.publish.extend(text.publish.iter().cloned());
            network.upstream_proxy = network.upstream_proxy.or_else(|| text.upstream_proxy.clone());
        }
        give_way(&mut network.rules.allow);
        (network, own.base.clone())
    }

    /// Refuses a file of authorities that is not there: the workload could make it, and what it says
    /// would be believed from the next start on.
    pub(super) fn no_trusted_file_lacks(&self, network: &Network) -> Result<(), PolicyError> {
        for TrustedFile { path, clause } in &network.trust_ca {
            let seen = self.certain(path)?;
            if seen.is_none_or(|seen| seen.kind == Kind::Link && seen.real.is_none()) {
                let (path, clause) = (path.clone(), clause.clone());
                return Err(PolicyError::plain(Fault::NotFound { path, clause }));
            }
        }
        Ok(())
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
        let wide = texts(self.document).flat_map(|text| text.dangers.iter().cloned());
        let wide = wide.filter(|_| self.document.network.closed.is_none());
        let asked = self.document.network.approve.iter().map(|clause| Danger {
            what: "what no rule allows is asked for outside, and one word of a person opens it"
                .into(),
            clause: clause.clone(),
        });
        secrets.chain(wide).chain(asked).collect()
    }
}

/// Where a rule binds a host to a credential, a preset's rule that lets every identity through to it is gone:
/// nobody named it.
fn give_way(rules: &mut List<Allowed>) {
    let bound: Vec<_> = rules
        .iter()
        .filter(|rule| rule.requests.credential.is_some())
        .map(|rule| (rule.pattern.clone(), rule.ports.clone()))
        .collect();
    let is_open =
        |rule: &Allowed| rule.clause.file.starts_with(PREFIX) && rule.requests.credential.is_none();
    let shares = |rule: &Allowed| {
        let meets = |port: &u16| rule.ports.contains(port);
        bound.iter().any(|(host, ports)| *host == rule.pattern && ports.iter().any(meets))
    };
    let gives_way = |rule: &Allowed| is_open(rule) && shares(rule);
    if rules.iter().any(gives_way) {
        rules.retain(|rule| !gives_way(rule));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, facts};
    use super::super::{resolve, wanted_paths};
    use super::*;
    use crate::document::Source;
    use crate::judge::{Act, Request, Rules, Verdict, decide};

    /// Whom hosts are believed by is the person's to say, and nobody inside writes it.
    #[test]
    fn files_of_authorities_stay_as_they_are() {
        let text = "version = 1\n[network]\ntrust_ca = ['ca.pem', '~/w/b/x.pem', '/opt/c.pem']\n";
        let document = |text: &str| {
            Document::parse(Source { name: "policy".into(), text: text.into() }).unwrap()
        };
        let (home, cwd) = (Path::new("/home/u"), Path::new("/home/u/w"));
        let paths = |text: &str| -> Vec<_> {
            let all = trusted_files(&document(text), home, cwd);
            all.into_iter().map(|file| file.path).collect()
        };
        assert_eq!(paths(text), [at("ca.pem"), at("b/x.pem"), "/opt/c.pem".into()]);
        let wanted = wanted_paths(&document(text), home, cwd);
        assert!(paths(text).iter().all(|path| wanted.contains(path)), "each is looked at");
        let mut closed = document(text);
        closed.close_network();
        assert!(trusted_files(&closed, home, cwd).is_empty(), "nobody is believed");
        let all = [
            ("/opt", Kind::Directory),
            ("/home/u/w/ca.pem", Kind::File),
            ("/home/u/w/b", Kind::Directory),
            ("/home/u/w/b/x.pem", Kind::File),
            ("/opt/c.pem", Kind::File),
        ];
        let mut there = facts(&all);
        there.policy_files = paths(text);
        let policy = resolve(&document(text), &there).unwrap();
        let rules = Rules::of(&policy);
        for (act, name, want, why) in [
            (Act::Read, "ca.pem", true, "it is read"),
            (Act::Write, "other.pem", true, "what is beside it is written"),
            (Act::Write, "ca.pem", false, "it is not"),
            (Act::Rename, "ca.pem", false, "nor moved"),
            (Act::Remove, "ca.pem", false, "nor removed"),
            (Act::Write, "b/x.pem", false, "nor one further down"),
            (Act::Rename, "b", false, "nor what holds it"),
        ] {
            let verdict = decide(&rules, Request { act, path: &at(name) });
            assert_eq!(matches!(verdict, Verdict::Allow(_)), want, "{act:?} {name}: {why}");
        }
        for lacks in ["ca.pem", "b/x.pem"] {
            let mut lacking = there.clone();
            lacking.paths.insert(at(lacks), None);
            let error = resolve(&document(text), &lacking).unwrap_err();
            assert_eq!(error.code(), "not-found", "{lacks}: the workload could make it");
        }
        let mut led = there.clone();
        let dangling = facts(&[("/x", Kind::Link)]).paths.remove(Path::new("/x")).flatten();
        let dangling = dangling.map(|seen| crate::facts::Seen { real: None, ..seen });
        led.paths.insert("/opt/c.pem".into(), dangling);
        let error = resolve(&document(text), &led).unwrap_err();
        assert_eq!(error.code(), "not-found", "a link to what is not there");
    }
}
