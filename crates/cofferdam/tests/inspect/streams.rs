//! What is not one answer after one request: events, WebSocket, gRPC, fields behind a body, answers
//! before the answer, codings.

use crate::internet::Internet;
use crate::looking::{PROXY, WAYS, rule};

/// Each event says when it was sent, and comes soon after, by curl and by Python.
const EVENTS: &str = r"
def curl(version):
    p = subprocess.Popen(['curl', '-sSN', '--fail', version, 'https://new.test/events'], stdout=subprocess.PIPE, text=True)
    times = [(float(l[6:]), time.time()) for l in p.stdout if l.startswith('data: ')]
    assert p.wait() == 0, p.returncode
    return times
def raw():
    s = open_tls(); s.sendall(get('/events')); times = []
    while len(times) < 4:
        for at in re.findall(rb'data: ([0-9.]+)', s.recv(4096)): times.append((float(at), time.time()))
    return times
for times in (curl('--http1.1'), curl('--http2'), raw()):
    assert len(times) == 4, times
    late = [came - sent for sent, came in times]
    assert max(late) < .1, late
    assert times[3][1] - times[0][1] > .3, times
";

#[test]
fn events_come_one_by_one() {
    let Some(net) = Internet::take() else { return };
    net.speaks_outside(EVENTS).works("without a wall");
    for way in WAYS {
        net.forget();
        let row = |version| format!("{} new.test {version} GET /events 200 allowed", way.0);
        let told = [row("h1"), row("h1"), row("h2")];
        net.records(&told, || net.speaks(&rule("inspect = 'always'"), way, EVENTS).works(way.0));
    }
}

/// A client that speaks the protocol by itself, and one that somebody else wrote.
const WEBSOCKET: &str = r"
def frame(kind, body):
    mask = b'abcd'; size = len(body)
    head = bytes([0x80 | kind]) + (bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('>H', size) if size < 65536 else b'\xff' + struct.pack('>Q', size))
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(body))
def exactly(f, n):
    out = f.read(n); assert len(out) == n, (n, out); return out
def read(f):
    a, b = exactly(f, 2); size = b
    if b == 126: size = struct.unpack('>H', exactly(f, 2))[0]
    if b == 127: size = struct.unpack('>Q', exactly(f, 8))[0]
    return a & 15, exactly(f, size)
def shake(path='/ws', host='new.test'):
    s = open_tls(host)
    s.sendall(get(path, host, 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'))
    f = s.makefile('rb'); head = b''
    while not head.endswith(b'\r\n\r\n'):
        line = f.readline()
        if not line: break
        head += line
    return s, f, head
";

const ECHOES: &str = r"
s, f, head = shake()
assert head.startswith(b'HTTP/1.1 101 ') and b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' in head, head
for kind, body in ((1, b'hello'), (2, bytes(range(256)) * 300), (1, b'')):
    s.sendall(frame(kind, body)); assert read(f) == (kind, body), kind
s.sendall(frame(9, b'ping')); assert read(f) == (10, b'ping')
for i in range(200): s.sendall(frame(1, str(i).encode()))
for i in range(200): assert read(f) == (1, str(i).encode()), i
s.sendall(frame(8, b'\x03\xe8bye')); assert read(f) == (8, b'\x03\xe8bye')
assert f.read(1) == b''
";

const AIOHTTP: &str = r"
import aiohttp, asyncio
async def talk():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.ws_connect('wss://new.test/ws') as ws:
            await ws.send_str('hello'); assert (await ws.receive_str()) == 'hello'
            await ws.send_bytes(bytes(100000)); assert (await ws.receive_bytes()) == bytes(100000)
asyncio.run(talk())
";

#[test]
fn a_websocket_echoes() {
    let Some(net) = Internet::take() else { return };
    let mut clients = vec![format!("{WEBSOCKET}{ECHOES}")];
    if net.outside(&["/usr/bin/python3", "-c", "import aiohttp"]).status == Some(0) {
        clients.push(AIOHTTP.to_owned());
    } else {
        println!("not run: WebSocket by aiohttp: it is not installed");
    }
    for client in &clients {
        net.speaks_outside(client).works("without a wall");
        for way in WAYS {
            // aiohttp takes no proxy of the environment for WebSocket.
            let took = if client == AIOHTTP { "direct" } else { way.0 };
            let told = [format!("{took} new.test h1 GET /ws 101 allowed")];
            net.records(&told, || net.speaks(&rule("websocket = true"), way, client).works(way.0));
        }
    }
}

/// S18: a WebSocket that no rule allows, and one that is a tunnel for something else.
#[test]
fn s18_a_websocket_is_what_a_rule_says_and_no_tunnel() {
    let Some(net) = Internet::take() else { return };
    let refused = format!(
        "{WEBSOCKET}s, f, head = shake()\nassert head.startswith(b'HTTP/1.1 403 ') and b'X-Cofferdam: websocket-not-allowed' in head, head"
    );
    let opens =
        format!("{WEBSOCKET}s, f, head = shake()\nassert head.startswith(b'HTTP/1.1 101 ')");
    net.speaks_outside(&opens).works("without a wall");
    for way in WAYS {
        net.forget();
        let told = [format!("{} new.test h1 GET /ws 403 websocket-not-allowed", way.0)];
        let rules = rule("methods = ['GET']");
        net.records(&told, || net.speaks(&rules, way, &refused).works(way.0));
        assert_eq!(net.asked().len(), 0, "{}", way.0);
    }
    // No frame (a reserved bit, no mask, another protocol): closed, and the origin hears none of it. The
    // server sends raw bytes back, so that a control sees the tunnel.
    for (why, bytes) in [
        ("SSH", "b'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        ("no mask", "b'\\x81\\x05hello'"),
        ("a reserved bit", "b'\\xf1\\x85abcd' + bytes(5)"),
        ("a kind that nobody knows", "b'\\x83\\x85abcd' + bytes(5)"),
        ("a long ping", "b'\\x89\\xfe\\x00\\x7eabcd' + bytes(126)"),
    ] {
        let tunnel = format!(
            "{WEBSOCKET}s, f, head = shake('/websocket')\nassert b' 101 ' in head, head\n\
             s.sendall({bytes}); s.settimeout(2)\nout = f.read1(64)\n"
        );
        net.speaks_outside(&format!("{tunnel}assert out, out")).works(why);
        for way in WAYS {
            let act = format!("{tunnel}assert out == b'', out");
            let (_, told) =
                net.on_record(|| net.speaks(&rule("websocket = true"), way, &act).works(why));
            let want = format!("{} new.test h1 GET /websocket 101 frame-", way.0);
            let ended = told.len() == 1 && told[0].starts_with(&want);
            assert!(ended, "{why}: the event says how it ended: {told:?}");
        }
    }
}

/// A real client, whose core shares no code with ours.
const GRPC: &str = r"
import grpc
roots = open(os.environ['SSL_CERT_FILE'], 'rb').read()
channel = grpc.secure_channel('new.test:443', grpc.ssl_channel_credentials(root_certificates=roots))
unary = channel.unary_unary('/echo.Echo/Unary')
assert unary(b'hello', timeout=8) == b'hello'
assert unary(bytes(100000), timeout=8) == bytes(100000)
answers = channel.stream_stream('/echo.Echo/Stream')
go = threading.Semaphore(1)
def questions():
    for i in range(20):
        assert go.acquire(timeout=5)
        yield b'%d' % i
# Each question is asked once the one before is answered: nothing waits for the end.
for i, one in enumerate(answers(questions(), timeout=15)):
    assert one == b'%d' % i; go.release()
assert i == 19
assert b''.join(channel.unary_stream('/echo.Echo/Down')(b'x', timeout=8)) == b'x'
assert channel.stream_unary('/echo.Echo/Up')(iter([b'y']), timeout=8) == b'y'
channel.close()
";

#[test]
fn grpc_calls_unary_and_streaming() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["/usr/bin/python3", "-c", "import grpc"]).status != Some(0) {
        println!("not run: gRPC: python3-grpcio is not installed");
        return;
    }
    net.speaks_outside(GRPC).works("without a wall");
    for way in WAYS {
        let row = |call| format!("{} new.test h2 POST /echo.Echo/{call} 200 allowed", way.0);
        let told = ["Unary", "Unary", "Stream", "Down", "Up"].map(row);
        let rules = rule("methods = ['POST']\npaths = ['/echo.Echo/*']");
        net.records(&told, || net.speaks(&rules, way, GRPC).works(way.0));
    }
    let refused = "import grpc\nroots = open(os.environ['SSL_CERT_FILE'], 'rb').read()\n\
         channel = grpc.secure_channel('new.test:443', grpc.ssl_channel_credentials(root_certificates=roots))\n\
         try: channel.unary_unary('/other.Other/Unary')(b'x', timeout=8); raise SystemExit('let through')\n\
         except grpc.RpcError as e: print(e.code(), e.details())";
    let told = ["proxy new.test h2 POST /other.Other/Unary 403 path-not-allowed".to_owned()];
    let rules = rule("paths = ['/echo.Echo/*']");
    let ran = net.records(&told, || net.speaks(&rules, PROXY, refused).works("refused"));
    assert!(ran.out.contains("PERMISSION_DENIED"), "as gRPC has it: {ran:?}");
}

const FIELDS: &str = r"
s = open_tls()
s.sendall(get('/trailers', method='POST', more='Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n') + b'3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n')
out = say(s, until=b'X-Last: yes\r\n')[0]
assert b'trailed\n' in out and b'X-Last: yes' in out, out
assert b'X-Sum: 7' in say(s, until=b'\r\n\r\n')[0] or b'X-Sum: 7' in out, out
status, fields, body = two('/trailers', method='POST', body=b'abc')
assert (status, fields['x-last'], body) == (200, 'yes', b'abc'), fields
# The body waits until it is asked for.
s = open_tls(); s.sendall(get('/x', method='POST', more='Expect: 100-continue\r\nContent-Length: 3\r\n'))
assert say(s, until=b'\r\n\r\n')[0].startswith(b'HTTP/1.1 100 '), 'asked for'
s.sendall(b'abc'); assert answer(s)[0] == 200
s = open_tls(); s.sendall(get('/refuse', method='POST', more='Expect: 100-continue\r\nContent-Length: 3\r\n'))
assert answer(s)[0] == 413
s = open_tls(); out = say(s, get('/hints'), until=b'hinted\n')[0]
assert out.startswith(b'HTTP/1.1 103 ') and b'</style.css>' in out and b'HTTP/1.1 200 ' in out, out
said = subprocess.run(['curl', '-sSi', '--http2', 'https://new.test/hints'], capture_output=True, text=True).stdout
assert 'HTTP/2 103' in said and 'HTTP/2 200' in said, said
for s, more in ((open_tls(), ''), (open_tls(), 'Accept-Encoding: gzip\r\n')):
    s.sendall(get('/coded.gz', more=more)); status, fields, body = answer(s)
    assert (status, fields['content-encoding'], gzip.decompress(body)) == (200, 'gzip', b'coded' * 1000), fields
status, fields, body = two('/coded.gz')
assert (status, fields['content-encoding'], gzip.decompress(body)) == (200, 'gzip', b'coded' * 1000)
s = open_tls(); s.sendall(get('/big/1000', method='HEAD')); status, fields, body = answer(s, 'HEAD')
assert (status, fields['content-length'], body) == (200, '1000', b'')
# And the connection goes on.
s.sendall(get('/status/204')); assert answer(s)[0] == 204
s.sendall(get('/x')); assert answer(s)[0] == 200
";

#[test]
fn what_surrounds_a_body_goes_through() {
    let Some(net) = Internet::take() else { return };
    let coded = net.www().join("coded.gz").display().to_string();
    net.python_outside(&format!(
        "import gzip\nopen('{coded}', 'wb').write(gzip.compress(b'coded' * 1000))"
    ))
    .works("a file with a coding");
    net.speaks_outside(FIELDS).works("without a wall");
    for way in WAYS {
        net.forget();
        let rules = rule("inspect = 'always'");
        let (_, told) = net.on_record(|| net.speaks(&rules, way, FIELDS).works(way.0));
        let at_origin = net.asked().len();
        assert_eq!((told.len(), at_origin), (12, 12), "each once: {told:?}");
        assert!(net.asked().iter().any(|one| one.trailers == "X-Sum: 7\r\n"), "what came behind");
    }
}
