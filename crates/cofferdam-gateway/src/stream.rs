//! A connection in the clear, or one whose TLS ends here.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(crate) mod secure;

pub(crate) use secure::Secure;

/// What is read at once for who asks for little: rustls reads a record of 16 KiB by 4 KiB. Bytes.
const AHEAD_BYTES: usize = 64 << 10;

thread_local! {
    /// What was read goes on at once, mostly: a buffer for each connection would leave the heap torn.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; AHEAD_BYTES]);
}

/// A connection whose first bytes have been read already: they come again. What is there is read at once,
/// however little is asked for; nothing is held while there is nothing.
#[derive(Debug)]
pub(crate) struct Rewound {
    /// What comes first, and how much of it was taken since.
    ahead: Vec<u8>,
    taken: usize,
    stream: TcpStream,
}

impl Rewound {
    pub(crate) const fn new(ahead: Vec<u8>, stream: TcpStream) -> Self {
        Self { ahead, taken: 0, stream }
    }

    /// The connection itself.
    pub(crate) const fn tcp(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { ahead, taken, stream } = &mut *self;
        if *taken == ahead.len() {
            (*ahead, *taken) = (Vec::new(), 0);
            if into.remaining() >= AHEAD_BYTES / 4 {
                return Pin::new(stream).poll_read(task, into);
            }
            return ROOM.with_borrow_mut(|room| {
                let mut room = ReadBuf::new(room);
                ready!(Pin::new(stream).poll_read(task, &mut room))?;
                let (now, later) =
                    room.filled().split_at(room.filled().len().min(into.remaining()));
                into.put_slice(now);
                *ahead = later.to_vec();
                Poll::Ready(Ok(()))
            });
        }
        let rest = ahead.get(*taken..).unwrap_or_default();
        let piece = rest.get(..into.remaining()).unwrap_or(rest);
        into.put_slice(piece);
        *taken += piece.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    // Records of TLS come four at a time: in one call, where they are asked to.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(task, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// One side of what is carried.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As it is on the wire.
    Plain(TcpStream),
    /// The same, of which the first bytes were read.
    Again(Box<Rewound>),
    /// TLS that ends here.
    Tls(Box<Secure<Rewound>>),
}

impl Stream {
    /// The socket.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Again(stream) => stream.tcp(),
            Self::Tls(stream) => stream.below().tcp(),
        }
    }

    /// Whether the other side has neither said anything nor ended. To be asked between messages: what it
    /// has said is lost.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        // The task's budget says nothing about the other side.
        let read = tokio::task::unconstrained(poll_fn(|task| {
            Pin::new(&mut *self).poll_read(task, &mut into)
        }));
        pin!(read).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(task, into),
            Self::Again(stream) => Pin::new(stream.as_mut()).poll_read(task, into),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(task, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(task, bytes),
            Self::Again(stream) => Pin::new(stream.as_mut()).poll_write(task, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(task, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(task, pieces),
            Self::Again(stream) => Pin::new(stream.as_mut()).poll_write_vectored(task, pieces),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(task, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Again(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(task),
            Self::Again(stream) => Pin::new(stream.as_mut()).poll_flush(task),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(task),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(task),
            Self::Again(stream) => Pin::new(stream.as_mut()).poll_shutdown(task),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(task),
        }
    }
}

/// One side that two read from and write to, in one task: each poll of it is over before the next begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half<'a, 'b>(pub(crate) &'a RefCell<&'b mut Stream>);

impl AsyncRead for Half<'_, '_> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_read(task, into)
    }
}

impl AsyncWrite for Half<'_, '_> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_write(task, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.0.borrow_mut()).poll_shutdown(task)
    }
}
