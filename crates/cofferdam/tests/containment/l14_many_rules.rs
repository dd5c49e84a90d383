//! L14: policies and command lines that are very long work whole, or are refused: nothing is cut.

use std::fmt::Write;

use crate::support::{Place, finish, programs};

#[test]
fn five_thousand_rules_are_refused_in_words() {
    let place = Place::new();
    for key in ["grant", "hide", "protect"] {
        let mut list = String::new();
        for number in 0..5_000 {
            match key {
                "grant" => writeln!(list, "{{ path = \"/opt/{number}\", mode = \"read-only\" }},"),
                _ => writeln!(list, "\"{number}\","),
            }
            .unwrap();
        }
        let text = format!("version = 1\n[filesystem]\n{key} = [\n{list}]\n");
        let policy = place.write("many.toml", &text).display().to_string();
        place
            .inside_with(&["--policy", &policy], "true")
            .refused(&format!("`filesystem.{key}` has 5000 entries"), key);
    }
    let hide: Vec<&str> = (0..257).flat_map(|_| ["--hide", "."]).collect();
    place.inside_with(&hide, "true").refused("`--hide` has 257 entries", "flags as well");
    place.inside("true").works("without them");
}

#[test]
fn hundreds_of_names_and_submodules_are_all_held() {
    let place = Place::new();
    let set_up = "git init -q . && for n in $(seq 250); do mkdir -p d$n && echo $n > d$n/f; done && \
                  for n in $(seq 256); do mkdir -p .git/modules/m$n/hooks && \
                  echo ref: refs/heads/x > .git/modules/m$n/HEAD && \
                  echo '[core]' > .git/modules/m$n/config; done";
    place.outside(set_up).works("a large repository");
    let list: Vec<String> = (1..=250).map(|number| format!("\"d{number}/f\"")).collect();
    let text = format!("version = 1\n[filesystem]\nprotect = [{}]\n", list.join(", "));
    let policy = place.write("p.toml", &text).display().to_string();
    let every = "bad=0; for n in $(seq 250); do (echo x > d$n/f) 2> /dev/null && bad=1; done; \
                 for n in $(seq 256); do (echo x >> .git/modules/m$n/config) 2> /dev/null && bad=1; \
                 (echo x > .git/modules/m$n/hooks/x) 2> /dev/null && bad=1; done; \
                 echo beside > d7/g && exit $bad";
    place.inside_with(&["--policy", &policy], every).works("each of them is held");
    place.outside("mkdir .git/modules/m257 && echo x > .git/modules/m257/HEAD").works("one more");
    place
        .inside_with(&["--policy", &policy], "true")
        .refused("more than 256 submodules", "and one that would not be");
    place.outside("for n in 1 250; do echo x > d$n/f; done").works("the control");
}

/// The kernel takes words of at most 128 KiB with their end (`execve(2)`), and so do we.
#[test]
fn the_longest_word_passes() {
    const LONGEST: usize = (128 << 10) - 1;
    let place = Place::new();
    let word = "w".repeat(LONGEST);
    let run = |words: &[&str]| finish(place.cofferdam(&[]).args(words));
    let script = "printf %s \"$1\" | wc -c; echo $#";
    let ran = run(&["sh", "-c", script, "sh", &word, &word, &word]).works("three of them");
    assert_eq!(ran.out, format!("{LONGEST}\n3\n"));
    // One more, from a program that embeds the engine: the kernel says no, and that is told.
    let options = cofferdam::Options {
        policy: cofferdam::PolicyFrom::Text {
            name: "l14".into(),
            text: format!(
                "version = 1\n[filesystem]\nworkspace = {{ path = \"{}\" }}\n",
                place.work.display()
            ),
        },
        audit: Some(place.root.join("log/audit.jsonl")),
        ..cofferdam::Options::command(["/bin/true".to_owned(), format!("{word}w")])
    };
    let engine = cofferdam::Engine::with_programs(&programs()).unwrap();
    let ended = engine.run_collected(&options).unwrap();
    assert_eq!(ended.outcome, cofferdam::Outcome::NotStarted(7), "E2BIG");
    // So many that the record of it would be too long.
    let words = std::iter::repeat_n(word, 40);
    let command = std::iter::once("/bin/true".to_owned()).chain(words);
    let options = cofferdam::Options { command: command.map(Into::into).collect(), ..options };
    let refused = engine.run_collected(&options).unwrap_err();
    assert_eq!(refused.code(), "audit-too-long", "{refused}");
}
