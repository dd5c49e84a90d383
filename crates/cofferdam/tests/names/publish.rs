//! Servers of the workload's that the host's loopback reaches, and nobody else.

use std::io::Write;
use std::process::{Child, Stdio};

use crate::asking::{POLICY, line};
use crate::internet::{EVIL, HOST, HOST_PRIVATE, Internet};
use crate::support::finish;

/// A server on port 8000 that answers each line with itself; `h` ends its own side first and then
/// reads slowly, until the end, which it notes. It ends with its input.
const SERVER: &str = "import os, socket, sys, threading, time\n\
     def serve(s):\n\
     \x20   f = s.makefile('rb')\n\
     \x20   first = f.readline()\n\
     \x20   if first != b'h\\n': s.sendall(first); s.close(); f.close(); return\n\
     \x20   s.shutdown(1); size = 0\n\
     \x20   while (data := f.read(65536)): size += len(data); time.sleep(.002)\n\
     \x20   open('size', 'w').write(str(size))\n\
     server = socket.create_server(('127.0.0.1', 8000), backlog=256)\n\
     def accept():\n\
     \x20   while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()\n\
     threading.Thread(target=accept, daemon=True).start()\n\
     print('ready', flush=True); sys.stdin.readline(); os._exit(0)";

/// Python: `turn(n)` says a line to the published server and hears it again.
const TURN: &str = "import socket, threading\n\
     def turn(n, at='127.0.0.1'):\n\
     \x20   s = socket.create_connection((at, 18000), 8); s.settimeout(8)\n\
     \x20   s.sendall(b'%d\\n' % n)\n\
     \x20   assert s.makefile('rb').read() == b'%d\\n' % n, n\n";

fn serve(net: &Internet, options: &[&str]) -> Child {
    serve_with(net, options, SERVER)
}

fn serve_with(net: &Internet, options: &[&str], server: &str) -> Child {
    let mut command = net.command_within(25, crate::support::programs().join("cofferdam"));
    command.args(["run", "--quiet"]).args(options);
    command.args(["--", "/usr/bin/python3", "-c", server]);
    let mut engine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(&mut engine), "ready\n");
    engine
}

fn end(mut engine: Child) {
    drop(engine.stdin.take().unwrap().write_all(b"end\n"));
    assert!(engine.wait().unwrap().success());
}

#[test]
fn the_hosts_loopback_reaches_it_and_nobody_else() {
    let Some(net) = Internet::take() else { return };
    let turn = format!("{TURN}turn(1)");
    let engine = serve(&net, &[]);
    net.python_outside(&turn).fails(&["ECONNREFUSED"], "not published");
    end(engine);
    let engine = serve(&net, &["--publish", "8000:18000"]);
    net.python_outside(&turn).works("published");
    for at in [HOST, HOST_PRIVATE, "::1", "127.0.0.2"] {
        net.python_outside(&format!("{TURN}turn(1, '{at}')")).fails(&["ECONNREFUSED"], at);
    }
    end(engine);
    net.python_outside(&turn).fails(&["ECONNREFUSED"], "it ends with the sandbox");
    assert_eq!(net.connections("127.0.0.1"), ["published 8000 allowed - 1"]);
    let event = &net.events("connection")[0];
    assert_eq!((&event["sent"], &event["received"]), (&2.into(), &2.into()), "{event}");
    assert_eq!(event["address"], "127.0.0.1:18000", "{event}");
}

#[test]
fn many_callers_one_after_the_other_and_at_a_time() {
    let Some(net) = Internet::take() else { return };
    let engine = serve(&net, &["--publish", "8000:18000"]);
    let act = "for i in range(200): turn(i)\n\
         failed = []\n\
         def one(n):\n\
         \x20   try: turn(n)\n\
         \x20   except Exception as e: failed.append((n, e))\n\
         for many in (64, 150):\n\
         \x20   all = [threading.Thread(target=one, args=(n,)) for n in range(many)]\n\
         \x20   for t in all: t.start()\n\
         \x20   for t in all: t.join()\n\
         assert failed == [], failed";
    net.python_outside(&format!("{TURN}{act}")).works("414 callers");
    end(engine);
    let rows = net.connections("127.0.0.1");
    assert_eq!(rows, vec!["published 8000 allowed - 1"; 414]);
}

/// 64 that are open at a time do not keep the next from waiting, and a slow server gets all.
#[test]
fn nothing_that_was_sent_is_lost() {
    let Some(net) = Internet::take() else { return };
    let engine = serve(&net, &["--publish", "8000:18000", "--allow", "*.good.test:5432/tcp"]);
    let act = "s = socket.create_connection(('127.0.0.1', 18000), 5); s.settimeout(8)\n\
         s.sendall(b'h\\n'); assert s.recv(1) == b''\n\
         s.sendall(b'x' * (4 << 20)); s.close()\n\
         # What is open keeps a way each; they end, and the next has one.\n\
         held = [socket.create_connection(('127.0.0.1', 18000), 5) for _ in range(63)]\n\
         waits = threading.Thread(target=turn, args=(7,)); waits.start()\n\
         for one in held: one.close()\n\
         waits.join(); turn(8)";
    net.python_outside(&format!("{TURN}{act}")).works("a slow server");
    let size = net.place.work.join("size");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(8);
    while !size.exists() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    end(engine);
    assert_eq!(net.place.read("home/src/app/size"), (4 << 20).to_string());
}

/// A published port opens a way in, and none out.
#[test]
fn the_way_out_stays_closed() {
    let Some(net) = Internet::take() else { return };
    let options = ["--publish", "8000:18000"];
    let act = format!(
        "import socket\nfor at in (('{EVIL}', 80), ('{HOST}', 8000), ('198.18.0.1', 3128), ('198.18.0.1', 53)):\n    \
         s = socket.socket(); s.settimeout(3); assert s.connect_ex(at) != 0, at\n\
         try: socket.getaddrinfo('good.test', 80); raise SystemExit('resolved')\n\
         except socket.gaierror: pass"
    );
    finish(net.cofferdam(&options).args(["/usr/bin/python3", "-c", &act])).works("all closed");
    assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]));
    let open = net.place.write("policy.toml", POLICY).display().to_string();
    let twin = &["--policy", &open, "--publish", "8000:18000"];
    let get = ["curl", "-sS", "--fail", "http://good.test/"];
    finish(net.cofferdam(twin).args(get)).works("but where a rule opens it");
}

#[test]
fn a_port_that_is_taken_is_a_refusal() {
    let Some(net) = Internet::take() else { return };
    // HOST has a server there.
    let ran = finish(net.cofferdam(&["--publish", "8000:8080"]).args(["touch", "ran"]));
    ran.refused("127.0.0.1:8080", "it is taken");
    assert!(!net.place.work.join("ran").exists(), "nothing ran");
    assert_eq!((net.events("refusal").len(), net.events("ready").len()), (1, 0));
    finish(net.cofferdam(&["--publish", "8000:18080"]).args(["touch", "ran"])).works("a free one");
}

#[test]
fn a_server_that_nobody_runs_is_told() {
    let Some(net) = Internet::take() else { return };
    let mut command = net.cofferdam(&["--publish", "8001:18000"]);
    command.args(["sh", "-c", "echo ready; read end; true"]);
    let mut engine = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(&mut engine), "ready\n");
    let ran = net.python_outside(&format!("{TURN}for i in range(70):\n    try: turn(1)\n    except ConnectionResetError: pass\n    else: raise SystemExit('served')"));
    ran.works("each is reset");
    end(engine);
    assert_eq!(net.connections("127.0.0.1"), vec!["published 8001 failed refused 1"; 70]);
}

/// Some programs take `localhost` for ::1 alone.
#[test]
fn a_server_on_the_other_loopback_is_reached() {
    let Some(net) = Internet::take() else { return };
    let server = SERVER.replace("('127.0.0.1', 8000)", "('::1', 8000), family=socket.AF_INET6");
    let engine = serve_with(&net, &["--publish", "8000:18000"], &server);
    net.python_outside(&format!("{TURN}for i in range(150): turn(i)")).works("by IPv4 outside");
    end(engine);
    assert_eq!(net.connections("127.0.0.1"), vec!["published 8000 allowed - 1"; 150]);
}
