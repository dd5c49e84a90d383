//! Addresses that are no host of the Internet, by class.
//!
//! The tables are IANA's registries of special-purpose addresses (RFC 6890 and its updates), of IPv4
//! multicast and of IPv6 global unicast, and the addresses at which clouds hand out credentials. They
//! are stricter than the registries in one way: a block that is only for the machinery of the network
//! (anycast relays, sinks) has a class even where the registry calls it globally reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is no host of the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 0.0.0.0/8, `::`: this host or this network.
    Unspecified,
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// Networks of an organisation (RFC 1918).
    Private,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// On the same link only.
    LinkLocal,
    /// Where a cloud hands out a machine's credentials.
    Metadata,
    /// For examples in texts.
    Documentation,
    /// For measurements; what stands for names inside a sandbox lies here as well.
    Benchmark,
    /// To many.
    Multicast,
    /// To all on the link.
    Broadcast,
    /// Not given to anybody yet.
    Reserved,
    /// For protocols of the network itself: relays, sinks, segment routing.
    Protocol,
    /// IPv6 networks of an organisation (RFC 4193).
    UniqueLocal,
    /// The same, before 2004 (RFC 3879).
    SiteLocal,
    /// An IPv4 address in a tunnel (RFC 3056).
    SixToFour,
    /// An IPv4 address and port in a tunnel (RFC 4380).
    Teredo,
    /// Names of hosts in the shape of addresses (RFC 4843, RFC 7343, RFC 9374).
    Orchid,
    /// Dropped by routers (RFC 6666).
    Discard,
    /// An IPv4 address in a form that no host of the Internet has (RFC 4291, RFC 2765).
    Embedded,
    /// A translator of the own network (RFC 8215).
    LocalTranslation,
}

impl Class {
    /// Stable name for messages and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Protocol => "protocol",
            Self::UniqueLocal => "unique-local",
            Self::SiteLocal => "site-local",
            Self::SixToFour => "6to4",
            Self::Teredo => "teredo",
            Self::Orchid => "orchid",
            Self::Discard => "discard",
            Self::Embedded => "embedded",
            Self::LocalTranslation => "local-translation",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The class of `address`; `None` where it is globally reachable unicast.
///
/// An IPv4 address has the same class in each form that IPv6 has for it.
#[must_use]
pub fn class(address: IpAddr) -> Option<Class> {
    match address.to_canonical() {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

/// The IPv4 address that a packet to `address` reaches through a translator (RFC 6052): what is said
/// of the one holds of the other.
#[must_use]
pub fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return None;
    };
    embedded(v6).map(|(v4, _)| v4)
}

type RowV4 = ([u8; 4], u8, Class);

/// Address, prefix, class: the first that holds counts.
const V4: &[RowV4] = &[
    // Amazon EC2, Google, Azure, OpenStack and most others; then tasks of Amazon ECS and EKS.
    ([169, 254, 169, 254], 32, Class::Metadata),
    ([169, 254, 170, 2], 32, Class::Metadata),
    ([169, 254, 170, 23], 32, Class::Metadata),
    // Azure's wire server, Oracle, Alibaba.
    ([168, 63, 129, 16], 32, Class::Metadata),
    ([192, 0, 0, 192], 32, Class::Metadata),
    ([100, 100, 100, 200], 32, Class::Metadata),
    ([255, 255, 255, 255], 32, Class::Broadcast),
    ([0, 0, 0, 0], 8, Class::Unspecified),
    ([10, 0, 0, 0], 8, Class::Private),
    ([100, 64, 0, 0], 10, Class::Shared),
    ([127, 0, 0, 0], 8, Class::Loopback),
    ([169, 254, 0, 0], 16, Class::LinkLocal),
    ([172, 16, 0, 0], 12, Class::Private),
    ([192, 0, 0, 0], 24, Class::Protocol),
    ([192, 0, 2, 0], 24, Class::Documentation),
    // Sinks of AS112 (RFC 7535, RFC 7534), multicast relays (RFC 7450), relays of 6to4 (RFC 7526).
    ([192, 31, 196, 0], 24, Class::Protocol),
    ([192, 52, 193, 0], 24, Class::Protocol),
    ([192, 88, 99, 0], 24, Class::Protocol),
    ([192, 168, 0, 0], 16, Class::Private),
    ([192, 175, 48, 0], 24, Class::Protocol),
    ([198, 18, 0, 0], 15, Class::Benchmark),
    ([198, 51, 100, 0], 24, Class::Documentation),
    ([203, 0, 113, 0], 24, Class::Documentation),
    ([224, 0, 0, 0], 4, Class::Multicast),
    ([240, 0, 0, 0], 4, Class::Reserved),
];

type RowV6 = ([u16; 8], u8, Class);

/// Address, prefix, class: the first that holds counts.
const V6: &[RowV6] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Class::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Class::Loopback),
    // Amazon EC2, Google, Scaleway.
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, Class::Metadata),
    // Pods of Amazon EKS.
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, Class::Metadata),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Class::LocalTranslation),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Class::Discard),
    // A prefix for addresses that stand for none (RFC 9780).
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, Class::Discard),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Class::Teredo),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Class::Benchmark),
    // ORCHID, ORCHIDv2 and the tags of drones.
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Class::Orchid),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Class::Orchid),
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, Class::Orchid),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Class::Protocol),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Class::Documentation),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Class::SixToFour),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Class::Protocol),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Class::Documentation),
    // The test network of old (RFC 5156): its addresses came back.
    ([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, Class::Reserved),
    // Segment routing (RFC 9602).
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Class::Protocol),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Class::UniqueLocal),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Class::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Class::SiteLocal),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Class::Multicast),
];

/// What IANA gives to hosts of the Internet (RFC 4291, 2.4): everything else is nobody's.
const GLOBAL_UNICAST: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

fn class_v4(address: Ipv4Addr) -> Option<Class> {
    let bits = address.to_bits();
    let holds = |(first, prefix, _): &&RowV4| {
        let differs = bits ^ Ipv4Addr::from(*first).to_bits();
        differs.checked_shr(32 - u32::from(*prefix)) == Some(0)
    };
    V4.iter().find(holds).map(|row| row.2)
}

fn within(address: Ipv6Addr, first: [u16; 8], prefix: u8) -> bool {
    let differs = address.to_bits() ^ Ipv6Addr::from(first).to_bits();
    differs.checked_shr(128 - u32::from(prefix)) == Some(0)
}

/// Where in an IPv6 address an IPv4 address is, and what the form itself is.
fn embedded(address: Ipv6Addr) -> Option<(Ipv4Addr, Option<Class>)> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        // Mapped: the IPv4 address itself. `to_canonical` has seen to it.
        (0, 0, 0, 0, 0, 0xffff) => Some((v4(g, h), None)),
        // A translator of the provider reaches the IPv4 address (RFC 6052).
        (0x64, 0xff9b, 0, 0, 0, 0) => Some((v4(g, h), None)),
        // Compatible (RFC 4291, 2.5.5.1) and translated (RFC 2765): nobody has such an address.
        (0, 0, 0, 0, 0, 0) if (g, h) != (0, 0) && (g, h) != (0, 1) => {
            Some((v4(g, h), Some(Class::Embedded)))
        }
        (0, 0, 0, 0, 0xffff, 0) => Some((v4(g, h), Some(Class::Embedded))),
        // The tunnel's other end.
        (0x2002, ..) => Some((v4(b, c), Some(Class::SixToFour))),
        _ => None,
    }
}

fn class_v6(address: Ipv6Addr) -> Option<Class> {
    if let Some((v4, form)) = embedded(address) {
        return class_v4(v4).or(form);
    }
    let row = V6.iter().find(|(first, prefix, _)| within(address, *first, *prefix));
    if let Some((_, _, class)) = row {
        return Some(*class);
    }
    let (first, prefix) = GLOBAL_UNICAST;
    (!within(address, first, prefix)).then_some(Class::Reserved)
}

#[cfg(test)]
mod tests;
