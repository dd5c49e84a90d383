//! S01, S06, S07, S11: the name in a ClientHello is the name that was asked for, or nothing is sent.

use crate::asking::{GATEWAY, POLICY};
use crate::internet::{DNS, EVIL, GOOD, GOOD_6, Internet};

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
    let act = format!(
        "{front}assert first == b'\\x15', first\n\
         code, s = socks(b'good.test', 443)\nassert code == 0\ns.sendall(hello('evil.test'))\n\
         first = s.recv(1)\nassert first == b'\\x15', first\n\
         first = tls(('good.test', 443), hello('evil.test'))\nassert first == 21, first"
    );
    let told = ["proxy", "socks", "direct"].map(|way| format!("{way} good.test:443 name-mismatch"));
    let told = told.each_ref().map(String::as_str);
    net.tells(&told, || net.asks_inside(POLICY, &act).works("CONNECT, SOCKS5, direct"));
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
        ("no name", "no-name", "hello(None)".to_owned()),
        ("ECH", "ech", format!("hello('good.test', {ech})")),
    ];
    for (why, code, bytes) in of {
        net.forget();
        let act = format!("assert tls(('good.test', 443), {bytes}) == 22");
        net.asks_outside(&act).works(why);
        assert!(received(&net) > 0, "{why}: the control's bytes arrive");
        net.forget();
        let act = format!(
            "first = tls(('good.test', 443), {bytes})\nassert first == 21, first\n\
             answer, s = ask(b'CONNECT good.test:443 HTTP/1.1\\r\\nHost: good.test:443\\r\\n\\r\\n')\n\
             s.sendall({bytes}); first = s.recv(1)\nassert first == b'\\x15', first"
        );
        let told = ["direct", "proxy"].map(|way| format!("{way} good.test:443 {code}"));
        let told = told.each_ref().map(String::as_str);
        net.tells(&told, || net.asks_inside(POLICY, &act).works(why));
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
    net.tells(&[&*format!("direct {EVIL}:443 name-mismatch")], || {
        net.asks_inside(POLICY, &act("== 21")).works("refused")
    });
    net.is_silent("a borrowed name");
    net.asks_inside(POLICY, &act("== 22").replace(EVIL, "good.test")).works("twin");
}

#[test]
fn s07_no_answer_offers_a_hidden_name() {
    let Some(net) = Internet::take() else { return };
    let ask = |server: &str| {
        format!(
            "def ask(kind):\n    s = socket.socket(2, 2); s.settimeout(3)\n    \
             s.sendto(b'\\x01\\x02\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x04good\\x04test\\0\\0' + bytes([kind]) + b'\\0\\x01', ('{server}', 53))\n    \
             return s.recv(4096)\nimport socket\nanswer = ask(65)\n"
        )
    };
    let script = || net.answer("good.test", &[&format!("A {GOOD}; HTTPS ech")]);
    script();
    let keys = "b'\\xfe\\x0d\\0\\x02\\x01\\x02'";
    let act = format!("{}assert answer[7] == 1 and {keys} in answer, answer", ask(DNS));
    net.python_outside(&act).works("keys for a hidden name");
    net.forget();
    script();
    let act = format!(
        "{}assert {keys} not in answer and b'\\0\\x05\\0\\x08' not in answer, answer\n\
         assert answer[3] & 15 == 0 and answer[6:8] == b'\\0\\0', answer\nassert ask(1)[7] == 1",
        ask(GATEWAY)
    );
    net.python_inside(POLICY, &act).works("no such record, and an address");
    net.is_silent("answered here");
}
