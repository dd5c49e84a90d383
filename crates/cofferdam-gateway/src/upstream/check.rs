//! Which addresses may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use super::fault::{DialFault, Why};
use crate::ranges::{carried, class};

/// A port for [`is_own`]: nothing is sent there. Discard (RFC 863).
const NO_PORT: u16 = 9;

/// Those of `found` that are hosts of the Internet, not this machine's, and denied by no rule.
pub(super) fn only_global(
    found: Vec<IpAddr>,
    denied: &dyn Fn(IpAddr) -> bool,
) -> Result<Vec<IpAddr>, DialFault> {
    let mut first = None;
    let mut left = Vec::new();
    for address in found {
        // The address, and the IPv4 address that a translator makes of it.
        let mut reached = [Some(address), carried(address).map(IpAddr::V4)].into_iter().flatten();
        let because = class(address).map(Why::Class).or_else(|| {
            reached.find_map(|address| {
                let denied = denied(address).then_some(Why::Denied);
                denied.or_else(|| is_own(address).then_some(Why::Own))
            })
        });
        match because {
            Some(because) => first = first.or(Some(DialFault::Forbidden { address, because })),
            None => left.push(address),
        }
    }
    if left.is_empty() { Err(first.unwrap_or(DialFault::NoSuchName)) } else { Ok(left) }
}

/// Whether `address` is one of this machine's. The kernel takes an address as the source of what goes
/// to it exactly when it is its own, and tells so before anything is sent (`connect(2)` of a datagram
/// socket, `getsockname(2)`). So no list of addresses is read, which would be old when it is used.
///
/// An address that it has no way to is not its own. Where it cannot be asked, it is as if it were.
pub(super) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        // A kernel without IPv6: it has no such address, and cannot dial it either.
        Err(error) => {
            let family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
            return error.raw_os_error() != Some(family);
        }
    };
    if socket.connect((address, NO_PORT)).is_err() {
        return false;
    }
    socket.local_addr().map_or(true, |own| own.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: IpAddr) -> bool {
        false
    }

    /// An address of an interface of this machine that is not a loopback one; none where there is none.
    fn of_an_interface() -> Option<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        // The way to a host of the Internet leaves from it; nothing is sent.
        socket.connect("8.8.8.8:9").ok()?;
        Some(socket.local_addr().unwrap().ip())
    }

    #[test]
    fn the_kernel_knows_its_own_addresses() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(is_own("::1".parse().unwrap()));
        assert!(!is_own("8.8.8.8".parse().unwrap()), "somebody else's");
        if let Some(own) = of_an_interface() {
            // What listens on 0.0.0.0 is reached there.
            let server = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
            let port = server.local_addr().unwrap().port();
            std::net::TcpStream::connect((own, port)).unwrap();
            assert!(is_own(own), "{own} is an interface's");
        }
    }

    #[test]
    fn the_first_that_forbids_is_told() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let denied = |address: IpAddr| address == IpAddr::from([8, 8, 4, 4]);
        for (found, want, why) in [
            (&["8.8.8.8", "10.0.0.1"][..], Ok(&["8.8.8.8"][..]), "one is left"),
            (&["10.0.0.1", "127.0.0.1"], Err("10.0.0.1 private"), "none is left"),
            (&["169.254.169.254"], Err("169.254.169.254 metadata"), "a cloud's"),
            (&["8.8.4.4"], Err("8.8.4.4 denied"), "a rule's"),
            (&["64:ff9b::8.8.4.4"], Err("64:ff9b::808:404 denied"), "the same, translated"),
            (&["64:ff9b::8.8.8.8"], Ok(&["64:ff9b::8.8.8.8"]), "another one, translated"),
            (&["8.8.4.4", "1.1.1.1"], Ok(&["1.1.1.1"]), "another one is left"),
        ] {
            let got = only_global(addresses(found), &denied).map_err(|fault| {
                let DialFault::Forbidden { address, because } = fault else {
                    panic!("{fault}");
                };
                format!("{address} {}", because.as_str())
            });
            let want = want.map(addresses).map_err(str::to_owned);
            assert_eq!(got, want, "{why}");
        }
        assert!(only_global(addresses(&["8.8.4.4"]), &nothing).is_ok(), "no rule denies it");
        assert_eq!(only_global(Vec::new(), &nothing), Err(DialFault::NoSuchName));
    }
}
