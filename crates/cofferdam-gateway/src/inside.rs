//! The side of the workload: reading its first bytes with a bound on their number and their time.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::crowd::{Crowd, PATIENCE};
use crate::fields::HEAD_BYTES_MAX;
use crate::stream::Stream;

/// How long the first bytes of a connection may take: whoever opens one has something to say.
pub(crate) const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// How much is read at a time. Bytes.
const PIECE_BYTES: usize = 4 << 10;
/// How long somebody who is refused may go on writing, so that the answer is not lost with what it
/// writes (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_millis(500);
/// How much of that is read. Bytes.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// A connection of the workload's, and what has been read of it beyond what was asked for.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) stream: Stream,
    /// Read, and not used yet.
    pub(crate) ahead: Vec<u8>,
    crowd: Rc<Crowd>,
}

/// Why the first bytes did not come.
#[derive(Debug)]
pub(crate) enum NotRead<F> {
    /// They cannot be what they should be.
    Fault(F),
    /// They took too long.
    Late,
    /// The connection ended.
    Gone,
}

impl Inside {
    pub(crate) fn new(stream: TcpStream, crowd: &Rc<Crowd>) -> Self {
        // An interactive protocol that waits for an answer to half a segment waits 40 ms.
        drop(stream.set_nodelay(true));
        Self { stream: Stream::Plain(stream), ahead: Vec::new(), crowd: Rc::clone(crowd) }
    }

    /// The same connection with its TLS ended; what was read ahead of it was read by that.
    pub(crate) const fn within(stream: Stream, crowd: Rc<Crowd>) -> Self {
        Self { stream, ahead: Vec::new(), crowd }
    }

    /// The connection, what was read ahead of it, and where it has its place.
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>, Rc<Crowd>) {
        (self.stream, self.ahead, self.crowd)
    }

    /// Where the other end thinks it has connected.
    pub(crate) fn destination(&self) -> io::Result<SocketAddr> {
        self.stream.tcp().local_addr()
    }

    /// Reads an HTTP head. Its end is a line's end, so without one there is nothing new to parse:
    /// whoever sends it byte by byte costs no more than others.
    pub(crate) async fn read_lines<T, F>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<T>, F>,
    ) -> Result<T, NotRead<F>> {
        let mut seen = 0;
        self.read(|bytes| {
            let new = bytes.get(std::mem::replace(&mut seen, bytes.len())..).unwrap_or_default();
            if new.contains(&b'\n') || bytes.len() >= HEAD_BYTES_MAX {
                parse(bytes)
            } else {
                Ok(None)
            }
        })
        .await
    }

    /// Reads until `parse` has what it wants, within [`FIRST_WITHIN`], or [`PATIENCE`] where there is no
    /// room for others.
    pub(crate) async fn read<T, F>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<T>, F>,
    ) -> Result<T, NotRead<F>> {
        let began = Instant::now();
        loop {
            if !self.ahead.is_empty()
                && let Some(read) = parse(&self.ahead).map_err(NotRead::Fault)?
            {
                return Ok(read);
            }
            match self.more_within(began, FIRST_WITHIN).await {
                Some(Ok(0) | Err(_)) => return Err(NotRead::Gone),
                Some(Ok(_)) => {}
                None => return Err(NotRead::Late),
            }
        }
    }

    /// Waits for more within `at_most` from when this side `began` to be silent, and reads it. `None`
    /// where nothing came, or where somebody else needs the place after [`PATIENCE`].
    pub(crate) async fn more_within(
        &mut self,
        began: Instant,
        at_most: Duration,
    ) -> Option<io::Result<usize>> {
        if let Ok(read) = timeout_at(began + PATIENCE, self.more()).await {
            return Some(read);
        }
        let crowd = Rc::clone(&self.crowd);
        tokio::select! {
            biased;
            read = timeout_at(began + at_most, self.more()) => read.ok(),
            () = crowd.needed() => None,
        }
    }

    /// Waits for more, and reads it.
    pub(crate) async fn more(&mut self) -> io::Result<usize> {
        // Nothing is held for a connection that says nothing; what TLS has read ahead is held there.
        if let Stream::Plain(stream) = &self.stream {
            stream.readable().await?;
        }
        self.ahead.reserve(PIECE_BYTES);
        let mut limited = (&mut self.stream).take(u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX));
        limited.read_buf(&mut self.ahead).await
    }

    /// The first `length` bytes of what was read ahead.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.ahead.split_off(length.min(self.ahead.len()));
        std::mem::replace(&mut self.ahead, rest)
    }

    /// Says the last words, and ends in a way that they are read.
    pub(crate) async fn end_with(mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).await.is_ok() && self.stream.shutdown().await.is_ok() {
            let until = Instant::now() + LINGER;
            let mut dropped = 0;
            while dropped < LINGER_BYTES_MAX {
                self.ahead.clear();
                match timeout_at(until, self.more()).await {
                    Ok(Ok(length)) if length > 0 => dropped += length,
                    Ok(_) | Err(_) => return,
                }
            }
        }
    }

    /// Ends at once: the other end hears a reset.
    pub(crate) fn reset(self) {
        // SO_LINGER of zero seconds (`socket(7)`); where it fails, the end is an ordinary one.
        let linger =
            rustix::net::sockopt::set_socket_linger(self.stream.tcp(), Some(Duration::ZERO));
        linger.unwrap_or(());
    }
}
