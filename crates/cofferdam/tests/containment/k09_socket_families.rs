//! K09: only local, internet and route sockets; no upper-layer protocols.

use crate::support::Place;

#[test]
fn every_other_family_is_refused() {
    let place = Place::new();
    place
        .python_inside(
            "allowed = {1, 2, 10, 16}\n\
             for family in range(0, 64):\n\
             \x20   for kind in (1, 2, 3, 5):\n\
             \x20       try: os.close(call(41, family, kind, 0)); ok = True\n\
             \x20       except OSError as e: ok = False; err = e.errno\n\
             \x20       if family not in allowed and (ok or err != errno.EPERM): raise OSError(errno.EISCONN, str((family, kind)))\n\
             \x20       if kind == 3 and family in (2, 10) and ok: raise OSError(errno.EISCONN, 'raw')",
        )
        .works("all 60 of them are EPERM");
    place.python_attack("os.close(call(41, 16, 3, 12))", &["EPERM"], "NETLINK_NETFILTER");
    place.python_attack("os.close(call(41, 40, 1, 0))", &["EPERM"], "AF_VSOCK");
    place
        .python_inside(
            "import socket\nsocket.socket(16, 3, 0)\nsocket.getaddrinfo('localhost', 80)",
        )
        .works("route and names");
}

#[test]
fn upper_layer_protocols_are_refused() {
    let place = Place::new();
    let option = |level: u8, name: u8| {
        format!(
            "import socket\ns = socket.socket()\n\
             try: s.setsockopt({level}, {name}, b'espintcp\\0')\n\
             except OSError as e:\n    if e.errno == errno.EPERM: raise"
        )
    };
    // TCP_ULP reaches the kernel outside (ENOENT, ENOTCONN); IP_XFRM_POLICY needs privilege anyway.
    place.python_attack(&option(6, 31), &["EPERM"], "TCP_ULP");
    place.python_inside(&option(0, 17)).fails(&["EPERM"], "IP_XFRM_POLICY");
    place.python_inside("import socket\nsocket.socket().setsockopt(6, 1, 1)").works("TCP_NODELAY");
}
