//! The walls of cofferdam's plan that cost something at every call, put around bubblewrap's side.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cofferdam::plan::{Plan, Step, wire};
use cofferdam::{Engine, Options};
use cofferdam_sys::{landlock, seccomp};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The task that puts the walls on. It takes a plan's file, `--`, and a command.
pub(crate) const TASK: &str = "bench-walls";
/// Where bubblewrap's view shows this program and the plan; `/run` is its own there.
pub(super) const PROGRAM: &str = "/run/walls";
pub(super) const PLAN: &str = "/run/plan";

/// What bubblewrap's side needs of a plan.
pub(super) struct Walls {
    /// This program: static, so that it runs in any view.
    pub(super) program: PathBuf,
    /// The plan, in the form in which init gets it.
    pub(super) plan: PathBuf,
}

impl Walls {
    /// The walls of a run in `work` under the default policy, kept in files below `folder`.
    pub(super) fn of_run(programs: &Path, work: &Path, folder: &Path) -> Result<Self, String> {
        let plan = plan(programs, work)?;
        let path = folder.join("plan");
        let kept = fs::write(&path, wire::encode(&plan));
        kept.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            program: std::env::current_exe().map_err(|error| format!("this program: {error}"))?,
            plan: path,
        })
    }
}

/// The filter as far as bubblewrap can have it: nobody is beside it whom calls could be handed to, so
/// what the broker would judge is made at once.
fn without_broker(program: &[u8]) -> Vec<u8> {
    /// `BPF_RET | BPF_K` with `SECCOMP_RET_USER_NOTIF`, and with `SECCOMP_RET_ALLOW`.
    const NOTIFY: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xC0, 0x7F];
    const ALLOW: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xFF, 0x7F];
    let (instructions, _) = program.as_chunks::<8>();
    let allowed = |one: &[u8; 8]| if *one == NOTIFY { ALLOW } else { *one };
    instructions.iter().flat_map(allowed).collect()
}

/// What cofferdam would do for a command in `work`.
fn plan(programs: &Path, work: &Path) -> Result<Plan, String> {
    let before = std::env::current_dir().map_err(|error| error.to_string())?;
    std::env::set_current_dir(work).map_err(|error| error.to_string())?;
    let prepared = Engine::with_programs(programs)
        .and_then(|engine| engine.prepare(&Options::command(["true"])));
    std::env::set_current_dir(before).map_err(|error| error.to_string())?;
    prepared.map(|prepared| prepared.plan).map_err(|refused| format!("the plan: {refused}"))
}

/// Puts every Landlock layer of the plan in the file `plan` on this process, in the plan's order, and then
/// the filter, under which no layer is made any more; and becomes `command`. Comes back only when it cannot.
pub(crate) fn under_walls(plan: &str, command: &[&str]) -> Result<(), String> {
    let bytes = fs::read(plan).map_err(|error| format!("{plan}: {error}"))?;
    let plan: Plan = wire::decode(&bytes).map_err(|_| "a plan of another build".to_owned())?;
    for step in &plan.setup {
        let put_on = if let Step::Landlock { handled, rules } = step {
            restrict(*handled, 0, rules)
        } else if let Step::WorkloadLandlock { handled, scoped, rules } = step {
            restrict(*handled, *scoped, rules)
        } else {
            Ok(())
        };
        put_on.map_err(|error| format!("a Landlock layer: {error}"))?;
    }
    let filter = plan.setup.iter().find_map(|step| {
        if let Step::Seccomp { program } = step { Some(without_broker(program)) } else { None }
    });
    let filter = filter.ok_or("the plan has no filter")?;
    seccomp::set_filter(&filter).map_err(|error| format!("the filter: {error}"))?;
    let (program, words) = command.split_first().ok_or("no command")?;
    Err(format!("{program}: {}", Command::new(program).args(words).exec()))
}

/// As init does, but for paths that bubblewrap's view does not have.
fn restrict(handled: u64, scoped: u64, rules: &[(PathBuf, u64)]) -> std::io::Result<()> {
    let ruleset = landlock::create_ruleset(handled, 0, scoped)?;
    for (path, rights) in rules {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat(CWD, path, flags, Mode::empty()).map_err(std::io::Error::from) {
            Ok(at) => landlock::allow_beneath(ruleset.as_fd(), at.as_fd(), *rights)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    landlock::restrict_self(ruleset.as_fd())
}
