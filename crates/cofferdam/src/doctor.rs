//! `doctor`: what this machine holds of each guarantee, found out by doing.
//!
//! Knows the guarantees, and makes an answer to each from what was tried. A sandbox is built and a
//! workload run in it by the Engine that runs everything else; what changes a process is tried in
//! one of its own. Deliberately does not read version numbers, and does not change what `run` does.
//! An answer for which nothing could be tried is `unknown`, which counts as not held.

mod apparmor;
mod broker;
mod bubblewrap;
mod gateway;
mod inside;
mod judge;
mod limits;
mod machine;
mod own;
mod probe;
mod runsc;
mod trial;

pub(crate) use apparmor::profile;
pub(crate) use machine::Machine;
pub(crate) use probe::answer;

use std::path::Path;

use cofferdam_plan::runsc::Platform;
use cofferdam_sandbox::Caller;

use crate::refused::Refused;

/// What a person relies on, in the order of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    Outermost,
    Wall,
    Programs,
    Install,
    AuditLog,
    UserNamespaces,
    Namespaces,
    FreshProc,
    DetachedMounts,
    IdmappedMounts,
    View,
    Network,
    Gateway,
    Landlock,
    LandlockJail,
    Seccomp,
    SeccompNotify,
    Broker,
    NoNewPrivileges,
    PrivateTerminals,
    Bubblewrap,
    /// gVisor's program.
    Gvisor,
    /// What it does on one platform.
    On(Platform),
    CoreDumps,
    Limits,
    Tracing,
}

impl Guarantee {
    /// All of them.
    pub(crate) const ALL: [Self; 28] = [
        Self::Outermost,
        Self::Wall,
        Self::Programs,
        Self::Install,
        Self::AuditLog,
        Self::UserNamespaces,
        Self::Namespaces,
        Self::FreshProc,
        Self::DetachedMounts,
        Self::IdmappedMounts,
        Self::View,
        Self::Network,
        Self::Gateway,
        Self::Landlock,
        Self::LandlockJail,
        Self::Seccomp,
        Self::SeccompNotify,
        Self::Broker,
        Self::NoNewPrivileges,
        Self::PrivateTerminals,
        Self::Bubblewrap,
        Self::Gvisor,
        Self::On(Platform::Systrap),
        Self::On(Platform::Ptrace),
        Self::On(Platform::Kvm),
        Self::CoreDumps,
        Self::Limits,
        Self::Tracing,
    ];

    /// Stable name for scripts. Never reused, never renamed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Outermost => "outermost",
            Self::Wall => "wall",
            Self::Programs => "programs",
            Self::Install => "install",
            Self::AuditLog => "audit-log",
            Self::UserNamespaces => "user-namespaces",
            Self::Namespaces => "namespaces",
            Self::FreshProc => "fresh-proc",
            Self::DetachedMounts => "detached-mounts",
            Self::IdmappedMounts => "idmapped-mounts",
            Self::View => "view",
            Self::Network => "network",
            Self::Gateway => "gateway",
            Self::Landlock => "landlock",
            Self::LandlockJail => "landlock-jail",
            Self::Seccomp => "seccomp",
            Self::SeccompNotify => "seccomp-notify",
            Self::Broker => "broker",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::PrivateTerminals => "private-terminals",
            Self::Bubblewrap => "bubblewrap",
            Self::Gvisor => "gvisor",
            Self::On(Platform::Systrap) => "gvisor-systrap",
            Self::On(Platform::Ptrace) => "gvisor-ptrace",
            Self::On(Platform::Kvm) => "gvisor-kvm",
            Self::CoreDumps => "core-dumps",
            Self::Limits => "limits",
            Self::Tracing => "tracing",
        }
    }
}

/// How far a guarantee holds here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was tried, and it holds.
    Enforced,
    /// It holds but for what the text says.
    Weaker { open: String },
    /// It was tried, and it does not hold.
    Absent,
    /// It could not be tried.
    Unknown,
    /// Nothing that this caller starts here depends on it.
    NotNeeded,
}

impl State {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Weaker { .. } => "weaker",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
            Self::NotNeeded => "not-needed",
        }
    }

    /// Whether all that the wall needs of it is there.
    pub(crate) const fn holds(&self) -> bool {
        match self {
            Self::Enforced | Self::Weaker { .. } | Self::NotNeeded => true,
            Self::Absent | Self::Unknown => false,
        }
    }
}

/// The answer to one guarantee.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) guarantee: Guarantee,
    pub(crate) state: State,
    /// What was found, for a person.
    pub(crate) found: String,
    /// The next thing to do, where there is something.
    pub(crate) remedy: Option<String>,
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) machine: Machine,
    /// One for each of [`Guarantee::ALL`], in that order.
    pub(crate) findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether all holds that the wall needs.
    pub(crate) fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.state.holds())
    }
}

/// Tries everything; `runsc` is where the caller says that gVisor's is. Leaves nothing behind: files lie in a
/// directory of their own that is removed.
///
/// # Errors
/// Nothing can be tried: the working directory is gone, or no directory can be made for it.
pub(crate) fn examine(runsc: Option<&Path>) -> Result<Diagnosis, Refused> {
    let caller = Caller::read()?;
    let evidence = judge::Evidence::gather(&caller, runsc)?;
    let machine = Machine::read(&caller, &evidence);
    let findings = Guarantee::ALL.iter().map(|guarantee| evidence.judge(*guarantee)).collect();
    Ok(Diagnosis { machine, findings })
}
