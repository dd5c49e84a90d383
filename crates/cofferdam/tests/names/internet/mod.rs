//! A small internet of our own: HOST, where tests run commands, and NET, where every address
//! answers and everything is logged. No packet leaves the machine; no service of it is used.
//!
//! HOST has a loopback, one public and one private address with servers that nobody inside may
//! reach, and a resolver that asks NET. One internet serves a whole test program; who takes it has
//! it alone, with nothing seen so far.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test program uses a part of it, starts programs, and panics are how tests fail"
)]

mod dns;
mod http;
mod log;
mod modern;
mod pattern;
mod registries;
mod servers;
mod start;
mod tap;
mod websocket;

use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use log::{Connection, Packet, Query, Request, Seen};
pub use pattern::{Pattern, sha256};

use crate::support::{Place, Ran, finish, is_root, programs, python};
use log::Ask;

/// Whom a policy of a test allows: `good.test`, `*.good.test`, `wide.test`, `*.wide.test`.
pub const GOOD: &str = "93.184.216.34";
pub const GOOD_6: &str = "2606:2800:220:1::34";
/// Whom none allows: `evil.test`, `*.evil.test`.
pub const EVIL: &str = "203.0.114.66";
pub const EVIL_6: &str = "2606:2800:220:1::66";
/// `other.test`.
pub const OTHER: &str = "93.184.216.35";
/// `new.test`, `*.new.test`, `one.test`, `two.test`, and hosts that nobody is to believe: modern.rs.
pub const NEW: &str = "93.184.216.60";
/// `proxy.test`: an HTTP proxy on 3128, a SOCKS5 proxy on 1080.
pub const PROXY: &str = "93.184.216.99";
/// The name servers of HOST.
pub const DNS: &str = "93.184.215.53";
pub const DNS_6: &str = "2606:2800:220:1::53";
/// HOST's own addresses: on the internet, in a private network.
pub const HOST: &str = "93.184.217.2";
pub const HOST_6: &str = "2606:2800:220:2::2";
pub const HOST_PRIVATE: &str = "192.168.77.2";

/// How long a command may take before it is killed, in seconds: then it has no status.
pub const WATCHDOG_SECONDS: u32 = 40;
/// Where commands are found: nothing of the environment of the test reaches them.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// Variables that name the authority to trust.
pub const TRUST_VARIABLES: &[&str] = &[
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
];

/// HOST, NET, and the program that takes TLS off.
const PROCESSES: usize = 3;

static RUNNING: OnceLock<Result<start::Running, String>> = OnceLock::new();
static ALONE: Mutex<()> = Mutex::new(());

/// The internet of this test program, for one test at a time.
#[derive(Debug)]
pub struct Internet {
    /// Home and workspace of this test; `ca.pem` in the workspace is the authority.
    pub place: Place,
    folder: PathBuf,
    host: u32,
    _alone: MutexGuard<'static, ()>,
}

impl Internet {
    /// Takes it, and brings it up if it is not; says so and gives none where it cannot be.
    pub fn take() -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let running = RUNNING.get_or_init(|| match start::why_not() {
            Some(why) => Err(why),
            None => Ok(start::up()),
        });
        let running = match running {
            Ok(running) => running,
            Err(why) => {
                println!("not run: names through a gateway: {why}");
                return None;
            }
        };
        let place = Place::new();
        let folder = running.folder.clone();
        let internet = Self { place, folder, host: running.host.id(), _alone: alone };
        internet.forget();
        let authority = fs::read_to_string(internet.folder.join("ca.pem")).unwrap();
        internet.place.write("home/src/app/ca.pem", &authority);
        Some(internet)
    }

    /// Forgets what was seen, and answers as usual again.
    pub fn forget(&self) {
        for socket in ["net.sock", "host.sock"] {
            self.ask(socket, &Ask::Forget);
        }
    }

    /// From now on the name is answered so: one reply a question of a type, the last one stays.
    /// `name` may be `*.` and a suffix. What a reply may say is in dns.rs.
    pub fn answer(&self, name: &str, replies: &[&str]) {
        let replies = replies.iter().map(|reply| (*reply).to_owned()).collect();
        self.ask("net.sock", &Ask::Answer { name: name.to_owned(), replies });
    }

    fn ask(&self, socket: &str, ask: &Ask) -> Seen {
        log::ask(&self.folder.join(socket), ask).unwrap_or_else(|error| panic!("{ask:?}: {error}"))
    }

    /// What NET has seen: complete for every packet that has left HOST.
    pub fn seen(&self) -> Seen {
        self.ask("net.sock", &Ask::Seen)
    }

    /// The same once all connections have ended (at most two seconds): their bytes are complete.
    pub fn settled(&self) -> Seen {
        self.ask("net.sock", &Ask::Settled)
    }

    /// What the servers of HOST have seen: on its loopback and its other addresses.
    pub fn seen_by_host(&self) -> Seen {
        self.ask("host.sock", &Ask::Seen)
    }

    /// How many things were opened towards an address, on any port and by any protocol, whether or
    /// not anybody listens.
    pub fn hits(&self, address: &str) -> usize {
        let address: IpAddr = address.parse().unwrap();
        self.seen().packets.iter().filter(|packet| packet.to == address).count()
    }

    /// Names that DNS was asked for, each once, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for query in self.seen().queries {
            if !names.contains(&query.name) {
                names.push(query.name);
            }
        }
        names
    }

    /// Where the servers find files: `www/x` is `/x` of every HTTP server, `www/git/x.git` a repository.
    pub fn www(&self) -> PathBuf {
        self.folder.join("www")
    }

    /// A command in HOST, in the workspace, as who runs this test and with no more power, killed
    /// after ten seconds.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_within(WATCHDOG_SECONDS, program)
    }

    /// The same with another limit.
    pub fn command_within(&self, seconds: u32, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.place.command("nsenter");
        let place = &self.place;
        command.env_clear().envs([("PATH", PATH), ("LANG", "C.UTF-8")]);
        command.env("HOME", &place.home).env("W", &place.work);
        command.env("H", &place.home).env("OUT", &place.out);
        command.arg(format!("--target={}", self.host)).args(["--net", "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let seconds = seconds.to_string();
        command.args(["--", "env", "--chdir"]).arg(&place.work);
        command.args(["timeout", "--signal=KILL", &seconds]).arg(program);
        for name in TRUST_VARIABLES {
            command.env(name, place.work.join("ca.pem"));
        }
        command
    }

    /// Runs a command without any wall.
    pub fn outside(&self, words: &[&str]) -> Ran {
        finish(self.command(words[0]).args(&words[1..]))
    }

    /// Runs the body of a Python function without any wall.
    pub fn python_outside(&self, body: &str) -> Ran {
        self.outside(&["/usr/bin/python3", "-c", &python(body)])
    }

    /// `cofferdam run [options] --` with the rest to come.
    pub fn cofferdam(&self, options: &[&str]) -> Command {
        let mut command = self.command(programs().join("cofferdam"));
        command.args(["run", "--quiet", "--env", "W", "--env", "H", "--env", "OUT"]);
        for name in TRUST_VARIABLES {
            command.args(["--env", name]);
        }
        command.args(options).arg("--");
        command
    }

    /// Runs a command under a policy.
    pub fn inside(&self, policy: &str, words: &[&str]) -> Ran {
        let policy = self.place.write("policy.toml", policy).display().to_string();
        finish(self.cofferdam(&["--policy", &policy]).args(words))
    }

    /// Runs the body of a Python function under a policy.
    pub fn python_inside(&self, policy: &str, body: &str) -> Ran {
        self.inside(policy, &["/usr/bin/python3", "-c", &python(body)])
    }

    /// Events of a kind in the log of this test's runs, in order.
    pub fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.place.audit_log()).unwrap_or_default();
        let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let events = records.map(|record: serde_json::Value| record["event"].clone());
        events.filter(|event| event["kind"] == kind).collect()
    }
}

impl Seen {
    /// Requests that an address has answered.
    pub fn requests_to(&self, address: &str) -> Vec<&Request> {
        let address: IpAddr = address.parse().unwrap();
        self.requests.iter().filter(|one| one.to.ip() == address).collect()
    }

    /// Connections that a port of an address has accepted.
    pub fn connections_to(&self, address: &str, port: u16) -> Vec<&Connection> {
        let address: IpAddr = address.parse().unwrap();
        let to = std::net::SocketAddr::new(address, port);
        self.connections.iter().filter(|one| one.to == to).collect()
    }
}

/// This program started again is a part of the internet. Else: when a test is killed, its internet
/// goes with it.
#[test]
fn serves() {
    if let Some((role, folder)) = start::role() {
        return start::serve(&role, &folder);
    }
    let Some(net) = Internet::take() else { return };
    net.outside(&["true"]).works("a command in HOST");
    assert_eq!(start::left(&net.folder).0.len(), PROCESSES);
    drop(net);
    let place = Place::new();
    let folder = start::killed(&place);
    let until = Instant::now() + Duration::from_secs(10);
    while start::left(&folder) != (vec![], false) {
        assert!(Instant::now() < until, "left behind: {:?}", start::left(&folder));
        std::thread::sleep(Duration::from_millis(10));
    }
}
