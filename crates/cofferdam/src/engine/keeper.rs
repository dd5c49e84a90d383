//! Keeps the record while the workload runs, and passes on what persons decide.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::Path;

use cofferdam_audit::{Event, Log, LogError};
use cofferdam_plan::message::{self, Ended, Question};
use cofferdam_sandbox::{Kept, Leak, Stream, Witness, Word};

use crate::control::{Control, Deed, Told};
use crate::engine::counts::Counts;
use crate::engine::events::{connection, name};
use crate::engine::names::Names;
use crate::engine::session::WayOut;
use crate::engine::turned::TurnedAways;
use crate::engine::watched::Alarms;

/// Room for the event of a connection: a name, an address, a reason, a request, and the rule with its
/// file, whose path may be long. Bytes.
const PLACE_BYTES: u64 = 10 << 10;

/// Keeps the record while the workload runs.
pub(crate) struct Keeper {
    pub(super) log: Log,
    /// The first record that could not be written: the run is no success then.
    pub(super) unrecorded: Option<LogError>,
    pub(super) turned_away: TurnedAways,
    counts: Counts,
    pub(super) names: Names,
    pub(super) way_out: WayOut,
    pub(super) alarms: Alarms,
    control: Option<Control>,
    /// What the gateway is to be told, in this order.
    words: VecDeque<Word>,
}

impl Keeper {
    pub(crate) fn new(log: Log, control: Option<Control>) -> Self {
        Self {
            log,
            unrecorded: None,
            turned_away: TurnedAways::default(),
            counts: Counts::default(),
            names: Names::default(),
            way_out: WayOut::Held,
            alarms: Alarms::default(),
            control,
            words: VecDeque::new(),
        }
    }

    /// Whether it is on record.
    fn append(&mut self, event: &Event) -> bool {
        let appended = self.log.append(event);
        let is_there = appended.is_ok();
        if let Err(error) = appended {
            self.unrecorded.get_or_insert(error);
        }
        is_there
    }

    /// Whether rules may hold: they are on record, and so is all that they rest on.
    fn holds(&mut self, event: &Event) -> bool {
        self.unrecorded.is_none() && self.append(event)
    }

    /// Does what a person decided: puts it on record, and only then has something to tell the gateway.
    fn obey(&mut self, deed: Deed) {
        let answers = |questions: Vec<u64>, allowed| {
            questions.into_iter().map(move |id| Word::Answer { id, allowed })
        };
        match deed {
            Deed::Record(event) => drop(self.append(&event)),
            Deed::Apply { event, generation, rules } => {
                if self.holds(&event) {
                    self.words.push_back(Word::Rules { generation, rules });
                } else {
                    self.tell(Told::NotRecorded(generation));
                }
            }
            Deed::Allow { event, generation, rules, questions } => {
                let recorded = self.holds(&event);
                if recorded {
                    self.words.push_back(Word::Rules { generation, rules });
                } else {
                    self.tell(Told::NotRecorded(generation));
                }
                self.words.extend(answers(questions, recorded));
            }
            Deed::Deny { event, questions } => {
                if let Some(event) = event {
                    self.append(&event);
                }
                self.words.extend(answers(questions, false));
            }
            // What takes away is done, recorded or not.
            Deed::Revoke { event, name } => {
                self.append(&event);
                self.words.push_back(Word::Revoke { name });
            }
            Deed::Rotate { event, name } => {
                if self.holds(&event) {
                    self.words.push_back(Word::Rotate { name });
                }
            }
            Deed::Repeat { question } => self.words.extend(answers(vec![question], true)),
        }
    }

    fn tell(&self, told: Told) -> bool {
        self.control.as_ref().is_some_and(|control| control.tell(told))
    }

    /// Records what was only counted while the workload ran.
    pub(crate) fn sum_up(&mut self) {
        if let Some(mut control) = self.control.take() {
            control.end();
            while let Some(deed) = control.deed() {
                self.obey(deed);
            }
        }
        for denied in self.names.rest() {
            self.append(&name(denied));
        }
        for event in self.alarms.rest() {
            self.append(&event);
        }
        let rules = self.counts.rows();
        if !rules.is_empty() {
            self.append(&Event::Rules { rules });
        }
    }
}

impl Witness for Keeper {
    fn fell(&mut self, path: &Path, kills: bool) {
        let fell = Event::MountFell {
            path: path.display().to_string(),
            guard: if kills { "kill" } else { "note" }.into(),
            action: if kills { "the workload is killed" } else { "recorded" }.into(),
        };
        self.append(&fell);
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
        self.turned_away.hear(&ended);
        self.counts.hear(&ended);
        self.append(&connection(&ended));
    }

    fn gateway_gone(&mut self) {
        self.way_out = WayOut::Gone;
        self.append(&Event::GatewayGone {});
    }

    fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(Control::bell)
    }

    fn word(&mut self) -> Option<Word> {
        loop {
            if let Some(word) = self.words.pop_front() {
                return Some(word);
            }
            let deed = self.control.as_ref()?.deed()?;
            self.obey(deed);
        }
    }

    fn not_taken(&mut self, word: &Word) {
        let Word::Rules { generation, .. } = word else { return };
        // What rests on these rules is no longer allowed.
        for word in &mut self.words {
            match word {
                Word::Rules { .. } => break,
                Word::Revoke { .. } | Word::Rotate { .. } => {}
                Word::Answer { allowed, .. } => *allowed = false,
            }
        }
        self.tell(Told::NotTaken(*generation));
    }

    fn applied(&mut self, generation: u32) {
        self.tell(Told::Applied(generation));
    }

    fn unread(&mut self, credential: String, code: String) {
        self.append(&Event::CredentialUnread { credential, code });
    }

    fn refreshed(&mut self, credential: String, kept: String) {
        self.append(&Event::CredentialRefreshed { credential, kept });
    }

    fn asks(&mut self, question: Question) {
        let id = question.id;
        if !self.tell(Told::Asks(question)) {
            // Nobody is there who could say yes.
            self.words.push_back(Word::Answer { id, allowed: false });
        }
    }

    fn asks_no_more(&mut self, id: u64) {
        self.tell(Told::AsksNoMore(id));
    }

    fn leaks(&mut self, leak: Leak) {
        if let Some(event) = self.alarms.hear(&leak) {
            self.append(&event);
        }
    }

    fn kept(&mut self, stream: Stream, kept: Kept) {
        self.alarms.keep(stream, kept);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cofferdam_plan::message::{HttpVersion, Operation, Requested};
    use cofferdam_policy::model::Clause;

    use super::*;

    /// What was denied stays denied, whether or not it can be recorded; that it cannot is told.
    #[test]
    fn a_denial_that_has_no_record_is_told() {
        let folder = std::env::temp_dir().join(format!("cofferdam-keeper-{}", std::process::id()));
        let path = folder.join("audit.jsonl");
        let mut keeper = Keeper::new(Log::open(&path, "aa".into()).unwrap(), None);
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

    /// What each rule decided is summed once, at the end; nothing is where none did.
    #[test]
    fn what_rules_decided_is_summed_at_the_end() {
        let folder = std::env::temp_dir().join(format!("cofferdam-counts-{}", std::process::id()));
        let path = folder.join("audit.jsonl");
        let mut keeper = Keeper::new(Log::open(&path, "aa".into()).unwrap(), None);
        let request = Requested {
            version: HttpVersion::Http2,
            method: "POST".into(),
            path: "/v1/x".into(),
            status: Some(403),
        };
        let ended = Ended {
            way: message::Way::Direct,
            host: "good.test".into(),
            port: 443,
            protocol: None,
            address: None,
            clause: Clause::built_in("network"),
            verdict: message::Went::Denied { code: "method".into() },
            why: "no".into(),
            fix: String::new(),
            sent: 5,
            received: 6,
            duration_ms: 1,
            times: 2,
            request: Some(request),
        };
        keeper.sum_up();
        assert_eq!(fs::read_to_string(&path).unwrap(), "", "no rule decided");
        keeper.ended(ended);
        keeper.sum_up();
        let record = fs::read_to_string(&path).unwrap();
        let request = "\"times\":2,\"request\":{\"version\":\"HTTP/2\",\"method\":\"POST\",\
             \"path\":\"/v1/x\",\"status\":403}}";
        let rules = "\"event\":{\"kind\":\"rules\",\"rules\":[{\"clause\":\"network (built-in)\",\
             \"allowed\":0,\"denied\":2,\"failed\":0,\"sent\":5,\"received\":6}]}";
        assert!(record.contains(request) && record.contains(rules), "{record}");
        let row = &keeper.turned_away.rows()[0];
        let told = (row.method.as_deref(), row.path.as_deref(), row.times);
        assert_eq!(told, (Some("POST"), Some("/v1/x"), 2), "and the note names it");
        fs::remove_dir_all(&folder).unwrap();
    }
}
