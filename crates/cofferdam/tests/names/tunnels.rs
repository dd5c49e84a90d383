//! S12, S13, S17, S18, S19, S20, S22, S24, S26: what is carried once a host is allowed.

use crate::asking::{GATEWAY, POLICY};
use crate::internet::{GOOD, GOOD_6, Internet, PROXY};

#[test]
fn s12_nobody_follows_a_redirect_for_the_workload() {
    let Some(net) = Internet::take() else { return };
    let whither = ["http://evil.test/x", "http://127.0.0.1:8000/x", "http://169.254.169.254/x"];
    for to in whither {
        let from = format!("http://good.test/redirect?{to}");
        net.outside(&["curl", "-sSL", "--fail", &from]).works("a client that follows");
        let seen = (net.seen().requests.len(), net.seen_by_host().requests.len());
        assert!(seen == (2, 0) || seen == (1, 1), "{to}: the control gets there: {seen:?}");
        for noproxy in ["", "*"] {
            net.forget();
            let head = [
                "curl",
                "-sS",
                "--noproxy",
                noproxy,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{redirect_url}",
                &from,
            ];
            let ran = net.tells(&[&*format!("{} good.test:80 allowed", way(noproxy))], || {
                net.inside(POLICY, &head).works("the answer comes through as it is")
            });
            assert_eq!(ran.out, format!("302 {to}"));
            let follow = ["curl", "-sSL", "--fail", "--noproxy", noproxy, "--max-time", "8", &from];
            net.inside(POLICY, &follow).fails(&["403", "resolve", "connect", "reset"], to);
            assert_eq!((net.evil(), net.hits("169.254.169.254")), (0, 0), "{to}");
            assert_eq!(net.seen_by_host().packets, [], "{to}");
            assert_eq!(net.seen().requests.len(), 2, "{to}: GOOD's redirects");
        }
        net.forget();
    }
    let twin = ["curl", "-sSL", "--fail", "http://good.test/redirect?http://a.good.test/x"];
    net.inside(POLICY, &twin).works("to a host that is allowed");
}

/// How a program comes that heeds these hosts without a proxy.
fn way(noproxy: &str) -> &'static str {
    if noproxy.is_empty() { "proxy" } else { "direct" }
}

#[test]
fn s13_no_answer_names_another_way() {
    let Some(net) = Internet::take() else { return };
    let fetch = |noproxy| ["curl", "-sSi", "--noproxy", noproxy, "http://good.test/alternative"];
    let said = net.outside(&fetch("*")).works("without a wall").out;
    assert!(said.contains("Alt-Svc: h3=\"evil.test:443\""), "{said}");
    for noproxy in ["", "*"] {
        let told = format!("{} good.test:80 allowed", way(noproxy));
        let said = net.tells(&[&*told], || net.inside(POLICY, &fetch(noproxy)).works("inside")).out;
        assert!(said.contains("200 OK") && said.ends_with("alternative\n"), "{said}");
        assert!(!said.to_lowercase().contains("alt-svc"), "{said}");
    }
    assert_eq!(net.evil(), 0);
    // And were it followed: HTTP/3 is UDP.
    let act = "import socket\ns = socket.socket(2, 2); s.settimeout(1)\ns.sendto(b'x', ('good.test', 443)); assert s.recv(9) == b'x'";
    net.python_outside(act).works("UDP on 443");
    net.forget();
    net.python_inside(POLICY, act)
        .fails(&["ECONNREFUSED", "timed out", "ENETUNREACH"], "UDP on 443");
    net.is_silent("UDP");
}

/// Says it to `good.test` on 80: by itself, and through the proxy with `CONNECT`.
fn both(request: &str, check: &str) -> String {
    format!(
        "import time\n\
         def through():\n    answer, s = ask(b'CONNECT good.test:80 HTTP/1.1\\r\\nHost: good.test:80\\r\\n\\r\\n')\n    \
         assert b' 200 ' in answer, answer\n    return s\n\
         def say(s):\n    s.sendall({request})\n    return head(s), s\n\
         for s in (socket.create_connection(('good.test', 80), 5), through()):\n    \
         answer, s = say(s)\n    {check}"
    )
}

#[test]
fn s17_s18_another_protocol_is_no_tunnel() {
    let Some(net) = Internet::take() else { return };
    let ask = |protocol: &str| {
        format!(
            "b'GET /{{}} HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: Upgrade, HTTP2-Settings\\r\\nUpgrade: {protocol}\\r\\nHTTP2-Settings: AAMAAABkAAQAAP__\\r\\nSec-WebSocket-Key: a\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n'"
        )
    };
    let echo = "assert b' 101 ' in answer, answer\n    s.sendall(b'tunnel'); assert s.recv(9) == b'tunnel'";
    for (protocol, path) in [("h2c", "upgrade"), ("echo", "upgrade"), ("websocket, h2c", "upgrade")]
    {
        let request = ask(protocol).replace("{}", path);
        net.asks_outside(&both(&request, echo)).works(protocol);
        net.forget();
        // The server answers with what nobody asked: that is no answer.
        let none = "assert b' 502 ' in answer and b' 101 ' not in answer, answer\n    assert s.recv(9) == b''";
        let told = ["direct good.test:80 answer-switch", "proxy good.test:80 answer-switch"];
        net.tells(&told, || net.asks_inside(POLICY, &both(&request, none)).works(protocol));
        let seen = net.settled();
        assert_eq!(seen.requests.len(), 2);
        for request in &seen.requests {
            let head = request.head.to_lowercase();
            assert!(!head.contains("upgrade:") && !head.contains("http2-settings"), "{head}");
        }
        assert!(!seen.connections.iter().any(|one| one.first.ends_with(b"tunnel")));
        net.forget();
    }
    // A client that takes HTTP/2 for granted.
    let preface = "b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'";
    net.asks_outside(&both(preface, "assert b' 200 ' in answer, answer")).works("the preface");
    net.forget();
    let told = ["direct good.test:80 http-version", "proxy good.test:80 http-version"];
    let refused = "assert answer.startswith(b'HTTP/1.1 505 '), answer\n    assert s.recv(9) == b''";
    net.tells(&told, || net.asks_inside(POLICY, &both(preface, refused)).works("the preface"));
    assert_eq!(net.settled().requests.len(), 0);
    // WebSocket is one that is known, where both sides agree to it.
    let told = ["direct good.test:80 allowed", "proxy good.test:80 allowed"];
    let websocket = both(&ask("websocket").replace("{}", "websocket"), echo);
    net.tells(&told, || net.asks_inside(POLICY, &websocket).works("WebSocket"));
}

#[test]
fn s19_a_proxy_behind_an_allowed_host_is_not_asked() {
    let Some(net) = Internet::take() else { return };
    let policy =
        "version = 1\n[[network.allow]]\nhost = 'good.test'\nports = [3128]\nprotocol = 'http'";
    // GOOD is a proxy for anybody: on the port of the rule, and asked through ours.
    let act = |code: &str| {
        format!(
            "nested = b'CONNECT evil.test:443 HTTP/1.1\\r\\nHost: evil.test:443\\r\\n\\r\\n'\n\
             def through():\n    answer, s = ask(b'CONNECT good.test:3128 HTTP/1.1\\r\\nHost: good.test:3128\\r\\n\\r\\n')\n    \
             assert b' 200 ' in answer, answer\n    return s\n\
             for s in (socket.create_connection(('good.test', 3128), 5), through()):\n    \
             s.sendall(nested); answer = head(s)\n    assert answer.startswith(b'HTTP/1.1 {code} '), answer"
        )
    };
    net.asks_outside(&act("200")).works("a chain of proxies");
    assert!(net.evil() > 0);
    net.forget();
    let told = ["direct good.test:3128 http-connect", "proxy good.test:3128 http-connect"];
    net.tells(&told, || net.asks_inside(policy, &act("400")).works("a CONNECT inside"));
    let absolute = "s = socket.create_connection(('good.test', 3128), 5)\n\
                    s.sendall(b'GET http://evil.test/ HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n'); answer = head(s)\n\
                    assert answer.startswith(b'HTTP/1.1 400 '), answer";
    net.asks_outside(&absolute.replace("400", "200")).works("absolute form");
    net.forget();
    net.tells(&["direct good.test:3128 host-mismatch"], || {
        net.asks_inside(policy, absolute).works("absolute form, for another")
    });
    let seen = net.settled();
    let heard = |to| seen.connections_to(to, 3128).iter().map(|one| one.received).sum::<u64>();
    assert_eq!((heard(GOOD) + heard(GOOD_6), net.evil()), (0, 0), "what the open proxy heard");
    // What it hears is for itself: as a server, not as a proxy.
    let twin = "s = socket.create_connection(('good.test', 3128), 5)\n\
                s.sendall(b'GET /x HTTP/1.1\\r\\nHost: good.test:3128\\r\\n\\r\\n'); answer = head(s)";
    net.asks_inside(policy, twin).works("an ordinary request");
    let seen = net.settled();
    let heads: Vec<_> = seen.connections.iter().filter(|one| one.to.port() == 3128).collect();
    assert!(
        heads.len() == 1
            && heads[0].first.starts_with(b"GET /x HTTP/1.1\r\nHost: good.test:3128\r\n")
    );
}

#[test]
fn s20_on_443_only_tls_is_spoken() {
    let Some(net) = Internet::take() else { return };
    let said = [
        ("SSH", "b'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        ("HTTP", "b'GET / HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n'"),
        ("random", "bytes(range(1, 200)) * 3"),
        ("SSL 2", "b'\\x80\\x2e\\x01\\x00\\x02' + bytes(41)"),
    ];
    for (why, bytes) in said {
        let by = |check: &str| {
            format!(
                "def proxy():\n    answer, s = ask(b'CONNECT good.test:443 HTTP/1.1\\r\\nHost: good.test:443\\r\\n\\r\\n')\n    \
                 assert b' 200 ' in answer, answer\n    return s\n\
                 def name():\n    code, s = socks(b'good.test', 443)\n    assert code == 0\n    return s\n\
                 for s in (socket.create_connection(('good.test', 443), 5), proxy(), name()):\n    \
                 s.sendall({bytes})\n    {check}"
            )
        };
        net.asks_outside(&by("s.shutdown(1)")).works(why);
        assert_eq!(
            net.settled().connections.iter().filter(|one| one.received > 0).count(),
            5,
            "{why}: three servers and two proxies hear it"
        );
        net.forget();
        let told = [
            "direct good.test:443 tls-none",
            "proxy good.test:443 tls-none",
            "socks good.test:443 tls-none",
        ];
        let alert =
            "first = s.recv(1)\n    assert first == b'\\x15', first\n    while s.recv(99): pass";
        net.tells(&told, || net.asks_inside(POLICY, &by(alert)).works(why));
        let heard: u64 = net.settled().connections.iter().map(|one| one.received).sum();
        assert_eq!(heard, 0, "{why}");
    }
    net.inside(POLICY, &["curl", "-sS", "https://good.test/"]).works("TLS");
}

/// Targets that servers read in more than one way: passed on byte for byte, or refused.
const TARGETS: &[&str] = &[
    "/ok/../x",
    "/ok/%2e%2e/x",
    "/ok/%2E%2e/x",
    "//ok//x",
    "/ok/..;/x",
    "/ok;p=1/x",
    "/ok%2fx",
    "/ok%2Fx",
    "/ok%252fx",
    "/ok/./x",
    "/ok?a=/../b",
    "/ok?a#b",
    "/ok\\\\x",
    "/ok%5cx",
    "/ok%00x",
    "/ok/x%0d%0aX:1",
    "/ok x",
    "/ok\\xe9",
];

/// Asks for every target, by itself or in absolute form, and prints the status of each answer.
fn every_target(front: &str, to: (&str, u16)) -> String {
    let one = |target: &&str| {
        let get = format!(
            "GET {front}{target} HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: close\\r\\n\\r\\n"
        );
        format!("print(status(b'{get}', {to:?}))\n").replace('"', "'")
    };
    TARGETS.iter().map(one).collect()
}

#[test]
fn s22_a_target_is_passed_on_as_it_is_or_not_at_all() {
    let Some(net) = Internet::take() else { return };
    let targets = || {
        let requests = net.settled().requests;
        requests.into_iter().map(|one| one.target).collect::<Vec<String>>()
    };
    let direct = every_target("", ("good.test", 80));
    net.asks_outside(&direct).works("without a wall");
    let asked = targets();
    assert_eq!(asked.len(), TARGETS.len(), "a server that takes all of them");
    let odd = |target: &&str| target.contains(['#', '\\', ' ']);
    let statuses = TARGETS.iter().map(|one| if odd(one) { "400\n" } else { "200\n" });
    let statuses: String = statuses.collect();
    let passed: Vec<String> = asked
        .iter()
        .zip(TARGETS)
        .filter(|(_, one)| !odd(one))
        .map(|(asked, _)| asked.clone())
        .collect();
    for act in [direct, every_target("http://good.test", (GATEWAY, 3128))] {
        net.forget();
        let ran = net.asks_inside(POLICY, &act).works("inside");
        assert_eq!((ran.out, targets()), (statuses.clone(), passed.clone()));
    }
}

#[test]
fn s24_nothing_is_echoed() {
    let Some(net) = Internet::take() else { return };
    for method in ["TRACE", "TRACK", "CONNECT"] {
        let target = if method == "CONNECT" { "good.test:80" } else { "/" };
        let request = format!(
            "b'{method} {target} HTTP/1.1\\r\\nHost: good.test\\r\\nX-Key: secret\\r\\n\\r\\n'"
        );
        net.asks_outside(&both(&request, "assert b' 200 ' in answer, answer")).works(method);
        net.forget();
        let (status, code) =
            if method == "CONNECT" { (400, "http-connect") } else { (405, "http-echo") };
        let told = [format!("direct good.test:80 {code}"), format!("proxy good.test:80 {code}")];
        let told = told.each_ref().map(String::as_str);
        let refused = format!("assert answer.startswith(b'HTTP/1.1 {status} '), answer");
        net.tells(&told, || net.asks_inside(POLICY, &both(&request, &refused)).works(method));
        assert_eq!(net.settled().requests.len(), 0, "{method}");
    }
    let get = both(
        "b'GET / HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n'",
        "assert b' 200 ' in answer, answer",
    );
    net.asks_inside(POLICY, &get).works("GET");
}

#[test]
fn s26_a_relay_inside_is_judged_as_whoever_it_speaks_for() {
    let Some(net) = Internet::take() else { return };
    let relay = |to: &str| {
        format!(
            "import threading\n\
             def carry(a, b):\n    \
             while (data := a.recv(4096)): b.sendall(data)\n    b.shutdown(1)\n\
             def relay():\n    \
             while True:\n        \
             a = server.accept()[0]; b = socket.create_connection(('{to}', 3128))\n        \
             for pair in ((a, b), (b, a)): threading.Thread(target=carry, args=pair, daemon=True).start()\n\
             server = socket.create_server(('127.0.0.1', 0))\n\
             threading.Thread(target=relay, daemon=True).start()\n\
             def by(name): return status(b'CONNECT ' + name + b':443 HTTP/1.1\\r\\nHost: ' + name + b'\\r\\n\\r\\n', server.getsockname())\n\
             evil, good = by(b'evil.test'), by(b'good.test')\n"
        )
    };
    net.asks_outside(&(relay(PROXY) + "assert (evil, good) == (200, 200), (evil, good)"))
        .works("a relay to a proxy");
    assert!(net.evil() > 0);
    net.forget();
    let told = ["proxy evil.test:443 host-not-allowed", "proxy good.test:443 allowed"];
    net.tells(&told, || {
        let act = relay(GATEWAY) + "assert (evil, good) == (403, 200), (evil, good)";
        net.asks_inside(POLICY, &act).works("the same verdicts")
    });
    assert_eq!(net.evil(), 0);
}
