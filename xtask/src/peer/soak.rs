//! A client that talks by every way at once, for a while, checks every answer, and says at the end how
//! many connections it has made, and requests in the clear: as many records must there be.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::hello::client_hello;
use super::{PROXY, SILENT_MAX, ask_proxy, connect, number, read_head, servers};

/// Connections that are open at a time.
pub(crate) const CARRIERS: usize = 200;
/// Those who are refused, beside them.
const REFUSED: usize = 4;
/// How long nothing is done before and after: what is open then, stays open.
const QUIET: Duration = Duration::from_secs(3);
/// A connection lives as long, and up to three times that.
const HOLD: Duration = Duration::from_secs(1);
/// Between two messages of a connection, or two refusals.
const PACE: Duration = Duration::from_millis(150);
/// Longer than what the gateway carries through its own memory. Bytes.
const LARGE_BYTES: usize = 600 << 10;
const SMALL_BYTES: usize = 8 << 10;
/// One connection of so many carries much.
const LARGE_EACH: u64 = 16;
/// The name server inside, and the SOCKS5 proxy.
const DNS: &str = "198.18.0.1:53";
const SOCKS: &str = "198.18.0.1:1080";
/// Rules allow `tls.test`, `http.test` and `raw.test`; nobody allows this one.
const DENIED: &str = "closed.test";

/// How many connections ended how, by the words of the log.
#[derive(Default)]
struct Made(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Made {
    fn add(&self, way: &'static str, verdict: &'static str, count: u64) {
        let mut made = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *made.entry((way, verdict)).or_default() += count;
    }
}

/// Says when it begins and ends to be quiet, and what it has made.
pub(crate) fn run(seconds: &str) -> io::Result<()> {
    let seconds = Duration::from_secs(u64::try_from(number(seconds)?).map_err(io::Error::other)?);
    println!("quiet");
    thread::sleep(QUIET);
    println!("busy");
    let (made, until) = (Made::default(), Instant::now() + seconds);
    thread::scope(|scope| {
        let made = &made;
        let carriers = (0..CARRIERS).map(|each| scope.spawn(move || carry(each, until, made)));
        let refused = (0..REFUSED).map(|each| scope.spawn(move || be_refused(each, until, made)));
        // All of them are begun before one is waited for.
        let all: Vec<_> = carriers.chain(refused).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or(Err(io::ErrorKind::Other.into())))
    })?;
    let made = made.0.into_inner().unwrap_or_default();
    for ((way, verdict), count) in made {
        println!("made {way} {verdict} {count}");
    }
    println!("quiet");
    thread::sleep(QUIET);
    println!("over");
    Ok(())
}

/// Numbers without an order that matters (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn carry(each: usize, until: Instant, made: &Made) -> io::Result<()> {
    let mut chance = Chance(0x9e37_79b9 + u64::try_from(each).unwrap_or(0));
    let mut kind = each;
    while Instant::now() < until {
        let more = u64::try_from(HOLD.as_millis()).unwrap_or(0) * 2;
        let end = until.min(Instant::now() + HOLD + Duration::from_millis(chance.next() % more));
        let large = chance.next().is_multiple_of(LARGE_EACH);
        let (way, done) = match kind % 6 {
            0 => ("direct", tls(connect("tls.test:443"), (end, large)).map(|()| 1)),
            1 => ("proxy", tls(through_proxy(), (end, large)).map(|()| 1)),
            2 => ("direct", requests(connect("http.test:80"), "/", end)),
            3 => ("proxy", requests(connect(PROXY), "http://http.test/", end)),
            4 => {
                let raw = through_socks("raw.test").and_then(|raw| echo(raw, (end, large)));
                ("socks", raw.map(|()| 1))
            }
            _ => {
                let raw = connect("raw.test:9000").and_then(|raw| echo(raw, (end, large)));
                ("direct", raw.map(|()| 1))
            }
        };
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{way} {}: {error}", kind % 6));
        made.add(way, "allowed", done.map_err(named)?);
        kind += 1;
    }
    Ok(())
}

fn through_proxy() -> io::Result<TcpStream> {
    let mut stream = connect(PROXY)?;
    ask_proxy(&mut stream, "tls.test:443")?;
    Ok(stream)
}

/// The record that a gateway judges by, and then what nobody looks at.
fn tls(stream: io::Result<TcpStream>, how: (Instant, bool)) -> io::Result<()> {
    let mut stream = stream?;
    there_and_back(&mut stream, &client_hello("tls.test"))?;
    echo(stream, how)
}

fn echo(mut stream: TcpStream, (end, large): (Instant, bool)) -> io::Result<()> {
    let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(SMALL_BYTES).collect();
    if large {
        bytes = bytes.iter().copied().cycle().take(LARGE_BYTES).collect();
    }
    while Instant::now() < end {
        there_and_back(&mut stream, &bytes)?;
        thread::sleep(PACE);
    }
    Ok(())
}

fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(SMALL_BYTES) {
        stream.write_all(piece)?;
        let mut back = vec![0; piece.len()];
        stream.read_exact(&mut back)?;
        if back != piece {
            return Err(io::Error::other("what came back is not what was sent"));
        }
    }
    Ok(())
}

/// How many were answered: each is on record.
fn requests(stream: io::Result<TcpStream>, target: &str, end: Instant) -> io::Result<u64> {
    let mut stream = stream?;
    let mut answered = 0;
    loop {
        write!(stream, "GET {target} HTTP/1.1\r\nHost: http.test\r\n\r\n")?;
        let head = read_head(&mut stream)?;
        let mut body = vec![0; servers::BODY.len()];
        stream.read_exact(&mut body)?;
        if !head.starts_with("HTTP/1.1 200 ") || body != servers::BODY {
            return Err(io::Error::other(head));
        }
        answered += 1;
        if Instant::now() >= end {
            return Ok(answered);
        }
        thread::sleep(PACE);
    }
}

/// RFC 1928 without authentication, by a name.
fn through_socks(name: &str) -> io::Result<TcpStream> {
    let (mut stream, answer) = ask_socks(name)?;
    if answer != 0 {
        return Err(io::Error::other(format!("the SOCKS proxy says {answer}")));
    }
    // The address that it says: of IPv4, and a port.
    stream.read_exact(&mut [0; 6])?;
    Ok(stream)
}

fn ask_socks(name: &str) -> io::Result<(TcpStream, u8)> {
    const PORT: u16 = 9000;
    let mut stream = connect(SOCKS)?;
    stream.write_all(&[5, 1, 0])?;
    stream.read_exact(&mut [0; 2])?;
    let mut asked = vec![5, 1, 0, 3, u8::try_from(name.len()).unwrap_or(u8::MAX)];
    asked.extend(name.as_bytes());
    asked.extend(PORT.to_be_bytes());
    stream.write_all(&asked)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    let [_, answer, _, _] = answer;
    Ok((stream, answer))
}

/// Asks for what nobody may have, by each way that tells.
fn be_refused(each: usize, until: Instant, made: &Made) -> io::Result<()> {
    /// "Connection not allowed by ruleset" (RFC 1928, 6).
    const NOT_ALLOWED: u8 = 2;
    let mut kind = each;
    while Instant::now() < until {
        let way = match kind % 3 {
            0 => {
                let said = ask_proxy(&mut connect(PROXY)?, "closed.test:443");
                let said = said.map_or_else(|error| error.to_string(), |()| "200".into());
                expect(said.starts_with("HTTP/1.1 403 "), &said)?;
                "proxy"
            }
            1 => {
                let (_, said) = ask_socks(DENIED)?;
                expect(said == NOT_ALLOWED, &said.to_string())?;
                "socks"
            }
            _ => {
                look_up()?;
                "lookup"
            }
        };
        made.add(way, "denied", 1);
        kind += 1;
        thread::sleep(PACE);
    }
    Ok(())
}

fn expect(held: bool, said: &str) -> io::Result<()> {
    if held {
        Ok(())
    } else {
        Err(io::Error::other(format!("not the refusal that is due: {said}")))
    }
}

/// One question for [`DENIED`]'s address, which does not exist (RFC 1035, 4).
fn look_up() -> io::Result<()> {
    const NO_SUCH_NAME: u8 = 3;
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in DENIED.split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(SILENT_MAX))?;
    socket.send_to(&question, DNS)?;
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer)?;
    let code = answer.get(3).filter(|_| length > 3).map(|flags| flags & 0xf);
    expect(code == Some(NO_SUCH_NAME), &format!("{code:?}"))
}
