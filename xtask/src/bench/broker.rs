//! `cargo xtask bench broker`: what it costs that names are judged one by one.
//!
//! A single call is measured by a program that is this one, inside and outside in turn, in the same
//! directory: it times each of its calls itself, so no start is counted. Work is measured as a person
//! would do it: with the start of the sandbox.

pub(super) mod calls;
mod work;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::stat::Ratios;
use super::subject::Subject;
use super::{Figure, Scratch, TOLD, alternate, installed, report};
use calls::{Call, TASK, asked};

/// Something is hidden by a pattern, so that every open and look is judged.
const HIDES: &str = "version = 1\n[filesystem]\nhide = [\"**/.env\"]\n";

/// Both sides of a call.
struct Calls<'s> {
    subject: &'s Subject,
    /// The directory in which they are made.
    work: PathBuf,
    /// This program, where it is in view.
    program: PathBuf,
}

pub(crate) fn broker(pairs: usize) -> Result<(), String> {
    if pairs < 30 {
        println!("note: {pairs} pairs are fewer than the 30 that a figure for the record takes");
    }
    super::build()?;
    let scratch = Scratch::new()?;
    let subject = Subject::new(installed(&scratch)?.join("cofferdam"), scratch.0.clone());
    let mut figures = Vec::new();
    let mut add = |figure: Figure| {
        println!("{}: {}", figure.what, figure.found);
        figures.push(figure);
    };
    let calls = Calls::new(&subject)?;
    judged(&calls, pairs)?.into_iter().for_each(&mut add);
    looks(&calls, pairs).into_iter().for_each(&mut add);
    add(work::archive(&subject, pairs)?);
    add(work::packages(&subject, pairs));
    add(work::repository(&subject, pairs)?);
    report(&figures, pairs);
    Ok(())
}

/// Every kind of call under the default policy.
fn judged(calls: &Calls<'_>, pairs: usize) -> Result<Vec<Figure>, String> {
    let all = calls.measured(pairs, "all", &|words| calls.subject.cofferdam(&calls.work, words))?;
    let row = |(call, ratios): (Call, Ratios)| {
        let (goal, held) = match call.added_max() {
            Some(most) => {
                (format!("at most {:.0} us added", most * 1e6), ratios.difference() <= most)
            }
            None => (TOLD.into(), true),
        };
        Figure { what: call.words().into(), goal, held, found: ratios.added("us", 1e6) }
    };
    Ok(all.into_iter().map(row).collect())
}

/// Those that are judged only where something is hidden by a pattern; why not, where it cannot be.
fn looks(calls: &Calls<'_>, pairs: usize) -> Vec<Figure> {
    let figure = |words: &str, found| Figure {
        what: format!("{words}, with `hide = [\"**/.env\"]`"),
        goal: TOLD.into(),
        held: true,
        found,
    };
    let measured = calls.subject.policy("hides.toml", HIDES).and_then(|policy| {
        let inside = |words: &[&str]| calls.subject.ruled(&calls.work, &policy, words);
        calls.measured(pairs, "looks", &inside)
    });
    match measured {
        Ok(all) => all
            .into_iter()
            .map(|(call, ratios)| figure(call.words(), ratios.added("us", 1e6)))
            .collect(),
        Err(why) => {
            let why = why.split("cofferdam: refused: ").last().and_then(|why| why.lines().next());
            let why = why.unwrap_or_default();
            vec![figure("looks", format!("not run: {why}"))]
        }
    }
}

impl<'s> Calls<'s> {
    fn new(subject: &'s Subject) -> Result<Self, String> {
        let work = subject.workspace("calls")?;
        let program = work.join("calls-program");
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        fs::copy(this, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { subject, work, program })
    }

    /// Medians of these calls, inside and outside in turn.
    fn measured(
        &self,
        pairs: usize,
        which: &str,
        inside: &dyn Fn(&[&str]) -> Command,
    ) -> Result<Vec<(Call, Ratios)>, String> {
        let calls = asked(which).ok_or("no such calls")?;
        let program = self.program.display().to_string();
        let outside = || {
            let mut command = Command::new(&self.program);
            command.current_dir(&self.work).args([TASK, which]);
            command
        };
        let both = alternate(
            pairs,
            || medians(&mut inside(&[&program, TASK, which]), calls.len()),
            || medians(&mut outside(), calls.len()),
        )?;
        let mut all: Vec<(Call, Ratios)> =
            calls.iter().map(|call| (*call, Ratios::default())).collect();
        for (inside, outside) in both {
            for (((_, ratios), one), other) in all.iter_mut().zip(inside).zip(outside) {
                ratios.push(one, other);
            }
        }
        Ok(all)
    }
}

/// What the measuring program says: seconds of each of so many calls, in their order.
fn medians(command: &mut Command, calls: usize) -> Result<Vec<f64>, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let medians: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if output.status.success() && medians.len() == calls {
        return Ok(medians);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {text}{said}", output.status))
}
