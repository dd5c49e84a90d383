//! Init that is started ahead of its plan, in a thread of its own: making a cgroup and loading init
//! takes as long as reading the policy does.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use cofferdam_plan::host::Groups;
use cofferdam_sandbox::{Gateway, Programs, StartRefusal, Waiting};

use crate::trace::Trace;

/// The next sandbox's init, and its gateway, if they have been started.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<Option<Started>>, Mutex<Option<Begun>>);

type Begun = JoinHandle<Result<Gateway, StartRefusal>>;

#[derive(Debug)]
enum Started {
    Begun(JoinHandle<Result<Waiting, StartRefusal>>),
    Waits(Box<Waiting>),
}

impl Started {
    fn waiting(self) -> Result<Waiting, StartRefusal> {
        match self {
            Self::Begun(thread) => thread
                .join()
                .unwrap_or(Err(StartRefusal::InitDied { doing: "being started ahead" })),
            Self::Waits(waiting) => Ok(*waiting),
        }
    }
}

impl Ahead {
    /// Begins; what fails is told when init is needed.
    pub(crate) fn begin(&self, programs: &Arc<Programs>, trace: &Trace) {
        let (ours, trace) = (Arc::clone(programs), trace.clone());
        let start = move || {
            let started = Waiting::start(&ours);
            trace.done("init spawned");
            started
        };
        // Without a thread for it, it is started when it is needed.
        let begun = Builder::new().spawn(start).ok().map(Started::Begun);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }

    /// Begins a gateway likewise, once it is known that there is work for one.
    pub(crate) fn begin_gateway(&self, programs: &Arc<Programs>, trace: &Trace) {
        let (ours, trace) = (Arc::clone(programs), trace.clone());
        let start = move || {
            let started = Gateway::start(&ours);
            trace.done("gateway spawned");
            started
        };
        let begun = Builder::new().spawn(start).ok();
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }

    /// The gateway, where one was begun.
    pub(crate) fn gateway(&self) -> Option<Result<Gateway, StartRefusal>> {
        let begun = self.1.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let died = || StartRefusal::GatewayDied { said: "it was not started ahead".into() };
        Some(begun.join().unwrap_or_else(|_| Err(died())))
    }

    /// Init, where it was begun.
    pub(crate) fn take(&self) -> Result<Option<Waiting>, StartRefusal> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        begun.map(Started::waiting).transpose()
    }

    /// What the group of a begun init holds; `None` where none was begun.
    pub(crate) fn groups(&self, cpus: bool) -> Result<Option<Option<Groups>>, StartRefusal> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(begun) = place.take() else { return Ok(None) };
        let mut waiting = begun.waiting()?;
        let groups = waiting.groups(cpus);
        *place = Some(Started::Waits(Box::new(waiting)));
        Ok(Some(groups))
    }
}

/// A thread that outlived this could leave init's group behind.
impl Drop for Ahead {
    fn drop(&mut self) {
        drop((self.take(), self.gateway()));
    }
}
