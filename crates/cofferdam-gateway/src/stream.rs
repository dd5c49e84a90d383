//! A connection in the clear, or one whose TLS ends here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection whose first bytes have been read already: they come again.
#[derive(Debug)]
pub(crate) struct Rewound {
    /// What comes first.
    ahead: Vec<u8>,
    stream: TcpStream,
}

impl Rewound {
    pub(crate) const fn new(ahead: Vec<u8>, stream: TcpStream) -> Self {
        Self { ahead, stream }
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
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(task, into);
        }
        let length = self.ahead.len().min(into.remaining());
        let rest = self.ahead.split_off(length);
        into.put_slice(&std::mem::replace(&mut self.ahead, rest));
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
    Tls(Box<TlsStream<Rewound>>),
}

impl Stream {
    /// The socket.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Again(stream) => stream.tcp(),
            Self::Tls(stream) => stream.get_ref().0.tcp(),
        }
    }

    /// Whether the other side has neither said anything nor ended. To be asked between messages: what it
    /// has said is lost.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let mut nobody = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut nobody, &mut into).is_pending()
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
