//! E01, E02, E06, E08, E09, E13, E19, S04, S42: whom a proxy is asked for is judged as it will be
//! dialled, or not at all.

use crate::asking::{ALL_BUT_EVIL, POLICY};
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
    net.asks_inside(POLICY, &act("2")).works("SOCKS5: not allowed by the rules");
    assert_eq!((net.seen().packets, net.names()), (vec![], vec![]));
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
    net.asks_inside(
        POLICY,
        "for odd in (b'\\0', b'\\r', b'\\n', b' ', b'\\t', b'\\x7f', b'%00', b'\\xff', b'/', b'\\\\', b'#', b'?'):\n    \
         for name in (b'evil.test' + odd + b'.good.test:443', b'evil.test' + odd + b':443', odd + b'good.test:443'):\n        \
         code = connect(name)\n        assert code == 400, (name, code)",
    )
    .works("each is a bad request");
    assert_eq!((net.seen().packets, net.names()), (vec![], vec![]));
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
    net.asks_inside(POLICY, &act(400)).works("absolute form");
    net.asks_inside(POLICY, "assert connect(b'good.test@evil.test:443') == 400").works("CONNECT");
    assert_eq!((net.seen().packets, net.names()), (vec![], vec![]));
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
    net.asks_inside(ALL_BUT_EVIL, &act(403)).works("a deny rule holds for each");
    for name in ["evil.test.", "EVIL.TEST", "eViL.tEsT"] {
        let fetch = ["curl", "-sS", "--noproxy", "*", &format!("https://{name}/")];
        net.inside(ALL_BUT_EVIL, &fetch).fails(&["resolve"], "and for DNS");
    }
    assert_eq!(net.evil(), 0);
    for name in ["good.test", "good.test.", "GOOD.test"] {
        net.forget();
        let fetch = ["curl", "-sS", &format!("https://{name}/")];
        net.inside(POLICY, &fetch).works("an allow rule too");
        assert_eq!(net.names(), ["good.test"], "{name}");
    }
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
        let literal = format!("code = connect(b'[{form}]:80')\nassert code in (400, 403), code");
        net.asks_inside(ALL_BUT_EVIL, &literal).works(form);
        net.inside(POLICY, &["curl", "-sS", "--fail", "http://x.good.test/"])
            .fails(&["403", "reset", "Empty reply", "Failed to connect"], form);
        assert_eq!(net.hits(form), 0, "{form}");
        assert_eq!(net.seen_by_host().connections.len(), 0, "{form}");
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
    net.asks_inside(POLICY, "code = connect(b'good.test:22')\nassert code == 403, code")
        .works("22");
    net.asks_inside(POLICY, "code = socks(b'good.test', 22)[0]\nassert code == 2, code")
        .works("22");
    net.python_inside(POLICY, "import socket\nsocket.create_connection(('good.test', 22), 5)")
        .fails(&["ECONNREFUSED"], "direct");
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
    net.asks_inside(POLICY, &format!("{get}assert code in (200, 400), code")).works("judged");
    for request in net.settled().requests {
        assert_eq!(request.hosts, ["good.test"], "what was judged is what is sent");
    }
    assert_eq!(net.evil(), 0);
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
    net.asks_inside(POLICY, &get(403, "evil.test")).works("by proxy");
    net.asks_inside(
        POLICY,
        "code = status(b'GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n', ('good.test', 80))\nassert code in (0, 400, 403), code",
    )
    .works("direct, with another Host");
    assert_eq!((net.evil(), net.seen().requests.len()), (0, 0));
    net.asks_inside(POLICY, &get(200, "good.test")).works("the ordinary one");
}
