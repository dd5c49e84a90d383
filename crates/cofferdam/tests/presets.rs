//! Each preset with its toolchain, as a person uses it: something small is built or run inside, and
//! nothing outside of the workspace changes. What a preset is for fails without it.
//!
//! Programs come from the system, or from the directory `bin` of `COFFERDAM_TOOLS`, which
//! `cargo xtask presets` fills; agents as npm installs them are in its directory `npm-global`, which
//! `cargo xtask agents` fills. What is missing says so by name.
#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "helpers of tests are not covered by the exemption for tests; and they start programs"
)]

#[path = "presets/agents.rs"]
mod agents;
#[path = "presets/language.rs"]
mod language;
#[path = "support/mod.rs"]
mod support;
#[path = "presets/toolchains.rs"]
mod toolchains;
#[path = "presets/turns.rs"]
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Place, Ran, finish, programs, variable};

/// A program of the toolchain under test; says that a test is not run where there is none.
fn tool(name: &str) -> Option<PathBuf> {
    let tools = variable("COFFERDAM_TOOLS").map(|tools| Path::new(&tools).join("bin"));
    let system = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let found = tools.into_iter().chain(system).map(|folder| folder.join(name));
    let found = found.filter_map(|path| fs::canonicalize(path).ok()).next();
    if found.is_none() {
        println!("not run: {name} is not installed (cargo xtask presets does it)");
    }
    found
}

/// A place whose toolchains are its own.
struct Bench {
    place: Place,
    path: String,
}

impl Bench {
    fn new() -> Self {
        Self { place: Place::new(), path: "/usr/local/bin:/usr/bin:/bin".into() }
    }

    /// Puts `program` into the home, as its installer does, and on `PATH`.
    fn install(&mut self, program: &Path, folder: &str) {
        let name = program.file_stem().unwrap_or_else(|| panic!("{program:?}"));
        let folder = self.place.home.join(folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
        let to = folder.join(name);
        if fs::hard_link(program, &to).is_err() {
            fs::copy(program, &to).unwrap_or_else(|error| panic!("{program:?}: {error}"));
        }
        self.path = format!("{}:{}", folder.display(), self.path);
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.place.command(program);
        command.env("PATH", &self.path).env("LC_ALL", "C.UTF-8");
        command
    }

    fn outside(&self, script: &str) -> Ran {
        finish(self.command("sh").args(["-ec", script]))
    }

    /// A shell script inside, with these options.
    fn inside(&self, options: &[&str], script: &str) -> Ran {
        let mut command = self.command(programs().join("cofferdam"));
        command.args(["run", "--quiet"]).args(options);
        finish(command.args(["--", "sh", "-ec", script]))
    }

    /// With the presets alone.
    fn with(&self, preset: &str, script: &str) -> Ran {
        self.inside(&["--preset", preset], script)
    }

    /// Every name of the home but the workspace and our own log, with size, time and mode.
    fn listing(&self) -> String {
        // Making ~/.local for the log changes the home's own time: what is in it counts.
        let script = "find $H -mindepth 1 \\( -path $W -o -path $H/.local/state \\) -prune \
                      -o -path $H/.local -o -printf '%p %s %T@ %m\\n'";
        let listed = self.outside(script).works("list the home").out;
        let mut lines: Vec<&str> = listed.lines().collect();
        lines.sort_unstable();
        assert!(listed.contains("/id_test "), "the listing lists: {listed}");
        lines.join("\n")
    }

    /// Runs `acts`; nothing of the home is different afterwards.
    #[track_caller]
    fn unchanged(&self, acts: impl FnOnce()) {
        let before = self.listing();
        acts();
        assert_eq!(before, self.listing(), "something outside changed");
    }
}
