//! Between the loop that carries a session and the thread of its control socket.
//!
//! The loop alone writes the log and speaks to the gateway. The thread alone reads policies, speaks to
//! persons and waits. Each rings the other's bell (`eventfd(2)`); neither waits for the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use cofferdam_audit::Event;
use cofferdam_plan::message::Question;
use cofferdam_policy::judge::hosts::HostRules;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

/// What the loop is to do.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Put this on record.
    Record(Event),
    /// Put this on record, then send the rules.
    Apply { event: Event, generation: u32, rules: Box<HostRules> },
    /// Put this on record, then send the rules, then say yes to these questions.
    Allow { event: Event, generation: u32, rules: Box<HostRules>, questions: Vec<u64> },
    /// Say no to these questions; what there is to record is recorded.
    Deny { event: Option<Event>, questions: Vec<u64> },
    /// Put this on record, and say that this credential is worth nothing.
    Revoke { event: Event, name: String },
    /// Put this on record, and have this credential's secret read again.
    Rotate { event: Event, name: String },
    /// Say yes to one that a rule allows by now.
    Repeat { question: u64 },
}

/// What the thread hears.
#[derive(Debug)]
pub(crate) enum Told {
    /// These rules hold.
    Applied(u32),
    /// These rules were not sent: they are not on record.
    NotRecorded(u32),
    /// These rules were not sent: the gateway does not take them.
    NotTaken(u32),
    /// The gateway asks.
    Asks(Question),
    /// Nobody waits for this answer.
    AsksNoMore(u64),
    /// The session ends.
    Over,
}

/// A bell that anybody rings and one hears.
#[derive(Clone, Debug)]
struct Bell(Arc<OwnedFd>);

impl Bell {
    fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    fn ring(&self) {
        // It cannot fail but for a count that is at its end, and then it rings already.
        write(&self.0, &1_u64.to_ne_bytes()).unwrap_or(0);
    }

    fn quiet(&self) {
        read(&self.0, &mut [0_u8; 8][..]).unwrap_or(0);
    }
}

/// One end: what it says and what it hears.
#[derive(Debug)]
pub(crate) struct End<Says, Hears> {
    says: Sender<Says>,
    hears: Receiver<Hears>,
    theirs: Bell,
    own: Bell,
}

/// The loop's end.
pub(crate) type Loop = End<Told, Deed>;
/// The thread's.
pub(super) type Thread = End<Deed, Told>;

/// Both ends.
pub(super) fn ends() -> io::Result<(Loop, Thread)> {
    let ((tell, told), (order, ordered)) = (channel(), channel());
    let (loops, threads) = (Bell::new()?, Bell::new()?);
    let (theirs, own) = (threads.clone(), loops.clone());
    Ok((
        End { says: tell, hears: ordered, theirs, own },
        End { says: order, hears: told, theirs: loops, own: threads },
    ))
}

impl<Says, Hears> End<Says, Hears> {
    /// Says it; `false` where nobody is there.
    pub(crate) fn say(&self, what: Says) -> bool {
        let said = self.says.send(what).is_ok();
        self.theirs.ring();
        said
    }

    /// What rings when there is something to hear.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.own.0.as_fd()
    }

    /// The next thing, without waiting; an error once the other end is gone and all is heard.
    pub(crate) fn hear(&self) -> Result<Option<Hears>, ()> {
        match self.hears.try_recv() {
            Ok(what) => return Ok(Some(what)),
            Err(TryRecvError::Disconnected | TryRecvError::Empty) => {}
        }
        // What is said after this rings anew.
        self.own.quiet();
        match self.hears.try_recv() {
            Ok(what) => Ok(Some(what)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        }
    }
}
