//! P08: words that begin with `-` are words. No handler of URLs and no file of desktop entries is
//! installed; completion only prints.

use crate::places::says;
use crate::support::{Place, finish, programs};

#[test]
fn p08_words_of_others_are_no_flags() {
    let place = Place::new();
    let ran = says(&place, &["run", "--", "echo", "--policy=/x", "--no-project", "-h"]);
    assert_eq!(ran.works("behind --").out, "--policy=/x --no-project -h\n");
    for word in ["--grant=/:rw", "--no-project", "-x", "--"] {
        // A directory of that name is named as such, and no flag.
        let folder = place.work.join(word);
        std::fs::create_dir_all(folder.join(".cofferdam")).unwrap();
        std::fs::write(folder.join(".cofferdam/policy.toml"), "version = 1\n").unwrap();
        let ran = says(&place, &["trust", "--json", "--", word]).works(word);
        let shown: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(shown["project"], folder.display().to_string(), "{word}");
        says(&place, &["trust", "--remove", "--", word]).refused("project-not-trusted", word);
        if word != "--" {
            let ran = says(&place, &["trust", word]);
            assert_eq!(ran.status, Some(125), "an unknown flag is no directory: {ran:?}");
        }
    }
}

#[test]
fn p08_completion_runs_nothing_of_the_directory() {
    let place = Place::new();
    place
        .outside("touch -- '$(touch pwned)' '--policy=x' '`touch pwned`' ';touch pwned'")
        .works("");
    for shell in ["bash", "zsh", "fish"] {
        let text = says(&place, &["completions", shell]).works(shell).out;
        assert!(!text.contains("pwned") && !text.contains("x-scheme-handler"), "{shell}");
    }
    let script = "source <(\"$C\" completions bash); COMP_WORDS=(cofferdam trust ''); COMP_CWORD=2; \
                  COMP_LINE='cofferdam trust '; COMP_POINT=16; _cofferdam cofferdam '' trust; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = place.command("bash");
    command.env("C", programs().join("cofferdam")).args(["-c", script]);
    let ran = finish(&mut command).works("complete a directory with such names");
    assert!(!place.work.join("pwned").exists(), "{ran:?}");
}
