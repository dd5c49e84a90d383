//! S15: inside of TLS too, a request that two servers would read differently is read by neither; and
//! each of many in a row is judged by itself.

use crate::internet::Internet;
use crate::looking::{PROXY, WAYS, rule};

/// What is ambiguous, how the log names it, and the request: `/one`, with `/two` hidden in it where a
/// careless server looks.
const REQUESTS: &[(&str, &str, &str)] = &[
    (
        "length and chunks",
        "http-two-framings",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "two lengths",
        "http-length",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nContent-Length: 0\\r\\nContent-Length: 40\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "no coding of ours",
        "http-coding",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nTransfer-Encoding: chunkedx\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "a space before the colon",
        "http-field-name",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nContent-Length: 45\\r\\nTransfer-Encoding : chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "bare LF",
        "http-bare-lf",
        "GET /one HTTP/1.1\\nHost: new.test\\n\\nGET /two HTTP/1.1\\nHost: new.test\\n\\n",
    ),
    (
        "version 0.9",
        "http-start-line",
        "GET /one HTTP/0.9\\r\\nHost: new.test\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "a sign before the length",
        "http-length",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nContent-Length: +0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "chunks twice",
        "http-coding",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nTransfer-Encoding: identity\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "a folded line",
        "http-folded",
        "GET /one HTTP/1.1\\r\\nHost: new.test\\r\\nX: a\\r\\n b\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
    (
        "a chunk's size with a sign",
        "chunk-size",
        "POST /one HTTP/1.1\\r\\nHost: new.test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n+0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n",
    ),
];

const TWICE: &str = "\ndef say_all(data):\n    s = open_tls(); out, closed = say(s, data, quiet=1)\n    return out, closed\n";

#[test]
fn s15_what_is_ambiguous_is_refused() {
    let Some(net) = Internet::take() else { return };
    for (why, code, request) in REQUESTS {
        net.forget();
        let act = format!("{TWICE}out, closed = say_all(b'{request}')\n");
        net.speaks_outside(&format!("{act}assert out.count(b'200 OK') == 2, out")).works(why);
        assert_eq!(net.targets(), ["/one", "/two"], "{why}: a careless server reads two");
        let refused = "assert closed and out.count(b'200 OK') == 0, (closed, out)\n\
             assert not out or out.startswith(b'HTTP/1.1 400 '), out\n";
        for way in WAYS {
            net.forget();
            let before = net.events("connection").len();
            net.speaks(&rule("inspect = 'always'"), way, &format!("{act}{refused}")).works(why);
            // A head that could not be read is no request; a body that could not is the end of one.
            let heard = net.asked();
            assert!(!heard.iter().any(|one| one.target == "/two"), "{why}: {heard:?}");
            let events = net.events("connection").split_off(before);
            let codes: Vec<_> = events.iter().map(|one| one["code"].as_str()).collect();
            assert_eq!(codes, [Some(*code)], "{why}, {}: {events:?}", way.0);
        }
    }
}

/// S15: a host that reads no body of `GET` would take it for the next request: behind it there is none.
#[test]
fn a_body_of_a_get_is_the_end_of_its_connection() {
    let Some(net) = Internet::take() else { return };
    let asks = "GET /one HTTP/1.1\\r\\nHost: new.test\\r\\nContent-Length: 5\\r\\n\\r\\nhelloGET /two HTTP/1.1\\r\\nHost: new.test\\r\\n\\r\\n";
    let act = format!("{TWICE}out, closed = say_all(b'{asks}')\n");
    net.forget();
    net.speaks_outside(&format!("{act}assert out.count(b'200 OK') == 2, out")).works("outside");
    assert_eq!(net.targets(), ["/one", "/two"]);
    for way in WAYS {
        net.forget();
        let once = "assert closed and out.count(b'200 OK') == 1, (closed, out)\nassert b'onnection: close' in out, out\n";
        net.speaks(&rule("inspect = 'always'"), way, &format!("{act}{once}")).works(way.0);
        assert_eq!(net.targets(), ["/one"], "{}", way.0);
    }
}

/// What HTTP/2 leaves to whoever writes HTTP/1.1 (RFC 9113, 8.2.1 and 10.3).
#[test]
fn s15_fields_of_http_2_hide_nothing() {
    let Some(net) = Internet::take() else { return };
    let odd = [
        ("a line's end in a value", "two('/one', more=[('x', 'a\\r\\ny: b')])"),
        ("a line's end in a name", "two('/one', more=[('x\\r\\ny', 'a')])"),
        ("a line's end in the path", "two('/one HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n')"),
        ("a space in the method", "two('/one', method='GET /two HTTP/1.1\\r\\nX:')"),
        ("a colon in a name", "two('/one', more=[('x:y', 'a')])"),
        ("capitals", "two('/one', more=[('X-Odd', 'a')])"),
        (
            "chunks",
            "two('/one', method='POST', more=[('transfer-encoding', 'chunked')], body=b'0\\r\\n\\r\\n')",
        ),
        ("a connection's own", "two('/one', more=[('connection', 'upgrade'), ('upgrade', 'h2c')])"),
        (
            "another length",
            "two('/one', method='POST', more=[('content-length', '1')], body=b'abc')",
        ),
        (
            "two lengths",
            "two('/one', method='POST', more=[('content-length', '3'), ('content-length', '4')], body=b'abc')",
        ),
        ("a second path", "two('/one', more=[(':path', '/two')])"),
        ("a field between", "two(None, more=[('x', 'y'), (':path', '/one')])"),
        ("no path", "two('')"),
        ("another scheme", "two('/one', scheme='http')"),
    ];
    let calls: Vec<String> = odd.iter().map(|(_, call)| format!("print({call}[0])\n")).collect();
    for way in WAYS {
        net.forget();
        let act = format!("{}assert two('/twin')[0] == 200", calls.concat());
        let ran = net.speaks(&rule("inspect = 'always'"), way, &act).works(way.0);
        for ((why, _), status) in odd.iter().zip(ran.out.lines()) {
            assert!(["0", "400"].contains(&status), "{}, {why}: {status}", way.0);
        }
        assert_eq!(net.targets(), ["/twin"], "{}", way.0);
    }
}

/// Requests without waiting for answers: in order, each judged, and a refused one ends what comes
/// behind it.
#[test]
fn each_of_many_in_a_row_is_judged() {
    let Some(net) = Internet::take() else { return };
    let act = "s = open_tls()\ns.sendall(b''.join(get(f'/ok/{i}') for i in range(20)) + get('/no') + get('/ok/late'))\n\
         kept = Kept(s); found = [answer(kept) for i in range(22)]\n\
         print([status for status, fields, body in found].count(200))\n\
         print(all(f'GET /ok/{i} '.encode() in found[i][2] for i in range(20)))";
    assert_eq!(net.speaks_outside(act).works("without a wall").out, "22\nTrue\n");
    for way in WAYS {
        net.forget();
        let rules = rule("paths = ['/ok/**']");
        let (ran, told) = net.on_record(|| net.speaks(&rules, way, act).works(way.0));
        let heard = net.targets();
        let late = heard.iter().any(|one| one == "/ok/late");
        let want: Vec<String> = (0..20).map(|i| format!("/ok/{i}")).collect();
        assert_eq!(heard[..20], want, "{}", way.0);
        assert!(!heard.iter().any(|one| one == "/no"), "{heard:?}");
        // Whether a refusal ends the connection is ours to choose: what is heard is what is answered.
        let answered = if late { 21 } else { 20 };
        assert_eq!((heard.len(), ran.out), (answered, format!("{answered}\nTrue\n")), "{}", way.0);
        let allowed = told.iter().filter(|one| one.ends_with(" 200 allowed")).count();
        let denied = told.iter().filter(|one| one.contains(" 403 ")).count();
        assert_eq!((allowed, denied), (answered, 1), "{told:?}");
    }
}

/// Many streams at once of one connection of HTTP/2, each judged.
#[test]
fn each_stream_is_judged() {
    let Some(net) = Internet::take() else { return };
    let act = "words = [f'https://new.test/{\"ok\" if i % 2 else \"no\"}/{i}' for i in range(40)]\n\
         p = subprocess.run(['curl', '-sS', '--http2', '-Z', '--parallel-max', '40', '-w', '%{http_code}\\n', *sum([['-o', '/dev/null', w] for w in words], [])], capture_output=True, text=True)\n\
         found = sorted(p.stdout.split()); print(found.count('200'), found.count('403'))";
    assert_eq!(net.speaks_outside(act).works("").out, "40 0\n");
    net.forget();
    let rules = rule("paths = ['/ok/**']");
    let (ran, told) = net.on_record(|| net.speaks(&rules, PROXY, act).works("inside"));
    assert_eq!((ran.out.as_str(), told.len()), ("20 20\n", 40), "{told:?}");
    let heard = net.targets();
    assert!(heard.len() == 20 && heard.iter().all(|one| one.starts_with("/ok/")), "{heard:?}");
}
