//! Which limits can be held here: tried by making a control group, and removing it.

use std::fs;
use std::path::{Path, PathBuf};

/// What holds a limit on memory and processes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A group of ours can be made, and the kernel counts in it (`cgroups(7)`).
    Groups { version: u8, at: PathBuf },
    /// No group can be made: each process by itself (`setrlimit(2)`).
    EachProcess { why: String },
}

/// Where control groups are mounted by convention (`cgroups(7)`).
const TOP: &str = "/sys/fs/cgroup";

/// Tries the unified hierarchy, then the older ones.
pub(super) fn find() -> Found {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match unified(&own).or_else(|why| older(&own).map_err(|older| format!("{why}; {older}"))) {
        Ok(found) => found,
        Err(why) => Found::EachProcess { why },
    }
}

/// The group of this process in the unified hierarchy, where it may divide it and both count.
fn unified(own: &str) -> Result<Found, String> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or("no unified control groups")?;
    let at = below(&[TOP, "/sys/fs/cgroup/unified"], path);
    let at = at.ok_or("no unified control groups are mounted")?;
    let counts = fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default();
    let missing =
        ["memory", "pids"].iter().find(|name| !counts.split_whitespace().any(|c| c == **name));
    if let Some(missing) = missing {
        return Err(format!("{} does not count {missing}", at.display()));
    }
    made(&at).map(|()| Found::Groups { version: 2, at })
}

/// Both of the older hierarchies.
fn older(own: &str) -> Result<Found, String> {
    let mut last = None;
    for name in ["pids", "memory"] {
        let line = own.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|n| n == name).then_some(path)
        });
        let path = line.ok_or(format!("no control group counts {name}"))?;
        let at = below(&[&format!("{TOP}/{name}")], path);
        let at = at.ok_or(format!("the control group of {name} is not mounted"))?;
        made(&at)?;
        last = Some(at);
    }
    let at = last.ok_or("no older control groups")?;
    Ok(Found::Groups { version: 1, at })
}

fn below(tops: &[&str], path: &str) -> Option<PathBuf> {
    let tops = tops.iter().map(|top| Path::new(top).join(path.trim_start_matches('/')));
    tops.into_iter().find(|at| at.join("cgroup.procs").exists())
}

/// Makes a group below `at`, and removes it.
fn made(at: &Path) -> Result<(), String> {
    let ours = at.join(format!("cofferdam-doctor-{}", std::process::id()));
    let words = |error: std::io::Error| {
        let why = cofferdam_sandbox::refusal::errno_text(error.raw_os_error().unwrap_or(0));
        format!("no group can be made in {}: {why}", at.display())
    };
    fs::create_dir(&ours).map_err(words)?;
    let joins = fs::OpenOptions::new().write(true).open(ours.join("cgroup.procs")).map(drop);
    fs::remove_dir(&ours).and(joins).map_err(words)
}
