//! Which addresses are this machine's, as the kernel says when it is asked (`rtnetlink(7)`).
//!
//! The source that the kernel would take tells too little: to the second address of an interface it
//! goes from the first one. So what is asked is the kind of the way there.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `RTM_NEWROUTE`, `RTM_GETROUTE`, `NLMSG_ERROR`.
const ROUTE: u16 = 24;
const ASK_ROUTE: u16 = 26;
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `RTA_DST`.
const DESTINATION: u16 = 1;
/// `RTN_UNICAST`: by way of somebody else. Every other kind is an address of this machine, one for
/// many of them, or a way that is shut.
const UNICAST: u8 = 1;
/// A header, and the kind of a route in what follows it (`struct rtmsg`).
const HEADER_BYTES: usize = 16;
const KIND_AT: usize = HEADER_BYTES + 7;
/// An answer is a header, twelve bytes and a few attributes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// A socket of the routing protocol, to be made before the process confines itself.
#[derive(Debug)]
pub(super) struct Routes(OwnedFd);

impl Routes {
    /// # Errors
    /// The kernel gives no such socket.
    pub(super) fn open() -> io::Result<Self> {
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        Ok(Self(socket_with(AddressFamily::NETLINK, kind, flags, None)?))
    }

    /// Whether `address` is one of this machine's: now, since no list of addresses is kept.
    ///
    /// An address that it has no way to is not its own. Where it cannot be asked, it is as if it were.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.kind(address.to_canonical())
            .map_or(true, |kind| kind.is_some_and(|kind| kind != UNICAST))
    }

    /// The kind of the way to `address`; `None` where there is none.
    fn kind(&self, address: IpAddr) -> io::Result<Option<u8>> {
        send(&self.0, &question(address), SendFlags::empty())?;
        let mut bytes = [0_u8; ANSWER_BYTES_MAX];
        // The kernel has answered by the time that the question is sent: nothing is waited for.
        let (length, _) = recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT)?;
        let answer = bytes.get(..length).unwrap_or_default();
        let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
        match (kind, answer.get(KIND_AT)) {
            (Some(ROUTE), Some(kind)) => Ok(Some(*kind)),
            // No network there, no host, no such family.
            (Some(ERROR), _) => Ok(None),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// `RTM_GETROUTE`: how a packet to this address would go.
fn question(address: IpAddr) -> Vec<u8> {
    /// `AF_INET` and `AF_INET6`.
    const FAMILIES: [u8; 2] = [2, 10];
    let [v4, v6] = FAMILIES;
    let (family, octets) = match address {
        IpAddr::V4(v4_address) => (v4, v4_address.octets().to_vec()),
        IpAddr::V6(v6_address) => (v6, v6_address.octets().to_vec()),
    };
    // At most 16 bytes, so neither number is ever cut.
    let bytes = u8::try_from(octets.len()).unwrap_or(u8::MAX);
    let mut body = vec![family, bytes.saturating_mul(8), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    body.extend((u16::from(bytes) + 4).to_ne_bytes());
    body.extend(DESTINATION.to_ne_bytes());
    body.extend(octets);
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(ASK_ROUTE.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // Sequence and sender.
    message.extend([0; 8]);
    message.extend(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of an interface of this machine that is not a loopback one; none where there is none.
    fn of_an_interface() -> Option<IpAddr> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        // The way to a host of the Internet leaves from it; nothing is sent.
        socket.connect("8.8.8.8:9").ok()?;
        Some(socket.local_addr().unwrap().ip())
    }

    #[test]
    fn the_kernel_knows_its_own_addresses() {
        let routes = Routes::open().unwrap();
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(routes.is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["8.8.8.8", "2a00::1"] {
            assert!(!routes.is_own(other.parse().unwrap()), "{other} is somebody else's");
        }
        if let Some(own) = of_an_interface() {
            // What listens on 0.0.0.0 is reached there.
            let server = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
            let port = server.local_addr().unwrap().port();
            std::net::TcpStream::connect((own, port)).unwrap();
            assert!(routes.is_own(own), "{own} is an interface's");
        }
    }
}
