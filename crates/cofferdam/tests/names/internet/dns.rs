//! The scripted DNS server: UDP and TCP, every question logged.
//!
//! A name has a sequence of replies, one a question of its type; the last one stays. A reply is
//! words with `;` between: `A 192.0.2.1`, `AAAA ::1`, `CNAME a.test`, `PTR a.test`, `HTTPS` (with `ech` if so said),
//! `TTL 60` (0 else), `NXDOMAIN`, `SERVFAIL`, `REFUSED`, `SLOW 500` (milliseconds), `TRUNCATED` (over
//! UDP), `SILENT`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::log::{Log, Query, Visit, lock};
use super::{DNS, EVIL, EVIL_6, GOOD, GOOD_6, NEW, OTHER, PROXY};

const A: u16 = 1;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const HTTPS: u16 = 65;
/// How many names of a CNAME chain are followed.
const CHAIN_MAX: usize = 8;
/// A question that nobody logs: asked to know that those before it were answered.
const BARRIER: &str = "barrier.invalid";

/// What names are answered with.
#[derive(Debug, Default)]
pub struct Zone {
    replies: HashMap<String, Vec<String>>,
    asked: HashMap<(String, u16), usize>,
}

impl Zone {
    /// The names that are always there.
    pub fn usual() -> Self {
        let mut zone = Self::default();
        for name in ["good.test", "*.good.test", "wide.test", "*.wide.test"] {
            zone.script(name, vec![format!("A {GOOD}; AAAA {GOOD_6}")]);
        }
        for name in ["evil.test", "*.evil.test"] {
            zone.script(name, vec![format!("A {EVIL}; AAAA {EVIL_6}")]);
        }
        for name in ["new.test", "*.new.test"].iter().chain(super::modern::NAMES) {
            zone.script(name, vec![format!("A {NEW}")]);
        }
        zone.script("four.test", vec![format!("A {GOOD}")]);
        zone.script("six.test", vec![format!("AAAA {GOOD_6}")]);
        zone.script("other.test", vec![format!("A {OTHER}")]);
        zone.script("proxy.test", vec![format!("A {PROXY}")]);
        zone
    }

    pub fn script(&mut self, name: &str, replies: Vec<String>) {
        self.asked.retain(|(asked, _), _| asked != name);
        self.replies.insert(name.to_owned(), replies);
    }

    /// The next reply to a name, `*.` above it if there is none of its own.
    fn next(&mut self, name: &str, kind: u16) -> String {
        let above = name.match_indices('.').map(|(at, _)| format!("*{}", &name[at..]));
        let key = std::iter::once(name.to_owned()).chain(above);
        let Some(replies) = key.into_iter().find_map(|key| self.replies.get(&key)) else {
            return "NXDOMAIN".into();
        };
        let asked = self.asked.entry((name.to_owned(), kind)).or_default();
        let reply = replies.get(*asked).or(replies.last()).cloned().unwrap_or_default();
        *asked += 1;
        reply
    }

    /// An address of a name, as a proxy outside finds it.
    pub fn address(&mut self, name: &str) -> Option<IpAddr> {
        [A, AAAA].into_iter().find_map(|kind| {
            let answer = Answer::of(self, name, kind);
            answer.records.iter().find_map(|(_, _, _, bytes)| {
                let four = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from).ok();
                four.or_else(|| <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from).ok())
            })
        })
    }
}

/// What a question is answered with.
#[derive(Debug, Default)]
struct Answer {
    code: u8,
    after: Duration,
    truncated: bool,
    silent: bool,
    /// Owner, type, lifetime in seconds, content.
    records: Vec<(String, u16, u32, Vec<u8>)>,
}

impl Answer {
    fn of(zone: &mut Zone, name: &str, kind: u16) -> Self {
        let mut answer = Self::default();
        let mut owner = name.to_owned();
        for _ in 0..CHAIN_MAX {
            let reply = zone.next(&owner, kind);
            match answer.add(&owner, kind, &reply) {
                Some(target) => owner = target,
                None => break,
            }
        }
        answer
    }

    /// Adds a reply; the name that goes on from there, if it is a CNAME.
    fn add(&mut self, owner: &str, kind: u16, reply: &str) -> Option<String> {
        let (mut lifetime, mut target) = (0, None);
        for part in reply.split(';') {
            let mut words = part.split_whitespace();
            let (word, value) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let number = || value.parse().unwrap_or_else(|_| panic!("{part:?} has no number"));
            let record = match word {
                "A" => Some((A, value.parse::<Ipv4Addr>().map(|ip| ip.octets().to_vec()))),
                "AAAA" => Some((AAAA, value.parse::<Ipv6Addr>().map(|ip| ip.octets().to_vec()))),
                "CNAME" => {
                    target = Some(value.to_owned());
                    Some((CNAME, Ok(labels(value))))
                }
                "PTR" => Some((PTR, Ok(labels(value)))),
                "HTTPS" => Some((HTTPS, Ok(https(value)))),
                _ => None,
            };
            match word {
                "TTL" => lifetime = number(),
                "NXDOMAIN" => self.code = 3,
                "SERVFAIL" => self.code = 2,
                "REFUSED" => self.code = 5,
                "SLOW" => self.after = Duration::from_millis(number().into()),
                "TRUNCATED" => self.truncated = true,
                "SILENT" => self.silent = true,
                _ => assert!(record.is_some() || word.is_empty(), "{part:?} is no reply"),
            }
            if let Some((of, bytes)) = record {
                let bytes = bytes.unwrap_or_else(|error| panic!("{part:?}: {error}"));
                if of == kind || of == CNAME {
                    self.records.push((owner.to_owned(), of, lifetime, bytes));
                }
            }
        }
        target
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or_else(|_| panic!("{name:?}")));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// An HTTPS record (RFC 9460): HTTP/2, and keys for an encrypted hello if so said.
fn https(ech: &str) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 1, 0, 3, 2, b'h', b'2'];
    if ech == "ech" {
        bytes.extend([0, 5, 0, 8, 0, 6, 0xfe, 0x0d, 0, 2, 1, 2]);
    }
    bytes
}

/// Name and type of the question of a message, and where it ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let (mut name, mut at) = (String::new(), 12);
    loop {
        let size = usize::from(*message.get(at)?);
        if size == 0 {
            break;
        }
        let label = message.get(at + 1..at + 1 + size)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&label.escape_ascii().to_string().to_ascii_lowercase());
        at += 1 + size;
    }
    let kind = u16::from_be_bytes(message.get(at + 1..at + 3)?.try_into().ok()?);
    Some((name, kind, at + 5))
}

/// The answer to a message, and how long it takes; nothing where none is given.
fn reply(log: &Log, message: &[u8], over: &str, to: IpAddr) -> Option<(Vec<u8>, Duration)> {
    let (name, kind, end) = question(message)?;
    if name == BARRIER {
        return Some((message.to_vec(), Duration::ZERO));
    }
    log.query(Query { name: name.clone(), kind, over: over.to_owned(), to });
    let answer = Answer::of(lock(&log.zone).as_mut()?, &name, kind);
    if answer.silent {
        return None;
    }
    let cut = answer.truncated && over == "udp";
    let records = if cut { &[][..] } else { &answer.records[..] };
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = message.get(..2)?.to_vec();
    bytes.extend([0x85 | if cut { 2 } else { 0 }, 0x80 | answer.code, 0, 1]);
    bytes.extend(count);
    bytes.extend([0; 4]);
    bytes.extend(message.get(12..end)?);
    for (owner, kind, lifetime, content) in records {
        bytes.extend(labels(owner));
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(lifetime.to_be_bytes());
        bytes.extend(u16::try_from(content.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(content);
    }
    Some((bytes, answer.after))
}

pub fn serve_udp(log: Arc<Log>, socket: UdpSocket) {
    let to = socket.local_addr().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
    let socket = Arc::new(socket);
    let mut message = [0; 4096];
    loop {
        let Ok((size, from)) = socket.recv_from(&mut message) else { continue };
        let Some((bytes, after)) = reply(&log, &message[..size], "udp", to) else { continue };
        if after.is_zero() {
            drop(socket.send_to(&bytes, from));
            continue;
        }
        let socket = Arc::clone(&socket);
        std::thread::spawn(move || {
            std::thread::sleep(after);
            drop(socket.send_to(&bytes, from));
        });
    }
}

pub fn serve_tcp(visit: &Visit, mut stream: TcpStream) -> std::io::Result<()> {
    let to = stream.local_addr()?.ip().to_canonical();
    loop {
        let mut size = [0; 2];
        stream.read_exact(&mut size)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut message)?;
        visit.received(&message);
        let Some((bytes, after)) = reply(&visit.log, &message, "tcp", to) else { continue };
        std::thread::sleep(after);
        stream.write_all(&u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes())?;
        stream.write_all(&bytes)?;
    }
}

/// Returns when the server has answered what it was asked before over UDP.
pub fn barrier() {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(labels(BARRIER));
    message.extend([0, 1, 0, 1]);
    for server in [DNS, super::DNS_6, EVIL, EVIL_6] {
        let ip: IpAddr = server.parse().unwrap_or_else(|error| panic!("{server}: {error}"));
        let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let Ok(socket) = UdpSocket::bind(any) else { continue };
        let limit = Duration::from_secs(1);
        let asked = socket.set_read_timeout(Some(limit)).and_then(|()| {
            socket.connect(SocketAddr::new(ip, 53))?;
            socket.send(&message)?;
            socket.recv(&mut [0; 64])
        });
        drop(asked);
    }
}
