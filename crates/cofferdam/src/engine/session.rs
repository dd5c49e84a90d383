//! One run: the workload, and everything that is put on record while it lasts.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Instant;

use cofferdam_audit::{Event, Log, LogError};
use cofferdam_plan::message::{self, Ended, Way, Went};
use cofferdam_sandbox::{Outcome, Preparing, Sink, StartRefusal, Streams, Witness};

use crate::engine::Prepared;
use crate::engine::events::{connection, end_event, name, recorded};
use crate::engine::names::Names;
use crate::refused::Refused;
use crate::trace::Trace;

/// Room for the event of a connection: a name, an address, a reason, and the rule with its file, whose
/// path may be long. Bytes.
const PLACE_BYTES: u64 = 8 << 10;
/// Hosts that the note at the end can name; the log names all.
const TURNED_AWAY_MAX: usize = 100;

/// A sandbox that is on record and being built; its workload runs with [`Session::run`].
#[derive(Debug)]
pub struct Session<'p> {
    prepared: &'p Prepared,
    log: Log,
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

/// A host that the workload was not let through to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// Its name or address; empty where nobody said.
    pub host: String,
    /// The port; 0 where only its address was asked for.
    pub port: u16,
    /// Stable name of the reason.
    pub code: String,
    /// The reason.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// The rule that decided.
    pub clause: String,
    /// Whether a rule denied it, or it was let through and not reached.
    pub denied: Denied,
    /// How often.
    pub times: u64,
}

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The policy.
    ByPolicy,
    /// Nobody: the host was not reached.
    Unreached,
}

impl<'p> Session<'p> {
    pub(super) fn new(
        prepared: &'p Prepared,
        log: Log,
        preparing: Preparing,
        (started, trace): (Instant, Trace),
    ) -> Self {
        Self { prepared, log, preparing, started, trace }
    }
}

impl Session<'_> {
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
        let Self { prepared, mut log, mut preparing, started, trace } = self;
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
        log.append(&Event::Ready {})?;
        let running = preparing.into_running();
        let mut keeper = Keeper::new(log);
        let streams = Streams { input, output, error, signals };
        let outcome = running.wait(streams, &mut keeper);
        keeper.sum_up();
        let Keeper { mut log, unrecorded, turned_away, names, way_out } = keeper;
        let denied_names = names.all();
        let outcome = outcome.unwrap_or(Outcome::Lost);
        trace.done("exit");
        let mut ended = Ok(());
        for hit in outcome.hits() {
            let (limit, value) = (hit.limit.to_owned(), hit.value.clone());
            let event = Event::Limit { limit, value, what: hit.what.clone() };
            ended = ended.and_then(|()| log.append(&event));
        }
        let ended = ended.and_then(|()| log.append(&end_event(&outcome, started)));
        match unrecorded.map_or(ended, Err) {
            Ok(()) => Ok(Finished { outcome, turned_away, denied_names, way_out }),
            Err(source) => Err(Refused::Unrecorded { status: outcome.status(), source }),
        }
    }
}

/// Keeps the record while the workload runs.
struct Keeper {
    log: Log,
    /// The first record that could not be written: the run is no success then.
    unrecorded: Option<LogError>,
    turned_away: Vec<TurnedAway>,
    names: Names,
    way_out: WayOut,
}

impl Keeper {
    fn new(log: Log) -> Self {
        Self {
            log,
            unrecorded: None,
            turned_away: Vec::new(),
            names: Names::default(),
            way_out: WayOut::Held,
        }
    }

    fn append(&mut self, event: &Event) {
        if let Err(error) = self.log.append(event) {
            self.unrecorded.get_or_insert(error);
        }
    }

    /// Records what was only counted while the workload ran.
    fn sum_up(&mut self) {
        for denied in self.names.rest() {
            self.append(&name(denied));
        }
    }

    /// For the note at the end: one row for each host, port and reason.
    fn remember(&mut self, ended: &Ended) {
        let (code, denied) = match &ended.verdict {
            Went::Allowed => return,
            Went::Denied { code } => (code, Denied::ByPolicy),
            Went::Failed { code } => (code, Denied::Unreached),
        };
        let same = |row: &&mut TurnedAway| {
            row.host == ended.host && row.port == ended.port && row.code == *code
        };
        if let Some(row) = self.turned_away.iter_mut().find(same) {
            row.times = row.times.saturating_add(ended.times);
        } else if self.turned_away.len() < TURNED_AWAY_MAX && ended.way != Way::Published {
            self.turned_away.push(TurnedAway {
                host: ended.host.clone(),
                port: ended.port,
                code: code.clone(),
                why: ended.why.clone(),
                fix: ended.fix.clone(),
                clause: ended.clause.to_string(),
                denied,
                times: ended.times,
            });
        }
    }
}

impl Witness for Keeper {
    fn fell(&mut self, path: &Path, kills: bool) {
        self.append(&Event::MountFell {
            path: path.display().to_string(),
            guard: if kills { "kill" } else { "note" }.into(),
            action: if kills { "the workload is killed" } else { "recorded" }.into(),
        });
    }

    fn denied(&mut self, denied: message::Denied) {
        if let Some(denied) = self.names.hear(denied) {
            self.append(&name(denied));
        }
    }

    fn has_room(&mut self, connections: u32) -> bool {
        // After a record that is missing, no further connection is made.
        let room = self.unrecorded.is_none()
            && self.log.has_room(PLACE_BYTES.saturating_mul(connections.into())).is_ok();
        if !room && self.way_out == WayOut::Held {
            self.way_out = WayOut::NoRecord;
        }
        room
    }

    fn ended(&mut self, ended: Ended) {
        self.remember(&ended);
        self.append(&connection(&ended));
    }

    fn gateway_gone(&mut self) {
        self.way_out = WayOut::Gone;
        self.append(&Event::GatewayGone {});
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cofferdam_plan::message::Operation;
    use cofferdam_policy::model::Clause;

    use super::*;

    /// What was denied stays denied, whether or not it can be recorded; that it cannot is told.
    #[test]
    fn a_denial_that_has_no_record_is_told() {
        let folder = std::env::temp_dir().join(format!("cofferdam-keeper-{}", std::process::id()));
        let path = folder.join("audit.jsonl");
        let mut keeper = Keeper::new(Log::open(&path, "aa".into()).unwrap());
        let denied = |path: &str| message::Denied {
            operation: Operation::Create,
            path: path.into(),
            clause: Clause::built_in("filesystem.protect"),
            why: "it is protected".into(),
            fix: String::new(),
            errno: 13,
            times: 2,
        };
        keeper.denied(denied("/w/.envrc"));
        assert!(keeper.unrecorded.is_none());
        let record = fs::read_to_string(&path).unwrap();
        let event = "\"event\":{\"kind\":\"name\",\"operation\":\"create\",\"path\":\"/w/.envrc\",\
             \"clause\":\"filesystem.protect (built-in)\",\"why\":\"it is protected\",\
             \"fix\":\"\",\"errno\":13,\"times\":2}";
        assert!(record.contains(event), "{record}");
        for _ in 0..2 {
            keeper.denied(denied("/w/.envrc"));
        }
        keeper.sum_up();
        let times = |record: &str| record.matches("\"times\":2").count();
        assert_eq!(times(&fs::read_to_string(&path).unwrap()), 3, "the sum too");
        fs::remove_dir_all(&folder).unwrap();
        keeper.denied(denied("/w/.mcp.json"));
        assert!(keeper.unrecorded.is_some(), "nobody finds that record");
        assert_eq!(keeper.names.all().len(), 2, "and the note names it");
    }
}
