//! `cofferdam policy`: what it writes, what it says, and what it leaves alone.
//!
//! Messages are in `policies.golden`; `UPDATE_GOLDEN=1` writes it anew, and the diff is the review.

#[path = "policies/network.rs"]
mod network;
#[path = "support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;

use support::{Place, Ran, finish, programs, updates_golden};

const GOLDEN: &str = include_str!("policies.golden");
const FILE: &str = "home/src/app/.cofferdam/policy.toml";

fn policy(place: &Place, words: &[&str]) -> Ran {
    let words = words.iter().map(|word| {
        word.replace("$W", &place.work.display().to_string())
            .replace("$H", &place.home.display().to_string())
            .replace("$OUT", &place.out.display().to_string())
    });
    finish(place.command(programs().join("cofferdam")).arg("policy").args(words))
}

/// The whole log as a person reads it.
fn shows(place: &Place) -> String {
    let mut show = place.command(programs().join("cofferdam"));
    finish(show.args(["audit", "show"])).works("show the log").out
}

/// Name, what is done before, words.
const CASES: &[(&str, &str, &[&str])] = &[
    ("init-again", "mkdir .cofferdam; touch .cofferdam/policy.toml", &["init"]),
    ("init-link", "mkdir .cofferdam; ln -s $OUT/canary .cofferdam/policy.toml", &["init"]),
    ("init-linked-folder", "ln -s $OUT .cofferdam", &["init"]),
    ("init-linked-folder-force", "ln -s $OUT .cofferdam", &["init", "--force"]),
    ("init-folder-is-a-file", "touch .cofferdam", &["init"]),
    ("init-policy-is-a-folder", "mkdir -p .cofferdam/policy.toml", &["init", "--force"]),
    ("init-home", "true", &["init", "$H"]),
    ("init-above-home", "true", &["init", "/"]),
    ("init-nowhere", "true", &["init", "$OUT/none"]),
    ("init-file", "true", &["init", "$OUT/canary"]),
    ("check-nowhere", "true", &["check", "$OUT/none.toml"]),
    ("check-broken", "echo 'version = 1\nextend = []' >p.toml", &["check", "p.toml"]),
    (
        "check-wide",
        "echo 'version = 1\n[filesystem]\nworkspace = { path = \"~\" }' >p.toml",
        &["check", "p.toml"],
    ),
    ("show-broken", "echo 'version = 1\nextends = [\"preset:jave\"]' >p.toml", &["show", "p.toml"]),
    ("check-json", "echo 'version = 3' >p.toml", &["check", "--json", "p.toml"]),
    ("no-such-verb", "true", &["chekc"]),
];

#[test]
fn each_fault_has_its_message() {
    let mut got = String::new();
    for (name, before, words) in CASES {
        let place = Place::new();
        place.outside(before).works(name);
        let before = place.outside("find $H $OUT | sort; cat $OUT/canary").works(name).out;
        let ran = policy(&place, words);
        assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{name}: {ran:?}");
        let after = place.outside("find $H $OUT | sort; cat $OUT/canary").works(name).out;
        assert_eq!(before, after, "{name}: nothing is written");
        let mut text = ran.err;
        for (path, short) in [(&place.work, "$W"), (&place.home, "$H"), (&place.out, "$OUT")] {
            text = text.replace(&path.display().to_string(), short);
        }
        writeln!(got, "=== {name}\n{}", text.trim_end()).unwrap();
    }
    if updates_golden() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies.golden");
        fs::write(path, &got).unwrap();
        return;
    }
    for (got, want) in got.split("=== ").zip(GOLDEN.split("=== ")) {
        assert_eq!(got, want, "see policies.golden");
    }
    assert_eq!(got.len(), GOLDEN.len(), "as many cases as in policies.golden");
}

/// What `init` writes holds, says what it found, and is read only where it is named.
#[test]
fn init_writes_what_check_takes() {
    let place = Place::new();
    place.outside("mkdir .git; touch Cargo.toml package.json bun.lock").works("a project");
    let said = policy(&place, &["init"]).works("write it").out;
    for words in [
        "wrote .cofferdam/policy.toml",
        "presets: base, git (.git), bun (bun.lock), rust (Cargo.toml)",
        "`run` does not read it until it is trusted",
        "cofferdam trust",
        "cofferdam run --policy .cofferdam/policy.toml -- CMD",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let checked = policy(&place, &["check", ".cofferdam/policy.toml"]).works("check it").out;
    assert!(checked.starts_with(".cofferdam/policy.toml: ok\n"), "{checked}");
    assert_eq!(checked.lines().count(), 2, "{checked}");
    let run = |options: &[&str]| {
        let ran = place.inside_with(options, "echo [$CARGO_NET_OFFLINE]");
        ran.works("run").out
    };
    assert_eq!(run(&[]), "[]\n", "not read");
    assert_eq!(run(&["--policy", ".cofferdam/policy.toml"]), "[true]\n", "named");
    let json = policy(&place, &["init", "--force", "--json"]).works("again").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["presets"], serde_json::json!(["base", "git", "bun", "rust"]));
    assert_eq!(object["file"], ".cofferdam/policy.toml");
    let elsewhere = policy(&place, &["init", "$OUT"]).works("elsewhere").out;
    assert!(elsewhere.contains(&format!("cd {} && cofferdam run", place.out.display())));
}

/// Only names are looked at: what would answer, block or lie when it is read is not read.
#[test]
fn init_reads_nothing() {
    let place = Place::new();
    place.outside("mkfifo Cargo.toml; ln -s /nowhere Gemfile; mkdir go.mod").works("names");
    let said = policy(&place, &["init"]).works("names are enough").out;
    assert!(said.contains("rust (Cargo.toml), go (go.mod), ruby (Gemfile)"), "{said}");
}

/// `--force` puts a new file in the old one's place; what a link there leads to stays as it is.
#[test]
fn force_replaces_the_name_and_not_what_it_leads_to() {
    let place = Place::new();
    place.outside("mkdir .cofferdam; ln -s $OUT/canary .cofferdam/policy.toml").works("a link");
    place.outside("ln -s $OUT/canary .cofferdam/policy.toml.new").works("another, for the new one");
    policy(&place, &["init", "--force"]).works("replace it");
    assert_eq!(place.read("out/canary"), "out-canary\n");
    assert!(!place.root.join(FILE).is_symlink() && place.read(FILE).contains("version = 1"));
    let names = place.outside("ls -A .cofferdam").works("").out;
    assert_eq!(names, "policy.toml\n", "and nothing else is left");
}

/// The workload changes neither the policy that it runs under nor the one that waits there.
#[test]
fn the_projects_policy_stays() {
    let place = Place::new();
    policy(&place, &["init"]).works("write it");
    let options = ["--policy", ".cofferdam/policy.toml"];
    for options in [&[][..], &options] {
        for act in [
            "echo >>.cofferdam/policy.toml",
            "echo >.cofferdam/other",
            "mv .cofferdam elsewhere",
            "mkdir .cofferdam-new",
        ] {
            place.inside_with(options, act).fails(&["Permission denied"], act);
        }
        place.inside_with(options, "cat .cofferdam/policy.toml; touch beside").works("read");
    }
    let copy = "cp -r .cofferdam copy; echo >>copy/policy.toml; mv copy elsewhere; \
                mkdir .cofferdam-new";
    place.outside(copy).works("the same acts outside");
}

#[test]
fn show_names_where_each_rule_comes_from() {
    let place = Place::new();
    let text =
        "version = 1\nextends = [\"preset:uv\"]\n[environment]\nset = { MY_KEY = \"hush\" }\n";
    place.write("home/src/app/p.toml", text);
    let shown = policy(&place, &["show", "p.toml"]).works("show it").out;
    for words in [
        "policy      p.toml",
        "preset      python   extends[0] (preset:uv:4)",
        "preset      uv   extends[0] (p.toml:2)",
        "UV_OFFLINE=1   environment.set.UV_OFFLINE (preset:uv:",
        "MY_KEY=(value not recorded)   environment.set.MY_KEY (p.toml:4)",
        "filesystem.home (built-in)",
        "network     none   network (built-in)",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("hush"), "a value of the person's is not shown");
    let json = policy(&place, &["show", "--json", "p.toml"]).works("for machines").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["presets"][1]["name"], "uv");
    assert!(!json.contains("hush"), "nor there");
    let users = policy(&place, &["show"]).works("the user's").out;
    assert!(users.starts_with("policy      built-in\n"), "{users}");
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    let users = policy(&place, &["check"]).works("the user's").out;
    assert!(users.contains(".config/cofferdam/policy.toml: ok\n"), "{users}");
}

/// Nothing is recorded, started or written by looking.
#[test]
fn looking_leaves_nothing() {
    let place = Place::new();
    let names = |place: &Place| place.outside("find $H | sort").works("").out;
    let before = names(&place);
    for words in [&["check"][..], &["show"], &["schema"], &["check", "--json"]] {
        policy(&place, words).works("look");
    }
    assert_eq!(before, names(&place));
    // Nor of what a policy asks for.
    place
        .outside("printf 'version = 1\n[filesystem]\nhome = \"project\"\n' > p.toml")
        .works("a home");
    let before = names(&place);
    policy(&place, &["check", "p.toml"]).works("look");
    policy(&place, &["show", "p.toml"]).works("look");
    assert_eq!(before, names(&place));
    place.inside_with(&["--policy", "p.toml"], "true").works("a run makes it");
    let json = policy(&place, &["show", "--json", "p.toml"]).works("look").out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["kept_home"]["source"].as_str().is_some_and(|home| home.ends_with("/home")));
}

/// A workload names files, as do others; what is written in a name is no line of an answer.
#[test]
fn names_of_several_lines_are_in_one() {
    let place = Place::new();
    let plant = "git init -q . && mkdir .git/hooks/x && \
                 ln -s \"$(printf 'a\\n  enforced  all is well')\" .git/hooks/pre-commit";
    place.outside(plant).works("a hook, which no workload plants");
    place.inside("mkdir \"$(printf 'b\\nhidden')\"").works("the workload names another");
    let plan = |flags: &[&str], at: &std::path::Path| {
        let mut plan = place.command(programs().join("cofferdam"));
        plan.arg("plan").args(flags).args(["--", "true"]).current_dir(at);
        finish(&mut plan).works("it answers").out
    };
    let told = plan(&[], &place.work);
    assert!(told.contains("a   enforced  all is well"), "{told}");
    assert!(!told.lines().any(|line| line.starts_with("  enforced  all is")), "{told}");
    // As a workspace, and as one that has a home.
    let text = "version = 1\n[filesystem]\nhome = \"project\"\n";
    let kept = place.write("p.toml", text).display().to_string();
    let told = plan(&["--policy", &kept], &place.work.join("b\nhidden"));
    let mut list = place.command(programs().join("cofferdam"));
    let list = finish(list.args(["home", "list"])).works("it answers").out;
    assert!(told.contains("b hidden") && list.contains("b hidden   used"), "{told}{list}");
    assert!(
        !told.lines().chain(list.lines()).any(|line| line.starts_with("hidden")),
        "{told}{list}"
    );
}
