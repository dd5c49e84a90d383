//! One row a guarantee: what it rests on, what is weaker, what to do.

mod broker;
mod bubblewrap;
mod network;
mod runsc;

use cofferdam_sandbox::refusal::errno_text;

use super::super::inside::{LEAK, SPACES};
use super::super::limits::Found;
use super::super::probe::Answers;
use super::super::trial::Trial;
use super::{Evidence, Guarantee, Row, State};
use crate::refused::Refused;
use cofferdam_policy::promise::Promise;

/// `errno(3)`.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EXDEV: i32 = 18;
const EROFS: i32 = 30;
const ENOSYS: i32 = 38;

/// What each Landlock ABI brought, with the kernel, and what stays open before.
const ABIS: [(u32, &str); 5] = [
    (2, "before ABI 2 (REFER, Linux 5.19) every move between directories fails inside"),
    (3, "before ABI 3 (TRUNCATE, Linux 6.2) read-only mounts alone hold truncate(2)"),
    (4, "before ABI 4 (NET, Linux 6.7) only the empty network namespace can hold TCP, as it does"),
    (5, "before ABI 5 (IOCTL_DEV, Linux 6.10) ioctl(2) on the six files of /dev is not judged"),
    (6, "before ABI 6 (scopes, Linux 6.12) signals to pid 1 are ignored, not refused"),
];

/// What a workload must not be able to do, or must.
enum Want {
    Works(&'static str),
    Fails(&'static str, &'static [i32]),
    /// Works, and this is what comes of it.
    Says(&'static str, String),
}

impl Want {
    const fn name(&self) -> &'static str {
        match self {
            Self::Works(name) | Self::Fails(name, _) | Self::Says(name, _) => name,
        }
    }
}

/// The verdict over some acts.
enum Verdict {
    Holds,
    /// What was not tried.
    Untried(&'static str),
    /// What came out otherwise.
    Differs(String),
}

fn verdict(answers: &Answers, wants: &[Want]) -> Verdict {
    for want in wants {
        let name = want.name();
        let answer = match answers.of(name) {
            None => return Verdict::Untried(name),
            Some(answer) => answer,
        };
        let differs = match (want, answer) {
            (Want::Works(_), Ok(_)) => continue,
            (Want::Fails(_, with), Err(errno)) if with.contains(&errno) => continue,
            (Want::Says(_, wanted), Ok(said)) if said == wanted => continue,
            (Want::Says(_, wanted), Ok(said)) => {
                format!("{name} came to {said:?}, not to {wanted:?}")
            }
            (Want::Works(_) | Want::Says(..), Err(errno)) => {
                format!("{name} failed: {}", errno_text(errno))
            }
            (Want::Fails(..), Ok(_)) => format!("{name} worked"),
            (Want::Fails(..), Err(errno)) => {
                format!("{name} failed otherwise than the wall says: {}", errno_text(errno))
            }
        };
        return Verdict::Differs(differs);
    }
    Verdict::Holds
}

const REPORT: &str =
    "trust nothing to it, and report this with the answer of `cofferdam doctor --json`";

impl Evidence {
    /// The row of `guarantee`.
    pub(super) fn row(&self, guarantee: Guarantee) -> Row {
        match guarantee {
            Guarantee::Outermost => self.outermost(),
            Guarantee::Wall => self.wall(),
            Guarantee::Programs => self.programs(),
            Guarantee::Install => self.install(),
            Guarantee::AuditLog => self.audit_log(),
            Guarantee::UserNamespaces => self.user_namespaces(),
            Guarantee::Namespaces => self.namespaces(),
            Guarantee::FreshProc => self.fresh_proc(),
            Guarantee::DetachedMounts => self.detached_mounts(),
            Guarantee::IdmappedMounts => self.idmapped_mounts(),
            Guarantee::View => self.view(),
            Guarantee::Network => self.network(),
            Guarantee::Gateway => self.gateway(),
            Guarantee::Landlock => self.landlock(),
            Guarantee::LandlockJail => self.landlock_jail(),
            Guarantee::Seccomp => self.seccomp(),
            Guarantee::SeccompNotify => self.seccomp_notify(),
            Guarantee::Broker => self.broker(),
            Guarantee::NoNewPrivileges => self.no_new_privileges(),
            Guarantee::PrivateTerminals => self.private_terminals(),
            Guarantee::Bubblewrap => self.of_bubblewrap(),
            Guarantee::Gvisor => self.gvisor(),
            Guarantee::On(platform) => self.on_platform(platform),
            Guarantee::CoreDumps => self.core_dumps(),
            Guarantee::Limits => self.limits(),
            Guarantee::Tracing => self.tracing(),
        }
    }

    /// What the workload did, against what it must and must not; `singles` where no sandbox stood.
    fn of_trial(&self, found: &str, wants: &[Want], without: impl FnOnce() -> Row) -> Row {
        match &self.trial {
            Ok(trial) => Self::said(trial, found, wants),
            Err(_) => without(),
        }
    }

    /// What the workload of this trial did, against what it must and must not.
    fn said(trial: &Trial, found: &str, wants: &[Want]) -> Row {
        if let Some(want) = wants.iter().find(|want| trial.no_control.contains(&want.name())) {
            return Row::unknown(format!("{} does not work without a wall either", want.name()));
        }
        match verdict(&trial.inside, wants) {
            Verdict::Holds => Row::enforced(found),
            Verdict::Untried(name) => Row::unknown(format!("the workload did not get to {name}")),
            Verdict::Differs(what) => Row::absent(format!("inside, {what}"), REPORT),
        }
    }

    /// A row of single probes: each of `names` must have worked.
    fn of_singles(&self, what: &str, names: &[&'static str]) -> Row {
        for name in names {
            match self.singles.of(name) {
                Some(Ok(_)) => {}
                Some(Err(errno)) => {
                    let why = errno_text(errno);
                    return Row::absent(format!("{name}: {why}"), self.remedy(name, errno));
                }
                None => return Row::unknown("user namespaces come before it"),
            }
        }
        Row::enforced(format!("{what}, tried by itself: no sandbox stood"))
    }

    /// What may give the call back that `name` stands for.
    fn remedy(&self, name: &str, errno: i32) -> String {
        let name = match name {
            "user" | "map" | "mount" | "pid" | "net" | "ipc" | "uts" | "cgroup" => "unshare",
            "private" => "mount",
            "open-tree" => "open_tree",
            "mount-setattr" => "mount_setattr",
            "tmpfs" | "proc" | "terminal" => "fsopen and fsmount",
            "move-mount" => "move_mount",
            "become" => "setresuid",
            other => other,
        };
        let denied = [EPERM, EACCES].contains(&errno);
        if denied && self.host.outer_seccomp != 0 {
            return format!(
                "start the outer container with a filter that lets {name} pass (docker, podman: \
                 --security-opt seccomp=unconfined)"
            );
        }
        if denied {
            return "ask the security modules and settings of this machine: see the row `wall`"
                .into();
        }
        format!("run on Linux 5.13 or newer, outside of what hides {name}")
    }

    /// The refusal of `run`, where it is about what these codes name.
    fn refused_for(&self, codes: &[&str]) -> Option<&Refused> {
        self.trial.as_ref().err().filter(|refused| codes.contains(&refused.code()))
    }

    fn outermost(&self) -> Row {
        match self.refused_for(&["nested"]) {
            Some(refused) => Row::absent(refused.to_string(), refused.hint()),
            None => Row::enforced("this is no sandbox of cofferdam's"),
        }
    }

    fn wall(&self) -> Row {
        let ended = [Want::Works("write-work"), Want::Works("end")];
        match &self.trial {
            Ok(Trial { fault: Some(fault), .. }) => Row::absent(
                format!("a sandbox was built, but {fault}"),
                "start cofferdam outside of the sandbox or filter that forbids it",
            ),
            // Another's directory stood in for the trial's own.
            Ok(_) if self.idmap.failed("idmap").is_some() => {
                let row = self.idmapped_mounts();
                let found = format!("`run` is refused here: cannot-idmap: {}", row.found);
                Row::absent(found, row.remedy.unwrap_or_default())
            }
            Ok(_) => self.of_trial(
                "a sandbox was built as `run` builds it, and a workload ran to its end in it",
                &ended,
                || Row::unknown("no sandbox stood"),
            ),
            Err(refused) => Row::absent(
                format!("`run` is refused here: {}: {refused}", refused.code()),
                refused.hint(),
            ),
        }
    }

    fn programs(&self) -> Row {
        let other_build = |refused: &Refused| refused.to_string().contains("a plan of this build");
        match &self.trial {
            Err(refused) if refused.code() == "program-missing" || other_build(refused) => {
                Row::absent(
                    refused.to_string(),
                    "install all programs of one build together: cargo install --path \
                     crates/cofferdam --locked",
                )
            }
            Err(Refused::Start(_)) | Ok(_) => {
                Row::enforced("cofferdam-init started and is of this build")
            }
            Err(_) => Row::unknown("it was refused before cofferdam-init had a plan"),
        }
    }

    fn install(&self) -> Row {
        if let Some(fault) = &self.install {
            return Row::absent(fault.what.clone(), fault.remedy.clone());
        }
        let found = "programs, policy and state are the caller's or root's alone";
        if let Some(stranger) = &self.stranger {
            return Row::weaker(
                "no other user of this user namespace may change programs, policy and state",
                format!("who owns {} cannot be told from inside it", stranger.display()),
                "look at its owner outside of the container",
            );
        }
        match &self.program_inside {
            Some(program) => Row::weaker(
                found,
                format!(
                    "{} lies in the current directory: the workload of a run here has it \
                     read-only, but for what you build or install there next",
                    program.display()
                ),
                "install cofferdam elsewhere (~/.cargo/bin, /usr/local/bin), and work with that one",
            ),
            None => Row::enforced(found),
        }
    }

    fn audit_log(&self) -> Row {
        match &self.audit {
            Ok(log) => Row::enforced(format!("{} can be written", log.display())),
            Err(refused) => Row::absent(refused.to_string(), refused.hint()),
        }
    }

    /// Whether the workload's namespaces of these names are others than ours.
    fn spaces(&self, trial: &Trial, names: &[&str]) -> Option<Row> {
        for (name, outside) in SPACES.iter().zip(&trial.outside) {
            if !names.contains(name) {
                continue;
            }
            match (trial.inside.of(name), outside) {
                (Some(Ok(inside)), Some(outside)) if inside != outside => {}
                (Some(Ok(_)), Some(_)) => {
                    let found = format!("inside, the {name} namespace is the caller's own");
                    return Some(Row::absent(found, REPORT));
                }
                _ => return Some(Row::unknown(format!("the {name} namespace is not named"))),
            }
        }
        None
    }

    fn user_namespaces(&self) -> Row {
        if let Ok(trial) = &self.trial {
            let uid = self.ids.0;
            return self.spaces(trial, &["user"]).unwrap_or_else(|| {
                Row::enforced(format!("one was made, in which uid {uid} is the only user"))
            });
        }
        let codes = [
            "userns-off",
            "userns-limit",
            "userns-apparmor",
            "userns-seccomp",
            "userns-denied",
            "no-stand-in",
        ];
        let names: &[&str] =
            if self.caller_is_root { &["become", "user", "map"] } else { &["user", "map"] };
        let row = self.of_singles("one was made", names);
        match self.refused_for(&codes) {
            // The cause is known better than from one call: AppArmor lets the namespace be made, and
            // takes its rights away.
            Some(refused) if !row.state.holds() || refused.code() == "userns-apparmor" => {
                Row::absent(refused.to_string(), refused.hint())
            }
            Some(_) | None => row,
        }
    }

    fn namespaces(&self) -> Row {
        let found = "mount, pid, network, IPC, UTS and cgroup are the sandbox's own";
        match &self.trial {
            Ok(trial) => {
                let others = &["mnt", "pid", "net", "ipc", "uts", "cgroup"];
                self.spaces(trial, others).unwrap_or_else(|| Row::enforced(found))
            }
            Err(_) => self.of_singles(
                "each was made",
                &["mount", "pid", "net", "ipc", "uts", "cgroup", "private"],
            ),
        }
    }

    fn fresh_proc(&self) -> Row {
        let wants = [
            Want::Works("processes"),
            Want::Fails("proc-sys", &[EROFS, EACCES]),
            Want::Fails("init-memory", &[EACCES, EPERM, ENOENT]),
        ];
        let row =
            self.of_trial("/proc shows the sandbox's processes alone, read-only", &wants, || {
                match self.refused_for(&["proc-masked"]) {
                    Some(refused) => Row::absent(refused.to_string(), refused.hint()),
                    None => self.of_singles("a fresh one was mounted", &["proc"]),
                }
            });
        let shown = self.trial.as_ref().ok().and_then(|trial| trial.inside.of("processes"));
        match shown.and_then(Result::ok).and_then(|count| count.parse::<usize>().ok()) {
            // Pid 1 and the workload; the process that made pid 1 may be ending.
            Some(count) if count > 3 => {
                Row::absent(format!("inside, /proc shows {count} processes"), REPORT)
            }
            Some(_) | None => row,
        }
    }

    fn detached_mounts(&self) -> Row {
        // Any other reason would be another wall's.
        let wants = [Want::Works("read-kept"), Want::Fails("write-kept", &[EROFS])];
        self.of_trial("trees were cloned, made read-only and moved by descriptor", &wants, || {
            let names = ["open-tree", "mount-setattr", "tmpfs", "move-mount"];
            self.of_singles("trees can be cloned, restricted and moved", &names)
        })
    }

    fn idmapped_mounts(&self) -> Row {
        if !self.stands_in {
            return Row::not_needed("the workload's user owns its files itself");
        }
        let shown = self.shown.display();
        match self.idmap.of("idmap") {
            Some(Ok(_)) => Row::enforced(format!("{shown} can be shown to root's stand-in")),
            Some(Err(errno)) => Row::absent(
                format!("{shown} cannot be shown to root's stand-in: {}", errno_text(errno)),
                "run as the user who works there, give it to one (chown), or move it to ext4, xfs, \
                 btrfs or tmpfs",
            ),
            None => Row::unknown("root cannot make a mount namespace"),
        }
    }

    fn view(&self) -> Row {
        let wants = [
            Want::Works("write-work"),
            Want::Fails("canary", &[ENOENT, EACCES]),
            Want::Works("read-kept"),
            Want::Fails("write-kept", &[EROFS, EACCES]),
        ];
        let found =
            "what was not granted is not there, read-only stays, the workspace can be written";
        match &self.trial {
            Ok(trial) if trial.leaked => {
                Row::absent("inside, a file was written outside of the workspace", REPORT)
            }
            Ok(trial) if trial.no_control.contains(&LEAK) => {
                Row::unknown("no file can be written without a wall either")
            }
            Ok(_) | Err(_) => self.of_trial(found, &wants, || Row::unknown("no sandbox stood")),
        }
    }

    fn landlock(&self) -> Row {
        let abi =
            self.landlock.of("abi").and_then(Result::ok).and_then(|abi| abi.parse::<u32>().ok());
        let Some(abi) = abi else { return Row::unknown("the probe did not answer") };
        if abi == 0 {
            let missing = cofferdam_plan::Refusal::LandlockMissing;
            return Row::absent(missing.to_string(), missing.hint());
        }
        let since = |first, with| if abi >= first { Some(with) } else { None };
        let wants = [
            Some(Want::Works("restrict")),
            Some(Want::Works("read-inside")),
            Some(Want::Fails("read-outside", &[EACCES])),
            Some(if abi >= 2 { Want::Works("move") } else { Want::Fails("move", &[EXDEV]) }),
            since(3, Want::Fails("truncate", &[EACCES])),
            since(5, Want::Fails("ioctl", &[EACCES])),
            since(6, Want::Fails("signal", &[EPERM])),
        ];
        let wants: Vec<_> = wants.into_iter().flatten().collect();
        match verdict(&self.landlock, &wants) {
            Verdict::Untried(name) => Row::unknown(format!("the probe did not get to {name}")),
            Verdict::Differs(what) => Row::absent(
                format!("ABI {abi} is there, but {what}"),
                "run outside of an outer sandbox that keeps Landlock away",
            ),
            Verdict::Holds => {
                let open: Vec<_> =
                    ABIS.iter().filter(|(first, _)| abi < *first).map(|row| row.1).collect();
                let found = format!("ABI {abi}, each of its rights tried");
                if open.is_empty() {
                    Row::enforced(found)
                } else {
                    Row::weaker(
                        found,
                        open.join("; "),
                        "run on Linux 6.12 or newer, which has all of them",
                    )
                }
            }
        }
    }

    fn seccomp(&self) -> Row {
        let wants = [
            Want::Works("control"),
            Want::Works("filter"),
            Want::Fails("setuid-mode", &[EPERM]),
            Want::Works("plain-read"),
            Want::Fails("plain-mode", &[ENOSYS]),
        ];
        let alone = match verdict(&self.seccomp, &wants) {
            Verdict::Holds => {
                Row::enforced("the workload's filter was put on, and refused a setuid mode")
            }
            Verdict::Untried(name) => Row::unknown(format!("the probe did not get to {name}")),
            Verdict::Differs(what) => {
                let errno = self.seccomp.failed("filter").unwrap_or(EPERM);
                Row::absent(
                    format!("under the workload's filter, {what}"),
                    self.remedy("seccomp", errno),
                )
            }
        };
        if !alone.state.holds() {
            return alone;
        }
        let wants = [
            Want::Works("plain-mode"),
            Want::Fails("setuid-mode", &[EPERM]),
            Want::Fails("unshare", &[EPERM]),
        ];
        let found = "inside, setuid modes and new namespaces are refused";
        self.of_trial(found, &wants, || alone)
    }

    fn no_new_privileges(&self) -> Row {
        let Ok(trial) = &self.trial else {
            return match self.seccomp.of("no-new-privileges") {
                Some(Ok(_)) => Row::enforced("tried by itself: no sandbox stood"),
                Some(Err(errno)) => Row::absent(errno_text(errno), self.remedy("prctl", errno)),
                None => Row::unknown("the probe did not answer"),
            };
        };
        let says = |name: &str| trial.inside.of(name).and_then(Result::ok);
        for (name, want) in [("NoNewPrivs", "1"), ("CapPrm", ""), ("CapEff", ""), ("CapBnd", "")] {
            match says(name) {
                Some(value) if value.trim_start_matches('0') == want => {}
                Some(value) => return Row::absent(format!("inside, {name} is {value}"), REPORT),
                None => return Row::unknown(format!("the kernel does not tell {name}")),
            }
        }
        Row::enforced("inside, exec gives no privilege and no capability is left")
    }

    fn private_terminals(&self) -> Row {
        // Outside it works, or the kernel's setting forbids it to everybody.
        let control =
            self.terminal.worked("type-in") || self.terminal.failed("type-in") == Some(EIO);
        let wants =
            [Want::Works("pty"), Want::Works("controlling"), Want::Fails("type-in", &[EPERM])];
        let found = "the sandbox makes its own; typing into one (TIOCSTI) is refused";
        let row = self.of_trial(found, &wants, || {
            self.of_singles("a private /dev/pts was made", &["terminal"])
        });
        if self.trial.is_ok() && row.state.holds() && !control {
            return Row::unknown("typing into a terminal does not work without a wall either");
        }
        row
    }

    fn core_dumps(&self) -> Row {
        let pattern = &self.core_pattern;
        let Ok(trial) = &self.trial else { return Row::unknown("no sandbox stood") };
        match trial.inside.of("core-limit") {
            Some(Ok("1")) if pattern.starts_with('@') => Row::weaker(
                "inside, the limit is one byte, which the kernel takes as none",
                format!(
                    "core_pattern is {pattern}: whether a socket is told of a crash was not tried"
                ),
                "as root: echo core > /proc/sys/kernel/core_pattern",
            ),
            Some(Ok("1")) => Row::enforced(format!(
                "inside, the limit is one byte, which the kernel takes as none; core_pattern is {pattern}"
            )),
            Some(Ok(other)) => Row::absent(format!("inside, the limit is {other}"), REPORT),
            Some(Err(_)) | None => Row::unknown("the workload did not tell its limit"),
        }
    }

    fn limits(&self) -> Row {
        match &self.limits {
            Found::Groups { version } => Row::enforced(format!(
                "a control group (v{version}) was made, took limits, and was removed"
            )),
            Found::EachProcess { why } => Row::weaker(
                format!("limits of each process (rlimits) alone: {why}"),
                "memory and processors of all processes together cannot be limited",
                "start it in a delegated scope: systemd-run --user --scope -p Delegate=yes",
            ),
        }
    }

    /// What the jail without namespaces would hold: a word of the machine's, for nobody who has not asked
    /// for that jail depends on it.
    fn landlock_jail(&self) -> Row {
        let unheld: Vec<&str> =
            cofferdam_plan::unheld(&self.host).into_iter().map(Promise::as_str).collect();
        Row::not_needed(format!("`--jail landlock` would not hold: {}", unheld.join(", ")))
    }

    fn tracing(&self) -> Row {
        let scope = self.host.yama_ptrace_scope;
        let yama =
            scope.map_or("no Yama".into(), |scope| format!("Yama's ptrace_scope is {scope}"));
        let open = "another program of the same user can read and steer cofferdam itself, as it can your \
                    shell; the workload cannot: it is in another pid namespace";
        match self.trace.of("trace") {
            Some(Err(_)) => {
                Row::enforced(format!("a program of the same user may not trace another; {yama}"))
            }
            Some(Ok(_)) if self.caller_is_root => Row::weaker(
                format!("root may trace every program; {yama}"),
                open,
                "run it as an ordinary user",
            ),
            Some(Ok(_)) => Row::weaker(
                format!("a program of the same user may trace another; {yama}"),
                open,
                "as root: echo 1 > /proc/sys/kernel/yama/ptrace_scope",
            ),
            None => Row::weaker("it could not be tried", open, "nothing of the wall rests on it"),
        }
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
