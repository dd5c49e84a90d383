//! Addresses that stand for names inside a sandbox, and mean nothing outside.
//!
//! Each name that a policy allows gets one IPv4 and one IPv6 address of its own, so that the
//! destination of a connection tells which name was looked up. compile gives them to the names that
//! the policy spells out; the gateway gives the following ones to names below a wildcard, as they are
//! asked for. Both count with [`pair`], so no address stands for two names.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address of the IPv4 block: 198.18.0.0/15, for measurements between networks and so in no
/// route of the Internet (RFC 2544, appendix C.2.2).
pub const BLOCK_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Leading bits of [`BLOCK_V4`] that are fixed.
pub const BLOCK_V4_PREFIX: u8 = 15;
/// First address of the IPv6 block: a /64 of a unique local prefix of ours (RFC 4193), whose 40 bits
/// of global id were drawn once.
pub const BLOCK_V6: Ipv6Addr = Ipv6Addr::new(0xfdc0, 0xffe7, 0xda00, 0, 0, 0, 0, 0);
/// Leading bits of [`BLOCK_V6`] that are fixed.
pub const BLOCK_V6_PREFIX: u8 = 64;
/// The gateway itself, inside: name server and proxies.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The gateway itself, inside: name server and proxies.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfdc0, 0xffe7, 0xda00, 0, 0, 0, 0, 1);

/// How many addresses at the start of each block stand for no name: 198.18.0.0/24 is the gateway's.
const GATEWAY_ADDRESSES: u32 = 256;
/// How many pairs there are: what the IPv4 block holds beyond the gateway's own.
pub const PAIRS_MAX: u32 = (1 << (32 - BLOCK_V4_PREFIX)) - GATEWAY_ADDRESSES;

/// The addresses of the name with this number, from 0; `None` from [`PAIRS_MAX`] on.
///
/// Both have the same distance from the start of their block: 198.18.1.0 and
/// fdc0:ffe7:da00::100 are the first pair.
#[must_use]
pub fn pair(index: u32) -> Option<(Ipv4Addr, Ipv6Addr)> {
    let offset = GATEWAY_ADDRESSES + (index < PAIRS_MAX).then_some(index)?;
    let v4 = Ipv4Addr::from_bits(BLOCK_V4.to_bits() + offset);
    let v6 = Ipv6Addr::from_bits(BLOCK_V6.to_bits() + u128::from(offset));
    Some((v4, v6))
}

/// The number of the pair that `address` belongs to; `None` for the gateway's own addresses and for
/// every other one. An IPv4 address in IPv6 form counts as the IPv4 address.
#[must_use]
pub fn index(address: IpAddr) -> Option<u32> {
    let offset = match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_bits().checked_sub(BLOCK_V4.to_bits())?,
        IpAddr::V6(v6) => u32::try_from(v6.to_bits().checked_sub(BLOCK_V6.to_bits())?).ok()?,
    };
    offset.checked_sub(GATEWAY_ADDRESSES).filter(|index| *index < PAIRS_MAX)
}

/// Whether `address` lies in one of the two blocks, the gateway's own addresses among them.
#[must_use]
pub fn holds(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => (v4.to_bits() ^ BLOCK_V4.to_bits()) >> (32 - BLOCK_V4_PREFIX) == 0,
        IpAddr::V6(v6) => (v6.to_bits() ^ BLOCK_V6.to_bits()) >> (128 - BLOCK_V6_PREFIX) == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_count_upwards_to_the_end_of_the_block() {
        for (number, v4, v6) in [
            (0, "198.18.1.0", "fdc0:ffe7:da00::100"),
            (1, "198.18.1.1", "fdc0:ffe7:da00::101"),
            (255, "198.18.1.255", "fdc0:ffe7:da00::1ff"),
            (256, "198.18.2.0", "fdc0:ffe7:da00::200"),
            (PAIRS_MAX - 1, "198.19.255.255", "fdc0:ffe7:da00::1:ffff"),
        ] {
            let (v4, v6): (Ipv4Addr, Ipv6Addr) = (v4.parse().unwrap(), v6.parse().unwrap());
            assert_eq!(pair(number), Some((v4, v6)), "{number}");
            assert_eq!(index(v4.into()), Some(number), "{v4}");
            assert_eq!(index(v6.into()), Some(number), "{v6}");
            assert_eq!(index(v4.to_ipv6_mapped().into()), Some(number), "{v4} in IPv6 form");
        }
        assert_eq!(pair(PAIRS_MAX), None, "one past the block");
        assert_eq!(pair(u32::MAX), None, "no overflow");
    }

    #[test]
    fn what_belongs_to_the_blocks() {
        for (address, within, name, why) in [
            ("198.18.0.0", true, false, "the gateway's own"),
            ("198.18.0.1", true, false, "the gateway"),
            ("198.18.0.255", true, false, "the gateway's own"),
            ("198.18.1.0", true, true, "the first name"),
            ("198.19.255.255", true, true, "the last name"),
            ("::ffff:198.18.1.0", true, true, "the same address"),
            ("198.17.255.255", false, false, "one before"),
            ("198.20.0.0", false, false, "one after"),
            ("fdc0:ffe7:da00::", true, false, "the block itself"),
            ("fdc0:ffe7:da00::1", true, false, "the gateway"),
            ("fdc0:ffe7:da00::100", true, true, "the first name"),
            ("fdc0:ffe7:da00::2:0", true, false, "beyond the last pair"),
            ("fdc0:ffe7:da00:0:ffff::", true, false, "far beyond, still of the block"),
            ("fdc0:ffe7:da00:1::100", false, false, "the next block"),
            ("fdc0:ffe7:d9ff:ffff:ffff:ffff:ffff:ffff", false, false, "one before"),
            ("8.8.8.8", false, false, "an address outside"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(holds(address), within, "{address}: {why}");
            assert_eq!(index(address).is_some(), name, "{address}: {why}");
        }
        assert!(holds(GATEWAY_V4.into()) && holds(GATEWAY_V6.into()));
    }
}
