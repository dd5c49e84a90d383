use std::path::Path;

use crate::facts::{Facts, Kind};
use crate::judge::names::Hold;
use crate::judge::{Act, Because, Request, Rules, Verdict, decide};
use crate::model::{Mode, Policy};
use crate::resolve::fixture::{at, facts, policy};

const MACHINE: &[(&str, Kind)] = &[
    ("/data", Kind::Directory),
    ("/data/in", Kind::Directory),
    ("/home/u/w/.env", Kind::File),
    ("/home/u/w/link", Kind::Link),
    ("/home/u/w/deep", Kind::Directory),
    ("/home/u/w/deep/in", Kind::Directory),
    ("/home/u/w/db.sock", Kind::Other),
    ("/data/fifo", Kind::Other),
];

const DATA: &str = "grant = [{ path = \"/data\", mode = \"read-write\" }]\n";

#[track_caller]
fn holds(filesystem: &str, facts: &Facts) -> Policy {
    policy(filesystem, facts).unwrap_or_else(|why| panic!("{filesystem}: {why}"))
}

/// `want` is the code of the refusal and the line that it is at.
#[track_caller]
fn refused(filesystem: &str, want: &str) {
    let got = policy(filesystem, &facts(MACHINE));
    let got = got.map(|_| ()).map_err(|why| (why.code(), why.line()));
    let last = filesystem.trim_end().lines().count() + 2;
    assert_eq!(got, Err((want, Some(last))), "{filesystem}");
}

#[test]
fn what_would_close_the_workspace_or_lead_elsewhere_is_refused() {
    for (text, want) in [
        ("hide = ['.']", "hides-workspace"),
        ("hide = ['**']", "covers-workspace"),
        ("hide = ['~/*']", "covers-workspace"),
        ("hide = ['/**/w']", "covers-workspace"),
        ("hide = ['/**/home']", "covers-workspace"),
        ("mask = ['.']", "covers-workspace"),
        ("mask = ['~']", "covers-workspace"),
        ("mask = ['~/?']", "covers-workspace"),
        ("mask = ['db.sock']", "not-regular"),
        ("hide = ['link']", "symbolic-link"),
        ("hide = ['link/later']", "symbolic-link"),
        ("mask = ['link/later/too']", "symbolic-link"),
        ("protect = ['link/*.key']", "symbolic-link"),
        ("hide = ['/']", "reserved-path"),
        ("hide = ['/*']", "reserved-path"),
        ("mask = ['/proc/*/environ']", "reserved-path"),
        ("protect = ['/dev/later']", "reserved-path"),
        ("protect = ['db.sock']", "not-regular"),
        ("[sockets]\nallow = ['/srv/x.sock']", "socket-outside"),
        ("[sockets]\nallow = ['~/x.sock']", "socket-outside"),
        ("[sockets]\nallow = ['.']", "not-a-socket"),
        ("[sockets]\nallow = ['.env']", "not-a-socket"),
        ("[sockets]\nallow = ['link']", "symbolic-link"),
        ("[sockets]\nallow = ['/run/docker.sock']", "reserved-path"),
    ] {
        refused(text, want);
    }
    // Each has a twin that holds.
    for text in [
        "hide = ['./*', '**/*', '~/.*', '/**/x', '/proc/**/environ', 'later/too']",
        "mask = ['deep', '~/other', '**/.env']",
        "protect = ['.', '**', 'later/*.key']",
        "[sockets]\nallow = ['db.sock', 'deep/later.sock']",
    ] {
        holds(text, &facts(MACHINE));
    }
    holds(&format!("{DATA}[sockets]\nallow = ['/data/x.sock']"), &facts(MACHINE));
}

#[test]
fn what_cannot_be_looked_at_is_refused_where_a_name_depends_on_it() {
    let mut facts = facts(MACHINE);
    facts.unseen.insert(at("deep"), "Permission denied".into());
    for text in ["hide = ['deep/x']", "protect = ['deep/*']", "[sockets]\nallow = ['deep/x']"] {
        let got = policy(text, &facts).map(|_| ()).map_err(|why| why.code());
        assert_eq!(got, Err("cannot-look"), "{text}");
    }
}

fn rules_of(policy: &Policy, hold: Hold) -> Vec<(&Path, &str)> {
    let persons = |file: &str| file != "built-in";
    let rules = policy.names.iter().filter(|rule| rule.hold == hold && persons(&rule.clause.file));
    rules.map(|rule| (rule.top.as_path(), rule.pattern.text())).collect()
}

#[test]
fn where_patterns_start() {
    let facts = facts(MACHINE);
    let workspace = at("");
    for (text, want) in [
        ("hide = ['*.pem']", vec![("/home/u/w", "*.pem")]),
        ("hide = ['deep/*.pem']", vec![("/home/u/w/deep", "*.pem")]),
        ("hide = ['./deep/*/x']", vec![("/home/u/w/deep", "*/x")]),
        ("hide = ['**/x']", vec![("/data", "**/x"), ("/home/u/w", "**/x")]),
        ("hide = ['./**/x']", vec![("/home/u/w", "**/x")]),
        ("hide = ['/data/*']", vec![("/data", "*")]),
        ("hide = ['~/w/*']", vec![("/home/u/w", "*")]),
        ("hide = ['/**/x']", vec![("/", "**/x")]),
        ("hide = ['~/elsewhere/*']", vec![]),
        ("hide = ['.env', 'later']", vec![("/home/u/w", ".env"), ("/home/u/w", "later")]),
    ] {
        let policy = holds(&format!("{DATA}{text}"), &facts);
        let want: Vec<(&Path, &str)> = want.iter().map(|(top, p)| (Path::new(*top), *p)).collect();
        assert_eq!(rules_of(&policy, Hold::Hide), want, "{text}");
        assert_eq!(policy.idle.is_empty(), !want.is_empty(), "{text}: what does nothing is told");
    }
    // What lies in another tree of the person's needs no rule of its own.
    let inner = "grant = [{ path = './deep', mode = 'read-only' }]\nmask = ['**/x']";
    let policy = holds(inner, &facts);
    assert_eq!(rules_of(&policy, Hold::Mask), [(workspace.as_path(), "**/x")]);
}

#[test]
fn patterns_bear_on_whole_trees() {
    let facts = facts(MACHINE);
    let data = |policy: &Policy| {
        let tree = policy.grants.iter().find(|grant| grant.path == Path::new("/data/in"));
        tree.map(|grant| (grant.mode, grant.clause.name.clone()))
    };
    let grant = "grant = [{ path = '/data', mode = 'read-only' }, \
                 { path = '/data/in', mode = 'read-write' }]\n";
    let of = |rest: &str| data(&holds(&format!("{grant}{rest}"), &facts));
    assert_eq!(of(""), Some((Mode::ReadWrite, "filesystem.grant[1]".into())));
    assert_eq!(of("hide = ['/data/i?']"), None);
    assert_eq!(of("hide = ['/**/data']"), None, "with what holds it");
    assert_eq!(
        of("protect = ['**/in']"),
        Some((Mode::ReadOnly, "filesystem.protect[0]".into())),
        "it stays as it is"
    );
}

#[test]
fn modes_lie_in_modes() {
    let facts = facts(MACHINE);
    let modes = |workspace: &str, grant: &str| {
        let text = format!(
            "workspace = {{ path = '.', mode = '{workspace}' }}\n\
             grant = [{{ path = './deep', mode = '{grant}' }}, \
             {{ path = './deep', mode = 'read-write' }}]"
        );
        let rules = Rules::of(&holds(&text, &facts));
        ["x", "deep/x"].map(|path| {
            let path = at(path);
            match decide(&rules, Request { act: Act::Remove, path: &path }) {
                Verdict::Allow(_) => None,
                Verdict::Deny(_, because) => Some(because),
            }
        })
    };
    use Because::{NoDelete, ReadOnly};
    assert_eq!(modes("read-write", "no-delete"), [None, Some(NoDelete)]);
    assert_eq!(modes("no-delete", "read-write"), [Some(NoDelete), None]);
    assert_eq!(modes("read-only", "no-delete"), [Some(ReadOnly), Some(NoDelete)]);
    assert_eq!(modes("no-delete", "read-only"), [Some(NoDelete), Some(ReadOnly)]);
    // At one path the one that allows less, whichever comes first, and the workspace among them.
    let one = |mode: &str| {
        let text =
            format!("grant = [{{ path = '.', {mode} }}, {{ path = '.', mode = 'no-delete' }}]");
        holds(&text, &facts).workspace.mode
    };
    assert_eq!(one("mode = 'read-write'"), Mode::NoDelete);
    assert_eq!(one("mode = 'no-delete', overwrite = false"), Mode::AppendOnly);
    assert_eq!(one("mode = 'read-only'"), Mode::ReadOnly);
    // Around the workspace a grant is read alone.
    refused("grant = [{ path = '/home/u', mode = 'no-delete' }]", "grant-too-wide");
    let around = "workspace = { path = './deep' }\ngrant = [{ path = '~/w', mode = 'no-delete' }]";
    refused(around, "grant-too-wide");
}

#[test]
fn a_tree_that_takes_rights_away_must_be_there() {
    let optional =
        |mode: &str| format!("grant = [{{ path = './later', mode = '{mode}', optional = true }}]");
    refused(&optional("read-only"), "optional-inside");
    refused(&optional("no-delete"), "optional-inside");
    let policy = holds(&optional("read-write"), &facts(MACHINE));
    assert_eq!(policy.missing.len(), 1);
}

#[test]
fn decide_asks_the_judge_of_names_first() {
    let text = format!(
        "{DATA}workspace = {{ path = '.', mode = 'no-delete' }}\nhide = ['**/*.key']\n\
         protect = ['later']\n[sockets]\nallow = ['db.sock']"
    );
    let policy = holds(&text, &facts(MACHINE));
    let rules = Rules::of(&policy);
    for (act, path, want) in [
        (Act::Create, "later", Some(Because::Guarded)),
        (Act::Create, "deep/later", None),
        (Act::Create, ".claude", Some(Because::Guarded)),
        (Act::Create, "/data/.claude", Some(Because::Guarded)),
        (Act::Read, "a.key", Some(Because::Hidden)),
        (Act::Read, "/data/a.key", Some(Because::Hidden)),
        (Act::Create, "a.key", Some(Because::Hidden)),
        (Act::Execute, "a.key", Some(Because::Hidden)),
        (Act::Read, "/usr/a.key", None),
        (Act::Remove, "old", Some(Because::NoDelete)),
        (Act::Rename, "old", Some(Because::NoDelete)),
        (Act::Write, "old", None),
        (Act::Remove, "/data/old", None),
        (Act::Rename, "/data/old", None),
        (Act::Rename, "/data/.hg", Some(Because::Copied)),
        (Act::Connect, "db.sock", None),
        (Act::Connect, "other.sock", Some(Because::Socket)),
        (Act::Connect, "/data/fifo", Some(Because::Socket)),
    ] {
        let path = at(path);
        let got = match decide(&rules, Request { act, path: &path }) {
            Verdict::Allow(_) => None,
            Verdict::Deny(_, because) => Some(because),
        };
        assert_eq!(got, want, "{act:?} {}", path.display());
    }
}
