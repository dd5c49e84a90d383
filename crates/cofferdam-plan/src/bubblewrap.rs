//! `process/bubblewrap`: the namespaces and the view made by `bwrap`, everything else by init inside.
//!
//! The steps of the native plan, each translated: into an option of `bwrap(1)`, into what init does
//! inside, or into a refusal. A step that is new does not compile here without a decision.
//!
//! Before release 0.12, `bwrap` follows symbolic links of a tree when it makes a file or directory in it
//! (GHSA-pxhw-h44j-8pfx), and so writes on the host. Nothing here depends on the release: whatever it makes
//! lies in a file system of the sandbox's own, and what is mounted in a tree of the host goes onto
//! what Facts saw there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cofferdam_policy::facts::Ids;
use cofferdam_policy::model::{Clause, Policy};

use crate::content::Content;
use crate::coverage::{Coverage, Extent};
use crate::host::{Bubblewrap, Host, Program};
use crate::jail::Task;
use crate::native;
use crate::outer::{Outer, Word};
use crate::plan::{Access, Aside, Expect, Guard, Opening, Plan, Spaces, Step};
use crate::refusal::Refusal;

/// What holds a row, as the native plan calls it, and who does here.
const BY_BWRAP: &[(&str, &str)] = &[
    ("namespaces", "namespaces by bwrap"),
    ("mount view", "mount view by bwrap, compared by init"),
    ("mount of this tree alone", "mount of this tree alone by bwrap, compared by init"),
    ("pid namespace", "pid namespace by bwrap"),
    (
        "user namespace with one user and one group",
        "user namespace with one user and one group by bwrap",
    ),
];

/// What holds the private places natively.
const SIZES: &str = "size and nr_inodes of each tmpfs";

/// The plan for `bwrap`.
pub(crate) fn compile(policy: &Policy, host: &Host, task: Task) -> Result<Plan, Refusal> {
    let program = match &host.bubblewrap {
        Bubblewrap::Ready(program) => program.clone(),
        Bubblewrap::Missing | Bubblewrap::Unasked => {
            return Err(Refusal::BubblewrapMissing { clause: policy.jail_clause.clone() });
        }
        Bubblewrap::Untrusted { path, why } => {
            return Err(Refusal::BubblewrapUntrusted { path: path.clone(), why: why.clone() });
        }
    };
    if matches!(policy.person.ids, Ids::StandIn { .. }) {
        return Err(Refusal::BubblewrapStandIn { workspace: policy.workspace.path.clone() });
    }
    let plan = native::compile(policy, host, task)?;
    let (uid, _) = policy.person.ids.pair();
    let mut build = Build::new(&plan, uid);
    for step in &plan.setup {
        build.translate(step)?;
    }
    Ok(build.finish(&plan, program, &policy.jail_clause))
}

/// A file or directory of our own below the root, by its path.
enum Own {
    Directory { mode: u32 },
    File { content: Content, mode: u32 },
}

/// A mount of the view.
struct Mount {
    at: PathBuf,
    /// How many names `at` has: each path of the plan is looked for among the mounts.
    depth: usize,
    /// Where on the host what it shows is; `None` for one of the sandbox's own.
    source: Option<PathBuf>,
    access: Access,
    expect: Option<Expect>,
}

/// The two halves while they grow.
struct Build {
    uid: u32,
    terminal: bool,
    agent: bool,
    before: Vec<Step>,
    options: Vec<Vec<Word>>,
    /// Made read-only once everything in it is mounted.
    last: Vec<PathBuf>,
    inside: Vec<Step>,
    /// What init does in the namespaces and before it gives its capabilities up.
    capable: Vec<Step>,
    aside: Vec<Aside>,
    opened: BTreeMap<PathBuf, Opening>,
    own: BTreeMap<PathBuf, Own>,
    mounts: Vec<Mount>,
    found: Vec<Found>,
}

/// What init compares and watches.
struct Found {
    /// Place among the mounts.
    index: usize,
    guard: Guard,
    name: bool,
}

impl Build {
    fn new(plan: &Plan, uid: u32) -> Self {
        Self {
            uid,
            terminal: plan.workload.streams.has_terminal(),
            agent: plan.setup.iter().any(|step| matches!(step, Step::Listen { .. })),
            before: Vec::new(),
            options: Vec::new(),
            last: Vec::new(),
            inside: Vec::new(),
            capable: Vec::new(),
            aside: Vec::new(),
            opened: BTreeMap::new(),
            own: BTreeMap::new(),
            mounts: Vec::new(),
            found: Vec::new(),
        }
    }

    /// One step of the native plan: who does it here, and how.
    fn translate(&mut self, step: &Step) -> Result<(), Refusal> {
        match step {
            Step::Unshare { spaces: Spaces::Inside } => {
                for space in ["user", "ipc", "pid", "net", "uts", "cgroup"] {
                    self.option(&[&format!("--unshare-{space}")]);
                }
            }
            Step::Become { .. } | Step::KilledFirst { .. } => self.before.push(step.clone()),
            Step::MapIds { uid, gid } => {
                self.option(&["--uid", &uid.to_string()]);
                self.option(&["--gid", &gid.to_string()]);
                self.option(&["--as-pid-1"]);
                self.options.push(vec![Word::text("--info-fd"), Word::Said]);
            }
            Step::Fork { aside } => self.beside(aside),
            // `bwrap` makes them slaves, and has a root of its own.
            Step::MakePrivate | Step::NewRoot | Step::JoinNetwork => {}
            Step::Open(opening) => {
                self.opened.insert(opening.target.clone(), opening.clone());
            }
            Step::Hostname { name } => self.option(&["--hostname", name]),
            Step::Directory { path, mode } => self.directory(path, *mode)?,
            Step::File { path, content, mode } => self.file(path, content, *mode)?,
            Step::Link { path, to } => {
                self.ours(path)?;
                self.option(&["--symlink", &text(to), &text(path)]);
            }
            Step::Listen { .. } => self.capable.extend([step.clone(), Step::Seal]),
            Step::Tmpfs { path, mode, bytes, .. } => self.tmpfs(path, *mode, *bytes)?,
            Step::Devpts { path, .. } => {
                self.directory(path, 0o755)?;
                self.capable.extend(self.terminal.then(|| step.clone()));
            }
            Step::Proc { path, .. } => {
                self.ours(path)?;
                self.option(&["--proc", &text(path)]);
                self.mounts.push(Mount::own(path, Access::ReadOnly));
                let index = self.mounts.len() - 1;
                self.found.push(Found { index, guard: Guard::Kill, name: false });
                self.last.push(path.clone());
            }
            Step::Attach { target, guard } => self.attach(target, *guard)?,
            Step::Bind { from, at, expect, access, guard } => {
                self.bind((from, at), *expect, *access, *guard)?;
            }
            Step::Pivot => self.close(),
            Step::NoCoreDumps
            | Step::NoNewPrivileges
            | Step::Landlock { .. }
            | Step::DropCapabilities
            | Step::WorkloadLandlock { .. }
            | Step::Seccomp { .. }
            | Step::Broker { .. }
            | Step::InitSeccomp { .. }
            | Step::Limit { .. } => self.inside.push(step.clone()),
            // For a stand-in alone, which was refused.
            Step::Unshare { spaces: Spaces::Mount } | Step::IdmapNamespace { .. } => {
                return Err(cannot("show a tree under other ids"));
            }
            // Of the jails beside the native one: no plan of that has them.
            Step::Subreaper
            | Step::LandlockOnHost { .. }
            | Step::Terminal
            | Step::Found { .. }
            | Step::Here { .. }
            | Step::ThisRoot
            | Step::Seal => {
                return Err(cannot("translate a plan twice"));
            }
        }
        Ok(())
    }

    /// What is left for init to make for the network.
    fn beside(&mut self, aside: &[Aside]) {
        let left = aside.iter().filter(|part| match part {
            // With the namespace, by bwrap.
            Aside::Network | Aside::Loopback => false,
            Aside::EveryAddress { .. } | Aside::Sockets { .. } => true,
        });
        self.aside = left.cloned().collect();
    }

    fn option(&mut self, words: &[&str]) {
        self.options.push(words.iter().map(|word| Word::text(word)).collect());
    }

    /// The innermost mount that `path` lies in or at.
    fn holder(&self, path: &Path) -> Option<&Mount> {
        let holders = self.mounts.iter().filter(|mount| path.starts_with(&mount.at));
        // Of those at one path the one mounted last.
        holders.max_by_key(|mount| mount.depth)
    }

    /// Where on the host `path` of the view is, and what may be done there; `None` where it is ours.
    fn on_host(&self, path: &Path) -> Option<(PathBuf, Access)> {
        let holder = self.holder(path)?;
        let below = path.strip_prefix(&holder.at).ok()?;
        let source = holder.source.as_ref()?;
        let whole = if below.as_os_str().is_empty() { source.clone() } else { source.join(below) };
        Some((whole, holder.access))
    }

    /// Refuses what would be made in a tree of the host.
    fn ours(&self, path: &Path) -> Result<(), Refusal> {
        match self.on_host(path) {
            None => Ok(()),
            Some((on_host, _)) => Err(cannot(&format!("make {}", on_host.display()))),
        }
    }

    fn mount(
        &mut self,
        at: &Path,
        source: Option<PathBuf>,
        access: Access,
        expect: Option<Expect>,
    ) {
        self.mounts.push(Mount { source, expect, ..Mount::own(at, access) });
    }

    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), Refusal> {
        self.ours(path)?;
        self.own.insert(path.to_owned(), Own::Directory { mode });
        self.option(&["--perms", &octal(mode), "--dir", &text(path)]);
        Ok(())
    }

    fn file(&mut self, path: &Path, content: &Content, mode: u32) -> Result<(), Refusal> {
        self.ours(path)?;
        self.own.insert(path.to_owned(), Own::File { content: content.clone(), mode });
        self.options.push(read_from("--file", path, (content, mode)));
        Ok(())
    }

    fn tmpfs(&mut self, path: &Path, mode: u32, bytes: u64) -> Result<(), Refusal> {
        // Where the tree is read-only, what is missing there is not made but told.
        if matches!(self.on_host(path), Some((_, Access::ReadWrite | Access::Device))) {
            self.ours(path)?;
        }
        let mut option = words(&["--perms", &octal(mode)]);
        option.extend(words(&["--size", &bytes.to_string(), "--tmpfs", &text(path)]));
        self.options.push(option);
        self.mounts.push(Mount::own(path, Access::ReadWrite));
        Ok(())
    }

    fn attach(&mut self, target: &Path, guard: Guard) -> Result<(), Refusal> {
        let Some(opening) = self.opened.remove(target) else {
            return Err(cannot(&format!("attach {}, which was never opened", target.display())));
        };
        // In a tree of the host a mount goes onto what is there under this name, and onto nothing else.
        if let Some((on_host, _)) = self.on_host(target)
            && on_host != opening.path
        {
            return Err(cannot(&format!(
                "show {} at {}, inside another tree",
                opening.path.display(),
                target.display()
            )));
        }
        let Opening { path, expect, access, .. } = opening;
        self.bound(access, &path, target);
        self.mount(target, Some(path), access, Some(expect));
        self.found.push(Found { index: self.mounts.len() - 1, guard, name: false });
        Ok(())
    }

    fn bound(&mut self, access: Access, from: &Path, at: &Path) {
        let option = match access {
            Access::ReadOnly => "--ro-bind",
            Access::ReadWrite => "--bind",
            Access::Device => "--dev-bind",
        };
        self.option(&[option, &text(from), &text(at)]);
    }

    /// Something over a name of a tree: of the tree itself, so that the name stays, or of ours.
    fn bind(
        &mut self,
        (from, at): (&Path, &Path),
        expect: Option<Expect>,
        access: Access,
        guard: Guard,
    ) -> Result<(), Refusal> {
        match self.own.get(from) {
            Some(Own::File { content, mode }) => {
                self.options.push(read_from("--ro-bind-data", at, (content, *mode)));
                self.mounts.push(Mount::own(at, Access::ReadOnly));
            }
            Some(Own::Directory { mode }) => self.ground(from, at, *mode),
            None => {
                let Some((source, around)) = self.on_host(from) else {
                    return Err(cannot(&format!("hold the name {}", at.display())));
                };
                // As `from` is in the view, a read-only tree stays so.
                let access = if around == Access::ReadOnly { around } else { access };
                self.bound(access, &source, at);
                self.mount(at, Some(source), access, expect);
            }
        }
        self.found.push(Found { index: self.mounts.len() - 1, guard, name: true });
        Ok(())
    }

    /// A directory of our own over another: `bwrap` binds nothing that it made, so it is made anew, and
    /// read-only once what shows again in it is mounted.
    fn ground(&mut self, from: &Path, at: &Path, mode: u32) {
        let mut options = vec![words(&["--perms", &octal(mode), "--tmpfs", &text(at)])];
        for (path, own) in &self.own {
            let below = path.strip_prefix(from).ok().filter(|below| !below.as_os_str().is_empty());
            let Some(path) = below.map(|below| at.join(below)) else { continue };
            options.push(match own {
                Own::Directory { mode } => {
                    words(&["--perms", &octal(*mode), "--dir", &text(&path)])
                }
                Own::File { content, mode } => read_from("--file", &path, (content, *mode)),
            });
        }
        self.options.extend(options);
        self.last.push(at.to_owned());
        self.mounts.push(Mount::own(at, Access::ReadOnly));
    }

    /// Read-only what is, once everything in it is made; the root last.
    fn close(&mut self) {
        for path in std::mem::take(&mut self.last) {
            self.option(&["--remount-ro", &text(&path)]);
        }
        // Init makes a socket in it first, where there is an agent.
        if !self.agent {
            self.option(&["--remount-ro", "/"]);
        }
        self.mounts.insert(0, Mount::own(Path::new("/"), Access::ReadOnly));
        for found in &mut self.found {
            found.index += 1;
        }
        self.found.push(Found { index: 0, guard: Guard::Kill, name: false });
    }

    /// What init compares, and what has to be compared from outside.
    fn compared(&self) -> (Vec<Step>, Vec<(PathBuf, Expect)>) {
        let (mut inside, mut again) = (Vec::new(), Vec::new());
        for found in &self.found {
            let Some(mount) = self.mounts.get(found.index) else { continue };
            let mut later = self.mounts.iter().skip(found.index + 1);
            // What lies on it at the same place may show the same thing.
            let covers = |over: &Mount| {
                mount.at.starts_with(&over.at)
                    && (over.at != mount.at || over.source.is_none() || over.source != mount.source)
            };
            let is_covered = later.any(covers);
            let (expect, access) = match (is_covered, &mount.source) {
                (false, _) => (mount.expect, Some(mount.access)),
                (true, source) => {
                    again.extend(source.clone().zip(mount.expect));
                    (None, None)
                }
            };
            let (at, guard, name) = (mount.at.clone(), found.guard, found.name);
            inside.push(Step::Found { at, expect, access, guard, name });
        }
        (inside, again)
    }

    fn finish(mut self, plan: &Plan, program: Program, clause: &Clause) -> Plan {
        let (compared, again) = self.compared();
        let mut setup = Vec::new();
        let mut capabilities = Vec::new();
        if !self.capable.is_empty() {
            capabilities.push("CAP_SYS_ADMIN");
            setup.extend([Step::MakePrivate, Step::ThisRoot]);
            setup.append(&mut self.capable);
        }
        setup.extend(compared);
        for part in &self.aside {
            capabilities.push(match part {
                Aside::EveryAddress { .. } => "CAP_NET_ADMIN",
                Aside::Sockets { .. } | Aside::Network | Aside::Loopback => "CAP_NET_BIND_SERVICE",
            });
        }
        if !self.aside.is_empty() {
            setup.push(Step::Here { parts: self.aside.clone() });
        }
        if !capabilities.is_empty() {
            // To give the others up in the bounding set too.
            capabilities.push("CAP_SETPCAP");
        }
        for capability in &capabilities {
            self.option(&["--cap-add", capability]);
        }
        setup.append(&mut self.inside);
        let mut bounds = plan.bounds.clone();
        // Outside, `bwrap` waits for its child.
        bounds.processes = bounds.processes.map(|most| most + 1);
        bounds.own_processes += 1;
        let (before, options, uid) = (self.before, self.options, self.uid);
        let coverage = coverage(plan, clause, self.terminal, !capabilities.is_empty());
        let outer = Some(Outer { program, uid, before, options, again });
        let wall = "process/bubblewrap".into();
        Plan { wall, setup, coverage, bounds, outer, ..plan.clone() }
    }
}

impl Mount {
    fn own(at: &Path, access: Access) -> Self {
        let depth = at.components().count();
        Self { at: at.to_owned(), depth, source: None, access, expect: None }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn words(words: &[&str]) -> Vec<Word> {
    words.iter().map(|word| Word::text(word)).collect()
}

fn read_from(option: &str, path: &Path, (content, mode): (&Content, u32)) -> Vec<Word> {
    let mut option = words(&["--perms", &octal(mode), option]);
    option.extend([Word::Content(content.clone()), Word::text(&text(path))]);
    option
}

/// As `--perms` wants it.
fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn cannot(what: &str) -> Refusal {
    Refusal::BubblewrapCannot { what: what.to_owned() }
}

/// The native plan's rows, with who holds them here, and one for what `bwrap` leaves open.
fn coverage(plan: &Plan, clause: &Clause, terminal: bool, capable: bool) -> Vec<Coverage> {
    let name = |mechanism: &String| {
        let ours = BY_BWRAP.iter().find(|(native, _)| native == mechanism);
        ours.map_or_else(|| mechanism.clone(), |(_, here)| (*here).to_owned())
    };
    let mut rows = plan.coverage.clone();
    for row in &mut rows {
        row.mechanisms = row.mechanisms.iter().map(name).collect();
        if row.mechanisms.iter().any(|mechanism| mechanism == SIZES) {
            row.mechanisms = vec!["size of each tmpfs".into()];
            row.extent = Extent::Partly {
                open: "its bytes are bounded; names in it by memory alone, bwrap bounds no number"
                    .into(),
            };
        }
    }
    let mut open =
        "bwrap finds what it mounts by its path: what it found is compared before the command \
                    runs, and a name that is replaced in that moment is a refusal"
            .to_owned();
    if !terminal {
        open += "; a command that has no terminal cannot make one (/dev/pts is empty)";
    }
    if !capable {
        open +=
            "; what the host mounts inside a tree of the view shows there, and ends the command";
    }
    rows.push(Coverage {
        clause: clause.clone(),
        says: "namespaces and view are made by bwrap, and init compares them".into(),
        mechanisms: vec![
            "bwrap of root's, opened once".into(),
            "makes nothing in a tree of the host".into(),
            "device, inode and flags of each mount compared".into(),
        ],
        extent: Extent::Partly { open },
    });
    rows
}
