//! `doctor`'s look at gVisor: whether an application kernel can be had, on which platforms.

use std::path::Path;

use cofferdam_plan::Host;
use cofferdam_plan::host::Runsc;
use cofferdam_sandbox::runsc::{Depth, Seek, find};
use cofferdam_sandbox::{Caller, Programs};

/// Looks for it, `named` or in the system's places, and tries each platform anew; nothing is kept of that.
/// `None` where nothing of ours can be started.
pub(super) fn look(caller: &Caller, named: Option<&Path>, host: &Host) -> Option<Runsc> {
    let programs = Programs::beside_this_one().ok()?;
    let (person, _) = caller.person(&caller.cwd);
    // The home, and what is above it, is no workspace.
    let workspace = Some(caller.cwd.as_path()).filter(|cwd| !caller.home.starts_with(cwd));
    let written: Vec<&Path> = workspace.into_iter().collect();
    let seek = Seek { named, written: &written, state: None, ids: person.ids, depth: Depth::Each };
    Some(find(&seek, &programs, host).record)
}
