//! `cofferdam doctor`: what was found, in words or as one object.

use std::path::Path;
use std::process::ExitCode;

use cofferdam_sys::process::{SignalSet, set_blocked};
use serde_json::{Value, json};

use super::REFUSED;
use super::arguments::Doctor;
use super::say::{self, Output, Say};
use crate::doctor::{Diagnosis, Finding, State, answer, examine, profile};
use crate::refused::Refused;

/// `SIGHUP`, `SIGINT`, `SIGTERM` (`signal(7)`).
const HELD_BACK: [i32; 3] = [1, 2, 15];

/// 0 where all holds that the wall needs, 1 where not, 125 where that cannot be told.
pub(super) fn doctor(what: &Doctor) -> ExitCode {
    if !what.probe.is_empty() {
        answer(&what.probe);
        return ExitCode::SUCCESS;
    }
    let told = if what.apparmor_profile { tell_profile() } else { tell_all(what) };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(refused) => {
            Say::new(if what.json { Output::Json } else { Output::Text }).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn tell_all(what: &Doctor) -> Result<bool, Refused> {
    // For the second that it takes: what it made is removed before it ends.
    let before = set_blocked(&HELD_BACK.iter().fold(SignalSet::empty(), |set, n| set.with(*n)));
    let diagnosis = examine(what.runsc.as_deref());
    if let Ok(before) = before {
        drop(set_blocked(&before));
    }
    let diagnosis = diagnosis?;
    let text = if what.json { object(&diagnosis).to_string() } else { text(&diagnosis) };
    say::to_stdout(&cofferdam_policy::printable(&text))?;
    Ok(diagnosis.holds())
}

fn tell_profile() -> Result<bool, Refused> {
    let failed = |source| Refused::Diagnosis { doing: "find this program", source };
    let this = std::fs::read_link("/proc/self/exe").map_err(failed)?;
    let directory = this.parent().unwrap_or(Path::new("/"));
    let text = profile(directory);
    let text = text.ok_or_else(|| Refused::NoProfile { path: directory.join("cofferdam-init") })?;
    say::to_stdout(text.trim_end())?;
    Ok(true)
}

fn text(diagnosis: &Diagnosis) -> String {
    let machine = &diagnosis.machine;
    let mut lines = vec![
        format!("cofferdam  {}", env!("CARGO_PKG_VERSION")),
        format!("kernel     {}", machine.kernel),
        format!("system     {}", machine.system),
        format!("started by {}", machine.user),
    ];
    lines.extend(machine.modules.iter().map(|modules| format!("modules    {modules}")));
    lines.extend(machine.around.iter().map(|around| format!("around     {around}")));
    lines.push(String::new());
    let is_absent = diagnosis.findings.iter().any(|finding| finding.state == State::Absent);
    for Finding { guarantee, state, found, remedy } in &diagnosis.findings {
        lines.push(format!("{:<10}  {:<17}  {found}", state.word(), guarantee.name()));
        if let State::Weaker { open } = state {
            lines.push(format!("            open: {open}"));
        }
        // What was not tried mostly waits for what is absent, which has its own.
        let waits = *state == State::Unknown && is_absent;
        let remedy = remedy.iter().filter(|_| !waits);
        lines.extend(remedy.map(|remedy| format!("            help: {remedy}")));
    }
    lines.push(String::new());
    let bad = diagnosis.findings.iter().filter(|finding| !finding.state.holds()).count();
    lines.push(match bad {
        0 => "all holds that the wall needs".into(),
        1 => "1 guarantee does not hold".into(),
        more => format!("{more} guarantees do not hold"),
    });
    lines.join("\n")
}

fn object(diagnosis: &Diagnosis) -> Value {
    let machine = &diagnosis.machine;
    let row = |finding: &Finding| {
        let open = match &finding.state {
            State::Weaker { open } => Some(open),
            State::Enforced | State::Absent | State::Unknown | State::NotNeeded => None,
        };
        json!({
            "guarantee": finding.guarantee.name(),
            "state": finding.state.word(),
            "found": finding.found,
            "open": open,
            "remedy": finding.remedy,
        })
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "holds": diagnosis.holds(),
        "kernel": machine.kernel,
        "system": machine.system,
        "user": machine.user,
        "modules": machine.modules,
        "around": machine.around,
        "guarantees": diagnosis.findings.iter().map(row).collect::<Vec<_>>(),
    })
}
