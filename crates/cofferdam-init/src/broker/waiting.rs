//! Calls that have to wait: for a reader of a FIFO, a lease, a connection. None of them holds a thread
//! that answers.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use cofferdam_sys::notify::{self, Call};
use rustix::io::Errno;

use super::caller::{Caller, Statuses};
use super::{Answered, Broker};

/// Who waits beside these is told to try again.
const WAITING_MAX: usize = 256;
/// How long until the next look, at first and at most.
const SOON: Duration = Duration::from_millis(1);
const LATEST: Duration = Duration::from_millis(16);

/// What is tried again until it gives an answer.
pub(super) struct Later(Box<dyn FnMut() -> Option<Answered> + Send>);

impl Later {
    pub(super) fn new(again: impl FnMut() -> Option<Answered> + Send + 'static) -> Self {
        Self(Box::new(again))
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Later(..)")
    }
}

/// Calls that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: Mutex<Vec<(Call, Later)>>,
    more: Condvar,
    /// How many there are, those that are being tried among them.
    count: AtomicUsize,
}

impl Waiting {
    pub(super) fn put(&self, call: Call, later: Later, broker: &Broker) {
        if self.count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return broker.finish(&call, Err(Errno::AGAIN));
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push((call, later));
        self.more.notify_one();
    }

    /// Tries again and again what waits, for ever.
    pub(super) fn work(&self, broker: &Broker) {
        let mut pause = SOON;
        let statuses = Statuses::default();
        loop {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            while calls.is_empty() {
                pause = SOON;
                calls = self.more.wait(calls).unwrap_or_else(PoisonError::into_inner);
            }
            let mut tried = std::mem::take(&mut *calls);
            drop(calls);
            let before = tried.len();
            tried.retain_mut(|(call, later)| {
                // Its caller was killed.
                if !notify::waits(broker.listener.as_fd(), call.id) {
                    return false;
                }
                match (later.0)() {
                    None => match Caller::new(broker, &statuses, *call).signalled() {
                        None => true,
                        Some(errno) => {
                            broker.finish(call, Err(errno));
                            false
                        }
                    },
                    Some(reply) => {
                        broker.finish(call, reply);
                        false
                    }
                }
            });
            self.count.fetch_sub(before - tried.len(), Ordering::Relaxed);
            pause = if tried.len() < before { SOON } else { LATEST.min(pause * 2) };
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let more = !calls.is_empty();
            calls.append(&mut tried);
            // Whoever has come meanwhile has not been heard yet.
            if !more && !calls.is_empty() {
                let waited = self.more.wait_timeout(calls, pause);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}
