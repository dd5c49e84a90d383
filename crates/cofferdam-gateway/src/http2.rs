//! HTTP/2 (RFC 9113), carried to HTTP/2: each stream of the workload's is one request, judged by itself,
//! and one stream of a connection to the host.
//!
//! Nothing is translated between versions. What a request is about is read by the same functions as in
//! HTTP/1, and what goes on is written from what was read. Bodies pass by flow control: a side is asked
//! for more only once the other has taken what there is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use cofferdam_policy::judge::hosts::Host;
use cofferdam_policy::judge::requests::{Request, Requests};
use h2::Reason;
use h2::client::{self, SendRequest};
use h2::server;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bearing::Bearing;
use crate::head::Scheme;

mod exchange;
mod flow;
mod head;
mod later;
#[cfg(test)]
mod tests;
mod tokens;

pub use cofferdam_plan::message::Requested;
pub use head::Misread;
use later::later;

/// Most streams at a time, of a client and to a host: what RFC 9113, 6.5.2 advises at least, and common
/// servers allow.
pub const STREAMS_MAX: u32 = 100;
/// Largest list of fields, decoded (RFC 9113, 6.5.2): as a head of HTTP/1. It bounds `CONTINUATION`
/// frames too, which the crate counts by it. Bytes.
pub const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// How much of one stream may be under way to us: four of them that nobody reads from stop a connection,
/// one does not. Bytes.
pub const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// How much of a connection may be under way to us, all streams together. Bytes.
pub const CONNECTION_WINDOW_BYTES: u32 = 2048 * 1024;
/// How much of one stream waits here to be written: eight frames. Bytes.
const SEND_BYTES: usize = 128 * 1024;
/// Streams that a client opens and resets before anybody has seen them; beyond it the connection ends
/// (rapid reset, CVE-2023-44487). The crate's own number.
const RESETS_UNSEEN_MAX: usize = 20;
/// Streams that we have to reset for their faults; beyond it the connection ends. Bytes are cheap to send
/// for who makes them, an answer is not. A tenth of the crate's own number: nobody errs a hundred times.
const RESETS_FOR_FAULTS_MAX: usize = 100;
/// Streams of which we remember that they were reset, for frames that were under way.
const RESETS_KNOWN_MAX: usize = 50;
/// Bodies that are read whole before they go on, at a time: each is at most
/// [`crate::graphql::BODY_BYTES_MAX`].
const WHOLE_MAX: usize = 16;
/// How long such a body may take.
pub(crate) const WHOLE_WITHIN: Duration = Duration::from_secs(30);
/// Streams of all connections: each holds its fields, which cost a client a few bytes (RFC 7541, 7.3).
const ALL_STREAMS_MAX: usize = 1_024;
/// Streams of a client that are not done with here, those among them that it has reset. One that opens and
/// resets without end is shut out, however fast we look at them.
const UNDONE_MAX: usize = 200;
/// How long a client may take to go that was asked to.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// How long the preface may take.
const PREFACE_WITHIN: Duration = Duration::from_secs(10);

/// Whom a connection is for.
#[derive(Clone, Debug)]
pub struct Whom {
    /// Whether it is inside of TLS.
    pub scheme: Scheme,
    /// Whose it is.
    pub host: Host,
    /// On which port.
    pub port: u16,
}

/// An answer of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its status.
    pub status: u16,
    /// Stable name of the reason.
    pub code: &'static str,
    /// JSON for who asked.
    pub body: String,
    /// When it may be asked again. Seconds.
    pub retry_after: Option<u64>,
}

/// Why a request that was let through did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection to the host ended without an answer.
    NoAnswer,
    /// The host took the request back with this reason.
    Reset(Reason),
    /// More bytes than the rule allows a request.
    RequestTooLarge(u64),
    /// More bytes than the rule allows an answer.
    ResponseTooLarge(u64),
    /// Its body is not what the rule asks for: a stable name, and words.
    Content(&'static str, String),
    /// The answer to a request for tokens cannot be passed on: a stable name, and words.
    Tokens(&'static str, String),
    /// A field that may not stand behind a body, from the client.
    Trailer,
    /// The host's answer is none: `101`, or a field behind the body that may not stand there.
    Answer,
    /// A rule sets a field that HTTP/2 does not have.
    Unsayable,
}

/// Who judges each request of a connection.
pub trait Judge {
    /// A request's place in the log: dropped, it is filled.
    type Place: Place;

    /// Judges a request. Whoever is refused is on record already.
    fn admit(
        &self,
        request: &Request<'_>,
        requested: Requested,
    ) -> impl Future<Output = Result<Self::Place, Refusal>>;

    /// Puts on record what cannot be judged.
    fn refuse(
        &self,
        requested: Option<Requested>,
        misread: &Misread,
    ) -> impl Future<Output = Refusal>;

    /// The way to the host: one that is there, as far as [`is_there`] tells, or a new one.
    fn reach(
        &self,
        place: &mut Self::Place,
    ) -> impl Future<Output = Result<SendRequest<Bytes>, Refusal>>;

    /// Comes back when a connection that carries nothing has to go.
    fn idle(&self) -> impl Future<Output = ()>;

    /// What all connections share. Those of one judge have their own, where it says nothing.
    fn room(&self) -> Rc<Room> {
        Rc::default()
    }
}

/// Room for what is held for somebody: a sandbox has many connections.
#[derive(Debug)]
pub struct Room {
    streams: Arc<Semaphore>,
    /// One place for each body, in every version of HTTP.
    pub(crate) whole: Semaphore,
}

impl Default for Room {
    fn default() -> Self {
        let (streams, whole) =
            (Arc::new(Semaphore::new(ALL_STREAMS_MAX)), Semaphore::new(WHOLE_MAX));
        Self { streams, whole }
    }
}

/// One request's place in the log.
pub trait Place {
    /// What the rule that allowed it wants.
    fn requests(&self) -> &Requests;
    /// What it bears, and must not carry.
    fn bearing(&self) -> Bearing {
        Bearing::default()
    }
    /// So many bytes of its body have gone to the host.
    fn sent(&self, bytes: usize);
    /// So many bytes of the answer's have come.
    fn received(&self, bytes: usize);
    /// What a person reads of something that went well.
    fn noted(&self, words: String);
    /// The client has this status.
    fn answered(&self, status: u16);
    /// It came to no good end; what the client is told, if it can be told.
    fn broken(&self, broken: &Broken) -> Refusal;
}

/// A connection while it is served.
struct Served<J> {
    judge: Rc<J>,
    whom: Whom,
    room: Rc<Room>,
}

/// Carries a client's requests until either side ends.
pub async fn serve<T, J>(client: T, judge: Rc<J>, whom: Whom)
where
    T: AsyncRead + AsyncWrite + Unpin,
    J: Judge + 'static,
{
    let (client, flush) = later(client);
    let mut begins = pin!(serving().handshake(client));
    let begins = poll_fn(|task| flush.poll_after(task, |task| begins.as_mut().poll(task)));
    let Ok(Ok(mut connection)) = timeout(PREFACE_WITHIN, begins).await else { return };
    let room = judge.room();
    let served = Rc::new(Served { judge: Rc::clone(&judge), whom, room: Rc::clone(&room) });
    let mut streams = JoinSet::new();
    let mut leaves = false;
    loop {
        // Those that are done with: a client that asks all the time leaves no other moment for that.
        while streams.try_join_next().is_some() {}
        let accepts = poll_fn(|task| flush.poll_after(task, |task| connection.poll_accept(task)));
        tokio::select! {
            biased;
            accepted = accepts => match accepted {
                Some(Ok(_)) if streams.len() >= UNDONE_MAX => {
                    judge.refuse(None, &Misread::TooMany).await;
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
                Some(Ok((request, mut respond))) => {
                    let Ok(place) = Arc::clone(&room.streams).try_acquire_owned() else {
                        // Nothing of it was done: the client may ask again (RFC 9113, 8.7).
                        respond.send_reset(Reason::REFUSED_STREAM);
                        judge.refuse(None, &Misread::TooMany).await;
                        continue;
                    };
                    let served = Rc::clone(&served);
                    streams.spawn_local(async move {
                        exchange::stream(served, request, respond).await;
                        drop(place);
                    });
                }
                Some(Err(_)) | None => break,
            },
            Some(_) = streams.join_next() => {}
            () = judge.idle(), if streams.is_empty() && !leaves => {
                connection.graceful_shutdown();
                leaves = true;
            }
            // The client was told, and does not answer.
            () = sleep(LEAVES_WITHIN), if streams.is_empty() && leaves => break,
        }
    }
    // Each stream has its event, whatever happened to the connection: it ends by itself.
    while streams.join_next().await.is_some() {}
}

/// Begins HTTP/2 with a host. What comes second is to be polled until it ends.
///
/// # Errors
/// The connection has ended.
pub async fn begin<T>(
    host: T,
) -> Result<(SendRequest<Bytes>, impl Future<Output = Result<(), h2::Error>>), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (host, flush) = later(host);
    let (asks, mut driver) = asking().handshake(host).await?;
    let driver =
        poll_fn(move |task| flush.poll_after(task, |task| Pin::new(&mut driver).poll(task)));
    Ok((asks, driver))
}

/// Whether a connection to a host may take another request: it has not ended, nor said that it will.
#[must_use]
pub fn is_there(host: &SendRequest<Bytes>) -> bool {
    let mut nobody = Context::from_waker(Waker::noop());
    !matches!(host.clone().poll_ready(&mut nobody), Poll::Ready(Err(_)))
}

/// What a client is told of us. `CONNECT` with a protocol (RFC 8441) stays off.
fn serving() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES)
        .max_pending_accept_reset_streams(RESETS_UNSEEN_MAX)
        .max_local_error_reset_streams(Some(RESETS_FOR_FAULTS_MAX))
        .max_concurrent_reset_streams(RESETS_KNOWN_MAX);
    builder
}

/// What a host is told of us. It may push nothing: nobody has asked for that, and nobody would judge it.
fn asking() -> client::Builder {
    let streams = usize::try_from(STREAMS_MAX).unwrap_or(usize::MAX);
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(streams)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES)
        .max_local_error_reset_streams(Some(RESETS_FOR_FAULTS_MAX))
        .max_concurrent_reset_streams(RESETS_KNOWN_MAX);
    builder
}
