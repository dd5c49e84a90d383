//! Which rules have hosts in common with a pattern: by an index, where every rule is asked about all others.

use core::net::IpAddr;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::hosts::{Net, Pattern};

/// Places of rules by a name, each list ascending.
type Places<'r> = HashMap<&'r str, Vec<usize>, BuildHasherDefault<DefaultHasher>>;

/// Some rules, found by their patterns.
#[derive(Clone, Debug)]
pub struct Overlap<'r, T> {
    rules: Vec<&'r T>,
    exact: Places<'r>,
    /// By the name that stands behind `*.`.
    below: Places<'r>,
    /// Those of one name or of names below one, by each name that this lies below.
    under: Places<'r>,
    any: Vec<usize>,
    names: Vec<usize>,
    /// By the first address: blocks lie in one another or apart, so those in a block stand together.
    nets: Vec<(Net, usize)>,
}

impl<'r, T> Overlap<'r, T> {
    /// Looks at each rule once.
    pub fn new(rules: impl Iterator<Item = &'r T>, pattern: impl Fn(&'r T) -> &'r Pattern) -> Self {
        let (exact, below, under) = Default::default();
        let (rules, any, names, nets) = (rules.collect(), Vec::new(), Vec::new(), Vec::new());
        let mut all = Self { rules, exact, below, under, any, names, nets };
        for at in 0..all.rules.len() {
            let Some(pattern) = all.rules.get(at).map(|rule| pattern(rule)) else { break };
            all.add(at, pattern);
        }
        all.nets.sort_by_key(|(net, at)| (net.address(), net.prefix(), *at));
        all
    }

    fn add(&mut self, at: usize, pattern: &'r Pattern) {
        let (name, places) = match pattern {
            Pattern::Exact(name) => (name.as_str(), &mut self.exact),
            Pattern::Below(name) => (name.as_str(), &mut self.below),
            Pattern::AnyName => {
                self.any.push(at);
                self.names.push(at);
                return;
            }
            Pattern::Net(net) => {
                self.nets.push((*net, at));
                return;
            }
        };
        self.names.push(at);
        places.entry(name).or_default().push(at);
        for parent in parents(name) {
            self.under.entry(parent).or_default().push(at);
        }
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules of which some host may be of `pattern` too ([`Pattern::meets`]), in their order.
    pub fn meeting(&self, pattern: &Pattern) -> impl Iterator<Item = &'r T> {
        let mut places = Vec::new();
        match pattern {
            Pattern::Exact(_) => self.around(pattern, &mut places),
            Pattern::Below(name) => {
                self.around(pattern, &mut places);
                places.extend(self.under.get(name.as_str()).into_iter().flatten());
            }
            Pattern::AnyName => places.clone_from(&self.names),
            Pattern::Net(net) => {
                self.around(pattern, &mut places);
                let from = self.nets.partition_point(|(one, _)| one.address() < net.address());
                let inside = self.nets.get(from..).unwrap_or_default().iter();
                let inside = inside.take_while(|(one, _)| net.holds(one.address()));
                places.extend(inside.map(|(_, at)| at));
            }
        }
        self.at(places)
    }

    /// The rules that are about every host of `pattern` ([`Pattern::covers`]), in their order.
    pub fn covering(&self, pattern: &Pattern) -> impl Iterator<Item = &'r T> {
        let mut places = Vec::new();
        self.around(pattern, &mut places);
        self.at(places)
    }

    fn at(&self, mut places: Vec<usize>) -> impl Iterator<Item = &'r T> {
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|at| self.rules.get(at).copied())
    }

    /// Places of the patterns that are `pattern` or wider.
    fn around(&self, pattern: &Pattern, places: &mut Vec<usize>) {
        let (name, same) = match pattern {
            Pattern::Exact(name) => (name.as_str(), &self.exact),
            Pattern::Below(name) => (name.as_str(), &self.below),
            Pattern::AnyName => {
                places.extend(&self.any);
                return;
            }
            Pattern::Net(net) => {
                self.around_net(*net, places);
                return;
            }
        };
        places.extend(&self.any);
        places.extend(same.get(name).into_iter().flatten());
        for parent in parents(name) {
            places.extend(self.below.get(parent).into_iter().flatten());
        }
    }

    fn around_net(&self, net: Net, places: &mut Vec<usize>) {
        let key = |net: &Net| -> (IpAddr, u8) { (net.address(), net.prefix()) };
        for wider in (0..=net.prefix()).filter_map(|prefix| Net::around(net.address(), prefix)) {
            let from = self.nets.partition_point(|(one, _)| key(one) < key(&wider));
            let same = self.nets.get(from..).unwrap_or_default().iter();
            places.extend(same.take_while(|(one, _)| *one == wider).map(|(_, at)| at));
        }
    }
}

/// The names that `name` lies below, the longest first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(parent(name), |name| parent(name))
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

#[cfg(all(test, feature = "text"))]
mod tests {
    use super::*;
    use crate::hosts::parse_pattern;

    /// What the patterns say of one another, each of each.
    #[test]
    fn the_index_finds_what_the_patterns_say() {
        let texts = [
            "a.test",
            "b.a.test",
            "c.b.a.test",
            "*.a.test",
            "*.b.a.test",
            "*.test",
            "*",
            "a.test",
            "aa.test",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "10.0.0.0/16",
            "0.0.0.0/0",
            "11.0.0.0/8",
            "2001:db8::/32",
            "2001:db8::/48",
            "::/0",
            "2001:db9::/32",
            "*.aa.test",
        ];
        let patterns: Vec<Pattern> =
            texts.iter().map(|text| parse_pattern(text).unwrap()).collect();
        let all = Overlap::new(patterns.iter(), |pattern| pattern);
        let (mut met, mut covered) = (0, 0);
        for asked in &patterns {
            let want: Vec<&Pattern> = patterns.iter().filter(|one| one.meets(asked)).collect();
            let got: Vec<&Pattern> = all.meeting(asked).collect();
            assert_eq!(got, want, "meets {asked}");
            met += got.len();
            let want: Vec<&Pattern> = patterns.iter().filter(|one| one.covers(asked)).collect();
            let got: Vec<&Pattern> = all.covering(asked).collect();
            assert_eq!(got, want, "covers {asked}");
            covered += got.len();
        }
        assert!(covered > patterns.len() && met > covered, "{covered} and {met} of more than one");
    }
}
