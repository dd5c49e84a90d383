//! What a stream of the workload goes through on its way out: escape sequences that must not be read,
//! strings that must not leave, and how much may.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cofferdam_audit::redact::{Encoding, Found, Label, Masker, Masks};
use cofferdam_plan::plan::{Escapes, Most, Output};
use rustix::io::{Errno, read};

use crate::escapes::{Filter, Questions, Refused};
use crate::streams::CHUNK;

/// So long what may be the beginning of a string that must not leave is kept back for its rest. Nobody who
/// types sees it, and a program that writes a line in two pieces is faster.
const REST_WITHIN: Duration = Duration::from_millis(10);

/// A stream that the workload writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
    /// The sandbox's terminal.
    Terminal,
}

impl Stream {
    /// For records and persons.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Output => "standard output",
            Self::Error => "standard error",
            Self::Terminal => "the terminal",
        }
    }
}

/// A string that must not leave was on its way out, and was masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Which string.
    pub label: Label,
    /// In which form it stood first.
    pub encoding: Encoding,
    /// Where.
    pub stream: Stream,
    /// How often, from 1.
    pub times: u64,
}

/// What was kept from whoever reads a stream, from its beginning to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Escape sequences.
    pub refused: Refused,
    /// Bytes beyond the limit.
    pub dropped: u64,
}

/// What holds for all streams of a workload.
pub(crate) struct Rules<'n> {
    escapes: Escapes,
    masks: Option<&'n Masks>,
    most: Option<(Most, Rc<Cell<u64>>)>,
}

impl<'n> Rules<'n> {
    pub(crate) fn new(output: &Output, masks: Option<&'n Masks>) -> Self {
        let most = output.most.clone().map(|most| (most.bytes, most));
        let most = most.map(|(bytes, most)| (most, Rc::new(Cell::new(bytes))));
        Self { escapes: output.escapes, masks, most }
    }

    /// What a stream goes through that leads to a terminal, or elsewhere. `None` where that is nothing.
    pub(crate) fn of(&self, stream: Stream, leads: Leads) -> Option<Controls<'n>> {
        let filtered = match (self.escapes, leads) {
            (Escapes::Raw, _) | (Escapes::Safe, Leads::Elsewhere) => false,
            (Escapes::Always, _) | (Escapes::Safe, Leads::ToTerminal) => true,
        };
        let questions = match stream {
            // What is left of an answer is read before anybody else does.
            Stream::Terminal => Questions::Pass,
            // The workload does not read the terminal that this leads to.
            Stream::Output | Stream::Error => Questions::Refused,
        };
        if !filtered && self.masks.is_none() && self.most.is_none() {
            return None;
        }
        Some(Controls {
            stream,
            filter: filtered.then(|| Filter::new(questions)),
            masker: self.masks.map(Masker::new),
            most: self.most.clone(),
            line_end: if leads == Leads::ToTerminal { "\r\n" } else { "\n" },
            in_line: false,
            dropped: None,
            since: None,
            leaks: BTreeMap::new(),
            raw: vec![0; CHUNK],
            filtered: Vec::new(),
        })
    }
}

/// Where a stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    ToTerminal,
    /// To a file, a pipe or memory.
    Elsewhere,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// All of it is on its way.
    On,
    /// The limit was met just now: what follows is dropped.
    Cut,
}

/// What one stream goes through.
pub(crate) struct Controls<'n> {
    stream: Stream,
    filter: Option<Filter>,
    masker: Option<Masker<'n>>,
    /// The limit, and what all streams together have left of it.
    most: Option<(Most, Rc<Cell<u64>>)>,
    line_end: &'static str,
    /// Whether the last line has no end yet.
    in_line: bool,
    /// Bytes beyond the limit; `None` where it was not met.
    dropped: Option<u64>,
    /// Since when something is kept back.
    since: Option<Instant>,
    /// What was found since this was asked last.
    leaks: BTreeMap<Label, (Encoding, u64)>,
    /// What was read.
    raw: Vec<u8>,
    /// What has gone through the filter.
    filtered: Vec<u8>,
}

impl Controls<'_> {
    /// Reads at most `most` bytes of `from` and replaces `out` by what of them goes on. Gives their number,
    /// 0 at the end.
    pub(crate) fn read(
        &mut self,
        from: BorrowedFd<'_>,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Passed), Errno> {
        let mut raw = std::mem::take(&mut self.raw);
        let read = read(from, raw.get_mut(..most.min(CHUNK)).unwrap_or_default());
        let passed = read.map(|length| match raw.get(..length) {
            None | Some([]) => (0, Passed::On),
            Some(bytes) => (length, self.pass(bytes, out)),
        });
        self.raw = raw;
        passed
    }

    /// Replaces `out` by what of the next bytes goes on.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Passed {
        out.clear();
        if let Some(dropped) = &mut self.dropped {
            *dropped = dropped.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            return Passed::On;
        }
        let Self { filter, masker, leaks, filtered, since, .. } = self;
        let bytes = match filter {
            None => bytes,
            Some(filter) => {
                filtered.clear();
                filter.feed(bytes, filtered);
                filtered.as_slice()
            }
        };
        match masker {
            None => out.extend_from_slice(bytes),
            Some(masker) => {
                masker.feed(bytes, out, &mut |found| note(leaks, found));
                *since = (masker.pending() > 0).then(Instant::now);
            }
        }
        self.bound(out)
    }

    /// Replaces `out` by what was kept back, now that nothing more came.
    pub(crate) fn pause(&mut self, out: &mut Vec<u8>) -> Passed {
        out.clear();
        self.since = None;
        if let Some(masker) = self.masker.as_mut().filter(|_| self.dropped.is_none()) {
            let leaks = &mut self.leaks;
            masker.flush(out, &mut |found| note(leaks, found));
        }
        self.bound(out)
    }

    /// The same at the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Passed {
        let mut last = Vec::new();
        if let Some(filter) = self.filter.as_mut().filter(|_| self.dropped.is_none()) {
            filter.finish(&mut last);
        }
        out.clear();
        if let Some(masker) = self.masker.as_mut().filter(|_| self.dropped.is_none()) {
            let leaks = &mut self.leaks;
            masker.feed(&last, out, &mut |found| note(leaks, found));
            masker.flush(out, &mut |found| note(leaks, found));
        } else {
            out.append(&mut last);
        }
        self.since = None;
        self.bound(out)
    }

    /// When what is kept back goes on without its rest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + REST_WITHIN)
    }

    /// The line that says why nothing follows.
    pub(crate) fn mark(&self, out: &mut Vec<u8>) {
        let Some((most, _)) = &self.most else { return };
        let end = self.line_end;
        let begin = if self.in_line { end } else { "" };
        let clause = most.clause.to_string().replace(char::is_control, "?");
        let mark = format!("{begin}[cofferdam: output ends here: limit of {clause}]{end}");
        out.extend_from_slice(mark.as_bytes());
    }

    /// What was found since this was asked last.
    pub(crate) fn leaks(&mut self) -> impl Iterator<Item = Leak> + use<> {
        let stream = self.stream;
        let leaks = std::mem::take(&mut self.leaks).into_iter();
        leaks.map(move |(label, (encoding, times))| Leak { label, encoding, stream, times })
    }

    /// What was kept from its reader so far.
    pub(crate) fn kept(&self) -> Kept {
        let refused = self.filter.as_ref().map(|filter| *filter.refused()).unwrap_or_default();
        Kept { refused, dropped: self.dropped.unwrap_or_default() }
    }

    pub(crate) const fn stream(&self) -> Stream {
        self.stream
    }

    /// Cuts `out` where the limit is met.
    fn bound(&mut self, out: &mut Vec<u8>) -> Passed {
        if let Some((_, left)) = &self.most {
            let length = u64::try_from(out.len()).unwrap_or(u64::MAX);
            let room = left.get();
            left.set(room.saturating_sub(length));
            if length > room {
                out.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                self.in_line = out.last().map_or(self.in_line, |byte| *byte != b'\n');
                self.dropped = Some(length - room);
                self.since = None;
                return Passed::Cut;
            }
        }
        self.in_line = out.last().map_or(self.in_line, |byte| *byte != b'\n');
        Passed::On
    }
}

fn note(leaks: &mut BTreeMap<Label, (Encoding, u64)>, found: Found) {
    let (_, times) = leaks.entry(found.label).or_insert((found.encoding, 0));
    *times = times.saturating_add(1);
}
