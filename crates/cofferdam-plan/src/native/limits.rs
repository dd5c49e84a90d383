//! Limits: who holds each on this machine, and how fully.
//!
//! Control groups count a whole sandbox, resource limits each process; what the machine has of the
//! first decides, and a limit that was asked for and that nobody holds is a refusal.

use cofferdam_policy::limits::{Hold, Limit, Name};
use cofferdam_policy::model::{Clause, Policy};

use super::cover::row;
use crate::coverage::{Coverage, Extent};
use crate::host::{Ceiling, Host, NO_CEILING};
use crate::plan::{Bounds, OWN_PROCESSES, Resource, Step};
use crate::refusal::Refusal;

/// Where a group refuses (and counts) the fork too many, the resource limit stands behind it.
const BEHIND: u64 = 8;
/// Pseudo-terminals of one sandbox: the whole machine has 4,096 (`/proc/sys/kernel/pty/max`).
const TERMINALS: u32 = 256;
/// Signals that wait, and timers. The caller's own number, some four for each mebibyte of the machine,
/// is one for all of their programs, which a sandbox could use up.
const SIGNALS: u64 = 1_024;
/// Who holds less than half of the memory outlives the workload when the machine has none left.
const KILLED_FIRST: u32 = 500;
/// Of the machine's memory, what all processes together may have by default: three quarters.
const MEMORY_SHARE: (u64, u64) = (3, 4);
/// What each of the four private places may have: an eighth, half of the memory together.
const PRIVATE_SHARE: u64 = 8;
const PRIVATE_LEAST: u64 = 256 << 20;
/// Bytes of a private place to one name in it: a name costs a kibibyte of the kernel's own.
const BYTES_A_FILE: u64 = 8 << 10;
const FILES: (u64, u64) = (1 << 10, 1 << 20);
const MIB: u64 = 1 << 20;

/// What the plan holds the limits with.
pub(crate) struct Held {
    pub(crate) bounds: Bounds,
    pub(crate) private: Private,
    pub(crate) terminals: u32,
    pub(crate) killed_first: u32,
    /// Resource limits, for the end of `setup`.
    pub(crate) steps: Vec<Step>,
    pub(crate) rows: Vec<Coverage>,
}

/// Size of each private place.
#[derive(Clone, Copy)]
pub(crate) struct Private {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// Decides for every limit.
///
/// # Errors
/// One that was asked for cannot be held.
pub(crate) fn held(policy: &Policy, host: &Host) -> Result<Held, Refusal> {
    let limits = &policy.limits;
    let mut held = Held {
        bounds: Bounds {
            grace: limits.grace.value,
            own_processes: OWN_PROCESSES,
            ..Bounds::default()
        },
        private: private(policy, host),
        terminals: TERMINALS,
        killed_first: KILLED_FIRST.max(host.killed_first),
        steps: Vec::new(),
        rows: Vec::new(),
    };
    memory(policy, host, &mut held)?;
    cpus(policy, host, &mut held)?;
    processes(policy, host, &mut held);
    signals(host, &mut held);
    open_files(policy, host, &mut held);
    file_size(policy, host, &mut held);
    wall_time(policy, &mut held);
    private_row(policy, &mut held);
    Ok(held)
}

fn private(policy: &Policy, host: &Host) -> Private {
    let share = (host.memory / PRIVATE_SHARE / MIB * MIB).max(PRIVATE_LEAST);
    // What is in memory counts as memory: half of a small limit leaves the other for processes.
    let half = policy.limits.memory.as_ref().map_or(u64::MAX, |memory| memory.value / 2);
    let asked = policy.limits.private_size.as_ref().map(|asked| asked.value);
    let bytes = asked.unwrap_or_else(|| share.min(half));
    Private { bytes, files: (bytes / BYTES_A_FILE).clamp(FILES.0, FILES.1) }
}

fn unheld(name: Name, limit: &Limit) -> Refusal {
    Refusal::LimitUnheld {
        limit: name.as_str(),
        value: name.shown(limit.value),
        clause: limit.clause.clone(),
    }
}

fn memory(policy: &Policy, host: &Host, held: &mut Held) -> Result<(), Refusal> {
    let group = host.groups.as_ref().filter(|groups| groups.memory);
    let last = "killed first when the machine's memory is short";
    let default = host.memory / MEMORY_SHARE.1 * MEMORY_SHARE.0 / MIB * MIB;
    let asked = policy.limits.memory.as_ref();
    let clause = asked.map_or_else(|| Clause::built_in("limits.memory"), |a| a.clause.clone());
    let value = asked.map_or(default, |asked| asked.value);
    if let (Some(asked), None) = (asked.filter(|asked| asked.hold == Hold::Required), group) {
        return Err(unheld(Name::Memory, asked));
    }
    let says =
        format!("all processes together use at most {} of memory", Name::Memory.shown(value));
    let (mechanisms, extent) = match (group, asked) {
        // The machine's memory is not known, or less than any sandbox needs.
        (_, None) if value == 0 => (vec![last], open("nothing holds it: best-effort")),
        (Some(groups), _) => {
            held.bounds.memory = Some(value);
            (vec![groups.memory_file(), last], Extent::Enforced)
        }
        (None, Some(_)) => {
            let (soft, hard) = clipped(value, value, host.ceilings.data);
            held.steps.push(Step::Limit { resource: Resource::Data, soft, hard });
            let why = "each process alone; shared memory, private places and the kernel's own are \
                       not counted: best-effort, no cgroup of ours here";
            (vec!["RLIMIT_DATA", last], open(why))
        }
        // By itself no RLIMIT_DATA: sanitizers map terabytes that they never touch.
        (None, None) => (vec![last], open("nothing holds it: best-effort, no cgroup of ours here")),
    };
    held.rows.push(row(&clause, &says, &mechanisms, extent));
    Ok(())
}

fn cpus(policy: &Policy, host: &Host, held: &mut Held) -> Result<(), Refusal> {
    let Some(asked) = &policy.limits.cpus else { return Ok(()) };
    let says = format!("all processes together use {} processors", Name::Cpus.shown(asked.value));
    let (mechanisms, extent) = match host.groups.as_ref().filter(|groups| groups.cpus) {
        Some(groups) => {
            held.bounds.cpus = Some(asked.value);
            (vec![groups.cpu_file()], Extent::Enforced)
        }
        None if asked.hold == Hold::Required => return Err(unheld(Name::Cpus, asked)),
        None => (vec![], open("nothing holds it: best-effort, no cgroup of ours here")),
    };
    held.rows.push(row(&asked.clause, &says, &mechanisms, extent));
    Ok(())
}

fn processes(policy: &Policy, host: &Host, held: &mut Held) {
    let asked = &policy.limits.processes;
    let group = host.groups.as_ref().filter(|groups| groups.processes);
    let behind = if group.is_some() { BEHIND } else { 0 };
    // Ours are of the group and of the namespace, and nobody means them by `processes`.
    let count = asked.value + OWN_PROCESSES + behind;
    let (soft, hard) = clipped(count, count, host.ceilings.processes);
    let value = asked.value.min(hard.saturating_sub(OWN_PROCESSES));
    let says = format!("at most {value} processes and threads at one time{}", caller(asked, value));
    let mut mechanisms = Vec::new();
    if let Some(groups) = group {
        held.bounds.processes = Some(value + OWN_PROCESSES);
        mechanisms.push(groups.processes_file());
    }
    let namespace = host.at_least(5, 14);
    // Before, the kernel counts every process of this user, wherever it runs.
    if namespace || group.is_none() {
        held.steps.push(Step::Limit { resource: Resource::Processes, soft, hard });
        mechanisms.push("RLIMIT_NPROC in the sandbox's own user namespace");
    }
    let extent = match (namespace, group) {
        (true, _) | (false, Some(_)) => Extent::Enforced,
        (false, None) => open(
            "other processes of this user count as well: a namespace's own count is Linux 5.14",
        ),
    };
    held.rows.push(row(&asked.clause, &says, &mechanisms, extent));
    let says = format!("at most {TERMINALS} pseudo-terminals");
    let clause = Clause::built_in("limits.terminals");
    held.rows.push(row(&clause, &says, &["private devpts"], Extent::Enforced));
}

/// Without one, no program of the caller's could make a timer while a sandbox keeps them all.
fn signals(host: &Host, held: &mut Held) {
    let (soft, hard) = clipped(SIGNALS, SIGNALS, host.ceilings.signals);
    held.steps.push(Step::Limit { resource: Resource::Signals, soft, hard });
    let says = format!("at most {hard} waiting signals and timers");
    let clause = Clause::built_in("limits.signals");
    let extent = if host.at_least(5, 14) {
        Extent::Enforced
    } else {
        open("other programs of this user count as well: a namespace's own count is Linux 5.14")
    };
    held.rows.push(row(&clause, &says, &["RLIMIT_SIGPENDING"], extent));
}

fn open_files(policy: &Policy, host: &Host, held: &mut Held) {
    let asked = &policy.limits.open_files;
    let ceiling = host.ceilings.open_files;
    // By default what a program starts with is as outside: select(2) breaks above 1,024.
    let soft = if asked.is_default() { ceiling.soft } else { asked.value };
    let (soft, hard) = clipped(soft, asked.value, ceiling);
    held.steps.push(Step::Limit { resource: Resource::OpenFiles, soft, hard });
    let says = format!("at most {hard} open files in a process{}", caller(asked, hard));
    let extent = open("each process alone: together they are bounded by the number of processes");
    held.rows.push(row(&asked.clause, &says, &["RLIMIT_NOFILE"], extent));
}

fn file_size(policy: &Policy, host: &Host, held: &mut Held) {
    let Some(asked) = &policy.limits.file_size else { return };
    let (soft, hard) = clipped(asked.value, asked.value, host.ceilings.file_size);
    held.steps.push(Step::Limit { resource: Resource::FileSize, soft, hard });
    held.bounds.file_size = Some(hard);
    let size = Name::FileSize.shown(hard);
    let says = format!("no file is written beyond {size}{}", caller(asked, hard));
    held.rows.push(row(&asked.clause, &says, &["RLIMIT_FSIZE"], Extent::Enforced));
}

fn wall_time(policy: &Policy, held: &mut Held) {
    let Some(asked) = &policy.limits.wall_time else { return };
    held.bounds.wall_time = Some(asked.value);
    let time = Name::WallTime.shown(asked.value);
    let says = match policy.limits.grace.value {
        0 => format!("after {time} the command is killed"),
        grace => format!(
            "after {time} the command is asked to end (SIGTERM), and killed {} later",
            Name::Grace.shown(grace)
        ),
    };
    held.rows.push(row(&asked.clause, &says, &["the engine's clock"], Extent::Enforced));
}

fn private_row(policy: &Policy, held: &mut Held) {
    let asked = policy.limits.private_size.as_ref();
    let clause =
        asked.map_or_else(|| Clause::built_in("limits.private_size"), |a| a.clause.clone());
    let Private { bytes, files } = held.private;
    let size = Name::PrivateSize.shown(bytes);
    let says = format!("each private place holds at most {size} and {files} files");
    held.rows.push(row(&clause, &says, &["size and nr_inodes of each tmpfs"], Extent::Enforced));
}

fn open(text: &str) -> Extent {
    Extent::Partly { open: text.into() }
}

/// Soft and hard value, never above what the caller may set.
fn clipped(soft: u64, hard: u64, ceiling: Ceiling) -> (u64, u64) {
    let hard = hard.min(ceiling.hard);
    (soft.min(hard), hard)
}

/// Says so where the caller's own limit is the smaller one.
fn caller(asked: &Limit, value: u64) -> &'static str {
    if value < asked.value && value < NO_CEILING { " (the caller's own hard limit)" } else { "" }
}
