//! Host: what the kernel offers, read once by `cofferdam-sandbox` and recorded.

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
    /// Whether this user namespace has the user that stands in for root (`user_namespaces(7)`).
    pub stand_in_mapped: bool,
    /// Device files that exist below `/dev`, from the list the plan may ask for.
    pub devices: Vec<String>,
    /// Names below `/proc` that exist, from the list the plan masks.
    pub proc_names: Vec<String>,
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
