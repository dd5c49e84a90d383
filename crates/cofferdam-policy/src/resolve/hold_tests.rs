use std::path::PathBuf;

use super::*;
use crate::facts::{Facts, Kind};
use crate::judge::names::{Answer, Ask, Made, judge};
use crate::judge::{Because, Rules};
use crate::resolve::fixture::{at, facts, policy};

#[track_caller]
fn rules(filesystem: &str, facts: &Facts) -> Rules {
    match policy(filesystem, facts) {
        Ok(policy) => Rules::of(&policy),
        Err(error) => panic!("{filesystem}: {error}"),
    }
}

/// Whether a file may be made at each of `paths`, and why not.
#[track_caller]
fn check(rules: &Rules, paths: &[&str], want: Option<Because>) {
    for path in paths {
        let path = at(path);
        let got = match judge(rules, Ask::Create(&path, Made::File)) {
            Answer::Deny(_, because) => Some(because),
            Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_) => None,
        };
        assert_eq!(got, want, "{}", path.display());
    }
}

#[test]
fn built_in_names_are_held_in_every_writable_tree_whether_they_exist() {
    let mut facts = facts(&[
        ("/data", Kind::Directory),
        ("/file", Kind::File),
        ("/shown", Kind::Directory),
        ("/home/u/w/.git", Kind::Directory),
        ("/home/u/w/.git/config", Kind::File),
        ("/data/.vscode", Kind::Directory),
        ("/home/u/w/.git/modules/m", Kind::Directory),
    ]);
    facts.git_directories = vec![at(".git/modules/m")];
    let grants = "grant = [{ path = \"/data\", mode = \"read-write\" }, \
                  { path = \"/file\", mode = \"read-write\" }, \
                  { path = \"/shown\", mode = \"read-only\" }]";
    let rules = rules(grants, &facts);
    for top in ["", "/data/"] {
        let names = view::PROTECTED.iter().chain(view::PROTECTED_ENTRIES);
        let names: Vec<String> = names.map(|name| format!("{top}{name}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check(&rules, &names, Some(Because::Guarded));
    }
    let guarded = [".GIT/Hooks", ".cofferdam-new/x", ".cofferdam.toml", "/data/.claude/x"];
    check(&rules, &guarded, Some(Because::Guarded));
    check(&rules, &[".git/modules/m/hooks", ".git/modules/m/config"], Some(Because::Guarded));
    let free = [".git/index.lock", "sub/.git/hooks/x", "sub/.claude", ".gitignore", "/tmp/.envrc"];
    check(&rules, &free, None);
    // No rule where nothing can be written, and none below a file.
    let tops: Vec<&PathBuf> = rules.names().iter().map(|rule| &rule.top).collect();
    assert!(tops.iter().all(|top| **top == at("") || top.starts_with("/data")), "{tops:?}");
}

#[test]
fn gits_settings_are_the_names_that_take_a_new_text() {
    let mut facts = facts(&[
        ("/home/u/w/.git", Kind::File),
        ("/home/u/w/m", Kind::Directory),
        ("/home/u/w/m/config", Kind::File),
    ]);
    facts.git_directories = vec![at("m")];
    let holds = |filesystem: &str| {
        let rules = rules(filesystem, &facts);
        ["m/config", ".git/config", "m/hooks", ".git"].map(|name| {
            let named = |rule: &&NameRule| rule.pattern.text() == name;
            let rule = rules.names().iter().find(named);
            rule.map(|rule| (rule.hold, rule.clause.file.clone()))
        })
    };
    let ours = |hold| Some((hold, "built-in".to_owned()));
    let mut want = [Hold::GitConfig, Hold::GitConfig, Hold::Protect, Hold::ProtectEntry].map(ours);
    assert_eq!(holds(""), want);
    // What a person protects takes none.
    want[0] = Some((Hold::Protect, "policy".to_owned()));
    assert_eq!(holds("protect = [\"m/config\"]"), want);
}

#[test]
fn hidden_names_are_rules_where_they_are_in_view() {
    let facts = facts(&[
        ("/home/u/w/.env", Kind::File),
        ("/home/u/w/keys", Kind::Directory),
        ("/home/u/w/keys/one", Kind::File),
        ("/home/u/.ssh", Kind::Directory),
    ]);
    let of = |hide: &str| {
        let rules = rules(hide, &facts);
        let hides = rules.names().iter().filter(|rule| rule.hold == Hold::Hide);
        (hides.map(|rule| rule.pattern.text().to_owned()).collect::<Vec<_>>(), rules.looks())
    };
    assert_eq!(of(""), (vec![], false), "what nobody hides costs nothing");
    assert_eq!(of("hide = [\"~/.ssh\"]"), (vec![], false), "nor what is not in view");
    let hide = "hide = [\".env\", \"keys/one\", \"keys\"]";
    assert_eq!(of(hide), (vec![".env".into(), "keys".into()], true), "each, and outer ones alone");
}
