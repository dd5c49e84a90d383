//! What is said in a WebSocket: stand-ins and canaries do not go out in it, secrets do not come in.

use crate::internet::Internet;
use crate::lodging::{BOTH, SECRET, bound, credential};
use crate::looking::rule;

/// A client that speaks the protocol by itself: `frame(first, body)`, `read(f)`, `shake(path, more)`.
const WEBSOCKET: &str = r"
def frame(first, body):
    mask = os.urandom(4); size = len(body)
    head = bytes([first]) + (bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('>H', size))
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(body))
def exactly(f, n):
    out = f.read(n)
    if len(out) != n: raise EOFError
    return out
def read(f):
    a, size = exactly(f, 2)
    if size == 126: size = struct.unpack('>H', exactly(f, 2))[0]
    return a, exactly(f, size)
def shake(path='/ws', more=''):
    s = open_tls()
    s.sendall(get(path, more='Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' + more))
    f = s.makefile('rb'); head = b''
    while not head.endswith(b'\r\n\r\n'):
        line = f.readline()
        if not line: break
        head += line
    assert b' 101 ' in head, head
    return s, f, head
# What of frames comes back, until the connection ends.
def says(frames, more=''):
    s, f, head = shake('/ws', more)
    s.sendall(frame(0x81, b'first')); assert read(f) == (0x81, b'first')
    back = []
    try:
        s.sendall(b''.join(frames)) if len(frames) < 3 else [s.sendall(one) or time.sleep(.02) for one in frames]
        s.sendall(frame(0x88, b''))
        while True: back.append(read(f))
    except (EOFError, ConnectionError, ssl.SSLError, TimeoutError): pass
    return len(back), 'closed' if not back or back[-1][0] != 0x88 else 'whole'
def bytewise(frames): return [bytes([b]) for b in b''.join(frames)]
";

/// Ways to say `k` in messages, and how many frames of one come back where it passes.
const SAYS: &[(&str, &str)] = &[
    ("in a text", "[frame(0x81, b'see ' + k)]"),
    ("in bytes", "[frame(0x82, bytes(200) + k + bytes(200))]"),
    ("in two fragments", "[frame(0x01, k[:9]), frame(0x80, k[9:])]"),
    ("with a ping between", "[frame(0x01, k[:9]), frame(0x89, b'x'), frame(0x80, k[9:])]"),
    (
        "in fragments of a letter",
        "[frame(0x01, b'')] + [frame(0x00, bytes([b])) for b in k] + [frame(0x80, b'')]",
    ),
    ("byte by byte", "bytewise([frame(0x81, k)])"),
    ("in base64", "[frame(0x81, base64.b64encode(b'a' + k))]"),
    ("in a ping", "[frame(0x89, k)]"),
    ("in a close", "[frame(0x88, b'\\x03\\xe8' + k)]"),
];

fn act(own: &str, more: &str) -> String {
    let says: Vec<String> = SAYS.iter().map(|(_, frames)| format!("lambda: {frames}")).collect();
    format!(
        "import base64\n{WEBSOCKET}\nk = {own}\nmore = {more}\nfor one in [{}]:\n    print(*says(one(), more), flush=True)\nprint(k[-6:].decode())\n",
        says.join(", ")
    )
}

/// What the origin has heard, as Python shows bytes.
fn heard(net: &Internet) -> String {
    net.speaks_outside("print(ask(get('/ws-heard'))[2])").works("what it heard").out
}

/// Says `own` in every way: without a wall all of it arrives; inside, with an alarm each, nothing that ends it.
#[track_caller]
fn refused(net: &Internet, rules: &str, (own, more): (&str, &str), (plain, code): (&str, &str)) {
    heard(net);
    let ran = net.speaks_outside(&act(&format!("b{plain:?}"), "''")).works("without a wall");
    assert_eq!(ran.out.matches("whole").count(), SAYS.len(), "{ran:?}");
    assert!(heard(net).matches(plain).count() >= 3, "it hears it without a wall");
    for way in BOTH {
        let before = net.events("connection").len();
        let ran = net.bears(rules, way, &act(own, more)).works("says");
        assert_eq!(ran.out.matches("closed").count(), SAYS.len(), "{}: {ran:?}", way.0);
        let events = net.events("connection").split_off(before);
        let alarms = events.iter().filter(|event| event["code"] == code);
        assert_eq!(alarms.count(), SAYS.len(), "{}: one each: {events:?}", way.0);
        // Of what comes in one piece nothing arrives; of what is cut its end does not.
        let heard = heard(net);
        let end = ran.out.lines().last().unwrap();
        assert_eq!(end.len(), 6, "the end of it: {ran:?}");
        assert!(heard.contains("first") && !heard.contains(end), "{}: {heard}", way.0);
    }
}

#[test]
fn a_stand_in_does_not_go_out_in_a_message() {
    let Some(net) = Internet::take() else { return };
    // It bears its own identity, in its place, and says it once more in a message.
    let rules = format!("{}{}", bound("websocket = true"), credential("header = 'x-api-key'"));
    let more = "f'x-api-key: {k.decode()}\\r\\n'";
    let own = ("os.environ['API_KEY'].encode()", more);
    refused(&net, &rules, own, ("sk-ant-api03-some0thers-Zq7w", "stand-in-astray"));
}

#[test]
fn what_was_planted_does_not_go_out_in_a_message() {
    let Some(net) = Internet::take() else { return };
    let plan = "the-blue-heron-flies-at-dawn-77";
    let rules = format!("{}[canary]\nplan = '{plan}'\n", rule("websocket = true"));
    refused(&net, &rules, (&format!("b'{plan}'"), "''"), (plan, "canary"));
    // What is only like it passes, whole and in the same frames.
    for way in BOTH {
        let ran = net.bears(&rules, way, &act(&format!("b{:?}", &plan[1..]), "''")).works("says");
        assert_eq!(ran.out.matches("whole").count(), SAYS.len(), "{}: {ran:?}", way.0);
    }
}

/// The host says the secret: what comes is what stands in for it, in the same frames.
#[test]
fn a_secret_does_not_come_in_in_a_message() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "import base64\n{WEBSOCKET}
own = os.environ['API_KEY'].encode(); half = len(own) // 2
s, f, head = shake('/ws-told', f'x-api-key: {{own.decode()}}\\r\\n')
want = [(0x81, own), (0x01, own[:half]), (0x89, b'between'), (0x80, own[half:]), (0x82, base64.b64encode(own)), (0x89, own)]
got = [read(f) for _ in want]
print('as it was' if got == want else [(a, len(b)) for a, b in got])
s.sendall(frame(0x81, b'on')); print(read(f) == (0x81, b'on'))
"
    );
    let outside = format!("import os; os.environ['API_KEY'] = {SECRET:?}\n{act}");
    net.speaks_outside(&outside).works("without a wall the secret comes");
    let rules = format!("{}{}", bound("websocket = true"), credential("header = 'x-api-key'"));
    for way in BOTH {
        let ran = net.bears(&rules, way, &act).works("hears");
        assert_eq!(ran.out, "as it was\nTrue\n", "{}: {ran:?}", way.0);
    }
}

/// Coded so that another text in its place is longer or shorter, it ends the connection: no frame could stay.
#[test]
fn a_secret_that_would_change_a_frame_ends_the_connection() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "import html\n{WEBSOCKET}
own = os.environ['API_KEY']
s, f, head = shake('/ws-told?escaped', f'x-api-key: {{own}}\\r\\n')
try: print(html.unescape(read(f)[1].decode()) == own)
except (EOFError, ConnectionError, ssl.SSLError): print('closed')
"
    );
    let outside = format!("import os; os.environ['API_KEY'] = {SECRET:?}\n{act}");
    assert_eq!(net.speaks_outside(&outside).works("without a wall").out, "True\n");
    let rules = format!("{}{}", bound("websocket = true"), credential("header = 'x-api-key'"));
    for way in BOTH {
        let before = net.events("connection").len();
        let ran = net.bears(&rules, way, &act).works("hears");
        assert_eq!(ran.out, "closed\n", "{}: {ran:?}", way.0);
        let events = net.events("connection").split_off(before);
        assert!(events.iter().any(|event| event["code"] == "secret-in-frames"), "{events:?}");
    }
}

/// Compressed messages nobody could look through: they are not offered, and not taken from who sends some.
#[test]
fn no_message_is_compressed() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "{WEBSOCKET}
offer = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\\r\\n'
s, f, head = shake('/ws-deflate', offer); print('deflate' in head.decode())
s, f, head = shake('/ws-deflates', offer)
s.sendall(frame(0xc1, bytes([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])))
try: print(read(f)[0])
except (EOFError, ConnectionError, ssl.SSLError): print('closed')
"
    );
    let plain = rule("websocket = true");
    let read = format!("{plain}[canary]\nplan = 'the-blue-heron-flies-at-dawn-77'\n");
    for way in BOTH {
        let ran = net.bears(&plain, way, &act).works("nothing is looked for");
        assert!(ran.out.starts_with("True\n"), "{}: {ran:?}", way.0);
        let ran = net.bears(&read, way, &act).works("something is");
        assert_eq!(ran.out, "False\nclosed\n", "{}: {ran:?}", way.0);
        assert_eq!(net.events("connection").last().unwrap()["code"], "frame-reserved");
    }
}
