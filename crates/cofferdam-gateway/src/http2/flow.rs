//! One direction of a stream: bytes are asked for as they are taken, never more.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use cofferdam_policy::judge::requests::Requests;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use tokio::sync::SemaphorePermit;

use crate::body::may_trail;
use crate::coding::CodingFault;
use crate::content::{Content, Unread};
use crate::reply::Reply;
use crate::scrub::Pairs;

/// Why a direction ends before its body does.
#[derive(Debug)]
pub(super) enum Halt {
    /// Who sends has ended it, with a reason of a stream's or with the connection.
    From(Option<Reason>),
    /// Who receives has.
    To(Option<Reason>),
    /// More bytes than are allowed.
    TooLarge(u64),
    /// It is not what a rule asks for: a stable name, and words.
    Content(&'static str, String),
    /// A field behind the body that may not stand there.
    Trailer,
}

impl From<Unread> for Halt {
    fn from((code, why): Unread) -> Self {
        Self::Content(code, why)
    }
}

/// Where a body comes from.
pub(super) enum Source<'a> {
    /// As it comes, and what a rule asks of it.
    Stream(RecvStream, Content),
    /// It was read before, in its turn.
    Whole(Bytes, Option<HeaderMap>, Option<SemaphorePermit<'a>>),
}

/// Passes a body on, to its end. `content` sees each piece before it goes.
pub(super) async fn pass(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    content: &mut Content,
    (count, most, rule): (impl Fn(usize), Option<u64>, Option<&Requests>),
) -> Result<(), Halt> {
    let (mut total, most) = (0_u64, most.unwrap_or(u64::MAX));
    while let Some(bytes) = next(from, to).await? {
        total = total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if total > most {
            return Err(Halt::TooLarge(most));
        }
        content.feed(&bytes)?;
        if from.is_end_stream() {
            content.last()?;
        }
        // What was taken out cannot be taken out again: it counts, even where it does not arrive.
        let (length, is_last) = (bytes.len(), from.is_end_stream());
        count(length);
        give(to, bytes, is_last).await?;
        // Only now may as much come again.
        drop(from.flow_control().release_capacity(length));
        if is_last {
            return Ok(());
        }
    }
    let trailers = poll_fn(|task| from.poll_trailers(task)).await.map_err(ended)?;
    content.last()?;
    trails(trailers.as_ref(), content)?;
    finish(to, trailers, rule)
}

/// Refuses what stands behind a body where nobody could look through it.
fn trails(trailers: Option<&HeaderMap>, content: &Content) -> Result<(), Halt> {
    let some = trailers.is_some_and(|fields| !fields.is_empty());
    if some && !content.may_trail() { Err(Halt::Trailer) } else { Ok(()) }
}

/// Passes the answer of a host that knows secrets on: plain, and without them.
pub(super) async fn pass_clean(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    (mut reply, pairs): (Reply, &Pairs),
    (count, most): (impl Fn(usize), Option<u64>),
) -> Result<(), Halt> {
    let broken = |fault: CodingFault| Halt::Content(fault.code(), fault.to_string());
    let (mut total, most) = (0_u64, most.unwrap_or(u64::MAX));
    while let Some(bytes) = next(from, to).await? {
        total = total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if total > most {
            return Err(Halt::TooLarge(most));
        }
        count(bytes.len());
        let mut rest = bytes.as_ref();
        loop {
            let mut out = Vec::with_capacity(rest.len());
            let step = reply.step(rest, &mut out).map_err(broken)?;
            give(to, out.into(), false).await?;
            rest = rest.get(step.taken..).unwrap_or_default();
            if rest.is_empty() && !step.more {
                break;
            }
        }
        drop(from.flow_control().release_capacity(bytes.len()));
    }
    let mut out = Vec::new();
    reply.finish(&mut out).map_err(broken)?;
    give(to, out.into(), false).await?;
    let mut trailers = poll_fn(|task| from.poll_trailers(task)).await.map_err(ended)?;
    if let Some(fields) = &mut trailers {
        super::head::clean(pairs, fields);
    }
    finish(to, trailers, None)
}

/// Sends a body that was read before.
pub(super) async fn send_whole(
    to: &mut SendStream<Bytes>,
    (body, trailers): (Bytes, Option<HeaderMap>),
    (count, rule): (impl Fn(usize), &Requests),
) -> Result<(), Halt> {
    let (length, is_last) = (body.len(), trailers.is_none());
    count(length);
    give(to, body, is_last).await?;
    if is_last { Ok(()) } else { finish(to, trailers, Some(rule)) }
}

/// Reads a whole body.
pub(super) async fn collect(
    from: &mut RecvStream,
    content: &mut Content,
    most: Option<u64>,
) -> Result<(Bytes, Option<HeaderMap>), Halt> {
    let (mut body, most) = (Vec::new(), most.unwrap_or(u64::MAX));
    while let Some(bytes) = poll_fn(|task| from.poll_data(task)).await {
        let bytes = bytes.map_err(ended)?;
        // What is held is bounded by who asks for it.
        content.feed(&bytes)?;
        body.extend_from_slice(&bytes);
        if u64::try_from(body.len()).unwrap_or(u64::MAX) > most {
            return Err(Halt::TooLarge(most));
        }
        drop(from.flow_control().release_capacity(bytes.len()));
    }
    let trailers = poll_fn(|task| from.poll_trailers(task)).await.map_err(ended)?;
    trails(trailers.as_ref(), content)?;
    Ok((body.into(), trailers))
}

/// The next piece, unless who receives wants no more.
async fn next(from: &mut RecvStream, to: &mut SendStream<Bytes>) -> Result<Option<Bytes>, Halt> {
    poll_fn(|task| {
        if let Poll::Ready(reset) = to.poll_reset(task) {
            return Poll::Ready(Err(Halt::To(reset.ok())));
        }
        from.poll_data(task).map(|piece| piece.transpose().map_err(ended))
    })
    .await
}

/// Sends bytes as the other side makes room for them.
pub(super) async fn give(
    to: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    is_last: bool,
) -> Result<(), Halt> {
    while !bytes.is_empty() {
        to.reserve_capacity(bytes.len());
        let room = match poll_fn(|task| to.poll_capacity(task)).await {
            Some(Ok(room)) => room.min(bytes.len()),
            Some(Err(error)) => return Err(Halt::To(error.reason())),
            None => return Err(Halt::To(None)),
        };
        let piece = bytes.split_to(room);
        let ends = is_last && bytes.is_empty();
        to.send_data(piece, ends).map_err(|error| Halt::To(error.reason()))?;
        if ends {
            return Ok(());
        }
    }
    if is_last { finish(to, None, None) } else { Ok(()) }
}

/// The end of a body, with what stands behind it; of a request, what its rule removes or sets is not.
fn finish(
    to: &mut SendStream<Bytes>,
    trailers: Option<HeaderMap>,
    rule: Option<&Requests>,
) -> Result<(), Halt> {
    let sent = match trailers {
        Some(fields) if !fields.keys().all(|name| may_trail(name.as_str().as_bytes(), rule)) => {
            return Err(Halt::Trailer);
        }
        Some(fields) => to.send_trailers(fields),
        None => to.send_data(Bytes::new(), true),
    };
    sent.map_err(|error| Halt::To(error.reason()))
}

/// A reason is one where the other side gave it for this stream; a connection that has ended has none.
fn ended(error: h2::Error) -> Halt {
    Halt::From(reset(&error))
}

/// The reason for which the other side has reset a stream.
pub(super) fn reset(error: &h2::Error) -> Option<Reason> {
    error.reason().filter(|_| error.is_reset() && error.is_remote())
}
