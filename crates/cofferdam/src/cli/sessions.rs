//! `cofferdam sessions`: what runs and can be asked.

use std::process::ExitCode;

use cofferdam_policy::{in_line, printable};
use serde_json::json;

use super::REFUSED;
use super::say::{Output, Say, to_stdout};
use crate::control::Running;
use crate::engine::Engine;
use crate::refused::Refused;

pub(super) fn list(json: bool) -> ExitCode {
    match Engine::sessions().and_then(|sessions| answer(&sessions, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(if json { Output::Json } else { Output::Text }).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn answer(sessions: &[Running], json: bool) -> Result<(), Refused> {
    if json {
        return to_stdout(&json!({ "sessions": sessions }).to_string());
    }
    if sessions.is_empty() {
        return to_stdout("no session runs that can be asked");
    }
    let lines: Vec<String> = sessions.iter().map(line).collect();
    to_stdout(&printable(&lines.join("\n")))
}

fn line(session: &Running) -> String {
    let Running { id, pid, since, command, policy, generation, approve, credentials } = session;
    let asks = if *approve { ", asks" } else { "" };
    let (command, policy) = (in_line(command), in_line(policy));
    format!(
        "{id}  pid {pid}  since {since}{asks}\n  command  {command}\n  policy   {policy}, \
         generation {generation}{}",
        if credentials.is_empty() {
            String::new()
        } else {
            format!("\n  bears    {}", in_line(credentials.join(", ")))
        }
    )
}
