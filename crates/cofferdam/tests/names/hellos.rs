//! S01, S06, S11: the name in a ClientHello is the name that was asked for, or nothing is sent.

use crate::asking::POLICY;
use crate::internet::{EVIL, GOOD, GOOD_6, Internet};

/// Bytes that GOOD has received on its TLS port.
fn received(net: &Internet) -> u64 {
    let seen = net.settled();
    let to = [seen.connections_to(GOOD, 443), seen.connections_to(GOOD_6, 443)];
    to.iter().flatten().map(|one| one.received).sum()
}

#[test]
fn s01_another_name_in_the_hello_is_refused() {
    let Some(net) = Internet::take() else { return };
    let front = "answer, s = ask(b'CONNECT good.test:443 HTTP/1.1\\r\\nHost: good.test:443\\r\\n\\r\\n')\n\
                 assert b' 200 ' in answer\n\
                 s.sendall(hello('evil.test'))\n\
                 first = s.recv(1)\n";
    net.asks_outside(&format!("{front}assert first == b'\\x16', first")).works("fronting");
    assert!(received(&net) > 0);
    net.forget();
    net.asks_inside(POLICY, &format!("{front}assert first in (b'', b'\\x15'), first"))
        .works("CONNECT");
    net.asks_inside(
        POLICY,
        "code, s = socks(b'good.test', 443)\nassert code == 0\ns.sendall(hello('evil.test'))\n\
         first = s.recv(1)\nassert first in (b'', b'\\x15'), first",
    )
    .works("SOCKS5");
    net.asks_inside(
        POLICY,
        "first = tls(('good.test', 443), hello('evil.test'))\nassert first in (None, 21), first",
    )
    .works("direct");
    assert_eq!((received(&net), net.evil()), (0, 0));
    net.asks_inside(POLICY, "assert tls(('good.test', 443), hello('good.test')) == 22")
        .works("twin");
}

#[test]
fn s06_no_name_and_a_hidden_name_are_refused() {
    let Some(net) = Internet::take() else { return };
    // An encrypted hello (RFC 9849): outer, with one suite, an empty key and a short payload.
    let ech = "b'\\xfe\\x0d\\x00\\x0e\\x00\\x00\\x01\\x00\\x01\\x07\\x00\\x00\\x00\\x04abcd'";
    let of = [
        ("no name", "hello(None)".to_owned()),
        ("ECH", format!("hello('good.test', {ech})")),
        ("no TLS", "b'SSH-2.0-x\\r\\n'".to_owned()),
    ];
    for (why, bytes) in of {
        net.forget();
        if why != "no TLS" {
            let act = format!("assert tls(('good.test', 443), {bytes}) == 22");
            net.asks_outside(&act).works(why);
        } else {
            let act = format!(
                "import socket\ns = socket.create_connection(('good.test', 443), 5)\ns.sendall({bytes})"
            );
            net.python_outside(&act).works(why);
        }
        assert!(received(&net) > 0, "{why}: the control's bytes arrive");
        net.forget();
        let act =
            format!("first = tls(('good.test', 443), {bytes})\nassert first in (None, 21), first");
        net.asks_inside(POLICY, &act).works(why);
        assert_eq!(received(&net), 0, "{why}");
    }
    net.asks_inside(POLICY, "assert tls(('good.test', 443), hello('good.test')) == 22")
        .works("twin");
}

#[test]
fn s11_an_address_with_a_borrowed_name_is_refused() {
    let Some(net) = Internet::take() else { return };
    let act = |want: &str| {
        format!("first = tls(('{EVIL}', 443), hello('good.test'))\nassert first {want}, first")
    };
    net.asks_outside(&act("== 22")).works("EVIL says that it is GOOD");
    assert!(net.evil() > 0);
    net.forget();
    net.asks_inside(POLICY, &act("in (None, 21)")).works("refused");
    assert_eq!((net.seen().packets, net.names()), (vec![], vec![]));
}
