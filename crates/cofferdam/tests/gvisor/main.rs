//! `gvisor/native`: the workload meets gVisor's kernel, and that one the jail around it.
//!
//! Each act first is shown outside; where a build is not there it says so, and fails in CI.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "panics are how tests fail, and what is not run is told"
)]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod inside;
mod rows;
mod sentry;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Place, Ran, finish, variable};

/// A build, with the options that choose how it is used.
struct Wall {
    place: Place,
    runsc: PathBuf,
    options: &'static [&'static str],
    name: &'static str,
}

/// Nothing that is written stays.
const TENANT: &[&str] = &["--oversight", "tenant"];
/// Trees of the host's are read-only.
const READ: &[&str] = &["--isolation", "gvisor", "--workspace", ".:ro"];

impl Wall {
    /// What was brought by `cargo xtask runsc`, where somebody else may read it.
    fn new(year: &str, options: &'static [&'static str], name: &'static str) -> Option<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/runsc");
        let builds = variable("COFFERDAM_RUNSC_BUILDS").map_or(checkout, PathBuf::from);
        let runsc = builds.join(year).join("usr/bin/runsc");
        if !runsc.is_file() {
            let must = variable("CI").or_else(|| variable("COFFERDAM_RUNSC_BUILDS"));
            assert!(must.is_none(), "{}: no runsc of {year}", builds.display());
            println!("not run: {name}: no runsc of {year}, which `cargo xtask runsc` brings");
            return None;
        }
        Some(Self { place: place(), runsc, options, name })
    }

    /// Each way in which it is used here.
    fn all() -> Vec<Self> {
        let ways = [
            ("2024", TENANT, "tenant, 2024"),
            ("2024", READ, "read-only, 2024"),
            ("2022", READ, "read-only, 2022"),
        ];
        ways.into_iter()
            .filter_map(|(year, options, name)| Self::new(year, options, name))
            .collect()
    }

    /// The one that servers use.
    fn tenant() -> Option<Self> {
        Self::new("2024", TENANT, "tenant, 2024")
    }

    /// The one in which trees of the host's can be granted.
    fn reading() -> Option<Self> {
        Self::new("2024", READ, "read-only, 2024")
    }

    /// A run with more options, the command to come.
    fn command(&self, options: &[&str]) -> Command {
        run(&self.place, &self.runsc, &[self.options, options].concat())
    }

    fn sh(&self, script: &str) -> Ran {
        self.sh_with(&[], script)
    }

    fn sh_with(&self, options: &[&str], script: &str) -> Ran {
        finish(self.command(options).args(["sh", "-c", script]))
    }
}

/// A run with this program as `runsc`.
fn run(place: &Place, runsc: &Path, options: &[&str]) -> Command {
    let runsc = runsc.display().to_string();
    place.cofferdam(&[&["--runsc", &runsc], options].concat())
}

/// A place through which the workload's user comes to a program.
fn place() -> Place {
    let place = Place::new();
    for path in [&place.root, &place.out] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    place
}
