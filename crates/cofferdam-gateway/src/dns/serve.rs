//! The two loops: datagrams and connections. They carry messages and judge nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use cofferdam_sys::net;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::QUERY_BYTES_MAX;

/// Datagrams that are answered before others of the gateway have their turn: a workload that floods
/// the name server must not stop its own connections, or the log.
pub const UDP_BURST: usize = 64;
/// Queries on one connection. A client with more of them makes another; one that keeps a connection
/// for ever keeps a place.
pub const TCP_QUERIES_MAX: usize = 128;
/// Longest wait for a message to come or go whole. Clients send at once (RFC 7766, 6.2.3 asks for
/// seconds).
pub const TCP_IDLE: Duration = Duration::from_secs(5);

/// Makes a bound socket tell [`serve_udp`] where a query was sent to. `like` gives the family.
///
/// # Errors
/// The kernel's: it is no socket of that family.
pub fn tell_destination(socket: &OwnedFd, like: IpAddr) -> io::Result<()> {
    // Inside, every address is local by a route and none by an interface. To IPv6 such an address is
    // no source, or `sendmsg(2)` says `EINVAL`, but for a socket with this option (Linux 4.15).
    if like.is_ipv6() {
        sockopt::set_ipv6_freebind(socket, true)?;
    }
    net::tell_destination(socket.as_fd(), like)
}

/// Answers datagrams for as long as the socket lives. Each answer leaves from the address that was
/// asked, for a client takes no other.
///
/// `reply` has the answer to a query, if there is one. It is called for one query after the other and
/// must not wait.
///
/// # Errors
/// Only what makes the socket useless: it is no socket, or not [`tell_destination`]'s.
pub async fn serve_udp(
    socket: OwnedFd,
    mut reply: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let socket = UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        socket.readable().await?;
        for _ in 0..UDP_BURST {
            let receive = || net::receive(socket.as_fd(), &mut buffer);
            match socket.try_io(Interest::READABLE, receive) {
                Ok(datagram) => reply_to(&socket, datagram, &buffer, &mut reply)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => survived(error)?,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Errors of a socket that is none, or has lost its options: they come again at once, for ever.
/// Everything else is about one datagram.
fn survived(error: io::Error) -> io::Result<()> {
    use rustix::io::Errno;
    let lost = [Errno::BADF, Errno::NOTSOCK, Errno::OPNOTSUPP, Errno::FAULT];
    if lost.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
        return Err(error);
    }
    Ok(())
}

fn reply_to(
    socket: &tokio::net::UdpSocket,
    datagram: net::Datagram,
    buffer: &[u8],
    reply: &mut impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let Some(to) = datagram.to else {
        return Err(io::Error::other("the socket does not tell destinations"));
    };
    // No answer can leave from such an address. And a longer message than fits was cut.
    let (true, Some(query)) = (answers(to), buffer.get(..datagram.bytes)) else {
        return Ok(());
    };
    if let Some(bytes) = reply(query) {
        // The client is gone, its address is none, no room: its loss. A workload chooses its source
        // address, so no error here may end the loop.
        drop(net::send(socket.as_fd(), &bytes, to, datagram.from));
    }
    Ok(())
}

/// Whether a datagram that was sent to this address has an answer: it has one receiver.
pub(super) fn answers(destination: IpAddr) -> bool {
    let destination = destination.to_canonical();
    !destination.is_multicast()
        && !destination.is_unspecified()
        && destination != Ipv4Addr::BROADCAST
}

/// Answers the queries of one connection, each with its length before it (RFC 1035, 4.2.2), one after
/// the other. It ends when the client does, after [`TCP_QUERIES_MAX`], at a message that is longer
/// than [`QUERY_BYTES_MAX`], or when nothing moves for [`TCP_IDLE`].
///
/// # Errors
/// The connection's, `TimedOut` among them; for nobody to act on.
pub async fn serve_tcp(
    mut stream: TcpStream,
    mut reply: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    for _ in 0..TCP_QUERIES_MAX {
        let Some(query) = timeout(TCP_IDLE, read(&mut stream, &mut buffer)).await?? else {
            return Ok(());
        };
        let Some(bytes) = reply(query) else {
            return Ok(());
        };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let whole = [&length.to_be_bytes()[..], &bytes].concat();
        timeout(TCP_IDLE, stream.write_all(&whole)).await??;
    }
    Ok(())
}

/// The next message; nothing at the end, or where it is too long to be a query.
async fn read<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(query) = buffer.get_mut(..length) else {
        return Ok(None);
    };
    stream.read_exact(query).await?;
    Ok(Some(query))
}
