//! A terminal on which a person is asked, one question at a time.
//!
//! What was typed before a question was read answers nothing: it is shown first, and what is typed
//! until a moment later is thrown away. It is no terminal of the workload's: nothing of it gets there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::{Errno, read, write};
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

use super::prompt::{self, Typed};
use super::speech::Asked;

/// How long a question is shown before an answer counts.
const READ_FIRST: Duration = Duration::from_millis(500);
/// How often a terminal is looked at that is another job's.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longer than any answer. Bytes.
const LINE_BYTES_MAX: usize = 256;

/// A person's terminal.
#[derive(Debug)]
pub(super) struct Desk {
    input: OwnedFd,
    output: OwnedFd,
    shown: Option<(u64, Stage)>,
    /// The person wants to be asked here no more.
    pub(super) left: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It is shown; until then what is typed counts for nothing.
    Shown { until: Instant },
    /// An answer counts.
    Asked,
}

impl Desk {
    pub(super) const fn new(input: OwnedFd, output: OwnedFd) -> Self {
        Self { input, output, shown: None, left: false }
    }

    /// Shows what there is to show of `open`.
    pub(super) fn show(&mut self, open: &[Asked], now: Instant) {
        if let Some((id, _)) = self.shown
            && !open.iter().any(|asked| asked.id == id)
        {
            self.write("\n  answered elsewhere, or nobody waits any more\n");
            self.shown = None;
        }
        match (self.shown, open.first()) {
            (None, Some(first)) if !self.left && self.is_ours() => {
                self.write(&prompt::question(first));
                self.shown = Some((first.id, Stage::Shown { until: now + READ_FIRST }));
            }
            (Some((id, Stage::Shown { until })), _) if until <= now => {
                self.ask();
                self.shown = Some((id, Stage::Asked));
            }
            (None | Some(_), _) => {}
        }
    }

    /// When there is more to show, with `open` questions.
    pub(super) fn due(&self, open: usize, now: Instant) -> Option<Instant> {
        match self.shown {
            Some((_, Stage::Shown { until })) => Some(until),
            Some((_, Stage::Asked)) => None,
            None if open > 0 && !self.left => Some(now + LOOK_AGAIN),
            None => None,
        }
    }

    /// What tells that somebody typed, where that counts.
    pub(super) fn typing(&self) -> Option<BorrowedFd<'_>> {
        let asked = matches!(self.shown, Some((_, Stage::Asked)));
        asked.then(|| self.input.as_fd())
    }

    /// What was typed: the question, and whether it may be.
    pub(super) fn read(&mut self) -> Option<(u64, bool)> {
        let (id, Stage::Asked) = self.shown? else { return None };
        let mut line = [0_u8; LINE_BYTES_MAX];
        let length = match read(&self.input, &mut line[..]) {
            // The terminal is gone.
            Ok(0) | Err(Errno::NXIO) => {
                self.left = true;
                0
            }
            Ok(length) => length,
            // Another job's at this moment, or nothing there.
            Err(_) => return None,
        };
        match prompt::typed(line.get(..length).unwrap_or_default()) {
            _ if self.left => self.shown = None,
            Typed::Yes => {
                self.shown = None;
                return Some((id, true));
            }
            Typed::No => {
                self.shown = None;
                return Some((id, false));
            }
            Typed::Leave => {
                self.write(
                    "  no more questions here; they are refused unless answered elsewhere\n",
                );
                (self.shown, self.left) = (None, true);
            }
            Typed::Other => self.ask(),
        }
        None
    }

    /// Tells what became of an answer.
    pub(super) fn tell(&self, words: &str) {
        self.write(words);
    }

    fn ask(&self) {
        // A terminal that cannot do this is gone, and reading it says so.
        tcflush(&self.input, QueueSelector::IFlush).unwrap_or(());
        self.write(prompt::ANSWER);
    }

    /// Whether this job is the one that the terminal hears.
    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.input).is_ok_and(|group| group == getpgrp())
    }

    /// Who sees nothing of a question does not answer it.
    fn write(&self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match write(&self.output, rest) {
                Ok(length) if length > 0 => rest = rest.get(length..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}
