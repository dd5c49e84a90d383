//! Questions about what is on record: the event has its verdict, its rule and its remedy, and the record of the
//! session's start has the plan that was obeyed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use cofferdam_audit::{MAX_RECORD_BYTES, Problem, Reading, system_words};
use cofferdam_policy::model::Clause;
use serde_json::Value;

use super::path::errno_name;
use super::{Answer, Fix, Outcome, WhyError};
use crate::refused::Refused;

/// An event, and what its session was started with.
#[derive(Clone, Debug)]
pub struct Recorded {
    event: Value,
    /// The coverage of the session's plan, where its start is on record too.
    coverage: Vec<Value>,
    /// Whether the line that it stands in verifies; not known of a text from elsewhere.
    verifies: Option<bool>,
}

impl Recorded {
    /// The event of this number in a log, counted from 1.
    ///
    /// # Errors
    /// The log cannot be read, or has no such event.
    pub fn find(log: &Path, number: u64) -> Result<Self, Refused> {
        let unread = |why: String| Refused::LogUnread { path: log.to_owned(), why };
        let reading = Reading::open(log).map_err(|broken| match broken.problem {
            Problem::Unreadable(why) => unread(why),
            Problem::Changed | Problem::Chain | Problem::TooLong => unread(broken.to_string()),
        })?;
        let mut starts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut found = None;
        let verdict = reading.each(|line| {
            let Some(record) = &line.record else { return ControlFlow::Continue(()) };
            if record.kind == "start" {
                starts.insert(record.session.clone().into_owned(), coverage(record.event.get()));
            }
            if record.seq != number {
                return ControlFlow::Continue(());
            }
            let event = serde_json::from_str(record.event.get()).unwrap_or_default();
            let coverage = starts.remove(record.session.as_ref()).unwrap_or_default();
            found = Some(Self { event, coverage, verifies: Some(line.problem.is_none()) });
            ControlFlow::Break(())
        });
        // How the rest of the chain stands is what `audit verify` says.
        drop(verdict);
        found.ok_or_else(|| WhyError::NoEvent { number, log: log.to_owned() }.into())
    }

    /// A line of a log or an event alone, from a file, or from standard input where `path` is `-`.
    ///
    /// # Errors
    /// It cannot be read, or is no event.
    pub fn read(path: &Path) -> Result<Self, WhyError> {
        let input = path == Path::new("-");
        let from = if input { "standard input".into() } else { path.display().to_string() };
        let none = |why: String| WhyError::NoRecord { from: from.clone(), why };
        let mut text = String::new();
        let most = u64::try_from(MAX_RECORD_BYTES).unwrap_or(u64::MAX);
        let read = if input {
            io::stdin().take(most).read_to_string(&mut text)
        } else {
            File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
        };
        read.map_err(|error| none(system_words(&error)))?;
        let whole: Value =
            serde_json::from_str(text.trim()).map_err(|error| none(error.to_string()))?;
        let event = whole.get("event").filter(|event| event.is_object()).unwrap_or(&whole).clone();
        if event.get("kind").is_none_or(|kind| !kind.is_string()) {
            return Err(none("it has no `kind`".into()));
        }
        Ok(Self { event, coverage: Vec::new(), verifies: None })
    }

    fn text(&self, key: &str) -> String {
        self.event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, key: &str) -> u64 {
        self.event.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    fn answer(&self, asked: String, verdict: Outcome, clause: Clause) -> Answer {
        let same = |row: &&Value| {
            let text = |key: &str| row.get("clause")?.get(key)?.as_str();
            let line = row.get("clause").and_then(|clause| clause.get("line")?.as_u64());
            text("name") == Some(clause.name.as_str())
                && text("file") == Some(clause.file.as_str())
                && line == Some(u64::from(clause.line))
        };
        let (mut held_by, mut open) = (Vec::new(), Vec::new());
        for row in self.coverage.iter().filter(same) {
            for text in row.get("mechanisms").and_then(Value::as_array).into_iter().flatten() {
                let text = text.as_str().unwrap_or_default().to_owned();
                if !held_by.contains(&text) {
                    held_by.push(text);
                }
            }
            let left =
                row.get("extent").and_then(|extent| extent.get("partly")?.get("open")?.as_str());
            open.extend(left.map(str::to_owned));
        }
        let (why, hears, fix) = (self.text("why"), None, self.fix());
        let code = self.event.get("code").and_then(Value::as_str).map(str::to_owned);
        let mut notes = Vec::new();
        if self.number("times") > 1 {
            notes.push(format!("it stands for {} like it", self.number("times")));
        }
        match self.verifies {
            Some(true) => {}
            Some(false) => notes.push("its line does not verify: cofferdam audit verify".into()),
            None => notes.push("nobody has verified this text: it came from no log".into()),
        }
        Answer { asked, verdict, code, why, hears, clause, held_by, open, fix, notes }
    }

    fn fix(&self) -> Option<Fix> {
        let text = self.text("fix");
        let (option, policy) = match text.split_once("; in a policy: ") {
            Some((option, policy)) => (option.to_owned(), policy.to_owned()),
            None => (String::new(), text),
        };
        (!policy.is_empty()).then_some(Fix { option, policy })
    }

    fn connection(&self) -> Answer {
        let request = self.event.get("request").and_then(|request| {
            let text = |key: &str| request.get(key)?.as_str();
            Some(format!(", {} {}", text("method")?, text("path")?))
        });
        let place = match self.number("port") {
            0 => self.text("host"),
            port => format!("{}:{port}", self.text("host")),
        };
        let asked = format!("connect {place}{}", request.unwrap_or_default());
        let denied = self.text("verdict") == "denied";
        let verdict = if denied { Outcome::Denied } else { Outcome::Allowed };
        let mut answer = self.answer(asked, verdict, clause(&self.text("clause")));
        if self.text("verdict") == "failed" {
            answer.notes.insert(0, "it was let through, and not reached".into());
        }
        let status = self.event.get("request").and_then(|request| request.get("status")?.as_u64());
        answer.hears = status.filter(|_| denied).map(|status| format!("HTTP {status}"));
        answer
    }

    fn name(&self) -> Answer {
        let asked = format!("{} {}", self.text("operation"), self.text("path"));
        let mut answer = self.answer(asked, Outcome::Denied, clause(&self.text("clause")));
        let errno = self.event.get("errno").and_then(Value::as_i64);
        let errno = errno.and_then(|errno| i32::try_from(errno).ok());
        answer.hears = errno.map(|errno| errno_name(errno).to_owned());
        answer
    }

    fn limit(&self) -> Answer {
        let (limit, value) = (self.text("limit"), self.text("value"));
        let name = if limit.contains('.') { limit.clone() } else { format!("limits.{limit}") };
        let rows = self.coverage.iter().filter_map(|row| row.get("clause"));
        let mut known =
            rows.filter(|clause| clause.get("name").and_then(Value::as_str) == Some(&name));
        let of = known.next().map_or_else(
            || Clause::built_in(&name),
            |clause| Clause {
                name: name.clone(),
                file: clause.get("file").and_then(Value::as_str).unwrap_or_default().into(),
                line: clause
                    .get("line")
                    .and_then(Value::as_u64)
                    .and_then(|line| u32::try_from(line).ok())
                    .unwrap_or_default(),
            },
        );
        let mut answer = self.answer(format!("more than {limit} = {value}"), Outcome::Denied, of);
        answer.why = self.text("what");
        answer.code = Some("limit".into());
        let option =
            if limit.contains('.') { String::new() } else { format!("--limit {limit}=VALUE") };
        answer.fix = Some(Fix { option, policy: format!("{name} = VALUE, with a larger one") });
        answer
    }

    fn refusal(&self) -> Answer {
        let own = Clause::built_in("refusal");
        let mut answer = self.answer("start a sandbox".into(), Outcome::Denied, own);
        answer.why = self.text("message");
        answer.fix = Some(Fix { option: String::new(), policy: self.text("hint") });
        answer
    }

    /// What a person was asked.
    fn asked(&self, verdict: Outcome) -> Answer {
        let asked = format!("connect {}:{}", self.text("host"), self.number("port"));
        let mut answer = self.answer(asked, verdict, Clause::built_in("network.approve"));
        if verdict == Outcome::Denied && answer.why.is_empty() {
            answer.why = "a person was asked, and did not allow it".into();
        }
        answer
    }

    fn alarm(&self) -> Answer {
        let asked = format!("let a {} out by {}", self.text("what"), self.text("place"));
        let mut answer = self.answer(asked, Outcome::Denied, clause(&self.text("clause")));
        answer.why = "it must not leave, and was taken out".into();
        answer.code = Some("alarm".into());
        answer
    }
}

/// What an event says of the act that it is about.
#[must_use]
pub fn explain(recorded: &Recorded) -> Answer {
    match recorded.text("kind").as_str() {
        "connection" => recorded.connection(),
        "name" => recorded.name(),
        "limit" => recorded.limit(),
        "refusal" => recorded.refusal(),
        "alarm" => recorded.alarm(),
        "approved" => recorded.asked(Outcome::Allowed),
        "refused" => recorded.asked(Outcome::Denied),
        kind => {
            let asked = format!("an event of the kind {kind}");
            let mut answer = recorded.answer(asked, Outcome::Noted, Clause::built_in("audit"));
            answer
                .notes
                .insert(0, "it is about no act of the workload's that a rule decided".into());
            answer
        }
    }
}

/// The clause that an event writes as `NAME (FILE:LINE)` or `NAME (FILE)`.
fn clause(text: &str) -> Clause {
    let inner = text.strip_suffix(')').and_then(|text| text.split_once(" ("));
    let Some((name, place)) = inner else { return Clause::built_in(text) };
    let line = place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
    let (file, line) = line.unwrap_or((place, 0));
    Clause { name: name.into(), file: file.into(), line }
}

/// The coverage of a recorded start.
fn coverage(event: &str) -> Vec<Value> {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let rows = event.get("plan").and_then(|plan| plan.get("coverage")?.as_array());
    rows.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_read_as_it_is_written() {
        for clause in [
            Clause {
                name: "filesystem.protect[0]".into(),
                file: "/a (b):c/p.toml".into(),
                line: 7,
            },
            Clause { name: "network.allow[1]".into(), file: "p.toml".into(), line: 1 },
            Clause::built_in("filesystem"),
            Clause::flag("--hide"),
        ] {
            assert_eq!(super::clause(&clause.to_string()), clause);
        }
    }
}
