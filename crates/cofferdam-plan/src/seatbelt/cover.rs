//! Coverage under Seatbelt: who holds each clause and what is left open; and clauses that nobody can hold
//! there, which are refusals.

use cofferdam_policy::judge::hosts::Protocol;
use cofferdam_policy::judge::names::{Hold, NameRule};
use cofferdam_policy::limits::{Hold as Surely, Limit, Name};
use cofferdam_policy::model::{Clause, Grant, Mode, Policy};
use cofferdam_policy::{Rules, facts::Ids};

use crate::coverage::{Coverage, Extent};
use crate::refusal::Refusal;

const PROFILE: &str = "Seatbelt: the last rule about the path";
const NAMES: &str = "Seatbelt: an expression about the name, whether it exists or not";
const GATEWAY: &str = "the gateway, at two ports of the loopback";

fn row(clause: &Clause, says: &str, mechanisms: &[&str], open: &str) -> Coverage {
    let mechanisms = mechanisms.iter().map(|text| (*text).to_owned()).collect();
    let extent = match open {
        "" => Extent::Enforced,
        open => Extent::Partly { open: open.into() },
    };
    Coverage { clause: clause.clone(), says: says.into(), mechanisms, extent }
}

/// What cannot be held, and whose clause that is.
///
/// # Errors
/// The first clause that Seatbelt cannot hold.
pub(super) fn check(policy: &Policy, rules: &Rules) -> Result<(), Refusal> {
    let unheld = |what: String, clause: &Clause, instead| {
        Err(Refusal::SeatbeltUnheld { what, clause: clause.clone(), instead })
    };
    if let Some(rootfs) = &policy.rootfs {
        let what = format!("show another system: rootfs is {}", rootfs.path.display());
        return unheld(what, &rootfs.clause, "leave it out");
    }
    for tree in policy.grants.iter().chain([&policy.workspace]) {
        match tree.mode {
            Mode::ReadOnly | Mode::ReadWrite => {}
            Mode::AppendOnly | Mode::NoDelete => {
                let what = format!(
                    "tell a cut from a write: {} is {}",
                    tree.path.display(),
                    tree.mode.as_str()
                );
                return unheld(what, &tree.clause, "grant it read-only or read-write");
            }
        }
    }
    let entries = rules.entries().iter().map(|entry| (&entry.path, &entry.clause));
    let tops = rules.names().iter().map(|rule| (&rule.top, &rule.clause));
    let sockets = rules.sockets().iter().map(|(path, clause)| (path, clause));
    for (path, clause) in entries.chain(tops).chain(sockets) {
        if path.to_str().is_none() {
            let what = format!("name a path that is no text: {}", path.display());
            return unheld(what, clause, "give it a name in UTF-8");
        }
    }
    for (name, limit) in counted(policy) {
        if limit.hold == Surely::Required && !limit.is_default() {
            let what =
                format!("count a whole sandbox: {} is {}", name.as_str(), name.shown(limit.value));
            return unheld(what, &limit.clause, "write hold = \"best-effort\", or leave it out");
        }
    }
    Ok(())
}

/// Limits of a whole sandbox: macOS counts for each process, or for each user.
fn counted(policy: &Policy) -> impl Iterator<Item = (Name, &Limit)> {
    policy.limits.each().filter(|(name, _)| match name {
        Name::Memory | Name::Cpus | Name::Processes | Name::PrivateSize => true,
        Name::OpenFiles | Name::FileSize | Name::WallTime | Name::Grace => false,
    })
}

/// A row for each clause.
pub(super) fn rows(policy: &Policy, rules: &Rules) -> Vec<Coverage> {
    let mut rows = vec![
        row(
            &policy.isolation_clause,
            "the workload meets the host's kernel and few of its services, each by its name",
            &["Seatbelt: deny by default", "lists of services and values without a wildcard"],
            "the host's kernel serves the workload itself, with every system call; programs that need \
             the clipboard, the screen, the keychain, trustd or drivers do not find them",
        ),
        row(
            &Clause::built_in("filesystem"),
            "whatever is not granted is closed",
            &["Seatbelt: deny by default"],
            "the system's trees of docs/seatbelt.md are read and run whatever is granted, a few devices \
             are used, and directories on the way to a tree show that they are there",
        ),
    ];
    rows.extend(policy.grants.iter().chain([&policy.workspace]).map(tree));
    rows.extend(rules.names().chunk_by(same).filter_map(names));
    rows.push(places(policy));
    rows.push(row(
        rules.socket_clause(),
        "sockets are connected to by path: those that are granted, and the session's own places'",
        &["Seatbelt: by path"],
        "one that the session makes in a tree of the view is not connected to",
    ));
    rows.push(row(
        &Clause::built_in("filesystem.links"),
        "no file gets a second name, and none is cloned",
        &["Seatbelt: file-link, file-clone"],
        "a name that a hidden or protected file has already, by a hard link, is not found",
    ));
    rows.extend(network(policy));
    rows.push(identity(policy));
    rows.extend(limits(policy));
    rows
}

fn tree(grant: &Grant) -> Coverage {
    let says = format!("{} is {}", grant.path.display(), grant.mode.as_str());
    let mode = match grant.mode {
        Mode::ReadOnly => "",
        Mode::AppendOnly | Mode::NoDelete | Mode::ReadWrite => {
            "the tree's own place: a volume that is mounted there meanwhile is under the same rule"
        }
    };
    row(&grant.clause, &says, &[PROFILE], mode)
}

/// Whether one row tells both.
fn same(one: &NameRule, other: &NameRule) -> bool {
    let is = |rule: &NameRule| (rule.hold, rule.pattern.is_wild());
    is(one) == is(other) && one.top == other.top && one.clause == other.clause
}

fn names(rules: &[NameRule]) -> Option<Coverage> {
    let rule = rules.first()?;
    let texts: Vec<&str> = rules.iter().map(|rule| rule.pattern.text()).collect();
    let below = format!("{} in {}", texts.join(", "), rule.top.display());
    let (says, open) = match rule.hold {
        Hold::Protect | Hold::ProtectEntry => (
            format!("not changed, removed or created: {below}"),
            if rule.pattern.is_wild() {
                "stricter: names that the pattern may lead to are no directories that are made, and \
                 directories that may hold one are neither moved nor removed; where the pattern begins \
                 with **, such names are made in no tree"
            } else {
                "stricter: what leads to it is neither made, moved nor removed"
            },
        ),
        Hold::GitConfig => (
            format!("stays as it is: {below}"),
            "stricter: no key of it changes from inside, and what leads to it is neither made, moved \
             nor removed",
        ),
        Hold::Hide => (
            format!("closed to open and stat: {below}"),
            "that the name exists shows in its directory's list; other names of it are not hidden",
        ),
        Hold::Mask => (
            format!("closed: {below}"),
            "no placeholder is shown: a program that reads it is refused",
        ),
    };
    let open =
        format!("{open}; names with letters outside ASCII are held with the one they are near to");
    Some(row(&rule.clause, &says, &[NAMES], &open))
}

fn places(policy: &Policy) -> Coverage {
    let kept = match &policy.kept_home {
        None => "fresh".to_owned(),
        Some(kept) => format!("kept for this workspace: {}", kept.source.display()),
    };
    row(
        &policy.home_clause,
        &format!("the home is {kept}; it and the temporary directory are the session's own"),
        &["HOME and TMPDIR name them", "the real ones are closed"],
        "programs that write /tmp or the real home by name are refused, and do not find an empty one",
    )
}

fn network(policy: &Policy) -> Vec<Coverage> {
    let network = &policy.network;
    let mut rows = Vec::new();
    if network.leads_out() {
        rows.push(row(
            &policy.network_clause,
            "only allowed hosts are reached, through the gateway",
            &["Seatbelt: two ports of the loopback and no other address", GATEWAY, "a token in the address of the proxy"],
            "stricter: a program that asks no proxy reaches nobody; any that has the token speaks to the \
             gateway",
        ));
    } else {
        let says = "no network, the loopback among it";
        rows.push(row(&policy.network_clause, says, &["Seatbelt: deny by default"], ""));
    }
    rows.extend(network.rules.allow.iter().map(|rule| {
        let open = match rule.protocol {
            Protocol::Tls | Protocol::Http => "whatever the host accepts",
            Protocol::Tcp => "anything: what is spoken is not looked at",
        };
        row(&rule.clause, &format!("{} is reached", rule.pattern), &[GATEWAY], open)
    }));
    rows.extend(
        network
            .rules
            .deny
            .iter()
            .map(|rule| row(&rule.clause, &format!("{} is denied", rule.pattern), &[GATEWAY], "")),
    );
    rows.extend(network.publish.iter().map(|server| {
        let says = format!("port {} inside is the host's {}", server.inside, server.outside);
        let open =
            "the port is bound on the host's own loopback: every program and user reaches it";
        row(&server.clause, &says, &["Seatbelt: this port is bound and no other"], open)
    }));
    if network.rules.inspects() {
        let clause = Clause::built_in("network.inspect");
        let says = "hosts that are looked into are believed by the session's own authority";
        let open = "programs that ask the keychain or trustd whom to believe, Go's and Apple's own among \
                    them, do not believe it and do not connect";
        rows.push(row(&clause, says, &["variables that name a file of authorities"], open));
    }
    rows
}

fn identity(policy: &Policy) -> Coverage {
    let (uid, gid) = policy.person.ids.pair();
    let says = format!("runs as user {uid}, group {gid}");
    let open = match policy.person.ids {
        Ids::Caller { .. } => {
            "the caller's other groups stay; processes of the caller's can be seen"
        }
        Ids::Owner { .. } => "processes of the owner's can be seen",
        Ids::StandIn { .. } => {
            "stricter: nothing shows root's files as that user's, which stay closed"
        }
    };
    row(&Clause::built_in("identity"), &says, &["Seatbelt: signals within the sandbox"], open)
}

fn limits(policy: &Policy) -> Vec<Coverage> {
    let each = policy.limits.each().map(|(name, limit)| {
        let says = format!("{} is {}", name.as_str(), name.shown(limit.value));
        let (by, open): (&[&str], &str) = match name {
            Name::Memory | Name::Cpus | Name::Processes | Name::PrivateSize => {
                (&[], "nothing holds it: macOS counts no sandbox as a whole")
            }
            Name::OpenFiles => (&["RLIMIT_NOFILE"], "each process alone"),
            Name::FileSize => (&["RLIMIT_FSIZE"], ""),
            Name::WallTime | Name::Grace => {
                (&["the engine's clock"], "processes that leave their group are not ended with it")
            }
        };
        row(&limit.clause, &says, by, open)
    });
    each.collect()
}
