//! A connection to the first of several addresses that takes it (RFC 8305, "happy eyeballs").

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::fault::DialFault;

/// Longest wait for a connection, over all addresses.
pub const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// How long an address has before the next one is tried beside it (RFC 8305, 8).
pub const STAGGER: Duration = Duration::from_millis(250);
/// Silence after which the kernel asks whether the other side is still there: shorter than what
/// translators on the way forget a connection after (RFC 5382 asks them for two hours; five minutes
/// are seen).
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// What has become of the attempts so far.
struct Attempts {
    running: JoinSet<(SocketAddr, io::Result<TcpStream>)>,
    first: Option<DialFault>,
}

/// Connects to one of `addresses`, in their order.
///
/// The fault is that of the first address that failed; the order is the resolver's, and so the first
/// is whom a person expects.
pub(super) async fn first(
    addresses: Vec<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), DialFault> {
    let end = Instant::now() + DIAL_WITHIN;
    let mut attempts = Attempts { running: JoinSet::new(), first: None };
    let last = addresses.last().copied();
    for address in addresses {
        attempts.running.spawn(async move { (address, TcpStream::connect(address).await) });
        let next = end.min(Instant::now() + STAGGER);
        // An attempt that fails gives its turn to the next address at once.
        if let Some(done) = attempts.one_until(next).await {
            return done;
        }
    }
    while !attempts.running.is_empty() {
        if let Some(done) = attempts.one_until(end).await {
            return done;
        }
        if Instant::now() >= end {
            break;
        }
    }
    let slow = last.map_or(DialFault::NoSuchName, DialFault::Timeout);
    Err(attempts.first.unwrap_or(slow))
}

impl Attempts {
    /// Waits until an attempt ends, or `until`. A connection is the answer; a fault is kept.
    async fn one_until(
        &mut self,
        until: Instant,
    ) -> Option<Result<(TcpStream, SocketAddr), DialFault>> {
        let Ok(Some(Ok((address, result)))) = timeout_at(until, self.running.join_next()).await
        else {
            return None;
        };
        match result.and_then(|stream| prepare(&stream).map(|()| stream)) {
            Ok(stream) => Some(Ok((stream, address))),
            Err(error) => {
                let fault = fault_of(&error, address);
                self.first.get_or_insert(fault);
                None
            }
        }
    }
}

/// What every connection has: small writes leave at once, and a peer that is gone is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_AFTER)?;
    Ok(())
}

fn fault_of(error: &io::Error, address: SocketAddr) -> DialFault {
    // Every other error is of the way there: no route, no such family, a filter.
    if error.kind() == io::ErrorKind::ConnectionRefused {
        DialFault::Refused(address)
    } else if error.kind() == io::ErrorKind::TimedOut {
        DialFault::Timeout(address)
    } else {
        DialFault::Unreachable(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn the_first_that_listens_gets_it() {
        run(async {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let here = server.local_addr().unwrap();
            let (stream, address) = first(vec![here]).await.unwrap();
            assert_eq!((address, stream.peer_addr().unwrap()), (here, here));
            assert!(stream.nodelay().unwrap());
            assert!(sockopt::socket_keepalive(&stream).unwrap());
            assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_AFTER);

            let nobody = (std::net::Ipv4Addr::new(127, 0, 0, 2), here.port()).into();
            assert_eq!(first(vec![nobody]).await.unwrap_err(), DialFault::Refused(nobody));
            let began = Instant::now();
            let (_, address) = first(vec![nobody, here]).await.unwrap();
            assert_eq!(address, here, "the second");
            assert!(began.elapsed() < STAGGER, "a refusal is not waited for");
            let fault = first(Vec::new()).await.unwrap_err();
            assert_eq!(fault, DialFault::NoSuchName);
        });
    }
}
