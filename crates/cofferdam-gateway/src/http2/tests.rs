//! A client, this gateway and a host, over pipes in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use cofferdam_policy::Name;
use cofferdam_policy::judge::requests::GraphQl;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request as Message, Response, Uri};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

use super::*;

mod bodies;
mod ends;
mod heads;

/// What a host is asked, and where its answer goes.
type Asked = (Message<RecvStream>, SendResponse<Bytes>);

/// A judge that writes down what it sees.
struct Fake {
    requests: Requests,
    /// What a request with this path is refused with.
    denied: Option<&'static str>,
    /// What became of each request, when its place was filled.
    events: Rc<RefCell<Vec<String>>>,
    up: RefCell<Option<SendRequest<Bytes>>>,
    to_host: UnboundedSender<Asked>,
    /// Connections to the host so far.
    connected: Cell<usize>,
    /// What ends the host's connections.
    ends: RefCell<VecDeque<tokio::task::AbortHandle>>,
    idle: Cell<Option<Duration>>,
}

struct FakePlace {
    requests: Requests,
    events: Rc<RefCell<Vec<String>>>,
    what: String,
    sent: Cell<usize>,
    received: Cell<usize>,
    ended: RefCell<String>,
}

impl Drop for FakePlace {
    fn drop(&mut self) {
        let (sent, received) = (self.sent.get(), self.received.get());
        let event = format!("{} {sent} {received}{}", self.what, self.ended.borrow());
        self.events.borrow_mut().push(event);
    }
}

impl Place for FakePlace {
    fn requests(&self) -> &Requests {
        &self.requests
    }

    fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes);
    }

    fn received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes);
    }

    fn noted(&self, words: String) {
        self.ended.borrow_mut().push_str(&format!(" {words}"));
    }

    fn answered(&self, status: u16) {
        self.ended.borrow_mut().push_str(&format!(" {status}"));
    }

    fn broken(&self, broken: &Broken) -> Refusal {
        self.ended.borrow_mut().push_str(&format!(" {broken:?}"));
        let status = match broken {
            Broken::RequestTooLarge(_) => 413,
            Broken::NoAnswer => 504,
            Broken::Reset(_)
            | Broken::ResponseTooLarge(_)
            | Broken::Content(..)
            | Broken::Tokens(..)
            | Broken::Trailer
            | Broken::Answer
            | Broken::Unsayable => 403,
        };
        Refusal { status, code: "broken", body: format!("{broken:?}"), retry_after: None }
    }
}

impl Judge for Fake {
    type Place = FakePlace;

    async fn admit(
        &self,
        request: &Request<'_>,
        requested: Requested,
    ) -> Result<FakePlace, Refusal> {
        assert_eq!((request.method, request.path), (&*requested.method, &*requested.path));
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let what = format!("{} {}{query}", request.method, request.path);
        if self.denied.is_some_and(|path| path == request.path) {
            self.events.borrow_mut().push(format!("{what} denied"));
            let (body, retry_after) = ("{\"no\":1}\n".into(), Some(7));
            return Err(Refusal { status: 403, code: "denied", body, retry_after });
        }
        Ok(FakePlace {
            requests: self.requests.clone(),
            events: Rc::clone(&self.events),
            what,
            sent: Cell::new(0),
            received: Cell::new(0),
            ended: RefCell::default(),
        })
    }

    async fn refuse(&self, requested: Option<Requested>, misread: &Misread) -> Refusal {
        let what = requested.map_or("?".into(), |about| format!("{} {}", about.method, about.path));
        self.events.borrow_mut().push(format!("{what} {}", misread.code()));
        let body = misread.to_string();
        Refusal { status: misread.status(), code: misread.code(), body, retry_after: None }
    }

    async fn reach(&self, _: &mut FakePlace) -> Result<SendRequest<Bytes>, Refusal> {
        if let Some(up) = self.up.borrow().as_ref().filter(|up| is_there(up)) {
            return Ok(up.clone());
        }
        self.connected.set(self.connected.get() + 1);
        let (near, far) = tokio::io::duplex(64 << 10);
        let to_host = self.to_host.clone();
        let host = spawn_local(async move {
            let mut host = h2::server::handshake(far).await.unwrap();
            while let Some(Ok(asked)) = host.accept().await {
                drop(to_host.send(asked));
            }
        });
        self.ends.borrow_mut().push_back(host.abort_handle());
        let (up, driver) = begin(near).await.unwrap();
        spawn_local(driver);
        *self.up.borrow_mut() = Some(up.clone());
        Ok(up)
    }

    async fn idle(&self) {
        match self.idle.get() {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    }
}

/// All three.
struct World {
    judge: Rc<Fake>,
    client: SendRequest<Bytes>,
    host: UnboundedReceiver<Asked>,
    /// Ends when the gateway has.
    served: tokio::task::JoinHandle<()>,
    /// Ends the client's connection when aborted.
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl World {
    /// Waits until so many requests have come to their end; what they were.
    #[track_caller]
    fn events(&self, count: usize) -> impl Future<Output = Vec<String>> {
        let (events, began) = (Rc::clone(&self.judge.events), Instant::now());
        async move {
            while events.borrow().len() < count && began.elapsed() < Duration::from_secs(5) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // One more would be one too many.
            tokio::time::sleep(Duration::from_millis(20)).await;
            events.borrow().clone()
        }
    }

    /// Asks without a body; the head of the answer, and all of its body.
    async fn ask(&mut self, request: Message<()>) -> (http::response::Parts, Vec<u8>) {
        let (answer, _) = self.ready().await.send_request(request, true).unwrap();
        let (parts, body) = answer.await.unwrap().into_parts();
        (parts, all(body).await.0)
    }

    async fn ready(&self) -> SendRequest<Bytes> {
        self.client.clone().ready().await.unwrap()
    }
}

fn whom() -> Whom {
    let host = Host::Name(Name::parse(b"good.test").unwrap());
    Whom { scheme: Scheme::Https, host, port: 443 }
}

/// Runs a test in a world with these rules.
fn with<F: Future<Output = ()>>(
    requests: Requests,
    denied: Option<&'static str>,
    test: impl FnOnce(World) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (to_host, host) = unbounded_channel();
        let judge = Rc::new(Fake {
            requests,
            denied,
            events: Rc::default(),
            up: RefCell::default(),
            to_host,
            connected: Cell::new(0),
            ends: RefCell::default(),
            idle: Cell::new(None),
        });
        let (near, far) = tokio::io::duplex(64 << 10);
        let served = spawn_local(serve(far, Rc::clone(&judge), whom()));
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1 << 20);
        let (client, driver) = builder.handshake(near).await.unwrap();
        let driver = spawn_local(driver);
        let world = World { judge, client, host, served, driver };
        tokio::time::timeout(Duration::from_secs(20), test(world)).await.expect("in time");
    });
}

fn get(path: &str) -> Message<()> {
    request(Method::GET, path)
}

fn request(method: Method, path: &str) -> Message<()> {
    let uri: Uri = format!("https://good.test{path}").parse().unwrap();
    Message::builder().method(method).uri(uri).body(()).unwrap()
}

/// A whole body, and what stands behind it.
async fn all(mut body: RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.unwrap();
    (bytes, trailers)
}

/// Sends as there is room.
async fn send(to: &mut SendStream<Bytes>, bytes: &[u8], is_last: bool) -> Result<(), h2::Error> {
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        to.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|task| to.poll_capacity(task)).await;
        let room = room.ok_or(h2::Error::from(Reason::STREAM_CLOSED))??;
        let piece = rest.split_to(room.min(rest.len()));
        to.send_data(piece, is_last && rest.is_empty())?;
    }
    Ok(())
}

/// An empty answer.
fn ok() -> Response<()> {
    Response::new(())
}

/// A host that answers everything with this.
fn answers(mut host: UnboundedReceiver<Asked>, body: &'static [u8]) {
    spawn_local(async move {
        while let Some((_, mut respond)) = host.recv().await {
            let mut to = respond.send_response(ok(), false).unwrap();
            to.send_data(Bytes::from_static(body), true).unwrap();
        }
    });
}
