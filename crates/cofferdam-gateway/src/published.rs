//! Published servers: the host's loopback reaches a port inside.
//!
//! The way in is a socket that init made in the sandbox's namespace: only such a one can connect there.
//! It is used again when its connection has ended (`connect(2)` to `AF_UNSPEC`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_plan::egress::Family;
use cofferdam_policy::network::Published;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::gate::{Entry, Gate};
use crate::{direct, tunnel};

/// How long a server inside may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
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

/// Hears on them; to be called inside a `LocalSet`.
pub(crate) fn open(gate: &Rc<Gate>, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    // One place for each socket that leads inside; the rest waits in the kernel.
    let inward = gate.spares.borrow().iter().filter(|(family, _)| *family == Family::V4).count();
    let places = Arc::new(Semaphore::new(inward));
    for (index, listener) in listeners.into_iter().enumerate() {
        let listener = TcpListener::from_std(listener)?;
        let (gate, places) = (Rc::clone(gate), Arc::clone(&places));
        spawn_local(async move {
            let Some(server) = gate.egress.publish.get(index) else { return };
            loop {
                match listener.accept().await {
                    Ok((outside, _)) => {
                        let (gate, server) = (Rc::clone(&gate), server.clone());
                        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                        spawn_local(async move {
                            serve(&gate, &server, outside).await;
                            drop(place);
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
async fn serve(gate: &Rc<Gate>, server: &Published, mut outside: TcpStream) {
    let places = (server.inside, server.outside);
    let Some(entry) = Entry::published(gate, places, &server.clause).await else { return };
    let Some(socket) = gate.spare(Family::V4) else { return };
    // A second hold on it: the stream closes its own when it is dropped.
    let Ok(kept) = socket.as_fd().try_clone_to_owned() else { return };
    drop(outside.set_nodelay(true));
    if let Ok(mut inside) = connect(socket, direct::published(server.inside)).await {
        drop(inside.set_nodelay(true));
        // `sent` is what the workload says, whoever has asked.
        tunnel::carry(&mut inside, &mut outside, &entry.tally).await;
    }
    if rustix::net::connect_unspec(&kept).is_ok() {
        gate.spares.borrow_mut().push((Family::V4, kept));
    }
}

async fn connect(socket: OwnedFd, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(socket.into());
    timeout(CONNECT_WITHIN, socket.connect(to)).await?
}
