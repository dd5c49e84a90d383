//! Coverage of the jail without namespaces: one row a clause, and what is given up says so.

use cofferdam_policy::Rules;
use cofferdam_policy::facts::Ids;
use cofferdam_policy::model::{Clause, Grant, Mode, Policy};
use cofferdam_policy::promise::Promise;

use super::{holds_hidden, unheld};
use crate::coverage::{Coverage, Extent};
use crate::host::Host;
use crate::native::cover::broker::{self, BROKER, LISTED};
use crate::native::cover::{record, row};

const LANDLOCK: &str = "Landlock";
/// What of a hidden or masked name is open besides: it is held by its path alone.
const ALIAS: &str =
    "; through a second path of the same tree (a bind mount, an alias) it is read as it is";
const SECCOMP: &str = "seccomp allow-list";

fn partly(open: impl Into<String>) -> Extent {
    Extent::Partly { open: open.into() }
}

/// Every row but those of the limits, in the order in which a person would ask.
pub(super) fn rows(policy: &Policy, rules: &Rules, host: &Host) -> Vec<Coverage> {
    let mut rows = vec![row(
        &policy.isolation_clause,
        "the workload meets the host's kernel through a narrow door, in the host's own namespaces",
        &[LANDLOCK, SECCOMP, "no capabilities", "no_new_privs"],
        partly("the host's kernel serves the workload itself"),
    )];
    rows.extend(given_up(policy, host));
    let trees = [&policy.workspace].into_iter().chain(&policy.grants);
    let trees = trees.filter(|tree| !holds_hidden(policy, tree));
    rows.extend(trees.map(|tree| self::tree(policy, tree, host)));
    for gone in &policy.missing {
        let says = format!("{} is not granted: it {}", gone.path.display(), gone.why);
        rows.push(row(&gone.clause, &says, &[LANDLOCK], Extent::Enforced));
    }
    rows.push(etc(policy));
    rows.extend(sockets(rules));
    rows.extend(broker::protected(rules, &[]));
    rows.extend(broker::asked(rules, &[]).into_iter().map(aliased));
    rows.extend(hidden(policy));
    rows.extend(own(policy));
    rows.push(home(policy));
    rows.push(row(
        &Clause::built_in("environment"),
        "only named variables pass",
        &["environment made anew", "init started without one"],
        Extent::Enforced,
    ));
    rows.push(network(policy, host));
    rows.push(identity(policy));
    rows.push(init(host));
    rows.push(shared(host));
    rows.push(broker::itself());
    rows.extend(broker::looks(rules));
    rows.push(record());
    rows
}

/// What the policy gives up, by the rule that does.
fn given_up(policy: &Policy, host: &Host) -> Vec<Coverage> {
    let lacking = unheld::promises(host).into_iter();
    let rows = lacking.filter_map(|promise| {
        let clause = policy.gives_up(promise)?;
        let says = format!("{}: {}", promise.as_str(), promise.says());
        let by: &[&str] = match promise {
            Promise::Absent => &[LANDLOCK],
            Promise::Processes => {
                &["init ends every child of it", "ptrace is Landlock's to refuse"]
            }
            Promise::PrivatePlaces => &[LANDLOCK],
            Promise::PrivateSize
            | Promise::ProcessLimit
            | Promise::Times
            | Promise::Signals
            | Promise::AbstractSockets => &[],
        };
        Some(row(clause, &says, by, partly(format!("best-effort: {}", promise.open()))))
    });
    rows.collect()
}

fn tree(policy: &Policy, grant: &Grant, host: &Host) -> Coverage {
    let mut says = format!("{} is {}", grant.path.display(), grant.mode.as_str());
    let outer = policy.grants.iter().chain([&policy.workspace]).find(|outer| {
        outer.path != grant.path && grant.path.starts_with(&outer.path) && outer.mode > grant.mode
    });
    let mut open = gaps(host.landlock_abi, grant.mode);
    let mechanisms: &[&str] = match (outer, grant.mode) {
        (Some(outer), _) => {
            says += &format!(", in {}", outer.path.display());
            open.push("the broker alone holds it: Landlock adds the rights of the outer tree");
            &[BROKER]
        }
        (None, Mode::ReadOnly) => &[LANDLOCK, BROKER],
        (None, Mode::AppendOnly | Mode::NoDelete) => {
            says += ": what is older than the session is not lost";
            &[LANDLOCK, BROKER]
        }
        (None, Mode::ReadWrite) => &[LANDLOCK],
    };
    let extent = if open.is_empty() { Extent::Enforced } else { partly(open.join("; ")) };
    row(&grant.clause, &says, mechanisms, extent)
}

/// What Landlock of this ABI leaves to others, of files.
fn gaps(abi: u32, mode: Mode) -> Vec<&'static str> {
    let mut gaps = Vec::new();
    if abi < 2 && mode.is_written() {
        gaps.push("moving files between directories fails: Landlock ABI 1");
    }
    if abi < 3 {
        gaps.push("truncate(2) has one wall, the broker: Landlock before ABI 3");
    }
    gaps
}

/// The host's files are seen: nothing can stand over them.
fn etc(policy: &Policy) -> Coverage {
    let hidden: Vec<String> =
        policy.hidden.iter().map(|(path, _)| path.display().to_string()).collect();
    let says = format!(
        "of /etc, {} entries are read-only, one by one; not granted: {}",
        policy.etc.len(),
        hidden.join(", ")
    );
    let open = "the host's other files of /etc can be read, users and resolvers among them; what is \
                added to it meanwhile is not seen, and /etc itself is not listed";
    row(&Clause::built_in("filesystem.etc"), &says, &[LANDLOCK], partly(open))
}

fn sockets(rules: &Rules) -> Vec<Coverage> {
    let mut rows = broker::sockets(rules);
    for row in &mut rows {
        row.mechanisms.retain(|by| by != "mount view");
    }
    rows
}

/// What is hidden or masked is so under one name; what is protected is written under no other.
fn aliased(mut row: Coverage) -> Coverage {
    if let Extent::Partly { open } = &mut row.extent {
        *open += ALIAS;
    }
    row
}

fn hidden(policy: &Policy) -> impl Iterator<Item = Coverage> {
    let concealed = policy.concealed.iter().map(|name| {
        let says = format!("{} is hidden: open and stat find nothing", name.path.display());
        aliased(row(&name.clause, &says, &[BROKER], partly(LISTED)))
    });
    let idle = policy.idle.iter().map(|idle| {
        let says = format!("{} is {}", idle.path.display(), idle.why);
        row(&idle.clause, &says, &[LANDLOCK], Extent::Enforced)
    });
    concealed.chain(idle)
}

fn own(policy: &Policy) -> Option<Coverage> {
    let own: Vec<String> = policy.own.iter().map(|kept| kept.path.display().to_string()).collect();
    (!own.is_empty()).then(|| {
        row(
            &Clause::built_in("filesystem.own-files"),
            format!("own programs and the policy stay: {}", own.join(", ")),
            &[BROKER],
            partly("another hard link to a program, when it does not run"),
        )
    })
}

fn home(policy: &Policy) -> Coverage {
    let at = policy.home.display();
    let says = format!("the home is {at}, a directory of the sandbox's own on the host's disk");
    row(&policy.home_clause, &says, &[LANDLOCK, "mode 0700"], Extent::Enforced)
}

fn network(policy: &Policy, host: &Host) -> Coverage {
    let second = if host.landlock_abi >= 4 { "Landlock: no TCP" } else { "" };
    let by: Vec<&str> =
        ["seccomp: AF_UNIX alone", second].into_iter().filter(|by| !by.is_empty()).collect();
    let says = "the network is closed: no socket but those of AF_UNIX, not even on the loopback";
    row(&policy.network_clause, says, &by, Extent::Enforced)
}

fn identity(policy: &Policy) -> Coverage {
    let (uid, gid) = policy.person.ids.pair();
    let says = format!("runs as user {uid}, group {gid}");
    let extent = match policy.person.ids {
        Ids::Caller { .. } => {
            partly("with the caller's own groups, and as one of the user's processes to the kernel")
        }
        Ids::Owner { .. } | Ids::StandIn { .. } => {
            partly("as one of that user's processes to the kernel")
        }
    };
    row(&Clause::built_in("identity"), &says, &["no_new_privs", "Landlock: no ptrace"], extent)
}

fn init(host: &Host) -> Coverage {
    let says = "the workload cannot read, trace or signal init";
    let by = ["init is not dumpable", "one Landlock layer more"];
    let extent = if host.landlock_abi >= 6 {
        Extent::Enforced
    } else {
        partly("init can be signalled, and ended: Landlock before ABI 6")
    };
    row(&Clause::built_in("init"), says, &by, extent)
}

/// What namespaces keep apart elsewhere.
fn shared(host: &Host) -> Coverage {
    let says = "no System V IPC, no POSIX queues, no owners are changed, and no process but the caller \
                itself is scheduled otherwise";
    row(
        &Clause::built_in("isolation.shared"),
        says,
        &[SECCOMP],
        partly(format!(
            "the machine's name shows, no pseudo-terminals can be made, and no abstract socket is named{}",
            if host.landlock_abi >= 5 {
                ""
            } else {
                "; ioctl(2) on the six files of /dev is not judged: Landlock before ABI 5"
            }
        )),
    )
}

/// The rows of limits without what no namespace holds.
pub(super) fn limits(policy: &Policy, host: &Host, rows: Vec<Coverage>) -> Vec<Coverage> {
    let group = host.groups.as_ref().is_some_and(|groups| groups.processes);
    let terminals = Clause::built_in("limits.terminals");
    let private = policy.limits.private_size.as_ref().map(|asked| &asked.clause);
    let built_in = Clause::built_in("limits.private_size");
    let private = private.unwrap_or(&built_in);
    let mut left = Vec::new();
    for mut row in rows {
        if row.clause == terminals || row.clause == *private {
            continue;
        }
        if row.clause == policy.limits.processes.clause && row.says.contains(" processes ") {
            row.mechanisms.retain(|by| !by.starts_with("RLIMIT_NPROC"));
            if !group {
                row.extent = partly(format!("best-effort: {}", Promise::ProcessLimit.open()));
            }
        }
        if row.says.contains("waiting signals") {
            row.extent = partly("other programs of this user count as well: no user namespace");
        }
        left.push(row);
    }
    left
}
