//! One request on its way, and its answer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use cofferdam_policy::model::Clause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

mod cleaned;
mod flow;
mod tokens;

use super::held::Held;
use super::{Up, websocket};
use crate::answer::{self, Answer, Follows};
use crate::bearing::Bearing;
use crate::body::{Body, Framing, Side as Sender};
use crate::credentials::TOKENS_WITHIN;
use crate::denial::{Again, Denial, Side};
use crate::fields::{Field, HEAD_BYTES_MAX, elements};
use crate::frames::Deflate;
use crate::gate::{Entry, Granted, Tally, add};
use crate::head::{After, Head};
use crate::inside::Inside;
use crate::reply;
use crate::scrub::Pairs;
use crate::stream::Half;
use crate::tunnel::HALF_OPEN;

/// How long an answer may take to begin once the client has ended its side. One that has given up looks
/// the same as one that only has no more to ask.
const ABANDONED: Duration = Duration::from_secs(10);
/// What is read at a time: a record of TLS. Bytes.
const PIECE_BYTES: usize = 16 << 10;
/// What is passed on at a time, where so much is there: the fewer calls, and the fewer times somebody is
/// woken. Bytes.
const GATHERED_BYTES: usize = 4 * PIECE_BYTES;

pub(super) enum Exchanged {
    Answered(After),
    /// WebSocket follows, in both directions.
    Tunnel(Deflate),
}

pub(super) enum Broken {
    /// The client is gone, or has had a part of the answer.
    Quiet,
    /// The host has ended without an answer.
    Unanswered,
    /// The client has had nothing yet.
    Before(Fault),
    /// It has had a part of the answer: another one would be read as the rest of it.
    After(Fault),
}

/// What went wrong with the server's answer, or with the request's body.
pub(super) enum Fault {
    Answer(&'static str, String),
    Body(&'static str, String),
    /// The rule does not allow what the body says.
    Content(&'static str, String),
    /// More bytes than the rule allows: which side's, and how many it allows.
    TooLarge(&'static str, u64),
}

impl Broken {
    /// What is put on record, if anything, and whether the client hears of it.
    pub(super) fn by(self, clause: &Clause) -> (Option<Denial>, bool) {
        let (fault, answers) = match self {
            Self::Quiet => return (None, false),
            Self::Unanswered => return (Some(Denial::unanswered(clause)), true),
            Self::Before(fault) => (fault, true),
            Self::After(fault) => (fault, false),
        };
        let denial = match fault {
            Fault::Answer(code, why) => {
                Denial { side: Side::Network(Again::Never), ..Denial::spoken(code, why, clause) }
            }
            Fault::Body(code, why) => Denial::unreadable(code, why, clause),
            Fault::Content(code, why) => Denial::spoken(code, why, clause),
            Fault::TooLarge(code, most) => Denial::too_large(code, most, clause),
        };
        (Some(denial), answers)
    }
}

/// A request.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    /// As it came.
    pub(super) head: &'a Head,
    /// As it goes on.
    pub(super) written: &'a [u8],
    pub(super) bearing: &'a Bearing,
}

/// Sends the request and passes the answer on. Both at once: a server may answer early.
pub(super) async fn exchange(
    inside: &mut Inside,
    (up, entry): (&mut Up, &mut Entry),
    (message, held): (Message<'_>, &mut Held<'_>),
    rule: &Granted,
) -> Result<Exchanged, Broken> {
    // Of an attempt before this one.
    entry.tally.status.set(None);
    let (tally, status) = (&entry.tally, &entry.tally.status);
    if message.bearing.asks_tokens() {
        // Whoever goes away meanwhile: a token that is exchanged is worth nothing any more.
        let done = both(inside, (up, tally), (message, held), (rule, status));
        return timeout(TOKENS_WITHIN, done).await.unwrap_or(Err(Broken::Unanswered));
    }
    tokio::select! {
        biased;
        (code, why) = message.bearing.over() => {
            let fault = Fault::Content(code, why);
            Err(if status.get().is_some() { Broken::After(fault) } else { Broken::Before(fault) })
        }
        done = both(inside, (up, tally), (message, held), (rule, status)) => done,
    }
}

async fn both(
    inside: &mut Inside,
    (up, tally): (&mut Up, &Tally),
    (message, held): (Message<'_>, &mut Held<'_>),
    (rule, status): (&Granted, &Cell<Option<u16>>),
) -> Result<Exchanged, Broken> {
    let (client, host) = (RefCell::new(&mut inside.stream), RefCell::new(&mut up.stream));
    let (client, host) = (Half(&client), Half(&host));
    let mut request = Direction { from: client, ahead: &mut inside.ahead, to: host, failed: None };
    let mut answer = Direction { from: host, ahead: &mut up.ahead, to: client, failed: None };
    let Message { head, written, bearing } = message;
    let whole = Cell::new(false);
    let most = (rule.requests.max_request_bytes, rule.requests.max_response_bytes);
    let asks = async {
        request.give(written, &tally.sent).await.map_err(|_| Broken::Unanswered)?;
        request.body(held.body(head.framing), held, (&tally.sent, most.0)).await?;
        whole.set(true);
        if bearing.asks_tokens() {
            return std::future::pending().await;
        }
        request.abandoned(status, &tally.received).await;
        Err(Broken::Quiet)
    };
    let pairs = bearing.pairs();
    let pairs = pairs.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
    let answered = answer.answer((head, pairs.as_ref(), bearing), status, (tally, most.1));
    tokio::select! {
        biased;
        // Whoever answers before the whole request has come wants no more of it.
        done = answered => done.map(|exchanged| match exchanged {
            Exchanged::Answered(After::Stay) if !whole.get() => Exchanged::Answered(After::Close),
            answered @ (Exchanged::Answered(_) | Exchanged::Tunnel(_)) => answered,
        }),
        done = asks => match done {
            Ok(never) => never,
            Err(Broken::Before(fault)) if status.get().is_some() => Err(Broken::After(fault)),
            Err(broken) => Err(broken),
        },
    }
}

/// One direction of an exchange.
struct Direction<'a, 'b> {
    from: Half<'a, 'b>,
    ahead: &'a mut Vec<u8>,
    to: Half<'a, 'b>,
    /// Why nothing comes behind what is held: sockets say it once.
    failed: Option<io::Error>,
}

impl Direction<'_, '_> {
    /// Waits for more, and takes all that is there; 0 at the end.
    async fn more(&mut self) -> io::Result<usize> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut got = 0;
        poll_fn(|task| {
            while got < GATHERED_BYTES {
                self.ahead.reserve(PIECE_BYTES);
                let mut limited =
                    (&mut self.from).take(u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX));
                match pin!(limited.read_buf(self.ahead)).poll(task) {
                    Poll::Ready(Ok(more @ 1..)) => got += more,
                    Poll::Ready(Err(error)) if got > 0 => {
                        self.failed = Some(error);
                        break;
                    }
                    Poll::Ready(Ok(0)) | Poll::Pending if got > 0 => break,
                    Poll::Pending if self.ahead.is_empty() => {
                        // Who waits has no room: there may be hundreds.
                        *self.ahead = Vec::new();
                        return Poll::Pending;
                    }
                    other @ (Poll::Ready(_) | Poll::Pending) => return other,
                }
            }
            Poll::Ready(Ok(got))
        })
        .await
    }

    /// Passes on what has come of a message, the first so many bytes of it, and counts them.
    async fn pass(&mut self, length: usize, count: &Cell<u64>) -> io::Result<()> {
        send(&mut self.to, self.ahead.get(..length).unwrap_or_default(), count).await?;
        self.taken(length);
        Ok(())
    }

    /// Forgets what was passed on. One that is quiet afterwards holds little memory.
    fn taken(&mut self, length: usize) {
        drop(self.ahead.drain(..length));
        if self.ahead.is_empty() {
            self.ahead.shrink_to(PIECE_BYTES);
        }
    }

    /// Passes bytes on, and counts them.
    async fn give(&mut self, bytes: &[u8], count: &Cell<u64>) -> io::Result<()> {
        send(&mut self.to, bytes, count).await
    }

    /// The rest of a request; what of it is held already, first.
    async fn body(
        &mut self,
        mut body: Body<'_>,
        held: &mut Held<'_>,
        (count, most): (&Cell<u64>, Option<u64>),
    ) -> Result<(), Broken> {
        let (mut taken, most) = (0_u64, most.unwrap_or(u64::MAX));
        if let Some(whole) = held.whole() {
            if u64::try_from(whole.len()).unwrap_or(u64::MAX) > most {
                return Err(Broken::Before(Fault::TooLarge("request-too-large", most)));
            }
            self.give(whole, count).await.map_err(|_| Broken::Unanswered)?;
            held.gone();
            return Ok(());
        }
        while !body.is_done() {
            if self.ahead.is_empty() && !matches!(self.more().await, Ok(1..)) {
                return Err(Broken::Quiet);
            }
            let fed = held.feed(&mut body, self.ahead)?;
            taken = taken.saturating_add(u64::try_from(fed).unwrap_or(u64::MAX));
            if taken > most {
                return Err(Broken::Before(Fault::TooLarge("request-too-large", most)));
            }
            self.pass(fed, count).await.map_err(|_| Broken::Unanswered)?;
        }
        Ok(())
    }

    /// Comes back when the client has ended its side, and nothing of the answer has come for a while:
    /// nobody waits for it any more.
    async fn abandoned(&mut self, status: &Cell<Option<u16>>, received: &Cell<u64>) {
        // What it asks next is kept for then.
        while matches!(self.more().await, Ok(1..)) {
            if self.ahead.len() >= HEAD_BYTES_MAX {
                // It has much more to ask.
                return std::future::pending().await;
            }
        }
        sleep(ABANDONED).await;
        let mut before = None;
        while status.get().is_some() && before != Some(received.get()) {
            before = Some(received.get());
            sleep(HALF_OPEN).await;
        }
    }

    /// The answer, with those before it that only announce one.
    async fn answer(
        &mut self,
        (head, pairs, bearing): (&Head, Option<&Pairs>, &Bearing),
        status: &Cell<Option<u16>>,
        (tally, most): (&Tally, Option<u64>),
    ) -> Result<Exchanged, Broken> {
        let asked = match head.method.as_str() {
            "HEAD" => answer::Asked::Head,
            _ if head.asks_websocket() => answer::Asked::Websocket,
            _ => answer::Asked::Other,
        };
        loop {
            let mut answer = self.answer_head(asked).await?;
            drop(self.ahead.drain(..answer.length));
            if let Some(pairs) = pairs {
                reply::clean(pairs, &mut answer.headers);
                answer.phrase = pairs.scrub_whole(&answer.phrase).into_owned();
            }
            if bearing.asks_tokens() {
                let stays =
                    |field: &Field| reply::stays_with_tokens(field) || reply::is_of_body(field);
                answer.headers.retain(stays);
            }
            let after = match (head.after(), answer.after()) {
                (After::Stay, After::Stay) => After::Stay,
                (After::Close, _) | (_, After::Close) => After::Close,
            };
            if let (Framing::Length(length), Some(most)) = (answer.framing, most)
                && length > most
            {
                return Err(Broken::Before(Fault::TooLarge("response-too-large", most)));
            }
            if let (Some(pairs), Follows::Body) = (pairs, answer.follows)
                && answer.framing != Framing::None
            {
                if bearing.asks_tokens() {
                    return self.tokens(bearing, (answer, status, after), (tally, most)).await;
                }
                return self.cleaned((head, pairs), (answer, status, after), (tally, most)).await;
            }
            let first = answer.downstream(after);
            let gone = |_| Broken::Quiet;
            match answer.follows {
                Follows::Answer => self.give(&first, &tally.received).await.map_err(gone)?,
                Follows::Tunnel => {
                    status.set(Some(answer.status));
                    self.give(&first, &tally.received).await.map_err(gone)?;
                    return Ok(Exchanged::Tunnel(deflate(&answer)));
                }
                Follows::Body => {
                    let begins = (first, answer.status, status);
                    self.answer_body(begins, answer.framing, (tally, most)).await?;
                    return Ok(Exchanged::Answered(after));
                }
            }
        }
    }

    /// Waits for more of a body; whether it has ended instead.
    async fn ends(&mut self, body: &Body<'_>) -> Result<bool, Broken> {
        match self.more().await {
            Ok(1..) => Ok(false),
            Ok(0) if body.may_end() => Ok(true),
            Ok(_) | Err(_) => Err(Broken::Quiet),
        }
    }

    async fn answer_head(&mut self, asked: answer::Asked) -> Result<Answer, Broken> {
        let mut seen = 0;
        loop {
            // As [`Inside::read_lines`]: a host that sends byte by byte costs no more than others.
            let new = self.ahead.get(seen..).unwrap_or_default();
            let worth = seen == 0 || new.contains(&b'\n') || self.ahead.len() >= HEAD_BYTES_MAX;
            if worth && !self.ahead.is_empty() {
                let parsed = answer::parse(self.ahead, asked).map_err(|fault| {
                    Broken::Before(Fault::Answer(fault.code(), fault.to_string()))
                })?;
                if let Some(answer) = parsed {
                    return Ok(answer);
                }
            }
            seen = self.ahead.len();
            if !matches!(self.more().await, Ok(1..)) {
                return Err(Broken::Unanswered);
            }
        }
    }
}

async fn send(to: &mut Half<'_, '_>, bytes: &[u8], count: &Cell<u64>) -> io::Result<()> {
    to.write_all(bytes).await?;
    // What is encrypted waits for this.
    to.flush().await?;
    add(count, bytes.len());
    Ok(())
}

/// Whether the host has agreed on compressed messages (RFC 7692, 7.1).
fn deflate(answer: &Answer) -> Deflate {
    let mut agreed = elements(&answer.headers, "sec-websocket-extensions");
    let is_deflate = |part: &[u8]| part.to_ascii_lowercase().starts_with(b"permessage-deflate");
    if agreed.any(is_deflate) { Deflate::Agreed } else { Deflate::None }
}

/// WebSocket, after both sides have agreed; where a rule looks inside, frames and nothing else.
pub(super) async fn tunnel(
    inside: &mut Inside,
    mut up: Up,
    entry: &mut Entry,
    (frames, bearing): (Option<Deflate>, &Bearing),
) {
    let (mut early, mut first) = (std::mem::take(&mut inside.ahead), std::mem::take(&mut up.ahead));
    if let Some(deflate) = frames {
        let ahead = (&mut early, &mut first);
        let (client, host) = (&mut inside.stream, &mut up.stream);
        let carried =
            websocket::carry((client, host), ahead, (deflate, bearing), &entry.tally).await;
        let clause = entry.clause().clone();
        match carried {
            Err(websocket::Ended::Fault(fault)) => {
                entry.set(&Denial::unreadable(fault.code(), fault.to_string(), &clause));
            }
            Err(websocket::Ended::Unread((code, why))) => {
                entry.set(&Denial::spoken(code, why, &clause));
            }
            Ok(()) | Err(websocket::Ended::Gone) => {}
        }
        return;
    }
    let tally = &entry.tally;
    if inside.stream.write_all(&first).await.is_err() || inside.stream.flush().await.is_err() {
        return;
    }
    add(&tally.received, first.len());
    if up.stream.write_all(&early).await.is_ok() && up.stream.flush().await.is_ok() {
        add(&tally.sent, early.len());
        drop(crate::tunnel::carry(&mut inside.stream, &mut up.stream, tally).await);
    }
}
