//! The same rules with an index by host: a question looks at none that cannot be about its host, however
//! many there are.
//!
//! Rules that have been indexed do not change; others take their place as a whole. So an index is never
//! behind its rules.

use core::net::IpAddr;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

use super::about::About;
use super::hosts::{Host, HostRules, Net, Pattern, canonical};
use crate::hostname::Name;

/// Rules, and where those for a host are.
#[derive(Clone, Debug)]
pub struct Indexed {
    rules: HostRules,
    allow: Index,
    deny: Index,
}

impl Indexed {
    /// Looks at each rule once.
    #[must_use]
    pub fn new(rules: HostRules) -> Self {
        let allow = Index::new(rules.allow.iter().map(|rule| &rule.pattern));
        let deny = Index::new(rules.deny.iter().map(|rule| &rule.pattern));
        Self { rules, allow, deny }
    }

    /// The rules as they are.
    #[must_use]
    pub const fn rules(&self) -> &HostRules {
        &self.rules
    }

    /// The rules as they are, without the index.
    #[must_use]
    pub fn into_rules(self) -> HostRules {
        self.rules
    }

    /// The rules that are about `host`: the same as [`HostRules::about`].
    #[must_use]
    pub fn about(&self, host: &Host) -> About<'_> {
        let allow = self.allow.places(host).into_iter();
        let allow = allow.filter_map(|at| Some((at, self.rules.allow.get(at)?)));
        let deny = self.deny.places(host).into_iter();
        let deny = deny.filter_map(|at| self.rules.deny.get(at));
        About::new(allow.collect(), deny.collect(), &self.rules.base)
    }
}

/// Places of rules by what their pattern says, each list ascending.
type Places<K> = HashMap<K, Vec<usize>, BuildHasherDefault<DefaultHasher>>;

/// Places of patterns. Each pattern is in one list.
#[derive(Clone, Debug, Default)]
struct Index {
    exact: Places<String>,
    /// By the name that stands behind `*.`.
    below: Places<String>,
    any: Vec<usize>,
    nets: Places<Net>,
    /// Which lengths of prefixes there are, of IPv4 (`true`) and IPv6: at most 33 and 129.
    prefixes: BTreeSet<(bool, u8)>,
}

impl Index {
    fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut index = Self::default();
        for (at, pattern) in patterns.enumerate() {
            match pattern {
                Pattern::Exact(name) => add(&mut index.exact, name.as_str().to_owned(), at),
                Pattern::Below(name) => add(&mut index.below, name.as_str().to_owned(), at),
                Pattern::AnyName => index.any.push(at),
                Pattern::Net(net) => {
                    index.prefixes.insert((net.address().is_ipv4(), net.prefix()));
                    add(&mut index.nets, *net, at);
                }
            }
        }
        index
    }

    /// Places of all patterns that hold `host`, ascending.
    fn places(&self, host: &Host) -> Vec<usize> {
        let mut places = Vec::new();
        match host {
            Host::Name(name) => self.of_name(name, &mut places),
            Host::Address(address) => self.of_address(canonical(*address), &mut places),
        }
        places.sort_unstable();
        places
    }

    fn of_name(&self, name: &Name, places: &mut Vec<usize>) {
        places.extend(self.exact.get(name.as_str()).into_iter().flatten());
        places.extend(&self.any);
        if self.below.is_empty() {
            return;
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            places.extend(self.below.get(parent).into_iter().flatten());
            rest = parent;
        }
    }

    fn of_address(&self, address: IpAddr, places: &mut Vec<usize>) {
        let alike = self.prefixes.iter().filter(|(is_v4, _)| *is_v4 == address.is_ipv4());
        for net in alike.filter_map(|(_, prefix)| Net::around(address, *prefix)) {
            places.extend(self.nets.get(&net).into_iter().flatten());
        }
    }
}

fn add<K: Eq + Hash>(places: &mut Places<K>, key: K, at: usize) {
    places.entry(key).or_default().push(at);
}

#[cfg(test)]
#[path = "indexed_tests.rs"]
mod tests;
