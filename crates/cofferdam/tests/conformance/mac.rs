//! The rows on files, programs and the network, put to an evaluator of Seatbelt profiles: what is generated
//! for macOS says what the table says. Nothing is run; the paths are this machine's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::group::{Group, Report, question};
use crate::side::{Outside, Side};
use crate::support::finish;
use crate::table::{Row, Table, Verdict};

#[path = "../../../cofferdam-plan/tests/seatbelt/evaluator.rs"]
mod evaluator;
use evaluator::{Act, Profile};

pub(crate) const WALL: &str = "process/seatbelt";
/// Where the session has its own places.
const HOME: &str = "/Users/u/Library/cofferdam/home";
const TMP: &str = "/private/var/folders/cofferdam";
/// The door of the gateway that profiles are shown with.
const DOOR: &str = "127.0.0.1:3128";

/// Every policy's rows that the evaluator has a word for.
pub(crate) fn ask(table: &Table, outside: &Outside) -> Report {
    let mut report = Report::default();
    for policy in &table.policies {
        let group = Group::of(policy, &table.rows, (WALL, crate::person()));
        report.add(group.evaluated(outside));
    }
    report
}

impl Group<'_> {
    fn evaluated(&self, outside: &Outside) -> Report {
        let mut report = Report::default();
        let side = Side::new(outside, None, &self.rows);
        // Nobody is asked whether it is believed.
        side.place().write("believed/ca.pem", "");
        let mut command = side.cofferdam();
        command.args(["policy", "show", "--seatbelt", "--json", &self.policy(&side)]);
        let shown = finish(&mut command);
        let answer: Value = serde_json::from_str(&shown.out).unwrap_or_default();
        let Some(profile) = answer["profile"].as_str() else {
            let refused = self.refused().unwrap_or_default();
            if refused.is_empty() || !format!("{}{}", shown.out, shown.err).contains(refused) {
                report.faults.push(format!("{}: no profile: {shown:?}", self.name()));
            }
            return report;
        };
        let tty = "/dev/ttys042";
        let parameters = [("HOME", HOME), ("TMP", TMP), ("TTY", tty)];
        let parameters: BTreeMap<String, String> =
            parameters.map(|(name, value)| (name.into(), value.into())).into();
        let profile = Profile::new(profile, &parameters)
            .unwrap_or_else(|why| panic!("{}: {why}", self.name()));
        let coverage = answer["coverage"].to_string();
        for row in self.rows.iter().filter(|row| row.unjudged.is_none()) {
            let Some(said) = verdict(row, &side, &profile) else { continue };
            report.ran += 1;
            report.denied += usize::from(said == evaluator::Verdict::Deny);
            let same = (said == evaluator::Verdict::Allow) == (row.verdict == Verdict::Allow);
            if !same {
                report.faults.push(format!("{}: the profile says {said:?}", row.id));
            }
        }
        report.faults.extend(self.unsaid(&coverage));
        report
    }
}

/// What the profile says of the row's act; `None` where that is no file, program or connection.
fn verdict(row: &Row, side: &Side<'_>, profile: &Profile) -> Option<evaluator::Verdict> {
    let words = question(row, side)?;
    let (verb, about) = (words.first()?.as_str(), words.get(1)?.as_str());
    let operation = match verb {
        "read" => "file-read-data",
        "write" => "file-write-data",
        "create" => "file-write-create",
        "delete" => "file-write-unlink",
        "exec" => "process-exec",
        // Which host, the gateway decides: the wall is that there is no other way.
        "connect" if row.verdict == Verdict::Allow => {
            let act = Act { operation: "network-outbound", remote: Some(DOOR), ..Act::default() };
            return Some(profile.says(&act));
        }
        "connect" => {
            let direct = "192.0.2.7:443";
            let act = Act { operation: "network-outbound", remote: Some(direct), ..Act::default() };
            return Some(profile.says(&act));
        }
        _ => return None,
    };
    // What is absent is the host's: it has no place of the session's.
    let path = if row.mechanism == "absence" { about.to_owned() } else { placed(about, side) };
    let kind = Some("REGULAR-FILE");
    Some(profile.says(&Act { operation, path: Some(&path), kind, ..Act::default() }))
}

/// Where the session has what a path of a place of the sandbox's own names.
fn placed(path: &str, side: &Side<'_>) -> String {
    let place = side.place();
    let (home, work) = (place.home.display().to_string(), place.work.display().to_string());
    let out = place.out.display().to_string();
    let below = |path: &str, tree: &str| {
        path.strip_prefix(tree)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(str::to_owned)
    };
    if below(path, &work).is_some() || below(path, &out).is_some() {
        return path.to_owned();
    }
    for (tree, its) in [(home.as_str(), HOME), ("/tmp", TMP), ("/var/tmp", TMP)] {
        if let Some(rest) = below(path, tree) {
            return format!("{its}{rest}");
        }
    }
    path.to_owned()
}
