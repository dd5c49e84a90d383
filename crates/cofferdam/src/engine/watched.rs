//! What must not leave by the workload's streams, and what was found there of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use cofferdam_audit::redact::{Found, Label, Masks, NeedleFault, Needles};
use cofferdam_audit::{Alarm, Event, OutputKept};
use cofferdam_plan::message::StandIn;
use cofferdam_policy::credentials::{MARKS, is_marked};
use cofferdam_policy::model::{Clause, Policy};
use cofferdam_policy::output::{Most, Redaction};
use cofferdam_sandbox::escapes::Refused as Sequences;
use cofferdam_sandbox::{Kept, Leak, Stream};

use super::written::{self, Written};
use crate::refused::Refused;

/// Strings that are looked for.
#[derive(Debug)]
pub(super) struct Watched {
    /// By their labels.
    what: Vec<What>,
    /// `None` where nobody looks.
    pub(super) masks: Option<Masks>,
    /// The canaries alone, which are looked for in files; `None` where there are none.
    planted: Option<Needles>,
}

/// What a string is, for records and persons.
#[derive(Clone, Debug, PartialEq, Eq)]
struct What {
    /// `stand-in` or `canary`.
    kind: &'static str,
    /// Its name in the policy; empty for what every stand-in holds.
    name: String,
    clause: Clause,
}

/// A string that must not leave was on its way out of the sandbox by a stream, and was masked there; or stands
/// in a file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarmed {
    /// `stand-in` or `canary`.
    pub what: &'static str,
    /// Its name in the policy, where it has one.
    pub name: String,
    /// In which form it stood first: `plain`, `base64` and so on.
    pub encoding: &'static str,
    /// Where it was written to: a stream, or `the file PATH`.
    pub place: String,
    /// The rule.
    pub clause: Clause,
    /// How often.
    pub times: u64,
}

impl Watched {
    /// What every stand-in holds, the policy's canaries, and `further` stand-ins of this session, by name.
    pub(super) fn of(policy: &Policy, further: &[StandIn]) -> Result<Self, Refused> {
        if policy.output.redaction == Redaction::Off {
            return Ok(Self { what: Vec::new(), masks: None, planted: None });
        }
        let stand_in = |name: &str| What {
            kind: "stand-in",
            name: name.to_owned(),
            clause: Clause::built_in("credentials"),
        };
        let marks = MARKS.map(|mark| (stand_in(""), mark.as_bytes()));
        // What is no secret is nobody's stand-in.
        let names: Vec<&str> = policy.credentials.iter().map(|one| one.name.as_str()).collect();
        let further = further.iter().filter(|one| names.contains(&one.name.as_str()));
        let further = further.filter(|one| !is_marked(&one.value));
        let further = further.map(|one| (stand_in(&one.name), one.value.as_bytes()));
        let canaries = policy.canaries.iter().map(|canary| {
            let (name, clause) = (canary.name.clone(), canary.clause.clone());
            (What { kind: "canary", name, clause }, canary.text.as_bytes())
        });
        let (what, texts): (Vec<_>, Vec<_>) =
            marks.into_iter().chain(further).chain(canaries).unzip();
        let texts = texts.into_iter().enumerate().map(|(label, text)| (Label(label), text));
        let texts: Vec<_> = texts.collect();
        let fault = |fault: NeedleFault| Refused::Needles { why: fault.to_string() };
        let needles = Needles::new(texts.iter().copied()).map_err(fault)?;
        let first = what.len() - policy.canaries.len();
        let planted = texts.get(first..).filter(|canaries| !canaries.is_empty());
        let planted = planted.map(|canaries| Needles::new(canaries.iter().copied()));
        let planted = planted.transpose().map_err(fault)?;
        Ok(Self { what, masks: Some(Masks::new(&needles)), planted })
    }

    /// What the workload wrote of canaries into files, since it was started; and why not each of them was
    /// looked through, where that is so.
    pub(super) fn in_files(
        &self,
        policy: &Policy,
        started: SystemTime,
    ) -> (Vec<Alarmed>, Option<String>) {
        let Some(planted) = &self.planted else { return (Vec::new(), None) };
        let Written { found, open } = written::look(policy, planted, started);
        let alarmed = |(path, found): (PathBuf, Found)| {
            let What { kind, name, clause } = self.what.get(found.label.0)?.clone();
            let (encoding, place) = (found.encoding.name(), format!("the file {}", path.display()));
            Some(Alarmed { what: kind, name, encoding, place, clause, times: 1 })
        };
        (found.into_iter().filter_map(alarmed).collect(), open)
    }
}

/// What was found so far, and what else was kept from the readers of the streams.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    what: Vec<What>,
    rows: BTreeMap<(Label, Stream), Row>,
    kept: Vec<(Stream, Kept)>,
    most: Option<Most>,
}

#[derive(Debug)]
struct Row {
    order: usize,
    encoding: &'static str,
    times: u64,
    /// How many of them are in no record.
    untold: u64,
}

impl Alarmed {
    pub(super) fn event(&self) -> Event {
        Event::Alarm(Box::new(Alarm {
            what: self.what,
            name: self.name.clone(),
            place: self.place.clone(),
            encoding: self.encoding,
            clause: self.clause.to_string(),
            times: self.times,
        }))
    }
}

impl Alarms {
    pub(super) fn new(watched: &Watched, policy: &Policy) -> Self {
        let (what, most) = (watched.what.clone(), policy.output.most.clone());
        Self { what, most, ..Self::default() }
    }

    /// Counts what was found. The first of its kind is recorded at once, what comes again in one sum.
    pub(super) fn hear(&mut self, leak: &Leak) -> Option<Event> {
        let key = (leak.label, leak.stream);
        let order = self.rows.len();
        let encoding = leak.encoding.name();
        let row = self.rows.entry(key).or_insert(Row { order, encoding, times: 0, untold: 0 });
        let first = row.times == 0;
        row.times = row.times.saturating_add(leak.times);
        row.untold = row.untold.saturating_add(leak.times);
        if !first {
            return None;
        }
        let times = std::mem::take(&mut row.untold);
        self.event(key, times)
    }

    pub(super) fn keep(&mut self, stream: Stream, kept: Kept) {
        self.kept.push((stream, kept));
    }

    /// What is still to be recorded once there will be no more.
    pub(super) fn rest(&mut self) -> Vec<Event> {
        let untold: Vec<_> = self
            .rows
            .iter_mut()
            .map(|(key, row)| (*key, std::mem::take(&mut row.untold)))
            .collect();
        let again = untold.into_iter().filter(|(_, times)| *times > 0);
        let mut events: Vec<Event> =
            again.filter_map(|(key, times)| self.event(key, times)).collect();
        for (stream, kept) in &self.kept {
            let refused: BTreeMap<_, _> =
                kept.refused.rows().map(|(kind, count)| (kind.as_str(), count)).collect();
            if !refused.is_empty() {
                events.push(Event::Output(OutputKept { stream: stream.as_str(), refused }));
            }
            if let Some(most) = self.most.as_ref().filter(|_| kept.dropped > 0) {
                let what =
                    format!("{} more bytes for {} were dropped", kept.dropped, stream.as_str());
                let (limit, value) = ("output.max_bytes".to_owned(), most.bytes.to_string());
                events.push(Event::Limit { limit, value, what });
            }
        }
        events
    }

    /// Every string and stream once, in the order in which they were found.
    pub(super) fn rows(&self) -> Vec<Alarmed> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, row)| row.order);
        rows.into_iter().filter_map(|(key, row)| self.alarmed(*key, row.times)).collect()
    }

    /// Escape sequences that were taken out, of all streams together.
    pub(super) fn sequences(&self) -> Sequences {
        let mut sum = Sequences::default();
        self.kept.iter().for_each(|(_, kept)| sum.add(&kept.refused));
        sum
    }

    /// Bytes beyond the limit, of all streams together.
    pub(super) fn dropped(&self) -> u64 {
        self.kept.iter().fold(0, |sum, (_, kept)| sum.saturating_add(kept.dropped))
    }

    fn event(&self, key: (Label, Stream), times: u64) -> Option<Event> {
        self.alarmed(key, times).map(|alarmed| alarmed.event())
    }

    fn alarmed(&self, (label, stream): (Label, Stream), times: u64) -> Option<Alarmed> {
        let What { kind, name, clause } = self.what.get(label.0)?.clone();
        let (encoding, place) =
            (self.rows.get(&(label, stream))?.encoding, stream.as_str().to_owned());
        Some(Alarmed { what: kind, name, encoding, place, clause, times })
    }
}
