//! E16, E17, S08, S10: the address that is dialled is the one that was judged, and none of this
//! host, its network, or a cloud's.

use crate::asking::POLICY;
use crate::internet::{GOOD, HOST, HOST_6, HOST_PRIVATE, Internet};

const FETCH: &[&str] = &["curl", "-sS", "--fail", "--max-time", "8", "http://x.good.test/"];
/// The same through the proxy that the variables name: the status.
const BY_PROXY: &str = "curl -sS -o /dev/null -w '%{http_code} ' http://x.good.test/";
const REFUSED: &[&str] = &["403", "reset", "Empty reply", "Failed to connect"];

/// Address, as which class it is refused.
const SPECIAL: &[(&str, &str)] = &[
    ("0.0.0.0", "unspecified"),
    ("::", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("::1", "loopback"),
    ("10.0.0.5", "private"),
    ("100.64.0.1", "shared"),
    ("198.18.0.1", "benchmark"),
    ("169.254.169.254", "metadata"),
    ("169.254.7.7", "link-local"),
    ("192.0.0.192", "metadata"),
    ("168.63.129.16", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("fdab::1", "unique-local"),
];

#[test]
fn e16_special_addresses_are_refused_by_class() {
    let Some(net) = Internet::take() else { return };
    for (address, class) in SPECIAL {
        net.forget();
        let kind = if address.contains(':') { "AAAA" } else { "A" };
        net.answer("x.good.test", &[&format!("{kind} {address}")]);
        net.outside(FETCH).works(address);
        net.forget();
        net.answer("x.good.test", &[&format!("{kind} {address}")]);
        net.tells(&["proxy x.good.test:80 forbidden-address"], || {
            let ran = net.inside(POLICY, &["sh", "-c", BY_PROXY]).works(address);
            assert!(ran.out.starts_with("403 "), "{address}: {ran:?}");
            ran
        });
        assert_eq!((net.hits(address), net.seen_by_host().packets), (0, vec![]), "{address}");
        let why = net.events("connection").pop().unwrap()["why"].to_string();
        assert!(why.contains(class), "{address}: {why} names the class {class}");
    }
    net.forget();
    net.inside(POLICY, FETCH).works("an ordinary address");
}

#[test]
fn e17_addresses_of_this_host_are_refused() {
    let Some(net) = Internet::take() else { return };
    for address in [HOST, HOST_6, HOST_PRIVATE] {
        let kind = if address.contains(':') { "AAAA" } else { "A" };
        net.answer("x.good.test", &[&format!("{kind} {address}")]);
        net.outside(FETCH).works(address);
        assert!(!net.seen_by_host().requests.is_empty(), "{address}: the control reaches it");
        net.forget();
        net.answer("x.good.test", &[&format!("{kind} {address}")]);
        net.tells(&["proxy x.good.test:80 forbidden-address"], || {
            net.inside(POLICY, FETCH).fails(REFUSED, address)
        });
        assert_eq!(net.seen_by_host().packets, [], "{address}");
        net.forget();
    }
}

#[test]
fn s08_a_second_answer_is_judged_as_the_first() {
    let Some(net) = Internet::take() else { return };
    let turn = format!("A {GOOD}");
    let script =
        "for i in $(seq 50); do curl -sS -o /dev/null --max-time 3 http://x.good.test/; done; true";
    net.answer("x.good.test", &[&turn, "A 127.0.0.1"]);
    net.outside(&["sh", "-c", script]).works("without a wall");
    assert!(!net.seen_by_host().requests.is_empty(), "the second answer is dialled");
    net.forget();
    net.answer("x.good.test", &[&turn, "A 127.0.0.1"]);
    let told = ["proxy x.good.test:80 allowed", "proxy x.good.test:80 forbidden-address"];
    net.tells(&told, || net.inside(POLICY, &["sh", "-c", script]).works("inside"));
    assert!(!net.seen().requests_to(GOOD).is_empty(), "the first answer is good");
    assert_eq!(net.seen_by_host().packets, []);
    // Both in one answer: what is left after judging is dialled, and only that.
    net.forget();
    net.answer("x.good.test", &[&format!("A 127.0.0.1; {turn}")]);
    net.inside(POLICY, FETCH).works("one of two is good");
    assert_eq!(net.seen_by_host().packets, []);
}

#[test]
fn s10_the_end_of_a_chain_is_judged() {
    let Some(net) = Internet::take() else { return };
    let script = || {
        net.answer("x.good.test", &["CNAME metadata.internal"]);
        net.answer("metadata.internal", &["A 169.254.169.254"]);
    };
    script();
    net.outside(FETCH).works("without a wall");
    assert!(net.hits("169.254.169.254") > 0);
    net.forget();
    script();
    net.tells(&["proxy x.good.test:80 forbidden-address"], || {
        net.inside(POLICY, FETCH).fails(REFUSED, "by the final address")
    });
    assert_eq!(net.hits("169.254.169.254"), 0);
    net.answer("x.good.test", &["CNAME other.example"]);
    net.answer("other.example", &[&format!("A {GOOD}")]);
    net.inside(POLICY, FETCH).works("a chain to an ordinary address");
}

#[test]
fn whoever_asks_for_a_family_that_is_configured_gets_addresses() {
    let Some(net) = Internet::take() else { return };
    // As getent(1), wget(1) and the default of getaddrinfo(3) do.
    let act = "import socket\n\
         for family in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):\n    \
         flags = socket.AI_ADDRCONFIG | socket.AI_V4MAPPED\n    \
         for a in socket.getaddrinfo('good.test', 443, family, socket.SOCK_STREAM, 0, flags):\n        \
         socket.create_connection(a[4][:2], 5)";
    net.python_outside(act).works("without a wall");
    net.python_inside(POLICY, act).works("inside");
}
