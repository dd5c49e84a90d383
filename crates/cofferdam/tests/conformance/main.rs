//! The table of conformance (`tests/conformance/`): each act comes out as its row says, on this wall and
//! for this person, and is on record as it says.
//!
//! The wall is `COFFERDAM_WALL` (`process/native` where it is not set). Rows of one policy are done in one
//! sandbox by one program (`probe.py`), which does them first without a wall: a denial inside is then the
//! wall's doing. What the judge knows is asked of it too: table, judge and wall say the same.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "panics are how tests fail, and tests start programs"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../names/internet/mod.rs"]
mod internet;

mod group;
mod gvisor;
mod mac;
mod side;
mod table;

use group::{Group, Report, wall};
use side::Outside;
use support::is_root;
use table::{Table, Verdict};

/// Fewer rows are no table of everything that is claimed.
const ROWS_MIN: usize = 300;

fn table() -> Table {
    Table::read().unwrap_or_else(|faults| panic!("{}", faults.join("\n")))
}

fn person() -> &'static str {
    if is_root() { "root" } else { "ordinary" }
}

#[test]
fn the_table_is_sound() {
    let table = table();
    assert!(table.rows.len() >= ROWS_MIN, "{} rows", table.rows.len());
    let row = |id: &str, more: &str| {
        format!(
            "[[policy]]\nname = 'p'\ntext = ''\n[[row]]\nid = '{id}'\npolicy = 'p'\noperation = 'stat'\n\
             verdict = 'allow'\nmechanism = 'mount'\nevent = 'none'\n{more}"
        )
    };
    let read = |texts: &[String]| {
        let files: Vec<_> = texts.iter().map(|text| ("t".to_owned(), text.clone())).collect();
        Table::parse(&files).map(drop).map_err(|faults| faults.join("; "))
    };
    assert_eq!(read(&[row("a", "")]), Ok(()));
    let second = "[[row]]\nid = 'a'\npolicy = 'q'\noperation = 'stat'\nverdict = 'allow'\nmechanism = 'mount'\nevent = 'none'\n";
    for (text, want) in [
        (row("a", "pth = '/'"), "unknown field `pth`"),
        (row("a", second), "two rows are called a"),
        (row("a", second), "no policy q"),
        (row("a", second), "a has mechanism, operation and verdict of a"),
        (row("a", "shows = 'EPERM'"), "a denial shows itself"),
        (row("a", "walls.'process/other'.because = ''"), "neither process/other"),
        (row("a", "unrecorded = 'so'"), "`unrecorded` is for"),
        (row("a", "").replace("'mount'", "'hope'"), "no mechanism hope"),
    ] {
        let faults = read(&[text]).unwrap_err();
        assert!(faults.contains(want), "{want}: {faults}");
    }
}

/// Does the rows of policies that `wanted` names.
fn perform(wanted: impl Fn(&table::Policy) -> bool) -> Report {
    let (table, outside) = (table(), Outside::new());
    let mut report = Report::default();
    for policy in table.policies.iter().filter(|policy| wanted(policy)) {
        report.add(Group::of(policy, &table.rows, (&wall(), person())).perform(&outside));
    }
    report
}

#[test]
fn the_table_is_what_happens() {
    if !gvisor::is_here(&wall()) {
        return;
    }
    let report = perform(|_| true);
    report.print(&wall(), person());
    assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    assert!(report.ran > 0, "no row was done");
}

/// What is generated for macOS says what the table says.
#[test]
fn the_profile_says_what_the_table_says() {
    let report = mac::ask(&table(), &Outside::new());
    report.print(mac::WALL, person());
    assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    assert!(report.ran >= 40 && report.denied >= 15, "{report:?}");
}

/// A row that says the contrary is found, each.
#[test]
fn a_wrong_row_is_found() {
    if !gvisor::is_here(&wall()) {
        return;
    }
    let (table, outside) = (table(), Outside::new());
    let policy = table.policies.iter().find(|policy| policy.name == "workspace").unwrap();
    let of_it = table.rows.iter().filter(|row| row.policy == policy.name);
    let mut rows: Vec<_> = of_it.map(|row| row.here(&wall(), person()).0).collect();
    for row in &mut rows {
        (row.verdict, row.shows) = match row.verdict {
            Verdict::Allow => (Verdict::Deny, Some("EPERM".into())),
            Verdict::Deny => (Verdict::Allow, None),
        };
        row.walls.clear();
        row.persons.clear();
    }
    let report = Group::of(policy, &rows, (&wall(), person())).perform(&outside);
    for row in &rows {
        let of = format!("{}: ", row.id);
        assert!(
            report.faults.iter().any(|fault| fault.starts_with(&of)),
            "{} went unnoticed",
            row.id
        );
    }
}
