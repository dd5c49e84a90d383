//! `upstream_proxy`: the gateway dials through a proxy of the person's, which resolves names; what is
//! judged stays judged here.

use crate::internet::{EVIL, GOOD, GOOD_6, Internet, PROXY};

const RULES: &str = "
allow = [
    { host = 'good.test' },
    { host = 'good.test', ports = [80] },
    { host = 'good.test', ports = [5432], protocol = 'tcp' },
    { host = 'gone.test' },
    { host = '127.0.0.1', ports = [8080], protocol = 'http' },
    { host = '169.254.169.254', ports = [80] },
    { host = '93.184.216.34', ports = [80] },
]
";

fn policy(proxy: &str) -> String {
    format!("version = 1\n[network]\nupstream_proxy = '{proxy}'{RULES}")
}

/// Whom the proxies outside were asked for.
fn asked(net: &Internet) -> Vec<String> {
    net.settled().connections.into_iter().filter_map(|one| one.asked).collect()
}

fn both(act: impl Fn(&Internet, &str)) {
    let Some(net) = Internet::take() else { return };
    for proxy in ["http://proxy.test:3128", "socks5://proxy.test:1080"] {
        net.forget();
        act(&net, &policy(proxy));
    }
}

#[test]
fn allowed_names_go_through_it_and_others_nowhere() {
    both(|net, policy| {
        for (url, place) in
            [("https://good.test/x", "good.test:443"), ("http://good.test/x", "good.test:80")]
        {
            for way in [&[][..], &["--noproxy", "*"][..]] {
                net.forget();
                net.inside(policy, &[&["curl", "-sS", "--fail", url], way].concat()).works(url);
                assert_eq!(asked(net), [place], "{url}");
                assert_eq!(net.names(), ["proxy.test"], "{url}: the proxy resolves the rest");
                assert_eq!((net.hits(GOOD), net.hits(GOOD_6), net.hits(PROXY)), (0, 0, 1), "{url}");
                assert_eq!(net.settled().requests.len(), 1, "{url}");
            }
        }
        let echo = "import socket\ns = socket.create_connection(('good.test', 5432), 5); s.sendall(b'x'); assert s.recv(1) == b'x'";
        net.python_inside(policy, echo).works("any bytes");
        let row = net.connections("good.test");
        assert_eq!(row.last().unwrap(), "direct 5432 allowed - 1");
        let proxy = format!("{PROXY}:");
        let events = net.events("connection");
        let events: Vec<_> = events.iter().filter(|one| one["verdict"] == "allowed").collect();
        let through = |one: &&serde_json::Value| {
            one["address"].as_str().is_some_and(|at| at.starts_with(&proxy))
        };
        assert!(events.iter().all(through), "the record says through whom: {events:?}");
        net.forget();
        net.asks_outside("assert connect(b'evil.test:443') == 200")
            .works("it would let it through");
        net.forget();
        net.asks_inside(policy, "assert connect(b'evil.test:443') == 403").works("by name");
        net.asks_inside(policy, &format!("assert connect(b'{EVIL}:443') == 403"))
            .works("by address");
        let hello = "assert tls(('good.test', 443), hello('evil.test')) == 21";
        net.asks_inside(policy, hello).works("by a borrowed name");
        assert_eq!((asked(net), net.seen().packets), (vec![], vec![]));
    });
}

/// The proxy is on another network, and may be where such addresses mean something.
#[test]
fn special_addresses_are_not_asked_for() {
    both(|net, policy| {
        let get =
            |at: &str| format!("status(b'GET http://{at}/ HTTP/1.1\\r\\nHost: {at}\\r\\n\\r\\n')");
        for (at, host) in [("127.0.0.1:8080", "127.0.0.1"), ("169.254.169.254", "169.254.169.254")]
        {
            net.asks_outside(&format!("assert {} == 200", get(at))).works("it would fetch it");
            assert_eq!(asked(net).len(), 1, "{at}");
            net.forget();
            net.asks_inside(policy, &format!("assert {} == 403", get(at))).works(at);
            let rows = net.connections(host);
            let (last, code) = (rows.last().unwrap(), "denied forbidden-address 1");
            assert!(last.ends_with(code), "{last}");
            assert_eq!((asked(net), net.seen().packets), (vec![], vec![]), "{at}");
        }
        net.asks_inside(policy, &format!("assert {} == 200", get(GOOD))).works("an ordinary one");
        assert_eq!(asked(net), ["93.184.216.34:80"]);
    });
}

#[test]
fn a_proxy_that_does_not_do_it_is_told() {
    both(|net, policy| {
        let act = "answer = ask(b'CONNECT gone.test:443 HTTP/1.1\\r\\nHost: gone.test:443\\r\\n\\r\\n')[0]\n\
             assert answer.startswith(b'HTTP/1.1 502 ') and b'X-Cofferdam: proxy-refused\\r\\n' in answer, answer";
        net.asks_inside(policy, act).works("it knows no such name");
        assert_eq!(asked(net), ["gone.test:443"]);
        assert_eq!(
            net.connections("gone.test").last().unwrap(),
            "proxy 443 failed proxy-refused 1"
        );
        net.asks_inside(policy, "assert tls(('gone.test', 443), hello('gone.test')) == 21")
            .works("TLS");
        let dead = policy
            .replace("proxy.test:3128", "proxy.test:9")
            .replace("proxy.test:1080", "proxy.test:9");
        net.forget();
        let act = "answer = ask(b'CONNECT good.test:443 HTTP/1.1\\r\\nHost: good.test:443\\r\\n\\r\\n')[0]\n\
             assert answer.startswith(b'HTTP/1.1 502 ') and b'X-Cofferdam: proxy-unreached\\r\\n' in answer, answer\n\
             assert socks(b'good.test', 443)[0] == 3";
        net.asks_inside(&dead, act).works("nobody listens there");
        assert_eq!(
            net.connections("good.test").last().unwrap(),
            "socks 443 failed proxy-unreached 1"
        );
        assert_eq!((net.hits(PROXY), net.hits(GOOD), net.hits(GOOD_6)), (2, 0, 0), "nor around it");
    });
}
