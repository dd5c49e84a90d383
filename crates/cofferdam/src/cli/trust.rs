//! `cofferdam trust`: what a project's policy changes, and a person's word that it may.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use cofferdam_policy::printable;
use rustix::fs::OFlags;
use rustix::termios::{QueueSelector, tcflush};
use serde_json::json;

use super::REFUSED;
use super::arguments::Trust;
use super::say::{Output, Say, to_stdout};
use crate::engine::Engine;
use crate::refused::Refused;
use crate::trusted::{Offer, TrustedError};

/// The one answer that trusts.
const YES: &[u8] = b"yes\n";

/// Does what the person asks for.
pub(super) fn obey(what: &Trust) -> ExitCode {
    let dir = what.dir.as_deref().unwrap_or(Path::new("."));
    let done = match (what.list, what.remove) {
        (true, _) => list(what.json),
        (false, true) => remove(dir, what.json),
        (false, false) => trust(dir, what.json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(if what.json { Output::Json } else { Output::Text }).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn list(json: bool) -> Result<(), Refused> {
    let projects = Engine::trusted_projects()?;
    if json {
        let row = |one: &crate::TrustedProject| json!({"project": one.project.display().to_string(), "sha256": one.sha256});
        let rows: Vec<_> = projects.iter().map(row).collect();
        return to_stdout(&json!({"event": "trusted", "projects": rows}).to_string());
    }
    if projects.is_empty() {
        return to_stdout("no project is trusted");
    }
    let row = |one: &crate::TrustedProject| {
        let sha256 = one.sha256.get(..12).unwrap_or_default();
        format!("{sha256}  {}", cofferdam_policy::in_line(one.project.display()))
    };
    let rows: Vec<String> = projects.iter().map(row).collect();
    to_stdout(&printable(&rows.join("\n")))
}

fn remove(dir: &Path, json: bool) -> Result<(), Refused> {
    let project = Engine::distrust(dir)?;
    let project = project.display().to_string();
    if json {
        return to_stdout(&json!({"event": "trust-removed", "project": project}).to_string());
    }
    to_stdout(&printable(&format!("{project} is trusted no more")))
}

fn trust(dir: &Path, json: bool) -> Result<(), Refused> {
    let offer = Engine::new()?.offer(dir)?;
    if json {
        return to_stdout(
            &json!({"event": "trust-shown", "project": offer.project().display().to_string(),
                    "sha256": offer.sha256(), "trusted": offer.is_trusted,
                    "added": offer.added, "gone": offer.gone})
            .to_string(),
        );
    }
    if offer.is_trusted {
        to_stdout(offer.shown().trim_end())?;
        return to_stdout("it is trusted as it is");
    }
    ask(&offer)?;
    offer.trust()?;
    to_stdout(&printable(&format!("{} is trusted", offer.project().display())))
}

/// Shows it and waits for the word, both on the terminal: wherever standard output goes, who answers has
/// seen what is asked.
fn ask(offer: &Offer) -> Result<(), TrustedError> {
    let flags = (OFlags::NOCTTY | OFlags::CLOEXEC).bits().cast_signed();
    let tty = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty");
    let Ok(mut tty) = tty else { return Err(TrustedError::NoTerminal) };
    let gone = |_: io::Error| TrustedError::NoTerminal;
    tty.write_all(offer.shown().as_bytes()).map_err(gone)?;
    // What was typed before it was seen answers nothing.
    tcflush(tty.as_fd(), QueueSelector::IFlush).map_err(|error| gone(error.into()))?;
    tty.write_all(b"type `yes` to let it hold here: ").map_err(gone)?;
    if answer(&mut tty).map_err(gone)? { Ok(()) } else { Err(TrustedError::Declined) }
}

/// Whether the next line is the word. A terminal gives a line at a time; more than the word is none.
fn answer(tty: &mut File) -> io::Result<bool> {
    let mut typed = [0_u8; 16];
    let count = tty.read(&mut typed)?;
    Ok(typed.get(..count) == Some(YES))
}
