//! What the broker told of names: what of it goes on record now, and what is told at the end.
//!
//! Knows no log. A workload can be refused for as long as it runs, each time with another name, so
//! what it makes of the record and of this memory has bounds here. No count is lost to them.

use std::collections::BTreeMap;

use cofferdam_plan::message::{Denied, Operation};
use cofferdam_policy::model::Clause;

/// Denials that are kept apart by operation, name and rule; every further one counts for
/// [`OTHERS`]. More than a person reads, and few enough for a log.
const APART_MAX: usize = 10_000;
/// Bytes of their names and reasons, which are the workload's choice up to `PATH_MAX`.
const APART_BYTES_MAX: usize = 4 << 20;
/// Records of what was on record before; later ones are one sum each at the end.
const AGAIN_MAX: u32 = 10_000;
/// Stands for names that are not kept apart. No name: those are absolute.
const OTHERS: &str = "…and others";

/// Denials so far.
#[derive(Default)]
pub(super) struct Names {
    rows: BTreeMap<(Operation, String, Clause), Row>,
    bytes: usize,
    again: u32,
}

/// What was told of one operation on one name by one rule.
struct Row {
    /// How many rows came before it.
    order: usize,
    why: String,
    fix: String,
    errno: i32,
    reports: u64,
    times: u64,
    /// How many of `times` are in no record.
    untold: u64,
}

impl Names {
    /// Counts what was told; gives back what is to be recorded of it now. What is new is recorded at
    /// once, what comes again ever more rarely: with the second report, the fourth, the eighth.
    pub(super) fn hear(&mut self, mut denied: Denied) -> Option<Denied> {
        let key = |denied: &Denied| (denied.operation, denied.path.clone(), denied.clause.clone());
        if !self.rows.contains_key(&key(&denied)) && self.is_full(&denied) {
            // A remedy for one name is none for the others.
            (denied.path, denied.fix) = (OTHERS.into(), String::new());
        }
        let order = self.rows.len();
        let key = key(&denied);
        let row = self.rows.entry(key.clone()).or_insert_with(|| Row {
            order,
            why: denied.why,
            fix: denied.fix,
            errno: denied.errno,
            reports: 0,
            times: 0,
            untold: 0,
        });
        if row.reports == 0 {
            self.bytes = self.bytes.saturating_add(row.bytes(&key.1));
        }
        row.reports = row.reports.saturating_add(1);
        row.times = row.times.saturating_add(denied.times);
        row.untold = row.untold.saturating_add(denied.times);
        if row.reports > 1 {
            if !row.reports.is_power_of_two() || self.again >= AGAIN_MAX {
                return None;
            }
            self.again += 1;
        }
        let times = std::mem::take(&mut row.untold);
        Some(row.denied(&key, times))
    }

    fn is_full(&self, denied: &Denied) -> bool {
        let bytes = denied.path.len() + denied.why.len() + denied.fix.len();
        self.rows.len() >= APART_MAX || self.bytes.saturating_add(bytes) > APART_BYTES_MAX
    }

    /// What is still to be recorded once there will be no more.
    pub(super) fn rest(&mut self) -> Vec<Denied> {
        let rest = self.rows.iter_mut().filter(|(_, row)| row.untold > 0);
        let rest = rest.map(|(key, row)| {
            let times = std::mem::take(&mut row.untold);
            (row.order, row.denied(key, times))
        });
        in_order(rest.collect())
    }

    /// Each once, with how often it was in all.
    pub(super) fn all(self) -> Vec<Denied> {
        let all = self.rows.iter().map(|(key, row)| (row.order, row.denied(key, row.times)));
        in_order(all.collect())
    }
}

impl Row {
    fn bytes(&self, path: &str) -> usize {
        path.len() + self.why.len() + self.fix.len()
    }

    fn denied(&self, key: &(Operation, String, Clause), times: u64) -> Denied {
        let (operation, path, clause) = key.clone();
        let (why, fix, errno) = (self.why.clone(), self.fix.clone(), self.errno);
        Denied { operation, path, clause, why, fix, errno, times }
    }
}

/// In the order of the first attempts.
fn in_order(mut rows: Vec<(usize, Denied)>) -> Vec<Denied> {
    rows.sort_by_key(|(order, _)| *order);
    rows.into_iter().map(|(_, denied)| denied).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(operation: Operation, path: &str, times: u64) -> Denied {
        Denied {
            operation,
            path: path.into(),
            clause: Clause { name: "filesystem.protect[0]".into(), file: "p".into(), line: 4 },
            why: "it is protected".into(),
            fix: "remove the rule".into(),
            errno: 13,
            times,
        }
    }

    /// What is on record of each: its name and how often, of every record.
    fn recorded(names: &mut Names, told: impl IntoIterator<Item = Denied>) -> Vec<(String, u64)> {
        let mut records: Vec<Denied> = told.into_iter().filter_map(|one| names.hear(one)).collect();
        records.extend(names.rest());
        assert!(names.rest().is_empty(), "nothing is told twice");
        records.into_iter().map(|one| (one.path, one.times)).collect()
    }

    #[test]
    fn each_is_on_record_at_once_and_its_like_are_summed() {
        use Operation::{Create, Write};
        let mut names = Names::default();
        let first = denied(Create, "/w/.envrc", 3);
        assert_eq!(names.hear(first.clone()), Some(first), "as it was told");
        let other = Clause::built_in("broker");
        let by_another = Denied { clause: other, ..denied(Create, "/w/.envrc", 1) };
        for (told, why) in [
            (denied(Write, "/w/.envrc", 1), "another operation"),
            (denied(Create, "/w/b", 1), "another name"),
            (by_another, "another rule"),
        ] {
            assert_eq!(names.hear(told.clone()), Some(told), "{why}");
        }
        let again = (0..6).map(|_| denied(Create, "/w/.envrc", 10));
        let records = recorded(&mut names, again);
        let at = |times| ("/w/.envrc".to_owned(), times);
        assert_eq!(records, [at(10), at(20), at(30)], "reports 2, 4, and what is left of 7");
        let all: Vec<_> = names.all().into_iter().map(|one| (one.operation, one.times)).collect();
        assert_eq!(all, [(Create, 63), (Write, 1), (Create, 1), (Create, 1)], "in their order");
    }

    #[test]
    fn names_without_end_fill_no_log() {
        let mut names = Names::default();
        let many = 4 * APART_MAX;
        let told = (0..many).map(|number| denied(Operation::Create, &format!("/w/{number}"), 2));
        let records = recorded(&mut names, told);
        assert!(records.len() < APART_MAX + 40, "{} records", records.len());
        assert_eq!(records.iter().map(|(_, times)| times).sum::<u64>(), 2 * many as u64);
        let all = names.all();
        assert_eq!(all.len(), APART_MAX + 1);
        let last = all.last().unwrap();
        let rest = (many - APART_MAX) as u64;
        assert_eq!((last.path.as_str(), last.times, last.fix.as_str()), (OTHERS, 2 * rest, ""));
    }

    #[test]
    fn the_same_names_for_ever_fill_no_log() {
        let mut names = Names::default();
        let (apart, seconds) = (5_000, 10);
        let told = (0..seconds).flat_map(|_| 0..apart);
        let told = told.map(|number| denied(Operation::Look, &format!("/w/{number}"), 1));
        let records = recorded(&mut names, told);
        let most = 2 * apart + usize::try_from(AGAIN_MAX).unwrap();
        assert!(records.len() <= most, "{} records", records.len());
        assert_eq!(records.iter().map(|(_, times)| times).sum::<u64>(), apart as u64 * seconds);
    }

    #[test]
    fn long_names_fill_no_memory() {
        let mut names = Names::default();
        let long = "x".repeat(4_000);
        let told =
            (0..3_000).map(|number| denied(Operation::Create, &format!("/{number}{long}"), 1));
        let records = recorded(&mut names, told);
        let bytes: usize = records.iter().map(|(path, _)| path.len()).sum();
        assert!(bytes < APART_BYTES_MAX + 1_000, "{bytes} bytes");
        assert_eq!(records.iter().map(|(_, times)| times).sum::<u64>(), 3_000);
    }
}
