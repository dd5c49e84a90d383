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
/// How often one is written to that takes nothing.
const DRAW_AGAIN: Duration = Duration::from_millis(100);
/// How often a terminal is looked at that is another job's.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longer than any answer. Bytes.
const LINE_BYTES_MAX: usize = 256;

/// A person's terminal.
#[derive(Debug)]
pub(super) struct Desk {
    input: OwnedFd,
    output: OwnedFd,
    shown: Option<Shown>,
    /// The person wants to be asked here no more.
    pub(super) left: bool,
}

/// The question that is on it.
#[derive(Debug)]
struct Shown {
    id: u64,
    /// The line that is answered.
    answer: String,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// This of it is still to be written: a terminal may be slow, or stopped (Ctrl-S).
    Drawn { rest: Vec<u8> },
    /// It is shown; until then what is typed counts for nothing.
    Shown { until: Instant },
    /// This of the line that is answered is still to be written.
    Asking { rest: Vec<u8> },
    /// An answer counts.
    Asked,
}

impl Desk {
    pub(super) const fn new(input: OwnedFd, output: OwnedFd) -> Self {
        Self { input, output, shown: None, left: false }
    }

    /// Shows what there is to show of `open`.
    pub(super) fn show(&mut self, open: &[Asked], now: Instant) {
        let is_open = |shown: &Shown| open.iter().any(|asked| asked.id == shown.id);
        if self.shown.as_ref().is_some_and(|shown| !is_open(shown)) {
            self.write("\n  answered elsewhere, or nobody waits any more\n");
            self.shown = None;
        }
        if let (None, Some(first)) = (&self.shown, open.first())
            && !self.left
            && self.is_ours()
        {
            let (id, answer) = (first.id, prompt::answer(first));
            let stage = Stage::Drawn { rest: prompt::question(first).into_bytes() };
            self.shown = Some(Shown { id, answer, stage });
        }
        self.go_on(now);
    }

    /// Takes what is shown as far as it can be now: each stage only once the one before is whole.
    fn go_on(&mut self, now: Instant) {
        let Some(Shown { id, answer, stage }) = self.shown.take() else { return };
        let stage = match stage {
            Stage::Drawn { rest } => match self.put(rest) {
                Some(rest) => Stage::Drawn { rest },
                None => Stage::Shown { until: now + READ_FIRST },
            },
            Stage::Shown { until } if until <= now => self.ask(answer.clone().into_bytes()),
            Stage::Asking { rest } => self.ask(rest),
            stage @ (Stage::Shown { .. } | Stage::Asked) => stage,
        };
        self.shown = Some(Shown { id, answer, stage });
    }

    /// When there is more to show, with `open` questions.
    pub(super) fn due(&self, open: usize, now: Instant) -> Option<Instant> {
        match self.shown.as_ref().map(|shown| &shown.stage) {
            Some(Stage::Drawn { .. } | Stage::Asking { .. }) => Some(now + DRAW_AGAIN),
            Some(Stage::Shown { until }) => Some(*until),
            Some(Stage::Asked) => None,
            None if open > 0 && !self.left => Some(now + LOOK_AGAIN),
            None => None,
        }
    }

    /// What tells that somebody typed, where that counts.
    pub(super) fn typing(&self) -> Option<BorrowedFd<'_>> {
        let asked = |shown: &Shown| matches!(shown.stage, Stage::Asked);
        self.shown.as_ref().is_some_and(asked).then(|| self.input.as_fd())
    }

    /// What was typed: the question, and whether it may be.
    pub(super) fn read(&mut self) -> Option<(u64, bool)> {
        let Some(Shown { id, answer, stage: Stage::Asked }) = &self.shown else { return None };
        let (id, answer) = (*id, answer.clone());
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
            Typed::Other => {
                let stage = self.ask(answer.clone().into_bytes());
                self.shown = Some(Shown { id, answer, stage });
            }
        }
        None
    }

    /// Tells what became of an answer.
    pub(super) fn tell(&self, words: &str) {
        self.write(words);
    }

    /// Writes `rest` of the line that is answered.
    fn ask(&self, rest: Vec<u8>) -> Stage {
        // A terminal that cannot do this is gone, and reading it says so.
        tcflush(&self.input, QueueSelector::IFlush).unwrap_or(());
        self.put(rest).map_or(Stage::Asked, |rest| Stage::Asking { rest })
    }

    /// Whether this job is the one that the terminal hears.
    fn is_ours(&self) -> bool {
        tcgetpgrp(&self.input).is_ok_and(|group| group == getpgrp())
    }

    /// Words beside a question: who misses them is asked nothing.
    fn write(&self, text: &str) {
        drop(self.put(text.as_bytes().to_vec()));
    }

    /// Writes as much as the terminal takes at once; what is left of it. Who sees a part of a question
    /// has not seen it.
    fn put(&self, mut rest: Vec<u8>) -> Option<Vec<u8>> {
        while !rest.is_empty() {
            match write(&self.output, &rest) {
                Ok(length) if length > 0 => drop(rest.drain(..length)),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return Some(rest),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::ioctl_fionbio;

    use super::*;

    /// Everything that is in the pipe.
    fn drained(pipe: &OwnedFd) -> Vec<u8> {
        let (mut all, mut bytes) = (Vec::new(), [0_u8; 4096]);
        while let Ok(length) = read(pipe, &mut bytes[..]) {
            all.extend(&bytes[..length]);
        }
        all
    }

    #[test]
    fn an_answer_counts_only_behind_a_whole_question() {
        let (typed, _person) = std::io::pipe().unwrap();
        let (seen, output) = std::io::pipe().unwrap();
        let (seen, output) = (OwnedFd::from(seen), OwnedFd::from(output));
        ioctl_fionbio(&seen, true).and_then(|()| ioctl_fionbio(&output, true)).unwrap();
        let host = "evil.test".to_owned();
        let (protocol, method, path) = ("tls".to_owned(), None, None);
        let asked = Asked { id: 7, host, port: 443, protocol, method, path, seconds_left: 60 };
        let open = [asked];
        let question = prompt::question(&open[0]).into_bytes();
        let answer = prompt::answer(&open[0]);
        let mut desk = Desk::new(typed.into(), output);
        let stage = Stage::Drawn { rest: question.clone() };
        desk.shown = Some(Shown { id: 7, answer: answer.clone(), stage });
        while write(&desk.output, &[b'x'; 4096]).is_ok() {}
        let (begin, mut at) = (Instant::now(), Duration::ZERO);
        let mut after = |more: Duration| {
            at += more;
            begin + at
        };
        // Stopped for long: nothing of it is lost, and nothing counts.
        for _ in 0..100 {
            let now = after(READ_FIRST);
            desk.show(&open, now);
            assert!(desk.typing().is_none(), "what nobody has seen");
            assert_eq!(desk.due(1, now), Some(now + DRAW_AGAIN), "it is tried again");
        }
        drained(&seen);
        let now = after(READ_FIRST);
        desk.show(&open, now);
        assert_eq!(drained(&seen), question, "whole, from its beginning");
        assert_eq!(desk.due(1, now), Some(now + READ_FIRST), "the time to read it begins now");
        while write(&desk.output, &[b'x'; 4096]).is_ok() {}
        desk.show(&open, after(READ_FIRST));
        assert!(desk.typing().is_none(), "the line that is answered is not there either");
        drained(&seen);
        desk.show(&open, after(DRAW_AGAIN));
        assert_eq!(drained(&seen), answer.as_bytes(), "it says to whom a yes is");
        assert!(desk.typing().is_some(), "now an answer counts");
        desk.show(&[], after(DRAW_AGAIN));
        assert!(desk.typing().is_none(), "answered elsewhere");
    }
}
