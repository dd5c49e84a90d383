//! What every test of the built programs needs: a place of its own, a way in, and a way around.
//!
//! The programs are those of this build, or those in `COFFERDAM_PROGRAMS` (an ordinary user
//! cannot reach a checkout below root's home).
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "each test program uses a part of it, starts programs, and panics are how tests fail"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Begins every Python script: `call(number, ...)` makes a system call or raises `OSError`.
const PRELUDE: &str = "
import ctypes, errno, os, sys
_c = ctypes.CDLL(None, use_errno=True)
_c.syscall.restype = ctypes.c_long
def call(number, *args):
    args = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ret = _c.syscall(ctypes.c_long(number), *args)
    if ret < 0:
        e = ctypes.get_errno()
        raise OSError(e, errno.errorcode.get(e, str(e)))
    return ret
def run():
";

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The act worked.
    #[track_caller]
    pub fn works(self, why: &str) -> Self {
        assert_eq!(self.status, Some(0), "{why}: should work: {self:?}");
        self
    }

    /// The act failed for one of these reasons: errno names, or words of the output.
    #[track_caller]
    pub fn fails(self, with: &[&str], why: &str) -> Self {
        assert!(
            !matches!(self.status, Some(0 | 125) | None),
            "{why}: should fail inside: {self:?}"
        );
        let said = with.iter().any(|word| self.err.contains(word) || self.out.contains(word));
        assert!(said, "{why}: should fail with one of {with:?}: {self:?}");
        self
    }

    /// cofferdam refused to start it.
    #[track_caller]
    pub fn refused(self, with: &str, why: &str) -> Self {
        assert_eq!(self.status, Some(125), "{why}: should be refused: {self:?}");
        let text: String =
            self.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(text.contains(with), "{why}: should say {with:?}: {self:?}");
        self
    }
}

/// The built programs.
pub fn programs() -> PathBuf {
    match std::env::var_os("COFFERDAM_PROGRAMS") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_BIN_EXE_cofferdam"))
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default(),
    }
}

/// A variable of the test's own environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether golden files are to be written anew instead of compared.
pub fn updates_golden() -> bool {
    variable("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|seen| seen.uid() == 0)
}

/// Directories of one test, removed at its end:
/// `home` with secrets, `work` (a project in it, the workspace), `out` (somebody else's).
#[derive(Debug)]
pub struct Place {
    pub root: PathBuf,
    pub home: PathBuf,
    pub work: PathBuf,
    pub out: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = fs::canonicalize(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into());
        let root = top.join(format!("cofferdam-test-{}-{number}", std::process::id()));
        let place = Self {
            home: root.join("home"),
            work: root.join("home/src/app"),
            out: root.join("out"),
            root,
        };
        for folder in [&place.work, &place.out, &place.home.join(".ssh")] {
            fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        }
        fs::set_permissions(&place.home, fs::Permissions::from_mode(0o700))
            .unwrap_or_else(|error| panic!("{error}"));
        place.write("home/.ssh/id_test", "home-secret\n");
        place.write("home/src/other/secret", "other-project\n");
        place.write("out/canary", "out-canary\n");
        place
    }

    /// Writes a file below the root of this place, with its directories.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        fs::write(&path, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    pub fn audit_log(&self) -> PathBuf {
        self.home.join(".local/state/cofferdam/audit.jsonl")
    }

    /// A command with the environment of this place: `W`, `H`, `OUT` name its directories.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.work)
            .env("HOME", &self.home)
            .env("W", &self.work)
            .env("H", &self.home)
            .env("OUT", &self.out)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null());
        command
    }

    /// `cofferdam run [options] --` with the rest to come.
    pub fn cofferdam(&self, options: &[&str]) -> Command {
        let mut command = self.command(programs().join("cofferdam"));
        command.args(["run", "--quiet", "--env", "W", "--env", "H", "--env", "OUT"]);
        command.args(options).arg("--");
        command
    }

    /// Runs a shell script without any wall.
    pub fn outside(&self, script: &str) -> Ran {
        finish(self.command("sh").args(["-c", script]))
    }

    /// Runs a shell script inside.
    pub fn inside(&self, script: &str) -> Ran {
        self.inside_with(&[], script)
    }

    pub fn inside_with(&self, options: &[&str], script: &str) -> Ran {
        finish(self.cofferdam(options).args(["sh", "-c", script]))
    }

    /// Runs the body of a Python function without any wall; an exception is a failure.
    pub fn python_outside(&self, body: &str) -> Ran {
        finish(self.command("/usr/bin/python3").args(["-c", &python(body)]))
    }

    /// The same inside.
    pub fn python_inside(&self, body: &str) -> Ran {
        finish(self.cofferdam(&[]).args(["/usr/bin/python3", "-c", &python(body)]))
    }

    pub fn python_inside_with(&self, options: &[&str], body: &str) -> Ran {
        finish(self.cofferdam(options).args(["/usr/bin/python3", "-c", &python(body)]))
    }

    /// What is said of these acts, as shell scripts, inside of a run during which the host does
    /// `change`: each is tried before the next look at the mounts and after it. One that works is
    /// told as `done: ACT`, and the end as `over`.
    pub fn during_a_run(&self, options: &[&str], change: &str, acts: &[&str]) -> Ran {
        let mut script = String::from("touch ready; while [ ! -e go ]; do sleep 0.02; done\n");
        let tries: String = acts
            .iter()
            .map(|act| format!("if ({act}) > /dev/null; then echo 'done: {act}'; fi\n"))
            .collect();
        script += &format!("{tries}sleep 2.5\n{tries}echo over");
        let mut command = self.cofferdam(options);
        let command = command.args(["sh", "-c", &script]);
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let run = run.unwrap_or_else(|error| panic!("{error}"));
        self.outside(&format!(
            "n=0; while [ ! -e ready ] && [ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done; \
             rm ready && {change} && touch go"
        ))
        .works("the host's own work");
        let output = run.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
        self.outside("rm -f go").works("");
        Ran::of(&output)
    }

    /// An act, as a shell script, that must work outside and fail inside.
    #[track_caller]
    pub fn shell_attack(&self, script: &str, with: &[&str], why: &str) {
        self.outside(script).works(why);
        self.inside(script).fails(with, why);
    }

    /// An act, as a Python body, that must work outside and fail inside.
    #[track_caller]
    pub fn python_attack(&self, body: &str, with: &[&str], why: &str) {
        self.python_outside(body).works(why);
        self.python_inside(body).fails(with, why);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.root));
    }
}

/// Processes with this variable in their environment, of those that may be looked at.
pub fn marked(variable: &str) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    numbers.filter(has).collect()
}

/// Control groups that the engine `pid` has made.
pub fn groups_of(pid: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            // After the pid namespace.
            let own = format!("-{pid}-");
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with("cofferdam-") && name.contains(&own))
            {
                found.push(entry.path());
            }
            folders.push(entry.path());
        }
    }
    found
}

/// Whether a process of this user may make a control group for memory: by asking for a plan that
/// needs one. Root outside of a container may.
pub fn has_groups() -> bool {
    let place = Place::new();
    let mut command = place.command(programs().join("cofferdam"));
    let ran =
        finish(command.args(["plan", "--limit", "memory=1GiB", "--limit", "cpus=1", "--", "true"]));
    let has = ran.status == Some(0);
    let writable = Command::new("sh")
        .args([
            "-c",
            "test -w /sys/fs/cgroup/memory/cgroup.procs -a -w /sys/fs/cgroup/cpu/cgroup.procs",
        ])
        .status()
        .is_ok_and(|status| status.success());
    assert!(has || !is_root() || !writable, "root has groups where they are mounted: {ran:?}");
    has
}

/// Runs to the end and reads everything.
pub fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran::of(&output)
}

/// A whole program from the body of a function.
pub fn python(body: &str) -> String {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{PRELUDE}    pass\n{body}\ntry:\n    run()\nexcept OSError as e:\n    \
         print(errno.errorcode.get(e.errno, e.errno), e, file=sys.stderr)\n    sys.exit(1)\n"
    )
}
