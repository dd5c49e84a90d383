//! Which limits can be held here: tried by making a control group, and removing it.

use std::path::Path;

use cofferdam_plan::plan::Bounds;
use cofferdam_sandbox::{Group, refusal::errno_text};

/// What holds a limit on memory and processes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A group of ours can be made, and takes both limits (`cgroups(7)`).
    Groups { version: u8 },
    /// No group can be made: each process by itself (`setrlimit(2)`).
    EachProcess { why: String },
}

/// Limits that are small, and that no process meets: there is none.
const TRIED: Bounds = Bounds {
    memory: Some(64 << 20),
    processes: Some(16),
    own_processes: 0,
    cpus: None,
    file_size: None,
    wall_time: None,
    grace: 0,
};

/// Tries it as a start does.
pub(super) fn find() -> Found {
    let Some(group) = Group::make(Path::new("/")) else {
        let why = "no control group of ours that counts memory or processes can be made".into();
        return Found::EachProcess { why };
    };
    match group.set(&TRIED) {
        Ok(()) => Found::Groups { version: group.groups().version },
        Err(error) => {
            let why = error.raw_os_error().map_or_else(|| error.to_string(), errno_text);
            Found::EachProcess { why: format!("a control group does not take them: {why}") }
        }
    }
}
