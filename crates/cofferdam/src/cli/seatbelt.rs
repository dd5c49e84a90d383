//! `cofferdam policy show --seatbelt`: the profile for macOS, on any system.

use std::path::Path;

use cofferdam_plan::Extent;
use cofferdam_plan::egress::{PROXY_PORT, SOCKS_PORT};
use cofferdam_plan::seatbelt::{Gateway, Session, Terminal, compile};
use cofferdam_policy::{in_line, printable};
use serde_json::json;

use super::policy::resolved;
use super::say::{Output, to_stdout};
use crate::engine::Resolved;
use crate::refused::Refused;

/// What nobody who reads a profile should overlook.
const NOT_RUN: &str = "generated, and evaluated by cofferdam's own tests; never run on a Mac";

/// A session's mark, ports and terminal as they could be.
const SHOWN: Session = Session {
    mark: 0,
    gateway: Gateway { http: PROXY_PORT, socks: SOCKS_PORT },
    terminal: Terminal::Own,
};

pub(super) fn show(file: Option<&Path>, output: Output) -> Result<(), Refused> {
    let Resolved { policy, source, .. } = resolved(file, output)?;
    let seatbelt = compile(&policy, &SHOWN)?;
    if output == Output::Json {
        let object = json!({"event": "seatbelt", "file": source, "note": NOT_RUN,
                            "profile": seatbelt.profile, "coverage": seatbelt.coverage});
        return to_stdout(&object.to_string());
    }
    let mut text = format!("; {}: {NOT_RUN}\n{}\n", in_line(&source), seatbelt.profile);
    for row in &seatbelt.coverage {
        let open = match &row.extent {
            Extent::Enforced => String::new(),
            Extent::Partly { open } => format!("\n;   open: {open}"),
        };
        let by = row.mechanisms.join("; ");
        // A name that ends its line would be a rule of the profile.
        let (clause, says) = (in_line(&row.clause), in_line(&row.says));
        text += &format!("; {clause}\n;   {says}\n;   by: {by}{open}\n");
    }
    to_stdout(printable(&text).trim_end())
}
