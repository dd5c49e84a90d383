//! The one way through: judge, place in the log, dial, event.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use cofferdam_plan::egress::{Egress, Family};
use cofferdam_plan::message::{Ended, Way, Went};
use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::{Allowed, Decision, Host, Protocol, canonical};
use cofferdam_policy::model::Clause;
use tokio::net::TcpStream;

use crate::control::Ledger;
use crate::crowd::Crowd;
use crate::denial::{Again, Denial, Side};
use crate::synthetic::Synthetic;
use crate::upstream::{DialFault, Retry, To, Upstream};

/// Everything that a connection needs.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) egress: Egress,
    pub(crate) names: RefCell<Synthetic>,
    pub(crate) upstream: Upstream,
    pub(crate) ledger: Ledger,
    /// Stream sockets of the sandbox's namespace, without an address yet.
    pub(crate) spares: RefCell<Vec<(Family, OwnedFd)>>,
    /// Names whose ports are heard.
    pub(crate) opened: RefCell<BTreeSet<Name>>,
    /// One place for each connection.
    pub(crate) crowd: Rc<Crowd>,
}

/// Whom somebody wants to talk to, and how he said so.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) way: Way,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

impl Asked {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Gate {
    /// A stream socket of the sandbox's namespace, where one is left.
    pub(crate) fn spare(&self, family: Family) -> Option<OwnedFd> {
        let mut spares = self.spares.borrow_mut();
        let at = spares.iter().position(|(of, _)| *of == family)?;
        Some(spares.swap_remove(at).1)
    }

    /// For whom a connection to `address` is.
    pub(crate) fn named(&self, address: IpAddr) -> Host {
        let address = canonical(address);
        let name: Option<Name> = self.names.borrow().named(address).cloned();
        name.map_or(Host::Address(address), Host::Name)
    }

    /// What is spoken on a port: what a rule says, else what is usual there.
    pub(crate) fn spoken(&self, host: &Host, port: u16) -> Protocol {
        let usual = match port {
            443 => Protocol::Tls,
            80 => Protocol::Http,
            _ => Protocol::Tcp,
        };
        self.egress.rules.spoken(host, port).unwrap_or(usual)
    }

    pub(crate) fn judge(&self, asked: &Asked) -> Result<&Allowed, Box<Denial>> {
        match self.egress.rules.decide(&asked.host, asked.port, asked.protocol) {
            Decision::Allow(rule) => Ok(rule),
            Decision::Deny(clause, because) => {
                let place = (&asked.host, asked.port);
                Err(Box::new(Denial::unwanted(place, asked.protocol, (clause, because))))
            }
        }
    }

    /// The rule where no other holds.
    pub(crate) fn base(&self) -> &Clause {
        &self.egress.rules.base
    }

    /// Judges, takes a place in the log, and dials: what comes back is on its way to the very address
    /// that was checked. A denial is on record already.
    pub(crate) async fn open(
        self: &Rc<Self>,
        asked: &Asked,
    ) -> Result<(Entry, TcpStream), Box<Denial>> {
        let mut entry = Entry::new(self, asked);
        let rule = match self.judge(asked) {
            Ok(rule) => rule,
            Err(denial) => return Err(Box::new(entry.refused(*denial).await)),
        };
        entry.ended.clause = rule.clause.clone();
        if self.ledger.place().await.is_err() {
            let denial = Denial::no_record(&rule.clause);
            entry.set(&denial);
            entry.waits = true;
            return Err(Box::new(denial));
        }
        entry.placed = true;
        // Whatever name led to it.
        let denied =
            |address| self.egress.rules.denial(&Host::Address(address), asked.port).is_some();
        let to = To { host: &asked.host, port: asked.port, dial: rule.dial, denied: &denied };
        match self.upstream.dial(&to).await {
            Ok(dialled) => {
                entry.ended.address = Some(dialled.address);
                Ok((entry, dialled.stream))
            }
            Err(fault) => {
                let denial = unreached(&fault, asked, &rule.clause);
                entry.set(&denial);
                Err(Box::new(denial))
            }
        }
    }

    /// Puts a refusal on record that was found before anything was judged.
    pub(crate) async fn refuse(self: &Rc<Self>, asked: &Asked, denial: Denial) -> Denial {
        Entry::new(self, asked).refused(denial).await
    }

    /// The same where nobody could read for whom it was.
    pub(crate) async fn refuse_nobody(self: &Rc<Self>, way: Way, port: u16, denial: Denial) {
        let mut entry = Entry::of(self, way, (String::new(), port));
        entry.ended.protocol = None;
        drop(entry.refused(denial).await);
    }
}

fn unreached(fault: &DialFault, asked: &Asked, clause: &Clause) -> Denial {
    let again = match fault.retry() {
        Retry::Later => Again::Later,
        Retry::Never => Again::Never,
    };
    let (side, fix) = match fault {
        DialFault::Forbidden { address, .. } => {
            let at = SocketAddr::new(*address, asked.port);
            (Side::Policy, format!("if it is meant, in that rule: dial = \"{at}\""))
        }
        DialFault::NoSuchName
        | DialFault::Unreachable(_)
        | DialFault::Refused(_)
        | DialFault::Timeout(_)
        | DialFault::ProxyRefused(_)
        | DialFault::ProxyUnreached(_)
        | DialFault::ResolverFailed(_) => (Side::Network(again), String::new()),
    };
    let (code, why) = (fault.code(), fault.to_string());
    Denial { code, why, fix, clause: clause.clone(), side }
}

/// One connection's event, told when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    gate: Rc<Gate>,
    ended: Ended,
    started: Instant,
    placed: bool,
    /// A refusal that waits for its place: without one it is counted.
    waits: bool,
    /// How much went which way.
    pub(crate) tally: Tally,
}

/// Counts bytes.
pub(crate) fn add(count: &Cell<u64>, bytes: usize) {
    count.set(count.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)));
}

/// Bytes of a connection.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// From the workload.
    pub(crate) sent: Cell<u64>,
    /// To it.
    pub(crate) received: Cell<u64>,
}

impl Entry {
    fn new(gate: &Rc<Gate>, asked: &Asked) -> Self {
        let mut entry = Self::of(gate, asked.way, (asked.host.to_string(), asked.port));
        entry.ended.protocol = (asked.way != Way::Lookup).then_some(asked.protocol);
        entry
    }

    fn of(gate: &Rc<Gate>, way: Way, (host, port): (String, u16)) -> Self {
        let ended = Ended {
            way,
            host,
            port,
            protocol: None,
            address: None,
            clause: gate.base().clone(),
            verdict: Went::Allowed,
            why: String::new(),
            fix: String::new(),
            sent: 0,
            received: 0,
            duration_ms: 0,
            times: 1,
            request: None,
        };
        let (gate, started) = (Rc::clone(gate), Instant::now());
        Self { gate, ended, started, placed: false, waits: false, tally: Tally::default() }
    }

    /// A connection from outside to a published server, on record from its beginning.
    pub(crate) async fn published(
        gate: &Rc<Gate>,
        (inside, outside): (u16, SocketAddr),
        clause: &Clause,
    ) -> Option<Self> {
        let mut entry = Self::of(gate, Way::Published, ("127.0.0.1".into(), inside));
        entry.ended.clause = clause.clone();
        entry.ended.address = Some(outside);
        entry.placed = gate.ledger.place().await.is_ok();
        entry.placed.then_some(entry)
    }

    /// What became of it, where that is not what was meant.
    pub(crate) fn set(&mut self, denial: &Denial) {
        self.ended.verdict = denial.went();
        self.ended.why.clone_from(&denial.why);
        self.ended.fix.clone_from(&denial.fix);
        self.ended.clause = denial.clause.clone();
    }

    pub(crate) fn clause(&self) -> &Clause {
        &self.ended.clause
    }

    /// Ends as a refusal.
    async fn refused(mut self, denial: Denial) -> Denial {
        self.set(&denial);
        self.ended.duration_ms = self.elapsed();
        if !self.placed && !self.gate.ledger.counted(&self.ended) {
            self.waits = true;
            self.placed = self.gate.ledger.place().await.is_ok();
        }
        denial
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// However a connection ends, its place is filled.
impl Drop for Entry {
    fn drop(&mut self) {
        if self.placed {
            let ended = Ended {
                sent: self.tally.sent.get(),
                received: self.tally.received.get(),
                duration_ms: self.elapsed(),
                ..self.ended.clone()
            };
            self.gate.ledger.fill(ended);
        } else if self.waits {
            // No place within the time, or the sandbox has ended meanwhile.
            self.gate.ledger.count(&self.ended);
        }
    }
}
