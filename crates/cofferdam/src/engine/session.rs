//! One run: the workload, and everything that is put on record while it lasts.

use std::os::fd::BorrowedFd;
use std::time::{Instant, SystemTime};

use cofferdam_audit::{Event, Log};
use cofferdam_plan::message;
use cofferdam_sandbox::escapes::Refused as Sequences;
use cofferdam_sandbox::{Outcome, Preparing, Sink, StartRefusal, Streams};

use crate::control::{Control, SessionError};
use crate::engine::Prepared;
use crate::engine::events::{end_event, ready_event, recorded, refusal_event};
use crate::engine::keeper::Keeper;
use crate::engine::turned::TurnedAway;
use crate::engine::watched::{Alarmed, Alarms, Watched};
use crate::refused::Refused;
use crate::trace::Trace;

/// A sandbox that is on record and being built; its workload runs with [`Session::run`].
#[derive(Debug)]
pub struct Session<'p> {
    prepared: &'p Prepared,
    log: Log,
    /// How persons reach it, where its network is open.
    control: Option<Control>,
    preparing: Preparing,
    started: Instant,
    trace: Trace,
}

/// How a run went.
#[derive(Debug)]
pub struct Finished {
    /// How the workload ended.
    pub outcome: Outcome,
    /// Whom it was not let through to, in the order of the first attempts.
    pub turned_away: Vec<TurnedAway>,
    /// What it was not let do with names, each operation, name and rule once, in the order of the
    /// first attempts. After the first 10,000 the rest are counted together.
    pub denied_names: Vec<message::Denied>,
    /// Whether the way out was there until the end.
    pub way_out: WayOut,
    /// What of its output was kept back.
    pub output: Shown,
}

/// What of the output was kept from its readers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What must not leave and was masked, each string and stream once, in the order of the first; then
    /// files with canaries.
    pub alarms: Vec<Alarmed>,
    /// Why not every file that was written was looked through for canaries; `None` where each was.
    pub unlooked: Option<String>,
    /// Escape sequences that were taken out.
    pub sequences: Sequences,
    /// Dropped because of `output.max_bytes`. Bytes.
    pub dropped: u64,
}

/// What became of the network that the policy opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// It was as the policy says until the workload ended; closed, where that says so.
    Held,
    /// For a while the log had no room for events, and connections were refused.
    NoRecord,
    /// The gateway ended first: from then on every connection was refused.
    Gone,
}

impl<'p> Session<'p> {
    pub(super) fn new(
        prepared: &'p Prepared,
        (log, control): (Log, Option<Control>),
        preparing: Preparing,
        (started, trace): (Instant, Trace),
    ) -> Self {
        Self { prepared, log, control, preparing, started, trace }
    }
}

impl Session<'_> {
    /// The session's name, where a person is asked about what no rule allows.
    #[must_use]
    pub fn asks(&self) -> Option<&str> {
        let approve = self.prepared.policy.network.approve.is_some();
        self.control.as_ref().filter(|_| approve).map(|control| control.name.as_str())
    }

    /// Lets the workload run once every wall stands, carries its streams, and puts its end on
    /// record.
    ///
    /// # Errors
    /// The sandbox cannot be built, which is on record then, or the log cannot be written.
    pub fn run(
        self,
        input: Option<BorrowedFd<'_>>,
        output: Sink<'_>,
        error: Sink<'_>,
        signals: Option<BorrowedFd<'_>>,
    ) -> Result<Finished, Refused> {
        let Self { prepared, mut log, control, mut preparing, started, trace } = self;
        let watched = match Watched::of(&prepared.policy, preparing.stand_ins()) {
            Ok(watched) => watched,
            Err(refused) => {
                log.append(&refusal_event(&refused))?;
                return Err(refused);
            }
        };
        if let Err(error) = prepared.put_stand_ins(preparing.stand_ins()) {
            let refused = Refused::from(error);
            log.append(&refusal_event(&refused))?;
            return Err(refused);
        }
        if prepared.policy.network.approve.is_some()
            && let Err(error) = asks(control.as_ref())
        {
            let refused = Refused::from(error);
            log.append(&refusal_event(&refused))?;
            return Err(refused);
        }
        let begun = SystemTime::now();
        let terminal = prepared.plan.workload.streams.has_terminal();
        // The start is on record. Init takes this order up when its last step is done; a terminal
        // has to be set up in between, and a gateway to be ready.
        let waits = terminal || prepared.plan.egress.is_some();
        let early = if waits { Ok(()) } else { preparing.go() };
        trace.done("go");
        // Where init is gone already, what it said last is the better reason.
        let built = preparing.ready(&prepared.plan, &prepared.host).and(early);
        let late = built.and_then(|()| match input.filter(|_| terminal) {
            Some(callers) => preparing.resemble(callers).and_then(|()| preparing.go()),
            None if terminal => Err(StartRefusal::NoTerminal),
            None if waits => preparing.go(),
            None => Ok(()),
        });
        if let Err(refusal) = late {
            return Err(recorded(&mut log, refusal)?);
        }
        trace.done("init ready");
        log.append(&ready_event(preparing.authority()))?;
        let running = preparing.into_running();
        let mut keeper = Keeper::new(log, control);
        keeper.alarms = Alarms::new(&watched, &prepared.policy);
        let masks = watched.masks.as_ref();
        let streams = Streams { input, output, error, signals, masks };
        let outcome = running.wait(streams, &mut keeper);
        keeper.sum_up();
        let Keeper { mut log, unrecorded, turned_away, names, way_out, alarms, .. } = keeper;
        let (sequences, dropped) = (alarms.sequences(), alarms.dropped());
        let (in_files, unlooked) = watched.in_files(&prepared.policy, begun);
        let mut ended =
            of_files(&in_files, unlooked.as_deref()).iter().try_for_each(|event| log.append(event));
        let alarms = alarms.rows().into_iter().chain(in_files).collect();
        let output = Shown { alarms, unlooked, sequences, dropped };
        let (denied_names, turned_away) = (names.all(), turned_away.rows());
        let outcome = outcome.unwrap_or(Outcome::Lost);
        trace.done("exit");
        for hit in outcome.hits() {
            let (limit, value) = (hit.limit.to_owned(), hit.value.clone());
            let event = Event::Limit { limit, value, what: hit.what.clone() };
            ended = ended.and_then(|()| log.append(&event));
        }
        let ended = ended.and_then(|()| log.append(&end_event(&outcome, started)));
        match unrecorded.map_or(ended, Err) {
            Ok(()) => Ok(Finished { outcome, turned_away, denied_names, way_out, output }),
            Err(source) => Err(Refused::Unrecorded { status: outcome.status(), source }),
        }
    }
}

/// Whether a person can be asked: without, what no rule allows would wait for nobody.
fn asks(control: Option<&Control>) -> Result<(), SessionError> {
    let none = || SessionError::Lost { source: std::io::Error::other("there is no thread for it") };
    control.ok_or_else(none)?.stands()
}

/// What is on record of files that were written.
fn of_files(found: &[Alarmed], unlooked: Option<&str>) -> Vec<Event> {
    let told = unlooked.map(|why| {
        let what = format!("not every file that was written was looked through: {why}");
        Event::Limit { limit: "canary".into(), value: "files".into(), what }
    });
    found.iter().map(Alarmed::event).chain(told).collect()
}
