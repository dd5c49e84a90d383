//! What is said of output that was kept back: alarms first, then the rest.

use cofferdam_policy::Message;
use cofferdam_policy::output::Output as Rules;
use serde_json::json;

use super::say::{Say, to_stderr};
use crate::engine::{Alarmed, Shown};

/// Alarms that are said; the log has all.
const ALARMS_MAX: usize = 10;

impl Say {
    /// What must not leave and was on its way: said in any case, before everything else.
    pub(super) fn alarms(&self, rows: &[Alarmed]) {
        let shown = if self.is_json() { rows.len() } else { ALARMS_MAX };
        for row in rows.iter().take(shown) {
            let clause = row.clause.to_string();
            if self.is_json() {
                to_stderr(
                    &json!({"event": "alarm", "what": row.what, "name": row.name,
                            "place": row.place, "encoding": row.encoding,
                            "clause": clause, "times": row.times})
                    .to_string(),
                );
                continue;
            }
            let what = cofferdam_policy::printable(&alarm(row));
            let hint = format!("look at what it read: `cofferdam audit show`; the rule: {clause}");
            self.note("alarm", &Message { what: &what, code: "alarm", between: &[], hint: &hint });
        }
        if let Some(more) = rows.len().checked_sub(shown).filter(|more| *more > 0) {
            to_stderr(&format!("and {more} more alarms: `cofferdam audit show` names all"));
        }
    }

    /// What else was kept from the reader, where a person should know.
    pub(super) fn kept(&self, shown: &Shown, rules: &Rules) {
        if let Some(why) = &shown.unlooked {
            let what =
                format!("not every file that was written was looked through for canaries: {why}");
            let (what, code) = (cofferdam_policy::printable(&what), "canary-unlooked");
            let hint = "look through the rest yourself: what is planted stands in the policy";
            self.note("output", &Message { what: &what, code, between: &[], hint });
        }
        if self.is_quiet() {
            return;
        }
        let unusual: Vec<String> = shown
            .sequences
            .rows()
            .filter(|(kind, _)| !kind.is_usual())
            .map(|(kind, count)| format!("{count} {}", kind.as_str()))
            .collect();
        if !unusual.is_empty() {
            let what =
                format!("escape sequences were taken out of its output: {}", unusual.join(", "));
            let hint = "it tried to do more than write: `cofferdam audit show`; --output raw lets all pass";
            let code = "escape-sequences";
            self.note("output", &Message { what: &what, code, between: &[], hint });
        }
        if let Some(most) = rules.most.as_ref().filter(|_| shown.dropped > 0) {
            let what = format!("output ends early: {} bytes were dropped", shown.dropped);
            let hint = format!("the command went on; the rule: {}", most.clause);
            let code = "output-cut";
            self.note("output", &Message { what: &what, code, between: &[], hint: &hint });
        }
    }
}

fn alarm(row: &Alarmed) -> String {
    let times = if row.times > 1 { format!(", {} times", row.times) } else { String::new() };
    let (place, encoding) = (&row.place, row.encoding);
    let masked = if place.starts_with("the file") { "" } else { ", and masked" };
    let what = match row.name.as_str() {
        "" => format!("a {} of a credential", row.what),
        name => format!("the {} `{name}`", row.what),
    };
    format!("alarm: {what} was written to {place} ({encoding}){times}{masked}")
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::model::Clause;

    use super::*;

    #[test]
    fn alarms_in_words() {
        let row = |what, name: &str, times| Alarmed {
            what,
            name: name.into(),
            encoding: "plain",
            place: "standard output".into(),
            clause: Clause::built_in("canary.x"),
            times,
        };
        for (row, want) in [
            (
                row("canary", "invoice", 1),
                "alarm: the canary `invoice` was written to standard output (plain), and masked",
            ),
            (
                row("stand-in", "", 3),
                "alarm: a stand-in of a credential was written to standard output (plain), 3 times, and \
                 masked",
            ),
        ] {
            assert_eq!(alarm(&row), want);
        }
    }
}
