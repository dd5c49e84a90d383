//! Both ends of measured connections: servers in this process, and clients, which are this program
//! started again, outside or inside a sandbox. They are light, so that what lies between is measured.

pub(crate) mod hello;
pub(crate) mod servers;
pub(crate) mod soak;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use hello::client_hello;

/// The task that is a client. It takes what it does, and for whom.
pub(crate) const TASK: &str = "peer";
/// The gateway's proxy, seen from inside.
pub(crate) const PROXY: &str = "198.18.0.1:3128";
/// What is carried at a time. Bytes.
pub(crate) const PIECE_BYTES: usize = 256 << 10;
/// A connection that says nothing for so long is broken.
pub(crate) const SILENT_MAX: Duration = Duration::from_secs(20);

/// The client that these words ask for.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let done = match words {
        ["bulk", at, through] => bulk(at, through).map(Some),
        ["requests", at, target, host, count] => requests(at, (target, host), count).map(Some),
        ["held", at, name, count] => held(at, name, count).map(|()| None),
        ["soak", seconds] => soak::run(seconds).map(|()| None),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    match done {
        Ok(Some(figure)) => println!("{figure}"),
        Ok(None) => {}
        Err(error) => return Err(format!("{words:?}: {error}")),
    }
    Ok(())
}

/// A number that came as a word.
pub(crate) fn number(word: &str) -> io::Result<usize> {
    word.parse().map_err(io::Error::other)
}

/// Connects, and lets nothing wait.
pub(crate) fn connect(at: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENT_MAX))?;
    stream.set_write_timeout(Some(SILENT_MAX))?;
    Ok(stream)
}

/// Connects to `at`, or by `CONNECT` through the proxy there to `through`, if that is not `-`.
fn connect_through(at: &str, through: &str) -> io::Result<TcpStream> {
    let mut stream = connect(at)?;
    if through != "-" {
        ask_proxy(&mut stream, through)?;
    }
    Ok(stream)
}

/// `CONNECT` (RFC 9110, 9.3.6).
pub(crate) fn ask_proxy(stream: &mut TcpStream, to: &str) -> io::Result<()> {
    write!(stream, "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n")?;
    let head = read_head(stream)?;
    if head.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(head)) }
}

/// The lines before an HTTP body, byte by byte: nothing behind them is taken.
pub(crate) fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    const HEAD_BYTES_MAX: usize = 16 << 10;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Seconds that a server's flood takes from its first byte to its last.
fn bulk(at: &str, through: &str) -> io::Result<f64> {
    let mut stream = connect_through(at, through)?;
    stream.write_all(b"go")?;
    let mut bytes = vec![0; PIECE_BYTES];
    let (begin, mut left) = (Instant::now(), servers::FLOOD_BYTES);
    loop {
        match stream.read(&mut bytes)? {
            0 if left == 0 => return Ok(begin.elapsed().as_secs_f64()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX)),
        }
    }
}

/// The median time of a request on one connection that is kept, in seconds.
fn requests(at: &str, (target, host): (&str, &str), count: &str) -> io::Result<f64> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n");
    let (mut stream, mut times) = (connect(at)?, Vec::new());
    let mut bytes = vec![0; 4 << 10];
    for _ in 0..number(count)? {
        let begin = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(servers::BODY) {
            match stream.read(&mut bytes)? {
                0 => return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
                length => answer.extend(bytes.iter().take(length)),
            }
        }
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Opens connections one after the other, sends some bytes on each, keeps all, says so and waits for
/// the end of its input.
fn held(at: &str, name: &str, count: &str) -> io::Result<()> {
    let mut kept = Vec::new();
    for _ in 0..number(count)? {
        let mut stream = connect(at)?;
        let hello = client_hello(name);
        stream.write_all(&hello)?;
        let mut back = vec![0; hello.len()];
        stream.read_exact(&mut back)?;
        if back != hello {
            return Err(io::Error::other("what came back is not what was sent"));
        }
        kept.push(stream);
    }
    println!("held");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
