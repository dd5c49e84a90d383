//! What goes on record, made from what was decided and what happened.

use std::sync::Arc;
use std::time::Instant;

use cofferdam_audit::{Connection, Event, ExitKind, Log, NameDenied, Request};
use cofferdam_plan::message::{Denied, Ended, Way, Went};
use cofferdam_policy::{Document, Layer, Source};
use cofferdam_sandbox::{Outcome, StartRefusal};
use serde_json::value::RawValue;

use crate::digest;
use crate::engine::Prepared;
use crate::refused::Refused;
use crate::trusted::{ProjectPolicy, file_of};

/// Puts a refusal on record; gives it back as ours.
pub(super) fn recorded(log: &mut Log, refusal: StartRefusal) -> Result<Refused, Refused> {
    let refused = Refused::from(refusal);
    log.append(&refusal_event(&refused))?;
    Ok(refused)
}

/// A text that holds, or a project's that does not.
#[derive(Debug, serde::Serialize)]
pub(super) struct LayerRow {
    layer: &'static str,
    file: String,
    /// Of the text; `None` for one that was not opened.
    sha256: Option<String>,
}

/// Every text between what is built in and flags.
pub(super) fn layers(document: &Document, project: &ProjectPolicy) -> Vec<LayerRow> {
    let row = |(layer, source): &(Layer, Arc<Source>)| LayerRow {
        layer: layer.as_str(),
        file: source.name.clone(),
        sha256: Some(digest::sha256(source.text.as_bytes())),
    };
    let untrusted = match project {
        ProjectPolicy::None | ProjectPolicy::Trusted { .. } => None,
        ProjectPolicy::Untrusted { project } => Some(LayerRow {
            layer: "untrusted-project",
            file: file_of(project).display().to_string(),
            sha256: None,
        }),
    };
    document.layers.iter().map(row).chain(untrusted).collect()
}

pub(super) fn start_event(prepared: &Prepared) -> Result<Event, Refused> {
    fn json(value: &impl serde::Serialize) -> Result<Box<RawValue>, Refused> {
        serde_json::value::to_raw_value(value).map_err(Refused::Unrecordable)
    }
    Ok(Event::Start {
        facts: json(&prepared.facts)?,
        host: json(&prepared.host)?,
        policy: json(&prepared.policy)?,
        plan: json(&prepared.plan)?,
        layers: json(&prepared.layers)?,
    })
}

pub(super) fn refusal_event(refused: &Refused) -> Event {
    Event::Refusal {
        code: refused.code().into(),
        message: refused.to_string(),
        hint: refused.hint(),
    }
}

pub(super) fn end_event(outcome: &Outcome, started: Instant) -> Event {
    let outcome_kind = match outcome {
        Outcome::Signaled(signal) | Outcome::Ended(signal) => ExitKind::Signal(i32::from(*signal)),
        Outcome::Exited(_)
        | Outcome::NotStarted(_)
        | Outcome::Killed { .. }
        | Outcome::Failed { .. }
        | Outcome::OutputLost { .. }
        | Outcome::Limited { .. }
        | Outcome::Lost => ExitKind::Code(outcome.status()),
    };
    let note = match outcome {
        Outcome::Exited(_) | Outcome::Signaled(_) => None,
        Outcome::NotStarted(errno) => {
            let why = cofferdam_sandbox::refusal::errno_text(*errno);
            Some(format!("the program could not be started: {why}"))
        }
        Outcome::Killed { fallen } => {
            Some(format!("killed: the guard over {} fell", fallen.display()))
        }
        Outcome::Ended(_) => Some("ended by a signal to cofferdam itself".into()),
        Outcome::Failed { doing, .. } => Some(format!("cannot {doing}")),
        Outcome::OutputLost { stream, errno, status, .. } => {
            let why = cofferdam_sandbox::refusal::errno_text(*errno);
            Some(format!("{stream}: output was lost: {why}; the command's own status: {status}"))
        }
        Outcome::Limited { hits, .. } => {
            let hits: Vec<String> = hits.iter().map(ToString::to_string).collect();
            Some(hits.join("; "))
        }
        Outcome::Lost => Some("init was killed from outside".into()),
    };
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Event::Exit { outcome: outcome_kind, duration_ms, note }
}

/// A connection, as the gateway told it.
pub(super) fn connection(ended: &Ended) -> Event {
    let way = match ended.way {
        Way::Direct => "direct",
        Way::Proxy => "proxy",
        Way::Socks => "socks",
        Way::Lookup => "lookup",
        Way::Published => "published",
        Way::Agent => "agent",
    };
    let (verdict, code) = match &ended.verdict {
        Went::Allowed => ("allowed", None),
        Went::Denied { code } => ("denied", Some(code.clone())),
        Went::Failed { code } => ("failed", Some(code.clone())),
    };
    Event::Connection(Box::new(Connection {
        way,
        host: ended.host.clone(),
        port: ended.port,
        protocol: ended.protocol.map(|protocol| protocol.as_str()),
        address: ended.address.map(|address| address.to_string()),
        verdict,
        code,
        clause: ended.clause.to_string(),
        why: ended.why.clone(),
        fix: ended.fix.clone(),
        sent: ended.sent,
        received: ended.received,
        duration_ms: ended.duration_ms,
        times: ended.times,
        request: ended.request.as_ref().map(|request| Request {
            version: request.version.as_str(),
            method: request.method.clone(),
            path: request.path.clone(),
            status: request.status,
        }),
    }))
}

/// Every wall stands; with the certificate of the session's own authority, if it has one.
pub(super) fn ready_event(authority: Option<&[u8]>) -> Event {
    Event::Ready { authority: authority.map(digest::sha256) }
}

/// An operation on a name, as the broker told it.
pub(super) fn name(denied: Denied) -> Event {
    Event::Name(Box::new(NameDenied {
        operation: denied.operation.as_str(),
        path: denied.path,
        clause: denied.clause.to_string(),
        why: denied.why,
        fix: denied.fix,
        errno: denied.errno,
        times: denied.times,
    }))
}
