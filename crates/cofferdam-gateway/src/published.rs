//! Published servers: the host's loopback reaches a port inside.
//!
//! The way in is a socket that init made in the sandbox's namespace: only such a one can connect there.
//! It is used again when its connection has ended (`connect(2)` to `AF_UNSPEC`).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_plan::egress::{Family, PUBLISHED_SPARES};
use cofferdam_policy::model::Clause;
use cofferdam_policy::network::Published;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use crate::denial::{Again, Denial, Side};
use crate::gate::{Entry, Gate};
use crate::{direct, tunnel};

/// How long a server inside may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to read what it was sent last, before its connection is cut.
const DELIVERED_WITHIN: Duration = Duration::from_secs(10);
/// How often that is looked at, after the first few times.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Where no connection can be accepted for want of descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Takes hold of the host's ports, before anything of the workload runs.
pub(crate) fn listeners(
    publish: &[Published],
) -> Result<Vec<std::net::TcpListener>, (SocketAddr, io::Error)> {
    let bind = |server: &Published| {
        let made = std::net::TcpListener::bind(server.outside);
        let waits = made.and_then(|made| made.set_nonblocking(true).map(|()| made));
        waits.map_err(|error| (server.outside, error))
    };
    publish.iter().map(bind).collect()
}

/// A stock of sockets of one family that lead inside, the one that was used longest ago first: its last
/// connection is the likeliest to be forgotten by the kernel (TIME-WAIT, RFC 9293, 3.6.1).
#[derive(Debug)]
struct Ways {
    family: Family,
    sockets: RefCell<VecDeque<OwnedFd>>,
}

impl Ways {
    /// Those of the gateway's spare sockets that are for this.
    fn of(gate: &Gate, family: Family) -> Self {
        let sockets = (0..PUBLISHED_SPARES).map_while(|_| gate.spare(family));
        Self { family, sockets: RefCell::new(sockets.collect()) }
    }

    fn take(&self) -> Option<OwnedFd> {
        self.sockets.borrow_mut().pop_front()
    }

    fn give(&self, socket: OwnedFd) {
        self.sockets.borrow_mut().push_back(socket);
    }
}

/// The ways inside, by both loopbacks.
#[derive(Debug)]
struct Inward {
    /// One for each connection at a time.
    free: Arc<Semaphore>,
    v4: Ways,
    v6: Ways,
}

impl Inward {
    /// A connection to a server inside: on 127.0.0.1, and where nobody listens there, on ::1, which is
    /// what some programs take `localhost` for.
    async fn connect(&self, port: u16) -> io::Result<(&Ways, OwnedFd, TcpStream)> {
        let mut first = None;
        for ways in [&self.v4, &self.v6] {
            match connect(ways, port).await {
                Ok((kept, stream)) => return Ok((ways, kept, stream)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    first.get_or_insert(error);
                }
                Err(error) => return Err(first.unwrap_or(error)),
            }
        }
        Err(first.unwrap_or_else(|| io::ErrorKind::ConnectionRefused.into()))
    }
}

/// Hears on them; to be called inside a `LocalSet`.
pub(crate) fn open(gate: &Rc<Gate>, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    if listeners.is_empty() {
        return Ok(());
    }
    let inward = Rc::new(Inward {
        free: Arc::new(Semaphore::new(PUBLISHED_SPARES)),
        v4: Ways::of(gate, Family::V4),
        v6: Ways::of(gate, Family::V6),
    });
    for (index, listener) in listeners.into_iter().enumerate() {
        let listener = TcpListener::from_std(listener)?;
        let (gate, inward) = (Rc::clone(gate), Rc::clone(&inward));
        spawn_local(async move {
            let Some(server) = gate.egress.publish.get(index) else { return };
            loop {
                match listener.accept().await {
                    Ok((outside, _)) => {
                        let (gate, server) = (Rc::clone(&gate), server.clone());
                        let inward = Rc::clone(&inward);
                        // Who has no way inside yet waits in the kernel, with those after him.
                        let free = Arc::clone(&inward.free).acquire_owned().await;
                        let Ok(free) = free else { return };
                        spawn_local(async move {
                            serve(&gate, &inward, &server, outside).await;
                            drop(free);
                        });
                    }
                    Err(_) => sleep(ACCEPT_AGAIN).await,
                }
            }
        });
    }
    Ok(())
}

/// One connection from the host.
async fn serve(gate: &Rc<Gate>, inward: &Inward, server: &Published, mut outside: TcpStream) {
    let places = (server.inside, server.outside);
    let Some(mut entry) = Entry::published(gate, places, &server.clause).await else { return };
    drop(outside.set_nodelay(true));
    let (ways, kept, mut inside) = match inward.connect(server.inside).await {
        Ok(connected) => connected,
        Err(error) => {
            entry.set(&unreached(&error, &server.clause));
            // Who asked hears that nobody is there.
            let linger = rustix::net::sockopt::set_socket_linger(&outside, Some(Duration::ZERO));
            return linger.unwrap_or(());
        }
    };
    drop(inside.set_nodelay(true));
    // `sent` is what the workload says, whoever has asked.
    let carried = tunnel::carry_plain(&mut inside, &mut outside, &entry.tally).await;
    drop(inside);
    drop(outside);
    drop(entry);
    if carried.is_ok() {
        delivered(&kept).await;
    }
    // Where the connection has broken, this is what ends it.
    if rustix::net::connect_unspec(&kept).is_ok() {
        ways.give(kept);
    }
}

/// A connection to a server inside, and a second hold on its socket: the stream closes its own.
async fn connect(ways: &Ways, port: u16) -> io::Result<(OwnedFd, TcpStream)> {
    let to = direct::published(ways.family, port);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for _ in 0..PUBLISHED_SPARES {
        let Some(socket) = ways.take() else { break };
        let kept = match socket.try_clone() {
            Ok(kept) => kept,
            Err(error) => {
                ways.give(socket);
                return Err(error);
            }
        };
        let connecting = TcpSocket::from_std_stream(socket.into()).connect(to);
        match timeout(CONNECT_WITHIN, connecting).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(stream) => return Ok((kept, stream)),
            Err(error) => last = error,
        }
        if rustix::net::connect_unspec(&kept).is_ok() {
            ways.give(kept);
        }
        // Its port has been to the same server a moment ago; another socket has another.
        if last.kind() != io::ErrorKind::AddrNotAvailable {
            break;
        }
    }
    Err(last)
}

/// Waits until the server inside has all that was sent to it: then the kernel has no connection any
/// more.
async fn delivered(socket: &OwnedFd) {
    let until = Instant::now() + DELIVERED_WITHIN;
    let mut pause = Duration::from_millis(1);
    while rustix::net::getpeername(socket).is_ok() && Instant::now() < until {
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn unreached(error: &io::Error, clause: &Clause) -> Denial {
    let (code, why) = if error.kind() == io::ErrorKind::ConnectionRefused {
        ("refused", "nothing listens on that port inside")
    } else if error.kind() == io::ErrorKind::TimedOut {
        ("timeout", "the server inside does not accept")
    } else {
        ("unreachable", "no way leads to the server inside")
    };
    Denial { side: Side::Network(Again::Later), ..Denial::spoken(code, why, clause) }
}
