//! `cofferdam approve`: a person answers what a session asks for.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use cofferdam_policy::{in_line, printable};
use serde_json::json;

use super::REFUSED;
use super::arguments::Approve;
use super::say::{Output, Say, to_stdout};
use crate::control::{Asked, Reply, SessionError};
use crate::engine::Engine;
use crate::refused::Refused;

pub(super) fn obey(what: &Approve) -> ExitCode {
    let say = Say::new(if what.json { Output::Json } else { Output::Text });
    let session = what.session.as_deref();
    let done = match (what.yes, what.no) {
        (Some(id), _) => answer(session, (id, true), &say),
        (None, Some(id)) => answer(session, (id, false), &say),
        (None, None) if what.list || what.json => list(session, what.json),
        (None, None) => ask(session),
    };
    match done {
        Ok(status) => status,
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn answer(
    session: Option<&str>,
    (id, allowed): (u64, bool),
    say: &Say,
) -> Result<ExitCode, Refused> {
    let mut questions = Engine::questions(session)?;
    match questions.answer(id, allowed)? {
        Reply::Answered { .. } => {
            let word = if allowed { "allowed" } else { "refused" };
            let text = if say.is_json() {
                json!({"event": "answered", "session": questions.session().id, "id": id,
                       "allowed": allowed})
                .to_string()
            } else {
                format!("question {id}: {word}")
            };
            to_stdout(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Reply::Refused(told) => {
            say.told(&told);
            Ok(ExitCode::from(REFUSED))
        }
        Reply::Session(_)
        | Reply::Live { .. }
        | Reply::Told { .. }
        | Reply::Restart { .. }
        | Reply::Questions { .. } => Err(SessionError::Build.into()),
    }
}

fn list(session: Option<&str>, json: bool) -> Result<ExitCode, Refused> {
    let mut questions = Engine::questions(session)?;
    let open = questions.open()?;
    let text = if json {
        json!({"session": questions.session().id, "questions": open}).to_string()
    } else if open.is_empty() {
        "nothing is asked for".to_owned()
    } else {
        open.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    to_stdout(&printable(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// A question in one line. Every letter that is not ASCII is escaped.
fn line(asked: &Asked) -> String {
    let Asked { id, host, port, protocol, method, path, seconds_left } = asked;
    let request = [method, path].into_iter().flatten();
    let request: String = request.map(|part| format!(" {part:?}")).collect();
    let place = format!("{host}:{port} {protocol}{request}");
    let place = in_line(place.escape_default().to_string().replace("\\\"", "\""));
    format!("{id}  {seconds_left} s left  {place}")
}

fn ask(session: Option<&str>) -> Result<ExitCode, Refused> {
    let (input, output) = (io::stdin(), io::stdout());
    if !input.is_terminal() || !output.is_terminal() {
        return Err(SessionError::NoTerminal.into());
    }
    let questions = Engine::questions(session)?;
    let running = questions.session();
    let command = running.command.escape_default();
    to_stdout(&format!(
        "session {}, pid {}: {command}\nwaiting for its questions; Ctrl-C leaves, and what is open \
         is refused in time",
        running.id.get(..12).unwrap_or(&running.id),
        running.pid,
    ))?;
    let own = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned().map_err(|source| SessionError::Lost { source })
    };
    questions.ask_person(own(input.as_fd())?, own(output.as_fd())?)?;
    Ok(ExitCode::SUCCESS)
}
