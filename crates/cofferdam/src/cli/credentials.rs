//! `cofferdam credentials`: what becomes of a credential while its session runs.

use std::process::ExitCode;

use cofferdam_policy::in_line;
use serde_json::json;

use super::REFUSED;
use super::arguments::{Credential, CredentialsCommand};
use super::say::{Output, Say, to_stdout};
use crate::control::{CredentialChange, Reply, SessionError};
use crate::engine::Engine;
use crate::refused::Refused;

pub(super) fn obey(what: &CredentialsCommand) -> ExitCode {
    let (change, asked) = match what {
        CredentialsCommand::Revoke(asked) => (CredentialChange::Revoke, asked),
        CredentialsCommand::Rotate(asked) => (CredentialChange::Rotate, asked),
    };
    let say = Say::new(if asked.json { Output::Json } else { Output::Text });
    tell(change, asked, &say).unwrap_or_else(|refused| {
        say.refused(&refused);
        ExitCode::from(REFUSED)
    })
}

fn tell(change: CredentialChange, asked: &Credential, say: &Say) -> Result<ExitCode, Refused> {
    let (session, name) = match asked.words.as_slice() {
        [session, name] => (Some(session.as_str()), name),
        [name] => (None, name),
        [] | [_, _, ..] => return Err(SessionError::Build.into()),
    };
    let (running, reply) = Engine::tell_of_credential(session, name, change)?;
    match reply {
        Reply::Told { credential } => {
            let word = match change {
                CredentialChange::Revoke => "revoked",
                CredentialChange::Rotate => "rotated",
            };
            let id = running.id.as_str();
            to_stdout(&if say.is_json() {
                let event = format!("credential-{word}");
                json!({"event": event, "session": id, "credential": credential}).to_string()
            } else {
                let id = id.get(..12).unwrap_or(id);
                format!("session {id}: {} is {word}", in_line(&credential))
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Reply::Refused(told) => {
            say.told(&told);
            Ok(ExitCode::from(REFUSED))
        }
        Reply::Session(_)
        | Reply::Live { .. }
        | Reply::Restart { .. }
        | Reply::Questions { .. }
        | Reply::Answered { .. } => Err(SessionError::Build.into()),
    }
}
