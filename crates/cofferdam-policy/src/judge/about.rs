//! The questions to the judge of names and addresses, of one host.
//!
//! Whoever asks says first which rules are about the host: [`HostRules::about`] walks them all, and
//! [`Indexed::about`](super::indexed::Indexed::about) has them at hand. What is answered is the same.

use super::hosts::{Allowed, Decision, Denied, Host, HostRules, Protocol, Unwanted};
use crate::hostname::Name;
use crate::model::Clause;

/// The rules that are about one host, in the order of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About<'r> {
    /// Each with its place in [`HostRules::allow`].
    allow: Vec<(usize, &'r Allowed)>,
    deny: Vec<&'r Denied>,
    base: &'r Clause,
}

impl HostRules {
    /// The rules that are about `host`. Every rule is looked at.
    #[must_use]
    pub fn about(&self, host: &Host) -> About<'_> {
        let allow = self.allow.iter().enumerate().filter(|(_, rule)| rule.pattern.holds(host));
        let deny = self.deny.iter().filter(|rule| rule.pattern.holds(host));
        About::new(allow.collect(), deny.collect(), &self.base)
    }

    /// [`About::decide`].
    #[must_use]
    pub fn decide(&self, host: &Host, port: u16, protocol: Protocol) -> Decision<'_> {
        self.about(host).decide(port, protocol)
    }

    /// [`About::denial`].
    #[must_use]
    pub fn denial(&self, host: &Host, port: u16) -> Option<&Denied> {
        self.about(host).denial(port)
    }

    /// [`About::known`].
    ///
    /// # Errors
    /// The rule that decided, and why.
    pub fn knows(&self, name: &Name) -> Result<(), (&Clause, Unwanted)> {
        self.about(&Host::Name(name.clone())).known()
    }
}

impl<'r> About<'r> {
    /// Rules whose patterns hold the host, ascending by their places, none twice.
    pub(super) const fn new(
        allow: Vec<(usize, &'r Allowed)>,
        deny: Vec<&'r Denied>,
        base: &'r Clause,
    ) -> Self {
        Self { allow, deny, base }
    }

    /// Rules that allow something of the host.
    pub fn allow(&self) -> impl Iterator<Item = &'r Allowed> {
        self.allow.iter().map(|(_, rule)| *rule)
    }

    /// Rules that deny something of it.
    pub(super) fn deny(&self) -> impl Iterator<Item = &'r Denied> {
        self.deny.iter().copied()
    }

    /// The rule where no other holds.
    pub(super) const fn base(&self) -> &'r Clause {
        self.base
    }

    /// The place in [`HostRules::allow`] of `rule`, where it is one of these, and not only equal to one.
    #[must_use]
    pub fn place(&self, rule: &Allowed) -> Option<usize> {
        let mut rules = self.allow.iter();
        rules.find(|(_, one)| std::ptr::eq(*one, rule)).map(|(at, _)| *at)
    }

    /// Whether a connection to `port` of the host that speaks `protocol` may be.
    #[must_use]
    pub fn decide(&self, port: u16, protocol: Protocol) -> Decision<'r> {
        if let Some(rule) = self.denial(port) {
            return Decision::Deny(&rule.clause, Unwanted::Denied);
        }
        let (mut because, mut clause) = (Unwanted::Host, self.base);
        for rule in self.allow() {
            if !rule.ports.contains(&port) {
                if because == Unwanted::Host {
                    (because, clause) = (Unwanted::Port, &rule.clause);
                }
            } else if rule.protocol != protocol {
                (because, clause) = (Unwanted::Protocol(rule.protocol), &rule.clause);
            } else {
                return Decision::Allow(rule);
            }
        }
        Decision::Deny(clause, because)
    }

    /// The rule that denies `port` of the host, whatever allows it.
    #[must_use]
    pub fn denial(&self, port: u16) -> Option<&'r Denied> {
        let on = |ports: &[u16]| ports.is_empty() || ports.contains(&port);
        self.deny().find(|rule| !rule.is_inner() && on(&rule.ports))
    }

    /// What is spoken on `port` of the host by the first rule that names both and is not denied: on a
    /// port that only a rule of the policy has opened, nothing else tells.
    #[must_use]
    pub fn spoken(&self, port: u16) -> Option<Protocol> {
        self.allow().find(|rule| rule.ports.contains(&port)).map(|rule| rule.protocol)
    }

    /// Whether anything at all of the host is allowed: whether a name has an address inside.
    ///
    /// # Errors
    /// The rule that decided, and why.
    pub fn known(&self) -> Result<(), (&'r Clause, Unwanted)> {
        let mut found = Err((self.base, Unwanted::Host));
        for rule in self.allow() {
            for port in &rule.ports {
                match self.decide(*port, rule.protocol) {
                    Decision::Allow(_) => return Ok(()),
                    Decision::Deny(clause, because) => found = Err((clause, because)),
                }
            }
        }
        if let Some(rule) = self.deny().find(|rule| !rule.is_inner()) {
            found = Err((&rule.clause, Unwanted::Denied));
        }
        found
    }
}
