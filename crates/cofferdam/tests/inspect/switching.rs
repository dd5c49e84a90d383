//! Other protocols where HTTP is looked into: S17 HTTP/2 in the clear, S19 a tunnel in a tunnel, S20 what
//! is no TLS.

use crate::internet::Internet;
use crate::looking::{PROXY, WAYS, rule};

const UPGRADE: &str = "s = open_tls()\n\
     s.sendall(get('/upgrade', more='Connection: Upgrade, HTTP2-Settings\\r\\nUpgrade: {protocol}\\r\\nHTTP2-Settings: AAMAAABkAAQAAP__\\r\\n'))\n\
     out = say(s, until=b'\\r\\n\\r\\n')[0]\n";

#[test]
fn s17_nothing_is_switched_to() {
    let Some(net) = Internet::take() else { return };
    for protocol in ["h2c", "echo", "TLS/1.0", "websocket, h2c"] {
        let act = UPGRADE.replace("{protocol}", protocol);
        let tunnel =
            "assert b' 101 ' in out, out\ns.sendall(b'tunnel'); assert s.recv(9) == b'tunnel'";
        net.forget();
        net.speaks_outside(&format!("{act}{tunnel}")).works(protocol);
        for way in WAYS {
            net.forget();
            let none = "assert b' 101 ' not in out, out\n\
                 try: s.sendall(b'tunnel'); out = s.recv(9)\nexcept (OSError, ssl.SSLError): out = b''\n\
                 assert out != b'tunnel'";
            let rules = rule("inspect = 'always'\nwebsocket = true");
            let (_, told) =
                net.on_record(|| net.speaks(&rules, way, &format!("{act}{none}")).works(protocol));
            assert_eq!(told.len(), 1, "{protocol}: {told:?}");
            for request in net.asked() {
                let head = request.head.to_lowercase();
                assert!(!head.contains("upgrade:") && !head.contains("http2-settings"), "{head}");
            }
        }
    }
    // Inside of TLS, by who has agreed to HTTP/1.1 or to nothing.
    let preface = "for alpn in (('http/1.1',), ()):\n    s = open_tls(alpn=alpn)\n    \
         out, closed = say(s, b'PRI * HTTP/2.0\\r\\n\\r\\n', quiet=1)\n    print(status(out), closed)";
    let preface = &format!(
        "def status(out): return int(out.split()[1]) if out.startswith(b'HTTP/1.1 ') else 0\n{preface}"
    );
    net.forget();
    net.speaks_outside(preface).works("a server that answers anything");
    assert_eq!(net.targets(), ["*", "*"]);
    for way in WAYS {
        net.forget();
        let ran = net.speaks(&rule("inspect = 'always'"), way, preface).works(way.0);
        assert_eq!(ran.out, "505 True\n505 True\n", "{}", way.0);
        assert_eq!(net.targets(), Vec::<String>::new());
    }
}

/// In the clear, by who takes it for granted: only where a rule says so.
#[test]
fn s17_http_2_in_the_clear_is_what_a_rule_says() {
    let Some(net) = Internet::take() else { return };
    let script = "curl -sS --fail --http2-prior-knowledge --noproxy '*' http://new.test:8080/x";
    let clear = |more: &str| {
        format!("[[network.allow]]\nhost = 'new.test'\nports = [8080]\nprotocol = 'http'\n{more}\n")
    };
    net.outside(&["sh", "-c", script]).works("without a wall");
    assert_eq!(net.targets(), ["/x"]);
    net.forget();
    let before = net.events("connection").len();
    let ran = net.scripted(&clear(""), PROXY, script);
    ran.fails(&["HTTP2", "http2", "505", "HTTP/2", "Empty reply"], "no rule");
    assert_eq!(net.unheard(before), ["direct new.test http-version"]);
    assert_eq!(net.targets(), Vec::<String>::new());
    let told = ["direct new.test h2 GET /x 200 allowed".to_owned()];
    let (rules, ruled) = (clear("h2c = true"), clear("h2c = true\npaths = ['/y']"));
    net.records(&told, || net.scripted(&rules, PROXY, script).works("by rule"));
    assert_eq!(net.targets(), ["/x"]);
    net.forget();
    net.scripted(&ruled, PROXY, script).fails(&["403"], "and each request is judged");
    assert_eq!(net.targets(), Vec::<String>::new());
}

#[test]
fn s19_no_tunnel_begins_in_a_request() {
    let Some(net) = Internet::take() else { return };
    let one = "s = open_tls(); out, closed = say(s, b'CONNECT evil.test:443 HTTP/1.1\\r\\nHost: evil.test:443\\r\\n\\r\\n', quiet=1)\nprint(out.split(b' ')[1])\n";
    let own = "s = open_tls(); out, closed = say(s, b'CONNECT new.test:443 HTTP/1.1\\r\\nHost: new.test:443\\r\\n\\r\\n', quiet=1)\nprint(out.split(b' ')[1])\n";
    let two = "for name in ('evil.test:443', 'new.test:443'): print(two(None, authority=name, method='CONNECT', scheme=None)[0])\n\
         print(two('/ws', method='CONNECT', more=[(':protocol', 'websocket')])[0])\n";
    let outside = net.speaks_outside(&format!("{one}{own}")).works("a server that takes it");
    assert_eq!(outside.out, "b'200'\nb'200'\n");
    for way in WAYS {
        net.forget();
        let rules = rule("inspect = 'always'\nwebsocket = true");
        let ran = net.speaks(&rules, way, &format!("{one}{own}{two}")).works(way.0);
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            assert!(
                ["b'400'", "b'405'", "b'421'", "400", "405", "421", "0"].contains(&line),
                "{line}"
            );
        }
        assert_eq!(net.targets(), Vec::<String>::new(), "{}", way.0);
    }
}

#[test]
fn s20_only_tls_is_spoken() {
    let Some(net) = Internet::take() else { return };
    for (why, bytes) in [
        ("SSH", "b'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        ("HTTP", "b'GET / HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n'"),
        ("HTTP/2", "b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'"),
        ("random", "bytes(range(1, 200)) * 3"),
    ] {
        let act = format!("s = open_tcp('new.test'); out, closed = say(s, {bytes}, quiet=1)\n");
        net.forget();
        net.speaks_outside(&format!("{act}assert out[:1] in (b'', b'\\x15'), out")).works(why);
        let heard =
            |net: &Internet| net.settled().connections.iter().map(|one| one.received).sum::<u64>();
        assert!(heard(&net) > 0, "{why}: the server hears it");
        for way in WAYS {
            net.forget();
            let before = net.events("connection").len();
            let closed =
                format!("{act}assert closed and out[:1] in (b'', b'\\x15'), (closed, out)");
            net.speaks(&rule("inspect = 'always'"), way, &closed).works(why);
            assert_eq!(net.unheard(before), [format!("{} new.test tls-none", way.0)], "{why}");
            assert_eq!(heard(&net), 0, "{why}");
        }
    }
    // And inside of TLS, what is no HTTP.
    let act = "s = open_tls(); out, closed = say(s, b'SSH-2.0-OpenSSH_9.2\\r\\n\\r\\n', quiet=1)\nprint(closed, out[:12])";
    net.forget();
    net.speaks_outside(act).works("without a wall");
    assert_eq!(net.asked().len(), 1, "a server that takes it for a request");
    for way in WAYS {
        net.forget();
        let ran = net.speaks(&rule("inspect = 'always'"), way, act).works(way.0);
        assert!(ran.out.starts_with("True ") && ran.out.contains("400"), "{ran:?}");
        assert_eq!(net.asked().len(), 0);
    }
}
