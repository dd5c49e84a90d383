//! No record, no action; and each connection, and each request that was looked at, is on record once.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::asking::{POLICY, below};
use crate::internet::{EVIL, Internet};
use crate::support::{finish, is_root, programs};

/// Python: three hundred connections of fifteen kinds, twenty of each.
const MIXED: &str = r"
def to(port): return socket.create_connection(('good.test', port), 5)
def echo(s):
    s.settimeout(5); s.sendall(b'x'); assert s.recv(1) == b'x'
def get(host, more=b''): return b'GET http://' + host + b'/ HTTP/1.1\r\nHost: ' + host + b'\r\n' + more + b'\r\n'
def whole(s):
    answer, body = b'', None
    f = s.makefile('rb'); size = 0
    while (l := f.readline()) not in (b'\r\n', b''):
        if l.lower().startswith(b'content-length:'): size = int(l[15:])
        answer += l
    f.read(size); f.close()
    return answer
def abort(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()
for i in range(20):
    n = str(i).encode()
    s = to(5432); echo(s); s.close()                                    # ends by itself
    s = to(5432); echo(s); s.shutdown(1); assert s.recv(1) == b''        # half open first
    s = to(5432); echo(s); abort(s)                                     # breaks
    s = to(5432); s.close()                                             # says nothing
    s = socket.create_connection((PROXY, 3128), 5)
    for turn in range(3):                                               # one, with three requests
        s.settimeout(5); s.sendall(get(b'good.test')); assert b'200' in whole(s), turn
    s.close()
    s = to(80); s.sendall(b'GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n'); assert b'200' in whole(s); s.close()
    assert tls(('good.test', 443), hello('good.test')) == 22
    assert connect(b'good.test:443') == 200                             # then it leaves
    code, s = socks(b'good.test', 5432); assert code == 0; echo(s); s.close()
    assert connect(b'p' + n + b'.evil.test:443') == 403                  # by no rule
    assert status(get(b'h' + n + b'.evil.test')) == 403
    assert socks(b's' + n + b'.evil.test', 443)[0] == 2
    assert tls(('good.test', 443), hello('evil.test')) == 21            # borrowed
    assert connect(b'c' + n + b'.gone.good.test:443') == 502             # no such name
    assert status(get(b'g' + n + b'.gone.good.test')) == 502
";

#[test]
fn each_connection_is_one_event() {
    let Some(net) = Internet::take() else { return };
    net.answer("*.gone.good.test", &["NXDOMAIN"]);
    net.asks_inside(POLICY, MIXED).works("three hundred");
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for event in net.events("connection") {
        let text = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
        let host = text("host");
        let host = host
            .trim_start_matches(|c: char| c.is_alphabetic())
            .trim_start_matches(|c: char| c.is_numeric());
        let host = if host.starts_with(".evil") || host.starts_with(".gone") {
            host.to_owned()
        } else {
            text("host")
        };
        let key = format!(
            "{} {host} {} {} {}",
            text("way"),
            event["port"],
            text("verdict"),
            text("code")
        );
        *found.entry(key).or_default() += event["times"].as_u64().unwrap_or(1);
    }
    let want = [
        ("direct good.test 443 allowed -", 20),
        ("direct good.test 443 denied name-mismatch", 20),
        ("direct good.test 5432 allowed -", 80),
        ("direct good.test 80 allowed -", 20),
        ("proxy .evil.test 443 denied host-not-allowed", 20),
        ("proxy .evil.test 80 denied host-not-allowed", 20),
        ("proxy .gone.good.test 443 failed no-such-name", 20),
        ("proxy .gone.good.test 80 failed no-such-name", 20),
        ("proxy good.test 443 allowed -", 20),
        ("proxy good.test 80 allowed -", 60),
        ("socks .evil.test 443 denied host-not-allowed", 20),
        ("socks good.test 5432 allowed -", 20),
    ];
    let want: BTreeMap<String, u64> =
        want.into_iter().map(|(key, n)| (key.to_owned(), n)).collect();
    assert_eq!(found, want);
    assert_eq!(want.values().sum::<u64>(), 340);
    // What it carried is in it: of three requests on a connection each is one.
    let kept = net
        .events("connection")
        .into_iter()
        .filter(|one| one["way"] == "proxy" && one["port"] == 80);
    let kept: Vec<_> = kept.filter(|one| one["verdict"] == "allowed").collect();
    assert!(kept.iter().all(|one| one["sent"].as_u64() > Some(30)), "{kept:?}");
    assert_eq!(net.settled().requests.iter().filter(|one| one.target == "/").count(), 80);
}

/// A program that asks again and again fills no log, and none of it is lost.
#[test]
fn refusals_alike_are_summed() {
    let Some(net) = Internet::take() else { return };
    let act = "for i in range(57):\n    assert connect(b'evil.test:443') == 403\n\
         for i in range(23): assert connect(b'evil.test:22') == 403\n\
         for i in range(20): assert connect(b'other.evil.test:443') == 403\n\
         for i in range(45):\n    try: socket.getaddrinfo('evil.test', 443, socket.AF_INET); raise SystemExit(1)\n    except socket.gaierror: pass";
    net.asks_inside(POLICY, act).works("refused");
    let rows = net.connections("evil.test");
    let row =
        |way: &str, port: u16, times: u64| format!("{way} {port} denied host-not-allowed {times}");
    let count = |row: &str| rows.iter().filter(|one| *one == row).count();
    for (way, port, all) in [("proxy", 443, 57), ("proxy", 22, 23), ("lookup", 0, 45)] {
        assert_eq!(count(&row(way, port, 1)), 20, "{rows:?}");
        assert_eq!(count(&row(way, port, all - 20)), 1, "{rows:?}");
    }
    assert_eq!(rows.len(), 63, "{rows:?}");
    assert_eq!(net.connections("other.evil.test"), vec![row("proxy", 443, 1); 20], "none is left");
    assert_eq!(net.evil(), 0);
}

/// Python: `name(text)` makes a file; `wait(name)` waits for one.
const SIGNS: &str = r"
import os, time
def sign(name, text=''): open(name + '.new', 'w').write(text); os.rename(name + '.new', name)
def wait(name):
    for _ in range(900):
        if os.path.exists(name): return
        time.sleep(.01)
    raise SystemExit('no ' + name)
def by(): return connect(b'good.test:5432')
";

fn sign(net: &Internet, name: &str) {
    net.place.write(&format!("home/src/app/{name}"), "");
}

fn wait(net: &Internet, name: &str) -> String {
    let path = net.place.work.join(name);
    let until = Instant::now() + Duration::from_secs(15);
    while !path.exists() {
        assert!(Instant::now() < until, "no {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::read_to_string(path).unwrap()
}

fn asks(options: &[&str], net: &Internet, act: &str) -> std::process::Child {
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let mut command = net.command_within(25, programs().join("cofferdam"));
    command.args(["run", "--policy", &policy]).args(options);
    let body = crate::asking::body(crate::asking::GATEWAY, &format!("{SIGNS}{act}"));
    command.args(["--", "/usr/bin/python3", "-c", &crate::support::python(&body)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// An engine that is stopped gives no places: what was given is used up, then connections wait, and
/// are refused. When it goes on, no place is lost.
#[test]
fn a_stopped_engine_lets_nothing_through() {
    let Some(net) = Internet::take() else { return };
    let act = r"
assert by() == 200
sign('begun'); wait('stopped')
served, began, took = [], time.time(), 0
while (now := by()) == 200: served.append(now)
took = time.time() - began
began = time.time(); last = by()
sign('dry', f'{len(served)} {now} {last} {took > .9} {time.time() - began > .9}')
began = time.time(); late = by()
sign('late', f'{late} {time.time() - began < 1.5}')
held = [ask(b'CONNECT good.test:5432 HTTP/1.1\r\nHost: good.test:5432\r\n\r\n') for _ in range(200)]
assert all(b' 200 ' in answer for answer, _ in held)
for _, s in held: s.close()
assert [by() for _ in range(100)] == [200] * 100
sign('whole')
";
    let engine = asks(&[], &net, act);
    wait(&net, "begun");
    std::thread::sleep(Duration::from_millis(100));
    let pid = below(engine.id(), "/cofferdam").expect("an engine").to_string();
    net.outside(&["kill", "-STOP", &pid]).works("it is stopped");
    net.forget();
    sign(&net, "stopped");
    let dry = wait(&net, "dry");
    let served: usize = dry.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=32).contains(&served) && dry.ends_with(" 503 503 True True"), "{dry}");
    std::thread::sleep(Duration::from_millis(200));
    net.outside(&["kill", "-CONT", &pid]).works("it goes on");
    assert_eq!(wait(&net, "late"), "200 True", "who waits is let through");
    wait(&net, "whole");
    let output = engine.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let allowed = net.events("connection").iter().filter(|one| one["verdict"] == "allowed").count();
    assert_eq!(allowed, 1 + served + 1 + 200 + 100);
    let reached = net.settled().connections.iter().filter(|one| one.server == "echo").count();
    assert_eq!(reached, served + 1 + 200 + 100, "nobody else was dialled");
}

/// A full disk: what is on record stays, connections are refused until there is room, and the run
/// says so.
#[test]
fn a_full_disk_lets_nothing_through() {
    let Some(net) = Internet::take() else { return };
    if !is_root() {
        println!("not run: a full disk: mounting a small one takes root");
        return;
    }
    let disk = net.place.root.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let disk = disk.display().to_string();
    net.outside(&["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "none", &disk]).works("a disk");
    let act = r"
assert by() == 200
sign('begun'); wait('full')
served = 0
while served < 3000 and (now := by()) == 200: served += 1
answer = ask(b'CONNECT good.test:5432 HTTP/1.1\r\nHost: good.test:5432\r\n\r\n')[0]
assert b'X-Cofferdam: no-record\r\n' in answer, answer
assert tls(('good.test', 443), hello('good.test')) == 21
sign('dry', f'{served} {now}'); wait('room')
assert [by() for _ in range(50)] == [200] * 50
";
    let audit = format!("{disk}/audit.jsonl");
    let engine = asks(&["--audit", &audit], &net, act);
    wait(&net, "begun");
    let fill = format!("cat /dev/zero >{disk}/fill; test -s {disk}/fill");
    net.outside(&["sh", "-c", &fill]).works("the disk is full");
    net.forget();
    sign(&net, "full");
    let dry = wait(&net, "dry");
    let served: usize = dry.split(' ').next().unwrap().parse().unwrap();
    assert!(dry.ends_with(" 503") && served > 0, "{dry}");
    let reached = net.settled().connections.iter().filter(|one| one.server == "echo").count();
    assert_eq!(reached, served, "nobody was dialled beyond");
    let records = |net: &Internet| {
        let text = net.outside(&["cat", &audit]).works("the log").out;
        text.lines().filter(|one| one.contains("\"verdict\":\"allowed\"")).count()
    };
    assert_eq!(records(&net), 1 + served, "each is on record");
    net.outside(&["rm", &format!("{disk}/fill")]).works("room");
    sign(&net, "room");
    let output = engine.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("[no-record]"), "the run says so: {said}");
    assert_eq!(records(&net), 1 + served + 50);
    let mut verify = net.command(programs().join("cofferdam"));
    finish(verify.args(["audit", "verify", &audit])).works("and it is whole");
    net.outside(&["umount", &disk]).works("the disk goes");
}

/// What is refused while there is no room is refused by the policy's reason, without a connection.
#[test]
fn a_run_that_cannot_record_its_first_event_opens_nothing() {
    let Some(net) = Internet::take() else { return };
    let act = "import socket\nsocket.create_connection(('good.test', 5432), 5).sendall(b'x')";
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    net.python_outside(act).works("without a wall");
    net.forget();
    let none = &["--policy", &policy, "--audit", "/dev/full"];
    let mut command = net.cofferdam(none);
    let ran = finish(command.args(["/usr/bin/python3", "-c", act]));
    assert_eq!(ran.status, Some(125), "{ran:?}");
    assert_eq!((net.seen().packets, net.hits(EVIL)), (vec![], 0));
    net.python_inside(POLICY, act).works("with a log");
}
