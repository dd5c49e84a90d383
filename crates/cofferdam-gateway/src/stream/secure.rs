//! TLS that ends here, spoken through `rustls`. What is to be sent is gathered into whole records, and many
//! of them go in one call; what has come is there to be looked at where it was decrypted.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;
use zeroize::{Zeroize, Zeroizing};

#[cfg(test)]
pub(crate) mod tests;

/// The plaintext of the largest record (RFC 8446, 5.1). Bytes.
const RECORD_BYTES: usize = 16 << 10;
/// So much is encrypted before it goes: the fewer calls, and the fewer times somebody is woken. Bytes.
const GATHERED_BYTES: usize = 4 * RECORD_BYTES;

/// A connection with its TLS. What is written goes when it is flushed, or when enough is there.
pub(crate) struct Secure<T> {
    tls: TlsStream<T>,
    /// What is no whole record yet. It may bear a secret.
    rest: Zeroizing<Vec<u8>>,
    /// How much was encrypted since all of it had gone. Bytes of plaintext.
    queued: usize,
}

impl<T> std::fmt::Debug for Secure<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tls: _, rest, queued } = self;
        let mut shown = out.debug_struct("Secure");
        shown.field("rest", &rest.len()).field("queued", queued).finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Secure<T> {
    /// One whose handshake is done.
    pub(crate) fn new(mut tls: TlsStream<T>) -> Self {
        // Its own bound cuts records where it is met. The one that counts is `GATHERED_BYTES`.
        match &mut tls {
            TlsStream::Client(tls) => tls.get_mut().1.set_buffer_limit(None),
            TlsStream::Server(tls) => tls.get_mut().1.set_buffer_limit(None),
        }
        Self { tls, rest: Zeroizing::default(), queued: 0 }
    }

    /// What is below.
    pub(crate) fn below(&self) -> &T {
        self.tls.get_ref().0
    }

    /// The protocol that both sides have agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.tls.get_ref().1.alpn_protocol()
    }

    /// Waits until there is room for more to be sent.
    pub(crate) fn poll_room(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.queued >= GATHERED_BYTES {
            ready!(Pin::new(&mut self.tls).poll_flush(task))?;
            self.queued = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes to be sent, all of them. They are few where [`Secure::poll_room`] was asked before each
    /// record's: that, and `GATHERED_BYTES`, is what is held.
    ///
    /// # Errors
    /// The connection has failed, or its keys are used up.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((whole, later)) =
            bytes.split_at_checked(RECORD_BYTES.saturating_sub(self.rest.len()))
        {
            self.seal(whole)?;
            bytes = later;
        }
        let length = self.rest.len() + bytes.len();
        if length > self.rest.capacity() {
            // Where a vector grows by itself, it leaves what it held behind.
            let room = if self.rest.is_empty() { length } else { RECORD_BYTES };
            let mut grown = Zeroizing::new(Vec::with_capacity(room));
            grown.extend_from_slice(&self.rest);
            self.rest = grown;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes a record of what waits, and of these bytes behind it.
    fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pieces = [IoSlice::new(&self.rest), IoSlice::new(bytes)];
        let sealed = match &mut self.tls {
            TlsStream::Client(tls) => tls.get_mut().1.writer().write_vectored(&pieces)?,
            TlsStream::Server(tls) => tls.get_mut().1.writer().write_vectored(&pieces)?,
        };
        if sealed != self.rest.len() + bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.queued += sealed;
        self.rest.as_mut_slice().zeroize();
        self.rest.clear();
        Ok(())
    }

    /// Sends all that waits.
    pub(crate) fn poll_push(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            self.seal(&[])?;
        }
        // Who has nothing to say has no room: there may be hundreds.
        self.rest = Zeroizing::default();
        ready!(Pin::new(&mut self.tls).poll_flush(task))?;
        self.queued = 0;
        Poll::Ready(Ok(()))
    }

    /// What has come and was not taken yet: a record's, at most; nothing at the end.
    pub(crate) fn poll_come(&mut self, task: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.tls).poll_fill_buf(task)
    }

    /// So much of it is taken.
    pub(crate) fn taken(&mut self, length: usize) {
        Pin::new(&mut self.tls).consume(length);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secure<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(task, into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secure<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(task, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(task))?;
        let mut taken = 0;
        for piece in pieces {
            let piece = piece.get(..GATHERED_BYTES - taken).unwrap_or(piece);
            self.take(piece)?;
            taken += piece.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_push(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            self.seal(&[])?;
        }
        // It sends what waits, then its own last words.
        Pin::new(&mut self.tls).poll_shutdown(task)
    }
}
