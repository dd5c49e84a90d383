//! What persons may change of a session while it runs, and who asks them: the control socket.
//!
//! Each session whose network is open has one, below the state directory, for its own user and root.
//! Over it another policy is applied as far as that is about hosts (`cofferdam policy apply`), and what
//! no rule allows is asked for (`cofferdam approve`). Nothing of it is reachable from inside.

mod again;
mod client;
mod desk;
mod error;
mod line;
mod peer;
mod place;
mod prompt;
mod questions;
mod serve;
mod speech;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};

use cofferdam_audit::Event;
use cofferdam_policy::judge::hosts::HostRules;
use cofferdam_sys::process::{SignalSet, set_blocked};
use rustix::fs::{Mode, OFlags};

pub(crate) use again::{Again, OwnVariables};
pub use client::{CredentialChange, Questions};
use desk::Desk;
pub use error::SessionError;
use line::Loop;
pub(crate) use line::{Deed, Told};
use place::{Missing, Sockets};
use serve::{Begin, Server};
pub use speech::{Asked, Drawn, Reply, Running, Told as Refusal};

use crate::options::Approval;

/// Signals that come of this thread's own faults: `SIGILL`, `SIGTRAP`, `SIGBUS`, `SIGFPE`, `SIGSEGV`.
const OWN_FAULTS: [i32; 5] = [4, 5, 7, 8, 11];
/// The last signal there is (`signal(7)`).
const SIGNAL_MAX: i32 = 64;

/// The loop's end of a session's control socket. The thread ends with it, and the socket's name goes.
#[derive(Debug)]
pub(crate) struct Control {
    /// The session's name.
    pub(crate) name: String,
    line: Loop,
    thread: Option<JoinHandle<()>>,
    stands: Receiver<Result<(), SessionError>>,
}

/// What a session is to others.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) approval: Approval,
    pub(crate) credentials: Vec<String>,
}

impl Control {
    /// Begins to listen, in a thread of its own: a start does not wait for it. `None` where there can
    /// be no thread.
    pub(crate) fn begin(
        state: PathBuf,
        identity: Identity,
        again: Again,
        rules: HostRules,
    ) -> Option<Self> {
        let (ours, theirs) = line::ends().ok()?;
        let (stand, stands) = channel();
        let Identity { name, command, approval, credentials } = identity;
        let session = Running {
            id: name.clone(),
            pid: std::process::id(),
            since: cofferdam_audit::now(),
            command: speech::command(command),
            policy: again.document.source.name.clone(),
            generation: 0,
            approve: approval != Approval::Off,
            credentials,
        };
        let serve = move || {
            // Signals are for the thread that carries the streams. A terminal that is another job's
            // says so instead of stopping us.
            let all = (1..=SIGNAL_MAX).filter(|signal| !OWN_FAULTS.contains(signal));
            drop(set_blocked(&all.fold(SignalSet::empty(), SignalSet::with)));
            let listener = Sockets::open(&state, Missing::Make)
                .and_then(|sockets| sockets.listen(&session.id))
                .map_err(|source| SessionError::Place { path: state.join("sessions"), source });
            let listener = match listener {
                Ok(listener) => listener,
                Err(error) => {
                    theirs.say(Deed::Record(Event::Uncontrolled { why: error.to_string() }));
                    return drop(stand.send(Err(error)));
                }
            };
            drop(stand.send(Ok(())));
            let desk = (approval == Approval::Terminal).then(terminal).flatten();
            Server::new(Begin { again, session, rules, desk }, theirs, listener).serve();
        };
        let thread = Builder::new().name("control".into()).spawn(serve).ok()?;
        Some(Self { name, line: ours, thread: Some(thread), stands })
    }

    /// Waits until the socket can be asked.
    pub(crate) fn stands(&self) -> Result<(), SessionError> {
        let gone = || {
            let source = std::io::Error::other("its thread has ended");
            Err(SessionError::Lost { source })
        };
        self.stands.recv().unwrap_or_else(|_| gone())
    }

    /// Rings when there is a deed.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.line.bell()
    }

    /// The next deed.
    pub(crate) fn deed(&self) -> Option<Deed> {
        self.line.hear().unwrap_or(None)
    }

    /// Tells the thread; `false` where it is gone.
    pub(crate) fn tell(&self, told: Told) -> bool {
        self.line.say(told)
    }

    /// Ends it; what is left is still to be done.
    pub(crate) fn end(&mut self) {
        self.tell(Told::Over);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so on standard error.
            drop(thread.join());
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.end();
    }
}

/// The person's own terminal, where this process has one.
fn terminal() -> Option<Desk> {
    let open = || -> Option<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()
    };
    Some(Desk::new(open()?, open()?))
}

#[cfg(test)]
mod tests;
