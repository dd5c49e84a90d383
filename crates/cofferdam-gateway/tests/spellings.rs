//! A name has one spelling on every way into the gateway: an authority, a ClientHello and a SOCKS
//! request take the same bytes for the same name, or all refuse them; and the matcher and the question to
//! the name servers are for that very name.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

use cofferdam_gateway::hello::HelloFault;
use cofferdam_gateway::upstream::question;
use cofferdam_gateway::{authority, hello, socks};
use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::{Allowed, Decision, Host, HostRules, Pattern, Protocol};
use cofferdam_policy::judge::requests::{Asked, Inspect};
use cofferdam_policy::model::Clause;

/// Good ones, and what differs between readers.
const SAMPLES: &[&[u8]] = &[
    b"good.test",
    b"a.b-c.d_e.good.test",
    b"xn--bcher-kva.test",
    b"GOOD.test.",
    b"localhost",
    b"203.0.113.7",
    b"::ffff:203.0.113.7",
    b"2001:db8::1",
    b"0x7f.1",
    b"evil.test\0.good.test",
];
/// What readers of names stumble over.
const EDGES: &[u8] = b".-_:@%[]/\\#?*\0\r\n\t 019azAZxX\x7f\x80\xff";
const ROUNDS: usize = 10_000;

/// xorshift64*: the same inputs every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % bound.max(1)
    }

    fn edge(&mut self) -> u8 {
        EDGES.get(self.below(EDGES.len())).copied().unwrap_or_default()
    }

    /// A sample with none to three changes.
    fn name(&mut self) -> Vec<u8> {
        let mut name = SAMPLES.get(self.below(SAMPLES.len())).copied().unwrap_or_default().to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(name.len());
            match self.below(5) {
                0 => name.insert(at, self.edge()),
                1 if !name.is_empty() => drop(name.splice(at..=at, [self.edge()])),
                2 if !name.is_empty() => drop(name.remove(at)),
                3 => name.truncate(at),
                _ => {
                    let label = vec![b'a'; self.below(80)];
                    name.splice(at..at, label);
                }
            }
        }
        name
    }
}

fn long(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], content].concat()
}

/// A ClientHello that names these bytes.
fn client_hello(name: &[u8]) -> Vec<u8> {
    let list = long(&[&[0][..], &long(name)].concat());
    let extensions = long(&[&[0, 0][..], &long(&list)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &long(&[&[1][..], &length[1..], &body].concat())].concat()
}

fn socks_request(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[5, 1, 0, 3, length][..], name, &[1, 187]].concat()
}

/// What a rule for this name lets through, what name servers are asked for it, and what was read: one
/// spelling.
#[track_caller]
fn judged_and_asked(name: &Name, shown: &impl std::fmt::Display) {
    let rule = Allowed {
        pattern: Pattern::Exact(name.clone()),
        ports: vec![443],
        protocol: Protocol::Tls,
        dial: None,
        inspect: Inspect::Auto,
        requests: Asked::default(),
        reason: None,
        clause: Clause::built_in("allow"),
    };
    let rules =
        HostRules { allow: vec![rule].into(), ..HostRules::none(Clause::built_in("network")) };
    let asked = question(name).unwrap();
    let labels: Vec<&[u8]> = asked.iter().collect();
    let labels = Name::parse(&labels.join(&b'.')).unwrap();
    assert_eq!(asked.to_ascii().trim_end_matches('.'), name.as_str(), "{shown}: asked");
    let decided = |host: Name| rules.decide(&Host::Name(host), 443, Protocol::Tls);
    assert!(matches!(decided(labels), Decision::Allow(_)), "{shown}: the name that is asked for");
    let beside = Name::parse(format!("x{name}").as_bytes());
    assert!(beside.is_err() || !matches!(decided(beside.unwrap()), Decision::Allow(_)), "{shown}");
}

#[test]
fn every_way_in_reads_the_same_name() {
    let mut random = Random(0xC0FF_E2DA);
    let (mut names, mut addresses, mut refused) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let name = random.name();
        if name.len() > 255 {
            continue;
        }
        // IPv6 stands in brackets in an authority alone; an IPv4 address with a port is one to all.
        let is_v6 = name.contains(&b':');
        let text = if is_v6 {
            [b"[", name.as_slice(), b"]:443"].concat()
        } else {
            [name.as_slice(), b":443"].concat()
        };
        let by_authority = authority::parse(&text, None).ok().map(|(host, _)| host);
        let by_socks =
            socks::request(&socks_request(&name)).map(|request| request.unwrap().host).ok();
        let by_hello = hello::read(&client_hello(&name)).map(|hello| hello.unwrap().server_name);
        let shown = name.escape_ascii();
        match (&by_authority, &by_hello) {
            (Some(Host::Name(one)), Ok(Some(other))) => {
                assert_eq!((one, by_socks), (other, by_authority.clone()), "{shown}");
                judged_and_asked(one, &shown);
                names += 1;
            }
            // RFC 6066 has no dot at the end: that one spelling less, and no other name.
            (Some(Host::Name(_)), Err(HelloFault::NameDot)) => {
                assert!(name.ends_with(b"."), "{shown}");
                assert_eq!(by_socks, by_authority, "{shown}");
                names += 1;
            }
            // A hello has no addresses; SOCKS has an address as text in its one spelling alone.
            (Some(Host::Address(_)), Err(HelloFault::Name(_))) => {
                assert!(by_socks == by_authority || (is_v6 && by_socks.is_none()), "{shown}");
                addresses += 1;
            }
            (None, Err(_)) => {
                assert_eq!(by_socks, None, "{shown}");
                refused += 1;
            }
            (by_authority, by_hello) => panic!("{shown}: {by_authority:?}, {by_hello:?}"),
        }
    }
    // Each of the three is met often, or this shows nothing.
    assert!(names > 2_000 && addresses > 500 && refused > 2_000, "{names} {addresses} {refused}");
}
