//! Raw requests out of a seed: good ones and bad ones, with what readers of HTTP/1 differ in.

/// xorshift64*: the same inputs every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % bound.max(1)
    }

    fn of<'a>(&mut self, some: &[&'a [u8]]) -> &'a [u8] {
        some[self.below(some.len())]
    }

    /// Whether it happens, once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"track",
    b"get",
    b"M-SEARCH",
    b"PRI",
    b"",
    b"GE T",
    b"G\0T",
    b"GET\t",
    b" GET",
    b"\r\nGET",
    b"X'*+-.^_`|~",
    b"(GET)",
    b"\xffGET",
];
const TARGETS: &[&[u8]] = &[
    b"/",
    b"/a/b?c=d&e=%20",
    b"/..//%2e%2e/%2F",
    b"//evil.test/",
    b"/a|b\"{}^`<>",
    b"/a;b=c?d?e",
    b"*",
    b"http://good.test/a",
    b"http://good.test",
    b"http://good.test?a",
    b"http://good.test:80/a",
    b"http://evil.test/a",
    b"http://user@good.test/",
    b"https://good.test/",
    b"HTTP://GOOD.test/a",
    b"ftp://good.test/",
    b"good.test:443",
    b"good.test",
    b"[::1]:443",
    b"203.0.113.7:443",
    b"good.test:443/",
    b"/a#b",
    b"/a\\b",
    b"/a b",
    b"/a\tb",
    b"/\xc3\xbc",
    b"/\x80\xff",
    b"/a\0b",
    b"/\x7f",
    b"/\x0b",
    b"",
    b"?a",
    b"a",
    b"/a%",
    b"/%zz%u0041",
    b"/!$&'()*+,;=:@-._~[]",
];
const VERSIONS: &[&[u8]] = &[
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/01.1",
    b"HTTP/1.10",
    b"HTTP/1",
    b"",
    b"HTTP/1.1\t",
    b"HTTP/1,1",
    b"HTTPS/1.1",
    b"HTTP/ 1.1",
];
const FIELDS: &[&[u8]] = &[
    b"Host: good.test",
    b"Host: good.test:80",
    b"Host: good.test:443",
    b"Host: evil.test",
    b"host:good.test",
    b"Host : good.test",
    b"Host:",
    b"Host: good.test, evil.test",
    b"Host: good.test/a",
    b"Host: [::1]",
    b"Hos\xc3\xb6: good.test",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Content-Length: 3",
    b"Content-Length: 05",
    b"Content-Length: +5",
    b"Content-Length: 0x5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5,6",
    b"Content-Length: 5 5",
    b"Content-Length: -1",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 18446744073709551615",
    b"Content-Length:",
    b"Content-Length : 5",
    b"Content_Length: 5",
    b"Content-Length: \xd9\xa5",
    b"Content-Length: 5;a",
    b"content-length:\t5\t",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:chunked",
    b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked;a=b",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding : chunked",
    b"Transfer_Encoding: chunked",
    b"X: a\r\n Transfer-Encoding: chunked",
    b"X: a\nTransfer-Encoding: chunked",
    b"X: a\rTransfer-Encoding: chunked",
    b"X: a\r\n\tb",
    b"X: a\r\n ",
    b"X: \0",
    b"X: a\x01b",
    b"X: \x7f",
    b"X: \x80\xff\xc2\x85",
    b"X:  a  b  ",
    b"X:a\t b\t",
    b"X:\x0ba\x0c",
    b"X:\x85a",
    b"X:\xa0a\xa0",
    b"X:",
    b"X: \"a, b\"",
    b"X!#$%&'*+-.^_`|~0: a",
    b": a",
    b"X",
    b"X Y: a",
    b"X\t: a",
    b"X(: a",
    b"X\0Y: a",
    b"\x80: a",
    b" X: a",
    b"\tX: a",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: X",
    b"Connection: Content-Length",
    b"Connection: Host",
    b"Connection: Upgrade",
    b"Connection: a b",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABk",
    b"TE: trailers",
    b"TE: chunked",
    b"Trailer: Content-Length",
    b"Expect: 100-continue",
    b"Expect: a",
    b"Proxy-Connection: close",
    b"Keep-Alive: timeout=5",
    b"Content-Encoding: gzip",
    b"Cookie: a=b; c=d",
    b"Cookie: e=f",
    b"GET / HTTP/1.1",
];
const LINE_ENDS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\n",
    b"\r\n\r\n",
    b"",
    b" \r\n",
    b"\0\r\n",
    b"\x0b\r\n",
];
const BODIES: &[&[u8]] = &[
    b"",
    b"hello",
    b"hel",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    b"05\r\nhello\r\n00\r\n\r\n",
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"5_\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5\rhello\r0\r\r",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello!\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: a\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    b"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n",
    b"5\r\nhello\r\n0\r\n X: a\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX : a\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\r\n",
    b"A\r\n0123456789\r\n0\r\n\r\n",
    b"a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffb\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n-0\r\n\r\n",
    b"5;\0\r\nhello\r\n0\r\n\r\n",
    b"5;\n\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
];
/// Bytes that readers stumble over.
const EDGES: &[u8] = b"\0\t\n\x0b\x0c\r \"#%,-./0:;=?@AZ[\\]_az\x7f\x80\x85\xa0\xff";

/// Each byte in each place where one may stand.
pub(crate) fn bytes() -> impl Iterator<Item = Vec<u8>> {
    let places = [
        ["G", "ET / HTTP/1.1\r\nHost: good.test\r\n\r\n"],
        ["GET /a", "b HTTP/1.1\r\nHost: good.test\r\n\r\n"],
        ["GET /?a", "b HTTP/1.1\r\nHost: good.test\r\n\r\n"],
        ["GET http://good.test/a", "b HTTP/1.1\r\nHost: good.test\r\n\r\n"],
        ["GET / HTTP/1.1\r\nHost: good", "test\r\n\r\n"],
        ["GET / HTTP/1.1\r\nHost: good.test\r\nX", "Y: a\r\n\r\n"],
        ["GET / HTTP/1.1\r\nHost: good.test\r\nX: a", "b\r\n\r\n"],
        ["GET / HTTP/1.1\r\nHost: good.test\r\nX: a", "\r\n\r\n"],
        ["CONNECT good", "test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"],
        [
            "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a",
            "\r\n\r\n",
        ],
        [
            "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX",
            ": a\r\n\r\n",
        ],
    ];
    places.into_iter().flat_map(|[before, after]| {
        (0..=u8::MAX).map(move |byte| [before.as_bytes(), &[byte], after.as_bytes()].concat())
    })
}

/// A good one, in its parts.
struct Parts {
    start: [Vec<u8>; 3],
    fields: Vec<Vec<u8>>,
    body: Vec<u8>,
}

fn good(random: &mut Random) -> Parts {
    let (method, target, body, framing): (_, &[u8], &[u8], &[&[u8]]) = match random.below(8) {
        0 => ("GET", b"/", b"", &[]),
        1 => ("POST", b"/a", b"hello", &[b"Content-Length: 5"]),
        2 => ("POST", b"/a", b"5\r\nhello\r\n0\r\n\r\n", &[b"Transfer-Encoding: chunked"]),
        3 => ("PUT", b"/a?b", b"3\r\nhel\r\n0\r\nX: a\r\n\r\n", &[b"transfer-encoding: chunked"]),
        4 => ("GET", b"http://good.test/a", b"", &[]),
        5 => ("CONNECT", b"good.test:443", b"", &[]),
        6 => ("GET", b"/", b"", &[b"Connection: Upgrade", b"Upgrade: websocket"]),
        _ => ("OPTIONS", b"*", b"", &[b"X: a"]),
    };
    let host: &[u8] = if method == "CONNECT" { b"Host: good.test:443" } else { b"Host: good.test" };
    let fields = std::iter::once(&host).chain(framing).map(|field| field.to_vec()).collect();
    let start = [method.as_bytes().to_vec(), target.to_vec(), b"HTTP/1.1".to_vec()];
    Parts { start, fields, body: body.to_vec() }
}

/// What came of a good one by some changes.
pub(crate) fn request(random: &mut Random) -> Vec<u8> {
    let mut parts = good(random);
    for _ in 0..random.below(4) {
        let at = random.below(parts.fields.len() + 1);
        match random.below(10) {
            0 => parts.start[0] = random.of(METHODS).to_vec(),
            1 => parts.start[1] = random.of(TARGETS).to_vec(),
            2 => parts.start[2] = random.of(VERSIONS).to_vec(),
            3..=5 => parts.fields.insert(at, random.of(FIELDS).to_vec()),
            6 if at < parts.fields.len() => parts.fields[at] = random.of(FIELDS).to_vec(),
            7 if at < parts.fields.len() => parts.fields.insert(at, parts.fields[at].clone()),
            8 if at < parts.fields.len() => drop(parts.fields.remove(at)),
            _ => parts.body = random.of(BODIES).to_vec(),
        }
    }
    let odd = random.once_in(6).then(|| random.below(parts.fields.len() + 2));
    let mut lines = vec![parts.start.join(&b' ')];
    lines.append(&mut parts.fields);
    lines.push(Vec::new());
    let mut bytes = Vec::new();
    for (at, line) in lines.into_iter().enumerate() {
        bytes.extend(line);
        let end = if odd == Some(at) { random.of(LINE_ENDS) } else { b"\r\n" };
        bytes.extend_from_slice(end);
    }
    bytes.extend(parts.body);
    if random.once_in(4) {
        for _ in 0..=random.below(2) {
            let (at, edge) = (random.below(bytes.len()), EDGES[random.below(EDGES.len())]);
            match random.below(4) {
                0 => bytes.insert(at, edge),
                1 => bytes[at] = edge,
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
    }
    if random.once_in(8) {
        bytes.extend_from_slice(b"GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n");
    }
    bytes
}
