//! Why a sandbox was not started, from what init said and what the Host explains.

use std::io;
use std::path::{Path, PathBuf};

use cofferdam_plan::message::Lacking;
use cofferdam_plan::plan::Step;
use cofferdam_plan::{Host, Plan};

/// `EPERM` and others (`errno(3)`), as init reports them.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const ENOSPC: i32 = 28;
const ELOOP: i32 = 40;
const EUSERS: i32 = 87;

/// The workload did not start, and nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
pub enum StartRefusal {
    /// A program of ours is not where it was installed.
    #[error("{} is missing", path.display())]
    ProgramMissing {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A call of the engine's own failed.
    #[error("cannot {doing}")]
    System {
        /// What the engine was doing.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A step of the plan failed.
    #[error("{}", said.as_ref().map_or_else(|| step_text(doing, *errno), |said| said.message.clone()))]
    Step {
        /// Its index.
        step: u32,
        /// What init was doing.
        doing: String,
        /// `errno(3)`.
        errno: i32,
        /// The known cause.
        said: Option<Cause>,
    },
    /// A terminal was asked for, and the caller's was not given.
    #[error("the sandbox has a terminal, and there is none of the caller's to tie it to")]
    NoTerminal,
    /// The cgroup that the plan counts on cannot be made again.
    #[error("the cgroup that the plan counts on cannot be made")]
    GroupGone,
    /// The gateway did not come up.
    #[error("cofferdam-gateway did not start: {said}")]
    GatewayDied {
        /// What it said, or what became of it.
        said: String,
    },
    /// The gateway could not get a credential.
    #[error("no credential `{}`: {}   {}", .0.name, .0.why, .0.clause)]
    Credential(Box<Lacking>),
    /// Init went away without a word.
    #[error("cofferdam-init ended while {doing}")]
    InitDied {
        /// What was going on.
        doing: &'static str,
    },
}

/// A cause that is known, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable name.
    pub code: &'static str,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub hint: String,
}

fn step_text(doing: &str, errno: i32) -> String {
    if errno == 0 {
        format!("cannot {doing}")
    } else {
        format!("cannot {doing}: {}", errno_text(errno))
    }
}

/// The system's words for `errno(3)`, without Rust's ` (os error N)`.
#[must_use]
pub fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl StartRefusal {
    pub(crate) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// Stable name for scripts and the audit log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProgramMissing { .. } => "program-missing",
            Self::System { .. } => "system",
            Self::Step { said: Some(said), .. } => said.code,
            Self::Step { said: None, .. } => "step-failed",
            Self::NoTerminal => "no-terminal",
            Self::GroupGone => "cgroup-gone",
            Self::InitDied { .. } => "init-died",
            Self::GatewayDied { .. } => "gateway-died",
            Self::Credential(_) => "credential-lacking",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::ProgramMissing { .. } => {
                "install all programs of one build together: cargo install --path \
                 crates/cofferdam --locked"
                    .into()
            }
            Self::System { source, .. } => format!("the system said: {source}"),
            Self::Step { said: Some(said), .. } => said.hint.clone(),
            Self::Step { said: None, .. } => {
                "run `cofferdam plan` to see the step, and report it if it should work here".into()
            }
            Self::NoTerminal => "give the caller's terminal as input, or use pipes".into(),
            Self::GroupGone => "run it again; something else changes this cgroup".into(),
            Self::Credential(lacking) => lacking.fix.clone(),
            Self::InitDied { .. } | Self::GatewayDied { .. } => {
                "run it again; report it if it happens twice".into()
            }
        }
    }

    /// Something is not any more what it was when the plan was made.
    pub(crate) fn changed(path: &Path) -> Self {
        let doing = format!("find what was there when the plan was made: {}", path.display());
        let said = Cause {
            code: "changed-meanwhile",
            message: format!("{} changed meanwhile", path.display()),
            hint: CHANGED.into(),
        };
        Self::Step { step: u32::MAX, doing, errno: 0, said: Some(said) }
    }

    /// The program that builds the sandbox gave up, and said why.
    pub(crate) fn outer(words: &str, host: &Host) -> Self {
        let said = outer(words, host);
        Self::Step { step: u32::MAX, doing: words.into(), errno: 0, said: Some(said) }
    }

    /// The same refusal with the cause that `host` and the failed step explain.
    #[must_use]
    pub fn explained(self, plan: &Plan, host: &Host) -> Self {
        if let Self::Step { step, doing, errno, said: None } = self {
            let failed = usize::try_from(step).ok().and_then(|index| plan.setup.get(index));
            let said = failed.and_then(|failed| cause(plan, host, failed, (&doing, errno)));
            let said = said.or_else(|| cannot_enter(plan, &doing, errno));
            return Self::Step { step, doing, errno, said };
        }
        self
    }
}

const CHANGED: &str = "run it again; if it repeats, something replaces that path on purpose";

/// What bubblewrap's own words mean.
fn outer(words: &str, host: &Host) -> Cause {
    let has = |some: &[&str]| some.iter().any(|some| words.contains(some));
    if has(&["Unknown option", "requires an argument"]) {
        return Cause {
            code: "bubblewrap-too-old",
            message: format!("this bubblewrap does not know what is asked of it: {words}"),
            hint: "install bubblewrap 0.8 or newer, or take jail = \"native\"".into(),
        };
    }
    if has(&["namespace", "uid map"]) {
        let forbidden = forbidden(host);
        let hint = match forbidden.code {
            "userns-apparmor" => {
                "load the distribution's profile for bwrap (Ubuntu: apt-get install apparmor-profiles, \
                 then ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict \
                 /etc/apparmor.d/ and apparmor_parser -r it)"
                    .into()
            }
            _ => forbidden.hint,
        };
        let message = format!("bubblewrap may not make its namespaces: {words}");
        return Cause { code: "bubblewrap-forbidden", message, hint };
    }
    Cause {
        code: "bubblewrap-failed",
        message: format!("bubblewrap cannot build the sandbox: {words}"),
        hint: "run it again; if it repeats, let the workload's user reach what it names, or take \
               jail = \"native\""
            .into(),
    }
}

/// The user that the plan maps.
fn workload_user(plan: &Plan) -> u32 {
    if let Some(outer) = &plan.outer {
        return outer.uid;
    }
    let mapped = plan
        .setup
        .iter()
        .find_map(|step| if let Step::MapIds { uid, .. } = step { Some(*uid) } else { None });
    mapped.unwrap_or_default()
}

fn cause(plan: &Plan, host: &Host, failed: &Step, (doing, errno): (&str, i32)) -> Option<Cause> {
    let cause = |code, message: String, hint: &str| Cause { code, message, hint: hint.into() };
    // There, and no symbolic link, when Facts looked.
    let gone = matches!(
        (failed, errno),
        (Step::Open(_) | Step::LandlockOnHost { .. }, ELOOP | ENOENT | ENOTDIR)
    );
    if gone || doing.contains("changed meanwhile") {
        let why = if gone {
            format!(": changed meanwhile: {}", errno_text(errno))
        } else {
            String::new()
        };
        return Some(cause("changed-meanwhile", format!("cannot {doing}{why}"), CHANGED));
    }
    let capable = matches!(
        failed,
        Step::MakePrivate
            | Step::Seal
            | Step::Devpts { .. }
            | Step::Here { .. }
            | Step::DropCapabilities
    );
    if plan.outer.is_some() && capable && matches!(errno, EPERM | EACCES) {
        return Some(cause(
            "bubblewrap-powerless",
            format!("what bubblewrap starts is given no capabilities here: cannot {doing}"),
            "take jail = \"native\"; or do without a terminal (pipes) and with a closed network",
        ));
    }
    let entering = matches!(
        failed,
        Step::Unshare { .. }
            | Step::MapIds { .. }
            | Step::MakePrivate
            | Step::Hostname { .. }
            | Step::Fork { .. }
            | Step::JoinNetwork
            | Step::NewRoot
    );
    if let Some(cause) = entering.then(|| entered(host, errno)).flatten() {
        return Some(cause);
    }
    if let (Step::Open(opening), true) = (failed, doing.starts_with("idmap")) {
        let path = opening.path.display();
        let why = errno_text(errno);
        return Some(Cause {
            code: "cannot-idmap",
            message: format!("{path} cannot be shown to an unprivileged user: {why}"),
            hint: format!(
                "{path} is root's, on a file system without idmapped mounts: run as the user who \
                 works there, give it to one (chown), or move it to ext4, xfs, btrfs or tmpfs"
            ),
        });
    }
    if let (Step::Open(opening), EACCES) = (failed, errno) {
        let (path, user) = (opening.path.display(), workload_user(plan));
        return Some(Cause {
            code: "cannot-reach",
            message: format!("{path} cannot be reached by user {user}, who the workload is"),
            hint: format!("let that user pass the directories above it, or leave out {path}"),
        });
    }
    let masked = matches!(failed, Step::Proc { .. }) && errno == EPERM;
    masked.then(|| {
        cause(
            "proc-masked",
            "an outer container hides parts of /proc, so the kernel gives no fresh one".into(),
            "start the outer container with its /proc unmasked (docker: --security-opt \
             systempaths=unconfined; podman: --security-opt unmask=ALL)",
        )
    })
}

/// Why namespaces and mounts are not to be had.
fn entered(host: &Host, errno: i32) -> Option<Cause> {
    let cause = |code, message: &str, hint: &str| Cause {
        code,
        message: message.into(),
        hint: hint.into(),
    };
    match errno {
        ENOSPC | EUSERS => Some(cause(
            "userns-limit",
            "no user namespace left: a limit of this user, or of their depth, is reached",
            "as root: echo 15000 > /proc/sys/user/max_user_namespaces; or end what holds them",
        )),
        EPERM => Some(forbidden(host)),
        // A filter and a setting say EPERM; this is what a module's profile of a container says.
        EACCES => Some(cause(
            "mounts-confined",
            "mounts are forbidden here by a security module of an outer container",
            "start that container without its profile (docker, podman: --security-opt \
             apparmor=unconfined, or label=disable for SELinux)",
        )),
        _ => None,
    }
}

/// The working directory is no step of the view: it is entered when that stands.
fn cannot_enter(plan: &Plan, doing: &str, errno: i32) -> Option<Cause> {
    let directory = plan.workload.directory.display();
    let user = workload_user(plan);
    (doing == format!("enter {directory}")).then(|| Cause {
        code: "cannot-enter",
        message: format!(
            "user {user}, who the workload is, cannot enter {directory}: {}",
            errno_text(errno)
        ),
        hint: "start it in a directory of the workspace that this user may enter".into(),
    })
}

/// Who forbids namespaces, most specific first.
fn forbidden(host: &Host) -> Cause {
    let message = |who: &str| format!("user namespaces are forbidden here by {who}");
    if host.apparmor_restrict_userns == Some(1) {
        return Cause {
            code: "userns-apparmor",
            message: message("AppArmor"),
            hint: "load the profile for cofferdam-init: cofferdam doctor --apparmor-profile | sudo tee \
                   /etc/apparmor.d/cofferdam; then: sudo apparmor_parser -r \
                   /etc/apparmor.d/cofferdam"
                .into(),
        };
    }
    if host.outer_seccomp != 0 {
        return Cause {
            code: "userns-seccomp",
            message: message("the system-call filter of an outer container or sandbox"),
            hint: "start that container with a filter that allows unshare and mount (docker, \
                   podman: --security-opt seccomp=unconfined)"
                .into(),
        };
    }
    Cause {
        code: "userns-denied",
        message: message("this system"),
        hint: "run outside a chroot, and check the sysctl user.max_user_namespaces and the \
               security modules in use"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            system: "Linux".into(),
            release: "6.18.0".into(),
            machine: "x86_64".into(),
            landlock_abi: 7,
            max_user_namespaces: Some(15_000),
            unprivileged_userns_clone: None,
            apparmor_restrict_userns: None,
            yama_ptrace_scope: None,
            outer_seccomp: 0,
            listening: cofferdam_plan::host::Listening::Ready,
            stand_in_mapped: true,
            devices: Vec::new(),
            proc_names: Vec::new(),
            ipv6: true,
            memory: 0,
            killed_first: 0,
            ceilings: crate::probe::ceilings(),
            groups: None,
            namespaces_denied: false,
            bubblewrap: cofferdam_plan::host::Bubblewrap::Unasked,
            runsc: cofferdam_plan::host::Runsc::Unasked,
        }
    }

    #[test]
    fn who_forbids_namespaces_is_named() {
        for (host, code, remedy) in [
            (
                Host { apparmor_restrict_userns: Some(1), outer_seccomp: 2, ..host() },
                "userns-apparmor",
                "sudo apparmor_parser -r /etc/apparmor.d/cofferdam",
            ),
            (
                Host { apparmor_restrict_userns: Some(0), outer_seccomp: 2, ..host() },
                "userns-seccomp",
                "seccomp=unconfined",
            ),
            (host(), "userns-denied", "max_user_namespaces"),
        ] {
            let cause = forbidden(&host);
            assert_eq!(cause.code, code, "{host:?}");
            assert!(cause.hint.contains(remedy), "{cause:?}");
        }
    }
}
