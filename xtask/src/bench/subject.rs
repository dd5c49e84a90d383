//! The two sides: cofferdam under its default policy, and bubblewrap with the same view.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::view::View;
use super::walls::{self, Walls};

/// Nobody's on any machine, and no stand-in.
const OWNER: u32 = 65_533;

pub(super) struct Subject {
    cofferdam: PathBuf,
    scratch: PathBuf,
    home: PathBuf,
}

impl Subject {
    pub(super) fn new(cofferdam: PathBuf, scratch: PathBuf) -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
        Self { cofferdam, scratch, home }
    }

    /// A directory below the scratch one, made where it is missing.
    pub(super) fn workspace(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.scratch.join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    pub(super) fn cofferdam(&self, work: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(work).args(["run", "--quiet", "--network", "none", "--audit"]);
        command.arg(self.scratch.join("log/audit.jsonl")).arg("--").args(words);
        command
    }

    /// The same under a policy of its own.
    pub(super) fn ruled(&self, work: &Path, policy: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(work).args(["run", "--quiet", "--network", "none", "--audit"]);
        command.arg(self.scratch.join("log/audit.jsonl")).arg("--policy").arg(policy);
        command.arg("--").args(words);
        command
    }

    /// A start under bubblewrap, by an ordinary user where this is root.
    pub(super) fn in_bubblewrap(&self, work: &Path) -> Result<Command, String> {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(work).args(["run", "--quiet", "--jail", "bubblewrap"]);
        command.args(["--network", "none", "--", "true"]);
        self.by_owner(command, work)
    }

    /// The same view by bwrap alone: the very options of the plan, but for the lines about init.
    pub(super) fn bare_bubblewrap(&self, work: &Path, view: &View) -> Result<Command, String> {
        let mut command = Command::new("/usr/bin/bwrap");
        command.args(view.lend()?).args(["--", "/usr/bin/true"]).env_clear();
        self.by_owner(command, work)
    }

    fn by_owner(&self, mut command: Command, work: &Path) -> Result<Command, String> {
        let home = self.workspace("home")?;
        command.env("HOME", &home).env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
        if fs::metadata("/proc/self").is_ok_and(|seen| seen.uid() == 0) {
            for place in [&home, &work.to_owned()] {
                let given = std::os::unix::fs::chown(place, Some(OWNER), Some(OWNER));
                given.map_err(|error| format!("{}: {error}", place.display()))?;
            }
            command.uid(OWNER).gid(OWNER);
        }
        Ok(command)
    }

    /// Writes a policy where no sandbox sees it.
    pub(super) fn policy(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.scratch.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// The same trees, private places, namespaces and environment. What bubblewrap is spared:
    /// guards, a system-call filter, Landlock, a record, ids that are not root's, pipes.
    pub(super) fn bubblewrap(&self, work: &Path, words: &[&str]) -> Command {
        let mut command = self.view(work);
        command.arg("--").args(words);
        command
    }

    /// [`Subject::bubblewrap`] with the walls of cofferdam's plan that cost something at every
    /// call: this program, inside, puts them on.
    pub(super) fn bubblewrap_walled(&self, work: &Path, walls: &Walls, words: &[&str]) -> Command {
        let mut command = self.view(work);
        for (file, inside) in [(&walls.program, walls::PROGRAM), (&walls.plan, walls::PLAN)] {
            command.arg("--ro-bind").arg(file).arg(inside);
        }
        command.args(["--", walls::PROGRAM, walls::TASK, walls::PLAN, "--"]).args(words);
        command
    }

    /// That both walls stand there, and that the second one is what it takes to see a difference.
    pub(super) fn check_walls(&self, work: &Path, walls: &Walls) -> Result<(), String> {
        // Of `/run` the plan allows reading alone; bubblewrap's own is writable.
        let probe = "grep -q '^Seccomp:.2$' /proc/self/status && ! touch /run/probe 2>/dev/null";
        let words = ["sh", "-c", probe];
        let stands = |mut command: Command| command.status().is_ok_and(|status| status.success());
        match (
            stands(self.bubblewrap_walled(work, walls, &words)),
            stands(self.bubblewrap(work, &["touch", "/run/probe"])),
        ) {
            (true, true) => Ok(()),
            (walled, plain) => Err(format!("bwrap's walls: walled {walled}, plain {plain}")),
        }
    }

    fn view(&self, work: &Path) -> Command {
        let mut command = Command::new("/usr/bin/bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]);
        command
            .args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]);
        command.args(["--tmpfs", "/run", "--dir", "/sys", "--tmpfs"]).arg(&self.home);
        for tree in ["/usr", "/etc", "/opt", "/nix"] {
            command.args(["--ro-bind-try", tree, tree]);
        }
        for (link, to) in [
            ("/bin", "usr/bin"),
            ("/sbin", "usr/sbin"),
            ("/lib", "usr/lib"),
            ("/lib64", "usr/lib64"),
        ] {
            command.args(["--symlink", to, link]);
        }
        for name in cofferdam_policy::view::TOOLCHAINS {
            let tree = self.home.join(name);
            command.arg("--ro-bind-try").arg(&tree).arg(&tree);
        }
        command.arg("--bind").arg(work).arg(work).arg("--chdir").arg(work);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(["--setenv", "PATH"]).arg(path).args(["--setenv", "HOME"]).arg(&self.home);
        for (name, value) in
            [("USER", "u"), ("LOGNAME", "u"), ("TMPDIR", "/tmp"), ("SHELL", "/bin/sh")]
        {
            command.args(["--setenv", name, value]);
        }
        command
    }
}
