//! `process/landlock`: the jail for machines that forbid namespaces. Landlock, seccomp and the broker, on the
//! host's own view. What it cannot hold is a refusal, unless the policy gives that up by name.

mod cover;
mod unheld;

use std::path::{Path, PathBuf};

use cofferdam_policy::Rules;
use cofferdam_policy::facts::{Ids, Kind, Seen};
use cofferdam_policy::model::{Grant, Mode, Origin, Policy};
use cofferdam_policy::promise::Promise;

use crate::host::{DEVICES, Host};
use crate::jail::Task;
use crate::native::{self, landlock, limits, names, output};
use crate::plan::{BROKER_THREADS, Beneath, Expect, Plan, Resource, Step, Streams, Workload};
use crate::refusal::Refusal;
use crate::seccomp::{Caller, Scope};
use crate::{BUILD, seccomp};

/// What the jail without namespaces does not hold on this machine.
#[must_use]
pub fn unheld(host: &Host) -> Vec<Promise> {
    unheld::promises(host)
}

/// The plan of the jail without namespaces.
pub(crate) fn compile(policy: &Policy, host: &Host, task: Task) -> Result<Plan, Refusal> {
    // No rule of the network's is held there, so that there is no row of one.
    let Task { command, streams, rows: _ } = task;
    native::machine(host)?;
    native::walls(host)?;
    unheld::check(policy, host)?;
    let mut held = limits::held(policy, host)?;
    // It counts every process of this user, wherever that runs: nothing of the workload could start.
    held.steps.retain(|step| !matches!(step, Step::Limit { resource: Resource::Processes, .. }));
    let rules = Rules::of(policy);
    let scope = Scope { caller: Caller::Shared, ..Scope::of(&rules) };
    let mut setup = entry(policy.person.ids, held.killed_first, streams);
    setup.extend(walls(policy, host, scope));
    setup.append(&mut held.steps);
    let masked = names::settings(policy, &rules);
    let mut coverage = cover::rows(policy, &rules, host);
    coverage.extend(cover::limits(policy, host, held.rows));
    coverage.extend(output::rows(policy));
    coverage.extend(names::settings_rows(&masked));
    Ok(Plan {
        build: BUILD.into(),
        wall: "process/landlock".into(),
        outer: None,
        setup,
        workload: Workload {
            command,
            search: native::search(policy),
            environment: policy.environment.clone(),
            masked,
            directory: policy.cwd.clone(),
            streams,
        },
        coverage,
        rules,
        bounds: held.bounds,
        egress: None,
        output: policy.output.clone(),
    })
}

/// From the caller's process to the one that the sandbox's others are children of.
fn entry(ids: Ids, killed_first: u32, streams: Streams) -> Vec<Step> {
    let become_user = match ids {
        Ids::Owner { uid, gid } => Some(Step::Become { uid, gid }),
        Ids::Caller { .. } | Ids::StandIn { .. } => None,
    };
    let last = Step::KilledFirst { score: killed_first };
    let fork = Step::Fork { aside: Vec::new() };
    let terminal = streams.has_terminal().then_some(Step::Terminal);
    let steps = become_user.into_iter().chain([last, fork, Step::Subreaper]);
    steps.chain(terminal).collect()
}

fn walls(policy: &Policy, host: &Host, scope: Scope) -> Vec<Step> {
    let abi = host.landlock_abi;
    vec![
        Step::NoCoreDumps,
        Step::NoNewPrivileges,
        // The scopes in this layer as well: the broker, which connects for the workload, must not reach
        // further than that, and init's own signals reach nobody else.
        Step::LandlockOnHost {
            handled: landlock::handled(abi),
            network: landlock::network(abi),
            scoped: landlock::scoped(abi),
            rules: beneath(policy, host),
            terminal: landlock::device(abi),
        },
        Step::DropCapabilities,
        Step::WorkloadLandlock {
            handled: landlock::workload_only(abi),
            scoped: landlock::scoped(abi),
            rules: landlock::workload_rules(abi),
        },
        Step::Seccomp { program: seccomp::bytes(&seccomp::workload(scope)) },
        Step::Broker { program: seccomp::bytes(&seccomp::broker()), threads: BROKER_THREADS },
        Step::InitSeccomp { program: seccomp::bytes(&seccomp::init()) },
    ]
}

/// What may be used, where it is. Rights of trees that lie in one another add up, so what an inner one
/// takes away is the broker's to hold.
fn beneath(policy: &Policy, host: &Host) -> Vec<Beneath> {
    let abi = host.landlock_abi;
    let one = |path: &Path, seen: &Seen, mode: Mode| Beneath {
        path: path.to_owned(),
        expect: Some(Expect::Inode { dev: seen.dev, ino: seen.ino }),
        rights: landlock::rights(abi, mode, seen.kind),
    };
    let trees = policy.grants.iter().chain([&policy.workspace]);
    let whole = trees.filter(|tree| !holds_hidden(policy, tree));
    let whole = whole.map(|tree| one(&tree.source, &tree.seen, tree.mode));
    let etc = policy.etc.iter().map(|(path, seen)| one(path, seen, Mode::ReadOnly));
    let home = policy.kept_home.iter().map(|home| one(&home.source, &home.seen, Mode::ReadWrite));
    let devices = DEVICES.iter().filter(|(name, ..)| host.devices.iter().any(|have| have == name));
    let devices = devices.map(|(name, major, minor)| Beneath {
        path: PathBuf::from("/dev").join(name),
        expect: Some(Expect::Device { major: *major, minor: *minor }),
        rights: landlock::device(abi),
    });
    let proc = Beneath { path: "/proc".into(), expect: None, rights: landlock::PROC };
    whole.chain(etc).chain(home).chain(devices).chain([proc]).collect()
}

/// Whether a tree of the system's has something that is hidden: it is granted entry by entry.
fn holds_hidden(policy: &Policy, tree: &Grant) -> bool {
    let hidden = || policy.hidden.iter().any(|(path, _)| path.starts_with(&tree.source));
    let etc = tree.source == Path::new("/etc");
    tree.origin == Origin::System && tree.seen.kind == Kind::Directory && (etc || hidden())
}
