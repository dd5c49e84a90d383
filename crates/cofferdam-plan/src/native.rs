//! `process/native`: the jail made of namespaces, detached mounts, Landlock and seccomp.
//!
//! Says *why* each step is there; `cofferdam-init` knows *how*.

pub(crate) mod cover;
mod egress;
pub mod landlock;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod output;
mod ssh;
mod trust;

use std::path::{Path, PathBuf};

use cofferdam_policy::Rules;
use cofferdam_policy::credentials::KNOWN_HOSTS;
use cofferdam_policy::facts::{Ids, Seen};
use cofferdam_policy::model::{Clause, Grant, Mode, Origin, Policy, Replaced, Shown, Variable};

use crate::egress::{Egress, PROXY_PORT};
use crate::host::{DEVICES, Host, Listening, PROC_MASKED};
use crate::jail::Task;
use crate::plan::{
    Access, Aside, BROKER_THREADS, Content, Expect, Guard, Idmap, Opening, Plan, Spaces, Step,
    Workload,
};
use crate::refusal::Refusal;
use crate::seccomp::Scope;
use crate::synthetic::GATEWAY_V4;
use crate::{BUILD, seccomp};

/// Our own corner of the new root: files that stand in for the host's.
const OWN: &str = "/.cofferdam";
/// A file nobody can open, and a directory likewise: bound over what is hidden.
const EMPTY_FILE: &str = "/.cofferdam/hidden-file";
const EMPTY_DIRECTORY: &str = "/.cofferdam/hidden-directory";
/// The machine's name inside.
const HOSTNAME: &str = "cofferdam";
/// Directories among [`PROC_MASKED`]; the others are files.
const PROC_DIRECTORIES: &[&str] = &["acpi", "asound", "bus", "driver", "fs", "irq", "scsi"];

/// Variables that name a proxy.
pub(crate) const PROXIED: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Variables that name who needs none.
pub(crate) const DIRECT: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// The workload's own servers.
pub(crate) const LOCAL: &str = "localhost,127.0.0.1,::1,.localhost";

/// The plan of the native jail.
pub(crate) fn compile(policy: &Policy, host: &Host, task: Task) -> Result<Plan, Refusal> {
    let Task { command, streams, rows } = task;
    check(host)?;
    let (uid, gid) = policy.person.ids.pair();
    let stand_in = matches!(policy.person.ids, Ids::StandIn { .. });
    if stand_in && !host.stand_in_mapped {
        return Err(Refusal::NoStandIn);
    }
    let held = limits::held(policy, host)?;
    let egress = egress::of(policy, host)?;
    let rules = Rules::of(policy);
    let openings = openings(policy, stand_in);
    let aside = aside(egress.as_ref(), host);
    let mut setup = entry(policy.person.ids, held.killed_first, aside, &openings);
    setup.push(Step::Hostname { name: HOSTNAME.into() });
    setup.push(Step::NewRoot);
    setup.extend(skeleton(policy, uid, gid, &held));
    setup.extend(view(policy, &rules, &openings, held.private));
    setup.extend(proc(host));
    setup.push(Step::Pivot);
    setup.push(Step::JoinNetwork);
    setup.extend(confinement(policy, host, &rules, held.steps));
    let mut coverage = cover::rows((policy, rows), &rules, host);
    coverage.extend(held.rows);
    coverage.extend(output::rows(policy));
    let masked = names::settings(policy, &rules);
    coverage.extend(names::settings_rows(&masked));
    Ok(Plan {
        build: BUILD.into(),
        wall: "process/native".into(),
        outer: None,
        setup,
        workload: Workload {
            command,
            search: search(policy),
            environment: trust::environment(policy, environment(policy, egress.as_ref())),
            masked,
            directory: policy.cwd.clone(),
            streams,
        },
        coverage,
        rules,
        bounds: held.bounds,
        egress,
        output: policy.output.clone(),
    })
}

/// What no plan can do without.
fn check(host: &Host) -> Result<(), Refusal> {
    machine(host)?;
    for (sysctl, value, forbids) in [
        ("/proc/sys/user/max_user_namespaces", host.max_user_namespaces, 0),
        ("/proc/sys/kernel/unprivileged_userns_clone", host.unprivileged_userns_clone, 0),
    ] {
        if value == Some(forbids) {
            let wanted = if sysctl.ends_with("clone") { 1 } else { 15_000 };
            return Err(Refusal::UserNamespacesOff { sysctl, value: forbids, wanted });
        }
    }
    walls(host)?;
    match DEVICES.iter().find(|(name, ..)| !host.devices.iter().any(|d| d == name)) {
        Some((name, ..)) => Err(Refusal::DeviceMissing { name: (*name).into() }),
        None => Ok(()),
    }
}

/// Where any jail of ours is built.
pub(crate) fn machine(host: &Host) -> Result<(), Refusal> {
    if host.system != "Linux" || host.machine != "x86_64" {
        return Err(Refusal::WrongMachine { machine: format!("{} {}", host.system, host.machine) });
    }
    Ok(())
}

/// The walls that a process carries.
pub(crate) fn walls(host: &Host) -> Result<(), Refusal> {
    if host.landlock_abi == 0 {
        return Err(Refusal::LandlockMissing);
    }
    broker(host)
}

/// Whether there can be a broker: without one, names that do not exist are nobody's.
fn broker(host: &Host) -> Result<(), Refusal> {
    match (host.listening, host.yama_ptrace_scope) {
        (Listening::Unknown, _) => Err(Refusal::BrokerUnknown),
        (Listening::Taken, _) => Err(Refusal::BrokerTaken),
        (Listening::Refused(errno), _) => Err(Refusal::BrokerRefused { errno }),
        // From 2 on only CAP_SYS_PTRACE reads another process, and nobody inside has it.
        (Listening::Ready, Some(scope @ 2..)) => Err(Refusal::BrokerBlind { scope }),
        (Listening::Ready, Some(_) | None) => Ok(()),
    }
}

/// Everything of the host that the view is made of, in the order of their targets.
fn openings(policy: &Policy, stand_in: bool) -> Vec<Opening> {
    let tree = |grant: &Grant| {
        let access = match grant.mode {
            Mode::ReadOnly => Access::ReadOnly,
            Mode::AppendOnly | Mode::NoDelete | Mode::ReadWrite => Access::ReadWrite,
        };
        // The system's trees are for everybody; what is root's own must look like the stand-in's.
        let idmap = match (stand_in, grant.origin) {
            (false, _) | (true, Origin::System) => Idmap::None,
            (true, Origin::Toolchain | Origin::Preset) => Idmap::IfPossible,
            (true, Origin::Granted | Origin::Workspace | Origin::Repository) => Idmap::Required,
        };
        let expect = Expect::Inode { dev: grant.seen.dev, ino: grant.seen.ino };
        let (path, target) = (grant.source.clone(), grant.path.clone());
        Opening { path, expect, access, idmap, target }
    };
    let device = |(name, major, minor): &(&str, u32, u32)| {
        let path = Path::new("/dev").join(name);
        Opening {
            target: path.clone(),
            path,
            expect: Expect::Device { major: *major, minor: *minor },
            access: Access::Device,
            idmap: Idmap::None,
        }
    };
    let trees = policy.grants.iter().chain([&policy.workspace]).map(tree);
    trees.chain(names::home(policy, stand_in)).chain(DEVICES.iter().map(device)).collect()
}

/// What is done for the network. Making the namespace and bringing lo up takes the kernel longer (0.3
/// to 1 ms) than any other step, so it goes on while pid 1 builds the view.
fn aside(egress: Option<&Egress>, host: &Host) -> Vec<Aside> {
    // One interface, the sandbox's own loopback; without a gateway no route leads anywhere.
    let mut parts = vec![Aside::Network, Aside::Loopback];
    if let Some(egress) = egress {
        if egress.leads_out() {
            parts.push(Aside::EveryAddress { ipv6: host.ipv6 });
        }
        let sockets = egress.doors.iter().map(|door| door.socket).collect();
        parts.push(Aside::Sockets { sockets });
    }
    parts
}

/// From the caller's namespaces into the sandbox's, with every tree of the host in hand.
fn entry(ids: Ids, killed_first: u32, aside: Vec<Aside>, openings: &[Opening]) -> Vec<Step> {
    let (uid, gid) = ids.pair();
    let opens = openings.iter().cloned().map(Step::Open);
    let unshare = Step::Unshare { spaces: Spaces::Inside };
    let fork = Step::Fork { aside };
    let last = Step::KilledFirst { score: killed_first };
    let inside = [unshare, Step::MapIds { uid, gid }, last, fork, Step::MakePrivate];
    match ids {
        Ids::Caller { .. } => inside.into_iter().chain(opens).collect(),
        Ids::Owner { .. } => {
            [Step::Become { uid, gid }].into_iter().chain(inside).chain(opens).collect()
        }
        // Only real root can idmap a mount of the host, so the trees are opened before root is
        // given up, in a mount namespace of root's; they stay detached until the view is built.
        Ids::StandIn { .. } => [
            Step::Unshare { spaces: Spaces::Mount },
            Step::MakePrivate,
            Step::IdmapNamespace { uid, gid },
        ]
        .into_iter()
        .chain(opens)
        .chain([Step::Become { uid, gid }])
        .chain(inside)
        .collect(),
    }
}

/// Directories, links and files of our own in the new root.
fn skeleton(policy: &Policy, uid: u32, gid: u32, held: &limits::Held) -> Vec<Step> {
    let directory = |path: &str, mode| Step::Directory { path: path.into(), mode };
    let file = |name: &str, content: String, mode| Step::File {
        path: Path::new(OWN).join(name),
        content: content.into(),
        mode,
    };
    let link = |path: &str, to: &str| Step::Link { path: path.into(), to: to.into() };
    let own = etc_files(policy, uid, gid);
    let mut steps = vec![
        directory(OWN, 0o755),
        directory(EMPTY_DIRECTORY, 0),
        file("hidden-file", String::new(), 0),
    ];
    steps.extend(own.iter().map(|(name, text)| file(name, text.clone(), 0o644)));
    steps.extend(trust::files(policy));
    steps.extend(ssh::agent(policy));
    steps.extend(names::ground(policy));
    steps.extend([
        directory("/run", 0o755),
        directory("/sys", 0o755),
        directory("/var", 0o755),
        directory("/dev", 0o755),
        link("/dev/fd", "/proc/self/fd"),
        link("/dev/stdin", "/proc/self/fd/0"),
        link("/dev/stdout", "/proc/self/fd/1"),
        link("/dev/stderr", "/proc/self/fd/2"),
        link("/dev/ptmx", "pts/ptmx"),
        Step::Devpts { path: "/dev/pts".into(), terminals: held.terminals },
        tmpfs("/dev/shm".into(), 0o1777, held.private),
    ]);
    // An entry that leads into /run (resolv.conf, mostly) is written there: /run is ours.
    for ours in policy.replaced.iter().filter(|ours| is_made(policy, ours)) {
        let text = own.iter().find(|(name, _)| ours.path.ends_with(name));
        steps.push(match (text, trust::source(ours)) {
            (None, Some(to)) => Step::Link { path: ours.at.clone(), to },
            (text, _) => {
                let content = text.map(|(_, text)| text.clone()).unwrap_or_default().into();
                Step::File { path: ours.at.clone(), content, mode: 0o644 }
            }
        });
    }
    steps.extend(
        policy
            .root_links
            .iter()
            .map(|(path, to)| Step::Link { path: path.clone(), to: to.clone() }),
    );
    steps
}

/// Whether it stands in the sandbox's own root, and not over a file of some tree.
fn is_made(policy: &Policy, ours: &Replaced) -> bool {
    let mut trees = policy.grants.iter().chain([&policy.workspace]);
    !trees.any(|tree| ours.at.starts_with(&tree.path))
}

fn tmpfs(path: PathBuf, mode: u32, private: limits::Private) -> Step {
    Step::Tmpfs { path, mode, bytes: private.bytes, files: private.files }
}

/// Our own files of `/etc`, by name.
fn etc_files(policy: &Policy, uid: u32, gid: u32) -> [(&'static str, String); 5] {
    let name = &policy.person.name;
    let home = policy.home.display();
    [
        (
            "passwd",
            format!(
                "{name}:x:{uid}:{gid}::{home}:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("{name}:x:{gid}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n")),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .into(),
        ),
        ("resolv.conf", resolver(policy)),
    ]
}

fn resolver(policy: &Policy) -> String {
    if !policy.network.leads_out() {
        return "# no resolver: the network is closed\n".into();
    }
    format!(
        "# cofferdam's gateway: it knows the names that the policy allows\nnameserver {GATEWAY_V4}\n"
    )
}

/// The mounts of the view, outer before inner.
fn view(
    policy: &Policy,
    rules: &Rules,
    openings: &[Opening],
    private: limits::Private,
) -> Vec<Step> {
    // At one path: first what is there, then the pin that keeps its name, then the guard.
    let mut mounts: Vec<(PathBuf, u8, Step)> = Vec::new();
    for (path, mode) in [
        (PathBuf::from("/tmp"), 0o1777),
        (PathBuf::from("/var/tmp"), 0o1777),
        (policy.home.clone(), 0o700),
    ] {
        // The home may be one of the private places itself, or one that is kept.
        let kept = policy.kept_home.is_some() && path == policy.home && mode == 0o700;
        if !kept && !mounts.iter().any(|(at, ..)| *at == path) {
            mounts.push((path.clone(), 0, tmpfs(path, mode, private)));
        }
    }
    for opening in openings {
        let (target, guard) = (opening.target.clone(), Guard::Kill);
        mounts.push((target.clone(), 1, Step::Attach { target, guard }));
    }
    // Small files of presets, in the private home: it is mounted before what has its path in front.
    // A kept home is written by the engine, where it is: what a run left there stays.
    for seed in policy.seeds.iter().filter(|_| policy.kept_home.is_none()) {
        let (path, content) = (seed.path.clone(), seed.content.clone().into());
        mounts.push((path.clone(), 1, Step::File { path, content, mode: 0o644 }));
    }
    // Files of credentials, with what stands in; the engine puts them into a kept home.
    let files = policy.credentials.iter().flat_map(|one| &one.files);
    for file in files.filter(|_| policy.kept_home.is_none()) {
        let (path, content) = (file.path.clone(), Content::Holds(file.content.clone()));
        mounts.push((path.clone(), 1, Step::File { path, content, mode: 0o600 }));
    }
    mounts.extend(ssh::known_hosts(policy).map(|step| (policy.home.join(KNOWN_HOSTS), 1, step)));
    let mut pin = |path: &Path, expect| {
        if !mounts.iter().any(|(at, order, _)| at == path && *order == 2) {
            mounts.push((path.to_owned(), 2, bind(path, path, expect, Access::ReadWrite)));
        }
    };
    for (path, expect) in pins(policy) {
        pin(&path, expect);
    }
    // A second wall behind the broker, but for what it writes itself.
    let kept = policy.guarded.iter().chain(&policy.own);
    for kept in kept.filter(|kept| !names::is_settings(rules, &kept.path)) {
        let expect = Some(Expect::Inode { dev: kept.seen.dev, ino: kept.seen.ino });
        let step = bind(&kept.path, &kept.path, expect, Access::ReadOnly);
        mounts.push((kept.path.clone(), 3, step));
    }
    mounts.extend(etc(policy));
    mounts.extend(names::mounts(policy));
    mounts.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    mounts.into_iter().map(|(_, _, step)| step).collect()
}

fn bind(from: &Path, at: &Path, expect: Option<Expect>, access: Access) -> Step {
    Step::Bind { from: from.into(), at: at.into(), expect, access, guard: Guard::Note }
}

/// Directories between a writable tree and something inside it that must keep its name: each is
/// bound on itself, since `rename(2)` of a mount point is `EBUSY`. What is moved within one stays in
/// one mount, so that works as ever.
fn pins(policy: &Policy) -> Vec<(PathBuf, Option<Expect>)> {
    let mut pins = Vec::new();
    for kept in policy.guarded.iter().chain(&policy.own).chain(&policy.concealed) {
        for (path, seen) in &kept.ancestors {
            let expect = Expect::Inode { dev: seen.dev, ino: seen.ino };
            pins.push((path.clone(), Some(expect)));
        }
    }
    let trees: Vec<&Grant> = policy.grants.iter().chain([&policy.workspace]).collect();
    for outer in trees.iter().filter(|tree| tree.mode.is_written()) {
        for inner in trees.iter().filter(|tree| tree.path != outer.path) {
            let between = inner.path.ancestors().skip(1).take_while(|path| *path != outer.path);
            if inner.path.starts_with(&outer.path) {
                pins.extend(between.map(|path| (path.to_owned(), None)));
            }
        }
    }
    // Behind a hidden name there is nothing of the host's that could be moved.
    pins.retain(|(path, _)| !policy.conceals(path));
    // What is hidden must be what Facts saw: renamed meanwhile, it would be open under another name.
    pins.extend(policy.concealed.iter().map(|name| {
        let expect = Expect::Inode { dev: name.seen.dev, ino: name.seen.ino };
        (name.path.clone(), Some(expect))
    }));
    pins
}

/// Whether the host itself shuts the workload's user out of an entry of `/etc`: hiding it is a second
/// wall then, and that it falls, as when somebody changes a password, ends nothing.
fn is_shut(policy: &Policy, path: &Path, seen: &Seen) -> bool {
    let (uid, gid) = policy.person.ids.pair();
    let mut groups = vec![gid];
    // Root gives its groups up; nobody else can.
    if matches!(policy.person.ids, Ids::Caller { .. }) {
        groups.extend(&policy.person.caller_groups);
    }
    // A tree of the system's is shown as it is on disk; in others root's files may look like the
    // workload's own.
    let mut trees = policy.grants.iter().chain([&policy.workspace]);
    let system = trees.all(|tree| tree.origin == Origin::System || !path.starts_with(&tree.path));
    system && seen.is_shut_for(uid, &groups)
}

/// What is hidden in `/etc`, and our own files there.
fn etc(policy: &Policy) -> Vec<(PathBuf, u8, Step)> {
    use cofferdam_policy::facts::Kind;
    let hidden = policy.hidden.iter().map(|(path, seen)| {
        let from = match seen.kind {
            Kind::Directory => EMPTY_DIRECTORY,
            Kind::File | Kind::Other | Kind::Link => EMPTY_FILE,
        };
        let guard = if is_shut(policy, path, seen) { Guard::Note } else { Guard::Kill };
        (path, PathBuf::from(from), guard)
    });
    let ours = policy.replaced.iter().filter(|ours| !is_made(policy, ours));
    let ours = ours.filter_map(|ours| Some((&ours.at, trust::source(ours)?, Guard::Note)));
    hidden
        .chain(ours)
        .map(|(path, from, guard)| {
            let (access, at) = (Access::ReadOnly, path.clone());
            (path.clone(), 4, Step::Bind { from, at, expect: None, access, guard })
        })
        .collect()
}

/// `/proc` of the new pid namespace, read-only, without what speaks of the whole machine.
fn proc(host: &Host) -> Vec<Step> {
    let masked = PROC_MASKED.iter().filter(|name| host.proc_names.iter().any(|n| n == *name));
    let mask = |name: &&str| Step::Bind {
        from: if PROC_DIRECTORIES.contains(name) { EMPTY_DIRECTORY } else { EMPTY_FILE }.into(),
        at: Path::new("/proc").join(name),
        expect: None,
        access: Access::ReadOnly,
        guard: Guard::Kill,
    };
    [Step::Proc { path: "/proc".into(), access: Access::ReadOnly }]
        .into_iter()
        .chain(masked.map(mask))
        .collect()
}

/// The walls that the process itself carries; every mount is done, Landlock would forbid more.
fn confinement(policy: &Policy, host: &Host, rules: &Rules, limits: Vec<Step>) -> Vec<Step> {
    let abi = host.landlock_abi;
    let walls = vec![
        Step::NoCoreDumps,
        Step::NoNewPrivileges,
        Step::Landlock { handled: landlock::handled(abi), rules: landlock::rules(policy, abi) },
        Step::DropCapabilities,
        Step::WorkloadLandlock {
            handled: landlock::workload_only(abi),
            scoped: landlock::scoped(abi),
            rules: landlock::workload_rules(abi),
        },
        Step::Seccomp { program: seccomp::bytes(&seccomp::workload(Scope::of(rules))) },
        // Started by init before its own filter, which makes no thread.
        Step::Broker { program: seccomp::bytes(&seccomp::broker()), threads: BROKER_THREADS },
        Step::InitSeccomp { program: seccomp::bytes(&seccomp::init()) },
    ];
    // Init carries them too, and has opened and written what it needs.
    walls.into_iter().chain(limits).collect()
}

/// The policy's environment, with the names by which programs find a proxy where it leaves them out. No
/// program needs them, since every connection is heard; with them it is told why one is refused.
fn environment(policy: &Policy, egress: Option<&Egress>) -> Vec<Variable> {
    let mut variables = policy.environment.clone();
    let open = egress.is_some_and(Egress::leads_out);
    let proxy = format!("http://{GATEWAY_V4}:{PROXY_PORT}");
    let own = PROXIED.iter().map(|name| (*name, proxy.as_str()));
    let own =
        own.chain(DIRECT.iter().map(|name| (*name, LOCAL))).chain([("NODE_USE_ENV_PROXY", "1")]);
    for (name, value) in own.filter(|_| open) {
        if !variables.iter().any(|variable| variable.name == name) {
            variables.push(Variable {
                name: name.into(),
                value: value.into(),
                shown: Shown::Value,
                clause: Clause::built_in("network.proxy"),
            });
        }
    }
    variables
}

/// Where a command without a slash is looked for.
pub(crate) fn search(policy: &Policy) -> Vec<PathBuf> {
    let path = policy.environment.iter().find(|variable| variable.name == "PATH");
    path.map(|path| path.value.split(':').map(PathBuf::from).collect()).unwrap_or_default()
}
