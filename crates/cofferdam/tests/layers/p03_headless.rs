//! P03: without a terminal nobody is asked, and nothing is trusted; P01: what is not trusted widens nothing.

use crate::places::{at_a_terminal, says, trusted};
use crate::support::{Place, Ran};

fn policy(place: &Place) -> String {
    let out = place.out.display();
    format!(
        "version = 1\n[filesystem]\nhide = [\"mine\"]\n\
         grant = [{{ path = \"{out}\", mode = \"read-only\" }}]\n"
    )
}

fn canary(place: &Place) -> Ran {
    says(place, &["run", "--", "cat", &place.out.join("canary").display().to_string()])
}

#[test]
fn p03_without_a_terminal_nothing_is_trusted() {
    let place = Place::new();
    place.write("home/src/app/.cofferdam/policy.toml", &policy(&place));
    for words in [&["trust"][..], &["trust", "."], &["trust", "--json"]] {
        // A session of its own has no terminal, whoever runs this test.
        let mut command = place.command("setsid");
        command.arg("-w").arg(crate::support::programs().join("cofferdam")).args(words);
        let ran = crate::support::finish(&mut command);
        if words.contains(&"--json") {
            let shown: serde_json::Value =
                serde_json::from_str(&ran.works("to look at").out).unwrap();
            assert_eq!(
                (&shown["event"], &shown["trusted"]),
                (&"trust-shown".into(), &false.into())
            );
        } else {
            ran.refused("trust-no-terminal", "nobody is there");
        }
    }
    let ran = canary(&place).fails(&["No such file"], "the project's layer is not there");
    let said = format!(
        "{}/.cofferdam/policy.toml is not trusted, and holds nothing",
        place.work.display()
    );
    assert_eq!(ran.err.lines().filter(|line| line.contains(&said)).count(), 1, "{ran:?}");
    let record = place.read("home/.local/state/cofferdam/audit.jsonl");
    assert!(record.contains("\"layer\":\"untrusted-project\""), "{record}");
    let json = says(&place, &["run", "--json", "--", "true"]).works("for machines");
    assert!(json.err.starts_with("{\"event\":\"project-untrusted\""), "{json:?}");
    let quiet = says(&place, &["run", "--quiet", "--", "true"]).works("quiet");
    assert_eq!(quiet.err, "");
    // The twin: a person at a terminal.
    trusted(&place, &policy(&place));
    assert_eq!(canary(&place).works("trusted").out, "out-canary\n");
    let record = place.read("home/.local/state/cofferdam/audit.jsonl");
    assert!(record.contains("\"layer\":\"project\""), "which text it was: {record}");
    let ran = says(&place, &["run", "--no-project", "--", "true"]).works("without");
    assert_eq!(ran.err, "", "and nothing is said of it");
}

#[test]
fn p01_only_the_word_yes_trusts() {
    let place = Place::new();
    place.write("home/src/app/.cofferdam/policy.toml", &policy(&place));
    for answer in ["y\n", "YES\n", "yes \n", "yes yes\n", "\n", "no\n", "\u{4}", " yes\n"] {
        let ran = at_a_terminal(&place, &["trust"], answer, None);
        assert_eq!(ran.status, Some(125), "{answer:?}: {ran:?}");
        canary(&place).fails(&["No such file"], answer);
    }
    assert_eq!(says(&place, &["trust", "--list"]).works("").out, "no project is trusted\n");
    at_a_terminal(&place, &["trust"], "yes\n", None).works("the word");
    canary(&place).works("it holds");
    assert!(says(&place, &["trust", "--list"]).out.contains(&*place.work.display().to_string()));
    says(&place, &["trust"]).works("what is trusted needs no answer");
    says(&place, &["trust", "--remove"]).works("taken back");
    canary(&place).fails(&["No such file"], "it holds no more");
    says(&place, &["trust", "--remove"]).refused("project-not-trusted", "nothing to take back");
}
