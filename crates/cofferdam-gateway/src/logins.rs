//! The agent of ssh, on its socket inside: what it signs and what it refuses is on record, and a signature
//! goes out when it has its place there.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_policy::model::Clause;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::agent::{Denied, FAILED, Frames, Identity, Outcome, Reason, Session};
use crate::credentials::{Held, Worthless};
use crate::denial::Denial;
use crate::gate::{Entry, Gate};

/// Most clients at a time; more wait to be accepted. Each has one for as long as it logs in.
const CLIENTS_MAX: usize = 32;
/// How long a client may say nothing, or not read: a host gives as long for a login.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// Where no connection can be accepted for want of descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// Bytes that are read at once: a request has some hundreds.
const READ_BYTES: usize = 4 << 10;
/// Whom a request is about that names no host.
const NO_HOST: &str = "the ssh agent";

/// Hears on it; to be called inside a `LocalSet`.
pub(crate) fn open(gate: &Rc<Gate>, socket: Option<OwnedFd>) -> io::Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let listener = UnixListener::from_std(socket.into())?;
    let (gate, clients) = (Rc::clone(gate), Arc::new(Semaphore::new(CLIENTS_MAX)));
    spawn_local(async move {
        loop {
            let Ok(place) = Arc::clone(&clients).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let gate = Rc::clone(&gate);
                    spawn_local(async move {
                        serve(&gate, stream).await;
                        drop(place);
                    });
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            }
        }
    });
    Ok(())
}

/// One client, until it has gone. The keys are those that hold when it comes.
async fn serve(gate: &Rc<Gate>, mut stream: UnixStream) {
    let (held, identities): (Vec<_>, Vec<_>) = gate.credentials.logins().into_iter().unzip();
    let mut agent = Agent { gate, held, session: Session::new(&identities) };
    let mut frames = Frames::new();
    let mut bytes = vec![0; READ_BYTES];
    while let Ok(Ok(read @ 1..)) = timeout(SILENT_MAX, stream.read(&mut bytes)).await {
        let mut rest = bytes.get(..read).unwrap_or_default();
        loop {
            let Ok((taken, message)) = frames.feed(rest) else {
                return agent.refuse(Reason::Malformed.into()).await;
            };
            rest = rest.get(taken..).unwrap_or_default();
            let Some(message) = message else { break };
            let reply = agent.answer(&message).await;
            if !matches!(timeout(SILENT_MAX, stream.write_all(&reply)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// The agent, as one client has it.
struct Agent<'a> {
    gate: &'a Rc<Gate>,
    /// The credential of each identity.
    held: Vec<Rc<Held>>,
    session: Session<'a, Rc<Identity>>,
}

impl Agent<'_> {
    async fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        let (reply, outcome) = self.session.answer(message);
        match outcome {
            Outcome::Listed | Outcome::Bound => reply,
            Outcome::Signed { identity, user, host } => {
                let is_on_record = match self.held.get(identity) {
                    Some(held) => self.signed(held, &user, host).await,
                    None => false,
                };
                if is_on_record { reply } else { FAILED.to_vec() }
            }
            Outcome::Denied(denied) => {
                self.refuse(denied).await;
                reply
            }
        }
    }

    /// Whether a signature may go out: its key is still worth something, and it has a place in the log.
    async fn signed(&self, held: &Held, user: &str, host: String) -> bool {
        let (name, clause) = (held.name(), &held.credential().clause);
        let mut entry = Entry::login(self.gate, host);
        if let Some(worthless) = held.worthless() {
            let (code, why) = match worthless {
                Worthless::Revoked => ("credential-revoked", "is revoked"),
                Worthless::Expired => ("credential-expired", "is worth nothing any more"),
            };
            let why = format!("the key `{name}` {why}: no login of `{user}` is signed");
            entry.refused(Denial::spoken(code, why, clause)).await;
            return false;
        }
        let taken = entry.take_place(clause).await.is_ok();
        if taken {
            entry.note(format!("a login of `{user}` is signed with `{name}`"));
        }
        taken
    }

    async fn refuse(&self, denied: Denied) {
        let Denied { reason, user, host } = denied;
        let who = user.map(|user| format!(", for a login of `{user}`")).unwrap_or_default();
        let denial = Denial::spoken(reason.code(), format!("{reason}{who}"), &self.clause());
        let entry = Entry::login(self.gate, host.unwrap_or_else(|| NO_HOST.into()));
        entry.refused(denial).await;
    }

    /// The rule that names who may log in where; where there are several, none of them.
    fn clause(&self) -> Clause {
        match self.held.as_slice() {
            [one] => one.credential().clause.clone(),
            _ => Clause::built_in("credentials.ssh"),
        }
    }
}
