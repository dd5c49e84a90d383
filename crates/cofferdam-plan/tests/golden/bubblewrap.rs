//! Golden plans for bubblewrap, and the property that keeps its set-up inside: nothing is made in a tree of
//! the host.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use cofferdam_plan::facts::{Facts, Kind};
use cofferdam_plan::host::{Bubblewrap, Program};
use cofferdam_plan::plan::{Argument, Carrier, Outer, Streams, Word};
use cofferdam_plan::{Host, Plan, Task, compile};
use cofferdam_policy::resolve;

use super::{Caller, ORDINARY, PROTECTED, Row, TREES, check, document, facts, host, planned};

/// A machine with Debian's.
fn with_bwrap() -> Host {
    let program = Program { path: "/usr/bin/bwrap".into(), dev: 8, ino: 77 };
    Host { bubblewrap: Bubblewrap::Ready(program), ..host() }
}

fn word(word: &Word) -> String {
    match word {
        Word::Text(text) => String::from_utf8_lossy(&text.0).into_owned(),
        Word::Content(content) => format!("<{content:?}>"),
        Word::Said => "<said>".into(),
    }
}

/// The outer part, an option a line.
pub(super) fn write(out: &mut String, outer: &Outer) {
    writeln!(out, "outer {:?} for user {}", outer.program, outer.uid).unwrap();
    for step in &outer.before {
        writeln!(out, "before {step:?}").unwrap();
    }
    for option in &outer.options {
        let words: Vec<_> = option.iter().map(word).collect();
        writeln!(out, "option {}", words.join(" ")).unwrap();
    }
    for (path, expect) in &outer.again {
        writeln!(out, "again {} {expect:?}", path.display()).unwrap();
    }
}

const JAIL: &str = "jail = 'bubblewrap'\n";

#[test]
fn an_ordinary_user() {
    let caller = Caller { groups: &[1000, 27], ..ORDINARY };
    check("ordinary", &planned(JAIL, &facts(&caller, PROTECTED), &with_bwrap()));
}

#[test]
fn root_in_somebodys_workspace() {
    let caller = Caller { uid: 0, groups: &[0], ..ORDINARY };
    check("owner", &planned(JAIL, &facts(&caller, PROTECTED), &with_bwrap()));
}

/// By itself it is taken where init is forbidden namespaces and `bwrap` is not, and nowhere else.
#[test]
fn it_is_chosen_where_init_may_not() {
    let ordinary = facts(&ORDINARY, &[]);
    let wall = |text: &str, host: &Host| planned(text, &ordinary, host).wall;
    let denied =
        Host { namespaces_denied: true, apparmor_restrict_userns: Some(1), ..with_bwrap() };
    assert_eq!(wall("", &denied), "process/bubblewrap");
    assert_eq!(wall("jail = 'auto'\n", &denied), "process/bubblewrap");
    assert_eq!(wall("jail = 'native'\n", &denied), "process/native");
    assert_eq!(wall("", &with_bwrap()), "process/native");
    let none = Host { bubblewrap: Bubblewrap::Missing, ..denied };
    assert_eq!(wall("", &none), "process/native", "and init says why it cannot");
}

const IN_TREES: &str = "jail = 'bubblewrap'\n[filesystem]\n\
    hide = ['vendor']\ngrant = [\n\
    { path = '/srv/data', mode = 'read-write' },\n\
    { path = '/srv/data/set/one', mode = 'read-only' },\n\
    { path = 'vendor/lib', mode = 'read-only' },\n]\n";

/// Trees in trees, one of them below what is hidden.
#[test]
fn trees_in_trees() {
    let rows = [TREES, &[("/home/u/app/vendor", Kind::Directory, None)]].concat();
    check("trees", &planned(IN_TREES, &facts(&ORDINARY, &rows), &with_bwrap()));
}

/// What the gateway needs, and what a terminal needs: capabilities that init gives up.
#[test]
fn hosts_and_a_terminal() {
    let text = "jail = 'bubblewrap'\n[network]\nallow = [{ host = 'example.com' }]\n";
    let policy = resolve(&document(text), &facts(&ORDINARY, &[])).unwrap();
    let terminal = Carrier::Terminal;
    let streams = Streams { input: terminal, output: terminal, error: Carrier::Pipe };
    let command = vec![Argument(b"top".to_vec())];
    let plan =
        compile(&policy, &with_bwrap(), Task { command, streams, ..Task::default() }).unwrap();
    check("hosts", &plan);
}

#[test]
fn what_cannot_be_had_is_refused() {
    let refused = |facts: &Facts, host: &Host| {
        let policy = resolve(&document(JAIL), facts).unwrap();
        let refusal = compile(&policy, host, Vec::new()).err().unwrap();
        assert!(!refusal.hint().is_empty() && !refusal.to_string().is_empty());
        refusal.code()
    };
    let ordinary = facts(&ORDINARY, &[]);
    let why = String::from("others may write it, mode 0777");
    let untrusted = Bubblewrap::Untrusted { path: "/usr/bin/bwrap".into(), why };
    for (bubblewrap, code) in [
        (Bubblewrap::Unasked, "bubblewrap-missing"),
        (Bubblewrap::Missing, "bubblewrap-missing"),
        (untrusted, "bubblewrap-untrusted"),
    ] {
        assert_eq!(refused(&ordinary, &Host { bubblewrap, ..host() }), code);
    }
    let own = facts(&Caller { uid: 0, owner: 0, groups: &[0] }, &[]);
    assert_eq!(refused(&own, &with_bwrap()), "bubblewrap-stand-in");
    // What no jail of namespaces can do without.
    let off = Host { max_user_namespaces: Some(0), ..with_bwrap() };
    assert_eq!(refused(&ordinary, &off), "userns-off");
    assert_eq!(refused(&ordinary, &Host { landlock_abi: 0, ..with_bwrap() }), "landlock-missing");
}

/// Options whose last word is made where it is missing, whatever is there of the host.
const MAKES: [&str; 9] = [
    "--dir",
    "--file",
    "--symlink",
    "--tmpfs",
    "--proc",
    "--bind",
    "--ro-bind",
    "--dev-bind",
    "--ro-bind-data",
];

/// Walks through the options as `bwrap` does. Whatever it would make must lie in a file system of the
/// sandbox's own; in a tree of the host a mount goes onto what Facts saw, under its own path there.
fn makes_nothing_outside(plan: &Plan, facts: &Facts) {
    let outer = plan.outer.as_ref().unwrap();
    // Mounts so far: where, and of the host or ours.
    let mut mounts: Vec<(PathBuf, bool)> = vec![(PathBuf::from("/"), false)];
    for option in &outer.options {
        let words: Vec<String> = option.iter().map(word).collect();
        let Some(name) = words.iter().find(|word| MAKES.contains(&word.as_str())) else { continue };
        let at = PathBuf::from(words.last().unwrap());
        assert!(at.is_absolute() && !at.to_string_lossy().contains("/../"), "{words:?}");
        let holder = mounts.iter().filter(|(top, _)| at.starts_with(top));
        let (_, of_host) = holder.max_by_key(|(top, _)| top.components().count()).unwrap();
        let binds = ["--bind", "--ro-bind", "--dev-bind"].contains(&name.as_str());
        if *of_host {
            let covers = binds || ["--ro-bind-data", "--tmpfs"].contains(&name.as_str());
            assert!(covers, "made in a tree of the host: {words:?}");
            let from = Path::new(words.iter().rev().nth(1).unwrap());
            assert!(!binds || from == at, "a mount onto another name: {words:?}");
            let seen = facts.paths.get(&at).is_some_and(Option::is_some);
            let above = facts.paths.iter().any(|(path, seen)| {
                seen.is_some() && path.starts_with(&at) && path.as_path() != at
            });
            assert!(seen || above || at == Path::new("/var/tmp"), "nobody saw {words:?}");
        }
        match name.as_str() {
            "--bind" | "--ro-bind" | "--dev-bind" => mounts.push((at, true)),
            "--tmpfs" | "--proc" | "--ro-bind-data" => mounts.push((at, false)),
            _ => {}
        }
    }
}

/// A generator of numbers that is the same everywhere (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }
}

/// What a generated tree has: what is protected, what can be hidden, granted, or both.
const POOL: &[Row] = &[
    ("/home/u/app/.git", Kind::Directory, None),
    ("/home/u/app/.git/hooks", Kind::Directory, None),
    ("/home/u/app/.git/config", Kind::File, None),
    ("/home/u/app/.mcp.json", Kind::File, None),
    ("/home/u/app/.env", Kind::File, None),
    ("/home/u/app/vendor", Kind::Directory, None),
    ("/home/u/app/vendor/lib", Kind::Directory, None),
    ("/home/u/app/vendor/lib/deep", Kind::Directory, None),
    ("/srv/data", Kind::Directory, None),
    ("/srv/data/set", Kind::Directory, None),
    ("/srv/data/set/one", Kind::Directory, None),
    ("/home/u/.m2/repository", Kind::Directory, None),
    ("/home/u/.claude", Kind::Directory, None),
    ("/home/u/.config", Kind::Directory, None),
];

#[test]
fn no_policy_has_it_make_anything_in_a_tree_of_the_host() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let (mut planned, mut refused) = (0, BTreeSet::new());
    for _ in 0..1_500 {
        let rows: Vec<Row> = POOL.iter().filter(|_| random.below(4) > 0).copied().collect();
        let facts = facts(&ORDINARY, &rows);
        let mut text = String::from(JAIL);
        let presets = ["java", "claude-code", "node", "codex"];
        let preset = presets.get(random.below(8)).map(|name| format!("preset:{name}"));
        if let Some(preset) = preset {
            writeln!(text, "extends = ['{preset}']").unwrap();
        }
        let paths: Vec<&str> = rows.iter().map(|(path, ..)| *path).collect();
        let mut some = |most: usize| -> Vec<&str> {
            let number = random.below(most + 1);
            (0..number)
                .filter_map(|_| paths.get(random.below(paths.len().max(1))).copied())
                .collect()
        };
        let grants: BTreeSet<&str> = some(4).into_iter().collect();
        let (hide, protect): (BTreeSet<_>, BTreeSet<_>) =
            (some(2).into_iter().collect(), some(2).into_iter().collect());
        let list = |some: &BTreeSet<&str>| {
            some.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(", ")
        };
        let modes = ["read-only", "read-write", "no-delete"];
        let workspace = modes.get(random.below(3)).unwrap();
        writeln!(text, "[filesystem]\nworkspace = {{ path = '.', mode = '{workspace}' }}").unwrap();
        writeln!(text, "hide = [{}]\nprotect = [{}]", list(&hide), list(&protect)).unwrap();
        let grants: Vec<String> = grants
            .iter()
            .map(|path| {
                format!("{{ path = '{path}', mode = '{}' }}", modes.get(random.below(3)).unwrap())
            })
            .collect();
        writeln!(text, "grant = [{}]", grants.join(", ")).unwrap();
        let Ok(policy) = resolve(&document(&text), &facts) else { continue };
        match compile(&policy, &with_bwrap(), Vec::new()) {
            Ok(plan) => {
                makes_nothing_outside(&plan, &facts);
                planned += 1;
            }
            Err(refusal) => drop(refused.insert(refusal.code())),
        }
    }
    assert!(planned >= 300, "most are planned: {planned}, refused: {refused:?}");
}

/// The walk above sees what it looks for.
#[test]
fn an_option_that_makes_something_there_is_seen() {
    let facts = facts(&ORDINARY, PROTECTED);
    let plan = planned(JAIL, &facts, &with_bwrap());
    makes_nothing_outside(&plan, &facts);
    for option in [
        &["--dir", "/home/u/app/made"][..],
        &["--tmpfs", "/home/u/app/made"],
        &["--ro-bind", "/home/u/app/.mcp.json", "/home/u/app/.other"],
        &["--file", "9", "/home/u/app/.claude/settings.json"],
        &["--symlink", "a", "/home/u/app/b"],
    ] {
        let mut plan = plan.clone();
        let words = option.iter().map(|word| Word::text(word)).collect();
        plan.outer.as_mut().unwrap().options.push(words);
        let seen = std::panic::catch_unwind(|| makes_nothing_outside(&plan, &facts));
        assert!(seen.is_err(), "{option:?}");
    }
}
