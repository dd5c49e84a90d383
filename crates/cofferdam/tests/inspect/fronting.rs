//! S01, S02, S04: one name for all of a request, whoever is told it: the proxy, the resolver, TLS, the
//! field, the target.

use crate::internet::Internet;
use crate::looking::{PROXY, Row, WAYS, rule};

/// A request whose name is another one, in every place where a server looks for it.
const OTHERS: &[Row<'_>] = &[
    ("its own", "get('/own')", 200, "-"),
    ("with its port", "get('/own', host='new.test:443')", 200, "-"),
    ("in capitals", "get('/own', host='NEW.Test')", 200, "-"),
    ("another host", "get('/x', host='evil.test')", 421, "host-mismatch"),
    ("another that is allowed", "get('/x', host='b.new.test')", 421, "host-mismatch"),
    ("another with a port", "get('/x', host='evil.test:443')", 421, "host-mismatch"),
    ("another port", "get('/x', host='new.test:8443')", 421, "host-mismatch"),
    ("none", "get('/x', host='')", 400, "http-host-missing"),
    ("two", "get('/x', more='Host: evil.test\\r\\n')", 400, "http-host-twice"),
    ("two alike", "get('/x', more='Host: new.test\\r\\n')", 400, "http-host-twice"),
    ("a user in it", "get('/x', host='new.test@evil.test')", 400, "authority-userinfo"),
    ("a target of another", "get('https://evil.test/x')", 400, "http-host-differs"),
    ("a field of another", "get('https://new.test/x', host='evil.test')", 400, "http-host-differs"),
    ("HTTP/2, its own", "lambda: two('/own')", 200, "-"),
    ("HTTP/2, another", "lambda: two('/x', authority='evil.test')", 421, "host-mismatch"),
    (
        "HTTP/2, another that is allowed",
        "lambda: two('/x', authority='b.new.test')",
        421,
        "host-mismatch",
    ),
    (
        "HTTP/2, a field of another",
        "lambda: two('/x', more=[('host', 'evil.test')])",
        400,
        "http-host-differs",
    ),
    (
        "HTTP/2, only a field, of another",
        "lambda: two('/x', authority=None, more=[('host', 'evil.test')])",
        421,
        "host-mismatch",
    ),
];

#[test]
fn s02_s04_a_request_has_one_name() {
    let Some(net) = Internet::take() else { return };
    let rules = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n\
         [[network.allow]]\nhost = 'b.new.test'\ninspect = 'always'\n";
    net.table(rules, OTHERS);
    assert_eq!(net.hits(crate::internet::EVIL), 0);
}

/// S01: another name in the hello; and one that a client of the same connection comes back to.
#[test]
fn s01_the_hello_has_the_name_that_was_asked_for() {
    let Some(net) = Internet::take() else { return };
    let act = |name: &str| {
        format!(
            "try: s = open_tls('new.test', sni='{name}'); s.sendall(get('/x', host='{name}')); print(answer(s)[0])\n\
             except (ssl.SSLError, ConnectionError) as e: print(type(e).__name__)"
        )
    };
    for name in ["evil.test", "b.new.test"] {
        assert_eq!(net.speaks_outside(&act(name)).works(name).out, "200\n");
        for way in WAYS {
            net.forget();
            let before = net.events("connection").len();
            let rules = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n\
                 [[network.allow]]\nhost = '*.new.test'\ninspect = 'always'\n";
            let ran = net.speaks(rules, way, &act(name)).works(name);
            assert!(ran.out.contains("Error"), "{name}: {ran:?}");
            let want = format!("{} new.test name-mismatch", way.0);
            assert_eq!(net.unheard(before), [want], "{name}");
            assert_eq!(net.settled().connections.iter().filter(|c| c.received > 0).count(), 0);
        }
    }
    net.speaks(&rule("inspect = 'always'"), PROXY, "assert ask(get('/x'))[0] == 200").works("twin");
}

/// Two names at one address with one certificate: a client that shares a connection of HTTP/2 among
/// them (RFC 9113, 9.1.1) is told to open another one, and each is judged by its own rule.
#[test]
fn a_connection_is_not_shared_among_names() {
    let Some(net) = Internet::take() else { return };
    let rules = "[[network.allow]]\nhost = 'a.new.test'\npaths = ['/a/**']\n\
         [[network.allow]]\nhost = 'b.new.test'\npaths = ['/b/**']\n";
    let act = "for host, path in (('a', '/a/x'), ('b', '/b/x'), ('a', '/b/x'), ('b', '/a/x')):\n    \
         print(two(path, authority=host + '.new.test', name=host + '.new.test')[0])\n\
         print(two('/b/x', authority='b.new.test', name='a.new.test')[0])";
    assert_eq!(net.speaks_outside(act).works("").out, "200\n".repeat(5));
    for way in WAYS {
        net.forget();
        let ran = net.speaks(rules, way, act).works(way.0);
        assert_eq!(ran.out, "200\n200\n403\n403\n421\n", "{}", way.0);
        assert_eq!(net.targets(), ["/a/x", "/b/x"]);
    }
}
