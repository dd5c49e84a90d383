//! L16: servers of the workload's own, and what it has by itself.

use crate::asking::{GATEWAY, POLICY};
use crate::internet::{GOOD, Internet};

#[test]
fn l16_own_sockets_work() {
    let Some(net) = Internet::take() else { return };
    let act = "import asyncio, socket, threading\n\
         a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'\n\
         s = socket.socket(socket.AF_UNIX); s.bind('own.sock'); s.listen()\n\
         c = socket.socket(socket.AF_UNIX); c.connect('own.sock')\n\
         s = socket.socket(socket.AF_UNIX); s.bind('\\0own'); s.listen()\n\
         c = socket.socket(socket.AF_UNIX); c.connect('\\0own')\n\
         for family, ip in ((2, '127.0.0.1'), (10, '::1'), (2, '127.9.8.7')):\n\
         \x20   for port in (0, 3128, 1080, 5432, 8443, 8080):\n\
         \x20       s = socket.create_server((ip, port), family=family); c = socket.create_connection(s.getsockname()[:2], 5)\n\
         \x20       s.accept()[0].sendall(b'y'); assert c.recv(1) == b'y'\n\
         \x20   a, b = socket.socket(family, 2), socket.socket(family, 2); a.bind((ip, 0))\n\
         \x20   b.sendto(b'z', a.getsockname()); assert a.recv(1) == b'z'\n\
         async def turn():\n\
         \x20   server = await asyncio.start_server(lambda r, w: w.close(), 'localhost', 0)\n\
         \x20   for one in server.sockets: await asyncio.open_connection(*one.getsockname()[:2])\n\
         asyncio.run(turn())\n\
         assert {a[4][0] for a in socket.getaddrinfo('localhost', 80)} <= {'127.0.0.1', '::1'}\n\
         assert socket.getaddrinfo('good.test', 443)";
    let outside = act.replace("3128, 1080, 5432, 8443, 8080", "18443");
    net.python_outside(&outside).works("without a wall");
    net.outside(&["rm", "own.sock"]).works("its socket");
    net.python_inside(POLICY, act).works("inside, on every port");
    assert_eq!(net.hits(GOOD), 0, "a look-up is no connection");
    assert_eq!(net.connections("good.test"), Vec::<String>::new(), "nor on record as one");
}

#[test]
fn l16_every_port_above_1023_is_the_workloads() {
    let Some(net) = Internet::take() else { return };
    // A bind to every address of both families is one to both loopbacks. But for the ports that the
    // gateway hears on somewhere, which are free on loopback itself.
    let act = "import errno, socket\n\
         taken = []\n\
         for port in range(1024, 65536):\n\
         \x20   s = socket.socket(10); s.setsockopt(41, 26, 0)\n\
         \x20   try: s.bind(('::', port))\n\
         \x20   except OSError as e: assert e.errno == errno.EADDRINUSE; taken.append(port)\n\
         \x20   s.close()\n\
         assert taken == [1080, 3128, 5432], taken\n\
         for family, ip in ((2, '127.0.0.1'), (10, '::1')):\n\
         \x20   for port in taken: s = socket.socket(family); s.bind((ip, port)); s.close()";
    net.python_inside(POLICY, act).works("three of the policy and the gateway");
    net.python_outside("import socket\nsocket.socket().bind(('127.0.0.1', 18443))").works("twin");
}

/// The workload's servers are its own: nothing that it says on its loopback is judged or on record.
#[test]
fn l16_loopback_is_not_the_gateways() {
    let Some(net) = Internet::take() else { return };
    let act = "import socket\n\
         for family, ip in ((2, '127.0.0.1'), (10, '::1'), (2, '0.0.0.0')):\n\
         \x20   for port in (80, 443, 53):\n\
         \x20       s = socket.socket(family); s.settimeout(5)\n\
         \x20       try:\n\
         \x20           s.connect((ip, port)); s.sendall(b'GET / HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n')\n\
         \x20           assert s.recv(99) == b'', (ip, port)\n\
         \x20       except ConnectionError: pass";
    net.python_inside(POLICY, act).works("nobody is there");
    assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]));
    assert_eq!(net.events("connection"), Vec::<serde_json::Value>::new());
    let twin = format!("import socket\nsocket.create_connection(('{GATEWAY}', 53), 5)");
    net.python_inside(POLICY, &twin).works("the gateway is elsewhere");
}
