//! The table of SPECIFICATION.md that says which of two rules wins, row by row: the judge says so,
//! and it happens so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cofferdam::policy::{Act, Request, Verdict, decide};
use cofferdam::{Engine, Options, PolicyFrom};

use super::support::{Place, finish, programs};
use super::{Access, arguments};

const SPECIFICATION: &str = include_str!("../../../../SPECIFICATION.md");

/// The directories of every row, each with files of its own.
const FOLDERS: &[&str] = &["", "a", "a/b", "a/b/c", "a/b/c/d", "../near", "/o", "/o/p"];

/// A row: its rules, where a file lies, and what may be done with it.
struct Row<'t> {
    rules: Vec<&'t str>,
    folder: &'t str,
    may: &'t str,
}

fn rows() -> Vec<Row<'static>> {
    let table = SPECIFICATION.lines().skip_while(|line| *line != "| rules | a file in | may be |");
    let lines = table.skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rules, folder, may] = cells.as_slice() else { panic!("a row of three: {line}") };
        let rules = rules.split(';').map(|rule| rule.trim().trim_matches('`'));
        let rules = rules.filter(|rule| !rule.is_empty()).collect();
        Row { rules, folder: folder.trim_matches('`').trim_end_matches('.'), may }
    };
    lines.map(row).collect()
}

/// Where the table's `path` is.
fn at(place: &Place, path: &str) -> PathBuf {
    match (path.strip_prefix('/'), path.strip_prefix("../")) {
        (Some(outside), _) => place.out.join(outside),
        (None, Some(beside)) => place.home.join("src").join(beside),
        (None, None) if path == ".." => place.home.join("src"),
        (None, None) if path.is_empty() || path == "." => place.work.clone(),
        (None, None) => place.work.join(path),
    }
}

fn policy(place: &Place, rules: &[&str]) -> String {
    let (mut grants, mut hide, mut protect) = (String::new(), String::new(), String::new());
    let mut mode = "read-write";
    for rule in rules {
        let words: Vec<&str> = rule.split(' ').collect();
        let long = |mode: &str| if mode == "ro" { "read-only" } else { "read-write" };
        let path = |path: &str| at(place, path).display().to_string();
        match words.as_slice() {
            ["workspace", short] => mode = long(short),
            ["grant", name, short] => {
                let (name, mode) = (path(name), long(short));
                grants += &format!("{{ path = \"{name}\", mode = \"{mode}\" }}, ");
            }
            ["hide", name] => hide += &format!("\"{}\", ", path(name)),
            ["protect", name] => protect += &format!("\"{}\", ", path(name)),
            _ => panic!("a rule: {rule}"),
        }
    }
    let workspace = place.work.display();
    format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{workspace}\", mode = \"{mode}\" }}\n\
         grant = [{grants}]\nhide = [{hide}]\nprotect = [{protect}]\n"
    )
}

#[test]
fn the_table_of_precedence_is_what_happens() {
    let rows = rows();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    let engine = Engine::with_programs(&programs()).unwrap();
    for Row { rules, folder, may } in rows {
        let place = Place::new();
        let accesses: Vec<Access> =
            [Act::Read, Act::Write, Act::Create, Act::Rename, Act::Remove, Act::Execute]
                .into_iter()
                .map(|act| Access { act, below: format!("file-{act:?}") })
                .collect();
        for folder in FOLDERS {
            let folder = at(&place, folder);
            fs::create_dir_all(&folder).unwrap();
            for access in accesses.iter().filter(|access| access.act != Act::Create) {
                let file = folder.join(&access.below);
                fs::write(&file, "#!/bin/sh\n").unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let folder = at(&place, folder);
        let words = arguments(&accesses, &folder);
        let copy = place.root.join("copy");
        finish(place.command("cp").arg("-a").arg(&folder).arg(&copy)).works("a copy");
        let control = arguments(&accesses, &copy);
        let control = finish(place.command(&control[0]).args(&control[1..])).works("the control");
        assert!(control.out.lines().all(|line| line == "ok"), "{}", control.out);
        let options = Options {
            policy: PolicyFrom::Text { name: "row".into(), text: policy(&place, &rules) },
            audit: Some(place.root.join("log/audit.jsonl")),
            ..Options::command(words)
        };
        let prepared = engine.prepare(&options).unwrap_or_else(|why| panic!("{rules:?}: {why}"));
        let ran = engine.run_collected(&options).unwrap();
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(out.lines().count(), accesses.len(), "{rules:?}: {ran:?}");
        for (access, happened) in accesses.iter().zip(out.lines()) {
            let wanted = match (may, access.act) {
                ("read and changed", _) | ("read", Act::Read | Act::Execute) => true,
                ("read", _) | ("neither", _) => false,
                (other, _) => panic!("what may be done: {other}"),
            };
            let path = folder.join(&access.below);
            let verdict = decide(&prepared.plan.rules, Request { act: access.act, path: &path });
            let judged = matches!(verdict, Verdict::Allow(_));
            let row =
                format!("{rules:?}: {} {access:?}: {happened}, {verdict:?}", folder.display());
            assert_eq!((judged, happened == "ok"), (wanted, wanted), "{row}");
        }
    }
}
