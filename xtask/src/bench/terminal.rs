//! `cargo xtask bench terminal`: what a terminal of the sandbox's own costs.

use std::fs;
use std::process::Command;

use super::subject::Subject;
use super::{Figure, Scratch, installed, pairs_of, report, told};

const DRIVER: &str = include_str!("on_terminal.py");
/// Lines of text that go through a terminal, some 64 MiB.
const LINES: u32 = 1 << 20;

/// `command` on a pseudo-terminal; it prints what `DRIVER` measures.
fn on_terminal(command: &Command, how: &[&str]) -> Command {
    let mut driver = Command::new("/usr/bin/python3");
    driver.args(["-c", DRIVER]).args(how).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        driver.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => driver.env(name, value),
            None => driver.env_remove(name),
        };
    }
    driver
}

pub(crate) fn terminal(pairs: usize) -> Result<(), String> {
    super::build()?;
    let scratch = Scratch::new()?;
    let subject = Subject::new(installed(&scratch)?.join("cofferdam"), scratch.0.clone());
    let work = subject.workspace("terminal")?;
    let text = "a line of text that is about as long as they are on most terminals\n";
    let repeated = text.repeat(usize::try_from(LINES).unwrap_or(usize::MAX));
    fs::write(work.join("text"), repeated).map_err(|error| error.to_string())?;
    let inside = |words: &[&str]| subject.cofferdam(&work, words);
    // A shell on both sides, so that only where standard input comes from differs.
    let shell = |line: &str| {
        let command = inside(&["true"]);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(&work);
        shell
    };
    let script = |line: &str| {
        let mut command = Command::new("/usr/bin/script");
        command.args(["-qec", line, "/dev/null"]).current_dir(&work);
        command
    };
    let throughput = pairs_of(
        pairs.div_ceil(2),
        || told(&mut on_terminal(&script("cat text"), &[])),
        || told(&mut on_terminal(&inside(&["cat", "text"]), &[])),
    )?;
    let start = pairs_of(
        pairs * 2,
        || told(&mut on_terminal(&shell("exec \"$@\""), &[])),
        || told(&mut on_terminal(&shell("exec \"$@\" < /dev/null"), &[])),
    )?;
    let idle = told(&mut on_terminal(&inside(&["sleep", "60"]), &["IDLE"]))?;
    let added = start.difference() * 1_000.0;
    report(
        &[
            Figure {
                what: "throughput of the terminal, against `script -qc`".into(),
                goal: "at least 0.8".into(),
                held: throughput.median() >= 0.8,
                found: throughput.text("s", 1.0),
            },
            Figure {
                what: "start with a terminal, against one without".into(),
                goal: "at most 1.5 ms more".into(),
                held: added <= 1.5,
                found: format!("{added:+.2} ms; {}", start.text("ms", 1_000.0)),
            },
            Figure {
                what: "processor time of the engine and init in 3 idle seconds on a terminal"
                    .into(),
                goal: "0".into(),
                held: idle == 0.0,
                found: format!("{idle} s"),
            },
        ],
        pairs,
    );
    Ok(())
}
