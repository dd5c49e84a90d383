//! `cargo xtask bench broker`: what it costs that names are judged one by one.
//!
//! A single call is measured by a program that is this one, inside and outside in turn, in the same
//! directory: it times each of its calls itself, so no start is counted. Work is measured as a person
//! would do it: with the start of the sandbox.

pub(super) mod calls;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::stat::Ratios;
use super::subject::Subject;
use super::{Figure, Scratch, TOLD, alternate, installed, report};
use calls::{Call, TASK};

/// Something is hidden by a pattern, so that every open and look is judged.
const HIDES: &str = "version = 1\n[filesystem]\nhide = [\"**/.env\"]\n";

/// What the broker may add to a call that changes a name or opens to write. Seconds.
const ADDED_MAX: f64 = 30e-6;
/// What the filter and Landlock may add to a call that the broker never sees: it would cost five times
/// as much at least. Seconds.
const UNCHANGED_MAX: f64 = 1e-6;

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
    looks(&calls, pairs)?.into_iter().for_each(&mut add);
    work::archive(&subject, pairs)?.into_iter().for_each(&mut add);
    add(work::packages(&subject, pairs));
    add(work::repository(&subject, pairs)?);
    report(&figures, pairs);
    Ok(())
}

/// Every kind of call under the default policy.
fn judged(calls: &Calls<'_>, pairs: usize) -> Result<Vec<Figure>, String> {
    let all = calls.measured(pairs, || calls.inside())?;
    let row = |(call, ratios): (Call, Ratios)| {
        let most = if call.is_judged() { ADDED_MAX } else { UNCHANGED_MAX };
        let goal = format!("at most {:.0} us added", most * 1e6);
        let (what, held) = (call.words().into(), ratios.difference() <= most);
        Figure { what, goal, held, found: ratios.added("us", 1e6) }
    };
    Ok(all.into_iter().map(row).collect())
}

/// Those that are judged only where something is hidden by a pattern.
fn looks(calls: &Calls<'_>, pairs: usize) -> Result<Vec<Figure>, String> {
    let policy = calls.subject.policy("hides.toml", HIDES)?;
    let all = calls.measured(pairs, || calls.inside_under(&policy))?;
    let seen = all.into_iter().filter(|(call, _)| matches!(call, Call::OpenToRead | Call::Stat));
    let row = |(call, ratios): (Call, Ratios)| Figure {
        what: format!("{}, with `hide = [\"**/.env\"]`", call.words()),
        goal: TOLD.into(),
        held: true,
        found: ratios.added("us", 1e6),
    };
    Ok(seen.map(row).collect())
}

impl<'s> Calls<'s> {
    fn new(subject: &'s Subject) -> Result<Self, String> {
        let work = subject.workspace("calls")?;
        let program = work.join("calls-program");
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        fs::copy(this, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { subject, work, program })
    }

    fn words(&self) -> [String; 2] {
        [self.program.display().to_string(), TASK.into()]
    }

    fn inside(&self) -> Command {
        self.subject.cofferdam(&self.work, &self.words().each_ref().map(String::as_str))
    }

    fn inside_under(&self, policy: &Path) -> Command {
        let words = self.words();
        self.subject.ruled(&self.work, policy, &words.each_ref().map(String::as_str))
    }

    fn outside(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.work).arg(TASK);
        command
    }

    /// Medians of each kind of call, inside and outside in turn.
    fn measured(
        &self,
        pairs: usize,
        inside: impl Fn() -> Command,
    ) -> Result<Vec<(Call, Ratios)>, String> {
        let mut all: Vec<(Call, Ratios)> =
            Call::ALL.iter().map(|call| (*call, Ratios::default())).collect();
        let both = alternate(pairs, || medians(&mut inside()), || medians(&mut self.outside()))?;
        for (inside, outside) in both {
            for (((_, ratios), one), other) in all.iter_mut().zip(inside).zip(outside) {
                ratios.push(one, other);
            }
        }
        Ok(all)
    }
}

/// What the measuring program says: seconds of each call, in the order of [`Call::ALL`].
fn medians(command: &mut Command) -> Result<Vec<f64>, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let medians: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if output.status.success() && medians.len() == Call::ALL.len() {
        return Ok(medians);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {text}{said}", output.status))
}
