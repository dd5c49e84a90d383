//! What was refused, told to the engine: each kind at once the first time, and then counted, at most a
//! row a second. A workload that asks for ever must not fill the log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cofferdam_plan::judge::Because;
use cofferdam_plan::message::{Denied, Operation, Report};
use cofferdam_plan::model::Clause;
use rustix::io::Errno;

use crate::control::Control;

/// Kinds that are told apart at a time; what comes beside them is counted together.
const KINDS_MAX: usize = 256;

/// Refusals that wait to be told.
#[derive(Debug)]
pub(crate) struct Denials {
    control: Control,
    kinds: Mutex<HashMap<(Operation, String), Denied>>,
}

impl Denials {
    pub(crate) fn new(control: Control) -> Arc<Self> {
        Arc::new(Self { control, kinds: Mutex::default() })
    }

    /// A rule refused it.
    pub(super) fn denied(
        &self,
        operation: Operation,
        path: &Path,
        clause: &Clause,
        because: Because,
    ) {
        self.add(Denied::by_rule(operation, path, clause, because));
    }

    /// It could not be done.
    pub(super) fn failed(&self, operation: Operation, path: &str, errno: Errno) {
        self.add(Denied::by_fault(operation, path, errno.raw_os_error()));
    }

    /// A rule refused it, for a reason of its own.
    pub(super) fn kept(&self, denied: Denied) {
        self.add(denied);
    }

    fn add(&self, denied: Denied) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (denied.operation, denied.path.clone());
        if let Some(known) = kinds.get_mut(&key) {
            known.times += 1;
            return;
        }
        if kinds.len() >= KINDS_MAX {
            let rest = Denied { path: String::new(), ..denied };
            kinds
                .entry((rest.operation, String::new()))
                .or_insert(Denied { times: 0, ..rest })
                .times += 1;
            return;
        }
        let told = self.control.send_at_once(&Report::Denied(Box::new(denied.clone()))).is_ok();
        kinds.insert(key, Denied { times: u64::from(!told), ..denied });
    }

    /// Tells what was counted, and forgets what did not come again. For once a second, and the end.
    pub(crate) fn tell(&self) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.retain(|_, kind| {
            if kind.times == 0 {
                return false;
            }
            if self.control.send_at_once(&Report::Denied(Box::new(kind.clone()))).is_ok() {
                kind.times = 0;
            }
            true
        });
    }
}
