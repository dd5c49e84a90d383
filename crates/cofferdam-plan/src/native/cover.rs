//! Coverage of the native jail: one row a clause, honest about what is left open.

use cofferdam_policy::facts::Ids;
use cofferdam_policy::model::{Clause, Grant, Mode, Origin, Policy};

mod names;
mod network;
mod walls;

use walls::Walls;

use crate::coverage::{Coverage, Extent};
use crate::host::Host;

/// Every row but those of the limits, in the order in which a person would ask.
pub(super) fn rows(policy: &Policy, host: &Host) -> Vec<Coverage> {
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
    rows.push(row(
        &Clause::built_in("filesystem.sockets"),
        "sockets of the host's services and agents are absent",
        &["mount view", "no AF_UNIX datagrams"],
        Extent::Partly {
            open: "a socket inside a granted tree can be connected to, read-only or not".into(),
        },
    ));
    rows.extend(protection(policy));
    rows.extend(names::rows(policy));
    rows.push(names::home(policy));
    rows.push(row(
        &Clause::built_in("environment"),
        "only named variables pass",
        &["environment made anew", "init started without one"],
        Extent::Enforced,
    ));
    rows.extend(network::rows(policy));
    rows.push(identity(policy));
    rows.push(signals(host));
    rows
}

pub(super) fn row(clause: &Clause, says: &str, mechanisms: &[&str], extent: Extent) -> Coverage {
    let mechanisms = mechanisms.iter().map(|text| (*text).to_owned()).collect();
    Coverage { clause: clause.clone(), says: says.into(), mechanisms, extent }
}

fn tree(grant: &Grant, host: &Host, walls: &Walls) -> Coverage {
    let says = format!("{} is {}", grant.path.display(), grant.mode.as_str());
    let mechanisms = match grant.mode {
        Mode::ReadOnly => walls.read_only([grant.path.as_path()]),
        Mode::AppendOnly | Mode::NoDelete | Mode::ReadWrite => {
            ["mount of this tree alone", "Landlock"].map(str::to_owned).into()
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
    let ours = paths(&mut policy.replaced.iter().map(|ours| &ours.path));
    let shut = policy.hidden.iter().filter(|(path, seen)| super::is_shut(policy, path, seen));
    let shut = paths(&mut shut.map(|(path, _)| path));
    let mut mechanisms = vec!["mounts over them, watched".to_owned()];
    let mut open = "the host's other files of /etc can be read".to_owned();
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

fn protection(policy: &Policy) -> Vec<Coverage> {
    let mut rows = Vec::new();
    let clause = Clause::built_in("filesystem.protect");
    let names = |paths: &mut dyn Iterator<Item = &std::path::PathBuf>| {
        let inside = |path: &std::path::PathBuf| {
            path.strip_prefix(&policy.workspace.path).unwrap_or(path).display().to_string()
        };
        paths.map(inside).collect::<Vec<_>>().join(", ")
    };
    let mut built_in = policy.guarded.iter().filter(|kept| kept.clause.file == clause.file);
    if built_in.clone().next().is_some() {
        rows.push(row(
            &clause,
            &format!("stays as it is: {}", names(&mut built_in.by_ref().map(|g| &g.path))),
            &["read-only mounts, ancestors bound", "mountinfo watched: a fall kills"],
            Extent::Partly {
                open: "when the host replaces one, the name is open until the workload is killed: \
                       a few milliseconds, longer on a busy machine, a second where it is moved \
                       away with its guard; one wall for what is inside"
                    .into(),
            },
        ));
    }
    let of_git = ["hooks", "config", ".git", "commondir"];
    if policy.guarded.iter().any(|kept| of_git.iter().any(|name| kept.path.ends_with(name))) {
        rows.push(row(
            &clause,
            "git runs what these hooks and this configuration say",
            &["read-only mounts"],
            Extent::Partly { open: led_elsewhere(policy) },
        ));
    }
    if !policy.unguarded.is_empty() {
        rows.push(row(
            &clause,
            &format!("may not be created: {}", names(&mut policy.unguarded.iter())),
            &[],
            Extent::Partly {
                open: "these names do not exist and may be created, as may their like in other \
                       writable trees"
                    .into(),
            },
        ));
    }
    if !policy.own.is_empty() {
        rows.push(row(
            &Clause::built_in("filesystem.own-files"),
            &format!(
                "own programs and the policy stay: {}",
                names(&mut policy.own.iter().map(|g| &g.path))
            ),
            &["read-only mounts, ancestors bound", "ETXTBSY while programs run"],
            Extent::Partly { open: "another hard link to a program, when it does not run".into() },
        ));
    }
    rows
}

/// How git can be led past a guard that stands.
fn led_elsewhere(policy: &Policy) -> String {
    let mut open =
        "a nested repository or submodule, `core.hooksPath`, `include.path`, a hook that \
                    calls a script, or a `.git` that lost its HEAD lead git to files that may be \
                    written: look at what changed before you run git outside"
            .to_owned();
    for led in &policy.led_away {
        let (path, real) = (led.path.display(), led.real.display());
        open += &format!("; {path} is a link to {real}, which may be changed");
    }
    open
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
