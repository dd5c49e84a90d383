//! What the servers of the internet saw, and how a test asks them for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::dns::Zone;
use super::tap::Tap;

/// Bytes of a connection that are kept: more than any head that a test sends.
const KEPT_MAX: usize = 64 * 1024;
/// How long a connection may take to end once its client is gone.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Before the buffer of the packet socket is full.
const DRAINED_EVERY: Duration = Duration::from_millis(20);

/// All that was seen since it was last forgotten.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub connections: Vec<Connection>,
    pub requests: Vec<Request>,
    pub queries: Vec<Query>,
    pub packets: Vec<Packet>,
}

/// A connection that a server accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub number: u64,
    /// `http`, `tls`, `echo`, `connect`, `socks` or `dns`.
    pub server: String,
    pub to: SocketAddr,
    pub from: SocketAddr,
    /// Name in the ClientHello; none where there was no hello or no name.
    pub sni: Option<String>,
    /// For a proxy: whom it was asked to dial.
    pub asked: Option<String>,
    /// The first bytes received.
    pub first: Vec<u8>,
    /// How many bytes were received.
    pub received: u64,
    pub open: bool,
}

/// A request that the HTTP server read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub to: SocketAddr,
    /// Whether it came out of TLS.
    pub tls: bool,
    pub method: String,
    pub target: String,
    /// Values of every `Host` line.
    pub hosts: Vec<String>,
    /// The head as it came, to the empty line; of HTTP/2 a line for each field.
    pub head: String,
    /// Nothing of what `/sink` takes.
    pub body: Vec<u8>,
    /// Whether it came as HTTP/2.
    pub two: bool,
    /// The body as it came, with the lines of its chunks: nothing of what `/sink` takes.
    pub framed: Vec<u8>,
    /// A line for each field after the body.
    pub trailers: String,
}

/// A question that the DNS server was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// In lower case, without the last dot.
    pub name: String,
    /// Type of record as a number: 1 is A, 28 is AAAA, 65 is HTTPS.
    pub kind: u16,
    /// `udp`, `tcp` or `proxy`.
    pub over: String,
    /// The server that was asked.
    pub to: IpAddr,
}

/// A packet from HOST that opens something: a TCP SYN, or any other packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    pub to: IpAddr,
    /// Number of the protocol: 1 is ICMP, 6 TCP, 17 UDP, 58 ICMPv6.
    pub protocol: u8,
    /// 0 where the protocol has none.
    pub port: u16,
}

/// What a test asks of the servers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// All that was seen, after everything that has arrived is in it.
    Seen,
    /// The same, after all connections have ended.
    Settled,
    /// Forget what was seen, and every scripted answer.
    Forget,
    /// From now on this name is answered so.
    Answer { name: String, replies: Vec<String> },
}

/// What all servers of a process write to.
#[derive(Debug)]
pub struct Log {
    seen: Mutex<(u64, Seen)>,
    /// Empty in HOST, which has no name server.
    pub zone: Mutex<Option<Zone>>,
    tap: Tap,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub fn new(tap: Tap, zone: Option<Zone>) -> Arc<Self> {
        let log = Arc::new(Self { seen: Mutex::default(), zone: Mutex::new(zone), tap });
        let drained = Arc::clone(&log);
        std::thread::spawn(move || {
            loop {
                drained.drain();
                std::thread::sleep(DRAINED_EVERY);
            }
        });
        log
    }

    pub fn accepted(self: &Arc<Self>, server: &str, stream: &TcpStream) -> Visit {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut seen = lock(&self.seen);
        seen.0 += 1;
        let number = seen.0;
        seen.1.connections.push(Connection {
            number,
            server: server.to_owned(),
            to: stream.local_addr().map_or(unknown, plain),
            from: stream.peer_addr().map_or(unknown, plain),
            sni: None,
            asked: None,
            first: Vec::new(),
            received: 0,
            open: true,
        });
        Visit { log: Arc::clone(self), number }
    }

    pub fn request(&self, request: Request) {
        lock(&self.seen).1.requests.push(request);
    }

    pub fn query(&self, query: Query) {
        lock(&self.seen).1.queries.push(query);
    }

    /// Takes what the tap holds: again and again, so that its buffer never fills.
    fn drain(&self) {
        let mut seen = lock(&self.seen);
        self.tap.drain(&mut seen.1.packets);
    }

    fn seen(&self) -> Seen {
        if lock(&self.zone).is_some() {
            super::dns::barrier();
        }
        self.drain();
        lock(&self.seen).1.clone()
    }

    fn settled(&self) -> Seen {
        let until = Instant::now() + SETTLED_WITHIN;
        loop {
            let seen = self.seen();
            if Instant::now() > until || seen.connections.iter().all(|one| !one.open) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn answer(&self, ask: Ask) -> Seen {
        match ask {
            Ask::Seen => return self.seen(),
            Ask::Settled => return self.settled(),
            Ask::Forget => {
                drop(self.settled());
                lock(&self.seen).1 = Seen::default();
                if let Some(zone) = lock(&self.zone).as_mut() {
                    *zone = Zone::usual();
                }
            }
            Ask::Answer { name, replies } => {
                if let Some(zone) = lock(&self.zone).as_mut() {
                    zone.script(&name, replies);
                }
            }
        }
        Seen::default()
    }

    /// Answers tests at a socket file until the process ends.
    pub fn tell(self: &Arc<Self>, at: &Path) {
        let listener = UnixListener::bind(at).unwrap_or_else(|error| panic!("{at:?}: {error}"));
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut line = String::new();
                if BufReader::new(&stream).read_line(&mut line).is_err() {
                    continue;
                }
                let Ok(ask) = serde_json::from_str(&line) else { continue };
                let text = serde_json::to_string(&log.answer(ask)).unwrap_or_default();
                drop((&stream).write_all(text.as_bytes()));
            }
        });
    }
}

/// Asks the servers at a socket file.
pub fn ask(at: &Path, ask: &Ask) -> std::io::Result<Seen> {
    let mut stream = UnixStream::connect(at)?;
    stream.set_read_timeout(Some(SETTLED_WITHIN * 5))?;
    stream.write_all(format!("{}\n", serde_json::to_string(ask)?).as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// The address without the IPv6 form of an IPv4 one.
pub fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A connection in the log, open until dropped.
#[derive(Debug)]
pub struct Visit {
    pub log: Arc<Log>,
    number: u64,
}

impl Visit {
    fn with(&self, change: impl FnOnce(&mut Connection)) {
        let mut seen = lock(&self.log.seen);
        // Absent once the test has forgotten it.
        if let Some(one) = seen.1.connections.iter_mut().find(|one| one.number == self.number) {
            change(one);
        }
    }

    pub fn received(&self, bytes: &[u8]) {
        self.with(|one| {
            one.received += bytes.len() as u64;
            let room = KEPT_MAX.saturating_sub(one.first.len()).min(bytes.len());
            one.first.extend(&bytes[..room]);
        });
    }

    pub fn sni(&self, name: Option<String>) {
        self.with(|one| one.sni = name);
    }

    pub fn asked(&self, whom: &str) {
        self.with(|one| one.asked = Some(whom.to_owned()));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.with(|one| one.open = false);
    }
}
