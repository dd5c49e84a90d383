//! Reads [`Host`]: a few small files and two calls, at every start.
//!
//! What a kernel truly allows is found out by doing: init's steps fail with a cause. This only
//! reads what decides the plan and what explains such a failure.

use std::fs;
use std::io;
use std::path::Path;

use cofferdam_plan::Host;
use cofferdam_plan::host::{Ceiling, Ceilings, DEVICES, Listening, NO_CEILING, PROC_MASKED};
use cofferdam_sys::{question, seccomp};
use rustix::process::Resource;

/// `errno(3)`.
const EFAULT: i32 = 14;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;

/// Reads the machine, once.
#[must_use]
pub fn host() -> Host {
    let name = rustix::system::uname();
    let text = |text: &std::ffi::CStr| String::from_utf8_lossy(text.to_bytes()).into_owned();
    let present = |top: &str, names: &mut dyn Iterator<Item = &'static str>| -> Vec<String> {
        let top = Path::new(top);
        names.filter(|name| fs::symlink_metadata(top.join(name)).is_ok()).map(Into::into).collect()
    };
    let outer_seccomp = status_line("Seccomp:").unwrap_or(0);
    Host {
        system: text(name.sysname()),
        release: text(name.release()),
        machine: text(name.machine()),
        landlock_abi: question::landlock_abi(),
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restrict_userns: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        yama_ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
        outer_seccomp,
        listening: listening(outer_seccomp),
        stand_in_mapped: crate::facts::stand_in().is_some(),
        devices: present("/dev", &mut DEVICES.iter().map(|(name, ..)| *name)),
        proc_names: present("/proc", &mut PROC_MASKED.iter().copied()),
        ipv6: Path::new("/proc/net/if_inet6").exists(),
        memory: memory(),
        killed_first: number("/proc/self/oom_score_adj")
            .and_then(|score| u32::try_from(score).ok())
            .unwrap_or(0),
        ceilings: ceilings(),
        // Found out by making one, once it is known what it is for.
        groups: None,
        namespaces_denied: false,
        bubblewrap: cofferdam_plan::host::Bubblewrap::Unasked,
        runsc: cofferdam_plan::host::Runsc::Unasked,
    }
}

/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`: a filter that forbids nothing.
const ALLOW_ALL: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xFF, 0x7F];

/// Whether a filter may have a supervisor here. The kernel says whether it knows how; whether an outer
/// filter has one already shows only when one is put on, so below one a thread tries: what it changed
/// goes with it.
fn listening(outer_seccomp: u32) -> Listening {
    let answer = asked(question::ask_listening());
    if answer != Listening::Ready || outer_seccomp == 0 {
        return answer;
    }
    let tried = std::thread::spawn(|| -> io::Result<()> {
        rustix::thread::set_no_new_privs(true)?;
        seccomp::set_filter_listening(&ALLOW_ALL).map(drop)
    });
    match tried.join() {
        Ok(Ok(())) => Listening::Ready,
        Ok(Err(error)) => told(&error),
        Err(_) => Listening::Refused(0),
    }
}

/// What the answer to the question says: an answer without an error is nobody's who knows.
fn asked(answer: io::Result<()>) -> Listening {
    match answer {
        Err(error) if error.raw_os_error() == Some(EFAULT) => Listening::Ready,
        Err(error) => told(&error),
        Ok(()) => Listening::Refused(0),
    }
}

fn told(error: &io::Error) -> Listening {
    match error.raw_os_error() {
        Some(EINVAL) => Listening::Unknown,
        Some(EBUSY) => Listening::Taken,
        errno => Listening::Refused(errno.unwrap_or(0)),
    }
}

/// Of the machine (`proc_meminfo(5)`), or of the group that bounds this process, where that has its
/// usual place: a container's is smaller than its machine. Bytes.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let machine = kib.unwrap_or(0).saturating_mul(1_024);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().filter_map(|line| match line.splitn(3, ':').collect::<Vec<_>>()[..] {
        [_, "", path] => Some(format!("/sys/fs/cgroup{path}/memory.max")),
        [_, "memory", path] => Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
        _ => None,
    });
    let top = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let bounds = own.chain(top.map(str::to_owned)).filter_map(|path| number(&path));
    bounds.fold(machine, u64::min)
}

/// Of this process (`getrlimit(2)`).
pub(crate) fn ceilings() -> Ceilings {
    let of = |resource| {
        let limit = rustix::process::getrlimit(resource);
        let known = |value: Option<u64>| value.unwrap_or(NO_CEILING);
        Ceiling { soft: known(limit.current), hard: known(limit.maximum) }
    };
    Ceilings {
        processes: of(Resource::Nproc),
        open_files: of(Resource::Nofile),
        file_size: of(Resource::Fsize),
        data: of(Resource::Data),
        signals: of(Resource::Sigpending),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_of_a_listener() {
        for (answer, want, why) in [
            (Err(EFAULT), Listening::Ready, "the kernel looked for the program"),
            (Err(EINVAL), Listening::Unknown, "a flag is unknown"),
            (Err(EBUSY), Listening::Taken, "somebody has one"),
            (Err(1), Listening::Refused(1), "a filter's EPERM"),
            (Err(38), Listening::Refused(38), "a filter's ENOSYS"),
            (Ok(()), Listening::Refused(0), "a filter that says that it is done"),
        ] {
            let answer = answer.map_err(io::Error::from_raw_os_error);
            assert_eq!(asked(answer), want, "{why}");
        }
    }

    /// This kernel's word and an attempt agree, and the attempt leaves nothing behind.
    #[test]
    fn the_question_and_the_attempt_agree() {
        let filters = || status_line("Seccomp_filters:");
        let before = filters();
        let mode = status_line("Seccomp:").unwrap_or(0);
        assert_eq!(listening(mode), listening(2));
        assert_eq!(filters(), before);
    }
}
