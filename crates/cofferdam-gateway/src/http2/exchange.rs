//! One stream: a request on its way, and its answer.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use cofferdam_policy::judge::requests::{Request as Judged, Requests};
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::time::timeout;

use super::flow::{self, Halt, Source};
use super::tokens;
use super::{Broken, Judge, Place, Refusal, Served, WHOLE_WITHIN, head};
use crate::bearing::{Bearing, WANTS_PASSWORD};
use crate::body::Framing;
use crate::content::{Content, late};
use crate::denial::PASSWORD;
use crate::fields::{Field, length, lists, values};
use crate::head::Head;
use crate::relay::split;

/// Most answers that only announce one (103, 102). Each is held until the client reads it.
const ANNOUNCED_MAX: usize = 16;
/// Methods that do the same when they are done twice (RFC 9110, 9.2.2), as far as these have no body.
const AGAIN: &[&str] = &["GET", "HEAD", "OPTIONS"];

/// How a request ends that does not end well.
pub(super) enum Stop {
    /// The client has gone, for this reason.
    Client(Option<Reason>),
    /// The host has ended the connection before it saw the request.
    Unseen,
    /// Something that goes on record.
    Broken(Broken),
}

/// Carries one request and its answer.
pub(super) async fn stream<J: Judge>(
    served: Rc<Served<J>>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let has_body = parts.method != http::Method::HEAD;
    let refusal = match head::read(&parts, framing(&body), &served.whom) {
        Ok(head) => carry(&served, (&head, body), &mut respond).await.err(),
        Err((requested, misread)) => Some(served.judge.refuse(requested, &misread).await),
    };
    if let Some(refusal) = refusal {
        tell(&mut respond, &refusal, has_body);
    }
}

fn framing(body: &RecvStream) -> Framing {
    if body.is_end_stream() { Framing::None } else { Framing::UntilClose }
}

/// Judges a request and carries it; what the client is told where it has been told nothing yet.
async fn carry<J: Judge>(
    served: &Served<J>,
    (head, body): (&Head, RecvStream),
    respond: &mut SendResponse<Bytes>,
) -> Result<(), Refusal> {
    let fields = head.headers.iter().map(|field| (field.name.as_str(), field.value.as_slice()));
    let fields: Vec<_> = fields.collect();
    let (path, query) = split(head.target.path_and_query());
    let request = Judged { method: &head.method, path, query, headers: &fields, websocket: false };
    let mut place = served.judge.admit(&request, head::requested(head)).await?;
    let mut sent = head.outgoing(&served.whom.host, served.whom.port).edited(place.requests());
    let most = place.requests().max_request_bytes;
    let told = values(&sent.headers, "content-length").find_map(length);
    if let Some((most, _)) = most.zip(told).filter(|(most, length)| length > most) {
        return Err(refused(&place, &Broken::RequestTooLarge(most)));
    }
    let mut bearing = place.bearing();
    let content = bearing
        .check(&mut sent, place.requests())
        .and_then(|()| Content::of(place.requests(), &request, (&bearing, &sent.headers)));
    let content = content.map_err(|(code, why)| refused(&place, &Broken::Content(code, why)))?;
    let asks = Asks { head, request: &request, bearing: &bearing };
    let (mut body, length) = if content.holds() {
        if lists(&head.headers, "expect", "100-continue") && framing(&body) != Framing::None {
            // It waits for a word that the host cannot give yet, and need not any more.
            let go_on = head::answer(StatusCode::CONTINUE, &HeaderMap::new());
            drop(respond.send_informational(go_on));
        }
        match whole(served, (body, content), (asks, place.requests()), respond).await {
            Ok(held) => held,
            Err(halt) => {
                return stopped(of_request(halt), &place, respond, Begun::No).map(drop);
            }
        }
    } else {
        (Source::Stream(body, content), None)
    };
    let sent = bearing.inject(sent);
    let mut sent = sent.map_err(|(code, why)| refused(&place, &Broken::Content(code, why)))?;
    if let Some(length) = length {
        sent.with_length(length);
    }
    let Some(out) = head::outgoing((head, &sent), &served.whom, place.requests()) else {
        return Err(refused(&place, &Broken::Unsayable));
    };
    drop(sent);
    let end = forward(served, (asks, &out), &mut body, (&mut place, respond)).await?;
    // A host may have done what a client did not wait for.
    if let (End::Well | End::Gone, Source::Stream(_, content)) = (end, &body)
        && let Some(words) = content.shown()
    {
        place.noted(words);
    }
    Ok(())
}

/// A request, as it is judged.
#[derive(Clone, Copy)]
struct Asks<'a> {
    head: &'a Head,
    request: &'a Judged<'a>,
    bearing: &'a Bearing,
}

/// Reads a whole body before anything of the request goes on; its length, where it goes on as another one
/// than came.
async fn whole<'s, J: Judge>(
    served: &'s Served<J>,
    (mut body, mut content): (RecvStream, Content),
    (asks, rule): (Asks<'_>, &Requests),
    respond: &mut SendResponse<Bytes>,
) -> Result<(Source<'s>, Option<usize>), Halt> {
    let whole = async {
        // Its permits are never closed.
        let turn = served.room.whole.acquire_many(content.places()).await.ok();
        flow::collect(&mut body, &mut content, rule.max_request_bytes)
            .await
            .map(|held| (held, turn))
    };
    let held = tokio::select! {
        biased;
        reset = poll_fn(|task| respond.poll_reset(task)) => Err(Halt::From(reset.ok())),
        held = timeout(WHOLE_WITHIN, whole) => held.unwrap_or_else(|_| Err(late().into())),
    };
    let ((bytes, trailers), turn) = held?;
    let other = content.end((rule, asks.request), asks.bearing)?;
    let length = other.as_ref().map(|other| other.len());
    let bytes = other.map_or(bytes, |other| Bytes::copy_from_slice(&other));
    Ok((Source::Whole(bytes, trailers, turn), length))
}

/// How a stream ended that needs no answer of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the whole answer of the host.
    Well,
    /// The client has gone.
    Gone,
    /// Somebody took it back; that is on record.
    Early,
}

/// Whether the client has a part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Yes,
    No,
}

/// Puts on record how a request stopped; the client is told, or its stream is reset.
fn stopped(
    stop: Stop,
    place: &impl Place,
    respond: &mut SendResponse<Bytes>,
    begun: Begun,
) -> Result<End, Refusal> {
    let broken = match stop {
        Stop::Client(_) => return Ok(End::Gone),
        Stop::Unseen => Broken::NoAnswer,
        Stop::Broken(broken) => broken,
    };
    match (&broken, begun) {
        // As the host said it: a client may know what to do about the reason.
        (Broken::Reset(reason), _) => reset(respond, place, (&broken, *reason)),
        (Broken::NoAnswer | Broken::Answer, Begun::Yes) => {
            reset(respond, place, (&broken, Reason::INTERNAL_ERROR));
        }
        (
            Broken::RequestTooLarge(_)
            | Broken::ResponseTooLarge(_)
            | Broken::Content(..)
            | Broken::Tokens(..)
            | Broken::Trailer
            | Broken::Unsayable,
            Begun::Yes,
        ) => reset(respond, place, (&broken, Reason::CANCEL)),
        (
            Broken::NoAnswer
            | Broken::Answer
            | Broken::RequestTooLarge(_)
            | Broken::ResponseTooLarge(_)
            | Broken::Content(..)
            | Broken::Tokens(..)
            | Broken::Trailer
            | Broken::Unsayable,
            Begun::No,
        ) => return Err(refused(place, &broken)),
    }
    Ok(End::Early)
}

/// Puts on record that a stream is taken back, and takes it back.
fn reset(
    respond: &mut SendResponse<Bytes>,
    place: &impl Place,
    (broken, reason): (&Broken, Reason),
) {
    drop(place.broken(broken));
    respond.send_reset(reason);
}

/// Puts on record that the client is answered with a refusal, and is that.
fn refused(place: &impl Place, broken: &Broken) -> Refusal {
    let refusal = place.broken(broken);
    place.answered(refusal.status);
    refusal
}

/// Sends the request, once more where the host has not seen it, and passes the answer on.
async fn forward<J: Judge>(
    served: &Served<J>,
    (asks, out): (Asks<'_>, &Request<()>),
    body: &mut Source<'_>,
    (place, respond): (&mut J::Place, &mut SendResponse<Bytes>),
) -> Result<End, Refusal> {
    let is_empty = match &*body {
        Source::Stream(body, _) => body.is_end_stream(),
        Source::Whole(bytes, trailers, _) => bytes.is_empty() && trailers.is_none(),
    };
    let twice = is_empty && AGAIN.contains(&asks.head.method.as_str());
    let touched = Cell::new(false);
    let mut again = false;
    loop {
        let sender = served.judge.reach(place).await?;
        if let Err((code, why)) = asks.bearing.stands() {
            return Err(refused(&*place, &Broken::Content(code, why)));
        }
        let begun = Cell::new(Begun::No);
        let done = match ready(sender, respond).await {
            Err(stop) => Err(stop),
            Ok(mut sender) => match sender.send_request(out.clone(), is_empty) {
                Err(_) => Err(Stop::Unseen),
                Ok((answer, to)) => {
                    let (bearing, place) = (asks.bearing, &*place);
                    let said = Said { place, bearing, begun: &begun, touched: &touched };
                    tokio::select! {
                        biased;
                        // A token that is exchanged is worth nothing any more.
                        (code, why) = asks.bearing.over(), if !asks.bearing.asks_tokens() => {
                            Err(Stop::Broken(Broken::Content(code, why)))
                        }
                        done = both(&said, (body, to, is_empty), answer, respond) => done,
                    }
                }
            },
        };
        match done {
            Ok(()) => return Ok(End::Well),
            Err(Stop::Unseen) if !again && !touched.get() => {}
            Err(Stop::Broken(Broken::NoAnswer)) if !again && twice && begun.get() == Begun::No => {}
            Err(stop) => return stopped(stop, &*place, respond, begun.get()),
        }
        again = true;
    }
}

/// Waits until the host takes another stream.
async fn ready(
    mut sender: SendRequest<Bytes>,
    respond: &mut SendResponse<Bytes>,
) -> Result<SendRequest<Bytes>, Stop> {
    poll_fn(|task| {
        if let Poll::Ready(reset) = respond.poll_reset(task) {
            return Poll::Ready(Err(Stop::Client(reset.ok())));
        }
        sender.poll_ready(task).map_err(|_| Stop::Unseen)
    })
    .await?;
    Ok(sender)
}

/// What both directions of a request write down.
struct Said<'a, P> {
    place: &'a P,
    bearing: &'a Bearing,
    begun: &'a Cell<Begun>,
    /// Whether a part of the body has left: it cannot be said again.
    touched: &'a Cell<bool>,
}

/// Both directions at once: a host may answer early.
async fn both<P: Place>(
    said: &Said<'_, P>,
    (body, mut to, is_empty): (&mut Source<'_>, SendStream<Bytes>, bool),
    answer: ResponseFuture,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), Stop> {
    let asks = async {
        if !is_empty {
            upload(said, body, &mut to).await?;
        }
        pending().await
    };
    let done = tokio::select! {
        biased;
        done = answered(said, answer, respond) => done,
        done = asks => done,
    };
    match &done {
        Ok(()) | Err(Stop::Unseen | Stop::Broken(Broken::NoAnswer | Broken::Reset(_))) => {}
        Err(Stop::Client(reason)) => to.send_reset(reason.unwrap_or(Reason::CANCEL)),
        Err(Stop::Broken(_)) => to.send_reset(Reason::CANCEL),
    }
    done
}

/// Passes the request's body on; comes back where that has to end both directions.
async fn upload<P: Place>(
    said: &Said<'_, P>,
    body: &mut Source<'_>,
    to: &mut SendStream<Bytes>,
) -> Result<(), Stop> {
    let count = |bytes| {
        said.touched.set(true);
        said.place.sent(bytes);
    };
    let rule = said.place.requests();
    let done = match body {
        Source::Stream(from, content) => {
            let counts = (count, rule.max_request_bytes, Some(rule));
            flow::pass(from, to, content, counts).await
        }
        Source::Whole(bytes, trailers, turn) => {
            let sent = flow::send_whole(to, (bytes.clone(), trailers.clone()), (count, rule)).await;
            // It is not said again: the next one may be held.
            (*bytes, *turn) = (Bytes::new(), None);
            sent
        }
    };
    match done {
        // The host wants no more of it. What it says to the request is seen by who waits for that.
        Ok(()) | Err(Halt::To(_)) => Ok(()),
        Err(halt) => Err(of_request(halt)),
    }
}

/// What a halt of the request's body is.
fn of_request(halt: Halt) -> Stop {
    match halt {
        Halt::From(reason) => Stop::Client(reason),
        Halt::To(_) => Stop::Broken(Broken::NoAnswer),
        Halt::TooLarge(most) => Stop::Broken(Broken::RequestTooLarge(most)),
        Halt::Content(code, why) => Stop::Broken(Broken::Content(code, why)),
        Halt::Trailer => Stop::Broken(Broken::Trailer),
    }
}

/// The answer, with those before it that only announce one.
async fn answered<P: Place>(
    said: &Said<'_, P>,
    mut answer: ResponseFuture,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), Stop> {
    let pairs = said.bearing.pairs();
    let pairs = pairs.map_err(|(code, why)| Stop::Broken(Broken::Content(code, why)))?;
    let clean = |status, headers: &HeaderMap| {
        let mut response = head::answer(status, headers);
        if let Some(pairs) = &pairs {
            head::clean(pairs, response.headers_mut());
        }
        if said.bearing.asks_tokens() {
            head::without_tokens(response.headers_mut());
        }
        response
    };
    let mut announced = 0;
    let (parts, mut body) = loop {
        let minds = !said.bearing.asks_tokens();
        match heard(&mut answer, respond, minds).await? {
            Heard::Answer(response) => break response.into_parts(),
            Heard::Announced(status, headers) => {
                announced += 1;
                if announced <= ANNOUNCED_MAX && status != StatusCode::SWITCHING_PROTOCOLS {
                    // Where the client has gone, the next look at it tells.
                    drop(respond.send_informational(clean(status, &headers)));
                }
            }
        }
    };
    let most = said.place.requests().max_response_bytes;
    let is_last = body.is_end_stream();
    if let (Some(most), Some(length), false) = (most, head::told(&parts.headers), is_last)
        && length > most
    {
        return Err(Stop::Broken(Broken::ResponseTooLarge(most)));
    }
    let mut response = clean(parts.status, &parts.headers);
    if said.bearing.asks_tokens() && !is_last {
        let came = (head::fields(&parts.headers), body);
        return with_tokens(said, (response, came, most), respond).await;
    }
    let reply = match &pairs {
        Some(pairs) if !is_last => {
            let reply = head::reply(pairs, response.headers_mut());
            Some(reply.map_err(|_| Stop::Broken(Broken::Answer))?)
        }
        Some(_) | None => None,
    };
    let mut to =
        respond.send_response(response, is_last).map_err(|error| Stop::Client(error.reason()))?;
    said.begun.set(Begun::Yes);
    said.place.answered(parts.status.as_u16());
    if is_last {
        return Ok(());
    }
    let count = |bytes| said.place.received(bytes);
    let passed = match (reply, pairs) {
        (Some(reply), Some(pairs)) => {
            flow::pass_clean(&mut body, &mut to, (reply, &pairs), (count, most)).await
        }
        (None, _) | (Some(_), None) => {
            flow::pass(&mut body, &mut to, &mut Content::any(), (count, most, None)).await
        }
    };
    match passed {
        Ok(()) => Ok(()),
        Err(Halt::To(reason)) => Err(Stop::Client(reason)),
        Err(Halt::From(Some(reason))) => Err(Stop::Broken(Broken::Reset(reason))),
        Err(Halt::From(None)) => Err(Stop::Broken(Broken::NoAnswer)),
        Err(Halt::TooLarge(most)) => Err(Stop::Broken(Broken::ResponseTooLarge(most))),
        Err(Halt::Trailer | Halt::Content(..)) => Err(Stop::Broken(Broken::Answer)),
    }
}

/// The same of the answer to a request for tokens, which is held whole.
async fn with_tokens<P: Place>(
    said: &Said<'_, P>,
    (mut response, (fields, mut body), most): (Response<()>, (Vec<Field>, RecvStream), Option<u64>),
    respond: &mut SendResponse<Bytes>,
) -> Result<(), Stop> {
    let (status, whole) =
        (response.status().as_u16(), tokens::soon(tokens::whole(&mut body, most)).await?);
    let whole = tokens::exchanged(said.bearing, (status, &fields, &whole)).await?;
    response.headers_mut().insert(http::header::CONTENT_LENGTH, whole.len().into());
    said.place.received(whole.len());
    let to = respond.send_response(response, false);
    let mut to = to.map_err(|error| Stop::Client(error.reason()))?;
    said.begun.set(Begun::Yes);
    said.place.answered(status);
    tokens::give(&mut to, whole).await
}

/// What the host says first.
enum Heard {
    Answer(Response<RecvStream>),
    Announced(StatusCode, HeaderMap),
}

async fn heard(
    answer: &mut ResponseFuture,
    respond: &mut SendResponse<Bytes>,
    minds: bool,
) -> Result<Heard, Stop> {
    let heard = poll_fn(|task| {
        if minds && let Poll::Ready(reset) = respond.poll_reset(task) {
            return Poll::Ready(Err(Stop::Client(reset.ok())));
        }
        if let Poll::Ready(Some(Ok(announced))) = answer.poll_informational(task) {
            let (parts, ()) = announced.into_parts();
            return Poll::Ready(Ok(Heard::Announced(parts.status, parts.headers)));
        }
        Pin::new(&mut *answer).poll(task).map(|response| match response {
            Ok(response) => Ok(Heard::Answer(response)),
            Err(error) => Err(unanswered(&error)),
        })
    });
    if minds { heard.await } else { tokens::soon(heard).await }
}

/// Why there is no answer.
fn unanswered(error: &h2::Error) -> Stop {
    match flow::reset(error) {
        // Neither has done anything (RFC 9113, 8.7).
        Some(Reason::REFUSED_STREAM) => Stop::Unseen,
        Some(reason) => Stop::Broken(Broken::Reset(reason)),
        None if error.is_go_away() && error.is_remote() => Stop::Unseen,
        None => Stop::Broken(Broken::NoAnswer),
    }
}

/// An answer of the gateway's own; the connection stays.
fn tell(respond: &mut SendResponse<Bytes>, refusal: &Refusal, has_body: bool) {
    let mut response = Response::builder()
        .status(refusal.status)
        .header("content-type", "application/json")
        .header("content-length", refusal.body.len())
        .header("x-cofferdam", refusal.code);
    if refusal.code == WANTS_PASSWORD {
        response = response.header("www-authenticate", PASSWORD);
    }
    if let Some(seconds) = refusal.retry_after {
        response = response.header("retry-after", seconds);
    }
    let Ok(response) = response.body(()) else { return respond.send_reset(Reason::INTERNAL_ERROR) };
    // Where the client has gone, nobody is owed an answer.
    if let Ok(mut to) = respond.send_response(response, !has_body)
        && has_body
    {
        drop(to.send_data(Bytes::copy_from_slice(refusal.body.as_bytes()), true));
    }
}
