use cofferdam_policy::hostname::NameFault;

use super::*;
use crate::fields::{HEAD_BYTES_MAX, HEADERS_MAX};

/// A head whole, and every beginning of it: not yet, or the same fault.
#[track_caller]
fn read(text: &[u8], why: &str) -> Result<Head, HeadFault> {
    let got = parse(text);
    let step = text.len() / 200 + 1;
    for end in (0..text.len()).step_by(step) {
        let early = parse(&text[..end]);
        assert!(
            early == Ok(None) || early.err() == got.as_ref().err().copied(),
            "{why}: {end} bytes"
        );
    }
    got.map(|head| head.expect(why))
}

#[track_caller]
fn accepts(text: &str, want: &str, why: &str) {
    let head = read(text.as_bytes(), why).expect(why);
    assert_eq!(head.length, text.len(), "{why}");
    let said = format!("{}:{} {} {:?}", head.host, head.port, head.target, head.framing);
    assert_eq!(said, want, "{why}: {text:?}");
}

#[track_caller]
fn refuses(text: &str, want: HeadFault, status: u16, why: &str) {
    assert_eq!(read(text.as_bytes(), why), Err(want), "{why}: {text:?}");
    assert_eq!(want.status(), status, "{why}");
}

#[test]
fn requests_are_read() {
    for (text, want, why) in [
        ("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n", "good.test:80 / None", "origin form"),
        (
            "GET /a|{}\"?b=%20|{}` HTTP/1.1\r\nhost:GOOD.test.:81 \r\n\r\n",
            "good.test:81 /a|{}\"?b=%20|{}` None",
            "odd bytes of a target pass as they are",
        ),
        (
            "GET //evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
            "good.test:80 //evil.test/ None",
            "a path, whatever it looks like",
        ),
        (
            "GET http://good.test HTTP/1.1\r\nHost: good.test:80\r\n\r\n",
            "good.test:80 http://good.test:80/ None",
            "absolute form without a path",
        ),
        (
            "GET HTTP://GOOD.test:8080?a HTTP/1.1\r\nHost: good.test:8080\r\n\r\n",
            "good.test:8080 http://good.test:8080/?a None",
            "with a query alone",
        ),
        (
            "GET http://good.test/x HTTP/1.0\r\n\r\n",
            "good.test:80 http://good.test:80/x None",
            "HTTP/1.0 needs no Host beside it",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: good.test\r\n\r\n", "good.test:80 * None", "asterisk"),
        (
            "OPTIONS http://good.test HTTP/1.1\r\nHost: good.test\r\n\r\n",
            "good.test:80 http://good.test:80 None",
            "the same, to a proxy",
        ),
        (
            "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n",
            "good.test:443 good.test:443 None",
            "a tunnel",
        ),
        (
            "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n",
            "good.test:443 good.test:443 None",
            "old clients leave the port out",
        ),
        (
            "CONNECT [::ffff:203.0.113.7]:443 HTTP/1.0\r\n\r\n",
            "203.0.113.7:443 203.0.113.7:443 None",
            "by address",
        ),
        (
            "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\n\r\n",
            "good.test:80 / Length(5)",
            "a length",
        ),
        (
            "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 0\r\n\r\n",
            "good.test:80 / None",
            "no body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding:\tCHUNKED\r\n\r\n",
            "good.test:80 / Chunked",
            "chunks",
        ),
    ] {
        accepts(text, want, why);
    }
    let head = parse(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\nGET").unwrap().unwrap();
    assert_eq!(head.length, 35, "what follows is not of it");
}

#[test]
fn start_lines_are_strict() {
    use HeadFault::{Echo, Https, Line, Method, StartLine, TargetByte, TargetForm, Version};
    let authority = HeadFault::Authority;
    for (start, want, status, why) in [
        ("", StartLine, 400, "an empty line first"),
        ("GET /", StartLine, 400, "HTTP/0.9"),
        ("GET / HTTP/0.9", StartLine, 400, "had no version to write"),
        ("GET / HTTP/1.1 ", StartLine, 400, "a space at the end"),
        ("GET  / HTTP/1.1", StartLine, 400, "two spaces"),
        ("GET\t/ HTTP/1.1", StartLine, 400, "a tab"),
        ("GET / http/1.1", StartLine, 400, "small letters"),
        ("GET / HTTP/1.10", StartLine, 400, "two digits"),
        ("GET / HTTP/1.2", Version, 505, "none of ours"),
        ("PRI * HTTP/2.0", Version, 505, "HTTP/2 by prior knowledge"),
        ("PRI * HTTP/1.1", TargetForm, 400, "the asterisk is of OPTIONS"),
        ("G(T / HTTP/1.1", Method, 400, "no token"),
        (&format!("{} / HTTP/1.1", "A".repeat(33)), Method, 400, "longer than any"),
        ("TRACE / HTTP/1.1", Echo, 405, "shows what was put in"),
        ("track / HTTP/1.1", Echo, 405, "in any case"),
        ("GET /a#b HTTP/1.1", TargetByte(b'#'), 400, "a fragment"),
        ("GET /a\\..\\b HTTP/1.1", TargetByte(b'\\'), 400, "a slash to some"),
        ("GET /<a HTTP/1.1", TargetByte(b'<'), 400, "hyper refuses it"),
        ("GET /?a> HTTP/1.1", TargetByte(b'>'), 400, "in a query too"),
        ("GET /a`?b HTTP/1.1", TargetByte(b'`'), 400, "and this in a path"),
        ("GET /?a\" HTTP/1.1", TargetByte(b'"'), 400, "and this in a query"),
        ("GET /\u{e9} HTTP/1.1", TargetByte(0xC3), 400, "not ASCII"),
        ("GET /\0 HTTP/1.1", Line(LineFault::Byte(0)), 400, "NUL"),
        ("GET /\x7f HTTP/1.1", Line(LineFault::Byte(0x7F)), 400, "DEL"),
        ("GET a HTTP/1.1", TargetForm, 400, "no form"),
        ("GET * HTTP/1.1", TargetForm, 400, "the asterisk is of OPTIONS"),
        ("GET good.test:80 HTTP/1.1", TargetForm, 400, "an authority is of CONNECT"),
        ("connect good.test:80 HTTP/1.1", TargetForm, 400, "case counts in methods"),
        ("GET ftp://good.test/ HTTP/1.1", TargetForm, 400, "another scheme"),
        ("GET https://good.test/ HTTP/1.1", Https, 400, "in the clear"),
        (
            "GET http://good.test@evil.test/ HTTP/1.1",
            authority(AuthorityFault::Userinfo),
            400,
            "userinfo",
        ),
        (
            "GET http:///x HTTP/1.1",
            authority(AuthorityFault::Name(NameFault::Empty)),
            400,
            "no host",
        ),
        ("CONNECT good.test HTTP/1.1", authority(AuthorityFault::NoPort), 400, "no port"),
        ("CONNECT http://good.test/ HTTP/1.1", authority(AuthorityFault::Byte(b'/')), 400, "a URI"),
        (
            "CONNECT evil.test%00.good.test:443 HTTP/1.1",
            authority(AuthorityFault::Byte(b'%')),
            400,
            "an escape",
        ),
    ] {
        refuses(&format!("{start}\r\nHost: good.test\r\n\r\n"), want, status, why);
    }
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(TARGET_BYTES_MAX));
    refuses(&long, HeadFault::TargetTooLong, 414, "a long target");
}

#[test]
fn fields_are_strict() {
    use HeadFault::{Connection, Host, HostMissing, HostTwice, Line};
    let good = "Host: good.test\r\n";
    for (fields, want, why) in [
        ("Host: good.test\n\n", Line(LineFault::BareLf), "a bare LF"),
        ("Host: good.test\r\nA: b\rc\r\n\r\n", Line(LineFault::BareCr), "a bare CR"),
        ("Host: good.test\r\r\n\r\n", Line(LineFault::BareCr), "a CR too many"),
        ("Host: good.test\r\n evil.test\r\n\r\n", Line(LineFault::Folded), "folded"),
        (" Host: good.test\r\n\r\n", Line(LineFault::Folded), "folded onto the start"),
        ("Host : good.test\r\n\r\n", Line(LineFault::FieldName), "a blank before the colon"),
        (": good.test\r\n\r\n", Line(LineFault::FieldName), "no name"),
        ("Host\r\n\r\n", Line(LineFault::FieldName), "no colon"),
        ("A: \0\r\n\r\n", Line(LineFault::Byte(0)), "NUL"),
        ("A: \x1b[2J\r\n\r\n", Line(LineFault::Byte(0x1B)), "ESC"),
        ("A: b\r\n\r\n", HostMissing, "no Host"),
        ("Host: good.test\r\nhost: good.test\r\n\r\n", HostTwice, "twice, if the same"),
        ("Host:\r\n\r\n", Host(AuthorityFault::Name(NameFault::Empty)), "nobody"),
        ("Host: a.test, b.test\r\n\r\n", Host(AuthorityFault::Byte(b',')), "a list"),
        ("Host: a.test b.test\r\n\r\n", Host(AuthorityFault::Byte(b' ')), "two"),
        ("Host: a.test:0\r\n\r\n", Host(AuthorityFault::Port), "no port"),
        (&format!("{good}Connection: close, Host\r\n\r\n"), Connection, "Host is not its"),
        (&format!("{good}Connection: content-length\r\n\r\n"), Connection, "nor is the length"),
        (&format!("{good}Connection: a b\r\n\r\n"), Connection, "no token"),
    ] {
        refuses(&format!("GET / HTTP/1.1\r\n{fields}"), want, 400, why);
    }
    refuses("GET / HTTP/1.0\r\n\r\n", HostMissing, 400, "nobody knows whom it is for");
}

#[test]
fn the_target_and_host_say_the_same() {
    for (text, why) in [
        ("GET http://good.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", "another host"),
        ("GET http://good.test/ HTTP/1.1\r\nHost: good.test:81\r\n\r\n", "another port"),
        ("GET http://good.test:81/ HTTP/1.1\r\nHost: good.test\r\n\r\n", "80 where none is said"),
        ("CONNECT good.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", "another host"),
        ("CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:80\r\n\r\n", "another port"),
        ("GET http://good.test/ HTTP/1.0\r\nHost: evil.test\r\n\r\n", "in HTTP/1.0 too"),
    ] {
        refuses(text, HeadFault::HostDiffers, 400, why);
    }
}

#[test]
fn a_body_ends_in_one_way() {
    use HeadFault::{Coding, CodingUnknown, ConnectBody, Length, TwoFramings};
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (fields, want, status, why) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Length, 400, "twice, if the same"),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", Length, 400, "two"),
        ("Content-Length: 5, 5\r\n", Length, 400, "a list"),
        ("Content-Length: +5\r\n", Length, 400, "a sign"),
        ("Content-Length: 05\r\n", Length, 400, "octal to some"),
        ("Content-Length: 0x5\r\n", Length, 400, "hexadecimal"),
        ("Content-Length:\r\n", Length, 400, "nothing"),
        ("Content-Length: 18446744073709551616\r\n", Length, 400, "over 64 bits"),
        (&format!("Content-Length: 5\r\n{chunked}"), TwoFramings, 400, "both"),
        (&format!("{chunked}Content-Length: 5\r\n"), TwoFramings, 400, "both"),
        (&format!("{chunked}{chunked}"), Coding, 400, "twice"),
        ("Transfer-Encoding: chunkedx\r\n", Coding, 400, "chunked to a careless reader"),
        ("Transfer-Encoding: xchunked\r\n", Coding, 400, "the same"),
        ("Transfer-Encoding: \"chunked\"\r\n", Coding, 400, "quoted"),
        ("Transfer-Encoding: chunked, chunked\r\n", Coding, 400, "twice"),
        ("Transfer-Encoding: chunked, gzip\r\n", Coding, 400, "not last"),
        ("Transfer-Encoding: gzip\r\n", Coding, 400, "no end"),
        ("Transfer-Encoding: identity\r\n", Coding, 400, "was taken back"),
        ("Transfer-Encoding:\r\n", Coding, 400, "nothing"),
        ("Transfer-Encoding: \x0bchunked\r\n", HeadFault::Line(LineFault::Byte(0x0B)), 400, "VT"),
        ("Transfer-Encoding: gzip, chunked\r\n", CodingUnknown, 501, "it exists"),
    ] {
        refuses(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"), want, status, why);
    }
    refuses(&format!("POST / HTTP/1.0\r\nHost: a.test\r\n{chunked}\r\n"), Coding, 400, "in 1.0");
    let connect = format!("CONNECT a.test:1 HTTP/1.1\r\nHost: a.test\r\n{chunked}\r\n");
    refuses(&connect, ConnectBody, 400, "a body or the tunnel's first bytes");
}

#[test]
fn heads_are_bounded() {
    let head = |fields: usize| {
        format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "a: b\r\n".repeat(fields))
    };
    assert!(read(head(HEADERS_MAX - 1).as_bytes(), "the most fields").is_ok());
    let many = HeadFault::Line(LineFault::TooMany);
    refuses(&head(HEADERS_MAX), many, 431, "one more");
    let large = HeadFault::Line(LineFault::TooLarge);
    let head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a.test\r\na: ";
        format!("{start}{}\r\n\r\n", "a".repeat(length - start.len() - 4))
    };
    assert!(read(head(HEAD_BYTES_MAX).as_bytes(), "the longest").is_ok());
    refuses(&head(HEAD_BYTES_MAX + 1), large, 431, "one byte more");
    refuses(&"a".repeat(HEAD_BYTES_MAX), large, 431, "a line without end");
}

/// What goes upstream; read again, it is the same head.
#[track_caller]
fn sends(text: &str, want: &str, why: &str) {
    let head = read(text.as_bytes(), why).expect(why);
    let sent = head.upstream(&head.host, head.port);
    assert_eq!(String::from_utf8(sent.clone()).unwrap(), want, "{why}");
    let again = parse(&sent).unwrap().unwrap();
    assert_eq!(again, head.outgoing(&head.host, head.port), "{why}: read again");
    assert_eq!(again.upstream(&again.host, again.port), sent, "{why}: sent again");
    assert_eq!((again.host, again.port), (head.host, head.port), "{why}: for the same host");
    assert_eq!(again.framing, head.framing, "{why}: with the same end");
}

#[test]
fn what_goes_upstream() {
    let websocket = "Sec-WebSocket-Key: a\r\n";
    for (text, want, why) in [
        (
            "GET http://GOOD.test./x?y HTTP/1.1\r\nA: b\r\nHost: good.test\r\nC:d\r\n\r\n",
            "GET /x?y HTTP/1.1\r\nHost: good.test\r\nA: b\r\nC: d\r\n\r\n".to_owned(),
            "origin form",
        ),
        (
            "GET / HTTP/1.1\r\nHost: good.test:8080\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: good.test:8080\r\n\r\n".into(),
            "a port that is not 80",
        ),
        (
            "GET http://[::1]/ HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: [::1]\r\n\r\n".into(),
            "Host is always there",
        ),
        (
            "OPTIONS http://good.test HTTP/1.1\r\nHost: good.test\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: good.test\r\n\r\n".into(),
            "asterisk",
        ),
        (
            "CONNECT good.test:80 HTTP/1.1\r\nHost: good.test\r\nProxy-Authorization: a\r\n\r\n",
            "CONNECT good.test:80 HTTP/1.1\r\nHost: good.test:80\r\n\r\n".into(),
            "for a proxy",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-A, close\r\nX-a: b\r\nKeep-Alive: c\r\nProxy-Connection: d\r\nTE: trailers\r\nTrailer: e\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nTrailer: e\r\n\r\n".into(),
            "what was for us only",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".into(),
            "no upgrade to HTTP/2",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Key: a\r\n\r\n",
            format!(
                "GET / HTTP/1.1\r\nHost: a.test\r\n{websocket}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            ),
            "WebSocket, and no more",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket, h2c\r\nConnection: upgrade\r\nSec-WebSocket-Key: a\r\n\r\n",
            format!("GET / HTTP/1.1\r\nHost: a.test\r\n{websocket}\r\n"),
            "or something else: neither",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n".into(),
            "not with a body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "chunks",
        ),
    ] {
        sends(text, &want, why);
    }
}

/// Fields that some hosts take for the first line, or for the end of the body, do not go on.
#[test]
fn nothing_is_said_twice() {
    for (text, want, why) in [
        (
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-Original-URL: /a\r\nx-rewrite-url: /a\r\nX_HTTP_Method_Override: DELETE\r\nX-HTTP-METHOD: DELETE\r\nX_Method-Override: DELETE\r\nX.Rewrite.URL: /a\r\nX-Original-URI: /a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-Original-URI: /a\r\n\r\n",
            "one method, one target",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\nContent_Length: 9\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n",
            "one end of the body",
        ),
    ] {
        sends(text, want, why);
    }
}

/// What a rule removes or sets has one name to it, whatever some hosts take for it.
#[test]
fn a_rule_edits_fields() {
    let requests = Requests {
        remove_headers: vec!["x-gone".into()],
        set_headers: vec![("x-tenant".into(), "ours".into())],
        ..Requests::default()
    };
    for (field, stays, why) in [
        ("X-Tenant", false, "set"),
        ("x_tenant", false, "set, to some hosts"),
        ("X.TENANT", false, "the same"),
        ("X-Gone", false, "removed"),
        ("X_gone", false, "removed, to some hosts"),
        ("XTenant", true, "another"),
        ("X-Tenant-", true, "another"),
        ("X-Gon-", true, "another"),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{field}: theirs\r\n\r\n");
        let head = read(text.as_bytes(), why).unwrap();
        let out = String::from_utf8(head.edited(&requests).write()).unwrap();
        assert_eq!(out.contains("theirs"), stays, "{why}: {out}");
        assert!(out.ends_with("\r\nx-tenant: ours\r\n\r\n"), "{why}: {out}");
    }
}

#[test]
fn who_wants_to_go_on() {
    for (version, fields, want, why) in [
        ("1.1", "", After::Stay, "as HTTP/1.1 has it"),
        ("1.1", "Connection: a, Close\r\n", After::Close, "it says so"),
        ("1.1", "Proxy-Connection: close\r\n", After::Close, "as some say it to proxies"),
        ("1.0", "Connection: keep-alive\r\n", After::Close, "HTTP/1.0 closes"),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a.test\r\n{fields}\r\n");
        assert_eq!(parse(text.as_bytes()).unwrap().unwrap().after(), want, "{why}");
    }
}
