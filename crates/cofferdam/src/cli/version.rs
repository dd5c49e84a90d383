//! Which cofferdam this is, and what a bug report needs of the machine: no name of a person, no
//! path of theirs.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use cofferdam_plan::host::Listening;
use cofferdam_plan::{BUILD, Host};
use cofferdam_sandbox::Group;
use cofferdam_sandbox::machine::{self, Machine};
use cofferdam_sandbox::probe;
use serde_json::json;

/// Version and build: the digest of the sources that make the wall.
pub(super) fn line() -> &'static str {
    static LINE: LazyLock<String> =
        LazyLock::new(|| format!("{} (build {})", env!("CARGO_PKG_VERSION"), build()));
    &LINE
}

fn build() -> &'static str {
    BUILD.rsplit_once('-').map_or(BUILD, |(_, build)| build)
}

/// The same with what was read of the machine.
pub(super) fn facts(json: bool) -> String {
    let (mut host, machine) = (probe::host(), machine::machine());
    // Made as for a sandbox, and removed.
    let root = Path::new("/");
    host.groups = Group::make(root).map(|mut group| {
        group.add_cpus(root);
        group.groups()
    });
    if json {
        let object = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "build": build(),
            "host": serde_json::to_value(&host).unwrap_or_default(),
            "machine": {
                "distribution": machine.distribution,
                "security_modules": machine.security_modules,
                "cgroups": machine.cgroups.as_str(),
                "container": machine.container,
                "root": machine.root,
            },
        });
        return object.to_string();
    }
    let mut text = format!("cofferdam {}\n", line());
    for (name, value) in rows(&host, &machine) {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<16} {value}").unwrap_or(());
    }
    cofferdam_policy::printable(text.trim_end())
}

fn rows(host: &Host, machine: &Machine) -> [(&'static str, String); 11] {
    let setting = |value: Option<u64>| value.map_or("absent".to_owned(), |value| value.to_string());
    let or_none =
        |list: &[String]| if list.is_empty() { "none seen".into() } else { list.join(", ") };
    [
        ("kernel", format!("{} {} {}", host.system, host.release, host.machine)),
        ("distribution", machine.distribution.clone().unwrap_or_else(|| "unknown".into())),
        ("security modules", or_none(&machine.security_modules)),
        (
            "landlock",
            match host.landlock_abi {
                0 => "missing".into(),
                abi => format!("ABI {abi}"),
            },
        ),
        (
            "user namespaces",
            format!(
                "max_user_namespaces {}, unprivileged_userns_clone {}, \
                 apparmor_restrict_unprivileged_userns {}",
                setting(host.max_user_namespaces),
                setting(host.unprivileged_userns_clone),
                setting(host.apparmor_restrict_userns)
            ),
        ),
        ("ptrace_scope", setting(host.yama_ptrace_scope)),
        (
            "broker",
            match host.listening {
                Listening::Ready => "can be asked".into(),
                Listening::Unknown => "unknown to this kernel".into(),
                Listening::Taken => "an outer filter has a supervisor".into(),
                Listening::Refused(errno) => format!("seccomp is answered with errno {errno}"),
            },
        ),
        (
            "outer seccomp",
            match host.outer_seccomp {
                0 => "none".into(),
                mode => format!("mode {mode}"),
            },
        ),
        (
            "cgroups",
            match &host.groups {
                None => format!("{}, none of ours can be made", machine.cgroups.as_str()),
                Some(groups) => {
                    let held = [
                        (groups.memory, "memory"),
                        (groups.processes, "processes"),
                        (groups.cpus, "processors"),
                    ];
                    let held = held.iter().filter(|(held, _)| *held).map(|(_, name)| *name);
                    let held = held.collect::<Vec<_>>().join(", ");
                    format!(
                        "{}, one of ours (v{}) holds {held}",
                        machine.cgroups.as_str(),
                        groups.version
                    )
                }
            },
        ),
        ("container", or_none(&machine.container)),
        ("started as", if machine.root { "root" } else { "an ordinary user" }.into()),
    ]
}
