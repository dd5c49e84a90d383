//! Every packet that leaves HOST, whether or not anybody listens where it goes; and in HOST, every
//! packet over its loopback (each twice: as it goes and as it comes).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

use super::log::Packet;

type Hardware = [u8; 6];
/// Hardware address of HOST's end, as `ip` and as packets have it.
pub const HOST_END: &str = "02:00:00:00:00:01";
pub const HOST_END_BYTES: Hardware = [2, 0, 0, 0, 0, 1];
/// What packets over a loopback have.
pub const LOOPBACK: Hardware = [0; 6];
/// Bytes of a packet that are looked at: Ethernet, IPv6 and TCP.
const HEAD_MAX: usize = 128;
/// `ETH_P_ALL` of linux/if_ether.h.
const EVERY_PROTOCOL: u16 = 3;
/// Packets taken at a time: a bound on the loop.
const TAKEN_MAX: usize = 100_000;

/// A packet socket (packet(7)): the kernel puts a packet there before anything else sees it.
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
    from: Hardware,
}

impl Tap {
    pub fn new(from: Hardware) -> Result<Self, Errno> {
        let every = NonZeroU32::new(EVERY_PROTOCOL.to_be().into()).map(Protocol::from_raw);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, every)?;
        Ok(Self { socket, from })
    }

    pub fn drain(&self, to: &mut Vec<Packet>) {
        let mut bytes = [0; HEAD_MAX];
        for _ in 0..TAKEN_MAX {
            let Ok((_, size)) = recv(&self.socket, &mut bytes, RecvFlags::TRUNC) else { return };
            if bytes.get(6..12) == Some(&self.from) {
                to.extend(packet(&bytes[..size.min(HEAD_MAX)]));
            }
        }
    }
}

/// The packet of a frame, if it opens something.
fn packet(frame: &[u8]) -> Option<Packet> {
    let (to, protocol, rest) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let to: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
            let words = usize::from(frame.get(14)? & 0x0f);
            (Ipv4Addr::from(to).into(), *frame.get(23)?, frame.get(14 + 4 * words..)?)
        }
        [0x86, 0xdd] => {
            let to: [u8; 16] = frame.get(38..54)?.try_into().ok()?;
            (Ipv6Addr::from(to).into(), *frame.get(20)?, frame.get(54..)?)
        }
        _ => return None,
    };
    let port = || Some(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
    let port = match protocol {
        // Of TCP only what has SYN and not ACK.
        6 if rest.get(13)? & 0x12 != 0x02 => return None,
        6 | 17 | 132 | 136 => port()?,
        // What a link does by itself: multicast reports, neighbours and routers.
        0 => return None,
        58 if matches!(rest.first()?, 130..=137 | 143) => return None,
        _ => 0,
    };
    Some(Packet { to, protocol, port })
}
