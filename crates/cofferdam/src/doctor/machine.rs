//! The machine in words: what a bug report needs, and what an outer container takes away.

use std::fs;

use cofferdam_plan::Host;
use cofferdam_plan::facts::Ids;
use cofferdam_sandbox::Caller;

use super::judge::Evidence;

/// All that there is to say then.
const NESTED: [&str; 1] = ["in a sandbox of cofferdam's"];

/// Facts without a verdict.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Kernel, release and machine.
    pub(crate) kernel: String,
    /// What `/etc/os-release` calls it.
    pub(crate) system: String,
    /// Who started it, and who the workload would be.
    pub(crate) user: String,
    /// Security modules in use, as far as that can be read.
    pub(crate) modules: Option<String>,
    /// What is around this process, and what it takes away, one line each.
    pub(crate) around: Vec<String>,
}

impl Machine {
    pub(super) fn read(caller: &Caller, evidence: &Evidence) -> Self {
        let host = &evidence.host;
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let modules = fs::read_to_string("/sys/kernel/security/lsm").ok();
        Self {
            kernel: format!("{} {} {}", host.system, host.release, host.machine),
            system: name.map_or("unnamed", |name| name.trim_matches('"')).to_owned(),
            user: user(caller),
            modules: modules.map(|modules| modules.trim().to_owned()),
            around: if evidence.is_nested() {
                NESTED.map(str::to_owned).into()
            } else {
                around(host)
            },
        }
    }
}

fn user(caller: &Caller) -> String {
    let (person, _) = caller.person(&caller.cwd);
    let (uid, _) = person.ids.pair();
    match person.ids {
        Ids::Caller { .. } => format!("uid {uid}"),
        Ids::Owner { .. } => {
            format!("root, which gives way to uid {uid}, the owner of this directory")
        }
        Ids::StandIn { .. } => format!("root, for whom uid {uid} stands in"),
    }
}

/// Signs of a container (none is proof), and each thing that is seen to be missing, with what
/// gives it back.
fn around(host: &Host) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    for (sign, name) in [
        ("/.dockerenv", "docker"),
        ("/run/.containerenv", "podman"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ] {
        if fs::symlink_metadata(sign).is_ok() {
            lines.push(format!("in a container of {name}: {sign} is there"));
        }
    }
    let named = text("/run/systemd/container");
    if !named.trim().is_empty() {
        lines.push(format!("in a container of {}: /run/systemd/container says so", named.trim()));
    }
    if host.release.to_lowercase().contains("microsoft") {
        lines.push("on the Windows Subsystem for Linux".into());
    }
    if host.outer_seccomp != 0 {
        lines.push(
            "under an outer filter of system calls; where it takes unshare or mount away: docker, \
             podman --security-opt seccomp=unconfined"
                .into(),
        );
    }
    let masked = text("/proc/self/mountinfo");
    let masked = masked.lines().filter_map(|line| line.split(' ').nth(4));
    let masked: Vec<_> = masked.filter(|at| at.starts_with("/proc/")).collect();
    if let Some(first) = masked.first() {
        lines.push(format!(
            "/proc is mounted over in places ({first}, {} in all), so no fresh one can be had: docker \
             --security-opt systempaths=unconfined, podman --security-opt unmask=ALL",
            masked.len()
        ));
    }
    let users: Vec<_> = text("/proc/self/uid_map").lines().map(words).collect();
    if users != [["0", "0", "4294967295"].map(str::to_owned).to_vec()] {
        let count = users.iter().filter_map(|line| line.get(2)?.parse::<u64>().ok()).sum::<u64>();
        lines.push(format!("in a user namespace, number of its users: {count}"));
    }
    let label = text("/proc/self/attr/current");
    let label = label.trim_matches(['\0', '\n', ' ']);
    if !label.is_empty() && !label.starts_with("unconfined") && !label.contains(":unconfined_t:") {
        lines.push(format!(
            "confined by a security module as {label}; where it takes mount away: docker, podman \
             --security-opt apparmor=unconfined, or label=disable for SELinux"
        ));
    }
    lines
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
