//! Which name each synthetic address of this sandbox stands for.
//!
//! compile assigns the names that the policy spells out; a name below a wildcard gets the next pair
//! when it is first looked up. An address never changes its name: a client may hold it for as long as
//! the sandbox lives.
//!
//! Nothing is judged here: the caller asks the judge before it asks for an address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use cofferdam_plan::synthetic::{holds, index, pair};
use cofferdam_policy::Name;

/// Names below wildcards that get an address, in the life of one sandbox.
///
/// A name below a wildcard carries a few bytes to whoever answers for the domain once it is dialled,
/// so their number is what a wildcard can leak. Real programs use some tens: a package registry with
/// its mirrors, an object store with a name for each bucket.
pub const WILDCARD_NAMES_MAX: usize = 1_024;

/// Names and addresses, one to one.
#[derive(Debug)]
pub struct Synthetic {
    by_name: HashMap<Rc<Name>, u32>,
    by_index: HashMap<u32, Rc<Name>>,
    next: u32,
    wildcard_names: usize,
}

/// No address is left for another name below a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{WILDCARD_NAMES_MAX} names below wildcards have been looked up")
    }
}

/// The plan assigned addresses that are not one pair, or one name or pair twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misassigned(pub Name);

impl Synthetic {
    /// The names that the plan has assigned.
    ///
    /// # Errors
    /// The first name whose addresses are not one pair of [`pair`], or that is there a second time, or
    /// whose pair another name has.
    pub fn new(
        assigned: impl IntoIterator<Item = (Name, Ipv4Addr, Ipv6Addr)>,
    ) -> Result<Self, Misassigned> {
        let (by_name, by_index) = (HashMap::new(), HashMap::new());
        let mut names = Self { by_name, by_index, next: 0, wildcard_names: 0 };
        for (name, v4, v6) in assigned {
            let free = |number: &u32| {
                pair(*number) == Some((v4, v6))
                    && !names.by_index.contains_key(number)
                    && !names.by_name.contains_key(&name)
            };
            let Some(number) = index(v4.into()).filter(free) else {
                return Err(Misassigned(name));
            };
            names.insert(name, number);
        }
        Ok(names)
    }

    /// The addresses of `name`: those it has, or the next ones.
    ///
    /// # Errors
    /// [`Full`] for a new name once there are [`WILDCARD_NAMES_MAX`] of them.
    pub fn lookup(&mut self, name: &Name) -> Result<(Ipv4Addr, Ipv6Addr), Full> {
        if let Some(number) = self.by_name.get(name) {
            return pair(*number).ok_or(Full);
        }
        if self.wildcard_names >= WILDCARD_NAMES_MAX {
            return Err(Full);
        }
        let number = self.next;
        let addresses = pair(number).ok_or(Full)?;
        self.insert(name.clone(), number);
        self.wildcard_names += 1;
        Ok(addresses)
    }

    /// The name that `address` stands for in this sandbox.
    #[must_use]
    pub fn named(&self, address: IpAddr) -> Option<&Name> {
        self.by_index.get(&index(address)?).map(Rc::as_ref)
    }

    /// Takes a number that [`pair`] knows, so it is far from overflow.
    fn insert(&mut self, name: Name, number: u32) {
        let name = Rc::new(name);
        self.by_name.insert(Rc::clone(&name), number);
        self.by_index.insert(number, name);
        self.next = self.next.max(number + 1);
    }
}

/// Whether `address` stands for a name or the gateway, in any sandbox: nothing outside has it.
#[must_use]
pub fn is_synthetic(address: IpAddr) -> bool {
    holds(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn assigned(text: &str, number: u32) -> (Name, Ipv4Addr, Ipv6Addr) {
        let (v4, v6) = pair(number).unwrap();
        (name(text), v4, v6)
    }

    #[test]
    fn an_address_has_one_name_for_ever() {
        let mut names = Synthetic::new([assigned("a.test", 0), assigned("b.test", 1)]).unwrap();
        assert_eq!(names.lookup(&name("a.test")), Ok(pair(0).unwrap()), "the plan's");
        assert_eq!(names.lookup(&name("x.wide.test")), Ok(pair(2).unwrap()), "the next");
        assert_eq!(names.lookup(&name("y.wide.test")), Ok(pair(3).unwrap()), "the next");
        assert_eq!(names.lookup(&name("x.wide.test")), Ok(pair(2).unwrap()), "the same again");
        for (number, want) in [(0, "a.test"), (1, "b.test"), (2, "x.wide.test")] {
            let (v4, v6) = pair(number).unwrap();
            assert_eq!(names.named(v4.into()), Some(&name(want)));
            assert_eq!(names.named(v6.into()), Some(&name(want)));
            assert_eq!(names.named(v4.to_ipv6_mapped().into()), Some(&name(want)));
        }
        assert_eq!(names.named(pair(4).unwrap().0.into()), None, "nobody's yet");
        assert_eq!(names.named("198.18.0.1".parse().unwrap()), None, "the gateway's own");
        assert_eq!(names.named("93.184.216.34".parse().unwrap()), None, "an address outside");
    }

    #[test]
    fn names_below_wildcards_are_counted() {
        let mut names = Synthetic::new([assigned("a.test", 7)]).unwrap();
        for n in 0..WILDCARD_NAMES_MAX {
            let number = u32::try_from(n).unwrap() + 8;
            assert_eq!(names.lookup(&name(&format!("n{n}.test"))), Ok(pair(number).unwrap()));
        }
        assert_eq!(names.lookup(&name("more.test")), Err(Full), "one too many");
        assert_eq!(names.lookup(&name("n0.test")), Ok(pair(8).unwrap()), "what was given stays");
        assert_eq!(names.lookup(&name("a.test")), Ok(pair(7).unwrap()), "the plan's stay");
        assert_eq!(names.named(pair(8 + 1_024).unwrap().0.into()), None, "nothing was reused");
    }

    #[test]
    fn what_the_plan_assigns_is_checked() {
        let (v4, _) = pair(0).unwrap();
        let (_, v6) = pair(1).unwrap();
        for (rows, why) in [
            (vec![(name("a.test"), v4, v6)], "addresses of two pairs"),
            (vec![assigned("a.test", 0), assigned("b.test", 0)], "one pair for two names"),
            (vec![assigned("a.test", 0), assigned("a.test", 1)], "one name with two pairs"),
            (vec![(name("a.test"), Ipv4Addr::LOCALHOST, v6)], "an address of no pair"),
        ] {
            assert!(Synthetic::new(rows).is_err(), "{why}");
        }
        assert!(
            Synthetic::new([assigned("a.test", 9), assigned("b.test", 2)]).is_ok(),
            "any order"
        );
    }
}
