//! What HTTP/2 writes goes once it has written all that it can for now: the crate flushes after each frame,
//! and each flush is a call of the system, and wakes who is at the other end.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection as the crate has it: flushing it is left to its [`Flush`].
pub(super) struct Later<T>(Rc<RefCell<Shared<T>>>);

/// The other hold on it.
pub(super) struct Flush<T>(Rc<RefCell<Shared<T>>>);

struct Shared<T> {
    stream: T,
    /// Whether something may wait in it.
    waits: bool,
    /// Why it could not go: the crate hears of it next.
    failed: Option<io::Error>,
}

/// A connection, and what flushes it.
pub(super) fn later<T>(stream: T) -> (Later<T>, Flush<T>) {
    let shared = Rc::new(RefCell::new(Shared { stream, waits: false, failed: None }));
    (Later(Rc::clone(&shared)), Flush(shared))
}

impl<T: AsyncWrite + Unpin> Flush<T> {
    /// Polls who writes, and sends what it has written then.
    pub(super) fn poll_after<O>(
        &self,
        task: &mut Context<'_>,
        writes: impl FnOnce(&mut Context<'_>) -> Poll<O>,
    ) -> Poll<O> {
        let done = writes(task);
        let mut shared = self.0.borrow_mut();
        if shared.waits {
            match Pin::new(&mut shared.stream).poll_flush(task) {
                // Whoever is polled next goes on with it.
                Poll::Pending => {}
                Poll::Ready(Ok(())) => shared.waits = false,
                Poll::Ready(Err(error)) => {
                    (shared.waits, shared.failed) = (false, Some(error));
                    task.waker().wake_by_ref();
                }
            }
        }
        done
    }
}

impl<T> Shared<T> {
    /// The connection, unless it has failed.
    fn whole(&mut self) -> io::Result<Pin<&mut T>>
    where
        T: Unpin,
    {
        self.failed.take().map_or(Ok(()), Err)?;
        Ok(Pin::new(&mut self.stream))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Later<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().whole()?.poll_read(task, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Later<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.0.borrow_mut();
        shared.waits = true;
        shared.whole()?.poll_write(task, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.0.borrow_mut();
        shared.waits = true;
        shared.whole()?.poll_write_vectored(task, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.borrow_mut().whole().map(|_| ()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.borrow_mut();
        ready!(shared.whole()?.poll_flush(task))?;
        shared.waits = false;
        shared.whole()?.poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Holds what is written until it is flushed, if it can be.
    #[derive(Default)]
    struct Holds {
        held: Vec<u8>,
        gone: Vec<u8>,
        flushes: usize,
        shut: bool,
        blocked: bool,
        broken: bool,
    }

    impl AsyncRead for Holds {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holds {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.held.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            if self.blocked {
                return Poll::Pending;
            }
            if self.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let held = std::mem::take(&mut self.held);
            self.gone.extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shut = true;
            Poll::Ready(Ok(()))
        }
    }

    /// Writes pieces as the crate does: each is flushed.
    fn says(
        stream: &mut Later<Holds>,
        pieces: &[&[u8]],
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        for piece in pieces {
            let length = ready!(Pin::new(&mut *stream).poll_write(task, piece))?;
            assert_eq!(length, piece.len());
            ready!(Pin::new(&mut *stream).poll_flush(task))?;
        }
        Poll::Ready(Ok(()))
    }

    #[test]
    fn what_was_written_goes_in_one() {
        let mut task = Context::from_waker(Waker::noop());
        let (mut stream, flush) = later(Holds::default());
        let said = flush.poll_after(&mut task, |task| says(&mut stream, &[b"one", b"two"], task));
        assert!(said.is_ready());
        assert_eq!(flush.0.borrow().stream.gone, b"onetwo");
        assert_eq!(flush.0.borrow().stream.flushes, 1);
        let nothing: Poll<()> = flush.poll_after(&mut task, |_| Poll::Pending);
        assert!(nothing.is_pending());
        assert_eq!(flush.0.borrow().stream.flushes, 1, "nothing waits");
    }

    #[test]
    fn what_cannot_go_goes_later() {
        let mut task = Context::from_waker(Waker::noop());
        let (mut stream, flush) = later(Holds { blocked: true, ..Holds::default() });
        drop(flush.poll_after(&mut task, |task| says(&mut stream, &[b"one"], task)));
        assert_eq!(flush.0.borrow().stream.gone, b"");
        flush.0.borrow_mut().stream.blocked = false;
        let nothing: Poll<()> = flush.poll_after(&mut task, |_| Poll::Pending);
        assert!(nothing.is_pending());
        assert_eq!(flush.0.borrow().stream.gone, b"one");
    }

    #[test]
    fn what_fails_is_heard_once_by_who_writes_or_reads() {
        let mut task = Context::from_waker(Waker::noop());
        for reads in [true, false] {
            let (mut stream, flush) = later(Holds { broken: true, ..Holds::default() });
            drop(flush.poll_after(&mut task, |task| says(&mut stream, &[b"one"], task)));
            let mut byte = [0];
            let mut into = ReadBuf::new(&mut byte);
            let heard = if reads {
                Pin::new(&mut stream).poll_read(&mut task, &mut into)
            } else {
                says(&mut stream, &[b"two"], &mut task)
            };
            let Poll::Ready(Err(error)) = heard else { panic!("{heard:?}") };
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }

    #[test]
    fn an_end_comes_after_all_of_it() {
        let mut task = Context::from_waker(Waker::noop());
        let (mut stream, flush) = later(Holds { blocked: true, ..Holds::default() });
        drop(says(&mut stream, &[b"last"], &mut task));
        assert!(Pin::new(&mut stream).poll_shutdown(&mut task).is_pending());
        assert!(!flush.0.borrow().stream.shut, "it waits");
        flush.0.borrow_mut().stream.blocked = false;
        assert!(Pin::new(&mut stream).poll_shutdown(&mut task).is_ready());
        let shared = flush.0.borrow();
        assert_eq!((shared.stream.gone.as_slice(), shared.stream.shut), (&b"last"[..], true));
    }
}
