//! The servers of NET, but for what DNS and HTTP say: who listens where, and on whose behalf.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::dns;
use super::http::Origin;
use super::log::{Log, Visit, lock, plain};
use super::modern::{H2C, Taken};
use super::{DNS, DNS_6, EVIL, EVIL_6, GOOD, GOOD_6, NEW};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Http,
    Tls,
    Echo,
    /// A proxy by `CONNECT` and, for HTTP, by absolute form.
    Connect,
    /// A proxy by SOCKS version 5.
    Socks,
    Dns,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Echo => "echo",
            Self::Connect => "connect",
            Self::Socks => "socks",
            Self::Dns => "dns",
        }
    }
}

/// Ports that answer on every address of NET.
pub const NET_PORTS: &[(u16, Server)] = &[
    (22, Server::Echo),
    (25, Server::Echo),
    (53, Server::Dns),
    (80, Server::Http),
    (443, Server::Tls),
    (853, Server::Echo),
    (1080, Server::Socks),
    (3128, Server::Connect),
    (5432, Server::Echo),
    (6379, Server::Echo),
    (8080, Server::Http),
    (8443, Server::Tls),
    (9418, Server::Echo),
];
/// Ports that answer on every address of HOST, its loopback among them.
pub const HOST_PORTS: &[(u16, Server)] = &[
    (80, Server::Http),
    (443, Server::Echo),
    (5432, Server::Echo),
    (8000, Server::Http),
    (8080, Server::Http),
];
/// UDP: DNS on 53 of these, an echo on 443 and 5000.
const DATAGRAMS: &[&str] = &[DNS, DNS_6, EVIL, EVIL_6, GOOD, GOOD_6];
const ECHO_PORTS: &[u16] = &[443, 5000];
/// A client that says nothing so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(20);
/// No ClientHello is longer.
const HELLO_MAX: usize = 64 * 1024;

/// What every connection needs.
#[derive(Clone, Debug)]
pub struct Serves {
    pub log: Arc<Log>,
    /// Holds `www`.
    pub folder: PathBuf,
    /// Where TLS is taken off; none in HOST.
    pub tls: Option<SocketAddr>,
    /// Who takes connections to NEW by TLS; none in HOST.
    pub new: Option<Taken>,
}

impl Serves {
    pub fn listen(&self, ports: &[(u16, Server)]) {
        for &(port, server) in ports {
            let listener = TcpListener::bind(("::", port))
                .unwrap_or_else(|error| panic!("port {port}: {error}"));
            let serves = self.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let visit = serves.log.accepted(server.name(), &stream);
                    let serves = serves.clone();
                    // A client that ends in the middle is what tests do.
                    std::thread::spawn(move || drop(serves.one(server, visit, stream)));
                }
            });
        }
    }

    fn one(&self, server: Server, visit: Visit, stream: TcpStream) -> Result<()> {
        let to = plain(stream.local_addr()?);
        let is_new = to.ip().to_string() == NEW && (server == Server::Tls || to.port() == H2C);
        if let (true, Some(new)) = (is_new, &self.new) {
            return new.send((stream, visit)).map_err(Error::other);
        }
        let visit = &visit;
        stream.set_read_timeout(Some(SILENT_MAX))?;
        stream.set_nodelay(true)?;
        match server {
            Server::Http => {
                let log = Arc::clone(&self.log);
                let from = stream.try_clone()?;
                Origin { log, visit: Some(visit), to, folder: &self.folder }.serve(from, stream)
            }
            Server::Tls => self.tls(visit, stream),
            Server::Echo => echo(visit, stream),
            Server::Connect => self.connect(visit, stream),
            Server::Socks => self.socks(visit, stream),
            Server::Dns => dns::serve_tcp(visit, stream),
        }
    }

    fn tls(&self, visit: &Visit, mut client: TcpStream) -> Result<()> {
        let mut hello = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            match server_name(&hello) {
                Hello::Is(name) => {
                    visit.sni(name);
                    break;
                }
                Hello::Never => return Ok(()),
                Hello::More => {}
            }
            let size = client.read(&mut bytes)?;
            visit.received(&bytes[..size]);
            hello.extend(&bytes[..size]);
            if size == 0 || hello.len() > HELLO_MAX {
                return Ok(());
            }
        }
        let mut inner = TcpStream::connect(self.tls.ok_or(Error::other("no TLS"))?)?;
        writeln!(inner, "{}", plain(client.local_addr()?))?;
        inner.write_all(&hello)?;
        both(visit, client, inner)
    }

    /// Serves what came out of TLS, on a port that only this process uses.
    pub fn listen_inner(&self) -> Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let serves = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serves = serves.clone();
                std::thread::spawn(move || drop(serves.inner(stream)));
            }
        });
        Ok(port)
    }

    fn inner(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(SILENT_MAX))?;
        let to = line(&mut stream)?.trim().parse().map_err(Error::other)?;
        let log = Arc::clone(&self.log);
        let from = stream.try_clone()?;
        Origin { log, visit: None, to, folder: &self.folder }.serve(from, stream)
    }

    fn connect(&self, visit: &Visit, mut client: TcpStream) -> Result<()> {
        let mut from = BufReader::new(client.try_clone()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.by_ref().take(8192).read_line(&mut head)? == 0 || head.len() > 8192 {
                return Ok(());
            }
        }
        visit.received(head.as_bytes());
        let target = head.split_whitespace().nth(1).unwrap_or_default();
        let absolute = target.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let whom = absolute.unwrap_or(target).rsplit('@').next().unwrap_or_default().to_owned();
        visit.asked(&whom);
        let usual = if absolute.is_some() { "80" } else { "443" };
        let (host, port) = whom.rsplit_once(':').unwrap_or((&whom, usual));
        let Some(mut upstream) = port.parse().ok().and_then(|port| self.dial(host, port)) else {
            return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        };
        if absolute.is_some() {
            upstream.write_all(head.as_bytes())?;
        } else {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        }
        upstream.write_all(from.buffer())?;
        both(visit, client, upstream)
    }

    /// RFC 1928 without authentication.
    fn socks(&self, visit: &Visit, mut client: TcpStream) -> Result<()> {
        let mut two = [0; 2];
        client.read_exact(&mut two)?;
        let mut methods = vec![0; two[1].into()];
        client.read_exact(&mut methods)?;
        client.write_all(&[5, if methods.contains(&0) { 0 } else { 0xff }])?;
        let mut head = [0; 4];
        client.read_exact(&mut head)?;
        let host = match head[3] {
            1 => IpAddr::from(take::<4>(&mut client)?).to_string(),
            4 => IpAddr::from(take::<16>(&mut client)?).to_string(),
            _ => {
                let mut name = vec![0; take::<1>(&mut client)?[0].into()];
                client.read_exact(&mut name)?;
                name.into_iter().map(char::from).collect()
            }
        };
        let port = u16::from_be_bytes(take(&mut client)?);
        visit.asked(&format!("{}:{port}", host.escape_default()));
        let upstream = self.dial(&host, port);
        let code = if upstream.is_some() { 0 } else { 4 };
        client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
        upstream.map_or(Ok(()), |upstream| both(visit, client, upstream))
    }

    /// A connection to a name or an address, as a careless proxy makes it: a name ends at a NUL,
    /// case and a last dot are nothing.
    fn dial(&self, host: &str, port: u16) -> Option<TcpStream> {
        let host = host.split('\0').next()?.split("%00").next()?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ip = host.parse().ok().or_else(|| lock(&self.log.zone).as_mut()?.address(host))?;
        TcpStream::connect_timeout(&SocketAddr::new(ip, port), Duration::from_secs(2)).ok()
    }

    pub fn listen_datagrams(&self) {
        for address in DATAGRAMS {
            let bind = |port| {
                let ip: IpAddr = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
                UdpSocket::bind((ip, port)).unwrap_or_else(|e| panic!("{address} {port}: {e}"))
            };
            let (log, socket) = (Arc::clone(&self.log), bind(53));
            std::thread::spawn(move || dns::serve_udp(log, socket));
            for socket in ECHO_PORTS.iter().map(|port| bind(*port)) {
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    loop {
                        let Ok((size, from)) = socket.recv_from(&mut bytes) else { continue };
                        drop(socket.send_to(&bytes[..size], from));
                    }
                });
            }
        }
    }
}

fn take<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A short line, without a byte of what is behind it.
fn line(from: &mut impl Read) -> Result<String> {
    let mut line = String::new();
    while !line.ends_with('\n') && line.len() < 100 {
        line.push(take::<1>(from)?[0].into());
    }
    Ok(line)
}

fn echo(visit: &Visit, mut stream: TcpStream) -> Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let size = stream.read(&mut bytes)?;
        if size == 0 {
            return Ok(());
        }
        visit.received(&bytes[..size]);
        stream.write_all(&bytes[..size])?;
    }
}

/// Carries bytes both ways until both sides have ended; the client's are in the log.
fn both(visit: &Visit, client: TcpStream, other: TcpStream) -> Result<()> {
    let (mut client_out, mut other_in) = (client.try_clone()?, other.try_clone()?);
    let back = std::thread::spawn(move || {
        drop(std::io::copy(&mut other_in, &mut client_out));
        drop(client_out.shutdown(Shutdown::Write));
    });
    let (mut client, mut other) = (client, other);
    let mut bytes = [0; 16 * 1024];
    while let Ok(size @ 1..) = client.read(&mut bytes) {
        visit.received(&bytes[..size]);
        if other.write_all(&bytes[..size]).is_err() {
            break;
        }
    }
    drop(other.shutdown(Shutdown::Write));
    drop(back.join());
    Ok(())
}

/// What the first bytes of a connection are.
#[derive(Debug)]
enum Hello {
    /// A whole ClientHello, with its name.
    Is(Option<String>),
    More,
    /// No ClientHello.
    Never,
}

/// Reads a ClientHello (RFC 8446, 4.1.2): a second opinion, which shares no code with the product.
fn server_name(bytes: &[u8]) -> Hello {
    let (mut rest, mut hello) = (bytes, Vec::new());
    while let [kind, _, _, high, low, tail @ ..] = rest {
        if *kind != 22 {
            return Hello::Never;
        }
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        hello.extend(tail.get(..size).unwrap_or(tail));
        rest = tail.get(size..).unwrap_or_default();
    }
    let [kind, high, middle, low, body @ ..] = hello.as_slice() else { return Hello::More };
    if *kind != 1 {
        return Hello::Never;
    }
    let size = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    body.get(..size).map_or(Hello::More, |body| Hello::Is(name_of(body)))
}

fn name_of(body: &[u8]) -> Option<String> {
    let long =
        |at: usize| Some(usize::from(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?])));
    let session = 34;
    let suites = session + 1 + usize::from(*body.get(session)?);
    let methods = suites + 2 + long(suites)?;
    let mut at = methods + 1 + usize::from(*body.get(methods)?) + 2;
    while let (Some(kind), Some(size)) = (long(at), long(at + 2)) {
        if kind == 0 {
            let name = body.get(at + 9..at + 9 + long(at + 7)?)?;
            return Some(name.escape_ascii().to_string());
        }
        at += 4 + size;
    }
    None
}

/// The program that takes TLS off, and where it listens.
pub fn tls_program(certificates: &Path, inner: u16) -> Result<(std::process::Child, SocketAddr)> {
    let mut child = std::process::Command::new("/usr/bin/python3")
        .args(["-I", "-S", "-c", include_str!("tls.py")])
        .arg(certificates.join("leaf.pem"))
        .arg(certificates.join("leaf.key"))
        .arg(inner.to_string())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut out = child.stdout.take().ok_or(Error::other("no output"))?;
    let port: u16 = line(&mut out)?.trim().parse().map_err(Error::other)?;
    Ok((child, SocketAddr::from(([127, 0, 0, 1], port))))
}
