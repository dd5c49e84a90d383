//! `gvisor/native`: gVisor's application kernel (`runsc`) in the place of the workload, inside the native
//! jail. The workload meets that kernel; the jail around it is the native plan's, step by step.
//!
//! `runsc` builds namespaces and mounts of its own, so what the workload's process carries natively is
//! other here: the Landlock layers without rights of files (with one, every mount fails), and a
//! system-call filter that lets `runsc` build. What the broker holds natively by judging calls, nobody
//! holds here: a policy that needs it is refused.

mod bundle;
mod cannot;
mod cover;
mod differs;
mod unheld;

use std::path::{Path, PathBuf};

use cofferdam_policy::model::{Oversight, Policy};

pub use bundle::{Bundle, Kind, Mount};
pub use cannot::Cannot;

use crate::host::Host;
use crate::jail::Task;
use crate::native::{self, landlock};
use crate::plan::{
    Access, Argument, Content, Expect, Guard, Idmap, Opening, Plan, Resource, Step, Workload,
};
use crate::refusal::Refusal;
use crate::runsc::{Build, started_in};
use crate::seccomp;

/// Our own corner of the root, which the application kernel covers for the workload.
pub(crate) const CORNER: &str = "/.cofferdam/gvisor";
const RUNSC: &str = "/.cofferdam/gvisor/runsc";
const BUNDLE: &str = "/.cofferdam/gvisor/bundle";
/// Our own files about users.
const PASSWD: &str = "/.cofferdam/passwd";
const GROUP: &str = "/.cofferdam/group";
const STATE: &str = "/.cofferdam/gvisor/state";
/// What `runsc` writes of itself is some kilobytes. Bytes and files.
const STATE_ROOM: (u64, u64) = (16 << 20, 1 << 10);
/// What `runsc` calls the sandbox.
const NAME: &str = "cofferdam";
/// Threads of the application kernel itself, which count as processes of the sandbox.
const OWN_THREADS: u64 = 512;

/// The plan with gVisor's kernel in the native jail.
pub(crate) fn compile(policy: &Policy, host: &Host, task: Task) -> Result<Plan, Refusal> {
    let build = host.runsc.ready(&policy.isolation_clause)?;
    unheld::check(policy, build, &task.command)?;
    let plan = native::compile(policy, host, task)?;
    let bundle = bundle::of(policy, build, &plan);
    let setup = setup(policy, &plan, (host, build), &bundle);
    let mut bounds = plan.bounds.clone();
    bounds.processes = bounds.processes.map(|most| most + OWN_THREADS);
    bounds.own_processes += OWN_THREADS;
    let coverage = cover::rows(policy, &plan, build);
    let workload = Workload {
        command: words(policy, build),
        environment: Vec::new(),
        masked: Vec::new(),
        directory: "/".into(),
        ..plan.workload
    };
    Ok(Plan { wall: "gvisor/native".into(), setup, workload, coverage, bounds, ..plan })
}

/// Whether nothing that the workload writes stays: trees are read-only outside, and the application kernel
/// has a layer of its own above them.
pub(crate) fn is_ephemeral(policy: &Policy) -> bool {
    policy.oversight == Oversight::Tenant
}

/// `runsc`, as init starts it.
fn words(policy: &Policy, build: &Build) -> Vec<Argument> {
    let layer = if is_ephemeral(policy) { "root:memory" } else { "none" };
    let mut words = vec![RUNSC.to_owned()];
    words.extend(started_in(STATE, build.platform, "host"));
    if build.features.overlay {
        words.push(format!("--overlay2={layer}"));
    }
    words.extend(["--log=/dev/null", "run", "--bundle", BUNDLE, NAME].map(str::to_owned));
    words.into_iter().map(|word| Argument(word.into_bytes())).collect()
}

/// The native steps with what is other here.
fn setup(
    policy: &Policy,
    plan: &Plan,
    (host, build): (&Host, &Build),
    bundle: &Bundle,
) -> Vec<Step> {
    let opening = Opening {
        path: build.program.path.clone(),
        expect: Expect::Inode { dev: build.program.dev, ino: build.program.ino },
        access: Access::ReadOnly,
        idmap: Idmap::None,
        target: RUNSC.into(),
    };
    let mut steps = Vec::new();
    for step in &plan.setup {
        // Before the first of the view's own, with every tree of the host in hand.
        if matches!(step, Step::Hostname { .. }) {
            steps.push(Step::Open(opening.clone()));
        }
        if matches!(step, Step::Pivot) {
            steps.extend(corner(bundle.clone()));
        }
        steps.extend(translate(policy, (host, build), step));
    }
    steps
}

/// What becomes of a native step.
fn translate(policy: &Policy, (host, build): (&Host, &Build), step: &Step) -> Vec<Step> {
    vec![match step {
        // `runsc` writes the maps of a user namespace there; what of it is the machine's is root's.
        Step::Proc { path, .. } => {
            let proc = Step::Proc { path: path.clone(), access: Access::ReadWrite };
            return [proc].into_iter().chain((!is_old(build)).then(machine)).collect();
        }
        Step::Bind { at, .. } if at.starts_with("/proc") && is_old(build) => return Vec::new(),
        Step::Landlock { .. } => return Vec::new(),
        Step::Open(tree) if is_below_layer(policy, tree) => {
            Step::Open(Opening { access: Access::ReadOnly, ..tree.clone() })
        }
        Step::Bind { from, at, expect, access, .. } if holds_alone(policy, at) => {
            let (from, at, guard) = (from.clone(), at.clone(), Guard::Kill);
            Step::Bind { from, at, expect: *expect, access: *access, guard }
        }
        Step::File { path, mode, .. } if path == Path::new(PASSWD) => {
            Step::File { path: path.clone(), content: passwd(policy).into(), mode: *mode }
        }
        Step::File { path, mode, .. } if path == Path::new(GROUP) => {
            Step::File { path: path.clone(), content: group(policy).into(), mode: *mode }
        }
        Step::WorkloadLandlock { .. } => Step::WorkloadLandlock {
            handled: 0,
            scoped: landlock::scoped(host.landlock_abi),
            rules: Vec::new(),
        },
        Step::Seccomp { .. } => {
            Step::Seccomp { program: seccomp::bytes(&seccomp::application_kernel()) }
        }
        Step::Limit { resource, soft, hard } => {
            return limit(host, *resource, (*soft, *hard)).into_iter().collect();
        }
        // As natively. A step that is new does not compile here without a decision.
        Step::Unshare { .. }
        | Step::Become { .. }
        | Step::MapIds { .. }
        | Step::KilledFirst { .. }
        | Step::Fork { .. }
        | Step::JoinNetwork
        | Step::MakePrivate
        | Step::IdmapNamespace { .. }
        | Step::Hostname { .. }
        | Step::Pivot
        | Step::Open(_)
        | Step::NewRoot
        | Step::Directory { .. }
        | Step::File { .. }
        | Step::Link { .. }
        | Step::Listen { .. }
        | Step::Tmpfs { .. }
        | Step::Devpts { .. }
        | Step::Attach { .. }
        | Step::Bind { .. }
        | Step::Found { .. }
        | Step::Here { .. }
        | Step::ThisRoot
        | Step::Seal
        | Step::NoCoreDumps
        | Step::NoNewPrivileges
        | Step::Subreaper
        | Step::LandlockOnHost { .. }
        | Step::Terminal
        | Step::DropCapabilities
        | Step::Broker { .. }
        | Step::InitSeccomp { .. } => step.clone(),
    }]
}

/// Whether it is a build from before 2023. Those mount a `/proc` of their own, which the kernel allows only
/// where all of ours is seen (`mount_too_revealing` in `fs/namespace.c`), and make a root read-only without
/// the flags that it has, which the kernel forbids in a user namespace of theirs.
pub(crate) const fn is_old(build: &Build) -> bool {
    !build.features.directfs
}

/// Whether it is the workspace that the layer in memory lies above.
fn is_below_layer(policy: &Policy, tree: &Opening) -> bool {
    is_ephemeral(policy) && tree.target == policy.workspace.path
}

/// Whether a mount is the one wall of a name: natively there is the broker as well.
fn holds_alone(policy: &Policy, at: &Path) -> bool {
    policy.concealed.iter().chain(&policy.guarded).chain(&policy.own).any(|name| name.path == at)
}

/// The application kernel's root, who has no capabilities there, is who the workload is outside.
fn passwd(policy: &Policy) -> String {
    let (name, home) = (&policy.person.name, policy.home.display());
    format!(
        "{name}:x:0:0::{home}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
}

fn group(policy: &Policy) -> String {
    format!("{}:x:0:\nnogroup:x:65534:\n", policy.person.name)
}

/// What of `/proc` sets the machine: read-only all the same.
fn machine() -> Step {
    Step::Bind {
        from: "/proc/sys".into(),
        at: "/proc/sys".into(),
        expect: None,
        access: Access::ReadOnly,
        guard: Guard::Kill,
    }
}

/// What `runsc` needs of us, in a corner that the workload does not see.
fn corner(bundle: Bundle) -> [Step; 4] {
    let config = Path::new(BUNDLE).join("config.json");
    let (bytes, files) = STATE_ROOM;
    [
        Step::Directory { path: BUNDLE.into(), mode: 0o755 },
        Step::File { path: config, content: Content::Bundle(Box::new(bundle)), mode: 0o644 },
        Step::Tmpfs { path: STATE.into(), mode: 0o700, bytes, files },
        Step::Attach { target: RUNSC.into(), guard: Guard::Kill },
    ]
}

/// Limits of each process are the application kernel's to hold for the workload's; those of the host are
/// for that kernel.
fn limit(host: &Host, resource: Resource, (soft, hard): (u64, u64)) -> Option<Step> {
    match resource {
        // Its memory file is one, larger than any of the workload's.
        Resource::FileSize => None,
        // Its own memory, and not the workload's.
        Resource::Data => None,
        Resource::Processes => {
            let more = |count: u64| count.saturating_add(OWN_THREADS);
            Some(Step::Limit { resource, soft: more(soft), hard: more(hard) })
        }
        // One of its descriptors or more stands for each of all the workload's processes, and it does not
        // start with as few as one of them may have.
        Resource::OpenFiles => {
            let most = host.ceilings.open_files.hard;
            Some(Step::Limit { resource, soft: most, hard: most })
        }
        Resource::Signals => Some(Step::Limit { resource, soft, hard }),
    }
}

/// Places in memory that an application kernel can have for itself.
const PRIVATE: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Those that it has. The home lies in the jail's view, with the files that are made in it; a place that
/// has the workspace in it lies below the layer, which it would cover.
pub(crate) fn private(policy: &Policy) -> Vec<PathBuf> {
    let own = |place: &&str| Path::new(place) != policy.home && !is_around(policy, place);
    PRIVATE.into_iter().filter(own).map(PathBuf::from).collect()
}

/// Whether the workspace that the layer lies above, or the home, is in a place that would be private.
fn is_around(policy: &Policy, place: &str) -> bool {
    let mut layered = [&policy.workspace.path, &policy.home].into_iter();
    is_ephemeral(policy) && layered.any(|path| path.starts_with(place))
}
