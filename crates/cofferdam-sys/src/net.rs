//! Datagrams on a socket that has many addresses: which one a message was sent to, and from which
//! one the answer leaves. `rustix` has no such control messages.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// A received datagram, beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How many bytes came; more than the buffer has where the rest was lost (`MSG_TRUNC`).
    pub bytes: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address that it was sent to; `None` before [`tell_destination`].
    pub to: Option<IpAddr>,
}

/// Larger than `cmsghdr` with either of the two messages: 16 and 12, 16 and 20 bytes, aligned.
const CONTROL_BYTES: usize = 64;
/// `sizeof(struct cmsghdr)`: a length and two numbers.
const HEADER_BYTES: usize = size_of::<usize>() + 8;

/// Memory that the kernel reads or writes as control message or address: both want alignment.
#[repr(C, align(8))]
struct Aligned<const N: usize>([u8; N]);

/// Room for every address (`struct sockaddr_storage`).
type Address = Aligned<128>;

/// From now on [`receive`] tells the destination (`IP_PKTINFO` of `ip(7)`, `IPV6_RECVPKTINFO` of
/// `ipv6(7)`). `like` gives the socket's family.
///
/// # Errors
/// `ENOPROTOOPT`: a socket of another family.
pub fn tell_destination(socket: BorrowedFd<'_>, like: IpAddr) -> io::Result<()> {
    let (level, option) = match like {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let (fd, on): (_, libc::c_int) = (socket.as_raw_fd(), 1);
    // SAFETY: the kernel reads one `int` through the pointer, which is to `on`.
    let answer = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), 4) };
    check(answer.into()).map(drop)
}

/// Takes one datagram, never waits (`recvmsg(2)` with `MSG_DONTWAIT`).
///
/// # Errors
/// `EAGAIN`: there is none. Others are of an earlier datagram of ours (`ICMP`), and the socket is as
/// good as before.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagram> {
    let (mut address, mut control) = (Aligned([0; 128]), Aligned([0; CONTROL_BYTES]));
    let mut parts = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = message(&mut address, 128, &mut parts);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: every pointer of `message` is to memory of ours that is alive, with its size beside it.
    let answer = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let bytes = usize::try_from(check(answer as libc::c_long)?).map_err(io::Error::other)?;
    let from = read_address(&address).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Datagram { bytes, from, to: read_destination(&control) })
}

/// Sends one datagram to `to` that leaves from the address `from`, never waits (`sendmsg(2)`).
///
/// # Errors
/// `EINVAL`: no datagram can have `from` as its source (multicast, another family). `EAGAIN`: no room.
/// Others tell of the way to `to`; the socket is as good as before.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], from: IpAddr, to: SocketAddr) -> io::Result<()> {
    let mut address = Aligned([0; 128]);
    let address_bytes = write_address(&mut address, to);
    let mut control = Aligned([0; CONTROL_BYTES]);
    // `in_pktinfo`: interface, source, and a field that only reading fills. `in6_pktinfo`: source,
    // interface. Interface 0 is any.
    let (level, kind, information) = match from {
        IpAddr::V4(v4) => {
            (libc::IPPROTO_IP, libc::IP_PKTINFO, [&[0; 4], &v4.octets()[..], &[0; 4]].concat())
        }
        IpAddr::V6(v6) => {
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, [&v6.octets()[..], &[0; 4]].concat())
        }
    };
    let length = HEADER_BYTES + information.len();
    let header = [&length.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes()].concat();
    for (to, byte) in control.0.iter_mut().zip(header.iter().chain(&information)) {
        *to = *byte;
    }
    // The kernel only reads through this pointer (`sendmsg(2)`).
    let base = bytes.as_ptr().cast_mut().cast();
    let mut parts = libc::iovec { iov_base: base, iov_len: bytes.len() };
    let mut message = message(&mut address, address_bytes, &mut parts);
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = length.next_multiple_of(align_of::<usize>()) as _;
    let fd = socket.as_raw_fd();
    // SAFETY: every pointer of `message` is to memory that is alive, with its size beside it, and
    // the kernel writes through none of them.
    let answer = unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT) };
    check(answer as libc::c_long).map(drop)
}

fn message(name: &mut Address, bytes: libc::socklen_t, parts: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: `msghdr` is numbers and pointers; all bits zero is a value of each.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = name.0.as_mut_ptr().cast();
    message.msg_namelen = bytes;
    message.msg_iov = parts;
    message.msg_iovlen = 1;
    message
}

/// The bytes at `at`.
fn field<const N: usize, const M: usize>(memory: &Aligned<M>, at: usize) -> Option<[u8; N]> {
    memory.0.get(at..)?.first_chunk().copied()
}

/// `sockaddr_in`: family, port, address. `sockaddr_in6`: family, port, flow, address, scope.
fn read_address(from: &Address) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(field(from, 2)?);
    match i32::from(u16::from_ne_bytes(field(from, 0)?)) {
        libc::AF_INET => Some((Ipv4Addr::from(field::<4, 128>(from, 4)?), port).into()),
        libc::AF_INET6 => {
            let address = Ipv6Addr::from(field::<16, 128>(from, 8)?);
            let scope = u32::from_ne_bytes(field(from, 24)?);
            Some(SocketAddrV6::new(address, port, 0, scope).into())
        }
        _ => None,
    }
}

fn write_address(into: &mut Address, address: SocketAddr) -> libc::socklen_t {
    let port = address.port().to_be_bytes();
    let (family, rest, bytes) = match address {
        SocketAddr::V4(v4) => (libc::AF_INET, v4.ip().octets().to_vec(), 16),
        SocketAddr::V6(v6) => {
            let scope = v6.scope_id().to_ne_bytes();
            (libc::AF_INET6, [&[0; 4], &v6.ip().octets()[..], &scope].concat(), 28)
        }
    };
    let family = libc::sa_family_t::try_from(family).unwrap_or_default().to_ne_bytes();
    for (to, byte) in into.0.iter_mut().zip(family.iter().chain(&port).chain(&rest)) {
        *to = *byte;
    }
    bytes
}

/// The first control message is the one that was asked for; without one all is zero.
fn read_destination(control: &Aligned<CONTROL_BYTES>) -> Option<IpAddr> {
    let level = i32::from_ne_bytes(field(control, size_of::<usize>())?);
    let kind = i32::from_ne_bytes(field(control, size_of::<usize>() + 4)?);
    match (level, kind) {
        // After interface and own address: the destination in the header.
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            Some(Ipv4Addr::from(field::<4, CONTROL_BYTES>(control, HEADER_BYTES + 8)?).into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            Some(Ipv6Addr::from(field::<16, CONTROL_BYTES>(control, HEADER_BYTES)?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn exchange(wildcard: &str, asked: &str) {
        let server = UdpSocket::bind((wildcard, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind((wildcard, 0)).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        // A connected socket takes answers from that address only.
        client.connect((asked, port)).unwrap();
        let asked: IpAddr = asked.parse().unwrap();
        let mut buffer = [0; 4];

        client.send(b"before").unwrap();
        let got = receive(server.as_fd(), &mut buffer).unwrap();
        assert_eq!((got.bytes, got.to), (6, None), "not told yet; two bytes were lost");

        tell_destination(server.as_fd(), asked).unwrap();
        client.send(b"ask").unwrap();
        let got = receive(server.as_fd(), &mut buffer).unwrap();
        assert_eq!(got, Datagram { bytes: 3, from: client.local_addr().unwrap(), to: Some(asked) });
        assert_eq!(&buffer[..3], b"ask");

        send(server.as_fd(), b"reply", asked, got.from).unwrap();
        let mut reply = [0; 16];
        assert_eq!(client.recv(&mut reply).unwrap(), 5);
        assert_eq!(&reply[..5], b"reply");
        let none = receive(server.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock, "it never waits");
    }

    #[test]
    fn answers_leave_from_the_address_that_was_asked() {
        exchange("0.0.0.0", "127.0.0.9");
        exchange("::", "::1");
    }

    #[test]
    fn no_datagram_leaves_from_a_group() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let to = server.local_addr().unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], to.port()));
        send(server.as_fd(), b"x", [127, 0, 0, 1].into(), to).unwrap();
        let got = send(server.as_fd(), b"x", [224, 0, 0, 1].into(), to).unwrap_err();
        assert_eq!(got.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn another_family_has_no_such_option() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let got = tell_destination(socket.as_fd(), Ipv6Addr::LOCALHOST.into()).unwrap_err();
        assert_eq!(got.raw_os_error(), Some(libc::ENOPROTOOPT));
    }
}
