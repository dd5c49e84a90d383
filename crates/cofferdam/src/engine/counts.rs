//! How often each rule decided.

use std::collections::BTreeMap;

use cofferdam_audit::RuleCount;
use cofferdam_plan::message::{Ended, Went};
use cofferdam_policy::model::Clause;

/// Rules that are counted apart. More than a policy has: with a new policy the lines of its rules change,
/// and so do their names here.
const RULES_MAX: usize = 1_000;
/// What stands for the others.
const OTHERS: &str = "further rules";

/// What became of everything that a rule decided.
#[derive(Debug, Default)]
pub(super) struct Counts {
    rules: BTreeMap<Clause, (usize, RuleCount)>,
    others: Option<RuleCount>,
}

impl Counts {
    pub(super) fn hear(&mut self, ended: &Ended) {
        let order = self.rules.len();
        let none = |clause: String| RuleCount {
            clause,
            allowed: 0,
            denied: 0,
            failed: 0,
            sent: 0,
            received: 0,
        };
        let count = match self.rules.get_mut(&ended.clause) {
            Some((_, count)) => count,
            None if order < RULES_MAX => {
                let new = (order, none(ended.clause.to_string()));
                &mut self.rules.entry(ended.clause.clone()).or_insert(new).1
            }
            None => self.others.get_or_insert_with(|| none(OTHERS.into())),
        };
        let verdict = match ended.verdict {
            Went::Allowed => &mut count.allowed,
            Went::Denied { .. } => &mut count.denied,
            Went::Failed { .. } => &mut count.failed,
        };
        *verdict = verdict.saturating_add(ended.times);
        count.sent = count.sent.saturating_add(ended.sent);
        count.received = count.received.saturating_add(ended.received);
    }

    /// A row for each rule, in the order in which they first decided.
    pub(super) fn rows(&self) -> Vec<RuleCount> {
        let mut rows: Vec<_> = self.rules.values().collect();
        rows.sort_by_key(|(order, _)| *order);
        let rows = rows.into_iter().map(|(_, count)| count);
        rows.chain(&self.others).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_plan::message::Way;

    use super::*;

    fn ended(line: u32, verdict: Went, (sent, received): (u64, u64), times: u64) -> Ended {
        Ended {
            way: Way::Proxy,
            host: "good.test".into(),
            port: 443,
            protocol: None,
            address: None,
            clause: Clause { name: "network.allow".into(), file: "p".into(), line },
            verdict,
            why: String::new(),
            fix: String::new(),
            sent,
            received,
            duration_ms: 0,
            times,
            request: None,
        }
    }

    fn denied() -> Went {
        Went::Denied { code: "x".into() }
    }

    #[test]
    fn each_verdict_is_counted_where_it_was_made() {
        let mut counts = Counts::default();
        assert_eq!(counts.rows(), [], "nothing was decided");
        for one in [
            ended(9, Went::Allowed, (1, 20), 1),
            ended(2, denied(), (0, 0), 30),
            ended(9, Went::Failed { code: "y".into() }, (4, 0), 1),
            ended(9, Went::Allowed, (u64::MAX, 1), 1),
        ] {
            counts.hear(&one);
        }
        let row = |line, (allowed, denied, failed), sent, received| RuleCount {
            clause: format!("network.allow (p:{line})"),
            allowed,
            denied,
            failed,
            sent,
            received,
        };
        let want = [row(9, (2, 0, 1), u64::MAX, 21), row(2, (0, 30, 0), 0, 0)];
        assert_eq!(counts.rows(), want, "in the order of their first decisions");
    }

    #[test]
    fn rules_without_end_make_no_rows_without_end() {
        let mut counts = Counts::default();
        let rules = 2 * u32::try_from(RULES_MAX).unwrap();
        for line in 1..=rules {
            counts.hear(&ended(line, denied(), (1, 0), 2));
        }
        let rows = counts.rows();
        assert_eq!(rows.len(), RULES_MAX + 1);
        assert_eq!(rows.iter().map(|row| row.denied).sum::<u64>(), 2 * u64::from(rules));
        assert_eq!(rows.last().unwrap().clause, OTHERS);
    }
}
