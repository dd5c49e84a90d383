//! Names below a wildcard: an address each, ports of their own, and an end to their number.

use crate::internet::{GOOD, GOOD_6, Internet};

/// Everything below `good.test`, on ports that are heard everywhere and on two that are not.
const WILD: &str = "
version = 1
[[network.allow]]
host = '*.good.test'
[[network.allow]]
host = '*.good.test'
ports = [22, 5432]
protocol = 'tcp'
";

const ONLY_443: &str = "version = 1\n[[network.allow]]\nhost = '*.good.test'\n";

#[test]
fn names_below_a_wildcard_have_ports_of_their_own() {
    let Some(net) = Internet::take() else { return };
    let act = "import socket\n\
         def echo(name, port, family=0):\n\
         \x20   at = socket.getaddrinfo(name, port, family, 1)[0]\n\
         \x20   s = socket.socket(at[0]); s.settimeout(5); s.connect(at[4]); s.sendall(b'SELECT'); assert s.recv(9) == b'SELECT'\n\
         \x20   return at[4][0]\n\
         found = {echo(name, port, family) for name in ('a.good.test', 'b.good.test', 'deep.x.good.test')\n\
         \x20        for port in (22, 5432) for family in (2, 10)}\n";
    net.python_outside(act).works("without a wall");
    net.forget();
    let inside = format!("{act}assert len(found) == 6, found");
    net.python_inside(WILD, &inside).works("an address of each family for each name");
    for name in ["a.good.test", "b.good.test", "deep.x.good.test"] {
        let want = [22, 22, 5432, 5432].map(|port| format!("direct {port} allowed - 1"));
        let mut rows = net.connections(name);
        rows.sort();
        assert_eq!(rows, want, "{name}");
    }
    let seen = net.settled();
    for port in [22, 5432] {
        let reached =
            seen.connections_to(GOOD, port).len() + seen.connections_to(GOOD_6, port).len();
        assert_eq!(reached, 6, "{port}");
    }
    let other = "import socket\nsocket.create_connection(('a.good.test', 6379), 5)";
    net.python_outside(other).works("without a wall");
    net.python_inside(WILD, other).fails(&["ECONNREFUSED"], "a port that no rule names");
    let other = "import socket\nsocket.create_connection(('good.test', 5432), 5)";
    net.python_outside(other).works("without a wall");
    net.python_inside(WILD, other).fails(&["EAI", "not known", "-2", "-5"], "not below itself");
}

/// The sockets for such ports are 64 of each family; who comes later goes by the proxy, or not.
#[test]
fn where_no_socket_is_left_the_port_is_closed() {
    let Some(net) = Internet::take() else { return };
    let act = "import socket\n\
         def open(name): \n\
         \x20   s = socket.socket(); s.settimeout(5); s.connect((socket.gethostbyname(name), 5432)); s.sendall(b'x'); assert s.recv(1) == b'x'\n\
         for i in range(32): open(f'n{i}.good.test')\n\
         try: open('late.good.test'); raise SystemExit('open')\n\
         except ConnectionRefusedError: pass\n\
         open('n0.good.test')\n\
         s = socket.create_connection(('198.18.0.1', 3128), 5)\n\
         s.sendall(b'CONNECT late.good.test:5432 HTTP/1.1\\r\\nHost: late.good.test:5432\\r\\n\\r\\n')\n\
         assert b' 200 ' in s.recv(99)";
    net.python_inside(WILD, act).works("two ports a name, so 32 names");
    assert_eq!(net.connections("late.good.test"), ["proxy 5432 allowed - 1"]);
}

/// Descriptors bound how many connections there are at a time, not who is heard.
#[test]
fn with_few_descriptors_every_port_is_heard() {
    let Some(net) = Internet::take() else { return };
    let ports: Vec<String> = (2001..2041).map(|port| port.to_string()).collect();
    let rule = format!(
        "[[network.allow]]\nhost = 'good.test'\nports = [{}]\nprotocol = 'tcp'\n",
        ports.join(", ")
    );
    let policy = format!("{WILD}{rule}[[network.allow]]\nhost = 'good.test'\n");
    let policy = net.place.write("policy.toml", &policy).display().to_string();
    // Nobody is at those ports of GOOD: each connection is judged, dialled, and reset.
    let act = "import socket\n\
         for family, kind in ((2, 0), (10, 0)):\n\
         \x20   for port in range(2001, 2041):\n\
         \x20       at = socket.getaddrinfo('good.test', port, family, 1)[0][4]\n\
         \x20       s = socket.socket(family); s.settimeout(3)\n\
         \x20       try: s.connect(at); s.recv(1); raise SystemExit(f'{port} is open')\n\
         \x20       except ConnectionResetError: pass";
    let mut command = net.command("prlimit");
    command.arg("--nofile=1024:1024").arg(crate::support::programs().join("cofferdam"));
    command.args(["run", "--policy", &policy, "--limit", "open_files=1000"]);
    let ran = crate::support::finish(command.args(["--", "/usr/bin/python3", "-c", act]));
    ran.works("with fewer descriptors than sockets and connections");
    let rows = net.connections("good.test");
    let row = |port: u16| format!("direct {port} failed refused 1");
    for port in 2001..2041 {
        assert_eq!(rows.iter().filter(|one| **one == row(port)).count(), 2, "{port}");
    }
}

#[test]
fn the_1025th_name_is_none() {
    let Some(net) = Internet::take() else { return };
    let act = "import socket, struct\n\
         s = socket.socket(2, 2); s.settimeout(3); s.connect(('198.18.0.1', 53))\n\
         def code(name):\n\
         \x20   labels = b''.join(bytes([len(l)]) + l for l in name.encode().split(b'.'))\n\
         \x20   s.send(b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + labels + b'\\0' + struct.pack('>HH', 1, 1))\n\
         \x20   return s.recv(999)[3] & 15\n\
         codes = [code(f'n{i}.good.test') for i in range(1026)]\n\
         assert codes == [0] * 1024 + [3, 3], codes\n\
         assert code('n7.good.test') == 0, 'what was given stays'";
    net.outside(&["getent", "ahostsv4", "n1024.good.test"]).works("without a wall");
    net.forget();
    net.python_inside(ONLY_443, act).works("inside");
    assert_eq!((net.names(), net.seen().packets), (vec![], vec![]));
    for name in ["n1024.good.test", "n1025.good.test"] {
        assert_eq!(net.connections(name), ["lookup 0 denied names-full 1"]);
    }
    assert_eq!(net.connections("n1023.good.test"), Vec::<String>::new());
}
