//! `cofferdam home`: which homes are kept, and away with them.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_policy::in_line;
use serde_json::json;

use super::arguments::HomeCommand;
use super::say::{self, Output, Say};
use crate::engine::Engine;
use crate::homes::KeptHome;
use crate::refused::Refused;

/// Does what the person asks for.
pub(super) fn obey(command: &HomeCommand) -> ExitCode {
    let (json, done) = match command {
        HomeCommand::List { json } => (*json, list(*json)),
        HomeCommand::Reset { workspace, all, json } => {
            let workspace = workspace.as_deref().unwrap_or(Path::new("."));
            (*json, reset((!all).then_some(workspace), *json))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(if json { Output::Json } else { Output::Text }).refused(&refused);
            ExitCode::from(super::REFUSED)
        }
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// How long ago, in the largest whole unit.
fn ago(time: Option<SystemTime>) -> String {
    let since = time.and_then(|time| SystemTime::now().duration_since(time).ok());
    let Some(since) = since else { return "at an unknown time".into() };
    let minutes = since.as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "just now".into(),
        1..60 => (minutes, "minute"),
        60..1440 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

fn list(json: bool) -> Result<(), Refused> {
    let homes = Engine::homes()?;
    if json {
        let row = |home: &KeptHome| {
            json!({"workspace": home.workspace.display().to_string(),
                   "path": home.path.display().to_string(),
                   "last_used": home.last_used.and_then(seconds),
                   "workspace_exists": home.workspace_exists})
        };
        let rows: Vec<_> = homes.iter().map(row).collect();
        return say::to_stdout(&json!({ "homes": rows }).to_string());
    }
    if homes.is_empty() {
        return say::to_stdout("no home is kept");
    }
    let line = |home: &KeptHome| {
        let gone = if home.workspace_exists { "" } else { ", the workspace is gone" };
        let (workspace, path) = (in_line(home.workspace.display()), home.path.display());
        format!("{workspace}   used {}{gone}\n  {path}", ago(home.last_used))
    };
    let lines: Vec<String> = homes.iter().map(line).collect();
    say::to_stdout(&cofferdam_policy::printable(&lines.join("\n")))
}

fn reset(workspace: Option<&Path>, json: bool) -> Result<(), Refused> {
    let gone = Engine::reset_homes(workspace)?;
    let names: Vec<String> = gone.iter().map(|path| path.display().to_string()).collect();
    if json {
        return say::to_stdout(&json!({ "removed": names }).to_string());
    }
    let text = match names.as_slice() {
        [] => "no home is kept".to_owned(),
        names => format!("removed the home of {}", in_line(names.join(", "))),
    };
    say::to_stdout(&cofferdam_policy::printable(&text))
}
