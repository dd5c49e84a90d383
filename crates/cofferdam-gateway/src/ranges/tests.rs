//! The registries, row by row, at both ends of each block and one beyond.

use super::*;

#[track_caller]
fn check(address: &str, want: Option<&str>, why: &str) {
    let got = class(address.parse().unwrap()).map(Class::as_str);
    assert_eq!(got, want, "{address}: {why}");
}

#[test]
fn hosts_of_the_internet_have_no_class() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "93.184.216.34",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2001:200::",
        "2001:4860:4860::8888",
        "2001:db7:ffff::1",
        "2001:db9::",
        "2003::1",
        "2606:4700::1111",
        "2620:4f:7fff::1",
        "2620:4f:8001::",
        "2a00:1450:4001::1",
        "3fff:1000::",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        check(address, None, "globally reachable");
    }
}

#[test]
fn registry_v4() {
    for (first, last, want) in [
        ("0.0.0.0", "0.255.255.255", "unspecified"),
        ("10.0.0.0", "10.255.255.255", "private"),
        ("100.64.0.0", "100.127.255.255", "shared"),
        ("127.0.0.0", "127.255.255.255", "loopback"),
        ("169.254.0.0", "169.254.255.255", "link-local"),
        ("172.16.0.0", "172.31.255.255", "private"),
        ("192.0.0.0", "192.0.0.255", "protocol"),
        ("192.0.2.0", "192.0.2.255", "documentation"),
        ("192.31.196.0", "192.31.196.255", "protocol"),
        ("192.52.193.0", "192.52.193.255", "protocol"),
        ("192.88.99.0", "192.88.99.255", "protocol"),
        ("192.168.0.0", "192.168.255.255", "private"),
        ("192.175.48.0", "192.175.48.255", "protocol"),
        ("198.18.0.0", "198.19.255.255", "benchmark"),
        ("198.51.100.0", "198.51.100.255", "documentation"),
        ("203.0.113.0", "203.0.113.255", "documentation"),
        ("224.0.0.0", "239.255.255.255", "multicast"),
        ("240.0.0.0", "255.255.255.254", "reserved"),
        ("255.255.255.255", "255.255.255.255", "broadcast"),
    ] {
        check(first, Some(want), "the first");
        check(last, Some(want), "the last");
    }
}

#[test]
fn registry_v6() {
    for (first, last, want) in [
        ("::", "::", "unspecified"),
        ("::1", "::1", "loopback"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local-translation"),
        ("100::", "100::ffff:ffff:ffff:ffff", "discard"),
        ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "discard"),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo"),
        ("2001:1::1", "2001:1::3", "protocol"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmark"),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "protocol"),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "protocol"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "orchid"),
        ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "orchid"),
        ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "orchid"),
        ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
        ("2002:808:808::", "2002:808:808:ffff:ffff:ffff:ffff:ffff", "6to4"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "protocol"),
        ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique-local"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
        ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
        ("200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"),
        ("::8.8.8.8", "::1.1.1.1", "embedded"),
        ("::ffff:0:8.8.8.8", "::ffff:0:1.1.1.1", "embedded"),
        ("64:ff9b:0:1::8.8.8.8", "64:ff9b::1:0:0", "reserved"),
    ] {
        check(first, Some(want), "the first");
        check(last, Some(want), "the last");
    }
}

#[test]
fn what_attackers_write() {
    for (address, want, why) in [
        ("::ffff:127.0.0.1", "loopback", "mapped"),
        ("::127.0.0.1", "loopback", "compatible"),
        ("::ffff:0:127.0.0.1", "loopback", "translated"),
        ("64:ff9b::7f00:1", "loopback", "translated by the provider"),
        ("2002:7f00:1::", "loopback", "6to4"),
        ("0.0.0.0", "unspecified", "connects to this host"),
        ("::", "unspecified", "connects to this host"),
        ("100.64.0.1", "shared", "behind a provider's translator"),
        ("198.18.0.1", "benchmark", "the gateway's own address inside"),
        ("192.0.0.192", "metadata", "Oracle"),
        ("168.63.129.16", "metadata", "Azure"),
        ("fd00:ec2::254", "metadata", "Amazon"),
        ("169.254.169.254", "metadata", "most"),
        ("169.254.170.2", "metadata", "Amazon ECS"),
        ("100.100.100.200", "metadata", "Alibaba"),
        ("::ffff:169.254.169.254", "metadata", "mapped"),
        ("64:ff9b::169.254.169.254", "metadata", "translated by the provider"),
        ("2002:a9fe:a9fe::1", "metadata", "6to4"),
    ] {
        check(address, Some(want), why);
    }
}

/// Every IPv4 address that has a class has it in each form; one that has none is a host of the
/// Internet in two of them and of no form else. All blocks' borders, and a walk through the rest.
#[test]
fn every_form_of_an_ipv4_address_has_its_class() {
    let borders = V4.iter().flat_map(|(first, prefix, _)| {
        let first = Ipv4Addr::from(*first).to_bits();
        let last = first | u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
        [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
    });
    // A prime, so that the walk meets every part of every octet.
    let walk = (0..u32::MAX).step_by(65_521);
    let (mut with, mut without) = (0, 0);
    for bits in borders.chain(walk) {
        let v4 = Ipv4Addr::from_bits(bits);
        let want = class(v4.into());
        let low = u128::from(bits);
        for (form, own) in [
            (0xffff_0000_0000 | low, None),
            (0x0064_ff9b_u128 << 96 | low, None),
            (low, Some(Class::Embedded)),
            (0xffff_u128 << 48 | low, Some(Class::Embedded)),
            (0x2002_u128 << 112 | low << 80 | 1, Some(Class::SixToFour)),
        ] {
            // `::` and `::1` are addresses of their own.
            let got = class(Ipv6Addr::from_bits(form).into());
            let want = if form == 1 { Some(Class::Loopback) } else { want.or(own) };
            assert_eq!(got, want, "{v4} as {}", Ipv6Addr::from_bits(form));
        }
        if want.is_some() { with += 1 } else { without += 1 }
    }
    assert!(with > 1_000 && without > 1_000, "{with} and {without}: the walk met both");
}
