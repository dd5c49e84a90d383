//! S39: how much one workload can take inside of TLS, and that another sandbox does not notice.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::asking::below;
use crate::internet::Internet;
use crate::looking::{DIRECT, Way, rule};
use crate::support::{finish, programs};
use crate::transfers::resident;

/// Resident memory of a gateway with thousands of connections before it. KiB.
const RESIDENT_KIB_MAX: u64 = 96 << 10;
/// How much slower another sandbox may be.
const SLOWER_MAX: f64 = 1.5;
/// How often both are measured, in turn.
const ROUNDS: usize = 5;

/// Python that speaks in a sandbox, and does as it is told, a line each.
struct Told {
    engine: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Told {
    fn begin(net: &Internet, name: &str, rules: &str, (_, before): Way, act: &str) -> Self {
        // Policies of their own: one is still being read while the next is written.
        let policy = net.place.write(&format!("{name}.toml"), &net.policy(rules));
        let script = net.speaking(&format!("{name}.py"), act);
        let mut command = net.command_within(90, programs().join("cofferdam"));
        command.args(["run", "--quiet", "--policy"]).arg(policy).args(["--", "sh", "-c"]);
        command.arg(format!("{before}ulimit -n $(ulimit -Hn); exec {script}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut engine = command.spawn().unwrap();
        let to = engine.stdin.take().unwrap();
        let from = BufReader::new(engine.stdout.take().unwrap());
        Self { engine, to, from }
    }

    fn tell(&mut self, word: &str) -> String {
        writeln!(self.to, "{word}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{word}: it has ended: {:?}", self.engine.try_wait());
        line.trim().to_owned()
    }

    fn end(mut self) {
        drop(self.to);
        assert!(self.engine.wait().unwrap().success());
    }
}

/// Five thousand tunnels on which nothing is said, as many as may be at a time and the others waiting,
/// and two hundred heads that come byte by byte.
const FLOODS: &str = r"
held, go = [], threading.Event()
def drip():
    head = get('/slow')[:-2] + b'X: ' + b'x' * 4000
    at = 0
    while True:
        time.sleep(.2)
        if not go.is_set(): at = 0; continue
        for s in slow:
            try: s.send(head[at:at + 1])
            except (OSError, ssl.SSLError): pass
        at += 1
slow = []
threading.Thread(target=drip, daemon=True).start()
for line in sys.stdin:
    if line.strip() == 'flood':
        # Before all places are taken.
        slow = [open_tls() for _ in range(200)]
        for i in range(5000):
            s = socket.socket(); s.setblocking(False); s.connect_ex(('198.18.0.1', 3128)); held.append(s)
            if i % 250 == 249: time.sleep(.02)
        time.sleep(.3)
        for s in held:
            try: s.send(b'CONNECT new.test:5432 HTTP/1.1\r\nHost: new.test:5432\r\n\r\n')
            except OSError: pass
        go.set(); time.sleep(.5); print(len(held), flush=True)
    else:
        go.clear()
        for s in held + slow: s.close()
        held, slow = [], []
        time.sleep(.3); print('calm', flush=True)
";

/// The median of requests on one connection, and of requests on one each. Milliseconds.
const MEASURES: &str = r"
import statistics
for line in sys.stdin:
    s = open_tls(); k = Kept(s); kept = []
    for i in range(300):
        began = time.perf_counter(); s.sendall(get('/x')); assert answer(k)[0] == 200
        kept.append(time.perf_counter() - began)
    new = []
    for i in range(40):
        began = time.perf_counter(); assert ask(get('/x'))[0] == 200
        new.append(time.perf_counter() - began)
    print(statistics.median(kept) * 1e3, statistics.median(new) * 1e3, flush=True)
";

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn five_thousand_idle_tunnels_slow_nobody_else() {
    let Some(net) = Internet::take() else { return };
    let looks = rule("inspect = 'always'");
    let floods =
        format!("{looks}[[network.allow]]\nhost = 'new.test'\nports = [5432]\nprotocol = 'tcp'\n");
    let mut flood = Told::begin(&net, "floods", &floods, DIRECT, FLOODS);
    let mut other = Told::begin(&net, "other", &looks, DIRECT, MEASURES);
    let mut measured = || {
        let line = other.tell("measure");
        let pair = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        (pair.0.parse::<f64>().unwrap(), pair.1.parse::<f64>().unwrap())
    };
    measured();
    let (mut kept, mut new) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let calm = measured();
        assert_eq!(flood.tell("flood"), "5000");
        let flooded = measured();
        let gateway = below(flood.engine.id(), "cofferdam-gateway").expect("a gateway");
        let kib = resident(gateway);
        assert!((1..RESIDENT_KIB_MAX).contains(&kib), "{kib} KiB");
        assert_eq!(flood.tell("calm"), "calm");
        kept.push(flooded.0 / calm.0);
        new.push(flooded.1 / calm.1);
    }
    println!(
        "another sandbox beside 5,000 idle tunnels: a request {kept:.2?}, a connection {new:.2?}"
    );
    assert!(median(&kept) <= SLOWER_MAX && median(&new) <= SLOWER_MAX, "{kept:?} {new:?}");
    other.end();
    flood.end();
    finish(&mut net.command("true")).works("and HOST is well");
}

/// Heads and bodies without end, in TLS: bounds hold, and whoever comes is served.
const ENDLESS: &str = r"
def end(first, piece, times):
    s = open_tls()
    try:
        s.sendall(first)
        for _ in range(times): s.sendall(piece)
    except (ConnectionError, ssl.SSLError): pass
    return answer(s)[0]
start = get('/x')[:-2]
assert end(start, b'a: ' + b'x' * 1000 + b'\r\n', 200) in (431, 0), 'many fields'
assert end(start + b'a: ', b'x' * 1000, 200) in (431, 0), 'one field without end'
assert end(b'GET /', b'x' * 1000, 200) in (414, 431, 0), 'a target without end'
post = get('/sink', method='POST', more='Transfer-Encoding: chunked\r\n')
assert end(post, b'10000\r\n' + b'x' * 65536 + b'\r\n', 64) in (413, 0), 'a body without end'
assert two('/x', more=[('x' + str(i), 'y' * 1000) for i in range(200)])[0] in (431, 0), 'many fields of HTTP/2'
assert ask(get('/twin'))[0] == 200
began = time.time(); s = open_tls(); s.sendall(b'GET /x HTTP/1.1\r\n'); s.settimeout(20)
try: out = s.recv(99)
except (ConnectionError, ssl.SSLError): out = b''
took = time.time() - began
assert 8 < took < 13, ('a head that does not come', took, out)
";

#[test]
fn s39_nothing_goes_on_without_end() {
    let Some(net) = Internet::take() else { return };
    // A server that has patience takes them; the bounds are ours.
    let patient = "assert ask(get('/x', more='a: ' + 'x' * 60000 + '\\r\\n'))[0] == 200";
    net.speaks_outside(patient).works("without a wall");
    net.forget();
    net.speaks(&rule("max_request_bytes = 1000000"), DIRECT, ENDLESS).works("inside");
    let whole: Vec<_> = net.asked().into_iter().filter(|one| one.target != "/twin").collect();
    assert!(whole.is_empty(), "{whole:?}");
}
