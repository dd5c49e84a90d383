//! S15: a request that two servers would read differently is read by neither.

use crate::asking::POLICY;
use crate::internet::Internet;

/// What is ambiguous, how the log names it, and the request: `/one`, with `/two` hidden in it where a careless server looks.
const REQUESTS: &[(&str, &str, &str)] = &[
    (
        "length and chunks",
        "http-two-framings",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "two lengths",
        "http-length",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nContent-Length: 0\\r\\nContent-Length: 41\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "no coding of ours",
        "http-coding",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nTransfer-Encoding: chunkedx\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "a space before the colon",
        "http-field-name",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nContent-Length: 46\\r\\nTransfer-Encoding : chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "bare LF",
        "http-bare-lf",
        "GET /one HTTP/1.1\\nHost: good.test\\n\\nGET /two HTTP/1.1\\nHost: good.test\\n\\n",
    ),
    (
        "version 0.9",
        "http-start-line",
        "GET /one HTTP/0.9\\r\\nHost: good.test\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "a sign before the length",
        "http-length",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nContent-Length: +0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "chunks twice",
        "http-coding",
        "POST /one HTTP/1.1\\r\\nHost: good.test\\r\\nTransfer-Encoding: identity\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "two hosts",
        "http-host-twice",
        "GET /one HTTP/1.1\\r\\nHost: good.test\\r\\nHost: evil.test\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
    (
        "a folded line",
        "http-folded",
        "GET /one HTTP/1.1\\r\\nHost: good.test\\r\\nX: a\\r\\n b\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n",
    ),
];

/// Says it all at once, and gives what comes until the end, two answers, or a second's silence.
const SAY: &str = "import socket\n\
     def say(to, data):\n\
     \x20   s = socket.create_connection(to, 5); s.settimeout(1); s.sendall(data); out = b''; closed = False\n\
     \x20   try:\n\
     \x20       while out.count(b'200 OK') < 2:\n\
     \x20           part = s.recv(4096)\n\
     \x20           if not part: closed = True; break\n\
     \x20           out += part\n\
     \x20   except ConnectionResetError: closed = True\n\
     \x20   except TimeoutError: pass\n\
     \x20   return out, closed\n";

#[test]
fn s15_what_is_ambiguous_is_refused() {
    let Some(net) = Internet::take() else { return };
    for (why, code, request) in REQUESTS {
        let direct = format!("{SAY}out, closed = say(('good.test', 80), b'{request}')\n");
        net.forget();
        net.python_outside(&format!("{direct}assert out.count(b'200 OK') == 2, out")).works(why);
        assert_eq!(net.settled().requests.len(), 2, "{why}: a careless server reads two");
        let absolute = request.replacen(" /one", " http://good.test/one", 1);
        let proxied = format!("{SAY}out, closed = say(('198.18.0.1', 3128), b'{absolute}')\n");
        net.forget();
        let refused = "assert closed and out.startswith(b'HTTP/1.1 400 ') and out.count(b'X-Cofferdam:') == 1, (closed, out)\n";
        let act = format!("{direct}{refused}{proxied}{refused}");
        let told = [&*format!("direct good.test:80 {code}"), &format!("proxy :3128 {code}")];
        net.tells(&told, || net.python_inside(POLICY, &act).works(why));
        assert_eq!(net.settled().requests.len(), 0, "{why}");
    }
    net.forget();
    let two = "GET /one HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\nGET /two HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: close\\r\\n\\r\\n";
    let act = format!(
        "{SAY}out, closed = say(('good.test', 80), b'{two}')\nassert out.count(b'200 OK') == 2, out"
    );
    net.python_inside(POLICY, &act).works("two clear requests");
    assert_eq!(net.settled().requests.len(), 2);
}
