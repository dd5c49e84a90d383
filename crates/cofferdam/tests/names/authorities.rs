//! E01, E02, E06, E08, E09, E10, E12, E13, E19, S02, S04, S42: whom a proxy is asked for is judged as it will be
//! dialled, or not at all.

use std::str::FromStr;

use crate::asking::{ALL_ADDRESSES, ALL_BUT_EVIL, POLICY};
use crate::internet::{GOOD, GOOD_6, Internet};

#[test]
fn e01_a_name_with_a_nul_is_none() {
    let Some(net) = Internet::take() else { return };
    let act = |code: &str| {
        format!(
            "for name in (b'evil.test\\0.good.test', b'evil.test\\0good.test'):\n    \
             code = socks(name, 443)[0]\n    assert code == {code}, (name, code)"
        )
    };
    net.asks_outside(&act("0")).works("a proxy that ends names at NUL");
    assert!(net.evil() > 0);
    net.forget();
    net.tells(&["socks :1080 socks-name"], || {
        net.asks_inside(POLICY, &act("2")).works("SOCKS5: not allowed by the rules")
    });
    net.is_silent("NUL");
    let good = &["curl", "-sS", "--proxy", "socks5h://198.18.0.1:1080", "https://good.test/"];
    net.inside(POLICY, good).works("the ordinary name");
}

#[test]
fn e02_an_authority_with_an_odd_byte_is_none() {
    let Some(net) = Internet::take() else { return };
    net.asks_outside("assert connect(b'evil.test\\0.good.test:443') == 200").works("NUL");
    net.asks_outside("assert connect(b'evil.test%00.good.test:443') == 200").works("%00");
    net.asks_outside("assert connect(b'evil.test .good.test:443') == 200").works("a space");
    assert!(net.evil() > 0);
    net.forget();
    let every = "for odd in (b'\\0', b'\\r', b'\\n', b' ', b'\\t', b'\\x7f', b'%00', b'\\xff', b'/', b'\\\\', b'#', b'?'):\n    \
         for name in (b'evil.test' + odd + b'.good.test:443', b'evil.test' + odd + b':443', odd + b'good.test:443'):\n        \
         code = connect(name)\n        assert code == 400, (name, code)";
    let told = [
        "proxy :3128 http-start-line",
        "proxy :3128 http-target-byte",
        "proxy :3128 http-bare-cr",
        "proxy :3128 http-bare-lf",
        "proxy :3128 http-byte",
        "proxy :3128 authority-byte",
    ];
    net.tells(&told, || net.asks_inside(POLICY, every).works("each is a bad request"));
    net.is_silent("an odd byte");
    net.asks_inside(POLICY, "assert connect(b'good.test:443') == 200").works("the ordinary one");
}

#[test]
fn e06_an_authority_has_no_user() {
    let Some(net) = Internet::take() else { return };
    let act = |code: u16| {
        format!(
            "code = status(b'GET http://good.test@evil.test/ HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n')\n\
             assert code == {code}, code"
        )
    };
    net.asks_outside(&act(200)).works("a proxy that drops the user");
    assert!(net.evil() > 0);
    net.forget();
    net.tells(&["proxy :3128 authority-userinfo"], || {
        let act = act(400) + "\nassert connect(b'good.test@evil.test:443') == 400";
        net.asks_inside(POLICY, &act).works("absolute form and CONNECT")
    });
    net.is_silent("a user");
    let twin = act(200).replace("good.test@evil.test", "good.test").replace("evil", "good");
    net.asks_inside(POLICY, &twin).works("without a user");
}

#[test]
fn e08_e09_a_last_dot_and_capitals_are_no_other_name() {
    let Some(net) = Internet::take() else { return };
    let all = "(b'evil.test', b'evil.test.', b'EVIL.TEST', b'eViL.tEsT.', b'EVIL.test.')";
    let act = |code: u16| {
        format!(
            "for name in {all}:\n    code = connect(name + b':443')\n    assert code == {code}, (name, code)"
        )
    };
    net.asks_outside(&act(200)).works("names of one host");
    assert!(net.evil() > 0);
    net.forget();
    let told = ["proxy evil.test:443 host-denied", "lookup evil.test:0 host-denied"];
    net.tells(&told, || {
        let look = format!(
            "{}\nfor name in {all}:\n    try: socket.getaddrinfo(name.decode(), 443)\n    \
             except socket.gaierror: pass\n    else: raise SystemExit(name)",
            act(403)
        );
        net.asks_inside(ALL_BUT_EVIL, &look).works("a deny rule holds for each, and for DNS")
    });
    net.is_silent("the one name");
    for name in ["good.test", "good.test.", "GOOD.test"] {
        net.forget();
        let fetch = ["curl", "-sS", &format!("https://{name}/")];
        net.inside(POLICY, &fetch).works("an allow rule too");
        assert_eq!(net.names(), ["good.test"], "{name}");
    }
}

/// Spellings that become a name only by translation (RFC 5891, UTS 46).
const SPELLED: &[&str] = &[
    "\u{ff45}vil.test",
    "evil\u{3002}test",
    "evil\u{ff0e}test",
    "evil\u{ff61}test",
    "\u{24d4}vil.test",
    "EV\u{131}L.test",
    "ev\u{ad}il.test",
    "b\u{fc}cher.test",
];

#[test]
fn e10_only_a_labels_are_names() {
    let Some(net) = Internet::take() else { return };
    // Clients translate before they ask: then it is the other name, for judge and resolver alike.
    let fetch = |name: &str| {
        format!(
            "import socket\ns = socket.create_connection(('{name}', 80), 5)\n\
             s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); s.recv(1)"
        )
    };
    net.python_outside(&fetch(SPELLED[0])).works("a client that translates");
    assert!(net.evil() > 0);
    net.forget();
    net.tells(&["lookup evil.test:0 host-denied"], || {
        net.python_inside(ALL_BUT_EVIL, &fetch(SPELLED[0])).fails(&["not known"], "as evil.test")
    });
    net.is_silent("translated");
    // Whoever passes it on as it is has no name.
    let every = SPELLED.iter().fold(String::new(), |act, name| {
        let bytes = name.as_bytes().escape_ascii();
        act + &format!(
            "assert connect(b'{bytes}:443') == 400\nassert socks(b'{bytes}', 443)[0] == 2\n\
             code = status(b'GET http://{bytes}/ HTTP/1.1\\r\\nHost: {bytes}\\r\\n\\r\\n')\nassert code == 400, code\n"
        )
    });
    net.tells(&["proxy :3128 http-target-byte", "socks :1080 socks-name"], || {
        net.asks_inside(ALL_BUT_EVIL, &every).works("as it is")
    });
    net.is_silent("as they are");
    // A rule in letters holds for its A-label, which is the only thing that is dialled.
    let policy = "version = 1\n[[network.allow]]\nhost = 'b\u{fc}cher.test'";
    net.answer("xn--bcher-kva.test", &[&format!("A {GOOD}")]);
    net.tells(&["proxy xn--bcher-kva.test:443 allowed"], || {
        net.asks_inside(policy, "assert connect(b'XN--Bcher-kva.test:443') == 200").works("twin")
    });
    assert_eq!(net.names(), ["xn--bcher-kva.test"]);
}

/// What `inet_aton(3)` takes for 127.0.0.1, or for an address of this host.
const NUMBERS: &[&str] = &[
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0x0",
    "017700000001",
    "127.0.0.01",
];

#[test]
fn e12_a_number_is_no_name() {
    let Some(net) = Internet::take() else { return };
    for number in NUMBERS {
        net.outside(&["curl", "-sS", &format!("http://{number}/")]).works(number);
    }
    assert_eq!(net.seen_by_host().requests.len(), NUMBERS.len(), "each is HOST");
    net.forget();
    let every = NUMBERS.iter().fold(String::new(), |act, number| {
        act + &format!(
            "code = connect(b'{number}:80')\nassert code == 400, ('{number}', code)\n\
             code = socks(b'{number}', 80)[0]\nassert code == 2, ('{number}', code)\n\
             assert b' 200 ' not in by_itself('{number}')\n"
        )
    });
    // What inet_aton(3) makes of it is the sandbox's own loopback, where nobody listens.
    let every = format!(
        "def by_itself(number):\n    \
         try:\n        \
         s = socket.create_connection((number, 80), 3)\n        \
         s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n    \
         except OSError: return b''\n    return head(s)\n{every}"
    );
    net.asks_inside(ALL_ADDRESSES, &every).works("no number is one");
    net.is_silent("numbers");
    // As it is written properly, it is an address, of a class that is not dialled; by SOCKS as well.
    let told = ["proxy 127.0.0.1:80 forbidden-address", "socks 127.0.0.1:80 forbidden-address"];
    net.tells(&told, || {
        let act = "assert connect(b'127.0.0.1:80') == 403\nassert socks(b'127.0.0.1', 80)[0] == 2\n\
                   assert socks(bytes([127, 0, 0, 1]), 80, kind=1)[0] == 2";
        net.asks_inside(ALL_ADDRESSES, act).works("an address")
    });
    net.is_silent("an address");
    let act = format!("assert connect(b'{GOOD}:80') == 200");
    net.asks_inside(ALL_ADDRESSES, &act).works("twin");
}

#[test]
fn e13_ipv4_in_ipv6_is_ipv4() {
    let Some(net) = Internet::take() else { return };
    let forms = [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    net.outside(&["curl", "-sS", "http://[::ffff:127.0.0.1]/"]).works("HOST's loopback, mapped");
    net.outside(&["curl", "-sS", "http://[64:ff9b::7f00:1]/"]).works("through a translator");
    assert!(!net.seen_by_host().requests.is_empty() && !net.seen().requests.is_empty());
    for form in forms {
        net.forget();
        net.answer("x.good.test", &[&format!("AAAA {form}")]);
        let literal = format!(
            "code = connect(b'[{form}]:80')\nassert code == 403, code\n\
             code = socks(socket.inet_pton(10, '{form}'), 80, kind=4)[0]\nassert code == 2, code\n\
             code = connect(b'x.good.test:80')\nassert code == 403, code"
        );
        let written = std::net::Ipv6Addr::from_str(form).unwrap().to_canonical();
        let written = if written.is_ipv4() { written.to_string() } else { format!("[{written}]") };
        let told = [
            &*format!("proxy {written}:80 forbidden-address"),
            &format!("socks {written}:80 forbidden-address"),
            "proxy x.good.test:80 forbidden-address",
        ];
        net.tells(&told, || net.asks_inside(ALL_ADDRESSES, &literal).works(form));
        assert_eq!(net.hits(form), 0, "{form}");
        assert_eq!(net.seen_by_host().packets, [], "{form}");
    }
    net.forget();
    net.answer("x.good.test", &[&format!("AAAA {GOOD_6}")]);
    net.inside(POLICY, &["curl", "-sS", "--fail", "http://x.good.test/"]).works("IPv6 as such");
}

#[test]
fn e19_a_port_is_part_of_the_rule() {
    let Some(net) = Internet::take() else { return };
    net.asks_outside("assert connect(b'good.test:22') == 200").works("a proxy that asks nothing");
    net.forget();
    let told = ["proxy good.test:22 port-not-allowed", "socks good.test:22 port-not-allowed"];
    let act = "assert connect(b'good.test:22') == 403\nassert socks(b'good.test', 22)[0] == 2\n\
               socket.create_connection(('good.test', 22), 5)";
    net.tells(&told, || net.asks_inside(POLICY, act).fails(&["ECONNREFUSED"], "and direct"));
    net.is_silent("22");
    assert_eq!(net.settled().connections_to(GOOD, 22).len(), 0);
    assert_eq!(net.settled().connections_to(GOOD_6, 22).len(), 0);
    let echo = "import socket\ns = socket.create_connection(('good.test', 5432), 5)\n\
                s.sendall(b'SELECT'); assert s.recv(9) == b'SELECT'";
    net.python_inside(POLICY, echo).works("a port that the policy names");
}

#[test]
fn s04_host_and_target_are_one() {
    let Some(net) = Internet::take() else { return };
    let get = "code = status(b'GET http://good.test/ HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n')\n";
    net.asks_outside(&format!("{get}assert code == 200, code")).works("forwarded as it is");
    assert_eq!(net.settled().requests[0].hosts, ["evil.test"]);
    net.forget();
    net.tells(&["proxy :3128 http-host-differs"], || {
        net.asks_inside(POLICY, &format!("{get}assert code == 400, code")).works("judged")
    });
    net.is_silent("two hosts");
    let get = get.replace("evil", "good");
    net.asks_inside(POLICY, &format!("{get}assert code == 200, code")).works("one host");
    assert_eq!(net.settled().requests[0].hosts, ["good.test"]);
}

#[test]
fn s02_a_connection_for_one_host_has_no_request_for_another() {
    let Some(net) = Internet::take() else { return };
    let act = |code: u16, host: &str| {
        format!(
            "get = b'GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n'\n\
             s = socket.create_connection(('good.test', 80), 5); s.sendall(get)\n\
             answer = head(s)\nassert answer.startswith(b'HTTP/1.1 {code} '), answer\n\
             s = ask(b'CONNECT good.test:80 HTTP/1.1\\r\\nHost: good.test:80\\r\\n\\r\\n')[1]; s.sendall(get)\n\
             answer = head(s)\nassert answer.startswith(b'HTTP/1.1 {code} '), answer\n\
             s = socks(b'good.test', 80)[1]; s.sendall(get)\n\
             answer = head(s)\nassert answer.startswith(b'HTTP/1.1 {code} '), answer"
        )
    };
    net.asks_outside(&act(200, "evil.test")).works("a server asked for another host");
    assert_eq!(net.settled().requests.len(), 3);
    net.forget();
    let ways = ["direct", "proxy", "socks"];
    for other in ["evil.test", "a.good.test", "good.test:8080", "good.test.evil.test"] {
        let told = ways.map(|way| format!("{way} good.test:80 host-mismatch"));
        let told = told.each_ref().map(String::as_str);
        net.tells(&told, || net.asks_inside(POLICY, &act(400, other)).works(other));
        let seen = net.settled();
        assert!(seen.connections.iter().all(|one| one.received == 0), "{other}");
        assert_eq!((seen.requests.len(), net.evil()), (0, 0), "{other}");
    }
    let told = ways.map(|way| format!("{way} good.test:80 allowed"));
    let told = told.each_ref().map(String::as_str);
    net.tells(&told, || net.asks_inside(POLICY, &act(200, "GOOD.test.")).works("its own name"));
    assert!(net.settled().requests.iter().all(|one| one.hosts == ["good.test"]), "as judged");
}

#[test]
fn s42_http_without_tls_is_judged() {
    let Some(net) = Internet::take() else { return };
    let get = |code: u16, name: &str| {
        format!(
            "code = status(b'GET http://{name}/ HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n')\n\
             assert code == {code}, code"
        )
    };
    net.asks_outside(&get(200, "evil.test")).works("plain HTTP");
    net.forget();
    let told = ["proxy evil.test:80 host-not-allowed", "lookup evil.test:0 host-not-allowed"];
    let look = "\ntry: socket.getaddrinfo('evil.test', 80)\nexcept socket.gaierror: pass";
    net.tells(&told, || {
        net.asks_inside(POLICY, &(get(403, "evil.test") + look)).works("by proxy, and by name")
    });
    net.is_silent("evil.test");
    net.asks_inside(POLICY, &get(200, "good.test")).works("the ordinary one");
}
