//! HTTP/2 inside of TLS that ends here, and in the clear where a rule says so: the gate as the judge of each
//! stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ::h2::client::SendRequest;
use bytes::Bytes;
use cofferdam_plan::message::Requested;
use cofferdam_policy::judge::requests::{Request, Requests};
use cofferdam_policy::model::Clause;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::pool::Shared;
use super::{Speaks, spoken};
use crate::bearing::Bearing;
use crate::crowd::{Crowd, PATIENCE};
use crate::denial::{Again, Denial, Side};
use crate::gate::{Asked, Entry, Gate, Granted, add};
use crate::head::Scheme;
use crate::http2::{self, Broken, Judge, Misread, Place, Refusal, Room, Whom};
use crate::relay::{KEEP_WITHIN, Up};
use crate::stream::Stream;

/// Carries the streams of a client, whose connection's entry this is, to the host. The first request is
/// told that there is no way where there is none; the next may find one.
pub(super) async fn serve(
    gate: &Rc<Gate>,
    (stream, crowd): (Stream, Rc<Crowd>),
    (asked, entry): (Asked, Entry),
    reached: Result<Option<Shared>, Denial>,
) {
    carry(gate, Scheme::Https, (stream, crowd), (asked, Some(entry)), reached).await;
}

async fn carry(
    gate: &Rc<Gate>,
    scheme: Scheme,
    (stream, crowd): (Stream, Rc<Crowd>),
    (asked, first): (Asked, Option<Entry>),
    reached: Result<Option<Shared>, Denial>,
) {
    let whom = Whom { scheme, host: asked.host.clone(), port: asked.port };
    let (up, unreached) = match reached {
        Ok(up) => (up, None),
        Err(denial) => (None, Some(denial)),
    };
    let inner = Inner {
        gate: Rc::clone(gate),
        asked,
        scheme,
        crowd,
        first: RefCell::new(first),
        unreached: RefCell::new(unreached),
        up: RefCell::new(up.into_iter().collect()),
        connects: Mutex::new(()),
    };
    http2::serve(stream, Rc::new(inner), whom).await;
}

/// Whether a rule lets HTTP/2 be spoken in the clear to this host.
pub(crate) fn may_be_clear(gate: &Gate, asked: &Asked) -> bool {
    let rules = gate.rules.now();
    rules.about(&asked.host).allow().any(|rule| {
        let here = rule.protocol == asked.protocol && rule.ports.contains(&asked.port);
        here && rule.requests.h2c
    })
}

/// The same in the clear, from a client that takes it for granted (RFC 9113, 3.3). Each request still
/// needs a rule that says so.
pub(crate) async fn serve_clear(
    gate: &Rc<Gate>,
    client: (Stream, Rc<Crowd>),
    (asked, first): (Asked, Option<Entry>),
    up: Option<Up>,
) {
    let up = match up {
        Some(up) => share(gate, up).await,
        None => None,
    };
    carry(gate, Scheme::Http, client, (asked, first), Ok(up)).await;
}

/// Begins HTTP/2 on a connection to a host that has chosen it, for this client and those that come.
pub(super) async fn share(gate: &Rc<Gate>, up: Up) -> Option<Shared> {
    let Up { asked, lane, used, stream, address, .. } = up;
    let encrypted = matches!(stream, Stream::Tls(_));
    let (host, driver) = http2::begin(stream).await.ok()?;
    // It ends when the host ends it, or when nobody holds it any more.
    spawn_local(async move { drop(driver.await) });
    let (lane, used) = (Rc::new(RefCell::new(lane)), Rc::new(Cell::new(used)));
    let shared = Shared { asked, lane, used, host, address, holders: Rc::default() };
    if encrypted && let Some(inspector) = &gate.inspector {
        inspector.pool.share(shared.clone());
    }
    Some(shared)
}

/// A connection of the workload's that carries HTTP/2.
struct Inner {
    gate: Rc<Gate>,
    asked: Asked,
    scheme: Scheme,
    crowd: Rc<Crowd>,
    /// The connection's own event, until a request takes it.
    first: RefCell<Option<Entry>>,
    /// What the first request is answered with.
    unreached: RefCell<Option<Denial>>,
    /// Connections to the host, one for each credential, while this client holds them.
    up: RefCell<Vec<Shared>>,
    /// One at a time makes a connection; the others use it.
    connects: Mutex<()>,
}

impl Inner {
    fn refusal(&self, denial: &Denial, status: u16) -> Refusal {
        let (body, retry_after) = (denial.json(&self.asked.place()), denial.retry_after());
        Refusal { status, code: denial.code, body, retry_after }
    }

    /// A connection that is there, and made for what this rule dials.
    fn kept(&self, rule: &Granted) -> Option<Shared> {
        let lane = rule.lane();
        let fits = |up: &&Shared| {
            let same = up.is_of(&self.asked, &lane) && self.gate.may_go_to(rule, up.address);
            same && http2::is_there(&up.host)
        };
        if let Some(up) = self.up.borrow().iter().find(fits) {
            return Some(up.clone().taken(lane));
        }
        if self.scheme == Scheme::Http {
            return None;
        }
        let shared = self.gate.inspector.as_ref()?.pool.shared(&self.asked, &lane);
        let shared = shared.filter(|up| self.gate.may_go_to(rule, up.address));
        shared.map(|up| up.taken(lane))
    }

    /// A connection to the host. What comes of it is set in the entry.
    async fn connection(&self, rule: &Granted, entry: &mut Entry) -> Result<Shared, Box<Denial>> {
        if self.scheme == Scheme::Http {
            let stream = self.gate.reach(&self.asked, rule, entry).await?;
            let (_, address) = entry.to();
            let up = Up::plain((self.asked.clone(), rule.lane()), stream, address);
            let shared = share(&self.gate, up).await;
            return shared.ok_or_else(|| Box::new(Denial::unanswered(&rule.clause)));
        }
        let Some(inspector) = &self.gate.inspector else {
            return Err(Box::new(Denial::spoken(
                "no-authority",
                "no TLS begins here",
                &rule.clause,
            )));
        };
        let offers = [Speaks::Http2];
        let up = inspector.connect(&self.gate, &self.asked, (rule, entry), &offers).await?;
        let shared = match spoken(&up) {
            Speaks::Http2 => share(&self.gate, up).await,
            Speaks::Http1 => None,
        };
        shared.ok_or_else(|| {
            let why = "the host spoke HTTP/2 before, and does not any more";
            let side = Side::Network(Again::Later);
            Box::new(Denial { side, ..Denial::spoken("no-http2", why, &rule.clause) })
        })
    }
}

impl Judge for Inner {
    type Place = Carried;

    async fn admit(&self, request: &Request<'_>, requested: Requested) -> Result<Carried, Refusal> {
        let first = self.first.take();
        if let Some(denial) = self.unreached.take()
            && let Some(mut entry) = first
        {
            entry.about(Some(requested));
            entry.answer(&denial);
            return Err(self.refusal(&denial, denial.status()));
        }
        let admitted = self.gate.admit(&self.asked, (request, requested), first).await;
        let (mut entry, rule) =
            admitted.map_err(|denial| self.refusal(&denial, denial.status()))?;
        if self.scheme == Scheme::Http && !rule.requests.h2c {
            let why = "the rule does not let HTTP/2 be spoken in the clear";
            let fix = "in that rule: h2c = true".into();
            let denial = Denial { fix, ..Denial::spoken("h2c", why, &rule.clause) };
            entry.answer(&denial);
            return Err(self.refusal(&denial, denial.status()));
        }
        let bearing = Cell::new(Some(self.gate.bearing(&self.asked, &rule)));
        Ok(Carried { entry: RefCell::new(entry), rule, bearing, place: self.asked.place() })
    }

    async fn refuse(&self, requested: Option<Requested>, misread: &Misread) -> Refusal {
        let base = self.gate.base();
        let (mut why, place) = (misread.to_string(), self.asked.place());
        let mut denial = None;
        if let Misread::Elsewhere(_) = misread {
            why = format!("{why}, the connection for {place}");
            // What the rules say of the host comes first: it is what a person can change.
            denial = self.gate.judge(&self.asked).err().map(|unwanted| *unwanted);
        }
        let (denial, status) = match denial {
            Some(denial) => (denial.clone(), denial.status()),
            None => (Denial::unreadable(misread.code(), why, &base), misread.status()),
        };
        let (refused, first) = ((denial.clone(), status), self.first.take());
        self.gate.refuse_request(&self.asked, requested, refused, first).await;
        self.refusal(&denial, status)
    }

    async fn reach(&self, place: &mut Carried) -> Result<SendRequest<Bytes>, Refusal> {
        let (rule, entry) = (&place.rule, place.entry.get_mut());
        let mut kept = self.kept(rule);
        if kept.is_none() {
            let _one = self.connects.lock().await;
            // Somebody may have made one meanwhile.
            kept = self.kept(rule);
            if kept.is_none() {
                match self.connection(rule, entry).await {
                    Ok(made) => kept = Some(made.taken(rule.lane())),
                    Err(denial) => {
                        entry.answer(&denial);
                        return Err(self.refusal(&denial, denial.status()));
                    }
                }
            }
            let mut held = self.up.borrow_mut();
            held.retain(|up| http2::is_there(&up.host));
            held.extend(kept.clone());
        }
        let Some(shared) = kept else { return Err(place.broken(&Broken::NoAnswer)) };
        entry.reached(shared.address);
        Ok(shared.host)
    }

    fn room(&self) -> Rc<Room> {
        Rc::clone(&self.gate.room)
    }

    async fn idle(&self) {
        sleep(PATIENCE).await;
        tokio::select! {
            () = sleep(KEEP_WITHIN.saturating_sub(PATIENCE)) => {}
            () = self.crowd.needed() => {}
        }
    }
}

/// A request that was let through.
struct Carried {
    entry: RefCell<Entry>,
    rule: Granted,
    /// What it bears, until that is asked for.
    bearing: Cell<Option<Bearing>>,
    /// Whom it is for, as people read it.
    place: String,
}

impl Place for Carried {
    fn requests(&self) -> &Requests {
        &self.rule.requests
    }

    fn bearing(&self) -> Bearing {
        self.bearing.take().unwrap_or_default()
    }

    fn sent(&self, bytes: usize) {
        add(&self.entry.borrow().tally.sent, bytes);
    }

    fn received(&self, bytes: usize) {
        add(&self.entry.borrow().tally.received, bytes);
    }

    fn noted(&self, words: String) {
        self.entry.borrow_mut().note(words);
    }

    fn answered(&self, status: u16) {
        self.entry.borrow_mut().answered(status);
    }

    fn broken(&self, broken: &Broken) -> Refusal {
        let denial = denial(broken, &self.rule.clause);
        self.entry.borrow_mut().set(&denial);
        let (status, body) = (denial.status(), denial.json(&self.place));
        Refusal { status, code: denial.code, body, retry_after: denial.retry_after() }
    }
}

/// What is put on record of a request that came to no good end.
fn denial(broken: &Broken, clause: &Clause) -> Denial {
    let of_host = |code, why: String| {
        let side = Side::Network(Again::Never);
        Denial { side, ..Denial::spoken(code, why, clause) }
    };
    match broken {
        Broken::NoAnswer => Denial::unanswered(clause),
        Broken::Reset(reason) => {
            let why = format!("the host took the stream back: {}", reason.description());
            of_host("host-reset", why)
        }
        Broken::RequestTooLarge(most) => Denial::too_large("request-too-large", *most, clause),
        Broken::ResponseTooLarge(most) => Denial::too_large("response-too-large", *most, clause),
        Broken::Content(code, why) => Denial::spoken(code, why.clone(), clause),
        Broken::Tokens(code, why) => of_host(code, why.clone()),
        Broken::Trailer => {
            let why = "a field behind the body that belongs into a head";
            Denial::unreadable("trailer-field", why, clause)
        }
        Broken::Answer => of_host("host-answer", "the host's answer is none of HTTP/2".into()),
        Broken::Unsayable => {
            let why = "the rule sets a field that HTTP/2 does not have";
            Denial::spoken("header-unsayable", why, clause)
        }
    }
}
