//! One more life in a systemd scope of the user's own, where a limit needs a delegated cgroup.
//!
//! `systemd-run --scope` does not start a program but becomes it: number and start time of this
//! process stay, and so do its streams, its terminal and its directory. What it says of itself in
//! the environment is believed only to stop: it must name this very process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
/// Without a description of its own a unit is described by its words, which the journal keeps and
/// everybody may ask for: a value of `--env` would be among them.
const SCOPE: [&str; 7] =
    ["--user", "--scope", "--collect", "--quiet", "--description=cofferdam", "-p", "Delegate=yes"];
/// Arguments stay as they are (systemd 254; before, they do anyway).
const LITERAL: &str = "--expand-environment=no";
/// Names the process that has tried.
const TRIED: &str = "COFFERDAM_SCOPE";
/// A service manager that takes longer is not there.
const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A way into a scope that was tried and works.
#[derive(Debug)]
pub struct Scope {
    options: Vec<&'static str>,
    exe: PathBuf,
    me: String,
}

impl Scope {
    /// Finds out by making one. `None` where this process has had its chance, and where the user
    /// has no service manager.
    #[must_use]
    pub fn find() -> Option<Self> {
        let me = crate::cgroup::own_name(Path::new("/"))?;
        let bus = PathBuf::from(variable("XDG_RUNTIME_DIR")?);
        let there = ["bus", "systemd/private"].iter().any(|name| bus.join(name).exists());
        if variable(TRIED).is_some_and(|tried| tried == *me) || !there {
            return None;
        }
        let exe = std::fs::read_link("/proc/self/exe").ok()?;
        let mut options = SCOPE.to_vec();
        options.push(LITERAL);
        if !works(&options) {
            options.pop();
            if !works(&options) {
                return None;
            }
        }
        Some(Self { options, exe, me })
    }

    /// Becomes the same program with the same words, in a scope. Comes back only with the reason
    /// why not. Children of this process stay its own, so there should be none.
    #[must_use]
    pub fn enter(self) -> io::Error {
        let words: Vec<OsString> = std::env::args_os().skip(1).collect();
        let mut command = systemd_run(&self.options, self.exe.as_os_str());
        command.args(words).env(TRIED, self.me).exec()
    }
}

#[expect(clippy::disallowed_methods, reason = "where the user's service manager is, and a loop")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "becomes another program, and starts one to find out"
)]
fn systemd_run(options: &[&str], program: &OsStr) -> Command {
    let mut command = Command::new(SYSTEMD_RUN);
    command.args(options).arg("--").arg(program);
    command
}

fn works(options: &[&str]) -> bool {
    let mut command = systemd_run(options, OsStr::new("true"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let begin = Instant::now();
    while begin.elapsed() < ANSWER {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(PAUSE),
            Err(_) => return false,
        }
    }
    // Not ours to wait for any longer.
    child.kill().and_then(|()| child.wait()).is_ok_and(|_| false)
}
