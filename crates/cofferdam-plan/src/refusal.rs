//! Why no plan can be made for this machine.

use std::path::PathBuf;

use cofferdam_policy::model::Clause;
use cofferdam_policy::promise::Promise;

use crate::runsc::NotReady;

/// One situation that a person can meet, before anything was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The operating system or machine has no native jail yet.
    WrongMachine {
        /// As `uname(2)` says.
        machine: String,
    },
    /// The jail that was asked for cannot be built on this machine.
    JailNotHere {
        /// Its name in the language.
        jail: &'static str,
        /// Where it was asked for.
        clause: Clause,
    },
    /// Bubblewrap is not installed.
    BubblewrapMissing {
        /// Where it was asked for.
        clause: Clause,
    },
    /// Others than root could have put it there, or it has privileges of its own.
    BubblewrapUntrusted {
        /// Where it was found.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Root's own workspace needs idmapped mounts, which `bwrap` has not.
    BubblewrapStandIn {
        /// The workspace.
        workspace: PathBuf,
    },
    /// What the policy asks for would have `bwrap` do what it is not trusted with.
    BubblewrapCannot {
        /// What.
        what: String,
    },
    /// An application kernel in the jail cannot do what the policy says.
    Gvisor(crate::gvisor::Cannot),
    /// There is no `runsc` to be used.
    Runsc(NotReady),
    /// The jail without namespaces does not hold what the policy says, and the policy does not give it up.
    ClausesUnheld {
        /// Each with its reason.
        unheld: Vec<Unheld>,
    },
    /// Landlock is missing or switched off.
    LandlockMissing,
    /// It is started inside a sandbox of ours.
    Nested {
        /// What tells so.
        mark: &'static str,
    },
    /// The kernel cannot hand calls to the broker.
    BrokerUnknown,
    /// An outer filter has the one supervisor that the kernel allows.
    BrokerTaken,
    /// An outer filter hides the call.
    BrokerRefused {
        /// `errno(3)`; 0 where it says that it is done.
        errno: i32,
    },
    /// A kernel setting keeps the broker from the memory of who calls it.
    BrokerBlind {
        /// Yama's `ptrace_scope`.
        scope: u64,
    },
    /// A kernel setting forbids user namespaces.
    UserNamespacesOff {
        /// Path of the setting.
        sysctl: &'static str,
        /// What it says now.
        value: u64,
        /// What it would have to say.
        wanted: u64,
    },
    /// Root of a user namespace that maps no other user: it has nobody to give way to.
    NoStandIn,
    /// A limit that was asked for, and that nobody holds here.
    LimitUnheld {
        /// Its name in `[limits]`.
        limit: &'static str,
        /// Its value, as the language writes it.
        value: String,
        /// Where it was asked for.
        clause: Clause,
    },
    /// Rules name more addresses and ports than a gateway hears on.
    TooManyDoors {
        /// How many.
        count: usize,
        /// How many can be.
        most: usize,
    },
    /// `/dev` lacks a file that every program expects.
    DeviceMissing {
        /// Its name below `/dev`.
        name: String,
    },
    /// A clause that Seatbelt cannot hold.
    SeatbeltUnheld {
        /// What it would have to do, behind "cannot".
        what: String,
        /// Where it was asked for.
        clause: Clause,
        /// What can be written instead.
        instead: &'static str,
    },
}

/// A clause that a jail does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// The name by which it may be given up; `None` where it never may.
    pub promise: Option<Promise>,
    /// What it is and what would be open.
    pub what: String,
}

/// What of `unheld` may be given up, as the command line and the policy write it, and whether that is all.
fn remedy(unheld: &[Unheld]) -> String {
    let names: Vec<&str> = unheld.iter().filter_map(|one| Some(one.promise?.as_str())).collect();
    let lacks = unheld.len() > names.len();
    let given = format!(
        "give up what may be: --best-effort {}, or best_effort = [\"{}\"]",
        names.join(","),
        names.join("\", \"")
    );
    match (lacks, names.is_empty()) {
        (false, _) => format!("{given}; or use --jail native or bubblewrap, which hold them"),
        (true, true) => "use --jail native or bubblewrap, or leave these clauses out".into(),
        (true, false) => {
            format!("use --jail native or bubblewrap; or leave the first clauses out, and {given}")
        }
    }
}

impl Refusal {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongMachine { .. } => "wrong-machine",
            Self::JailNotHere { .. } => "jail-not-here",
            Self::BubblewrapMissing { .. } => "bubblewrap-missing",
            Self::BubblewrapUntrusted { .. } => "bubblewrap-untrusted",
            Self::BubblewrapStandIn { .. } => "bubblewrap-stand-in",
            Self::BubblewrapCannot { .. } => "bubblewrap-cannot",
            Self::Gvisor(why) => why.code(),
            Self::Runsc(why) => why.code(),
            Self::ClausesUnheld { .. } => "clauses-unheld",
            Self::LandlockMissing => "landlock-missing",
            Self::Nested { .. } => "nested",
            Self::BrokerUnknown => "broker-unknown",
            Self::BrokerTaken => "broker-taken",
            Self::BrokerRefused { .. } => "broker-refused",
            Self::BrokerBlind { .. } => "broker-blind",
            Self::UserNamespacesOff { .. } => "userns-off",
            Self::NoStandIn => "no-stand-in",
            Self::LimitUnheld { .. } => "limit-unheld",
            Self::TooManyDoors { .. } => "too-many-doors",
            Self::DeviceMissing { .. } => "device-missing",
            Self::SeatbeltUnheld { .. } => "seatbelt-unheld",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::WrongMachine { .. } => "this release runs on Linux, x86_64".into(),
            Self::JailNotHere { .. } => {
                "write jail = \"native\", or leave it out; seatbelt is for macOS".into()
            }
            Self::BubblewrapMissing { .. } => {
                "install it as root: apt-get install bubblewrap (Debian, Ubuntu), dnf install \
                 bubblewrap (Fedora), pacman -S bubblewrap (Arch), zypper install bubblewrap (SUSE)"
                    .into()
            }
            Self::BubblewrapUntrusted { path, .. } => format!(
                "install the distribution's bubblewrap anew: {} and the directories above it must be \
                 root's alone, without set-user-ID bit or file capabilities",
                path.display()
            ),
            Self::BubblewrapStandIn { workspace } => format!(
                "run it as the user who works there, give {} to one (chown), or take jail = \"native\"",
                workspace.display()
            ),
            Self::BubblewrapCannot { .. } => "take jail = \"native\", or leave that out".into(),
            Self::Gvisor(why) => why.hint(),
            Self::Runsc(why) => why.hint(),
            Self::ClausesUnheld { unheld } => remedy(unheld),
            Self::LandlockMissing => {
                "add `landlock` to the kernel's `lsm=` list and reboot; Linux 5.13 is the first \
                 with it"
                    .into()
            }
            Self::Nested { mark } => format!(
                "run the command directly: an inner sandbox cannot be stronger than the one around \
                 it; if this is none, {mark} is not ours: as root, remove it"
            ),
            Self::BrokerUnknown => "run on Linux 5.19 or newer".into(),
            Self::BrokerTaken => {
                "start cofferdam outside of that container or sandbox: the kernel allows one \
                 supervisor (seccomp_unotify) above a process"
                    .into()
            }
            Self::BrokerRefused { .. } => {
                "start that container with a filter that lets seccomp pass (docker, podman: \
                 --security-opt seccomp=unconfined)"
                    .into()
            }
            Self::BrokerBlind { scope: 3.. } => BLIND_FOR_GOOD.into(),
            Self::BrokerBlind { .. } => {
                "as root: echo 1 > /proc/sys/kernel/yama/ptrace_scope".into()
            }
            Self::UserNamespacesOff { sysctl, wanted, .. } => {
                format!("as root: echo {wanted} > {sysctl}")
            }
            Self::NoStandIn => {
                "be an ordinary user of that namespace (unshare --map-user=1000), or map more users \
                 into it"
                    .into()
            }
            Self::LimitUnheld { limit, value, .. } => format!(
                "start it in a cgroup of its own: systemd-run --user --scope -p Delegate=yes \
                 cofferdam run …; or take what can be had: {limit} = {{ max = {}, hold = \
                 \"best-effort\" }}, --limit {limit}={value}:best-effort",
                if *limit == "memory" { format!("\"{value}\"") } else { value.clone() },
            ),
            Self::TooManyDoors { .. } => {
                "name fewer hosts or ports: those on 80 and 443 cost nothing; or a wildcard".into()
            }
            Self::DeviceMissing { name } => {
                format!("give this machine or container a /dev/{name}")
            }
            Self::SeatbeltUnheld { instead, .. } => (*instead).into(),
        }
    }
}

/// What is to be done where no process may be read by another.
const BLIND_FOR_GOOD: &str = "take kernel.yama.ptrace_scope=3 out of /etc/sysctl.d and reboot: until \
                              then it cannot be lowered";

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongMachine { machine } => write!(out, "no native jail for {machine}"),
            Self::JailNotHere { jail, clause } => {
                write!(out, "no jail `{jail}` can be built on this machine: {clause}")
            }
            Self::BubblewrapMissing { clause } => {
                write!(
                    out,
                    "bubblewrap is not installed, no bwrap in /usr/bin or /usr/local/bin: {clause}"
                )
            }
            Self::BubblewrapUntrusted { path, why } => {
                write!(out, "bubblewrap at {} is not to be trusted: {why}", path.display())
            }
            Self::BubblewrapStandIn { workspace } => write!(
                out,
                "{} is root's, and bubblewrap cannot show it to an unprivileged user",
                workspace.display()
            ),
            Self::BubblewrapCannot { what } => write!(out, "bubblewrap is not trusted to {what}"),
            Self::Gvisor(why) => why.fmt(out),
            Self::Runsc(why) => why.fmt(out),
            Self::ClausesUnheld { unheld } => {
                let all: Vec<&str> = unheld.iter().map(|one| one.what.as_str()).collect();
                write!(out, "the jail `landlock` does not hold: {}", all.join("; "))
            }
            Self::LandlockMissing => out.write_str("the kernel has no Landlock, the second wall"),
            Self::Nested { mark } => {
                write!(out, "cofferdam runs inside cofferdam already: {mark} is there")
            }
            Self::BrokerUnknown => {
                out.write_str("the kernel cannot hand system calls to the broker, who judges names")
            }
            Self::BrokerTaken => out.write_str(
                "an outer filter has a supervisor already, so there can be no broker for names",
            ),
            Self::BrokerRefused { errno: 0 } => out.write_str(
                "an outer filter answers seccomp as if it were done, so there can be no broker",
            ),
            Self::BrokerRefused { errno } => write!(
                out,
                "an outer filter answers seccomp with errno {errno}, so there can be no broker"
            ),
            Self::BrokerBlind { scope } => write!(
                out,
                "Yama's ptrace_scope is {scope}: the broker cannot read what it is asked"
            ),
            Self::UserNamespacesOff { sysctl, value, .. } => {
                write!(out, "user namespaces are forbidden here: {sysctl} is {value}")
            }
            Self::NoStandIn => out.write_str(
                "root is the only user of this user namespace, so the workload would be root",
            ),
            Self::LimitUnheld { value, clause, .. } => {
                write!(out, "no cgroup here holds {value} for the whole sandbox: {clause}")
            }
            Self::TooManyDoors { count, most } => write!(
                out,
                "network.allow needs {count} sockets for hosts on ports of their own, over {most}"
            ),
            Self::DeviceMissing { name } => write!(out, "/dev/{name} is missing"),
            Self::SeatbeltUnheld { what, clause, .. } => {
                write!(out, "Seatbelt cannot {what}: {clause}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
