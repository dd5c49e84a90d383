//! The Engine: from options to a plan, from a plan to a running sandbox, with every step on record.

mod counts;
mod events;
pub(crate) mod keeper;
mod names;
mod prepared;
mod rootfs;
mod session;
mod turned;
mod watched;
mod written;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cofferdam_audit::Log;
use cofferdam_plan::host::Groups;
use cofferdam_plan::message::{self, Lent};
use cofferdam_plan::plan::Argument;
use cofferdam_plan::{Host, Plan, Rows, Task, compile};
use cofferdam_policy::facts::Facts;
use cofferdam_policy::model::{Isolation, Jail, Policy};
use cofferdam_policy::{Document, document, resolve};
use cofferdam_sandbox::bubblewrap::Found;
use cofferdam_sandbox::facts::Own;
use cofferdam_sandbox::{
    Caller, Gateway, Group, Handed, Outcome, Preparing, Programs, Sink, StartRefusal, Trust,
    Waiting, bubblewrap, probe, runsc,
};

use crate::ahead::Ahead;
use crate::control::{Again, Control, Identity, OwnVariables};
use crate::engine::events::{recorded, refusal_event, start_event};
pub use crate::engine::session::{Finished, Session, Shown, WayOut};
pub use crate::engine::turned::{Denied, TurnedAway};
pub use crate::engine::watched::Alarmed;
use crate::homes::{self, Kept};
use crate::options::Options;
use crate::places::{Around, Places, Read, ways_to};
use crate::refused::Refused;
use crate::trace::Trace;
use crate::trusted::ProjectPolicy;

/// Everything that was read and decided for one run; nothing was started.
#[derive(Debug)]
pub struct Prepared {
    /// What was read of the caller's side.
    pub facts: Facts,
    /// What was read of the machine.
    pub host: Host,
    /// What was decided from the text.
    pub policy: Policy,
    /// What will be done.
    pub plan: Plan,
    /// Where it will be recorded.
    pub audit: PathBuf,
    /// What became of the project's own policy.
    pub project: ProjectPolicy,
    /// The texts that hold, the highest first, as records name them.
    layers: Vec<events::LayerRow>,
    /// What another policy is read with while it runs; `None` where no network is open.
    again: Option<Again>,
    /// Where our own things are.
    state: PathBuf,
    /// Who is believed inside, where the gateway looks into TLS.
    trust: Option<Trust>,
    /// What the gateway finds secrets with, where there are credentials.
    lent: Option<Lent>,
    /// The kept home, which nobody may remove while this is here.
    kept: Option<Kept>,
    /// The program that builds the sandbox, where init does not.
    outer: Option<OwnedFd>,
}

/// Why a policy is resolved.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// A sandbox is to be built with it.
    Run,
    /// A person wants to see it.
    Look,
}

/// A policy on this machine: what was read and decided before the machine's own part.
#[derive(Debug)]
pub struct Resolved {
    /// What was read of the caller's side.
    pub facts: Facts,
    /// What was decided from the text.
    pub policy: Policy,
    /// The policy's file as errors name it, or `built-in`.
    pub source: String,
    /// Where a run would be recorded.
    pub audit: PathBuf,
    /// What became of the project's own policy.
    pub project: ProjectPolicy,
    /// The text, with flags: whose each rule is.
    pub(crate) document: Document,
    /// The text, without flags, and its files.
    read: Read,
    /// Where our own things are.
    pub(crate) state: PathBuf,
    /// The kept home, which nobody may remove while this is here.
    kept: Option<Kept>,
}

/// What a workload wrote and how it ended.
#[derive(Debug)]
pub struct Collected {
    /// How it ended.
    pub outcome: Outcome,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Whom it was not let through to.
    pub turned_away: Vec<TurnedAway>,
    /// What it was not let do with names.
    pub denied_names: Vec<message::Denied>,
    /// Whether the way out was there until the end.
    pub way_out: WayOut,
    /// What of its output was kept back.
    pub output: Shown,
}

/// cofferdam as a library.
#[derive(Debug)]
pub struct Engine {
    programs: Arc<Programs>,
    /// Begun by [`Engine::warm`].
    ahead: Ahead,
    trace: Trace,
}

impl Engine {
    /// An engine whose programs lie beside the running one.
    ///
    /// # Errors
    /// `cofferdam-init` is not there, or this is inside a sandbox of ours already.
    pub fn new() -> Result<Self, Refused> {
        outermost()?;
        Ok(Self {
            programs: Arc::new(Programs::beside_this_one()?),
            ahead: Ahead::default(),
            trace: Trace::default(),
        })
    }

    /// An engine whose programs lie in `directory`, for a program that embeds it.
    ///
    /// # Errors
    /// `cofferdam-init` is not there, or this is inside a sandbox of ours already.
    pub fn with_programs(directory: &Path) -> Result<Self, Refused> {
        outermost()?;
        Ok(Self {
            programs: Arc::new(Programs::in_directory(directory)?),
            ahead: Ahead::default(),
            trace: Trace::default(),
        })
    }

    /// One that resolves and starts nothing.
    pub(crate) fn of(programs: &Arc<Programs>) -> Self {
        let (programs, ahead, trace) = (Arc::clone(programs), Ahead::default(), Trace::default());
        Self { programs, ahead, trace }
    }

    /// The same engine, which tells `trace` when each phase of a start is done.
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Starts `cofferdam-init` ahead of the next sandbox: it loads while the policy is read. It
    /// does nothing until it gets a plan, and ends when this engine does. Where it cannot be started,
    /// the sandbox that needs it says so.
    pub fn warm(&self) {
        self.ahead.begin(&self.programs, &self.trace);
    }

    /// Init with the plan of `prepared` in hand.
    fn build(&self, prepared: &Prepared) -> Result<Preparing, StartRefusal> {
        let ahead = self.ahead.take()?;
        let mut waiting = ahead.map_or_else(|| Waiting::start(&self.programs), Ok)?;
        let planned = prepared.host.groups;
        if waiting.groups(planned.is_some_and(|groups| groups.cpus)) != planned {
            return Err(StartRefusal::GroupGone);
        }
        let gateway = match &prepared.plan.egress {
            None => None,
            Some(_) => {
                Some(self.ahead.gateway().unwrap_or_else(|| Gateway::start(&self.programs))?)
            }
        };
        let (plan, ids) = (&prepared.plan, prepared.policy.person.ids);
        let (trust, lent) = (prepared.trust.as_ref(), prepared.lent.as_ref());
        let handed = Handed { trust, lent, outer: prepared.outer.as_ref().map(AsFd::as_fd) };
        let preparing = waiting.build(plan, ids, gateway, handed)?;
        self.trace.done("plan handed over");
        Ok(preparing)
    }

    /// What the group of the next sandbox holds: init's, where it waits, or one made to find out.
    fn groups(&self, cpus: bool) -> Result<Option<Groups>, StartRefusal> {
        if let Some(groups) = self.ahead.groups(cpus)? {
            return Ok(groups);
        }
        let Some(mut group) = Group::make(Path::new("/")) else { return Ok(None) };
        if cpus {
            group.add_cpus(Path::new("/"));
        }
        Ok(Some(group.groups()))
    }

    /// Reads Facts and Host, and decides everything. Starts nothing.
    ///
    /// # Errors
    /// What `run` would refuse before it starts anything.
    pub fn prepare(&self, options: &Options) -> Result<Prepared, Refused> {
        self.prepare_with(options, &[])
    }

    /// The same with variables of our own, where no rule of the person's says otherwise.
    pub(crate) fn prepare_with(
        &self,
        options: &Options,
        own_variables: OwnVariables,
    ) -> Result<Prepared, Refused> {
        if options.command.first().is_none_or(|word| word.is_empty()) {
            return Err(Refused::EmptyCommand);
        }
        let around = Around::from(options.project);
        self.prepare_around(options, own_variables, around)
    }

    /// The same by our own text, which looks at the machine: no ceiling is over it.
    pub(crate) fn prepare_own(&self, options: &Options) -> Result<Prepared, Refused> {
        self.prepare_around(options, &[], Around::Nothing)
    }

    fn prepare_around(
        &self,
        options: &Options,
        own_variables: OwnVariables,
        around: Around<'_>,
    ) -> Result<Prepared, Refused> {
        let resolved = self.resolve_with(options, own_variables, (around, Purpose::Run))?;
        let Resolved { facts, policy, audit, project, read, state, kept, .. } = resolved;
        let layers = events::layers(&read.document, &project);
        let mut host = probe::host();
        // What is planned with is what could be made.
        host.groups = self.groups(policy.limits.cpus.is_some())?;
        let mut outer = outer(&policy, &mut host);
        self.application_kernel(options, &policy, (&state, &mut host));
        self.trace.done("host");
        let command = options.command.iter().cloned().map(|word| Argument(word.into_vec()));
        let task = Task { command: command.collect(), streams: options.streams, rows: Rows::Every };
        let mut plan = compile(&policy, &host, task.clone())?;
        // Where a setting keeps namespaces from some programs, it is tried who may have them.
        if policy.jail == Jail::Auto && host.apparmor_restrict_userns == Some(1) {
            let init = Waiting::start(&self.programs)?;
            host.namespaces_denied = !init.may_enter(&plan, policy.person.ids);
            let found = host.namespaces_denied.then(bubblewrap::find);
            if let Some(found) = found.filter(Found::works) {
                (host.bubblewrap, outer) = (found.record, found.program);
                plan = compile(&policy, &host, task)?;
            }
        }
        self.trace.done("plan compiled");
        let again = (!policy.network.is_closed()).then(|| {
            Again::new(&self.programs, options, own_variables, read).of(&policy, &plan.rules)
        });
        let trust = Trust::read(&policy)?;
        let lent = match policy.credentials.as_slice() {
            [] => None,
            some => {
                let caller = Caller::read()?;
                let vault = Places::of(&caller).vault(&caller)?;
                caller.lent(some, vault.folder().to_owned())
            }
        };
        Ok(Prepared {
            facts,
            host,
            policy,
            plan,
            audit,
            project,
            layers,
            again,
            state,
            trust,
            lent,
            kept,
            outer,
        })
    }

    /// Looks for `runsc`, where the policy is for it; what the workload could have written is none.
    pub(crate) fn application_kernel(
        &self,
        options: &Options,
        policy: &Policy,
        (state, host): (&Path, &mut Host),
    ) {
        if policy.isolation != Isolation::Gvisor {
            return;
        }
        let trees = policy.grants.iter().chain([&policy.workspace]);
        let written = trees.filter(|tree| tree.mode.is_written());
        let written: Vec<&Path> = written.map(|tree| tree.source.as_path()).collect();
        let seek = runsc::Seek {
            named: options.runsc.as_deref(),
            written: &written,
            state: Some(state),
            ids: policy.person.ids,
            depth: runsc::Depth::First,
        };
        host.runsc = runsc::find(&seek, &self.programs, host).record;
    }

    /// Reads the policy and Facts, and decides what the policy means here. Starts and makes nothing,
    /// and asks nothing of the machine that only a sandbox needs; the command is not looked at. A kept
    /// home that no run has made yet is a private one here.
    ///
    /// # Errors
    /// What `run` would refuse in the policy, or because of what is where.
    pub fn resolve(&self, options: &Options) -> Result<Resolved, Refused> {
        self.resolve_around(options, Around::from(options.project))
    }

    /// The same between other layers.
    pub(crate) fn resolve_around(
        &self,
        options: &Options,
        around: Around<'_>,
    ) -> Result<Resolved, Refused> {
        self.resolve_with(options, &[], (around, Purpose::Look))
    }

    fn resolve_with(
        &self,
        options: &Options,
        own_variables: OwnVariables,
        (around, purpose): (Around<'_>, Purpose),
    ) -> Result<Resolved, Refused> {
        let caller = Caller::read()?;
        let read = Places::of(&caller).read(&options.policy, around, &caller)?;
        self.resolve_read(read, options, own_variables, purpose)
    }

    /// The same with a text that was read already.
    pub(crate) fn resolve_read(
        &self,
        read: Read,
        options: &Options,
        own_variables: OwnVariables,
        purpose: Purpose,
    ) -> Result<Resolved, Refused> {
        let caller = Caller::read()?;
        let places = Places::of(&caller);
        let Read { mut document, files: mut policy_files, managed: _, project } = read.clone();
        options.add_to(&mut document)?;
        for (name, value) in own_variables {
            document.add_own_variable(name, value);
        }
        let workspace = resolve::workspace_path(&document, &caller.home, &caller.cwd);
        let (person, home) = caller.person(&workspace);
        let audit = log_of(&document, options, (&places, &caller))?;
        // Who writes them says whom the next session believes.
        let trusted = resolve::trusted_files(&document, &home, &caller.cwd);
        policy_files.extend(trusted.iter().flat_map(|file| ways_to(&file.path)));
        let mut wanted = resolve::wanted_paths(&document, &home, &caller.cwd);
        wanted.extend(resolve::listed(&document).iter().flat_map(|at| entries(at)));
        let kept = match purpose {
            Purpose::Run => Kept::of(&document, &person, &workspace, (&places, &caller))?,
            Purpose::Look => None,
        };
        let kept_home = match (&kept, purpose) {
            (Some(kept), _) => Some(kept.path.clone()),
            (None, Purpose::Run) => None,
            (None, Purpose::Look) => homes::to_look_at(&mut document, &person, &workspace, &places),
        };
        if let Some(home) = &kept_home {
            let ours = self.programs.paths.iter().chain(&policy_files).chain([&audit]);
            homes::holds_none_of(home, ours)?;
        }
        let rootfs = rootfs::asked(&document, &person, &home, (&places, &caller))?;
        let own = Own {
            places: places.and_of(&home),
            programs: self.programs.paths.clone(),
            policy_files,
            log: Some(audit.clone()),
            asked: resolve::asked_trees(&document, &home, &caller.cwd),
            writable: resolve::writable_trees(&document, &home, &caller.cwd),
            workspace,
            kept_home,
            rootfs,
        };
        let passes =
            |name: &str| document.passed().any(|pattern| document::matches(&pattern.value, name));
        let facts = caller.look((person, home), &wanted, passes, own)?;
        self.trace.done("facts");
        let policy = resolve(&document, &facts)?;
        if !policy.network.is_closed() && matches!(purpose, Purpose::Run) {
            self.ahead.begin_gateway(&self.programs, &self.trace);
        }
        self.trace.done("policy");
        outside(&audit, &policy, &facts)?;
        kept.as_ref().map_or(Ok(()), |kept| kept.make_room(&policy))?;
        let (source, state) = (document.source.name.clone(), places.state);
        Ok(Resolved { facts, policy, source, audit, project, document, read, state, kept })
    }

    /// Builds the sandbox of `prepared` and takes it down again, without a workload or a record:
    /// `plan` refuses as `run` would because the same steps were tried.
    ///
    /// # Errors
    /// The step that fails here, or a log that could not be written.
    pub fn rehearse(&self, prepared: &Prepared) -> Result<(), Refused> {
        Log::check(&prepared.audit)?;
        let mut preparing = self.build(prepared)?;
        preparing.ready(&prepared.plan, &prepared.host)?;
        self.trace.done("init ready");
        Ok(())
    }

    /// Starts to build the sandbox and puts the start on record; the workload waits for
    /// [`Session::run`].
    ///
    /// # Errors
    /// The log cannot be written, or init cannot be started; that is on record then.
    pub fn start<'p>(&self, prepared: &'p Prepared) -> Result<Session<'p>, Refused> {
        let started = Instant::now();
        let name = session_name();
        let mut log = Log::open(&prepared.audit, name.clone())?;
        self.trace.done("log opened");
        let preparing = self.build(prepared);
        // While init builds, too.
        let control = prepared.control(name);
        if control.is_some() {
            self.trace.done("control begun");
        }
        // While init builds, the record is written; nothing runs before both are done.
        log.append(&start_event(prepared)?)?;
        self.trace.done("start recorded");
        let trace = self.trace.clone();
        match preparing {
            Ok(preparing) => {
                Ok(Session::new(prepared, (log, control), preparing, (started, trace)))
            }
            Err(refusal) => Err(recorded(&mut log, refusal)?),
        }
    }

    /// Where runs are recorded unless [`Options::audit`] names another log.
    ///
    /// # Errors
    /// The caller's home or working directory cannot be read.
    pub fn default_audit_log() -> Result<PathBuf, Refused> {
        let caller = Caller::read()?;
        Places::of(&caller).log(Places::managed_log(&caller).as_deref(), &caller)
    }

    /// Records a refusal that came before there was a session.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn record_refusal(&self, refused: &Refused, audit: Option<&Path>) -> Result<(), Refused> {
        // Where the log's own place is what was refused, nothing is made there, nor in a directory
        // that may be somebody's project.
        if refused.is_of_the_log() {
            return Ok(());
        }
        let caller = Caller::read()?;
        let managed = Places::managed_log(&caller);
        let path = Places::of(&caller).log(managed.as_deref().or(audit), &caller)?;
        let project = path.starts_with(&caller.cwd) && !caller.home.starts_with(&caller.cwd);
        if project && !path.exists() {
            return Ok(());
        }
        Log::open(&path, session_name())?.append(&refusal_event(refused))?;
        Ok(())
    }

    /// Runs a command with empty input and collects what it writes.
    ///
    /// # Errors
    /// Any refusal. How the command itself ended is in the result.
    pub fn run_collected(&self, options: &Options) -> Result<Collected, Refused> {
        let prepared = self.prepare(options)?;
        let session = self.start(&prepared)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (output, error) = (Sink::Collect(&mut stdout), Sink::Collect(&mut stderr));
        let Finished { outcome, turned_away, denied_names, way_out, output } =
            session.run(None, output, error, None)?;
        Ok(Collected { outcome, stdout, stderr, turned_away, denied_names, way_out, output })
    }
}

impl Prepared {
    /// The control socket of the session `name`, where a network is open.
    /// Without a control socket: nobody means to give this run another policy, and it leaves nothing.
    pub(crate) fn uncontrolled(self) -> Self {
        Self { again: None, ..self }
    }

    fn control(&self, name: String) -> Option<Control> {
        let again = self.again.clone()?;
        let words = self.plan.workload.command.iter();
        let command = words.map(|word| String::from_utf8_lossy(&word.0).into_owned()).collect();
        let credentials = self.policy.credentials.iter().map(|one| one.name.clone()).collect();
        let approval = again.options.approve;
        let identity = Identity { name, command, approval, credentials };
        Control::begin(self.state.clone(), identity, again, self.policy.network.rules.clone())
    }
}

/// The log of a run: the managed one, which no flag moves, or the one that was asked for.
fn log_of(
    document: &Document,
    options: &Options,
    (places, caller): (&Places, &Caller),
) -> Result<PathBuf, Refused> {
    let asked = options.audit.as_deref();
    let Some(managed) = &document.managed.audit else { return places.log(asked, caller) };
    let forced = places.log(Some(Path::new(&managed.value)), caller)?;
    match asked {
        Some(path) if places.log(asked, caller)? != forced => {
            Err(Refused::ManagedAudit { path: path.to_owned(), ceiling: managed.clause.clone() })
        }
        Some(_) | None => Ok(forced),
    }
}

/// Bubblewrap's program, where the policy's jail is that: it is opened once, and `host` says what it is.
pub(crate) fn outer(policy: &Policy, host: &mut Host) -> Option<OwnedFd> {
    match policy.jail {
        Jail::Bubblewrap => {
            let found = bubblewrap::find();
            host.bubblewrap = found.record;
            found.program
        }
        Jail::Auto | Jail::Native | Jail::Landlock | Jail::Seatbelt => None,
    }
}

/// An inner sandbox could only be weaker than the one around it, and would fail in its set-up.
fn outermost() -> Result<(), cofferdam_plan::Refusal> {
    if probe::is_inside() {
        return Err(cofferdam_plan::Refusal::Nested { mark: probe::MARK });
    }
    Ok(())
}

/// The log must lie where the workload can neither change nor read it: in no tree of the view, by
/// name or because something above the log is the very directory that a tree is.
fn outside(log: &Path, policy: &Policy, facts: &Facts) -> Result<(), Refused> {
    let mut trees = policy.grants.iter().chain([&policy.workspace]);
    let found = trees.find(|tree| {
        // The private home lies over what such a tree has there.
        if policy.home.starts_with(&tree.path) && log.starts_with(&policy.home) {
            return false;
        }
        log.starts_with(&tree.path) || facts.holds(&tree.source, log)
    });
    match found {
        Some(tree) => Err(Refused::AuditInside { log: log.to_owned(), tree: tree.path.clone() }),
        None => Ok(()),
    }
}

/// 128 random bits in hexadecimal.
pub(crate) fn session_name() -> String {
    let mut bytes = [0_u8; 16];
    // The kernel's generator cannot fail once the machine is up; a short answer leaves zeros,
    // which makes a name less unique and nothing less safe.
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entries of a directory that a plan can name; what cannot be listed has none.
fn entries(at: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_str().is_some()).collect()
}
