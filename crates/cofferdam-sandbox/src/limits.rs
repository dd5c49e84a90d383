//! The limits that the engine holds itself, and which of all were met.
//!
//! Knows the clock, and what groups and signals tell afterwards; decides no limit.

use std::io;
use std::time::{Duration, Instant};

use cofferdam_plan::limits::Name;
use cofferdam_plan::plan::Bounds;
use cofferdam_sys::timer::Timer;

use crate::cgroup::Used;
use crate::outcome::Outcome;

/// `SIGKILL` and `SIGXFSZ` (`signal(7)`).
const SIGKILL: u8 = 9;
/// `SIGCONT`.
const SIGCONT: i32 = 18;
const SIGXFSZ: u8 = 25;
/// Between two wake-ups of a stopped engine whose time is over, where there is no grace.
const LEAST: Duration = Duration::from_secs(1);
/// The status of a workload that a limit ended.
const ENDED: u8 = 137;

/// A limit that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its name in `[limits]`.
    pub limit: &'static str,
    /// Its value, as the language writes it.
    pub value: String,
    /// What happened.
    pub what: String,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "limit {} = {}: {}", self.limit, self.value, self.what)
    }
}

/// What the clock wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask the command to end.
    Ask,
    /// End it.
    Kill,
}

/// The wall time of one run.
#[derive(Debug)]
pub(crate) struct Clock {
    /// When something is due, and what.
    next: Option<(Instant, Due)>,
    grace: Duration,
    /// What has been done.
    done: Option<Due>,
}

impl Clock {
    pub(crate) fn start(bounds: &Bounds, now: Instant) -> Self {
        let end = bounds.wall_time.and_then(|time| now.checked_add(Duration::from_secs(time)));
        let grace = Duration::from_secs(bounds.grace);
        Self { next: end.map(|end| (end, Due::Ask)), grace, done: None }
    }

    /// How long nothing is due; `None` for ever.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.next.map(|(at, _)| at.saturating_duration_since(now))
    }

    /// How long a slow reader is waited for once the time is over: a grace of its own. For ever
    /// where it is not.
    pub(crate) fn patience(&self, now: Instant) -> Option<Instant> {
        self.done.and_then(|_| now.checked_add(self.grace))
    }

    /// Continues this process when something is due, and from then on again and again: a command
    /// that stops itself stops the engine with it, and what it left running would have no end. To
    /// be kept as long as the clock counts.
    ///
    /// # Errors
    /// This user has no timer left.
    pub(crate) fn wakes(&self, now: Instant) -> io::Result<Option<Timer>> {
        let Some(left) = self.left(now) else { return Ok(None) };
        let timer = Timer::new(SIGCONT)?;
        timer.start(left.max(LEAST), self.grace.max(LEAST))?;
        Ok(Some(timer))
    }

    /// What is due now, once.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        let (_, due) = self.next.filter(|(at, _)| *at <= now)?;
        self.next = match due {
            Due::Ask if self.grace.is_zero() => {
                self.done = Some(Due::Kill);
                self.next = None;
                return self.done;
            }
            Due::Ask => now.checked_add(self.grace).map(|at| (at, Due::Kill)),
            Due::Kill => None,
        };
        self.done = Some(due);
        self.done
    }
}

/// The outcome with the limits that were met. Whom a limit ended has no status of its own: a
/// command that cleans up and ends with 0 when its time is over has not done its work.
pub(crate) fn judged(outcome: Outcome, bounds: &Bounds, clock: &Clock, used: &Used) -> Outcome {
    let own = match outcome {
        Outcome::Exited(status) => Some((status, status == 128 | SIGXFSZ)),
        Outcome::Signaled(signal) => Some((128 | signal, signal == SIGXFSZ)),
        Outcome::Lost => Some((ENDED, false)),
        Outcome::NotStarted(_)
        | Outcome::Killed { .. }
        | Outcome::Ended(_)
        | Outcome::Failed { .. }
        | Outcome::OutputLost { .. }
        | Outcome::Limited { .. } => None,
    };
    let Some((status, too_long)) = own else { return outcome };
    let killed = matches!(outcome, Outcome::Signaled(SIGKILL) | Outcome::Lost);
    let mut hits = Vec::new();
    let mut hit = |name: Name, value: Option<u64>, what: String| {
        if let Some(value) = value {
            hits.push(Hit { limit: name.as_str(), value: name.shown(value), what });
        }
    };
    if let Some(done) = clock.done {
        let what = match done {
            Due::Ask => "the command was asked to end, and did".to_owned(),
            Due::Kill if bounds.grace == 0 => "the command was killed".to_owned(),
            Due::Kill => {
                let grace = Name::Grace.shown(bounds.grace);
                format!("the command was asked to end, and killed {grace} later")
            }
        };
        hit(Name::WallTime, bounds.wall_time, what);
    }
    if used.killed > 0 {
        let what = format!("the kernel killed for it, {}", times(used.killed));
        hit(Name::Memory, bounds.memory, what);
    }
    if used.refused > 0 {
        let what = format!("new processes or threads were refused, {}", times(used.refused));
        hit(
            Name::Processes,
            bounds.processes.map(|count| count.saturating_sub(bounds.own_processes)),
            what,
        );
    }
    if too_long {
        hit(Name::FileSize, bounds.file_size, "a file grew beyond it (SIGXFSZ)".into());
    }
    let ended = clock.done.is_some() || (killed && used.killed > 0);
    match (hits.is_empty(), ended) {
        (true, _) => outcome,
        (false, true) => Outcome::Limited { status: ENDED, hits },
        // Killed from outside, whatever was met before.
        (false, false) if outcome == Outcome::Lost => outcome,
        (false, false) => Outcome::Limited { status, hits },
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        memory: Some(1 << 30),
        processes: Some(64 + 6),
        own_processes: 6,
        cpus: None,
        file_size: Some(1 << 20),
        wall_time: Some(60),
        grace: 10,
    };

    #[test]
    fn the_clock_asks_and_then_kills() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut clock = Clock::start(&BOUNDS, begin);
        assert_eq!((clock.left(at(20)), clock.due(at(59))), (Some(Duration::from_secs(40)), None));
        assert_eq!((clock.due(at(60)), clock.due(at(60))), (Some(Due::Ask), None));
        assert_eq!((clock.due(at(69)), clock.due(at(70))), (None, Some(Due::Kill)));
        assert_eq!((clock.left(at(70)), clock.due(at(900))), (None, None), "once");
        let mut sudden = Clock::start(&Bounds { grace: 0, ..BOUNDS }, begin);
        assert_eq!(sudden.due(at(61)), Some(Due::Kill), "without grace");
        let never = Clock::start(&Bounds { wall_time: None, ..BOUNDS }, begin);
        assert_eq!(never.left(at(1)), None);
    }

    #[test]
    fn what_was_met_is_told() {
        let clock = |done| Clock { next: None, grace: Duration::ZERO, done };
        let used = |killed, refused| Used { killed, refused };
        let quiet = clock(None);
        for (outcome, clock, used, status, names, why) in [
            (Outcome::Exited(0), &quiet, used(0, 0), 0, &[][..], "nothing was met"),
            (Outcome::Signaled(9), &quiet, used(0, 0), 137, &[], "killed by somebody"),
            (Outcome::Signaled(9), &quiet, used(1, 0), 137, &["memory"], "killed for memory"),
            (Outcome::Lost, &quiet, used(2, 0), 137, &["memory"], "init was killed for it"),
            (Outcome::Lost, &quiet, used(0, 3), 125, &[], "killed from outside"),
            (Outcome::Exited(2), &quiet, used(1, 0), 2, &["memory"], "a child was killed for it"),
            (Outcome::Exited(0), &quiet, used(0, 7), 0, &["processes"], "a fork was refused"),
            (Outcome::Signaled(25), &quiet, used(0, 0), 153, &["file_size"], "SIGXFSZ"),
            (Outcome::Exited(153), &quiet, used(0, 0), 153, &["file_size"], "told by a shell"),
            (Outcome::Exited(0), &clock(Some(Due::Ask)), used(0, 0), 137, &["wall_time"], "asked"),
            (Outcome::Lost, &clock(Some(Due::Kill)), used(0, 0), 137, &["wall_time"], "killed"),
            (Outcome::NotStarted(2), &quiet, used(1, 1), 127, &[], "never ran"),
        ] {
            let got = judged(outcome, &BOUNDS, clock, &used);
            assert_eq!(got.status(), status, "{why}: {got:?}");
            let hits = if let Outcome::Limited { hits, .. } = got { hits } else { Vec::new() };
            let got: Vec<_> = hits.iter().map(|hit| hit.limit).collect();
            assert_eq!(got, names, "{why}");
        }
    }
}
