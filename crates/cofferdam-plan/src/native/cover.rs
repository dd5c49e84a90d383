//! Coverage of the native jail: one row a clause, honest about what is left open.

use cofferdam_policy::Rules;
use cofferdam_policy::facts::Ids;
use cofferdam_policy::model::{Clause, Grant, Mode, Origin, Ours, Policy, Rootfs};

pub(crate) mod broker;
mod names;
mod network;
mod walls;

use broker::BROKER;
pub(crate) use network::host_row;
use walls::Walls;

use crate::coverage::{Coverage, Extent};
use crate::host::Host;
use crate::jail::Rows;

/// Every row but those of the limits, in the order in which a person would ask.
pub(super) fn rows((policy, which): (&Policy, Rows), rules: &Rules, host: &Host) -> Vec<Coverage> {
    let walls = &Walls::of(policy, host);
    let mut rows = vec![
        row(
            &policy.isolation_clause,
            "the workload meets the host's kernel through a narrow door",
            &["namespaces", "seccomp allow-list", "no capabilities", "no_new_privs"],
            Extent::Partly { open: "the host's kernel serves the workload itself".into() },
        ),
        tree(&policy.workspace, host, walls),
    ];
    let asked = |grant: &&Grant| grant.origin == Origin::Granted;
    rows.extend(policy.grants.iter().filter(asked).map(|grant| tree(grant, host, walls)));
    rows.extend(of_presets(policy, host, walls));
    rows.extend(built_in_trees(policy, walls));
    rows.push(row(
        &Clause::built_in("filesystem"),
        "whatever is not granted is absent",
        &["mount view", "Landlock", "private /tmp, /dev, /proc; empty /run, /sys"],
        Extent::Enforced,
    ));
    rows.extend(broker::sockets(rules));
    rows.extend(broker::protected(rules, &names::covered(policy, rules)));
    rows.extend(names::own(policy));
    rows.extend(names::git(policy));
    rows.extend(names::rows(policy));
    rows.extend(broker::asked(rules, &names::covered(policy, rules)));
    rows.extend(names::repository(policy));
    rows.push(names::home(policy));
    rows.push(row(
        &Clause::built_in("environment"),
        "only named variables pass",
        &["environment made anew", "init started without one"],
        Extent::Enforced,
    ));
    rows.extend(network::rows(policy, which));
    rows.extend(super::trust::rows(policy));
    rows.push(identity(policy));
    rows.push(signals(host));
    rows.push(broker::itself());
    rows.extend(broker::looks(rules));
    rows.push(record());
    rows
}

/// What is on record of what is refused: whoever refuses it has to know of it.
pub(crate) fn record() -> Coverage {
    row(
        &Clause::built_in("audit"),
        "what broker and gateway refuse is an event, with its clause",
        &["a chained record, written before what it tells of"],
        Extent::Partly {
            open: "what the kernel refuses by itself leaves no event: mounts, Landlock, namespaces and \
                   the system-call filter tell nobody"
                .into(),
        },
    )
}

pub(crate) fn row(
    clause: &Clause,
    says: impl Into<String>,
    mechanisms: &[&str],
    extent: Extent,
) -> Coverage {
    let mechanisms = mechanisms.iter().map(|text| (*text).to_owned()).collect();
    Coverage { clause: clause.clone(), says: says.into(), mechanisms, extent }
}

fn tree(grant: &Grant, host: &Host, walls: &Walls) -> Coverage {
    let mut says = format!("{} is {}", grant.path.display(), grant.mode.as_str());
    let written = || ["mount of this tree alone", "Landlock"].map(str::to_owned);
    let mechanisms = match grant.mode {
        Mode::ReadOnly => walls.read_only([grant.path.as_path()]),
        Mode::ReadWrite => written().into(),
        Mode::AppendOnly | Mode::NoDelete => {
            says += ": what is older than the session is not removed, renamed, cut or replaced";
            says += if grant.mode == Mode::AppendOnly {
                ", only added to"
            } else {
                ", but may be overwritten in place"
            };
            written().into_iter().chain([BROKER.to_owned()]).collect()
        }
    };
    let open = match host.landlock_abi {
        1 => Some("moving files between directories fails: Landlock ABI 1"),
        2 => Some("truncate(2) has one wall: Landlock before ABI 3"),
        _ => None,
    };
    let extent = match (open, grant.mode) {
        (Some(open), mode) if mode.is_written() => Extent::Partly { open: open.into() },
        _ => Extent::Enforced,
    };
    Coverage { clause: grant.clause.clone(), says, mechanisms, extent }
}

/// Trees and files of presets, and what may be absent and is.
fn of_presets(policy: &Policy, host: &Host, walls: &Walls) -> Vec<Coverage> {
    let trees = policy.grants.iter().filter(|grant| grant.origin == Origin::Preset);
    let mut rows: Vec<Coverage> = trees.map(|grant| tree(grant, host, walls)).collect();
    for gone in &policy.missing {
        let says = format!("{} is not in the view: it {}", gone.path.display(), gone.why);
        rows.push(row(&gone.clause, &says, &["mount view", "Landlock"], Extent::Enforced));
    }
    for seed in &policy.seeds {
        let says = format!("{} is made in the private home", seed.path.display());
        let how = match policy.kept_home {
            None => "a file of the fresh home",
            Some(_) => "written into the kept home where it is absent",
        };
        rows.push(row(&seed.clause, &says, &[how], Extent::Enforced));
    }
    rows
}

/// The system's trees and the toolchains, a row each kind.
fn built_in_trees(policy: &Policy, walls: &Walls) -> Vec<Coverage> {
    let mut rows = Vec::new();
    for (origin, clause, what) in [
        (Origin::System, "filesystem.system", "the system's trees are read-only"),
        (Origin::Toolchain, "filesystem.toolchains", "toolchains of the home are read-only"),
    ] {
        if let Some(rootfs) = policy.rootfs.as_ref().filter(|_| origin == Origin::System) {
            rows.push(of_rootfs(rootfs, policy, walls));
            continue;
        }
        let trees = policy.grants.iter().filter(|grant| grant.origin == origin);
        let mechanisms = walls.read_only(trees.clone().map(|grant| grant.path.as_path()));
        let trees: Vec<String> = trees.map(|grant| grant.path.display().to_string()).collect();
        let left_out: Vec<String> = policy
            .left_out
            .iter()
            .filter(|_| origin == Origin::Toolchain)
            .map(|left| format!("{} leads to {}", left.path.display(), left.real.display()))
            .collect();
        if !trees.is_empty() || !left_out.is_empty() {
            let none = trees.is_empty();
            let mut says =
                format!("{what}: {}", if none { "none".into() } else { trees.join(", ") });
            if !left_out.is_empty() {
                says += &format!("; left out, grant what is meant: {}", left_out.join(", "));
            }
            let (clause, extent) = (Clause::built_in(clause), Extent::Enforced);
            rows.push(Coverage { clause, says, mechanisms, extent });
        }
    }
    let paths = |paths: &mut dyn Iterator<Item = &std::path::PathBuf>| {
        paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let hidden = paths(&mut policy.hidden.iter().map(|(path, _)| path));
    let ours = policy.replaced.iter().filter(|ours| ours.by == Ours::Own);
    let ours = paths(&mut ours.map(|ours| &ours.path));
    let shut = policy.hidden.iter().filter(|(path, seen)| super::is_shut(policy, path, seen));
    let shut = paths(&mut shut.map(|(path, _)| path));
    let mut mechanisms = vec!["mounts over them, watched".to_owned()];
    let whose = if policy.rootfs.is_some() { "root file system" } else { "host" };
    let mut open = format!("the {whose}'s other files of /etc can be read");
    if !shut.is_empty() {
        mechanisms.push(format!("the host's own permissions on {shut}"));
        open += "; when the host replaces what its permissions shut, that is an event, and these \
                 alone hold the new one";
    }
    let says = format!("hidden: {hidden}; the sandbox's own: {ours}");
    let (clause, extent) = (Clause::built_in("filesystem.etc"), Extent::Partly { open });
    rows.push(Coverage { clause, says, mechanisms, extent });
    rows
}

/// The root file system that is seen in place of the host's system.
fn of_rootfs(rootfs: &Rootfs, policy: &Policy, walls: &Walls) -> Coverage {
    let trees = policy.grants.iter().filter(|grant| grant.origin == Origin::System);
    let mut mechanisms = walls.read_only(trees.clone().map(|grant| grant.path.as_path()));
    mechanisms.push("each directory of it opened once, and compared".into());
    let trees: Vec<String> = trees.map(|grant| grant.path.display().to_string()).collect();
    let digest = rootfs.digest.as_ref().map(|digest| format!(" ({digest})")).unwrap_or_default();
    let mut says = format!(
        "the system is that of {}{digest}, read-only, and nothing of the host's: {}",
        rootfs.path.display(),
        trees.join(", ")
    );
    let left_out: Vec<String> =
        rootfs.left_out.iter().map(|(path, why)| format!("{} ({why})", path.display())).collect();
    if !left_out.is_empty() {
        says += &format!("; left out: {}", left_out.join(", "));
    }
    let extent = match rootfs.digest {
        Some(_) => Extent::Partly {
            open: "what was unpacked is not read again: it is kept where only the caller writes"
                .into(),
        },
        None => Extent::Enforced,
    };
    Coverage { clause: rootfs.clause.clone(), says, mechanisms, extent }
}

fn identity(policy: &Policy) -> Coverage {
    let clause = Clause::built_in("identity");
    let (uid, gid) = policy.person.ids.pair();
    let groups: Vec<String> =
        policy.person.caller_groups.iter().filter(|g| **g != gid).map(u32::to_string).collect();
    let (says, extent) = match policy.person.ids {
        Ids::Caller { .. } if groups.is_empty() => {
            (format!("runs as user {uid}, group {gid}"), Extent::Enforced)
        }
        Ids::Caller { .. } => (
            format!("runs as user {uid}, group {gid}"),
            Extent::Partly {
                open: format!(
                    "supplementary groups cannot be dropped without privilege: {}",
                    groups.join(", ")
                ),
            },
        ),
        Ids::Owner { .. } => (
            format!("started by root, runs as the workspace's owner: user {uid}, group {gid}"),
            Extent::Enforced,
        ),
        Ids::StandIn { .. } => (
            format!("started by root, runs as user {uid}, who owns nothing on this host"),
            Extent::Enforced,
        ),
    };
    let one: &[&str] = &["user namespace with one user and one group"];
    let both: &[&str] = &["user namespace with one user and one group", "idmapped mounts"];
    let stand_in = matches!(policy.person.ids, Ids::StandIn { .. });
    row(&clause, &says, if stand_in { both } else { one }, extent)
}

fn signals(host: &Host) -> Coverage {
    let clause = Clause::built_in("init");
    let says = "the workload cannot read, trace or signal init or the host's processes";
    let extent = if host.landlock_abi >= 6 {
        Extent::Enforced
    } else {
        let open = "signals to init are ignored by it, not refused: Landlock before ABI 6".into();
        Extent::Partly { open }
    };
    row(
        &clause,
        says,
        &["pid namespace", "init is not dumpable", "one Landlock layer more"],
        extent,
    )
}
