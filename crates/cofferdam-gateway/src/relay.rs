//! HTTP/1, in the clear and inside of TLS that ends here: each request is read, judged, and written anew
//! from what was read; each answer is followed to its end, so that the next request is found.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use cofferdam_plan::message::{HttpVersion, Requested, Way};
use cofferdam_policy::judge::hosts::Protocol;
use cofferdam_policy::judge::requests::Request;
use tokio::net::TcpStream;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::bearing::Bearing;
use crate::body::Framing;
use crate::denial::Denial;
use crate::fields::{Field, lists};
use crate::gate::{Asked, Entry, Gate, Granted, Lane};
use crate::head::{self, After, Head, Scheme, Target, Version};
use crate::inside::{Inside, NotRead};
use crate::inspect::{Speaks, h2};
use crate::stream::{Rewound, Stream};

mod exchange;
mod held;
mod messages;
mod websocket;

use exchange::{Broken, Exchanged, Fault, Message, exchange};
use held::Held;

/// How long a kept connection may be silent: longer than clients keep one.
pub(crate) const KEEP_WITHIN: Duration = Duration::from_secs(120);
/// What a client begins HTTP/2 with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Methods that do the same when they are done twice (RFC 9110, 9.2.2), as far as these have no body.
const AGAIN: &[&str] = &["GET", "HEAD", "OPTIONS"];

/// What the requests of a connection may be for.
pub(crate) enum Asks {
    /// For this host: its address was dialled.
    Origin(Asked),
    /// For this host, and the connection to it is there.
    Opened(Asked, Box<Entry>, TcpStream),
    /// Each for the host of its own target: this is a proxy.
    Absolute,
    /// For this host, inside of TLS.
    Inside(Asked, Box<Entry>, Up),
    /// For this host, inside of TLS; there is no way to it.
    Unreached(Asked, Box<Entry>, Box<Denial>),
}

/// A connection to a host, with what was read of it beyond the last answer.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) asked: Asked,
    /// What it was made for; of one that has carried nothing, `dial` alone counts.
    pub(crate) lane: Lane,
    pub(crate) stream: Stream,
    pub(crate) ahead: Vec<u8>,
    /// What the host was offered to speak.
    pub(crate) offers: Vec<Speaks>,
    /// Whom it is to.
    pub(crate) address: Option<SocketAddr>,
    /// Whether it has carried a request: then it may have ended just now.
    pub(crate) used: bool,
}

impl Up {
    /// One in the clear that has carried nothing yet.
    pub(crate) fn plain(
        (asked, lane): (Asked, Lane),
        stream: TcpStream,
        address: Option<SocketAddr>,
    ) -> Self {
        let (stream, ahead) = (Stream::Plain(stream), Vec::new());
        Self { asked, lane, stream, ahead, offers: vec![Speaks::Http1], address, used: false }
    }

    /// Whether it is for this host, and for such requests.
    pub(crate) fn is_of(&self, asked: &Asked, lane: &Lane) -> bool {
        let fits = !self.used || self.lane.credential == lane.credential;
        fits && self.asked.is_for(asked) && self.lane.dial == lane.dial
    }

    /// Whether it is for this host, and there still. A server that has said something since, has ended:
    /// nobody asked it anything.
    pub(crate) fn is_for(&mut self, asked: &Asked, lane: &Lane) -> bool {
        self.is_of(asked, lane) && self.ahead.is_empty() && self.stream.is_quiet()
    }
}

/// A connection of the workload's while it is served.
struct Served {
    /// Whom all of its requests are for.
    fixed: Option<Asked>,
    scheme: Scheme,
    /// The connection's own event, until a request takes it.
    first: Option<Entry>,
    up: Option<Up>,
    /// What every request is answered with.
    unreached: Option<Denial>,
}

impl From<Asks> for Served {
    fn from(asks: Asks) -> Self {
        let none =
            Self { fixed: None, scheme: Scheme::Http, first: None, up: None, unreached: None };
        match asks {
            Asks::Absolute => none,
            Asks::Origin(asked) => Self { fixed: Some(asked), ..none },
            Asks::Opened(asked, entry, stream) => {
                let (dial, address) = entry.to();
                let fixed = Some(asked.clone());
                let lane = Lane { dial, credential: None };
                let up = Up::plain((asked, lane), stream, address);
                Self { fixed, first: Some(*entry), up: Some(up), ..none }
            }
            Asks::Inside(asked, entry, up) => {
                let (first, up) = (Some(*entry), Some(up));
                Self { fixed: Some(asked), scheme: Scheme::Https, first, up, ..none }
            }
            Asks::Unreached(asked, entry, denial) => {
                let (first, unreached) = (Some(*entry), Some(*denial));
                Self { fixed: Some(asked), scheme: Scheme::Https, first, unreached, ..none }
            }
        }
    }
}

/// Why a connection goes no further.
enum End {
    /// It is over; nobody is owed an answer.
    Quiet,
    /// This is the answer.
    Denied(Box<Denial>, u16, String),
}

impl End {
    fn denied(denial: Denial, what: String) -> Self {
        let status = denial.status();
        Self::Denied(Box::new(denial), status, what)
    }
}

/// Carries requests and answers until either side ends.
pub(crate) async fn serve(gate: &Rc<Gate>, mut inside: Inside, asks: Asks) {
    let mut served = Served::from(asks);
    if let Some(asked) = served.fixed.clone()
        && served.scheme == Scheme::Http
        && h2::may_be_clear(gate, &asked)
    {
        match inside.read(prefaced).await {
            Ok(false) => {}
            Ok(true) => {
                let (Stream::Plain(stream), ahead, crowd) = inside.into_parts() else { return };
                let stream = Stream::Again(Box::new(Rewound::new(ahead, stream)));
                let (first, up) = (served.first.take(), served.up.take());
                return h2::serve_clear(gate, (stream, crowd), (asked, first), up).await;
            }
            Err(NotRead::Fault(()) | NotRead::Late | NotRead::Gone) => return,
        }
    }
    loop {
        match served.once(gate, &mut inside).await {
            Ok(After::Stay) => {}
            Ok(After::Close) => {
                served.keep(gate);
                // Its last words are read, and known to be the last.
                return inside.end_with(&[]).await;
            }
            Err(End::Quiet) => return served.keep(gate),
            Err(End::Denied(denial, status, what)) => {
                // The event is told before the answer is.
                drop(served);
                return inside.end_with(&denial.answer_with(status, &what)).await;
            }
        }
    }
}

/// The fields of a head, as the judge takes them.
pub(crate) fn listed(head: &Head) -> Vec<(&str, &[u8])> {
    head.headers.iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect()
}

/// A request, as the judge takes it.
pub(crate) fn view<'a>(head: &'a Head, fields: &'a [(&'a str, &'a [u8])]) -> Request<'a> {
    let (path, query) = split(head.target.path_and_query());
    let websocket = head.asks_websocket();
    Request { method: &head.method, path, query, headers: fields, websocket }
}

/// Whether bytes begin HTTP/2 (RFC 9113, 3.4); `None` while they are too few to tell.
#[expect(
    clippy::unnecessary_wraps,
    reason = "read as every first message is; nothing is no answer"
)]
fn prefaced(bytes: &[u8]) -> Result<Option<bool>, ()> {
    let (whole, rest) = (PREFACE.starts_with(bytes), bytes.starts_with(PREFACE));
    Ok(if rest { Some(true) } else { (!whole).then_some(false) })
}

/// What is put on record of a request.
pub(crate) fn requested(head: &Head) -> Requested {
    first((head.method.clone(), &head.target, head.version))
}

/// The same of its first line.
fn first((method, target, version): (String, &Target, Version)) -> Requested {
    let version = match version {
        Version::Http10 => HttpVersion::Http10,
        Version::Http11 => HttpVersion::Http11,
    };
    let (path, _) = split(target.path_and_query());
    Requested { version, method, path: path.into(), status: None }
}

/// Path and query of a target.
pub(crate) fn split(path_and_query: &str) -> (&str, Option<&str>) {
    match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    }
}

impl Served {
    /// Keeps the connection to the host for another client of the sandbox's.
    fn keep(&mut self, gate: &Gate) {
        if let (Some(up), Some(inspector)) = (self.up.take(), &gate.inspector) {
            inspector.keep(up);
        }
    }

    /// One request and its answer.
    async fn once(&mut self, gate: &Rc<Gate>, inside: &mut Inside) -> Result<After, End> {
        if self.up.is_some() && inside.ahead.is_empty() {
            let first = inside.more_within(Instant::now(), KEEP_WITHIN).await;
            if !matches!(first, Some(Ok(1..))) {
                return Ok(After::Close);
            }
        }
        let mut head = self.read_head(gate, inside).await?;
        let asked = self.whom(gate, &head).await?;
        // A host that reads no body of this method would take it for the next request.
        let is_last = AGAIN.contains(&head.method.as_str()) && head.framing != Framing::None;
        if is_last {
            head.headers.push(Field::new("Connection", "close"));
        }
        // What goes on is what is judged: a field that `Connection` takes away never counts.
        let outgoing = head.outgoing(&asked.host, asked.port);
        let fields = listed(&outgoing);
        let request = view(&outgoing, &fields);
        let (mut entry, rule) = self.admit(gate, &asked, (&head, &request)).await?;
        let mut sent = outgoing.clone().edited(&rule.requests);
        if is_last {
            sent.headers.push(Field::new("Connection", "close"));
        }
        let mut bearing = gate.bearing(&asked, &rule);
        if let Err((code, why)) = bearing.check(&mut sent, &rule.requests) {
            let denial = Denial::spoken(code, why, &rule.clause);
            entry.answer(&denial);
            return Err(End::denied(denial, asked.place()));
        }
        drop(inside.take(head.length));
        let (held, written) = match borne(gate, inside, (&head, sent), (&rule, &bearing)).await {
            Ok(both) => both,
            Err(broken) => return Err(told(broken, &rule, (&mut entry, &asked))),
        };
        let message = Message { head: &head, written: &written, bearing: &bearing };
        let judged = (&asked, &request, &rule, entry);
        self.carry(gate, inside, (message, held), judged).await
    }

    /// Sends a request, on another connection where the one that was kept has ended, and passes its answer
    /// on.
    async fn carry(
        &mut self,
        gate: &Rc<Gate>,
        inside: &mut Inside,
        (message, mut held): (Message<'_>, Held<'_>),
        (asked, request, rule, mut entry): (&Asked, &Request<'_>, &Granted, Entry),
    ) -> Result<After, End> {
        let Message { head, bearing, .. } = message;
        let again = head.framing == Framing::None && AGAIN.contains(&head.method.as_str());
        let done = loop {
            let mut up = self.upstream(gate, asked, (rule, &mut entry)).await?;
            let used = std::mem::replace(&mut up.used, true);
            up.lane = rule.lane();
            let done = exchange(inside, (&mut up, &mut entry), (message, &mut held), rule).await;
            match done {
                // It ended while it was kept, and has heard nothing that could not be said again.
                Err(Broken::Unanswered) if used && again => {}
                Ok(Exchanged::Answered(After::Stay)) => {
                    self.up = Some(up);
                    break Ok(After::Stay);
                }
                Ok(Exchanged::Answered(After::Close)) => break Ok(After::Close),
                Ok(Exchanged::Tunnel(deflate)) => {
                    let looks =
                        self.scheme == Scheme::Https || rule.looks() || bearing.reads_messages();
                    let frames = looks.then_some(deflate);
                    let revoked = tokio::select! {
                        () = exchange::tunnel(inside, up, &mut entry, (frames, bearing)) => None,
                        denial = gate.revoked(asked, request) => Some(denial),
                        (code, why) = bearing.over() => {
                            Some(Denial::spoken(code, why, &rule.clause))
                        }
                    };
                    revoked.iter().for_each(|denial| entry.set(denial));
                    break Ok(After::Close);
                }
                Err(broken) => break Err(broken),
            }
        };
        if let Some(words) = held.shown() {
            // A host may have done what its client did not wait for.
            entry.note(words);
        }
        done.map_err(|broken| told(broken, rule, (&mut entry, asked)))
    }

    /// Judges a request by everything in its head; it has its place in the log then.
    async fn admit(
        &mut self,
        gate: &Rc<Gate>,
        asked: &Asked,
        (head, request): (&Head, &Request<'_>),
    ) -> Result<(Entry, Granted), End> {
        let denied = |denial: Denial| End::denied(denial, asked.place());
        if let Some(denial) = self.unreached.take()
            && let Some(mut entry) = self.first.take()
        {
            entry.about(Some(requested(head)));
            entry.answer(&denial);
            return Err(denied(denial));
        }
        let admitted = gate.admit(asked, (request, requested(head)), self.first.take()).await;
        let (mut entry, rule) = admitted.map_err(|denial| denied(*denial))?;
        if let Some(denial) = unwanted(self.scheme, head, &rule) {
            entry.answer(&denial);
            return Err(denied(denial));
        }
        Ok((entry, rule))
    }

    /// A connection to the host: the one that is there, or a new one.
    async fn upstream(
        &mut self,
        gate: &Rc<Gate>,
        asked: &Asked,
        (rule, entry): (&Granted, &mut Entry),
    ) -> Result<Up, End> {
        if let Some(mut up) = self.up.take()
            && up.is_for(asked, &rule.lane())
            && gate.may_go_to(rule, up.address)
        {
            entry.reached(up.address);
            return Ok(up);
        }
        let connected = match (self.scheme, &gate.inspector) {
            (Scheme::Https, Some(inspector)) => {
                inspector.connect(gate, asked, (rule, entry), &[Speaks::Http1]).await
            }
            (Scheme::Https, None) => {
                let denial = Denial::spoken("no-authority", "no TLS begins here", &rule.clause);
                entry.set(&denial);
                Err(Box::new(denial))
            }
            (Scheme::Http, _) => {
                let reached = gate.reach(asked, rule, entry).await;
                let (_, address) = entry.to();
                reached.map(|stream| Up::plain((asked.clone(), rule.lane()), stream, address))
            }
        };
        connected.map_err(|denial| {
            entry.answered(denial.status());
            End::denied(*denial, asked.place())
        })
    }

    /// The next request, as far as it can be read without doubt.
    async fn read_head(&mut self, gate: &Rc<Gate>, inside: &mut Inside) -> Result<Head, End> {
        let scheme = self.scheme;
        match inside.read_lines(|bytes| head::parse_in(scheme, bytes)).await {
            Ok(head) => Ok(head),
            Err(NotRead::Fault(fault)) => {
                let denial = Denial::unreadable(fault.code(), fault.to_string(), &gate.base());
                let what = self.fixed.as_ref().map_or_else(|| "a request".into(), Asked::place);
                let line = head::first_line(scheme, &inside.ahead);
                let line = line.map(|(method, target, version)| first((method, &target, version)));
                match self.fixed.clone() {
                    Some(asked) => {
                        self.refuse(gate, (&asked, line), (&denial, fault.status())).await
                    }
                    None => {
                        let port = cofferdam_plan::egress::PROXY_PORT;
                        gate.refuse_nobody(Way::Proxy, port, denial.clone()).await;
                    }
                }
                Err(End::Denied(Box::new(denial), fault.status(), what))
            }
            Err(NotRead::Late | NotRead::Gone) => Err(End::Quiet),
        }
    }

    /// For whom a request is: what it names must be whom the connection is for.
    async fn whom(&mut self, gate: &Rc<Gate>, head: &Head) -> Result<Asked, End> {
        let fixed = self.fixed.as_ref();
        let named = Asked {
            way: fixed.map_or(Way::Proxy, |asked| asked.way),
            host: head.host.clone(),
            port: head.port,
            protocol: fixed.map_or(Protocol::Http, |asked| asked.protocol),
        };
        let (asked, fault) = match (fixed, &head.target) {
            (_, Target::Authority(..)) => {
                let why = "a CONNECT inside of a connection that is for one host";
                (fixed.cloned().unwrap_or(named), Some(("http-connect", why.to_owned())))
            }
            (None, Target::Absolute { .. }) => (named, None),
            (None, Target::Origin(_) | Target::Asterisk) => {
                let why = "a proxy is asked with the whole address: http://HOST/PATH";
                (named, Some(("http-target", why.to_owned())))
            }
            (Some(asked), _) if asked.is_for(&named) => (asked.clone(), None),
            (Some(asked), _) => {
                let (named, place) = (named.place(), asked.place());
                let why = format!("the request is for {named}, the connection for {place}");
                (asked.clone(), Some(("host-mismatch", why)))
            }
        };
        let Some((code, why)) = fault else { return Ok(asked) };
        // What the rules say of the host comes first: it is what a person can change.
        let denial = match gate.judge(&asked) {
            Err(unwanted) if code == "host-mismatch" => *unwanted,
            Ok(_) | Err(_) => Denial::unreadable(code, why, &gate.base()),
        };
        // Another connection would be the right one (RFC 9110, 15.5.20).
        let status = match (self.scheme, denial.code) {
            (Scheme::Https, "host-mismatch") => 421,
            (Scheme::Http | Scheme::Https, _) => denial.status(),
        };
        self.refuse(gate, (&asked, Some(requested(head))), (&denial, status)).await;
        Err(End::Denied(Box::new(denial), status, asked.place()))
    }

    /// Puts a refusal on record: as the end of the connection that was opened for this very request,
    /// where there is one, else as an event of its own.
    async fn refuse(
        &mut self,
        gate: &Rc<Gate>,
        (asked, requested): (&Asked, Option<Requested>),
        (denial, status): (&Denial, u16),
    ) {
        let (refused, first) = ((denial.clone(), status), self.first.take());
        gate.refuse_request(asked, requested, refused, first).await;
    }
}

/// What of a request is held until it is judged, and its head as it goes on, with what it bears.
async fn borne<'a>(
    gate: &'a Gate,
    inside: &mut Inside,
    (head, sent): (&Head, Head),
    (rule, bearing): (&'a Granted, &'a Bearing),
) -> Result<(Held<'a>, Zeroizing<Vec<u8>>), Broken> {
    let fields = listed(&sent);
    let judged = view(&sent, &fields);
    let mut held = Held::new((rule, bearing), &judged, &sent.headers)?;
    held.take(gate, inside, (head, &judged)).await?;
    let injected = bearing.inject(sent);
    let mut injected = injected.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
    if let Some(length) = held.length() {
        injected.with_length(length);
    }
    let written = injected.written();
    Ok((held, written))
}

/// Puts on record what went wrong, and says what the client hears of it.
fn told(broken: Broken, rule: &Granted, (entry, asked): (&mut Entry, &Asked)) -> End {
    let (denial, answers) = broken.by(&rule.clause);
    let Some(denial) = denial else { return End::Quiet };
    entry.set(&denial);
    if !answers {
        return End::Quiet;
    }
    entry.answered(denial.status());
    End::denied(denial, asked.place())
}

/// What of an allowed request is refused all the same.
fn unwanted(scheme: Scheme, head: &Head, rule: &Granted) -> Option<Denial> {
    // In the clear the wish is forgotten, which every receiver may do (RFC 9110, 7.8). Nobody has one
    // inside of TLS (RFC 7540, 3.2) but who wants to be looked at no longer.
    if scheme == Scheme::Https && lists(&head.headers, "upgrade", "h2c") {
        let why = "an upgrade to HTTP/2 in the clear, inside of TLS";
        return Some(Denial::unreadable("h2c", why, &rule.clause));
    }
    match (head.framing, rule.requests.max_request_bytes) {
        (Framing::Length(length), Some(most)) if length > most => {
            Some(Denial::too_large("request-too-large", most, &rule.clause))
        }
        (Framing::None | Framing::Length(_) | Framing::Chunked | Framing::UntilClose, _) => None,
    }
}
