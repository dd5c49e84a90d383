//! From what was tried to an answer for each guarantee.
//!
//! Where the sandbox stood, the answers are the workload's; where it did not, single probes tell
//! which piece is missing.

mod rows;

use std::path::{Path, PathBuf};

use cofferdam_plan::Host;
use cofferdam_plan::host::Runsc;
use cofferdam_sandbox::{Caller, Programs, probe as look};

use super::broker;
use super::bubblewrap;
use super::gateway;
use super::limits;
use super::own;
use super::probe::{Answers, ask};
use super::runsc;
use super::trial::{self, Place, Trial};
use super::{Finding, Guarantee, State};
use crate::engine::Engine;
use crate::options::PolicyFrom;
use crate::places::{Around, Places};
use crate::refused::Refused;

/// Everything that was tried.
pub(crate) struct Evidence {
    pub(super) host: Host,
    /// The workload's user.
    ids: (u32, u32),
    caller_is_root: bool,
    /// Whether root's stand-in would need idmapped mounts in this directory.
    stands_in: bool,
    trial: Result<Trial, Refused>,
    /// The same with a gateway; `None` where no workload got to its end without one.
    gateway: Option<Result<Trial, Refused>>,
    /// The same with names to hold.
    broker: Option<Result<Trial, Refused>>,
    /// What init does, each thing by itself; empty where the sandbox stood.
    singles: Answers,
    landlock: Answers,
    seccomp: Answers,
    notify: Answers,
    idmap: Answers,
    /// The directory of `idmap`.
    shown: PathBuf,
    terminal: Answers,
    trace: Answers,
    limits: limits::Found,
    install: Option<own::Fault>,
    /// One of ours, or a directory above, whose owner this user namespace does not know.
    stranger: Option<PathBuf>,
    /// One of our programs in the tree that a run started here may write.
    program_inside: Option<PathBuf>,
    audit: Result<PathBuf, Refused>,
    core_pattern: String,
    bubblewrap: bubblewrap::Found,
    /// `None` where nothing can be started.
    runsc: Option<Runsc>,
}

impl Evidence {
    pub(super) fn gather(caller: &Caller, named: Option<&Path>) -> Result<Self, Refused> {
        let (ids, owner) = trial::owner(caller);
        let stands_in = caller.uid() == 0 && owner.is_none();
        let failed = |source| Refused::Diagnosis { doing: "make a directory to try in", source };
        let place = Place::make(owner).map_err(failed)?;
        let pair = format!("{}:{}", ids.0, ids.1);
        let mut held = Held::at(&place);
        // Only the place cannot be idmapped: all else is tried as its owner.
        if stands_in && held.trial.as_ref().is_err_and(|refused| refused.code() == "cannot-idmap") {
            let theirs = Place::make(Some(ids)).map_err(failed)?;
            held = Held::at(&theirs);
        }
        let Held { trial, gateway, broker } = held;
        let own = place.own.as_os_str();
        let singles = match &trial {
            Ok(_) => Answers::default(),
            Err(refused) if refused.code() == "nested" => Answers::default(),
            Err(_) => ask(["namespaces", &pair]),
        };
        // The home, and what is above it, is no workspace.
        let works = !caller.home.starts_with(&caller.cwd);
        let above = place.own.parent().map(Path::to_owned).unwrap_or_default();
        let shown = if works { caller.cwd.clone() } else { above };
        let idmap = if stands_in {
            ask(["idmap".as_ref(), shown.as_os_str(), pair.as_ref()])
        } else {
            Answers::default()
        };
        let programs = Programs::beside_this_one().map(|programs| programs.paths);
        let programs = programs.unwrap_or_default();
        let places = Places::of(caller);
        let audit = places.log(None, caller);
        let mut ours = programs.clone();
        ours.extend([places.config.join("policy.toml"), places.state.clone()]);
        let mut install = own::fault(&ours, caller);
        // What reading the policy refuses is of the same kind.
        if let (None, Err(refused)) =
            (&install, places.read(&PolicyFrom::User, Around::Managed, caller))
        {
            install = Some(own::Fault { what: refused.to_string(), remedy: refused.hint() });
        }
        let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
        let host = look::host();
        let nested = trial.as_ref().is_err_and(|refused| refused.code() == "nested");
        Ok(Self {
            runsc: if nested { None } else { runsc::look(caller, named, &host) },
            host,
            ids,
            caller_is_root: caller.uid() == 0,
            stands_in,
            singles,
            landlock: ask(["landlock".as_ref(), own]),
            seccomp: ask(["seccomp".as_ref(), place.own.join("moded").as_os_str()]),
            notify: ask(["notify"]),
            terminal: ask(["terminal"]),
            trace: ask(["trace"]),
            idmap,
            shown,
            limits: limits::find(),
            install,
            stranger: own::stranger(&ours),
            program_inside: own::inside(&programs, caller).cloned(),
            audit: audit.and_then(|log| recordable(log, caller)),
            core_pattern: pattern.unwrap_or_default().trim().to_owned(),
            bubblewrap: bubblewrap::look(),
            trial,
            gateway,
            broker,
        })
    }

    /// Whether this runs inside a sandbox of ours: what is missing here is missing on purpose.
    pub(super) fn is_nested(&self) -> bool {
        self.trial.as_ref().is_err_and(|refused| refused.code() == "nested")
    }

    /// The answer to one guarantee.
    pub(super) fn judge(&self, guarantee: Guarantee) -> Finding {
        let row = if self.is_nested() && guarantee != Guarantee::Outermost {
            Row::unknown("this is inside a sandbox of cofferdam's")
        } else {
            self.row(guarantee)
        };
        let Row { state, found, remedy } = row;
        Finding { guarantee, state, found, remedy }
    }
}

/// What came of the sandboxes.
struct Held {
    trial: Result<Trial, Refused>,
    gateway: Option<Result<Trial, Refused>>,
    broker: Option<Result<Trial, Refused>>,
}

impl Held {
    /// A sandbox at `place`, and what its workload said; where it ended well, one with a gateway and
    /// one with names to hold.
    fn at(place: &Place) -> Self {
        let engine = match Engine::new() {
            Ok(engine) => engine,
            Err(refused) => return Self { trial: Err(refused), gateway: None, broker: None },
        };
        let trial = trial::hold(place, &engine);
        let stood = trial.as_ref().ok().filter(|trial| trial.fault.is_none());
        let broker = stood.map(|stood| broker::hold(place, &engine, &stood.no_control));
        let gateway = stood.map(|_| gateway::hold(place, &engine));
        Self { trial, gateway, broker }
    }
}

/// The log, where a run that is started here could record in it.
fn recordable(log: PathBuf, caller: &Caller) -> Result<PathBuf, Refused> {
    cofferdam_audit::Log::check(&log)?;
    // A run in the home itself is refused for other reasons.
    if log.starts_with(&caller.cwd) && !caller.home.starts_with(&caller.cwd) {
        return Err(Refused::AuditInside { log, tree: caller.cwd.clone() });
    }
    Ok(log)
}

/// An answer before its name is put to it.
struct Row {
    state: State,
    found: String,
    remedy: Option<String>,
}

impl Row {
    fn enforced(found: impl Into<String>) -> Self {
        Self { state: State::Enforced, found: found.into(), remedy: None }
    }

    fn weaker(
        found: impl Into<String>,
        open: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let state = State::Weaker { open: open.into() };
        Self { state, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn absent(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Absent, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn unknown(why: impl Into<String>) -> Self {
        let found = format!("not tried: {}", why.into());
        let remedy = "repair what is absent first, then ask again".into();
        Self { state: State::Unknown, found, remedy: Some(remedy) }
    }

    fn not_needed(found: impl Into<String>) -> Self {
        Self { state: State::NotNeeded, found: found.into(), remedy: None }
    }
}
