//! Host: what the kernel offers, read once by `cofferdam-sandbox` and recorded.

use std::path::PathBuf;

pub use crate::runsc::Runsc;

/// The machine, as far as a plan depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Host {
    /// Operating system, as `uname(2)` says: `Linux`.
    pub system: String,
    /// Kernel release, as `uname(2)` says.
    pub release: String,
    /// Machine, as `uname(2)` says: `x86_64`.
    pub machine: String,
    /// Landlock ABI, from 1; 0 where the kernel has none or it is not enabled.
    pub landlock_abi: u32,
    /// `/proc/sys/user/max_user_namespaces`; `None` where there is no such file.
    pub max_user_namespaces: Option<u64>,
    /// `/proc/sys/kernel/unprivileged_userns_clone` (Debian's and Arch's patch).
    pub unprivileged_userns_clone: Option<u64>,
    /// `/proc/sys/kernel/apparmor_restrict_unprivileged_userns` (Ubuntu).
    pub apparmor_restrict_userns: Option<u64>,
    /// `/proc/sys/kernel/yama/ptrace_scope`.
    pub yama_ptrace_scope: Option<u64>,
    /// Seccomp mode of the caller itself (`/proc/self/status`): 0 none, 2 a filter of an outer wall.
    pub outer_seccomp: u32,
    /// Whether the workload's filter can hand calls to a broker.
    pub listening: Listening,
    /// Whether this user namespace has the user that stands in for root (`user_namespaces(7)`).
    pub stand_in_mapped: bool,
    /// Device files that exist below `/dev`, from the list the plan may ask for.
    pub devices: Vec<String>,
    /// Names below `/proc` that exist, from the list the plan masks.
    pub proc_names: Vec<String>,
    /// Whether the kernel speaks IPv6 (`/proc/net/if_inet6`).
    pub ipv6: bool,
    /// Memory of the machine, or of the control group this process is in. Bytes; 0: not known.
    pub memory: u64,
    /// `/proc/self/oom_score_adj` where that is above 0 (`proc_pid_oom_score_adj(5)`).
    pub killed_first: u32,
    /// The caller's own resource limits.
    pub ceilings: Ceilings,
    /// The control group that was made for this sandbox.
    pub groups: Option<Groups>,
    /// Whether init was forbidden the namespaces that it asked for; tried where a setting gives reason to.
    pub namespaces_denied: bool,
    /// Bubblewrap's program, where a plan may be for it.
    pub bubblewrap: Bubblewrap,
    /// gVisor's program, where a plan may be for it.
    pub runsc: Runsc,
}

/// A program of the host's, opened once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Program {
    /// Where it was found.
    pub path: PathBuf,
    /// Device of the file system.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// What was found of bubblewrap's `bwrap`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Bubblewrap {
    /// Nobody looked: the policy is for another jail.
    #[default]
    Unasked,
    /// It is in none of the places where it is looked for.
    Missing,
    /// It is there, and others than root could have put it there, or it has privileges of its own.
    Untrusted {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is root's, and nobody else's.
    Ready(Program),
}

impl Host {
    /// Whether the kernel's release is at least `major.minor`.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.release.split(|letter: char| !letter.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        (next(), next()) >= (major, minor)
    }
}

/// Whether a filter can hand calls to a supervisor (`seccomp_unotify(2)`) that finishes each call which
/// it has begun, whatever signals come (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, Linux 5.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Listening {
    /// It can.
    Ready,
    /// The kernel does not know how.
    Unknown,
    /// An outer filter has a supervisor already, and the kernel allows one.
    Taken,
    /// The call is answered otherwise, with this `errno(3)`: an outer filter hides it.
    Refused(i32),
}

/// A resource limit of the caller's (`getrlimit(2)`); [`NO_CEILING`] where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Ceiling {
    /// What holds.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// `RLIM_INFINITY`.
pub const NO_CEILING: u64 = u64::MAX;

/// The caller's resource limits, as far as a plan sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Ceilings {
    /// `RLIMIT_NPROC`.
    pub processes: Ceiling,
    /// `RLIMIT_NOFILE`.
    pub open_files: Ceiling,
    /// `RLIMIT_FSIZE`. Bytes.
    pub file_size: Ceiling,
    /// `RLIMIT_DATA`. Bytes.
    pub data: Ceiling,
    /// `RLIMIT_SIGPENDING`.
    pub signals: Ceiling,
}

/// What a control group of our own can hold; it exists when this says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Groups {
    /// 1 or 2 (`cgroups(7)`).
    pub version: u8,
    /// The memory controller.
    pub memory: bool,
    /// The pids controller.
    pub processes: bool,
    /// The cpu controller.
    pub cpus: bool,
}

impl Groups {
    pub(crate) const fn memory_file(&self) -> &'static str {
        if self.version == 1 { "cgroup v1 memory.limit_in_bytes" } else { "cgroup v2 memory.max" }
    }

    pub(crate) const fn processes_file(&self) -> &'static str {
        if self.version == 1 { "cgroup v1 pids.max" } else { "cgroup v2 pids.max" }
    }

    pub(crate) const fn cpu_file(&self) -> &'static str {
        if self.version == 1 { "cgroup v1 cpu.cfs_quota_us" } else { "cgroup v2 cpu.max" }
    }
}

/// Device files that the workload gets, with major and minor number (`Documentation/admin-guide/
/// devices.txt`): none of them reaches hardware or another process.
pub const DEVICES: &[(&str, u32, u32)] = &[
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Names below `/proc` that tell about, or act on, the whole machine: hidden.
pub const PROC_MASKED: &[&str] = &[
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kallsyms",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "latency_stats",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
    "acpi",
    "asound",
    "bus",
    "driver",
    "fs",
    "irq",
    "scsi",
];
