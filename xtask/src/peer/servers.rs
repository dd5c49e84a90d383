//! Servers on the host's loopback, one thread a connection, and a proxy that does nothing but splice.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::{PIECE_BYTES, connect};

/// What a flood sends. Bytes.
pub(crate) const FLOOD_BYTES: u64 = 1 << 30;
/// What every request is answered with.
pub(crate) const BODY: &[u8] = b"an answer as short as they come\n";
/// A pipe of the splicing proxy. Bytes.
const PIPE_BYTES: usize = 1 << 20;

/// Serves each connection by `one`, in a thread of its own; where.
pub(crate) fn serve<F>(one: F) -> io::Result<SocketAddr>
where
    F: Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let one = one.clone();
            // A client that ends in the middle is its own affair: it says so itself.
            thread::spawn(move || drop(stream.set_nodelay(true).and_then(|()| one(stream))));
        }
    });
    Ok(at)
}

/// After two bytes, [`FLOOD_BYTES`], and the end.
pub(crate) fn flood(mut stream: TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; 2])?;
    let (piece, mut left) = (vec![b'x'; PIECE_BYTES], FLOOD_BYTES);
    while left > 0 {
        let some = piece.get(..usize::try_from(left).unwrap_or(PIECE_BYTES)).unwrap_or(&piece);
        stream.write_all(some)?;
        left -= u64::try_from(some.len()).unwrap_or(left);
    }
    stream.shutdown(Shutdown::Write)
}

/// Sends back what it gets.
pub(crate) fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        match stream.read(&mut bytes)? {
            0 => return stream.shutdown(Shutdown::Write),
            length => stream.write_all(bytes.get(..length).unwrap_or_default())?,
        }
    }
}

/// Answers every request with [`BODY`], and keeps the connection.
pub(crate) fn http(mut stream: TcpStream) -> io::Result<()> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len()).into_bytes();
    answer.extend(BODY);
    let (mut bytes, mut got) = (vec![0; 4 << 10], Vec::new());
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            length => got.extend(bytes.iter().take(length)),
        }
        if got.ends_with(b"\r\n\r\n") {
            got.clear();
            stream.write_all(&answer)?;
        }
    }
}

/// The least that a proxy can do: it splices both ways to `to`.
pub(crate) fn splicing(stream: TcpStream, to: SocketAddr) -> io::Result<()> {
    let other = connect(to)?;
    let (from_other, to_client) = (other.try_clone()?, stream.try_clone()?);
    let back = thread::spawn(move || one_way(&from_other, &to_client));
    one_way(&stream, &other)?;
    back.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

fn one_way(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&into, PIPE_BYTES)?;
    loop {
        let mut left = splice(from, None, &into, None, PIPE_BYTES, SpliceFlags::MOVE)?;
        if left == 0 {
            return to.shutdown(Shutdown::Write);
        }
        while left > 0 {
            left -= splice(&out, None, to, None, left, SpliceFlags::MOVE)?;
        }
    }
}
