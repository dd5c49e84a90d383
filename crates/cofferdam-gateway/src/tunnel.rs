//! Bytes that nobody looks at: from one socket to the other, without passing through this process
//! where they are many.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep;

use crate::gate::{Tally, add};
use crate::stream::Stream;

/// What is read at a time while a connection is short. Bytes.
const PIECE_BYTES: usize = 16 << 10;
/// From so many bytes in one direction on a pipe is worth its two descriptors (`splice(2)`).
const SPLICE_FROM: u64 = 256 << 10;
/// How large that pipe is asked to be; a user who has many gets smaller ones (`pipe(7)`). Bytes.
const PIPE_BYTES: usize = 1 << 20;

/// How long a connection may be silent of which one side has ended: a host that never ends its own keeps
/// no place.
pub(crate) const HALF_OPEN: Duration = Duration::from_secs(60);

/// Carries both directions until both have ended, or one of them failed: then neither goes on.
///
/// # Errors
/// That of the side that failed.
pub(crate) async fn carry(
    inside: &mut Stream,
    outside: &mut Stream,
    tally: &Tally,
) -> io::Result<()> {
    let (inside, outside) = match (inside, outside) {
        (Stream::Plain(inside), Stream::Plain(outside)) => {
            return carry_plain(inside, outside, tally).await;
        }
        encrypted => encrypted,
    };
    let ended = Cell::new(false);
    let (from_inside, to_inside) = tokio::io::split(inside);
    let (from_outside, to_outside) = tokio::io::split(outside);
    let one = async |from, to, count| {
        copy(from, to, count).await?;
        ended.set(true);
        Ok(())
    };
    let out = one(from_inside, to_outside, &tally.sent);
    let back = one(from_outside, to_inside, &tally.received);
    until(out, back, (&ended, tally)).await
}

/// The same of two connections in the clear, or of which nobody here has the keys.
///
/// # Errors
/// As [`carry`].
pub(crate) async fn carry_plain(
    inside: &mut TcpStream,
    outside: &mut TcpStream,
    tally: &Tally,
) -> io::Result<()> {
    let ended = Cell::new(false);
    let (from_inside, to_inside) = inside.split();
    let (from_outside, to_outside) = outside.split();
    let one = async |from, to, count| {
        pump(from, to, count).await?;
        ended.set(true);
        Ok(())
    };
    let out = one(from_inside, to_outside, &tally.sent);
    let back = one(from_outside, to_inside, &tally.received);
    until(out, back, (&ended, tally)).await
}

/// Waits for both directions, of which one may have `ended`.
async fn until(
    out: impl Future<Output = io::Result<()>>,
    back: impl Future<Output = io::Result<()>>,
    (ended, tally): (&Cell<bool>, &Tally),
) -> io::Result<()> {
    // A connection that breaks on one side ends on both.
    let both = async { tokio::try_join!(out, back).map(|((), ())| ()) };
    tokio::pin!(both);
    let carried = || (tally.sent.get(), tally.received.get());
    let mut before = carried();
    loop {
        tokio::select! {
            done = &mut both => return done,
            () = sleep(HALF_OPEN) => {
                if ended.get() && carried() == before {
                    return Ok(());
                }
                before = carried();
            }
        }
    }
}

/// One direction, until its end, which is passed on.
async fn pump(from: ReadHalf<'_>, mut to: WriteHalf<'_>, count: &Cell<u64>) -> io::Result<()> {
    let before = count.get();
    while count.get().saturating_sub(before) < SPLICE_FROM {
        match pass_some(&from, &to).await? {
            None => return to.shutdown().await,
            Some((passed, rest)) => {
                to.write_all(&rest).await?;
                add(count, passed + rest.len());
            }
        }
    }
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // As large as it is otherwise.
    fcntl_setpipe_size(&pipe.1, PIPE_BYTES).unwrap_or(PIPE_BYTES);
    through(&pipe, from, to, count).await
}

/// One direction of which a side is encrypted.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &Cell<u64>,
) -> io::Result<()> {
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let length = from.read(&mut bytes).await?;
        let Some(read) = bytes.get(..length).filter(|read| !read.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(read).await?;
        to.flush().await?;
        add(count, length);
    }
}

thread_local! {
    /// What is read goes on at once as a rule: a buffer of its own for each piece, of which hundreds come and
    /// go among what stays, would leave the heap torn.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

/// Passes on what is there to read: how much went at once, and the rest of it. `None` at the end.
async fn pass_some(
    from: &ReadHalf<'_>,
    to: &WriteHalf<'_>,
) -> io::Result<Option<(usize, Vec<u8>)>> {
    loop {
        from.ready(Interest::READABLE).await?;
        let passed = PIECE.with_borrow_mut(|piece| {
            let length = from.try_read(piece)?;
            let read = piece.get(..length).unwrap_or_default();
            match to.try_write(read) {
                _ if read.is_empty() => Ok(None),
                Ok(gone) => Ok(Some((gone, read.get(gone..).unwrap_or_default().to_vec()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Ok(Some((0, read.to_vec())))
                }
                Err(error) => Err(error),
            }
        });
        match passed {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            passed => return passed,
        }
    }
}

async fn through(
    (out, into): &(OwnedFd, OwnedFd),
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    count: &Cell<u64>,
) -> io::Result<()> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        let taken = {
            let socket: &TcpStream = from.as_ref();
            let take = || Ok(splice(socket, None, into, None, PIPE_BYTES, flags)?);
            socket.async_io(Interest::READABLE, take).await?
        };
        if taken == 0 {
            return to.shutdown().await;
        }
        let mut left = taken;
        while left > 0 {
            let socket: &TcpStream = to.as_ref();
            let give = || Ok(splice(out, None, socket, None, left, flags)?);
            let given = socket.async_io(Interest::WRITABLE, give).await?;
            left = left.saturating_sub(given);
            add(count, given);
        }
    }
}
