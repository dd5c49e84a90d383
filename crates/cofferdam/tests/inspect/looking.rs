//! What rows share: a policy that believes the authority of our internet, a sandbox with what cofferdam
//! gives it to believe, and the requests that are on record.

use std::process::Command;

use serde_json::Value;

use crate::internet::{Internet, NEW, Request};
use crate::support::{Ran, finish, programs, python};

/// Variables that send a client to a proxy; none of them is needed.
pub(crate) const WITHOUT: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NODE_USE_ENV_PROXY grpc_proxy; ";
/// Both ways a client has: how the log names it, and what comes before its script.
pub(crate) const WAYS: [(&str, &str); 2] = [("proxy", ""), ("direct", WITHOUT)];
/// A rule that looks at every request and asks nothing of it.
pub(crate) const LOOKS: &str = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n\
     [[network.allow]]\nhost = '*.new.test'\ninspect = 'always'\n";

/// Python: `open_tls(name, alpn)` gives a socket with TLS to `name` inside, by the proxy where the
/// variables say so; `say(s, bytes)` what comes back until the end, `until`, or two seconds' silence.
const SPEAKING: &str = r"
import os, re, socket, ssl, struct, time
def open_tcp(name, port=443):
    proxy = re.match('http://([^:]*):([0-9]*)', os.environ.get('https_proxy') or os.environ.get('HTTPS_PROXY') or '')
    if not proxy: return socket.create_connection((name, port), 5)
    s = socket.create_connection((proxy[1], int(proxy[2])), 5); s.settimeout(5)
    s.sendall(f'CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n'.encode())
    head = b''
    while b'\r\n\r\n' not in head:
        part = s.recv(1)
        if not part: break
        head += part
    assert b' 200 ' in head, head
    return s
def open_tls(name, alpn=('http/1.1',), sni=None, port=443):
    context = ssl.create_default_context()
    if alpn: context.set_alpn_protocols(list(alpn))
    if sni is not None: context.check_hostname = False
    s = context.wrap_socket(open_tcp(name, port), server_hostname=sni or name)
    s.settimeout(5); return s
def say(s, data, until=None, quiet=2):
    s.settimeout(quiet); out = b''
    try:
        if data: s.sendall(data)
        while until is None or until not in out:
            part = s.recv(65536)
            if not part: return out, True
            out += part
    except TimeoutError: return out, False
    except (ConnectionError, ssl.SSLError): return out, True
    return out, False
def status(out): return int(out.split()[1]) if out.startswith(b'HTTP/1.1 ') else 0
def get(path, host='new.test', more=b'', method='GET'):
    return f'{method} {path} HTTP/1.1\r\nHost: {host}\r\n'.encode() + more + b'\r\n'
def ask(data, name='new.test', until=None):
    s = open_tls(name); out, closed = say(s, data, until); s.close(); return out, closed
";

/// A request on record: way, host, version, method, path, status, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told(pub(crate) String);

impl Told {
    fn of(event: &Value) -> Option<Self> {
        let request = event.get("request").filter(|request| request.is_object())?;
        let word = |from: &Value, key: &str| from[key].as_str().unwrap_or("-").to_owned();
        let version = word(request, "version");
        let version = if version.contains('2') { "h2" } else { "h1" };
        let came = if event["code"].is_null() { "verdict" } else { "code" };
        let status = request["status"].as_u64().map_or("-".to_owned(), |status| status.to_string());
        Some(Self(format!(
            "{} {} {version} {} {} {status} {}",
            word(event, "way"),
            word(event, "host"),
            word(request, "method"),
            word(request, "path"),
            word(event, came)
        )))
    }
}

impl Internet {
    /// `rules` below a policy that believes the authority of this internet.
    pub(crate) fn policy(&self, rules: &str) -> String {
        let authority = self.place.read("home/src/app/ca.pem");
        let file = self.place.write("believed/ca.pem", &authority);
        format!("version = 1\n[network]\ntrust_ca = ['{}']\n{rules}", file.display())
    }

    /// `cofferdam run` under rules, with nothing from outside that says whom to believe.
    pub(crate) fn looks(&self, seconds: u32, rules: &str) -> Command {
        let policy = self.place.write("policy.toml", &self.policy(rules)).display().to_string();
        let mut command = self.command_within(seconds, programs().join("cofferdam"));
        command.args(["run", "--quiet", "--env", "W", "--policy", &policy, "--"]);
        command
    }

    /// Runs a script under rules: with the proxy's variables, or without them.
    pub(crate) fn scripted(&self, rules: &str, (_, before): (&str, &str), script: &str) -> Ran {
        finish(self.looks(40, rules).args(["sh", "-c", &format!("{before}{script}")]))
    }

    /// Runs Python that speaks, under rules, one way.
    pub(crate) fn speaks(&self, rules: &str, way: (&str, &str), act: &str) -> Ran {
        self.place.write("home/src/app/act.py", &python(&format!("{SPEAKING}{act}")));
        self.scripted(rules, way, "exec /usr/bin/python3 act.py")
    }

    /// The same without any wall, and by no proxy.
    pub(crate) fn speaks_outside(&self, act: &str) -> Ran {
        self.python_outside(&format!("{SPEAKING}{act}"))
    }

    /// Requests on record, sorted, of the runs that `run` makes.
    pub(crate) fn on_record(&self, run: impl FnOnce() -> Ran) -> (Ran, Vec<String>) {
        let before = self.events("connection").len();
        let ran = run();
        let events = self.events("connection").split_off(before);
        let mut told: Vec<String> = events.iter().filter_map(Told::of).map(|one| one.0).collect();
        told.sort();
        (ran, told)
    }

    /// Runs it, and compares the requests on record with `told`: each once, and no other.
    #[track_caller]
    pub(crate) fn records(&self, told: &[&str], run: impl FnOnce() -> Ran) -> Ran {
        let (ran, found) = self.on_record(run);
        let mut want: Vec<String> = told.iter().map(|one| (*one).to_owned()).collect();
        want.sort();
        assert_eq!(found, want, "requests on record: {ran:?}: {:?}", self.events("connection"));
        ran
    }

    /// Requests that NEW has read since it was last forgotten.
    pub(crate) fn asked(&self) -> Vec<Request> {
        let seen = self.settled();
        seen.requests.into_iter().filter(|one| one.to.ip().to_string() == NEW).collect()
    }

    /// Targets of them.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|one| one.target).collect()
    }
}
