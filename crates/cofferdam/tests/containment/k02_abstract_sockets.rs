//! K02: abstract sockets of the host are out of reach.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::support::Place;

#[test]
fn abstract_sockets_are_the_sandboxs_own() {
    let place = Place::new();
    let name = format!("cofferdam-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let connect = format!("import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{name}')");
    place.python_attack(&connect, &["ECONNREFUSED", "EPERM"], "an abstract socket of the host");
    place
        .python_inside(
            "import socket\na = socket.socket(socket.AF_UNIX); a.bind('\\0own'); a.listen()\n\
             socket.socket(socket.AF_UNIX).connect('\\0own')",
        )
        .works("one of its own");
}
