//! Landlock rights by ABI (`landlock(7)`), as numbers: decided here, applied by init.

use std::path::PathBuf;

use cofferdam_policy::facts::Kind;
use cofferdam_policy::model::{Grant, Mode, Policy};

const EXECUTE: u64 = 1 << 0;
/// Opening a file for writing, ABI 1.
pub const WRITE_FILE: u64 = 1 << 1;
/// Opening a file for reading, ABI 1.
pub const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
/// Everything of ABI 1 (Linux 5.13).
const FIRST: u64 = (1 << 13) - 1;
/// Moving between directories, ABI 2 (Linux 5.19).
const REFER: u64 = 1 << 13;
/// `truncate(2)`, ABI 3 (Linux 6.2).
pub const TRUNCATE: u64 = 1 << 14;
/// `ioctl(2)` on devices, ABI 5 (Linux 6.10).
pub const IOCTL_DEV: u64 = 1 << 15;
/// Binding and connecting TCP sockets, ABI 4 (Linux 6.7).
const TCP: u64 = 0b11;
/// Abstract sockets and signals, ABI 6 (Linux 6.12).
const SCOPES: u64 = 0b11;

/// Handled by the workload's own layer: a right that nobody gets anyway. The layer is there so
/// that the workload's domain is below init's, which closes `ptrace(2)` and `/proc/1`.
///
/// A layer that says nothing of moving between directories forbids it (`landlock(7)`, REFER), so
/// this one names it, and [`workload_rules`] leaves the judgement to init's layer. A layer of
/// scopes alone says nothing of it either, and is hardly faster.
pub(crate) const fn workload_only(abi: u32) -> u64 {
    MAKE_CHAR | if abi >= 2 { REFER } else { 0 }
}

/// What the workload's own layer leaves to init's.
pub(crate) fn workload_rules(abi: u32) -> Vec<(PathBuf, u64)> {
    if abi >= 2 { vec![("/".into(), REFER)] } else { Vec::new() }
}

/// Every right that this ABI can deny.
#[must_use]
pub const fn handled(abi: u32) -> u64 {
    let mut rights = FIRST;
    if abi >= 2 {
        rights |= REFER;
    }
    if abi >= 3 {
        rights |= TRUNCATE;
    }
    if abi >= 5 {
        rights |= IOCTL_DEV;
    }
    rights
}

/// The scopes that this ABI has.
#[must_use]
pub const fn scoped(abi: u32) -> u64 {
    if abi >= 6 { SCOPES } else { 0 }
}

/// The rights of the network that this ABI has.
#[must_use]
pub const fn network(abi: u32) -> u64 {
    if abi >= 4 { TCP } else { 0 }
}

/// Rights on a tree or file of this mode, among those that this ABI has.
pub(crate) fn rights(abi: u32, mode: Mode, kind: Kind) -> u64 {
    let handled = handled(abi);
    let read = READ_FILE | READ_DIR | EXECUTE;
    let rights = match mode {
        Mode::ReadOnly => read,
        Mode::AppendOnly | Mode::NoDelete | Mode::ReadWrite => {
            handled & !MAKE_CHAR & !(1 << 11) & !IOCTL_DEV
        }
    };
    let files = EXECUTE | WRITE_FILE | READ_FILE | (handled & TRUNCATE);
    if kind == Kind::Directory { rights } else { rights & files }
}

/// Rights on a device file.
pub(crate) const fn device(abi: u32) -> u64 {
    READ_FILE | WRITE_FILE | (handled(abi) & (TRUNCATE | IOCTL_DEV))
}

/// Rights on `/proc`, in which nobody writes by a name.
pub(crate) const PROC: u64 = READ_FILE | READ_DIR;

/// Rights by path of the new root.
pub(super) fn rules(policy: &Policy, abi: u32) -> Vec<(PathBuf, u64)> {
    let handled = handled(abi);
    let everything = handled & !MAKE_CHAR & !(1 << 11);
    let tree = |grant: &Grant| (grant.path.clone(), rights(abi, grant.mode, grant.seen.kind));
    let device = handled & (READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE | IOCTL_DEV);
    let made = policy.replaced.iter();
    let mut made = made.filter(|ours| ours.at.starts_with("/etc"));
    let made = made.any(|ours| super::is_made(policy, ours));
    let private = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    [
        (PathBuf::from("/"), READ_DIR),
        ("/proc".into(), READ_FILE | READ_DIR),
        ("/dev".into(), device),
    ]
    .into_iter()
    .chain([("/.cofferdam".into(), READ_FILE), ("/run".into(), READ_FILE)])
    // Where the workload's system has none, our files are all that is in it.
    .chain(made.then(|| ("/etc".into(), READ_FILE | READ_DIR)))
    .chain(private.into_iter().chain([policy.home.clone()]).map(|path| {
        let rights = everything & !IOCTL_DEV;
        (path, rights)
    }))
    .chain(policy.grants.iter().chain([&policy.workspace]).map(tree))
    .collect()
}
