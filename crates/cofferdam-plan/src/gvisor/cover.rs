//! Coverage with an application kernel in the jail: the native rows, with who holds each here.

use cofferdam_policy::model::{Clause, Policy};

use super::{differs, is_ephemeral, is_old};
use crate::coverage::{Coverage, Extent};
use crate::native::cover::broker::BROKER;
use crate::native::cover::row;
use crate::plan::Plan;
use crate::runsc::Build;

/// What holds a row natively, and what does here; nothing where it is not there.
const HERE: &[(&str, Option<&str>)] = &[
    ("no AF_UNIX datagrams", Some("gVisor passes no socket of the host's on")),
    (
        "private /tmp, /dev, /proc; empty /run, /sys",
        Some("/tmp, /dev, /proc and /sys of gVisor's; empty /run"),
    ),
    ("RLIMIT_FSIZE", Some("gVisor's kernel")),
    ("RLIMIT_DATA", None),
];

/// How the layer in memory keeps what it lies above.
const OUTSIDE: &str = "read-only outside";

/// The native plan's rows with who holds them here.
pub(super) fn rows(policy: &Policy, plan: &Plan, build: &Build) -> Vec<Coverage> {
    let others = plan.coverage.iter().filter(|row| !is_brokers(row));
    // Of a workspace below a layer there is another row.
    let others =
        others.filter(|row| !is_ephemeral(policy) || row.clause != policy.workspace.clause);
    let mut rows: Vec<Coverage> = others.map(|native| here(policy, native)).collect();
    let mut open =
        "gVisor's kernel is a program of the host's: one that is taken over meets the jail, \
                whose filter lets it make namespaces and mounts of its own"
            .to_owned();
    if is_old(build) {
        open += "; of this build, also what /proc says of the machine, which is root's to change";
    }
    let mut first = row(
        &policy.isolation_clause,
        format!(
            "the workload meets gVisor's kernel ({}, {}), and that one the host's through a jail",
            build.version.name,
            build.platform.name()
        ),
        &[
            "gVisor's kernel",
            "namespaces",
            "a system-call filter around it",
            "no capabilities outside",
            "no_new_privs",
        ],
        Extent::Partly { open },
    );
    if let Some(native) = rows.iter_mut().find(|native| native.clause == policy.isolation_clause) {
        std::mem::swap(native, &mut first);
    }
    rows.push(row(
        &Clause::built_in("identity.inside"),
        "inside, the workload is user 0 without capabilities; outside, it is its own user",
        &["gVisor's kernel", "user namespace"],
        Extent::Enforced,
    ));
    if is_ephemeral(policy) {
        rows.push(row(
            &policy.workspace.clause,
            format!(
                "what is written in {} stays in memory and ends with the run",
                policy.workspace.path.display()
            ),
            &["a read-only mount outside", "gVisor's layer in memory"],
            Extent::Partly { open: "its size is bounded by memory alone".into() },
        ));
    }
    rows.extend(differs::rows(policy));
    rows
}

/// Whether it is about the broker, which is not there.
fn is_brokers(row: &Coverage) -> bool {
    let settings = row.mechanisms.iter().any(|one| one.starts_with("the broker: it writes"));
    settings || row.clause == Clause::built_in("broker")
}

fn here(policy: &Policy, native: &Coverage) -> Coverage {
    let mut row = native.clone();
    let brokered = row.mechanisms.iter().any(|mechanism| mechanism == BROKER);
    row.mechanisms =
        row.mechanisms.iter().filter_map(|mechanism| name(policy, mechanism)).collect();
    if row.mechanisms.is_empty() && !native.mechanisms.is_empty() {
        row.mechanisms.push("mount view".into());
    }
    let sockets = row.clause == Clause::built_in("filesystem.sockets");
    if sockets {
        row.mechanisms.retain(|mechanism| mechanism != OUTSIDE);
    }
    match row.clause.name.as_str() {
        "limits.processes" => {
            row.extent = Extent::Partly {
                open:
                    "threads outside are counted: gVisor has some of its own, and makes them as it \
                       needs them for the workload's"
                        .into(),
            };
        }
        "limits.private_size" => {
            row.mechanisms = vec!["size of each tmpfs of gVisor's".into()];
            let open = "names in it, and a home below a layer, are bounded by memory alone";
            row.extent = Extent::Partly { open: open.into() };
        }
        "limits.open_files" => {
            row.mechanisms = vec!["RLIMIT_NOFILE, held by gVisor's kernel".into()]
        }
        _ => {}
    }
    if brokered && !sockets && is_ephemeral(policy) {
        row.extent = Extent::Partly {
            open:
                "in the workload's own layer, which ends with the run, these names can be written"
                    .into(),
        };
    }
    row
}

fn name(policy: &Policy, mechanism: &str) -> Option<String> {
    if mechanism == BROKER || mechanism.starts_with("the broker") {
        let how = if is_ephemeral(policy) { OUTSIDE } else { "mounts over what is there" };
        return Some(how.into());
    }
    // No layer here has a right of files.
    if mechanism.starts_with("Landlock") {
        return None;
    }
    let found = HERE.iter().find(|(native, _)| *native == mechanism);
    found.map_or_else(|| Some(mechanism.to_owned()), |(_, here)| here.map(str::to_owned))
}
