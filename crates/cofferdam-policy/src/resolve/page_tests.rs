//! The tables of `docs/names.md`, row by row.

use std::path::Path;

use super::fixture::{at, facts, policy};
use crate::facts::Kind;
use crate::judge::names::{Answer, Ask, Change, Made, Thing, judge};
use crate::judge::{Access, Rules};

const PAGE: &str = include_str!("../../../../docs/names.md");

/// The cells of the table whose header is `header`, row by row.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().skip_while(|line| *line != header).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let inner = lines.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    inner.map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// What stands between ticks.
fn quoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rules of a row, such as `` `hide a`; `grant /o ro` ``.
fn rules(rules: &[&str]) -> Rules {
    let (mut grants, mut lists) = (String::new(), [String::new(), String::new(), String::new()]);
    let mut mode = "read-write";
    let mut there: Vec<String> = Vec::new();
    let long = |short: &str| match short {
        "ro" => "read-only",
        "nd" => "no-delete",
        "rw" => "read-write",
        other => panic!("a mode: {other}"),
    };
    for rule in rules {
        let words: Vec<&str> = rule.split(' ').collect();
        let mut list = |at: usize, name: &str| lists[at] += &format!("{name:?}, ");
        match words.as_slice() {
            ["workspace", short] => mode = long(short),
            ["grant", name, short] => {
                let mode = long(short);
                grants += &format!("{{ path = {name:?}, mode = {mode:?} }}, ");
                let path = at(name);
                there.extend(path.ancestors().map(|path| path.display().to_string()));
            }
            ["hide", name] => list(0, name),
            ["mask", name] => list(1, name),
            ["protect", name] => list(2, name),
            _ => panic!("a rule: {rule}"),
        }
    }
    let [hide, mask, protect] = lists;
    let text = format!(
        "workspace = {{ path = \".\", mode = {mode:?} }}\ngrant = [{grants}]\nhide = [{hide}]\n\
         mask = [{mask}]\nprotect = [{protect}]"
    );
    let there: Vec<(&str, Kind)> =
        there.iter().map(|path| (path.as_str(), Kind::Directory)).collect();
    let policy = policy(&text, &facts(&there)).unwrap_or_else(|why| panic!("{rules:?}: {why}"));
    Rules::of(&policy)
}

fn thing(made: bool) -> Thing {
    Thing { made, directory: false, bytes: 9 }
}

/// What the program is told: the judge's word, or the mount's where a tree is only read.
fn told(rules: &Rules, ask: Ask<'_>, path: &Path) -> &'static str {
    let reads = matches!(ask, Ask::Read(_) | Ask::Look(_));
    match judge(rules, ask) {
        Answer::Mask(_) => "placeholder",
        Answer::GitConfig(_) => "settings",
        Answer::Deny(_, because) => match because.errno() {
            1 => "EPERM",
            2 => "ENOENT",
            13 => "EACCES",
            18 => "EXDEV",
            other => panic!("{other}"),
        },
        Answer::Allow => match rules.holding(path).map(|entry| entry.access) {
            Some(Access::ReadOnly) if !reads => "EROFS",
            Some(access) if access.is_tree() => "yes",
            // What the judge of names allows is nobody's business where nothing is.
            other => panic!("{}: {other:?}", path.display()),
        },
    }
}

fn modes() -> usize {
    let header = "| operation | on | `read-only` | `no-delete`, `overwrite = false` | `no-delete` | \
                  `read-write` |";
    let texts = [
        "mode = \"read-only\"",
        "mode = \"no-delete\", overwrite = false",
        "mode = \"no-delete\"",
        "mode = \"read-write\"",
    ];
    let rows = table(header);
    for row in &rows {
        let [operation, on, cells @ ..] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(cells.len(), texts.len(), "{row:?}");
        for (mode, want) in texts.iter().zip(cells) {
            let text = format!("workspace = {{ path = \".\", {mode} }}");
            let policy = policy(&text, &facts(&[])).unwrap_or_else(|why| panic!("{text}: {why}"));
            let rules = Rules::of(&policy);
            let thing = thing(*on == "ours");
            let (path, other) = (at("x"), at("other"));
            let ask = match *operation {
                "read" => Ask::Read(&path),
                "create" => Ask::Create(&path, Made::File),
                "append" => Ask::Change(&path, Change::Append, thing),
                "write" => Ask::Change(&path, Change::Write, thing),
                "cut" => Ask::Change(&path, Change::Cut(8), thing),
                "lengthen" => Ask::Change(&path, Change::Cut(10), thing),
                "change the mode" => Ask::Change(&path, Change::Attributes, thing),
                "remove" => Ask::Remove(&path, thing),
                "rename" => Ask::Rename { from: &path, thing, to: &other, over: None },
                "rename over" => {
                    let ours = self::thing(true);
                    Ask::Rename { from: &other, thing: ours, to: &path, over: Some(thing) }
                }
                "link" => Ask::Link { from: &path, to: &other },
                other => panic!("an operation: {other}"),
            };
            assert_eq!(told(&rules, ask, &path), *want, "{operation} {on}: {mode}");
        }
    }
    rows.len()
}

fn precedence() -> usize {
    let rows = table("| rules | name | read | write | create |");
    for row in &rows {
        let [of, name, read, write, create] = row.as_slice() else { panic!("{row:?}") };
        let rules = rules(&quoted(of));
        let path = at(quoted(name).first().unwrap_or_else(|| panic!("{row:?}")));
        let older = thing(false);
        for (ask, want) in [
            (Ask::Read(&path), read),
            (Ask::Change(&path, Change::Write, older), write),
            (Ask::Create(&path, Made::File), create),
        ] {
            assert_eq!(told(&rules, ask, &path), *want, "{row:?}: {ask:?}");
        }
    }
    rows.len()
}

fn patterns() -> usize {
    let rows = table("| pattern | names | and not |");
    for row in &rows {
        let [pattern, names, others] = row.as_slice() else { panic!("{row:?}") };
        let pattern = quoted(pattern).concat();
        let rules = rules(&[&format!("protect {pattern}"), "grant /o rw"]);
        let asked = [(quoted(names), "EACCES"), (quoted(others), "yes")];
        for (name, want) in
            asked.iter().flat_map(|(names, want)| names.iter().map(move |n| (n, want)))
        {
            let path = at(name);
            let got = told(&rules, Ask::Create(&path, Made::File), &path);
            assert_eq!(got, *want, "{pattern}: {name}");
        }
    }
    rows.len()
}

fn costs() -> usize {
    let rows = table("| rule | each open and look is judged too | so is each cut by descriptor |");
    let word = |yes: bool| if yes { "yes" } else { "no" };
    for row in &rows {
        let [of, looks, keeps] = row.as_slice() else { panic!("{row:?}") };
        let rules = rules(&quoted(of));
        assert_eq!((word(rules.looks()), word(rules.keeps())), (*looks, *keeps), "{row:?}");
    }
    rows.len()
}

#[test]
fn the_tables_of_the_page_are_what_the_judge_says() {
    assert_eq!([modes(), precedence(), patterns(), costs()], [17, 34, 8, 8], "as many rows");
}
