//! Everything that `cofferdam` says in its own name: refusals and notes on standard error, answers
//! on standard output.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use clap::CommandFactory;
use clap::error::ErrorKind;
use cofferdam_audit::{Broken, Verified, escaped};
use cofferdam_plan::message;
use cofferdam_policy::{Message, in_line, printable};
use cofferdam_sandbox::Outcome;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::names;
use crate::control::{Drawn, Refusal};
use crate::engine::{Denied, Prepared, TurnedAway, WayOut};
use crate::refused::Refused;
use crate::trace::Trace;
use crate::trusted::{ProjectPolicy, file_of};

/// Hosts that the note at the end names; more are many lines, and the log names all.
const TURNED_AWAY_MAX: usize = 10;

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
        let (color, columns) = terminal();
        to_stderr(&refused.drawn(color, columns));
    }

    pub(super) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.output == Output::Quiet
    }

    /// A refusal of a session's: it has drawn it for this terminal.
    pub(super) fn told(&self, told: &Refusal) {
        if self.output != Output::Json {
            return to_stderr(&told.drawn);
        }
        let mut object = json!({"event": "refusal", "code": told.code, "message": told.message,
                                "hint": told.hint});
        if let (Some(file), Some(map)) = (&told.file, object.as_object_mut()) {
            map.insert("file".into(), file.as_str().into());
            map.insert("line".into(), told.line.into());
            map.insert("column".into(), told.column.into());
        }
        to_stderr(&object.to_string());
    }

    /// What of a policy needs a new run.
    pub(super) fn restart(&self, session: &str, because: &[String]) {
        let hint = "start it anew with this policy; the session goes on with the one that holds";
        let what = format!("refused: this needs a new run: {}", because.join("; "));
        let code = "restart";
        if self.output == Output::Json {
            let object = json!({"event": "restart", "code": code, "session": session,
                                "because": because, "message": what, "hint": hint});
            return to_stderr(&object.to_string());
        }
        self.note("restart", &Message { what: &what, code, between: &[], hint });
    }

    /// How the terminal takes what is drawn for it.
    pub(super) fn drawn() -> Drawn {
        let (color, columns) = terminal();
        Drawn { color, columns }
    }

    /// Where questions of a session are answered.
    pub(super) fn asks(&self, name: &str) {
        if self.output == Output::Quiet {
            return;
        }
        let name = name.get(..12).unwrap_or(name);
        let what = "asks a person about hosts that no rule allows";
        let hint = format!("answer in another terminal: cofferdam approve {name}");
        self.note("asks", &Message { what, code: "asks", between: &[], hint: &hint });
    }

    /// A project's policy that nobody trusts holds nothing, and that is told.
    pub(super) fn project(&self, policy: &ProjectPolicy) {
        let ProjectPolicy::Untrusted { project } = policy else { return };
        if self.output == Output::Quiet {
            return;
        }
        let path = in_line(file_of(project).display());
        let what = format!("{path} is not trusted, and holds nothing");
        if self.output == Output::Json {
            let hint = "cofferdam trust";
            let object = json!({"event": "project-untrusted", "file": path, "message": what,
                                "hint": hint});
            return to_stderr(&object.to_string());
        }
        to_stderr(&printable(&format!("cofferdam: {what}: cofferdam trust")));
    }

    /// A note, in the shape of everything else.
    pub(super) fn note(&self, event: &str, message: &Message<'_>) {
        if self.output == Output::Json {
            let Message { what, code, hint, .. } = message;
            let object = json!({"event": event, "code": code, "message": what, "hint": hint});
            return to_stderr(&object.to_string());
        }
        let (color, columns) = terminal();
        to_stderr(&message.text(color, columns));
    }

    /// After a log was shown that does not hold.
    pub(super) fn broken(&self, path: &Path, broken: &Broken) {
        let what = format!("{}: {broken}", path.display());
        let hint = "what is before that line holds; move the log aside and keep it";
        let message = Message { what: &what, code: "audit-broken", between: &[], hint };
        self.note("broken", &message);
    }

    /// After a log was shown of which nothing was asked for.
    pub(super) fn nothing_matches(&self, path: &Path, log: &Verified, kinds: &[String]) {
        let what = format!("nothing in {} matches", path.display());
        let (records, kinds) = (log.records, kinds.join(", "));
        let hint = format!("it has {records} records; their kinds are: {kinds}");
        let message = Message { what: &what, code: "audit-no-match", between: &[], hint: &hint };
        self.note("nothing", &message);
    }

    /// The notes after the workload, where there is something to say.
    pub(super) fn ended(&self, outcome: &Outcome, prepared: &Prepared) {
        self.how_it_ended(outcome, prepared);
        let given_up = prepared.given_up();
        if !given_up.is_empty() && self.output != Output::Quiet {
            let what = format!("best-effort: {}", given_up.join(", "));
            let hint =
                "the jail `landlock` does not hold these: `cofferdam plan` says what is open";
            let message = Message { what: &what, code: "best-effort", between: &[], hint };
            self.note("best-effort", &message);
        }
        let dangers: Vec<&str> =
            prepared.policy.dangers.iter().map(|danger| danger.what.as_str()).collect();
        if !dangers.is_empty() && self.output != Output::Quiet {
            let what = format!("dangerous: {}", dangers.join("; "));
            let hint = "the policy says so: `cofferdam plan` names the rule";
            self.note("dangerous", &Message { what: &what, code: "dangerous", between: &[], hint });
        }
    }

    fn how_it_ended(&self, outcome: &Outcome, prepared: &Prepared) {
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
            Outcome::OutputLost { stream, errno, status, .. } => (
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
                self.note("exit", &Message { what: &text, code, between: &[], hint });
            }
        }
    }

    /// Whom the command was not let through to, a row each; alarms come first, and are said in any case.
    pub(super) fn turned_away(&self, rows: &[TurnedAway]) {
        let alarms = rows.iter().take_while(|row| row.is_alarm()).count();
        let quiet = self.output == Output::Quiet;
        let rows = if quiet { rows.get(..alarms).unwrap_or_default() } else { rows };
        let shown = if self.output == Output::Json { rows.len() } else { TURNED_AWAY_MAX };
        for row in rows.iter().take(shown) {
            let place = match (row.host.as_str(), row.port) {
                // More than were counted apart.
                ("", 0) => "further hosts".into(),
                ("", port) => format!("port {port}"),
                (host, 0) => host.to_owned(),
                (host, port) => format!("{host}:{port}"),
            };
            let place = match (&row.method, &row.path) {
                (Some(method), Some(path)) => format!("{method} {place}{path}"),
                (Some(_) | None, _) => place,
            };
            let (verb, retry) = match row.denied {
                Denied::ByPolicy if row.is_alarm() => ("alarm: refused", false),
                Denied::ByPolicy => ("refused", false),
                Denied::Unreached => ("not reached", true),
            };
            if self.output == Output::Json {
                to_stderr(
                    &json!({"event": "denial", "what": place, "code": row.code, "why": row.why,
                            "method": row.method, "path": row.path, "clause": row.clause,
                            "fix": row.fix, "retry": retry, "times": row.times,
                            "alarm": row.is_alarm()})
                    .to_string(),
                );
                continue;
            }
            let times =
                if row.times > 1 { format!(" ({} times)", row.times) } else { String::new() };
            let useless = if retry { "" } else { "; trying again changes nothing" };
            let what = format!("{verb}: {place}{times}: {}{useless}", row.why);
            let hint = if row.fix.is_empty() { "see `cofferdam audit show`" } else { &row.fix };
            let what = cofferdam_policy::printable(&what);
            self.note("network", &Message { what: &what, code: &row.code, between: &[], hint });
        }
        if let Some(more) = rows.len().checked_sub(shown).filter(|more| *more > 0) {
            to_stderr(&format!("and {more} more hosts: `cofferdam audit show` names all"));
        }
    }

    /// What the command was not let do with names, each said in a few lines.
    pub(super) fn denied_names(&self, rows: &[message::Denied]) {
        if self.output == Output::Quiet {
            return;
        }
        let (shown, more) = names::shown(rows, self.output);
        for row in shown {
            if self.output == Output::Json {
                to_stderr(&names::object(row));
            } else {
                let (what, hint) = (names::what(row), names::hint(row));
                let code = names::code(row);
                self.note("name", &Message { what: &what, code, between: &[], hint: &hint });
            }
        }
        if more > 0 {
            let what = format!("and {more} more names: {}", names::ALL);
            match self.output {
                Output::Json => to_stderr(
                    &json!({"event": "denials", "more": more, "message": what}).to_string(),
                ),
                Output::Quiet | Output::Text => to_stderr(&what),
            }
        }
    }

    /// That the network was not what the policy says: that is on our side, so it is said in any case.
    pub(super) fn way_out(&self, way_out: WayOut) {
        let (text, code, hint) = match way_out {
            WayOut::Held => return,
            WayOut::NoRecord => (
                "the audit log was out of room for a while: what has no record there was refused",
                "no-record",
                "make room where the audit log is",
            ),
            WayOut::Gone => (
                "the gateway ended before the command: every connection was refused from then on",
                "gateway-gone",
                "look for an out-of-memory kill in the kernel's log",
            ),
        };
        match self.output {
            Output::Json => to_stderr(
                &json!({"event": "network", "code": code, "message": text, "hint": hint})
                    .to_string(),
            ),
            Output::Quiet | Output::Text => {
                self.note("network", &Message { what: text, code, between: &[], hint });
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

/// What is wrong with the words, in our own shape, or as one object where JSON was asked for.
pub(super) fn usage(error: &clap::Error) {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let ours = words.iter().take_while(|word| *word != "--");
    let json = ours.clone().any(|word| word == "--json");
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
        // Nothing was asked: the help is the answer.
        return to_stderr(&text);
    }
    // The commonest mistake: the command without the two dashes that end our own words.
    let unknown = error.kind() == ErrorKind::UnknownArgument && ours.count() == words.len();
    let undashed = match words.first().and_then(|word| word.to_str()).filter(|_| unknown) {
        Some("run" | "plan") => Some("put `--` before the command: cofferdam run -- CMD"),
        Some("shell") => Some("put `--` before the shell's own words: cofferdam shell -- -c CMD"),
        Some(_) | None => None,
    };
    let told = Usage::of(&text);
    let hint = match (undashed, told.tip) {
        (Some(undashed), _) => undashed.to_owned(),
        (None, Some(tip)) => tip,
        (None, None) => format!("see `{} --help`", asked(&words)),
    };
    if json {
        let object =
            json!({"event": "refusal", "code": "usage", "message": told.what, "hint": hint});
        return to_stderr(&object.to_string());
    }
    let (color, columns) = terminal();
    let what = format!("refused: {}", told.what);
    let between = told.usage.map(|usage| format!("  usage: {usage}"));
    let message = Message { what: &what, code: "usage", between: between.as_slice(), hint: &hint };
    to_stderr(&message.text(color, columns));
}

/// The command that was meant, as far as the words name one.
fn asked(words: &[OsString]) -> String {
    let (mut command, mut path) = (Arguments::command(), "cofferdam".to_owned());
    for word in words {
        let Some(below) = command.find_subcommand(word).cloned() else { break };
        path = format!("{path} {}", below.get_name());
        command = below;
    }
    path
}

/// What clap says, taken apart: paragraphs that begin with `error:`, `tip:` and `Usage:`.
struct Usage {
    what: String,
    tip: Option<String>,
    usage: Option<String>,
}

impl Usage {
    fn of(text: &str) -> Self {
        let lines: Vec<String> = text
            .split("\n\n")
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let part = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
        let usage = part("Usage: ").map(str::to_owned);
        // Several tips are one paragraph; the first is the nearest.
        let tip = part("tip: ").and_then(|tips| tips.split(" tip: ").next()).map(str::to_owned);
        Self { what: part("error: ").unwrap_or_default().to_owned(), tip, usage }
    }
}

/// What `--trace-start` asked for, after everything else.
pub(super) fn trace(trace: &Trace) {
    if let Some(text) = trace.text() {
        to_stderr(text.trim_end());
    }
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
pub(super) fn to_stderr(text: &str) {
    write_line(std::io::stderr().as_fd(), &escaped(text.trim_end())).unwrap_or(());
}

/// An answer of many lines, written as it grows.
#[derive(Debug)]
pub(super) struct Answer {
    kept: Vec<u8>,
    failed: Option<Errno>,
}

impl Answer {
    /// How much is kept before it is written. Bytes.
    const KEPT_MAX: usize = 1 << 16;

    pub(super) const fn new() -> Self {
        Self { kept: Vec::new(), failed: None }
    }

    /// Adds a line; breaks off where nobody gets it any more.
    pub(super) fn line(&mut self, line: &[u8]) -> ControlFlow<()> {
        self.kept.extend_from_slice(line);
        self.kept.push(b'\n');
        if self.kept.len() >= Self::KEPT_MAX { self.write() } else { ControlFlow::Continue(()) }
    }

    fn write(&mut self) -> ControlFlow<()> {
        let written = write_all(std::io::stdout().as_fd(), &self.kept);
        self.kept.clear();
        self.failed = self.failed.or(written.err());
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Writes the rest. Whether the reader went away, which is no fault: it has enough.
    pub(super) fn finish(mut self) -> Result<bool, Refused> {
        if self.failed.is_none() && !self.kept.is_empty() && self.write().is_continue() {
            return Ok(false);
        }
        match self.failed {
            None => Ok(false),
            Some(Errno::PIPE) => Ok(true),
            Some(error) => Err(Refused::Unanswered(error.into())),
        }
    }
}

/// An answer that nobody got is no success; a reader that went away has enough.
pub(super) fn to_stdout(text: &str) -> Result<(), Refused> {
    match write_line(std::io::stdout().as_fd(), &escaped(text)) {
        Ok(()) | Err(Errno::PIPE) => Ok(()),
        Err(error) => Err(Refused::Unanswered(error.into())),
    }
}

fn write_line(fd: BorrowedFd<'_>, text: &str) -> Result<(), Errno> {
    write_all(fd, format!("{text}\n").as_bytes())
}

/// Writes everything, to an `O_NONBLOCK` descriptor too. The streams of the standard library give up
/// there, and hold a closed one for a success.
fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
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
