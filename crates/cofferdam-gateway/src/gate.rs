//! The one way through: judge, place in the log, dial, event.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use cofferdam_plan::egress::{Egress, Family};
use cofferdam_plan::message::{Ended, FromGateway, Requested, ToGateway, Way, Went};
use cofferdam_policy::Name;
use cofferdam_policy::judge::about::About;
use cofferdam_policy::judge::hosts::{
    Allowed, Decision, Host, HostRules, Protocol, Unwanted, canonical,
};
use cofferdam_policy::judge::indexed::Indexed;
use cofferdam_policy::judge::requests::{Request, Sight};
use cofferdam_policy::model::Clause;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::bearing::Bearing;
use crate::control::{self, Ledger};
use crate::credentials::Credentials;
use crate::crowd::Crowd;
use crate::denial::{Again, Denial, Side};
use crate::http2::Room;
use crate::inspect::Inspector;
use crate::questions::Questions;
use crate::ranges::carried;
use crate::rules::Rules;
use crate::synthetic::Synthetic;
use crate::upstream::{DialFault, Retry, To, Upstream};

/// Everything that a connection needs.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) egress: Egress,
    /// Those that hold now; those of the plan at first.
    pub(crate) rules: Rules,
    pub(crate) names: RefCell<Synthetic>,
    pub(crate) upstream: Upstream,
    /// Where a rule looks into TLS.
    pub(crate) inspector: Option<Inspector>,
    pub(crate) credentials: Rc<Credentials>,
    pub(crate) ledger: Ledger,
    /// What a person is asked, where that is wanted.
    pub(crate) questions: Questions,
    /// Stream sockets of the sandbox's namespace, without an address yet.
    pub(crate) spares: RefCell<Vec<(Family, OwnedFd)>>,
    /// Names whose ports are heard.
    pub(crate) opened: RefCell<BTreeSet<Name>>,
    /// One place for each connection.
    pub(crate) crowd: Rc<Crowd>,
    /// Room for bodies that are held until they are judged, and for streams of HTTP/2.
    pub(crate) room: Rc<Room>,
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

    /// What the judge said of it.
    fn unwanted(&self, because: (&Clause, Unwanted)) -> Box<Denial> {
        Box::new(Denial::unwanted((&self.host, self.port), self.protocol, because))
    }

    /// Whether both are for the same host, on the same port.
    pub(crate) fn is_for(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

/// A rule that allows something, held with the rules that it is one of: they may be replaced meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    rules: Rc<Indexed>,
    at: usize,
}

impl Deref for Granted {
    type Target = Allowed;

    fn deref(&self) -> &Allowed {
        #[expect(clippy::indexing_slicing, reason = "made by `Granted::of` alone, which found it")]
        &self.rules.rules().allow[self.at]
    }
}

impl Granted {
    /// `rule`, one of those of `rules` that are `about` a host; no other, whoever says so.
    fn of(rules: &Rc<Indexed>, about: &About<'_>, rule: &Allowed) -> Result<Self, Box<Denial>> {
        let all = rules.rules();
        let is_there = |at: &usize| all.allow.get(*at).is_some_and(|one| std::ptr::eq(one, rule));
        match about.place(rule).filter(is_there) {
            Some(at) => Ok(Self { rules: Rc::clone(rules), at }),
            None => Err(Box::new(Denial::spoken("no-rule", "its rule is gone", &all.base))),
        }
    }

    /// What a connection for its requests is made for.
    pub(crate) fn lane(&self) -> Lane {
        Lane { dial: self.dial, credential: self.requests.credential.clone() }
    }

    /// Whether a rule of the same rules denies an address.
    fn denies(&self, address: IpAddr, port: u16) -> bool {
        self.rules.about(&Host::Address(address)).denial(port).is_some()
    }
}

/// What a connection to a host was made for: it carries nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lane {
    /// `dial` of its rule.
    pub(crate) dial: Option<SocketAddr>,
    /// Whose identity its requests bear: a host may take the first one for that of all.
    pub(crate) credential: Option<String>,
}

/// How a connection is carried.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// Nobody looks into it.
    Opaque(Granted),
    /// Each request is judged; this is the first rule for the host.
    Inside(Granted),
}

impl Carried {
    pub(crate) const fn rule(&self) -> &Granted {
        match self {
            Self::Opaque(rule) | Self::Inside(rule) => rule,
        }
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
        self.rules.now().about(host).spoken(port).unwrap_or(usual)
    }

    /// Whether a connection may be, and how it is carried.
    pub(crate) fn judge(&self, asked: &Asked) -> Result<Carried, Box<Denial>> {
        let rules = self.rules.now();
        let about = rules.about(&asked.host);
        let granted = |rule| {
            let granted = Granted::of(&rules, &about, rule)?;
            self.credentials.look_at_name(&asked.host, &granted).map(|()| granted)
        };
        match about.sight(asked.port, asked.protocol) {
            Ok(Sight::Opaque(rule)) => granted(rule).map(Carried::Opaque),
            Ok(Sight::Inside(rule)) => granted(rule).map(Carried::Inside),
            Err(because) => Err(asked.unwanted(because)),
        }
    }

    /// Whether a request may be.
    fn judge_request(&self, asked: &Asked, request: &Request<'_>) -> Result<Granted, Box<Denial>> {
        let rules = self.rules.now();
        let about = rules.about(&asked.host);
        match about.decide_request(asked.port, asked.protocol, request) {
            Decision::Allow(rule) => {
                let granted = Granted::of(&rules, &about, rule)?;
                self.credentials.look_at_name(&asked.host, &granted).map(|()| granted)
            }
            Decision::Deny(clause, because) => Err(asked.unwanted((clause, because))),
        }
    }

    /// What a request that `rule` lets through bears, and must not carry.
    pub(crate) fn bearing(&self, asked: &Asked, rule: &Granted) -> Bearing {
        let about = rule.rules.about(&asked.host);
        let known = self.credentials.known(&asked.host, about.bound());
        Bearing::new(&self.credentials, &rule.requests, known)
    }

    /// The rule where no other holds.
    pub(crate) fn base(&self) -> Clause {
        self.rules.now().rules().base.clone()
    }

    /// Judges, takes a place in the log, and dials: what comes back is on its way to the very address
    /// that was checked. A denial is on record already.
    pub(crate) async fn open(
        self: &Rc<Self>,
        asked: &Asked,
    ) -> Result<(Entry, TcpStream), Box<Denial>> {
        let (mut entry, carried) = self.enter(asked).await?;
        let stream = self.reach(asked, carried.rule(), &mut entry).await?;
        Ok((entry, stream))
    }

    /// Judges a connection, and takes a place in the log. A denial is on record already.
    pub(crate) async fn enter(
        self: &Rc<Self>,
        asked: &Asked,
    ) -> Result<(Entry, Carried), Box<Denial>> {
        let mut entry = Entry::new(self, asked);
        let mut judged = self.judge(asked);
        if let Err(denial) = &judged
            && denial.may_be_asked()
            && self.questions.ask(&self.ledger, asked, None).await
        {
            judged = self.judge(asked);
        }
        match judged {
            Ok(carried) => {
                entry.take_place(&carried.rule().clause).await?;
                Ok((entry, carried))
            }
            Err(denial) => Err(Box::new(entry.refused(*denial).await)),
        }
    }

    /// Judges a request, and takes a place in the log for it; `entry` is that of its connection, where
    /// this is the first. A denial is on record already.
    pub(crate) async fn admit(
        self: &Rc<Self>,
        asked: &Asked,
        (request, requested): (&Request<'_>, Requested),
        entry: Option<Entry>,
    ) -> Result<(Entry, Granted), Box<Denial>> {
        let mut entry = entry.unwrap_or_else(|| Entry::new(self, asked));
        entry.ended.request = Some(requested);
        let mut judged = self.judge_request(asked, request);
        if let (Err(denial), Some(about)) = (&judged, &entry.ended.request)
            && denial.may_be_asked()
            && self.questions.ask(&self.ledger, asked, Some(about)).await
        {
            judged = self.judge_request(asked, request);
        }
        match judged.and_then(|rule| self.rules.in_time(&rule).map(|()| rule)) {
            Ok(rule) => {
                entry.take_place(&rule.clause).await?;
                Ok((entry, rule))
            }
            Err(denial) => Err(Box::new(entry.refused(*denial).await)),
        }
    }

    /// Dials whom a rule allows. A failure is set in the entry.
    pub(crate) async fn reach(
        &self,
        asked: &Asked,
        rule: &Granted,
        entry: &mut Entry,
    ) -> Result<TcpStream, Box<Denial>> {
        // Whatever name led to it.
        let denied = |address| rule.denies(address, asked.port);
        let to = To { host: &asked.host, port: asked.port, dial: rule.dial, denied: &denied };
        match self.upstream.dial(&to).await {
            Ok(dialled) => {
                entry.ended.address = Some(dialled.address);
                entry.dial = rule.dial;
                Ok(dialled.stream)
            }
            Err(fault) => {
                let denial = unreached(&fault, asked, &rule.clause);
                entry.set(&denial);
                Err(Box::new(denial))
            }
        }
    }

    /// What the engine says while connections go on. Rules that cannot be read change nothing, and are not
    /// acknowledged: the engine tells the person.
    pub(crate) fn obey(self: &Rc<Self>, order: ToGateway, fds: Vec<OwnedFd>) {
        match order {
            ToGateway::Rules { generation } => {
                if let Ok(rules) = control::written::<HostRules>(fds.into_iter().next()) {
                    self.rules.replace(rules);
                    self.ledger.send(&FromGateway::Applied { generation });
                }
            }
            ToGateway::Answer { id, allowed } => self.questions.answer(id, allowed),
            ToGateway::Revoke { name } => self.credentials.revoke(&name),
            ToGateway::Rotate { name } => self.rotate(name),
            ToGateway::Egress { .. }
            | ToGateway::Sockets
            | ToGateway::Agent
            | ToGateway::Room { .. }
            | ToGateway::Finish => {}
        }
    }

    /// Has a secret read again; where that fails the engine hears why.
    fn rotate(self: &Rc<Self>, name: String) {
        let gate = Rc::clone(self);
        spawn_local(async move {
            if let Err(code) = gate.credentials.rotate(&name).await {
                gate.ledger.send(&FromGateway::Unread { name, code });
            }
        });
    }

    /// Whether what goes to `address` already may go on by this rule, which may be newer: an address is
    /// judged like this where it is dialled, too.
    pub(crate) fn may_go_to(&self, rule: &Granted, address: Option<SocketAddr>) -> bool {
        // A person named it, or it is the proxy's.
        let named = rule.dial.is_some() || self.egress.upstream_proxy.is_some();
        named
            || address.is_none_or(|address| {
                let other = carried(address.ip()).map(IpAddr::V4);
                let mut both = [Some(address.ip()), other].into_iter().flatten();
                !both.any(|ip| rule.denies(ip, address.port()))
            })
    }

    /// Waits until rules hold that do not allow this request, which goes on without end.
    pub(crate) async fn revoked(&self, asked: &Asked, request: &Request<'_>) -> Denial {
        let mut replacements = self.rules.replacements();
        loop {
            if let Err(denial) = self.judge_request(asked, request) {
                return denial.since_replaced();
            }
            if replacements.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Puts a refusal on record that was found before anything was judged.
    pub(crate) async fn refuse(self: &Rc<Self>, asked: &Asked, denial: Denial) -> Denial {
        Entry::new(self, asked).refused(denial).await
    }

    /// The same of a request, as far as it could be read; `entry` is that of its connection, where this is
    /// the first.
    pub(crate) async fn refuse_request(
        self: &Rc<Self>,
        asked: &Asked,
        requested: Option<Requested>,
        (denial, status): (Denial, u16),
        entry: Option<Entry>,
    ) {
        let mut entry = entry.unwrap_or_else(|| Entry::new(self, asked));
        entry.about(requested);
        entry.answered(status);
        drop(entry.refused(denial).await);
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
    /// `dial` of the rule that it was connected by.
    dial: Option<SocketAddr>,
    started: Instant,
    placed: bool,
    /// A refusal that waits for its place: without one it is counted.
    waits: bool,
    /// A refusal that is counted, and told with others like it.
    counted: bool,
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
    /// The status that it was answered with, where it was.
    pub(crate) status: Cell<Option<u16>>,
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
            clause: gate.base(),
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
        let (dial, tally) = (None, Tally::default());
        let (placed, waits, counted) = (false, false, false);
        Self { gate, ended, dial, started, placed, waits, counted, tally }
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

    /// Something asked of the agent of ssh, about the host with a key of this fingerprint.
    pub(crate) fn login(gate: &Rc<Gate>, host: String) -> Self {
        Self::of(gate, Way::Agent, (host, 0))
    }

    /// What became of it, where that is not what was meant.
    pub(crate) fn set(&mut self, denial: &Denial) {
        self.ended.verdict = denial.went();
        self.ended.why.clone_from(&denial.why);
        self.ended.fix.clone_from(&denial.fix);
        self.ended.clause = denial.clause.clone();
    }

    /// The same, and the client is answered with it.
    pub(crate) fn answer(&mut self, denial: &Denial) {
        self.set(denial);
        self.answered(denial.status());
    }

    /// What is dialled for it, whatever the name's addresses are, and whom it has reached.
    pub(crate) const fn to(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (self.dial, self.ended.address)
    }

    pub(crate) fn clause(&self) -> &Clause {
        &self.ended.clause
    }

    /// The request that this is about from here on.
    pub(crate) fn about(&mut self, requested: Option<Requested>) {
        self.ended.request = requested;
    }

    /// The status that the client has been answered with.
    pub(crate) fn answered(&self, status: u16) {
        self.tally.status.set(Some(status));
    }

    /// What a person reads of something that went well.
    pub(crate) fn note(&mut self, words: String) {
        self.ended.why = words;
    }

    /// Whom the bytes go to, where nobody had to dial.
    pub(crate) fn reached(&mut self, address: Option<SocketAddr>) {
        self.ended.address = address.or(self.ended.address);
    }

    /// Takes a place in the log, where this has none yet.
    pub(crate) async fn take_place(&mut self, clause: &Clause) -> Result<(), Box<Denial>> {
        self.ended.clause = clause.clone();
        if self.placed || self.gate.ledger.place().await.is_ok() {
            self.placed = true;
            return Ok(());
        }
        let denial = Denial::no_record(clause);
        self.set(&denial);
        self.waits = true;
        Err(Box::new(denial))
    }

    /// Ends as a refusal.
    pub(crate) async fn refused(mut self, denial: Denial) -> Denial {
        self.set(&denial);
        self.ended.duration_ms = self.elapsed();
        if self.tally.status.get().is_none() {
            self.answered(denial.status());
        }
        if let Some(request) = &mut self.ended.request {
            request.status = self.tally.status.get();
        }
        if self.placed {
            return denial;
        }
        self.counted = self.gate.ledger.counted(&self.ended);
        if !self.counted {
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
        if let Some(request) = &mut self.ended.request {
            request.status = self.tally.status.get();
        }
        if self.placed {
            let ended = Ended {
                sent: self.tally.sent.get(),
                received: self.tally.received.get(),
                duration_ms: self.elapsed(),
                ..self.ended.clone()
            };
            self.gate.ledger.fill(ended);
        } else if self.waits || (self.ended.request.is_some() && !self.counted) {
            if self.ended.verdict == Went::Allowed {
                // It was asked about, or waited for its place, when the sandbox ended.
                self.ended.verdict = Went::Failed { code: "cut-off".into() };
            }
            // No place within the time, or the sandbox has ended meanwhile.
            self.gate.ledger.count(&self.ended);
        }
    }
}
