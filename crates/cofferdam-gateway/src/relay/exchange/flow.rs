//! The body of an answer that nobody has to read: it goes on as it comes.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Body, Broken, Direction, Fault, Sender};
use crate::body::Framing;
use crate::gate::{Tally, add};
use crate::stream::{Secure, Stream};

#[cfg(test)]
mod tests;

/// A body that is followed, and how much of it may come.
struct Follows {
    body: Body<'static>,
    taken: u64,
    most: u64,
}

impl Follows {
    /// How many of these bytes belong to it.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let fed = self.body.feed(bytes);
        let fed = fed.map_err(|fault| Fault::Answer(fault.code(), fault.to_string()))?;
        self.taken = self.taken.saturating_add(u64::try_from(fed.taken).unwrap_or(u64::MAX));
        if self.taken > self.most {
            return Err(Fault::TooLarge("response-too-large", self.most));
        }
        Ok(fed.taken)
    }
}

impl Direction<'_, '_> {
    /// The head and the body after it; what is there already goes in one piece.
    pub(super) async fn answer_body(
        &mut self,
        (mut first, code, status): (Vec<u8>, u16, &Cell<Option<u16>>),
        framing: Framing,
        (tally, most): (&Tally, Option<u64>),
    ) -> Result<(), Broken> {
        let body = Body::new(framing, Sender::Answer);
        let mut follows = Follows { body, taken: 0, most: most.unwrap_or(u64::MAX) };
        // A head that has gone out cannot be taken back: the connection ends.
        let fed = follows.feed(self.ahead).map_err(Broken::Before)?;
        status.set(Some(code));
        first.extend_from_slice(self.ahead.get(..fed).unwrap_or_default());
        self.taken(fed);
        self.give(&first, &tally.received).await.map_err(|_| Broken::Quiet)?;
        drop(first);
        let is_tls = |stream: &Stream| matches!(stream, Stream::Tls(_));
        if is_tls(&self.from.0.borrow()) && is_tls(&self.to.0.borrow()) {
            return self.records(&mut follows, &tally.received).await;
        }
        while !follows.body.is_done() {
            match self.more().await {
                Ok(1..) => {}
                Ok(0) if follows.body.may_end() => return Ok(()),
                Ok(_) | Err(_) => return Err(Broken::Quiet),
            }
            let fed = follows.feed(self.ahead).map_err(Broken::After)?;
            self.pass(fed, &tally.received).await.map_err(|_| Broken::Quiet)?;
        }
        Ok(())
    }

    /// The rest of a body, from where it was decrypted to where it is encrypted again.
    async fn records(&mut self, follows: &mut Follows, count: &Cell<u64>) -> Result<(), Broken> {
        if follows.body.is_done() {
            return Ok(());
        }
        if self.failed.take().is_some() {
            return Err(Broken::Quiet);
        }
        let (from, to) = (self.from, self.to);
        let passed = poll_fn(|task| {
            let (mut from, mut to) = (from.0.borrow_mut(), to.0.borrow_mut());
            let (Stream::Tls(from), Stream::Tls(to)) = (&mut **from, &mut **to) else {
                return Poll::Ready(Err(Broken::Quiet));
            };
            poll_records((from, to), follows, (count, task))
        });
        let passed = passed.await;
        // Whatever happened: this much of it is right.
        let flushed = self.to.flush().await;
        passed.and(flushed.map_err(|_| Broken::Quiet))
    }
}

/// Passes records on while there are any and they are taken.
fn poll_records<T: AsyncRead + AsyncWrite + Unpin>(
    (from, to): (&mut Secure<T>, &mut Secure<T>),
    follows: &mut Follows,
    (count, task): (&Cell<u64>, &mut Context<'_>),
) -> Poll<Result<(), Broken>> {
    while !follows.body.is_done() {
        ready!(to.poll_room(task)).map_err(|_| Broken::Quiet)?;
        let bytes = match from.poll_come(task) {
            Poll::Pending => {
                // Nobody waits for what is here already.
                ready!(to.poll_push(task)).map_err(|_| Broken::Quiet)?;
                return Poll::Pending;
            }
            Poll::Ready(Ok([])) if follows.body.may_end() => break,
            Poll::Ready(Ok([]) | Err(_)) => return Poll::Ready(Err(Broken::Quiet)),
            Poll::Ready(Ok(bytes)) => bytes,
        };
        let fed = follows.feed(bytes).map_err(Broken::After)?;
        to.take(bytes.get(..fed).unwrap_or_default()).map_err(|_| Broken::Quiet)?;
        from.taken(fed);
        add(count, fed);
    }
    Poll::Ready(Ok(()))
}
