//! Without an allow there is no network: nothing on the host's loopback, no way out.

use std::net::TcpListener;

use crate::support::Place;

#[test]
fn the_hosts_loopback_is_out_of_reach() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)");
    place.python_attack(&connect, &["ECONNREFUSED"], "a server on the host's loopback");
    for (address, why) in [("192.0.2.1", "TCP"), ("8.8.8.8", "TCP")] {
        place
            .python_inside(&format!(
                "import socket\nsocket.create_connection(('{address}', 443), 5)"
            ))
            .fails(&["ENETUNREACH"], why);
    }
    place
        .python_inside("import socket\nsocket.socket(2, 2).sendto(b'x', ('192.0.2.1', 53))")
        .fails(&["ENETUNREACH"], "UDP");
    place
        .python_inside("import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); socket.create_connection(s.getsockname())")
        .works("its own loopback");
}
