//! The sockets that init made: who is heard on which, and how many at a time.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use cofferdam_plan::egress::{Door, Family, Serves, Socket};
use cofferdam_plan::message::Way;
use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::{Host, Pattern, Protocol, Unwanted};
use cofferdam_policy::model::Clause;
use rustix::net::{SocketFlags, accept_with, bind, listen};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::denial::Denial;
use crate::dns::{self, Because, Names, Refused, Transport};
use crate::gate::{Asked, Gate};
use crate::synthetic::Full;
use crate::{direct, proxy};

/// Most connections at a time, where there are descriptors for them; more wait to be accepted.
pub(crate) const CONNECTIONS_MAX: u64 = 1_024;
/// Descriptors of one connection: two sockets, and two pipes where it carries much.
const DESCRIPTORS_EACH: u64 = 6;
/// Descriptors that are not for connections.
const DESCRIPTORS_OTHER: u64 = 700;
/// Where no connection can be accepted for want of descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted on a port that was opened later.
const BACKLOG: i32 = 1_024;
/// Ports that are heard on every address.
const EVERYWHERE: [u16; 3] = [53, 80, 443];

/// How many connections this process has descriptors for.
pub(crate) fn connections(descriptors: u64) -> usize {
    let most = descriptors.saturating_sub(DESCRIPTORS_OTHER) / DESCRIPTORS_EACH;
    usize::try_from(most.clamp(16, CONNECTIONS_MAX)).unwrap_or(16)
}

/// What is served on a listening socket.
type Serve = fn(Rc<Gate>, TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Begins to hear on every socket; to be called inside a `LocalSet`.
pub(crate) fn open(gate: &Rc<Gate>, doors: Vec<(Door, OwnedFd)>) -> io::Result<()> {
    for (door, socket) in doors {
        match (door.serves, door.socket) {
            (Serves::Lookups, Socket::Packets(at)) => {
                dns::tell_destination(&socket, at.ip())?;
                let gate = Rc::clone(gate);
                spawn_local(async move {
                    let reply = |query: &[u8]| lookup(&gate, query, Transport::Udp);
                    // It ends where the socket is none: no name is known then.
                    drop(dns::serve_udp(socket, reply).await);
                });
            }
            (Serves::Lookups, _) => hear(gate, socket, |gate, stream| {
                Box::pin(async move {
                    let reply = |query: &[u8]| lookup(&gate, query, Transport::Tcp);
                    drop(dns::serve_tcp(stream, reply).await);
                })
            })?,
            (Serves::Proxy, _) => {
                hear(gate, socket, |gate, stream| Box::pin(proxy::serve(gate, stream)))?;
            }
            (Serves::Socks, _) => {
                hear(gate, socket, |gate, stream| Box::pin(proxy::serve_socks(gate, stream)))?;
            }
            (Serves::Destinations, _) => destinations(gate, socket)?,
            (Serves::Spare, _) => {
                gate.spares.borrow_mut().push((door.socket.family(), socket));
            }
        }
    }
    Ok(())
}

fn destinations(gate: &Rc<Gate>, socket: OwnedFd) -> io::Result<()> {
    hear(gate, socket, |gate, stream| Box::pin(direct::serve(gate, stream)))
}

fn hear(gate: &Rc<Gate>, socket: OwnedFd, serve: Serve) -> io::Result<()> {
    // Tokio's listener accepts or waits, and does not tell that somebody is there. This type does not
    // mind what it polls.
    let listener = TcpStream::from_std(socket.into())?;
    let gate = Rc::clone(gate);
    spawn_local(async move {
        loop {
            // First somebody who comes, then a place for him: else each socket would keep one.
            let Ok(()) = listener.readable().await else { return };
            let Some(place) = gate.crowd.enter().await else { return };
            match listener.try_io(Interest::READABLE, || accept(&listener)) {
                Ok(stream) => {
                    let served = serve(Rc::clone(&gate), stream);
                    spawn_local(async move {
                        served.await;
                        drop(place);
                    });
                }
                // He has gone meanwhile.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => sleep(ACCEPT_AGAIN).await,
            }
        }
    });
    Ok(())
}

fn accept(listener: &TcpStream) -> io::Result<TcpStream> {
    let stream = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    TcpStream::from_std(stream.into())
}

/// Answers one question for an address, and puts a refusal on record.
fn lookup(gate: &Rc<Gate>, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let mut known = Known { gate, fresh: None };
    let answered = dns::answer(query, transport, &mut known);
    if let Some((name, addresses)) = known.fresh {
        own_ports(gate, &name, addresses);
    }
    if let Some(refused) = answered.refused {
        let gate = Rc::clone(gate);
        spawn_local(async move { refuse(&gate, refused).await });
    }
    answered.reply
}

/// The judge and the addresses, as the name server asks for them.
struct Known<'a> {
    gate: &'a Rc<Gate>,
    /// A name that has its address only now.
    fresh: Option<(Name, (Ipv4Addr, Ipv6Addr))>,
}

impl Names for Known<'_> {
    fn knows(&self, name: &Name) -> Result<(), (Clause, Unwanted)> {
        let rules = self.gate.rules.now();
        let known = rules.about(&Host::Name(name.clone())).known();
        // Where a person is asked, that is done for the connection.
        let asks = |because: &Unwanted| *because == Unwanted::Host && self.gate.questions.wanted();
        if known.is_err_and(|(_, because)| asks(&because)) {
            return Ok(());
        }
        known.map_err(|(clause, because)| (clause.clone(), because))
    }

    fn lookup(&mut self, name: &Name) -> Result<(Ipv4Addr, Ipv6Addr), Full> {
        let addresses = self.gate.names.borrow_mut().lookup(name)?;
        if self.gate.opened.borrow_mut().insert(name.clone()) {
            self.fresh = Some((name.clone(), addresses));
        }
        Ok(addresses)
    }

    fn named(&self, address: std::net::IpAddr) -> Option<Name> {
        self.gate.names.borrow().named(address).cloned()
    }
}

/// Hears on the ports that rules with a wildcard name for `name`, on its addresses, with sockets that
/// init made for that. Where none is left, the port is not heard, which refuses the connection.
fn own_ports(gate: &Rc<Gate>, name: &Name, (v4, v6): (Ipv4Addr, Ipv6Addr)) {
    let rules = gate.rules.now();
    let rules = rules.about(&Host::Name(name.clone()));
    let wild =
        rules.allow().filter(|rule| matches!(rule.pattern, Pattern::Below(_) | Pattern::AnyName));
    let mut ports: Vec<u16> = wild.flat_map(|rule| rule.ports.iter().copied()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.retain(|port| !EVERYWHERE.contains(port));
    for port in ports {
        for at in [SocketAddr::new(v4.into(), port), SocketAddr::new(v6.into(), port)] {
            let family = if at.is_ipv4() { Family::V4 } else { Family::V6 };
            let Some(socket) = gate.spare(family) else { continue };
            let heard = bind(&socket, &at).and_then(|()| listen(&socket, BACKLOG));
            if heard.is_ok() {
                drop(destinations(gate, socket));
            }
        }
    }
}

async fn refuse(gate: &Rc<Gate>, refused: Refused) {
    let host = Host::Name(refused.name);
    let asked = Asked { way: Way::Lookup, host, port: 0, protocol: Protocol::Tls };
    let denial = match &refused.because {
        Because::Unwanted(clause, because) => {
            let place = (&asked.host, asked.port);
            Denial::unwanted(place, asked.protocol, (clause, *because))
        }
        Because::Full => Denial::spoken("names-full", Full.to_string(), &gate.base()),
    };
    gate.refuse(&asked, denial).await;
}
