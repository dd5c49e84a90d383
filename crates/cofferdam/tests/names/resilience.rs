//! Who has given up: a connection of which nobody waits for the rest keeps no place.

use std::process::Stdio;

use crate::asking::{GATEWAY, body, line};
use crate::internet::Internet;

/// A host that takes requests and never answers; it tells when the other side has ended each.
const SILENT: &str = r"
import socket, threading, time
l = socket.create_server(('127.0.0.1', 0)); print(l.getsockname()[1], flush=True)
def wait(c):
    c.settimeout(30); began = time.time(); name = b''
    while b'\r\n\r\n' not in name: name += c.recv(4096)
    try: c.recv(1)
    except OSError: pass
    print(name.split()[1].decode(), int(time.time() - began), flush=True)
for _ in range(3): threading.Thread(target=wait, args=(l.accept()[0],)).start()
";

/// The same request three times: by somebody who goes away, who only has no more to ask, and who waits.
const ASK: &str = r"
import time
def ask(path):
    s = socket.create_connection((PROXY, 3128), 5); s.settimeout(20)
    s.sendall(b'GET http://silent.good.test' + path + b' HTTP/1.1\r\nHost: silent.good.test\r\n\r\n')
    return s
gone, half, waits = ask(b'/gone'), ask(b'/half'), ask(b'/waits')
gone.close(); half.shutdown(socket.SHUT_WR); began = time.time()
assert half.recv(1) == b'' and 8 < time.time() - began < 14, time.time() - began
waits.settimeout(3)
try: waits.recv(1); assert False, 'it was ended too'
except TimeoutError: pass
";

#[test]
fn who_has_given_up_keeps_no_place() {
    let Some(net) = Internet::take() else { return };
    let mut server = net.command_within(40, "python3");
    let mut server = server.args(["-c", SILENT]).stdout(Stdio::piped()).spawn().unwrap();
    let port = line(&mut server).trim().to_owned();
    let policy = format!(
        "version = 1\n[[network.allow]]\nhost = 'silent.good.test'\nports = [80]\n\
         dial = '127.0.0.1:{port}'\n"
    );
    let policy = net.place.write("policy.toml", &policy).display().to_string();
    let mut run = net.command_within(40, crate::support::programs().join("cofferdam"));
    run.args(["run", "--quiet", "--policy", &policy, "--", "/usr/bin/python3", "-c"]);
    let ran = crate::support::finish(run.arg(crate::support::python(&body(GATEWAY, ASK))));
    ran.works("the one that waits goes on, the others end");
    let mut ended: Vec<String> = (0..3).map(|_| line(&mut server).trim().to_owned()).collect();
    ended.sort();
    server.wait().unwrap();
    for (row, path) in ended.iter().zip(["/gone", "/half", "/waits"]) {
        let (at, seconds) = row.split_once(' ').unwrap();
        let seconds: u32 = seconds.parse().unwrap();
        assert_eq!(at, path, "{ended:?}");
        assert!((8..15).contains(&seconds), "{ended:?}: the last ends with its command");
    }
    assert_eq!(net.connections("silent.good.test").len(), 3, "each on record");
}
