//! The internet that the other tests stand on sees what it is said to see.

use crate::internet::{EVIL, EVIL_6, GOOD, GOOD_6, HOST, HOST_PRIVATE, Internet, Packet};
use crate::support::{finish, is_root};

const CURL: &str = "/usr/bin/curl";

#[test]
fn a_name_is_asked_for_and_its_server_answers() {
    let Some(net) = Internet::take() else { return };
    let ran = net.outside(&[CURL, "-sS", "http://good.test/hello"]).works("http");
    assert!(ran.out.contains("GET /hello HTTP/1.1"), "{ran:?}");
    let ran = net.outside(&[CURL, "-sS", "https://x.wide.test/secret"]).works("https");
    assert!(ran.out.contains("Host: x.wide.test"), "{ran:?}");
    assert_eq!(net.names(), ["good.test", "x.wide.test"]);
    let seen = net.settled();
    let requests: Vec<_> =
        seen.requests.iter().map(|r| (r.tls, r.target.as_str(), r.hosts.join(","))).collect();
    assert_eq!(
        requests,
        [(false, "/hello", "good.test".into()), (true, "/secret", "x.wide.test".into())]
    );
    let tls = seen.connections.iter().find(|one| one.server == "tls").unwrap();
    assert_eq!((tls.sni.as_deref(), tls.open, tls.first[0]), (Some("x.wide.test"), false, 22));
    assert!(net.hits(GOOD) + net.hits(GOOD_6) >= 2);
    assert_eq!(net.hits(EVIL) + net.hits(EVIL_6), 0);
}

#[test]
fn every_port_of_evil_counts_with_a_server_or_none() {
    let Some(net) = Internet::take() else { return };
    net.outside(&[CURL, "-sS", "http://evil.test/"]).works("http");
    assert_eq!(net.seen().requests_to(EVIL).len() + net.seen().requests_to(EVIL_6).len(), 1);
    net.forget();
    assert_eq!((net.hits(EVIL), net.names()), (0, vec![]));
    let closed = format!("import socket\nsocket.create_connection(('{EVIL}', 4444), 5)");
    net.python_outside(&closed).fails(&["ECONNREFUSED"], "nobody listens");
    net.python_outside(&format!(
        "import socket\ns = socket.socket(2, 2)\ns.settimeout(5)\ns.sendto(b'x', ('{EVIL}', 5000))\n\
         assert s.recv(9) == b'x'\n\
         s = socket.socket(2, 2, 1)\ns.settimeout(5)\n\
         s.sendto(b'\\x08\\0\\xf7\\xff\\0\\0\\0\\0', ('{EVIL}', 0))\ns.recv(99)\n\
         s = socket.socket(10, 2)\ns.settimeout(5)\ns.sendto(b'x', ('{EVIL_6}', 5000))\ns.recv(9)"
    ))
    .works("UDP, ping, UDP of IPv6");
    let packets = net.seen().packets;
    let to = |to: &str, protocol, port| Packet { to: to.parse().unwrap(), protocol, port };
    let all = [to(EVIL, 6, 4444), to(EVIL, 17, 5000), to(EVIL, 1, 0), to(EVIL_6, 17, 5000)];
    assert_eq!(packets, all);
}

#[test]
fn answers_are_as_scripted() {
    let Some(net) = Internet::take() else { return };
    net.answer("turn.test", &["A 1.2.3.4; A 1.2.3.5", "A 127.0.0.1; TTL 60"]);
    net.answer("chain.test", &["CNAME turn.test"]);
    net.answer("gone.test", &["SERVFAIL"]);
    net.answer("long.test", &["TRUNCATED; A 5.6.7.8"]);
    net.answer("late.test", &["SLOW 300; A 5.6.7.9"]);
    let look = "import socket, time\n\
         def of(name): return sorted({a[4][0] for a in socket.getaddrinfo(name, 80, socket.AF_INET)})\n\
         def error(name):\n\
         \x20   try: of(name)\n\
         \x20   except socket.gaierror as e: return e.errno\n\
         assert of('turn.test') == ['1.2.3.4', '1.2.3.5'], 1\n\
         assert of('turn.test') == ['127.0.0.1'], 2\n\
         assert of('chain.test') == ['127.0.0.1'], 3\n\
         assert of('long.test') == ['5.6.7.8'], 4\n\
         t = time.time()\n\
         assert of('late.test') == ['5.6.7.9'] and time.time() - t > 0.25, 5\n\
         assert error('nowhere.test') == socket.EAI_NONAME, 6\n\
         assert error('gone.test') == socket.EAI_AGAIN, 7";
    net.python_outside(look).works("names as scripted");
    let over: Vec<_> = net.seen().queries.iter().map(|query| query.over.clone()).collect();
    assert!(over.contains(&"tcp".to_owned()), "{over:?}");
    net.forget();
    net.outside(&["getent", "ahostsv4", "turn.test"]).fails(&[""], "forgotten");
}

#[test]
fn what_a_server_may_do() {
    let Some(net) = Internet::take() else { return };
    let get =
        |target: &str| net.outside(&[CURL, "-sS", "-L", &format!("http://good.test{target}")]);
    assert_eq!(get("/chunked").works("chunks").out, "one two three\n");
    assert_eq!(get("/big/300000").works("much").out.len(), 300_000);
    assert!(
        get("/redirect?https://evil.test/x").works("elsewhere").out.contains("Host: evil.test")
    );
    net.python_outside(
        "import socket\n\
         s = socket.create_connection(('good.test', 80), 5)\n\
         s.sendall(b'GET /upgrade HTTP/1.1\\r\\nHost: good.test\\r\\nUpgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n')\n\
         assert b'101' in s.recv(999)\n\
         s.sendall(b'frame'); assert s.recv(9) == b'frame'\n\
         s = socket.create_connection(('good.test', 5432), 5)\n\
         s.sendall(b'SELECT'); assert s.recv(9) == b'SELECT'",
    )
    .works("an upgrade, and an echo");
    net.forget();
    net.outside(&[CURL, "-sS", "--proxy", "http://proxy.test:3128", "http://evil.test/x"])
        .works("absolute form");
    assert_eq!(net.seen().requests.len(), 1);
    for proxy in ["http://proxy.test:3128", "socks5h://proxy.test:1080"] {
        net.forget();
        net.outside(&[CURL, "-sS", "--proxy", proxy, "https://good.test/x"]).works(proxy);
        let seen = net.settled();
        let asked: Vec<_> =
            seen.connections.iter().filter_map(|one| one.asked.as_deref()).collect();
        assert_eq!((asked.as_slice(), seen.requests.len()), (&["good.test:443"][..], 1), "{proxy}");
        assert_eq!(net.hits(GOOD) + net.hits(GOOD_6), 0, "the proxy dialled, not HOST");
    }
}

#[test]
fn git_clones_and_pushes() {
    let Some(net) = Internet::take() else { return };
    let bare = net.www().join("git/fixture.git").display().to_string();
    let script = format!(
        "set -e; git init -q --bare {bare}; git clone -q https://good.test/git/fixture.git copy 2>&1; cd copy
        git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m one
        git push -q origin HEAD:refs/heads/main 2>&1; git -C {bare} log --format=%s main"
    );
    let ran = net.outside(&["sh", "-c", &script]).works("clone and push");
    assert!(ran.out.ends_with("one\n"), "{ran:?}");
}

#[test]
fn servers_of_the_host_count_too() {
    let Some(net) = Internet::take() else { return };
    for address in ["127.0.0.1", "[::1]", HOST, HOST_PRIVATE, "0.0.0.0"] {
        net.outside(&[CURL, "-sS", &format!("http://{address}:8000/")]).works(address);
    }
    assert_eq!(net.seen_by_host().requests.len(), 5);
    assert_eq!(net.seen().packets, [], "none of it left HOST");
}

#[test]
fn any_address_answers_but_none_outside_of_here() {
    let Some(net) = Internet::take() else { return };
    for address in [
        "169.254.169.254",
        "10.0.0.5",
        "100.64.0.1",
        "198.18.0.1",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
    ] {
        net.outside(&[CURL, "-sS", &format!("http://{address}/")]).works(address);
    }
    assert_eq!(net.seen().requests.len(), 6);
}

#[test]
fn a_command_has_no_more_power_than_its_user() {
    let Some(net) = Internet::take() else { return };
    let mut command = net.command_within(1, "sh");
    let ran = finish(command.args(["-c", "id -u; grep CapEff /proc/self/status; sleep 60"]));
    assert_eq!(ran.status, None, "killed after a second");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("CapEff")).unwrap();
    assert!(ran.out.contains(own), "{ran:?}");
    assert_eq!(ran.out.starts_with("0\n"), is_root(), "{ran:?}");
}

#[test]
fn a_sandbox_starts_in_host_and_without_a_rule_nothing_leaves() {
    let Some(net) = Internet::take() else { return };
    let fetch = &[CURL, "-sS", "--max-time", "5", "http://good.test/"];
    net.outside(fetch).works("without a wall");
    assert!(net.hits(GOOD) + net.hits(GOOD_6) > 0);
    net.forget();
    net.inside("version = 1\n", &["cat", "ca.pem"]).works("the workspace");
    net.inside("version = 1\n", fetch).fails(&["resolve host"], "no name is known");
    assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]));
    assert_eq!(net.events("exit").len(), 2, "each run is on record");
}
