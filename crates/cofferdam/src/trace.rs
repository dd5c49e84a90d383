//! When each phase of a start was done: `--trace-start`, in builds with debug assertions alone.
//!
//! Knows names and times, not what they mean. A trace that nobody asked for holds nothing and reads
//! no clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The flag, which a release build does not have.
const FLAG: &str = "--trace-start";

/// Phases, in the order in which they were done; copies write to the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Option<Arc<Phases>>);

#[derive(Debug)]
struct Phases {
    begin: Instant,
    done: Mutex<Vec<(&'static str, Duration)>>,
}

impl Trace {
    /// A trace that begins now, where these words ask for one before the command.
    pub(crate) fn asked_by(words: impl IntoIterator<Item = std::ffi::OsString>) -> Self {
        let asked = words.into_iter().take_while(|word| word != "--").any(|word| word == FLAG);
        if !cfg!(debug_assertions) || !asked {
            return Self::default();
        }
        Self(Some(Arc::new(Phases { begin: Instant::now(), done: Mutex::default() })))
    }

    /// `phase` is done.
    pub(crate) fn done(&self, phase: &'static str) {
        if let Some(phases) = &self.0 {
            let at = phases.begin.elapsed();
            phases.done.lock().unwrap_or_else(PoisonError::into_inner).push((phase, at));
        }
    }

    /// What was done, one line a phase, each with its microseconds since the program began and
    /// since the phase before; `None` where nobody asked.
    pub(crate) fn text(&self) -> Option<String> {
        let phases = self.0.as_ref()?;
        let done = phases.done.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = Duration::ZERO;
        let line = |(phase, at): &(&str, Duration)| {
            let since = at.saturating_sub(before).as_micros();
            before = *at;
            format!("start: {:>7} us  +{since:<6} {phase}\n", at.as_micros())
        };
        Some(done.iter().map(line).collect())
    }
}
