//! HTTP/1 in the clear: each request is read, judged by the host that it names, and written anew from
//! what was read; each answer is followed to its end, so that the next request is found.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use cofferdam_plan::message::Way;
use cofferdam_policy::judge::hosts::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep};

use crate::answer::{self, Answer, Follows};
use crate::body::{Body, Framing, Side as Sender};
use crate::denial::{Again, Denial, Side};
use crate::fields::HEAD_BYTES_MAX;
use crate::gate::{Asked, Entry, Gate, Tally, add};
use crate::head::{self, After, Head, Target};
use crate::inside::{Inside, NotRead};

/// How long a kept connection may be silent: longer than clients keep one.
const KEEP_WITHIN: Duration = Duration::from_secs(120);
/// How long an answer may take to begin once the client has ended its side. One that has given up looks
/// the same as one that only has no more to ask.
const ABANDONED: Duration = Duration::from_secs(10);
/// What is read at a time. Bytes.
const PIECE_BYTES: usize = 16 << 10;

/// What the requests of a connection may be for.
pub(crate) enum Asks {
    /// For this host: its address was dialled.
    Origin(Asked),
    /// For this host, and the connection to it is there.
    Opened(Asked, Box<Entry>, TcpStream),
    /// Each for the host of its own target: this is a proxy.
    Absolute,
}

/// A connection to a host, with what was read of it beyond the last answer.
struct Open {
    asked: Asked,
    entry: Entry,
    stream: TcpStream,
    ahead: Vec<u8>,
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
    let (fixed, mut open) = match asks {
        Asks::Origin(asked) => (Some(asked), None),
        Asks::Opened(asked, entry, stream) => {
            let open = Open { asked: asked.clone(), entry: *entry, stream, ahead: Vec::new() };
            (Some(asked), Some(open))
        }
        Asks::Absolute => (None, None),
    };
    loop {
        match once(gate, &mut inside, fixed.as_ref(), &mut open).await {
            Ok(After::Stay) => {}
            Ok(After::Close) | Err(End::Quiet) => return,
            Err(End::Denied(denial, status, what)) => {
                // The event is told before the answer is.
                drop(open);
                return inside.end_with(&denial.answer_with(status, &what)).await;
            }
        }
    }
}

/// One request and its answer.
async fn once(
    gate: &Rc<Gate>,
    inside: &mut Inside,
    fixed: Option<&Asked>,
    open: &mut Option<Open>,
) -> Result<After, End> {
    if open.is_some() && inside.ahead.is_empty() {
        let first = inside.more_within(Instant::now(), KEEP_WITHIN).await;
        if !matches!(first, Some(Ok(1..))) {
            return Ok(After::Close);
        }
    }
    let head = read_head(gate, inside, fixed, open).await?;
    let asked = whom(gate, &head, fixed, open).await?;
    let mut current = match open.take().filter(|open| open.is_for(&asked)) {
        Some(open) => open,
        None => match gate.open(&asked).await {
            Ok((entry, stream)) => Open { asked: asked.clone(), entry, stream, ahead: Vec::new() },
            Err(denial) => return Err(End::denied(*denial, asked.place())),
        },
    };
    drop(inside.take(head.length));
    match exchange(inside, &mut current, &head).await {
        Ok(Exchanged::Answered(After::Stay)) => {
            *open = Some(current);
            Ok(After::Stay)
        }
        Ok(Exchanged::Answered(After::Close)) => Ok(After::Close),
        Ok(Exchanged::Tunnel) => {
            tunnel(inside, current).await;
            Ok(After::Close)
        }
        Err(Broken::Quiet) => Err(End::Quiet),
        Err(Broken::After(fault)) => {
            let denial = fault.by(current.entry.clause());
            current.entry.set(&denial);
            Err(End::Quiet)
        }
        Err(Broken::Before(fault)) => {
            let denial = fault.by(current.entry.clause());
            current.entry.set(&denial);
            Err(End::denied(denial, asked.place()))
        }
    }
}

/// The next request, as far as it can be read without doubt.
async fn read_head(
    gate: &Rc<Gate>,
    inside: &mut Inside,
    fixed: Option<&Asked>,
    open: &mut Option<Open>,
) -> Result<Head, End> {
    match inside.read_lines(head::parse).await {
        Ok(head) => Ok(head),
        Err(NotRead::Fault(fault)) => {
            let denial = Denial::unreadable(fault.code(), fault.to_string(), gate.base());
            let what = fixed.map_or_else(|| "a request".into(), Asked::place);
            match fixed {
                Some(asked) => refuse(gate, asked, open, &denial).await,
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
async fn whom(
    gate: &Rc<Gate>,
    head: &Head,
    fixed: Option<&Asked>,
    open: &mut Option<Open>,
) -> Result<Asked, End> {
    let named = Asked {
        way: fixed.map_or(Way::Proxy, |asked| asked.way),
        host: head.host.clone(),
        port: head.port,
        protocol: Protocol::Http,
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
        (Some(asked), _) if (&head.host, head.port) == (&asked.host, asked.port) => {
            (asked.clone(), None)
        }
        (Some(asked), _) => {
            let why = format!(
                "the request is for {}, the connection for {}",
                named.place(),
                asked.place()
            );
            (asked.clone(), Some(("host-mismatch", why)))
        }
    };
    let Some((code, why)) = fault else { return Ok(asked) };
    // What the rules say of the host comes first: it is what a person can change.
    let denial = match gate.judge(&asked) {
        Err(unwanted) if code == "host-mismatch" => *unwanted,
        Ok(_) | Err(_) => Denial::unreadable(code, why, gate.base()),
    };
    refuse(gate, &asked, open, &denial).await;
    Err(End::denied(denial, asked.place()))
}

/// Puts a refusal on record: as the end of the connection that was opened for this very request, where
/// there is one, else as an event of its own.
async fn refuse(gate: &Rc<Gate>, asked: &Asked, open: &mut Option<Open>, denial: &Denial) {
    match open.take().filter(|open| open.entry.tally.sent.get() == 0) {
        Some(mut unused) => unused.entry.set(denial),
        None => drop(gate.refuse(asked, denial.clone()).await),
    }
}

impl Open {
    /// Whether it is for this host, and there still.
    fn is_for(&self, asked: &Asked) -> bool {
        let same = (&self.asked.host, self.asked.port) == (&asked.host, asked.port);
        // A server that has said something since, has ended: nobody asked it anything.
        let mut byte = [0];
        let quiet = matches!(self.stream.try_read(&mut byte),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        same && self.ahead.is_empty() && quiet
    }
}

enum Exchanged {
    Answered(After),
    /// Another protocol follows, in both directions.
    Tunnel,
}

enum Broken {
    /// The client has had a part of the answer, or is gone.
    Quiet,
    /// It has had nothing yet.
    Before(Fault),
    /// It has had a part of the answer: another one would be read as the rest of it.
    After(Fault),
}

/// What went wrong with the server's answer, or with the request's body.
enum Fault {
    Answer(&'static str, String),
    Body(&'static str, String),
    Ended,
}

impl Fault {
    fn by(self, clause: &cofferdam_policy::model::Clause) -> Denial {
        match self {
            Self::Answer(code, why) => {
                Denial { side: Side::Network(Again::Never), ..Denial::spoken(code, why, clause) }
            }
            Self::Body(code, why) => Denial::unreadable(code, why, clause),
            Self::Ended => Denial {
                side: Side::Network(Again::Later),
                ..Denial::spoken(
                    "no-answer",
                    "the host ended the connection without an answer",
                    clause,
                )
            },
        }
    }
}

/// Sends the request and passes the answer on. Both at once: a server may answer early.
async fn exchange(inside: &mut Inside, open: &mut Open, head: &Head) -> Result<Exchanged, Broken> {
    let Open { asked, entry, stream, ahead } = open;
    let tally = &entry.tally;
    let (from_client, to_client) = inside.stream.split();
    let (from_host, mut to_host) = stream.split();
    let upstream = head.upstream(&asked.host, asked.port);
    to_host.write_all(&upstream).await.map_err(|_| Broken::Before(Fault::Ended))?;
    add(&tally.sent, upstream.len());
    let mut request = Direction { from: from_client, ahead: &mut inside.ahead, to: to_host };
    let mut answer = Direction { from: from_host, ahead, to: to_client };
    let (begun, sent) = (Cell::new(false), Cell::new(false));
    let asks = async {
        request.body(Body::new(head.framing, Sender::Request), &tally.sent).await?;
        sent.set(true);
        request.abandoned(&begun).await;
        Ok(())
    };
    let answered = answer.answer(head, &begun, tally);
    tokio::select! {
        biased;
        // Whoever answers before the whole request has come wants no more of it.
        done = answered => done.map(|exchanged| match exchanged {
            Exchanged::Answered(After::Stay) if !sent.get() => Exchanged::Answered(After::Close),
            answered @ (Exchanged::Answered(_) | Exchanged::Tunnel) => answered,
        }),
        done = asks => match done {
            Ok(()) => Err(Broken::Quiet),
            Err(Broken::Before(fault)) if begun.get() => Err(Broken::After(fault)),
            Err(broken) => Err(broken),
        },
    }
}

/// One direction of an exchange.
struct Direction<'a, 'b> {
    from: ReadHalf<'a>,
    ahead: &'b mut Vec<u8>,
    to: WriteHalf<'a>,
}

impl Direction<'_, '_> {
    /// Waits for more; 0 at the end.
    async fn more(&mut self) -> std::io::Result<usize> {
        self.from.readable().await?;
        self.ahead.reserve(PIECE_BYTES);
        let mut limited = (&mut self.from).take(u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX));
        limited.read_buf(self.ahead).await
    }

    /// The rest of a request.
    async fn body(&mut self, mut body: Body, count: &Cell<u64>) -> Result<(), Broken> {
        while !body.is_done() {
            if self.ahead.is_empty() && !matches!(self.more().await, Ok(1..)) {
                return Err(Broken::Quiet);
            }
            let fed = body
                .feed(self.ahead)
                .map_err(|fault| Broken::Before(Fault::Body(fault.code(), fault.to_string())))?;
            let piece: Vec<u8> = self.ahead.drain(..fed.taken).collect();
            self.to.write_all(&piece).await.map_err(|_| Broken::Quiet)?;
            add(count, piece.len());
        }
        Ok(())
    }

    /// Comes back when the client has ended its side, and nothing of the answer has come for a while:
    /// nobody waits for it any more.
    async fn abandoned(&mut self, begun: &Cell<bool>) {
        if !matches!(self.from.peek(&mut [0]).await, Ok(1..)) {
            sleep(ABANDONED).await;
            if !begun.get() {
                return;
            }
        }
        // It has more to ask, or is being answered: that ends by itself.
        std::future::pending().await
    }

    /// The answer, with those before it that only announce one.
    async fn answer(
        &mut self,
        head: &Head,
        begun: &Cell<bool>,
        tally: &Tally,
    ) -> Result<Exchanged, Broken> {
        let asked = match head.method.as_str() {
            "HEAD" => answer::Asked::Head,
            _ if head.asks_websocket() => answer::Asked::Websocket,
            _ => answer::Asked::Other,
        };
        loop {
            let answer = self.answer_head(asked).await?;
            drop(self.ahead.drain(..answer.length));
            let after = match (head.after(), answer.after()) {
                (After::Stay, After::Stay) => After::Stay,
                (After::Close, _) | (_, After::Close) => After::Close,
            };
            let mut first = answer.downstream(after);
            match answer.follows {
                Follows::Answer => self.give(&first, tally).await?,
                Follows::Tunnel => {
                    self.give(&first, tally).await?;
                    return Ok(Exchanged::Tunnel);
                }
                Follows::Body => {
                    begun.set(true);
                    self.answer_body(&mut first, answer.framing, tally).await?;
                    return Ok(Exchanged::Answered(after));
                }
            }
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
                return Err(Broken::Before(Fault::Ended));
            }
        }
    }

    /// The head and the body after it; what is there already goes in one piece.
    async fn answer_body(
        &mut self,
        first: &mut Vec<u8>,
        framing: Framing,
        tally: &Tally,
    ) -> Result<(), Broken> {
        let mut body = Body::new(framing, Sender::Answer);
        loop {
            // A head that has gone out cannot be taken back: the connection ends.
            let fed = body.feed(self.ahead).map_err(|_| Broken::Quiet)?;
            first.extend(self.ahead.drain(..fed.taken));
            self.give(first, tally).await?;
            first.clear();
            if body.is_done() {
                return Ok(());
            }
            match self.more().await {
                Ok(1..) => {}
                Ok(0) if body.may_end() => return Ok(()),
                Ok(_) | Err(_) => return Err(Broken::Quiet),
            }
        }
    }

    async fn give(&mut self, bytes: &[u8], tally: &Tally) -> Result<(), Broken> {
        self.to.write_all(bytes).await.map_err(|_| Broken::Quiet)?;
        add(&tally.received, bytes.len());
        Ok(())
    }
}

/// WebSocket, after both sides have agreed: nobody looks at it.
async fn tunnel(inside: &mut Inside, mut open: Open) {
    let first = std::mem::take(&mut open.ahead);
    if inside.stream.write_all(&first).await.is_err() {
        return;
    }
    add(&open.entry.tally.received, first.len());
    let early = std::mem::take(&mut inside.ahead);
    if open.stream.write_all(&early).await.is_ok() {
        add(&open.entry.tally.sent, early.len());
        drop(crate::tunnel::carry(&mut inside.stream, &mut open.stream, &open.entry.tally).await);
    }
}
