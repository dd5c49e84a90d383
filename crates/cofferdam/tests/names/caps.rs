//! S39: how much one workload can take: a flood of connections, heads without end, silence. Others are
//! served, memory has a bound, nothing crashes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::asking::{GATEWAY, POLICY, below, body, line};
use crate::internet::Internet;
use crate::support::{finish, programs, python};

/// Resident memory of a gateway with thousands of connections before it that say next to nothing: four
/// times what was measured. KiB.
const RESIDENT_KIB_MAX: u64 = 64 << 10;

fn asks(net: &Internet, seconds: u32, act: &str) -> std::process::Child {
    // Of its own: it is still being read while the next run writes the other one.
    let policy = net.place.write("beside.toml", POLICY).display().to_string();
    let mut command = net.command_within(seconds, programs().join("cofferdam"));
    command.args(["run", "--quiet", "--env", "SSL_CERT_FILE", "--policy", &policy, "--"]);
    command.args(["/usr/bin/python3", "-c", &python(&body(GATEWAY, act))]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What is slow has ten seconds, all of it at a time: so this is one test.
const SLOW: &str = r"
import threading, time
failed = []
def slow(why, port, data, ends, want):
    try:
        s = socket.create_connection(('good.test', port) if port in (80, 443) else (PROXY, port), 5)
        s.settimeout(.25); began = time.time(); said = None
        for i in range(60):
            try:
                if i % 4 == 0: s.sendall(data[i // 4:i // 4 + 1])
                said = s.recv(1); break
            except TimeoutError: pass
            except ConnectionError: said = b''; break
        took = time.time() - began
        if not (9 < took < 12) or said not in want: failed.append((why, took, said))
    except Exception as e: failed.append((why, repr(e)))
get = b'GET http://good.test/ HTTP/1.1\r\n'
slows = [
    ('hello', 443, hello('good.test'), 21, (b'\x15',)),
    ('no hello', 443, b'', 21, (b'\x15',)),
    ('head', 3128, get, 0, (b'',)),
    ('no head', 3128, b'', 0, (b'',)),
    ('head', 80, b'GET / HTTP/1.1\r\n', 0, (b'',)),
    ('greeting', 1080, b'', 0, (b'',)),
]
all = [threading.Thread(target=slow, args=one) for one in slows]
for one in all: one.start()
";

#[test]
fn s39_no_workload_takes_all_of_it() {
    let Some(net) = Internet::take() else { return };
    // A server that has patience takes them.
    let patient = "s = socket.create_connection(('good.test', 443), 5); h = hello('good.test')\n\
         import time\n\
         for i in range(4): s.sendall(h[i:i + 1]); time.sleep(.1)\n\
         s.sendall(h[4:]); assert s.recv(1) == b'\\x16'";
    net.asks_outside(patient).works("without a wall");
    net.asks_inside(POLICY, patient).works("slowly, but in time");
    let slow =
        asks(&net, 25, &format!("{SLOW}for one in all: one.join()\nassert failed == [], failed"));
    let long = r"
def end(first, piece, times):
    s = socket.create_connection((PROXY, 3128), 5); s.settimeout(5)
    try:
        s.sendall(first)
        for _ in range(times): s.sendall(piece)
    except ConnectionError: pass
    answer = head(s)
    return int(answer.split()[1]) if answer else 0
start = b'GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n'
assert end(start, b'a: ' + b'x' * 1000 + b'\r\n', 66) == 431, 'many fields'
assert end(start + b'a: ', b'x' * 1000, 66) == 431, 'one field without end'
assert end(b'GET http://good.test/' , b'x' * 1000, 66) in (414, 431), 'a target without end'
assert status(start + (b'a: ' + b'x' * 500 + b'\r\n') * 30 + b'\r\n') == 200, 'a long one that ends'
big = struct.pack('>HH', 0x1234, 17000) + b'\0' * 17000
h = hello('good.test', big)[5:]
records = b''.join(b'\x16\x03\x01' + struct.pack('>H', len(part)) + part for part in (h[:9000], h[9000:]))
assert tls(('good.test', 443), records) == 21, 'a hello over 16 KiB'
assert tls(('good.test', 443), hello('good.test', big)) == 21, 'in one record, which none may be'
small = struct.pack('>HH', 0x1234, 9000) + b'\0' * 9000
assert tls(('good.test', 443), hello('good.test', small)) == 22, 'a long one that ends'
s = socket.create_connection((PROXY, 3128), 5); s.settimeout(9)
s.sendall(b'POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n')
for _ in range(256): s.sendall(b'10000\r\n' + b'x' * 65536 + b'\r\n')
s.sendall(b'0\r\n\r\n'); assert b' 200 ' in head(s), 'an endless body that ends'
";
    net.asks_inside(POLICY, long).works("beside them");
    let mut codes: Vec<_> = net
        .events("connection")
        .iter()
        .filter_map(|one| one["code"].as_str().map(str::to_owned))
        .collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes, ["http-large", "tls-long", "tls-record"]);
    flood(&net);
    let output = slow.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        net.connections("good.test").iter().filter(|one| one.contains("tls-late")).count(),
        2
    );
}

/// Python: floods of four kinds; after each, whoever comes is served.
const FLOOD: &str = r"
import os, sys, time
def flood(ports, many, first):
    held = []
    for i in range(many):
        s = socket.socket(); s.setblocking(False)
        s.connect_ex((PROXY, ports[i % len(ports)])); held.append(s)
    time.sleep(.3)
    for s in held:
        try: s.send(first)
        except OSError: pass
    return held
def served(why):
    began = time.time()
    assert tls(('good.test', 443), hello('good.test')) == 22, why
    assert status(b'GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n', ('good.test', 80)) == 200, why
    assert connect(b'good.test:443') == 200, why
    assert socks(b'good.test', 5432)[0] == 0, why
    s = socket.create_connection(('good.test', 53), 5); s.close()
    return time.time() - began
held = flood((3128,), 2000, b'')
took = served('silent')
held += flood((3128, 1080, 443, 80), 2000, b'G')
took = max(took, served('a byte each'))
for s in held: s.close()
held = []
for i in range(1100):
    s = socket.create_connection((PROXY, 3128), 5); s.settimeout(5)
    s.sendall(b'GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n')
    assert b' 200 ' in s.recv(4096), i
    held.append(s)
took = max(took, served('kept alive'))
for s in held: s.close()
held = []
for i in range(1024):
    s = socket.create_connection(('good.test', 5432), 5); s.settimeout(5)
    s.sendall(b'x'); assert s.recv(1) == b'x', i
    held.append(s)
late = socket.create_connection(('good.test', 5432), 5); late.settimeout(.5); late.sendall(b'x')
try: late.recv(1); raise SystemExit('a 1025th at a time')
except TimeoutError: pass
held.pop(0).close(); late.settimeout(5); assert late.recv(1) == b'x', 'who waits is next'
print('flooded', flush=True)
sys.stdin.readline()
assert took < 5, took
for s in held: s.close()
assert served('after') < 1
print('over', flush=True)
";

/// Thousands of silent connections shut nobody out, here or in another sandbox.
fn flood(net: &Internet) {
    let mut flood = asks(net, 30, FLOOD);
    let said = line(&mut flood);
    if said != "flooded\n" {
        let output = flood.wait_with_output().unwrap();
        return assert_eq!(said, "flooded\n", "{}", String::from_utf8_lossy(&output.stderr));
    }
    let gateway = below(flood.id(), "cofferdam-gateway").expect("a gateway below the engine");
    let status = std::fs::read_to_string(format!("/proc/{gateway}/status")).unwrap();
    let resident = status.lines().find_map(|one| one.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!("a gateway with a flood before it: {kib} KiB");
    assert!(kib < RESIDENT_KIB_MAX, "{kib} KiB");
    let began = Instant::now();
    net.inside(POLICY, &["curl", "-sS", "--fail", "https://good.test/"]).works("another sandbox");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "which does not notice: {:?}",
        began.elapsed()
    );
    drop(flood.stdin.take());
    let output = flood.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"over\n"[..]), "{output:?}");
    assert_eq!(net.events("gateway-gone").len(), 0);
    finish(&mut net.command("true")).works("and HOST is well");
}
