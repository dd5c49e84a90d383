//! That an index changes no answer.

use super::*;
use crate::judge::hosts::{Allowed, Decision, Denied, Protocol, Unwanted};
use crate::judge::requests::{Inspect, PathPattern, Request, Requests};
use crate::model::Clause;

/// Even enough for a test, and the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Of so few labels that many rules are about one name, and names lie below each other.
    fn name(&mut self) -> Name {
        let labels: Vec<&str> =
            (0..=self.below(4)).map(|_| self.one(&["a", "b", "aa", "x-1"])).collect();
        Name::parse(format!("{}.test", labels.join(".")).as_bytes()).unwrap()
    }

    fn address(&mut self) -> IpAddr {
        let (a, b) = (self.below(3), self.below(5));
        let text = match self.below(4) {
            0 => format!("10.{a}.0.{b}"),
            1 => format!("::ffff:10.{a}.0.{b}"),
            2 => format!("2001:db8:{a}::{b}"),
            _ => format!("::10.{a}.0.{b}"),
        };
        text.parse().unwrap()
    }

    fn pattern(&mut self) -> Pattern {
        match self.below(8) {
            0..=2 => Pattern::Exact(self.name()),
            3..=4 => Pattern::Below(self.name()),
            5 => match self.below(3) {
                0 => Pattern::AnyName,
                _ => Pattern::Below(Name::parse(b"test").unwrap()),
            },
            _ => {
                let address = canonical(self.address());
                let prefix = match address {
                    IpAddr::V4(_) => self.one(&[0, 8, 16, 30, 31, 32]),
                    IpAddr::V6(_) => self.one(&[0, 32, 80, 96, 127, 128]),
                };
                let around = Net::around(address, prefix).unwrap();
                Pattern::Net(Net::new(around.address(), prefix).unwrap())
            }
        }
    }

    fn host(&mut self) -> Host {
        match self.below(3) {
            0 => Host::Address(self.address()),
            _ => Host::Name(self.name()),
        }
    }

    fn protocol(&mut self) -> Protocol {
        self.one(&[Protocol::Tls, Protocol::Tls, Protocol::Http, Protocol::Tcp])
    }

    fn paths(&mut self) -> Vec<PathPattern> {
        let texts = [&[][..], &["/a"], &["/a/*"], &["/b", "/c/**"], &["/**"]];
        let texts = self.one(&texts);
        texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect()
    }

    fn methods(&mut self) -> Vec<String> {
        self.one(&[&[][..], &["GET"], &["GET", "POST"]]).iter().map(ToString::to_string).collect()
    }

    fn rules(&mut self) -> HostRules {
        let allow = (0..self.below(24)).map(|number| Allowed {
            pattern: self.pattern(),
            ports: self.one(&[&[443][..], &[80, 443], &[22]]).to_vec(),
            protocol: self.protocol(),
            dial: None,
            inspect: self.one(&[Inspect::Auto, Inspect::Always, Inspect::Never]),
            requests: Requests {
                methods: self.methods(),
                paths: self.paths(),
                credential: self.one(&[None, Some("one"), Some("other")]).map(Into::into),
                ..Requests::default()
            }
            .into(),
            reason: None,
            clause: Clause::built_in(&format!("allow {number}")),
        });
        let allow = allow.collect();
        let deny = (0..self.below(6)).map(|number| {
            let whole = number % 2 == 0;
            Denied {
                pattern: self.pattern(),
                ports: self.one(&[&[][..], &[443], &[80]]).to_vec(),
                methods: if whole { Vec::new() } else { self.methods() },
                paths: if whole { Vec::new() } else { self.paths() },
                reason: None,
                clause: Clause::built_in(&format!("deny {number}")),
            }
        });
        HostRules { allow, deny: deny.collect(), base: Clause::built_in("network") }
    }
}

/// What [`About::decide`] is to say, from all rules in their order.
fn walked<'r>(rules: &'r HostRules, host: &Host, port: u16, protocol: Protocol) -> Decision<'r> {
    for rule in &rules.deny {
        let whole = rule.methods.is_empty() && rule.paths.is_empty();
        let on = rule.ports.is_empty() || rule.ports.contains(&port);
        if whole && on && rule.pattern.holds(host) {
            return Decision::Deny(&rule.clause, Unwanted::Denied);
        }
    }
    let mut found = (&rules.base, Unwanted::Host);
    for rule in &rules.allow {
        match (rule.pattern.holds(host), rule.ports.contains(&port), rule.protocol == protocol) {
            (true, true, true) => return Decision::Allow(rule),
            (true, true, false) => found = (&rule.clause, Unwanted::Protocol(rule.protocol)),
            (true, false, _) if found.1 == Unwanted::Host => found = (&rule.clause, Unwanted::Port),
            (true, false, _) | (false, ..) => {}
        }
    }
    Decision::Deny(found.0, found.1)
}

#[test]
fn an_index_changes_no_answer() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut allowed, mut denied, mut looked) = (0, 0, 0);
    for _ in 0..3_000 {
        let plain = numbers.rules();
        // Rules that are equal, and others: a copy of a list is the list.
        let allow = plain.allow.to_vec().into();
        let indexed = Indexed::new(HostRules { allow, ..plain.clone() });
        for _ in 0..12 {
            let host = numbers.host();
            let (port, protocol) = (numbers.one(&[443, 80, 22, 1]), numbers.protocol());
            let (told, want) = (indexed.about(&host), plain.about(&host));
            assert_eq!(told, want, "{host} of {plain:?}");
            let decided = told.decide(port, protocol);
            assert_eq!(decided, walked(&plain, &host, port, protocol), "{host} of {plain:?}");
            assert_eq!(told.denial(port), plain.denial(&host, port), "{host} of {plain:?}");
            assert_eq!(told.spoken(port), want.spoken(port), "{host} of {plain:?}");
            assert_eq!(told.known(), want.known(), "{host} of {plain:?}");
            assert_eq!(told.sight(port, protocol), want.sight(port, protocol), "{plain:?}");
            assert!(told.bound().eq(want.bound()), "{host} of {plain:?}");
            let request = Request {
                method: numbers.one(&["GET", "POST", "PUT"]),
                path: numbers.one(&["/", "/a", "/a/b", "/b", "/c/d/e", "/a%2fb", "/a/../b"]),
                query: None,
                headers: &[],
                websocket: false,
            };
            let got = told.decide_request(port, protocol, &request);
            assert_eq!(got, want.decide_request(port, protocol, &request), "{host} of {plain:?}");
            match decided {
                Decision::Allow(rule) => {
                    allowed += 1;
                    let at = told.place(rule).unwrap();
                    assert!(std::ptr::eq(&raw const indexed.rules().allow[at], rule));
                    assert_eq!(want.place(rule), None, "equal, and another");
                }
                Decision::Deny(_, Unwanted::Denied) => denied += 1,
                Decision::Deny(..) => {}
            }
            looked += usize::from(matches!(got, Decision::Allow(_)));
        }
    }
    // Each kind of answer was among them.
    assert!(allowed > 2_000 && denied > 1_000 && looked > 500, "{allowed} {denied} {looked}");
}

#[test]
fn only_rules_that_can_be_about_it_are_looked_at() {
    let mut numbers = Numbers(7);
    for _ in 0..500 {
        let rules = numbers.rules();
        let (index, host) = (Indexed::new(rules.clone()), numbers.host());
        let places = index.allow.places(&host);
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        assert!(places.iter().all(|at| rules.allow[*at].pattern.holds(&host)), "{host} {rules:?}");
    }
}
