//! K04: what programs need of local sockets still works.

use crate::support::Place;

#[test]
fn socketpairs_work() {
    let place = Place::new();
    place
        .python_inside(
            "import socket\n\
             for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):\n\
             \x20   a, b = socket.socketpair(socket.AF_UNIX, kind)\n\
             \x20   a.send(b'x'); assert b.recv(1) == b'x'\n\
             s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n\
             socket.create_connection(s.getsockname())\n\
             import multiprocessing\n\
             p = multiprocessing.Process(target=print); p.start(); p.join(); assert p.exitcode == 0",
        )
        .works("streams, packets, loopback, multiprocessing");
}

/// Datagrams between local sockets would reach path sockets behind every check.
#[test]
fn local_datagrams_do_not() {
    let place = Place::new();
    for make in [
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    ] {
        place.python_attack(&format!("import socket\n{make}"), &["EPERM"], make);
    }
}
