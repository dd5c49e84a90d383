//! A denial of an operation on a name, in words. What a name holds is the workload's choice.

use cofferdam_plan::message::{Denied, Operation};
use cofferdam_policy::{in_line, printable};
use serde_json::json;

use super::say::Output;

/// Names that the note at the end tells; more are many lines, and the log names all.
const SHOWN_MAX: usize = 6;
/// The same for programs.
const OBJECTS_MAX: usize = 100;
/// Letters of a name: its end tells more than its beginning.
const LETTERS_MAX: usize = 70;
/// Where the others are.
pub(super) const ALL: &str = "`cofferdam audit show --kind name` names all";

/// Those that are told, and how many are not. What would change something comes first: a program
/// that looks everywhere hides no denied write.
pub(super) fn shown(rows: &[Denied], output: Output) -> (Vec<&Denied>, usize) {
    let most = if output == Output::Json { OBJECTS_MAX } else { SHOWN_MAX };
    let mut shown: Vec<&Denied> = rows.iter().collect();
    shown.sort_by_key(|row| match row.operation {
        Operation::Look | Operation::Read => 1,
        Operation::Write
        | Operation::Create
        | Operation::Remove
        | Operation::Rename
        | Operation::Link
        | Operation::Cut
        | Operation::Attributes
        | Operation::Bind
        | Operation::Connect => 0,
    });
    shown.truncate(most);
    let more = rows.len() - shown.len();
    (shown, more)
}

/// Whether no rule says no: the broker could not do it, and may the next time.
fn failed(row: &Denied) -> bool {
    row.clause.name == "broker"
}

/// Stable name of what happened.
pub(super) fn code(row: &Denied) -> &'static str {
    if failed(row) { "name-failed" } else { "name-denied" }
}

/// What was denied, how often, why, and by which rule.
pub(super) fn what(row: &Denied) -> String {
    let (verb, end) = if failed(row) {
        ("not done", String::new())
    } else {
        ("refused", format!("; by {}; trying again changes nothing", row.clause))
    };
    let times = if row.times > 1 { format!(" ({} times)", row.times) } else { String::new() };
    let operation = row.operation.as_str();
    let text = format!("{verb}: {operation} {}{times}: {}{end}", short(&row.path), row.why);
    printable(&in_line(text))
}

/// The next step.
pub(super) fn hint(row: &Denied) -> String {
    match (row.fix.as_str(), failed(row)) {
        ("", true) => "try again; `cofferdam audit show` has the record".into(),
        ("", false) => "see `cofferdam audit show`".into(),
        (fix, _) => printable(&in_line(fix)),
    }
}

/// All of it, for a program. What a terminal would obey is escaped, as JSON can.
pub(super) fn object(row: &Denied) -> String {
    let object = json!({
        "event": "denial", "what": row.path, "operation": row.operation.as_str(),
        "code": code(row), "why": row.why, "clause": row.clause.to_string(), "fix": row.fix,
        "errno": row.errno, "retry": failed(row), "times": row.times,
    });
    let mut text = String::new();
    for letter in object.to_string().chars() {
        if printable(letter.encode_utf8(&mut [0; 4])).starts_with(letter) {
            text.push(letter);
        } else {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        }
    }
    text
}

/// The end of a name that is long.
fn short(path: &str) -> String {
    let letters = path.chars().count();
    if letters <= LETTERS_MAX {
        return path.to_owned();
    }
    format!("…{}", path.chars().skip(letters - LETTERS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::Message;
    use cofferdam_policy::model::Clause;

    use super::*;

    fn denied(operation: Operation, path: &str) -> Denied {
        Denied {
            operation,
            path: path.into(),
            clause: Clause { name: "filesystem.protect[0]".into(), file: "p.toml".into(), line: 4 },
            why: "it is protected".into(),
            fix: "remove the rule".into(),
            errno: 13,
            times: 1,
        }
    }

    #[test]
    fn a_denial_in_words() {
        let protect = denied(Operation::Create, "/w/.envrc");
        let broker = Clause::built_in("broker");
        for (row, want, hint_wanted) in [
            (
                protect.clone(),
                "refused: create /w/.envrc: it is protected; by filesystem.protect[0] (p.toml:4); \
                 trying again changes nothing",
                "remove the rule",
            ),
            (
                Denied { times: 7, fix: String::new(), ..protect },
                "refused: create /w/.envrc (7 times): it is protected; by filesystem.protect[0] \
                 (p.toml:4); trying again changes nothing",
                "see `cofferdam audit show`",
            ),
            (
                Denied {
                    clause: broker,
                    why: "no descriptor is left".into(),
                    fix: String::new(),
                    ..denied(Operation::Rename, "/w/a")
                },
                "not done: rename /w/a: no descriptor is left",
                "try again; `cofferdam audit show` has the record",
            ),
        ] {
            assert_eq!((what(&row).as_str(), hint(&row).as_str()), (want, hint_wanted));
            let retry = format!("\"retry\":{}", want.starts_with("not done"));
            assert!(object(&row).contains(&retry), "{want}");
        }
    }

    /// Who names a file writes neither lines of ours nor to the terminal.
    #[test]
    fn a_name_deceives_nobody() {
        let forged = "/w/\u{1b}[2Jx\r\ncofferdam: all is well [ok]\n\u{202e}\u{9b}31m\t\u{7}";
        let row = Denied {
            why: format!("why {forged}"),
            fix: forged.into(),
            ..denied(Operation::Bind, forged)
        };
        for text in [what(&row), hint(&row)] {
            assert!(!text.contains(|letter: char| letter.is_control()), "{text:?}");
            assert!(!text.contains('\u{202e}'), "{text:?}");
        }
        let (what, hint) = (what(&row), hint(&row));
        let message = Message { what: &what, code: code(&row), between: &[], hint: &hint };
        let text = message.text(false, 10_000);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.starts_with("cofferdam: refused: bind /w/"), "{text}");
        let json = object(&row);
        assert!(json.is_ascii(), "{json}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["what"], forged, "and a program gets it as it is");
    }

    #[test]
    fn a_note_is_short() {
        let long = "d/".repeat(2_000) + "end";
        let row = denied(Operation::Create, &format!("/{long}"));
        let (what, hint) = (what(&row), hint(&row));
        let message = Message { what: &what, code: code(&row), between: &[], hint: &hint };
        let text = message.text(false, 80);
        assert!(text.lines().count() <= 6 && text.contains("d/end: "), "{text}");
        let mut rows: Vec<Denied> =
            (0..150).map(|number| denied(Operation::Look, &format!("/{number}"))).collect();
        rows.push(denied(Operation::Connect, "/s"));
        let (told, more) = shown(&rows, Output::Text);
        let paths: Vec<&str> = told.iter().map(|row| row.path.as_str()).collect();
        assert_eq!((paths.as_slice(), more), (&["/s", "/0", "/1", "/2", "/3", "/4"][..], 145));
        assert_eq!(shown(&rows, Output::Json).1, 51);
        assert_eq!(shown(&rows[..6], Output::Text).1, 0);
    }
}
