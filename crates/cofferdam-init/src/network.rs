//! The network of the sandbox: one loopback interface, on which every address can be its own, and the
//! sockets that the gateway hears on. Made by the first process while pid 1 builds the view.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cofferdam_plan::egress::{Family, Socket};
use cofferdam_plan::message::{Report, SOCKETS_MAX};
use cofferdam_plan::synthetic::{GATEWAY_V4, GATEWAY_V6};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, listen, recv, send,
    socket_with, sockopt,
};

use crate::control::Control;
use crate::{Doing, Failed};

/// Connections that wait to be accepted; the kernel bounds it by `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 1_024;
/// An answer to a request of ours: a header, an error, and the request again.
const ANSWER_BYTES_MAX: usize = 512;

/// Brings the loopback interface up.
pub(crate) fn loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    cofferdam_sys::process::loopback_up(socket.as_fd())
}

/// `ip route add local 0.0.0.0/0 dev lo`, and the same for IPv6 (`rtnetlink(7)`); and the gateway's own
/// addresses as addresses of `lo`. Without one that is no loopback, a program that asks for addresses of
/// a family that is configured gets none (`AI_ADDRCONFIG`, `getaddrinfo(3)`).
pub(crate) fn every_address(ipv6: bool) -> io::Result<()> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // Of the routing protocol, the first of the family.
    let socket = socket_with(AddressFamily::NETLINK, kind, flags, None)?;
    let own: [(u8, &[u8]); 2] =
        [(FAMILY_V4, &GATEWAY_V4.octets()), (FAMILY_V6, &GATEWAY_V6.octets())];
    own.into_iter().take(if ipv6 { 2 } else { 1 }).try_for_each(|(family, octets)| {
        ask(&socket, &route(family))?;
        ask(&socket, &address(family, octets))
    })
}

/// `AF_INET` and `AF_INET6`.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;
/// `lo` in every new namespace.
const LOOPBACK: u32 = 1;
/// `RT_SCOPE_HOST`.
const SCOPE_HOST: u8 = 254;

/// `RTM_NEWROUTE`: everything of this family is local, on `lo`.
fn route(family: u8) -> Vec<u8> {
    /// `RTM_NEWROUTE`.
    const NEW_ROUTE: u16 = 24;
    /// `RT_TABLE_LOCAL`, `RTPROT_STATIC`, `RT_SCOPE_HOST`, `RTN_LOCAL`.
    const TABLE: [u8; 4] = [255, 4, SCOPE_HOST, 2];
    /// `RTA_OIF`.
    const OUT: u16 = 4;
    let mut body = vec![family, 0, 0, 0];
    body.extend(TABLE);
    body.extend(0_u32.to_ne_bytes());
    body.extend(attribute(OUT, &LOOPBACK.to_ne_bytes()));
    message(NEW_ROUTE, &body)
}

/// `RTM_NEWADDR`: one address, alone in its network, of `lo`.
fn address(family: u8, octets: &[u8]) -> Vec<u8> {
    /// `RTM_NEWADDR`.
    const NEW_ADDRESS: u16 = 20;
    /// `IFA_F_NODAD`: nobody else could have it.
    const UNASKED: u8 = 2;
    /// `IFA_ADDRESS` and `IFA_LOCAL`: the same where there is no other side.
    const KINDS: [u16; 2] = [1, 2];
    let prefix = u8::try_from(octets.len() * 8).unwrap_or(0);
    let mut body = vec![family, prefix, UNASKED, SCOPE_HOST];
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(KINDS.iter().flat_map(|kind| attribute(*kind, octets)));
    message(NEW_ADDRESS, &body)
}

/// A length, a kind, and the value, which is a multiple of four bytes here.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(0);
    [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    /// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE`.
    const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400;
    let length = u32::try_from(16 + body.len()).unwrap_or(0);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    // Sequence and sender.
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    message
}

/// Asks the kernel, and hears whether it did.
fn ask(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    /// `NLMSG_ERROR`, which also says that there was none.
    const ERROR: u16 = 2;
    send(socket, request, SendFlags::empty())?;
    let mut bytes = [0_u8; ANSWER_BYTES_MAX];
    let (length, _) = recv(socket, &mut bytes[..], RecvFlags::empty())?;
    let answer = bytes.get(..length).unwrap_or_default();
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    let errno = answer.get(16..20).and_then(|errno| errno.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, errno) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(errno)) => Err(io::Error::from_raw_os_error(-errno)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Makes the sockets and sends them to the engine, in order.
pub(crate) fn sockets(control: &Control, sockets: &[Socket]) -> Result<(), Failed> {
    for some in sockets.chunks(SOCKETS_MAX) {
        let made: Result<Vec<OwnedFd>, Failed> = some
            .iter()
            .map(|socket| {
                make(*socket).doing(match socket.at() {
                    Some(at) => format!("hear on {at} for the gateway"),
                    None => "make a socket for the gateway".into(),
                })
            })
            .collect();
        let made = made?;
        let fds: Vec<_> = made.iter().map(AsFd::as_fd).collect();
        control.send_along(&Report::Sockets, &fds).doing("hand the gateway's sockets over")?;
    }
    Ok(())
}

fn make(socket: Socket) -> io::Result<OwnedFd> {
    let family = match socket.family() {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let kind = match socket {
        Socket::Packets(_) => SocketType::DGRAM,
        Socket::Listen(_) | Socket::Spare(_) => SocketType::STREAM,
    };
    let made = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if socket.family() == Family::V6 {
        sockopt::set_ipv6_v6only(&made, true)?;
        // A route of type local makes an address of IPv4 one's own for `bind(2)`, not one of IPv6
        // (`IPV6_FREEBIND`, Linux 4.15).
        sockopt::set_ipv6_freebind(&made, true)?;
    }
    // Neither SO_REUSEADDR nor SO_REUSEPORT: nobody of the workload's shares the port.
    match socket {
        Socket::Listen(at) => {
            bind(&made, &at)?;
            listen(&made, BACKLOG)?;
        }
        Socket::Packets(at) => {
            bind(&made, &at)?;
        }
        Socket::Spare(_) => {}
    }
    Ok(made)
}
