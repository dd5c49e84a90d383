//! Connections to hosts that may carry another request: of this sandbox alone, each for its own host, port,
//! `dial` and credential.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;

use super::Speaks;
use crate::gate::{Asked, Lane};
use crate::http2::is_there;
use crate::relay::Up;

/// How long one is kept: common servers end theirs after 5 to 75 seconds.
const KEPT_FOR: Duration = Duration::from_secs(15);
/// Most that are kept, the oldest goes first: each is a descriptor.
const KEPT_MAX: usize = 32;

/// A connection to a host that carries HTTP/2, and more than one request at a time: those of one client's
/// connection. What a host bears of one, several would have to share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) asked: Asked,
    /// What it was made for.
    pub(super) lane: Rc<RefCell<Lane>>,
    /// Whether it has carried a request: before that, any credential is as good.
    pub(super) used: Rc<Cell<bool>>,
    pub(super) host: SendRequest<Bytes>,
    /// Whom it is to.
    pub(super) address: Option<SocketAddr>,
    /// Each who holds it has one.
    pub(super) holders: Rc<()>,
}

impl Shared {
    /// Whether it is for this host, and for such requests.
    pub(super) fn is_of(&self, asked: &Asked, lane: &Lane) -> bool {
        let made = self.lane.borrow();
        let fits = !self.used.get() || made.credential == lane.credential;
        fits && self.asked.is_for(asked) && made.dial == lane.dial
    }

    /// The same, for such requests alone from here on.
    pub(super) fn taken(self, lane: Lane) -> Self {
        self.used.set(true);
        *self.lane.borrow_mut() = lane;
        self
    }
}

/// Those that are there, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<VecDeque<(Instant, Up)>>,
    /// With the time of the latest use.
    shared: RefCell<VecDeque<(Instant, Shared)>>,
}

impl Pool {
    /// One for this host, which has not ended, and on which the host would speak as it does with a client
    /// that offers this.
    pub(crate) fn take(&self, asked: &Asked, lane: &Lane, offers: &[Speaks]) -> Option<Up> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(since, _)| since.elapsed() < KEPT_FOR);
        loop {
            // The latest is the likeliest to be there still.
            let fits = |(_, up): &(Instant, Up)| up.is_of(asked, lane) && up.offers == offers;
            let at = idle.iter().rposition(fits)?;
            let (_, mut up) = idle.remove(at)?;
            if up.is_for(asked, lane) {
                return Some(up);
            }
        }
    }

    /// Keeps one that has answered all that it was asked.
    pub(crate) fn give(&self, up: Up) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(since, _)| since.elapsed() < KEPT_FOR);
        if idle.len() >= KEPT_MAX {
            idle.pop_front();
        }
        idle.push_back((Instant::now(), up));
    }

    /// One that carries HTTP/2 for this host, takes another request, and is nobody's now.
    pub(super) fn shared(&self, asked: &Asked, lane: &Lane) -> Option<Shared> {
        let mut shared = self.shared.borrow_mut();
        // Who uses one holds it too: it does not end with its place here.
        shared.retain(|(since, one)| since.elapsed() < KEPT_FOR && is_there(&one.host));
        let fits = |(_, one): &&mut (Instant, Shared)| {
            one.is_of(asked, lane) && Rc::strong_count(&one.holders) == 1
        };
        let (since, found) = shared.iter_mut().rev().find(fits)?;
        *since = Instant::now();
        Some(found.clone())
    }

    /// Keeps one for others too.
    pub(super) fn share(&self, one: Shared) {
        let mut shared = self.shared.borrow_mut();
        if shared.len() >= KEPT_MAX {
            shared.pop_front();
        }
        shared.push_back((Instant::now(), one));
    }
}
