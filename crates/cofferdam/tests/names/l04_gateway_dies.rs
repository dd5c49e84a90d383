//! L04: when the gateway dies, so does every way out, and nothing takes its place.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::asking::{POLICY, below, line};
use crate::internet::Internet;

/// A stream, then all ways out after it has ended: each word is one that was refused.
const ACT: &str = "import socket, subprocess, sys\n\
     s = socket.create_connection(('good.test', 5432), 5); s.settimeout(5)\n\
     s.sendall(b'one'); assert s.recv(9) == b'one'; at_name = s.getpeername()\n\
     print('streams', flush=True)\n\
     try:\n\
     \x20   end = s.recv(9)\n\
     \x20   assert end == b'', end\n\
     except ConnectionResetError: pass\n\
     print('ended', flush=True); sys.stdin.readline()\n\
     ways = [('198.18.0.1', 3128), ('198.18.0.1', 1080), ('198.18.0.1', 53), ('198.18.0.1', 443), ('93.184.216.34', 80), at_name]\n\
     for at in ways:\n\
     \x20   family = socket.AF_INET6 if ':' in at[0] else socket.AF_INET\n\
     \x20   assert socket.socket(family).connect_ex(at) == 111, at\n\
     u = socket.socket(2, 2); u.settimeout(3); u.connect(('198.18.0.1', 53))\n\
     try:\n\
     \x20   u.send(b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4good\\4test\\0\\0\\1\\0\\1'); u.recv(9); sys.exit('answered')\n\
     except ConnectionRefusedError: pass\n\
     try: socket.getaddrinfo('good.test', 443); sys.exit('resolved')\n\
     except socket.gaierror: pass\n\
     for words in (['http://good.test/'], ['--noproxy', '*', 'http://good.test/'], ['-6', 'http://good.test/']):\n\
     \x20   assert subprocess.run(['curl', '-sS', '--max-time', '3', *words]).returncode != 0\n\
     print('refused', flush=True)";

#[test]
fn a_dead_gateway_is_no_way_out() {
    let Some(net) = Internet::take() else { return };
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let mut command = net.cofferdam(&["--policy", &policy]);
    command.args(["/usr/bin/python3", "-c", ACT]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut engine = command.spawn().unwrap();
    assert_eq!(line(&mut engine), "streams\n");
    let gateway = below(engine.id(), "cofferdam-gateway").expect("a gateway below the engine");
    net.outside(&["kill", "-9", &gateway.to_string()]).works("its end");
    assert_eq!(line(&mut engine), "ended\n");
    // Its sockets are closed one after the other.
    let until = Instant::now() + Duration::from_secs(5);
    while below(engine.id(), "cofferdam-gateway").is_some() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    net.forget();
    drop(engine.stdin.take().unwrap().write_all(b"go\n"));
    let refused = line(&mut engine);
    let output = engine.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(refused, "refused\n", "{said}");
    assert_eq!(output.status.code(), Some(0), "the workload goes on without: {said}");
    assert!(said.contains("[gateway-gone]"), "{said}");
    assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]));
    assert_eq!((net.events("gateway-gone").len(), net.events("exit").len()), (1, 1));
    assert_eq!(net.events("connection"), Vec::<serde_json::Value>::new(), "its event died with it");
    net.inside(POLICY, &["curl", "-sS", "http://good.test/"]).works("another sandbox has its own");
}

/// A gateway that somebody stops holds the workload, not the engine.
#[test]
fn a_stopped_gateway_holds_nobody_at_the_end() {
    let Some(net) = Internet::take() else { return };
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let mut command = net.cofferdam(&["--policy", &policy]);
    command.args(["sh", "-c", "curl -sS -o /dev/null http://good.test/; echo ready; read end"]);
    let mut engine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(&mut engine), "ready\n");
    let gateway = below(engine.id(), "cofferdam-gateway").expect("a gateway below the engine");
    net.outside(&["kill", "-STOP", &gateway.to_string()]).works("it is stopped");
    drop(engine.stdin.take().unwrap().write_all(b"end\n"));
    let began = Instant::now();
    assert!(engine.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(net.connections("good.test"), ["proxy 80 allowed - 1"], "what it said is on record");
    assert_eq!(net.events("exit").len(), 1);
}
