//! Reads [`Host`]: a few small files and two calls, at every start.
//!
//! What a kernel truly allows is found out by doing: init's steps fail with a cause. This only
//! reads what decides the plan and what explains such a failure.

use std::fs;
use std::path::Path;

use cofferdam_plan::Host;
use cofferdam_plan::host::{DEVICES, PROC_MASKED};

/// Reads the machine, once.
#[must_use]
pub fn host() -> Host {
    let name = rustix::system::uname();
    let text = |text: &std::ffi::CStr| String::from_utf8_lossy(text.to_bytes()).into_owned();
    let present = |top: &str, names: &mut dyn Iterator<Item = &'static str>| -> Vec<String> {
        let top = Path::new(top);
        names.filter(|name| fs::symlink_metadata(top.join(name)).is_ok()).map(Into::into).collect()
    };
    Host {
        system: text(name.sysname()),
        release: text(name.release()),
        machine: text(name.machine()),
        landlock_abi: cofferdam_sys::landlock::abi(),
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restrict_userns: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        yama_ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
        outer_seccomp: status_line("Seccomp:").unwrap_or(0),
        stand_in_mapped: crate::facts::stand_in().is_some(),
        devices: present("/dev", &mut DEVICES.iter().map(|(name, ..)| *name)),
        proc_names: present("/proc", &mut PROC_MASKED.iter().copied()),
    }
}

/// What every sandbox of ours has at its root, and the host has not: only root could make it there.
pub const MARK: &str = "/.cofferdam/hidden-directory";

/// Whether this process runs inside a sandbox of ours already.
#[must_use]
pub fn is_inside() -> bool {
    fs::symlink_metadata(MARK).is_ok()
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A number of `/proc/self/status` (`proc(5)`).
fn status_line(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}
