//! Every command, those that come later too, has help that holds: a sentence, a text for every flag
//! and word, and examples that are command lines of ours.

use clap::{CommandFactory, Parser};

use super::Arguments;

/// Every command with the words that lead to it, the program itself first.
fn every(command: &clap::Command, path: &[String]) -> Vec<(Vec<String>, clap::Command)> {
    let ours = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = ours.flat_map(|below| {
        let path = [path, &[below.get_name().to_owned()]].concat();
        every(below, &path)
    });
    [(path.to_vec(), command.clone())].into_iter().chain(below).collect()
}

fn commands() -> Vec<(Vec<String>, clap::Command)> {
    let mut command = Arguments::command();
    command.build();
    every(&command, &["cofferdam".to_owned()])
}

/// The words of each command line of ours in a help text. One begins with `cofferdam` in an
/// indented line, and ends where the shell ends it, or at two blanks, which begin a remark.
fn examples(help: &str) -> Vec<Vec<String>> {
    let lines = help.lines().filter(|line| line.starts_with("  "));
    let begins = lines.filter_map(|line| {
        let at = line
            .match_indices("cofferdam ")
            .map(|(at, _)| at)
            .find(|at| line.get(..*at).is_some_and(|before| before.ends_with([' ', '(', ';'])))?;
        line.get(at..)
    });
    begins.map(split).collect()
}

/// As a shell does, as far as examples need it: quotes, and the letters that end a command.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut blank = false;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => word.push(letter),
            (None, '"' | '\'') => quote = Some(letter),
            (None, ';' | '|' | '&' | '<' | '>' | ')') => break,
            (None, ' ') if blank => break,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty())),
            (None, _) => word.push(letter),
        }
        blank = quote.is_none() && letter == ' ';
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[test]
fn every_command_has_examples_that_are_taken() {
    for (path, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        let own = examples.iter().filter(|words| words.starts_with(&path)).count();
        assert!(own > 0, "{path:?}: no example of its own in: {help}");
        for words in examples {
            if let Err(error) = Arguments::try_parse_from(&words) {
                panic!("{path:?}: {words:?}: {error}");
            }
        }
    }
}

#[test]
fn every_command_and_every_word_of_it_is_explained() {
    for (path, command) in commands() {
        assert!(command.get_about().is_some(), "{path:?}: no sentence");
        for word in command.get_arguments() {
            let help = word.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{path:?}: `{}` has no help", word.get_id());
            assert!(!help.ends_with('.'), "{path:?}: `{}` ends with a full stop", word.get_id());
        }
    }
}

/// What the two tests above rest on.
#[test]
fn examples_are_found_and_split_as_a_shell_does() {
    for (help, want) in [
        ("Examples:\n  cofferdam run -- make   builds it\n", "cofferdam|run|--|make"),
        ("  while read n; do cofferdam run -- ./a \"$n b\" < x; done", "cofferdam|run|--|./a|$n b"),
        ("  source <(cofferdam completions bash)", "cofferdam|completions|bash"),
        ("  cofferdam plan --json -- a 'b c'|jq", "cofferdam|plan|--json|--|a|b c"),
        ("cofferdam is a wall", ""),
        ("  see ~/.config/cofferdam for it", ""),
    ] {
        let got = examples(help).into_iter().next().unwrap_or_default().join("|");
        assert_eq!(got, want, "{help}");
    }
}
