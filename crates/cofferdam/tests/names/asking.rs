//! What rows share: the policy they run under, and bytes said to a proxy.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::Child;

use crate::internet::{Internet, PROXY, Seen};
use crate::support::Ran;

/// Where the gateway's proxies are, inside: HTTP on 3128, SOCKS5 on 1080.
pub(crate) const GATEWAY: &str = "198.18.0.1";

/// `good.test` and what is below it, by TLS and HTTP; `good.test` on 5432 with any bytes.
pub(crate) const POLICY: &str = "
version = 1
[[network.allow]]
host = 'good.test'
[[network.allow]]
host = 'good.test'
ports = [80]
[[network.allow]]
host = 'good.test'
ports = [5432]
protocol = 'tcp'
[[network.allow]]
host = '*.good.test'
[[network.allow]]
host = '*.good.test'
ports = [80]
";

/// Every name but `evil.test`: only the deny stands in its way.
pub(crate) const ALL_BUT_EVIL: &str = "
version = 1
[[network.allow]]
host = '*'
dangerous_wide_wildcard = true
[[network.allow]]
host = '*'
ports = [80]
dangerous_wide_wildcard = true
[[network.deny]]
host = 'evil.test'
";

/// Every name and every address, on the usual ports: only the class of an address stands in its way.
pub(crate) const ALL_ADDRESSES: &str = "
version = 1
[[network.allow]]
host = '*'
ports = [80]
dangerous_wide_wildcard = true
[[network.allow]]
host = '0.0.0.0/0'
ports = [80]
dangerous_wide_wildcard = true
[[network.allow]]
host = '::/0'
ports = [80]
dangerous_wide_wildcard = true
";

/// Python: `ask(bytes)` to the HTTP proxy gives the answer's head and the socket, `status(bytes)` its
/// number or 0 when it only closed, `socks(name, port)` the reply's code and the socket, `hello(name)`
/// a ClientHello, `tls(address, bytes)` the first byte of what a server says to it: 22 is a hello, 21
/// an alert, none a close.
const ASKING: &str = r"
import re, socket, ssl, struct
def head(s):
    s.settimeout(5)
    out = b''
    try:
        while b'\r\n\r\n' not in out:
            part = s.recv(4096)
            if not part: break
            out += part
    except ConnectionResetError: pass
    return out
def ask(data, to=None):
    s = socket.create_connection(to or (PROXY, 3128), 5)
    s.sendall(data)
    return head(s), s
def status(data, to=None):
    answer = ask(data, to)[0]
    return int(answer.split()[1]) if answer else 0
def connect(authority):
    return status(b'CONNECT ' + authority + b' HTTP/1.1\r\nHost: ' + authority + b'\r\n\r\n')
def socks(name, port, kind=3):
    s = socket.create_connection((PROXY, 1080), 5)
    s.settimeout(5)
    s.sendall(b'\x05\x01\x00')
    assert s.recv(2) == b'\x05\x00'
    whom = bytes([len(name)]) + name if kind == 3 else name
    s.sendall(b'\x05\x01\x00' + bytes([kind]) + whom + struct.pack('>H', port))
    answer = s.recv(10)
    return (answer[1] if len(answer) > 1 else None), s
def hello(name, extension=b''):
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    take, give = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(take, give, server_hostname=name)
    try: side.do_handshake()
    except ssl.SSLWantReadError: pass
    b = bytearray(give.read())
    if extension:
        at = 9 + 34
        at += 1 + b[at]
        at += 2 + int.from_bytes(b[at:at + 2], 'big')
        at += 1 + b[at]
        def grow(at, size): b[at:at + size] = (int.from_bytes(b[at:at + size], 'big') + len(extension)).to_bytes(size, 'big')
        grow(3, 2); grow(6, 3); grow(at, 2)
        b += extension
    return bytes(b)
def tls(address, data):
    s = socket.create_connection(address, 5)
    s.settimeout(5)
    try:
        s.sendall(data)
        first = s.recv(1)
    except (ConnectionResetError, BrokenPipeError): return None
    return first[0] if first else None
";

/// One body with a proxy's address in it.
pub(crate) fn body(proxy: &str, act: &str) -> String {
    format!("PROXY = '{proxy}'{ASKING}{act}")
}

/// The next line that a started program writes.
pub(crate) fn line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    let out = child.stdout.as_mut().unwrap();
    while line.last() != Some(&b'\n') && matches!(out.read(&mut byte), Ok(1)) {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// The process below `root` whose command line begins so.
pub(crate) fn below(root: u32, name: &str) -> Option<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stat = |pid: u32| -> Option<(u32, u32)> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
    };
    let all: Vec<_> = numbers.filter_map(stat).collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(all.iter().filter(|one| one.1 == parent).map(|one| one.0));
        at += 1;
    }
    found.into_iter().find(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
        first.ends_with(name.as_bytes())
    })
}

impl Internet {
    /// Events of connections to a host in the log of this test, in order: way, port, verdict, code
    /// or `-`, how often.
    pub(crate) fn connections(&self, host: &str) -> Vec<String> {
        let events = self.events("connection").into_iter().filter(|one| one["host"] == host);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let row = |one: serde_json::Value| {
            let [way, verdict, code] = ["way", "verdict", "code"].map(|key| text(&one[key]));
            format!("{way} {} {verdict} {code} {}", one["port"], one["times"].as_u64().unwrap_or(1))
        };
        events.map(row).collect()
    }

    /// The body asks the careless proxy outside.
    pub(crate) fn asks_outside(&self, act: &str) -> Ran {
        self.python_outside(&body(PROXY, act))
    }

    /// The body asks the gateway's proxy inside.
    pub(crate) fn asks_inside(&self, policy: &str, act: &str) -> Ran {
        self.python_inside(policy, &body(GATEWAY, act))
    }

    /// Runs it, and compares what the log then says of connections with `told`, in any order and each
    /// once: way, host and port, and what came of it.
    #[track_caller]
    pub(crate) fn tells(&self, told: &[&str], run: impl FnOnce() -> Ran) -> Ran {
        let before = self.events("connection").len();
        let ran = run();
        let events = self.events("connection").split_off(before);
        let words = |event: &serde_json::Value| {
            let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let code = if event["code"].is_null() { word("verdict") } else { word("code") };
            format!("{} {}:{} {code}", word("way"), word("host"), event["port"])
        };
        let said: BTreeSet<String> = events.iter().map(words).collect();
        let told: BTreeSet<String> = told.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(said, told, "the log, and what is meant: {ran:?}");
        ran
    }

    /// Nobody was asked anything since it was last forgotten: no packet left, no server heard of it.
    #[track_caller]
    pub(crate) fn is_silent(&self, why: &str) {
        let seen = self.settled();
        assert_eq!((seen.packets, seen.queries), (vec![], vec![]), "{why}: what left");
        assert_eq!(self.seen_by_host().packets, [], "{why}: what HOST was asked");
    }

    /// How often `evil.test` was reached or asked for, on any way, by anybody.
    pub(crate) fn evil(&self) -> usize {
        let seen = self.settled();
        let asked = seen.queries.iter().filter(|query| query.name.contains("evil")).count();
        self.hits(crate::internet::EVIL)
            + self.hits(crate::internet::EVIL_6)
            + asked
            + reached(&seen)
    }
}

/// Connections that somebody opened to EVIL, the careless proxy among them.
fn reached(seen: &Seen) -> usize {
    let evil = [crate::internet::EVIL, crate::internet::EVIL_6];
    let at = |to: &std::net::SocketAddr| evil.contains(&to.ip().to_string().as_str());
    seen.connections.iter().filter(|one| at(&one.to)).count()
}
