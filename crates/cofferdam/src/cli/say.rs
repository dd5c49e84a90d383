//! Everything that `cofferdam` says in its own name: refusals and notes on standard error, answers
//! on standard output.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use cofferdam_audit::{Broken, Verified};
use cofferdam_sandbox::Outcome;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};
use serde_json::{Value, json};

use crate::engine::Prepared;
use crate::refused::Refused;

/// How to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Text,
    Quiet,
    Json,
}

/// The voice.
#[derive(Debug)]
pub(super) struct Say {
    output: Output,
}

impl Say {
    pub(super) const fn new(output: Output) -> Self {
        Self { output }
    }

    /// One message: what, why, and the next step.
    pub(super) fn refused(&self, refused: &Refused) {
        if self.output == Output::Json {
            let mut object = json!({
                "event": "refusal",
                "code": refused.code(),
                "message": refused.to_string(),
                "hint": refused.hint(),
            });
            if let (Refused::Policy(error), Some(map)) = (refused, object.as_object_mut()) {
                map.insert("file".into(), error.file().into());
                map.insert("line".into(), error.line().into());
                map.insert("column".into(), error.column().into());
            }
            return to_stderr(&object.to_string());
        }
        if let Refused::Policy(error) = refused {
            let (color, width) = terminal();
            return to_stderr(cofferdam_policy::render(error, color, width).trim_end());
        }
        let text = format!("cofferdam: refused: {refused}\n  help: {}", refused.hint());
        to_stderr(&cofferdam_policy::printable(&text));
    }

    /// The note after the workload, where there is something to say.
    pub(super) fn ended(&self, outcome: &Outcome, prepared: &Prepared) {
        let command = prepared.plan.workload.command.first();
        let name = command.map(|word| String::from_utf8_lossy(&word.0)).unwrap_or_default();
        let (code, text, hint) = match outcome {
            Outcome::Exited(_) | Outcome::Signaled(_) | Outcome::Ended(_) => return,
            Outcome::NotStarted(2) => (
                "not-found",
                format!("`{name}` is not inside the sandbox, or the interpreter of its first line"),
                "is it installed in /usr or a toolchain directory? `cofferdam plan` lists what is \
                 in view; --grant adds a tree",
            ),
            Outcome::NotStarted(errno) => (
                "not-executable",
                format!(
                    "`{name}` cannot be executed: {}",
                    cofferdam_sandbox::refusal::errno_text(*errno)
                ),
                "is it a program for this machine, with execute permission? 32-bit programs do \
                 not run",
            ),
            Outcome::Killed { fallen } => (
                "mount-fell",
                format!(
                    "the command was killed: {} was replaced from outside, so it could not be \
                     guarded any more",
                    fallen.display()
                ),
                "run it again; while it runs, do not edit guarded files outside",
            ),
            Outcome::Failed { doing, errno } => (
                "failed",
                format!("cannot {doing}: {}", cofferdam_sandbox::refusal::errno_text(*errno)),
                "nothing was run; if it repeats, an outer sandbox forbids it: start cofferdam \
                 outside of that",
            ),
            Outcome::OutputLost { stream, errno, status } => (
                "output-lost",
                format!(
                    "output was lost: cannot write {stream}: {}; the command's own status was \
                     {status}",
                    cofferdam_sandbox::refusal::errno_text(*errno)
                ),
                "make room where its output goes, and run it again",
            ),
            Outcome::Limited { hits, .. } => (
                "limit",
                hits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                "raise it if the command needs more: --limit NAME=VALUE, or [limits] in the policy",
            ),
            Outcome::Lost => (
                "lost",
                "the sandbox was killed from outside".to_owned(),
                "look for an out-of-memory kill in the kernel's log",
            ),
        };
        match self.output {
            // What went wrong on our side is said in any case.
            Output::Quiet if matches!(outcome, Outcome::NotStarted(_)) => {}
            Output::Json => to_stderr(
                &json!({"event": "exit", "code": code, "message": text, "hint": hint,
                        "status": outcome.status()})
                .to_string(),
            ),
            Output::Quiet | Output::Text => {
                let text = format!("cofferdam: {text}\n  help: {hint}");
                to_stderr(&cofferdam_policy::printable(&text));
            }
        }
    }

    pub(super) fn plan(&self, prepared: &Prepared) -> Result<(), Refused> {
        let text = match self.output {
            Output::Json => {
                let value = |value: Result<Value, serde_json::Error>| value.unwrap_or(Value::Null);
                json!({
                    "facts": value(serde_json::to_value(&prepared.facts)),
                    "host": value(serde_json::to_value(&prepared.host)),
                    "policy": value(serde_json::to_value(&prepared.policy)),
                    "plan": value(serde_json::to_value(&prepared.plan)),
                    "audit": prepared.audit.display().to_string(),
                })
                .to_string()
            }
            Output::Text => {
                let text = cofferdam_plan::render::text(&prepared.policy, &prepared.plan);
                cofferdam_policy::printable(&text)
            }
            Output::Quiet => return Ok(()),
        };
        to_stdout(text.trim_end())
    }

    /// Says how a log stands; `true` where it holds.
    pub(super) fn verified(
        &self,
        path: &Path,
        verdict: &Result<Verified, Broken>,
    ) -> Result<bool, Refused> {
        let file = path.display();
        let (text, object) = match verdict {
            Ok(whole) => (
                format!(
                    "{file}: whole: {} records of {} sessions, {} torn{}\nhead {}",
                    whole.records,
                    whole.sessions,
                    whole.torn,
                    match whole.unfinished {
                        0 => String::new(),
                        bytes => format!(", {bytes} unfinished bytes at the end"),
                    },
                    whole.head
                ),
                json!({"file": file.to_string(), "whole": true, "records": whole.records,
                       "sessions": whole.sessions, "torn": whole.torn,
                       "unfinished_bytes": whole.unfinished, "head": whole.head}),
            ),
            Err(broken) => (
                format!("{file}: {broken}"),
                json!({"file": file.to_string(), "whole": false, "problem": broken.to_string()}),
            ),
        };
        let text = if self.output == Output::Json { object.to_string() } else { text };
        to_stdout(&cofferdam_policy::printable(&text))?;
        Ok(verdict.is_ok())
    }
}

/// What is wrong with the words, as clap says it, or as one object where JSON was asked for.
pub(super) fn usage(error: &clap::Error) {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let ours = words.iter().take_while(|word| *word != "--");
    let json = ours.clone().any(|word| word == "--json");
    // The commonest mistake: the command without the two dashes that end our own words.
    let undashed = error.kind() == clap::error::ErrorKind::UnknownArgument
        && ours.count() == words.len()
        && words.first().is_some_and(|word| word == "run" || word == "plan");
    let dashes = "put `--` before the command: cofferdam run -- CMD";
    if !json {
        // With the stream closed there is nobody to tell.
        drop(error.print());
        if undashed {
            to_stderr(&format!("\n  tip: {dashes}"));
        }
        return;
    }
    let text = error.to_string();
    let said = text.lines().next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let hint = if undashed { dashes } else { "see `cofferdam run --help`" };
    let object = json!({"event": "refusal", "code": "usage", "message": said, "hint": hint});
    to_stderr(&object.to_string());
}

/// Whether standard error takes colors, and its width. Without a terminal nothing is wrapped:
/// what reads it is a program, or a file that will be searched.
fn terminal() -> (bool, usize) {
    let stderr = std::io::stderr();
    if !stderr.is_terminal() {
        return (false, usize::from(u16::MAX));
    }
    let columns = rustix::termios::tcgetwinsize(&stderr).map_or(0, |size| size.ws_col);
    let plain = cofferdam_sandbox::facts::no_color();
    (!plain, if columns < 40 { 80 } else { usize::from(columns) })
}

/// With a stream closed there is nobody to tell.
fn to_stderr(text: &str) {
    write_line(std::io::stderr().as_fd(), text).unwrap_or(());
}

/// An answer that nobody got is no success; a reader that went away has enough.
pub(super) fn to_stdout(text: &str) -> Result<(), Refused> {
    match write_line(std::io::stdout().as_fd(), text) {
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(error) => Err(Refused::Unanswered(error.into())),
    }
}

/// Writes the whole line, to an `O_NONBLOCK` descriptor too. The streams of the standard library
/// give up there, and hold a closed one for a success.
fn write_line(fd: BorrowedFd<'_>, text: &str) -> Result<(), Errno> {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match write(fd, rest) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
