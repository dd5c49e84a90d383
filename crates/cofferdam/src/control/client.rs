//! Who asks a session that runs: finds it, says one thing, hears the answer.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cofferdam_sandbox::Caller;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::desk::Desk;
use super::error::SessionError;
use super::place::{Missing, Sockets, is_prefix};
use super::speech::{Ask, Asked, Drawn, LINE_BYTES_MAX, Reply, Running, line};
use crate::engine::Engine;
use crate::places::Places;
use crate::refused::Refused;

/// How long a session may take to say who it is; one that is stopped never does.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take with anything else: it reads a policy, and waits for its gateway.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Fewest letters of a session's name.
const PREFIX_LETTERS_MIN: usize = 4;

/// A connection to a session.
#[derive(Debug)]
struct Link {
    fd: OwnedFd,
    inbox: Vec<u8>,
}

impl Link {
    const fn new(fd: OwnedFd) -> Self {
        Self { fd, inbox: Vec::new() }
    }

    fn say(&self, ask: &Ask) -> io::Result<()> {
        let bytes = line(ask);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match send(&self.fd, rest, SendFlags::NOSIGNAL) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What was said, of what is here already.
    fn heard(&mut self) -> io::Result<Option<Reply>> {
        let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.inbox.drain(..=end).collect();
        serde_json::from_slice(&line).map(Some).map_err(io::Error::other)
    }

    /// Reads more; `false` at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0_u8; 4096];
        loop {
            match recv(&self.fd, &mut bytes[..], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(false),
                Ok(_) if self.inbox.len() > LINE_BYTES_MAX => {
                    return Err(io::Error::other("its answer is too long"));
                }
                Ok((length, _)) => {
                    self.inbox.extend(bytes.iter().take(length));
                    return Ok(true);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says it and waits for the answer.
    fn ask(&mut self, ask: &Ask, within: Duration) -> io::Result<Reply> {
        self.say(ask)?;
        let until = Instant::now() + within;
        loop {
            if let Some(reply) = self.heard()? {
                return Ok(reply);
            }
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) if self.read()? => {}
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Where this user's sessions are.
fn state() -> Result<PathBuf, Refused> {
    Ok(Places::of(&Caller::read()?).state)
}

/// The directory of sessions below `state`; `None` where there has never been one.
fn sockets(state: &Path) -> Result<Option<Sockets>, Refused> {
    match Sockets::open(state, Missing::Leave) {
        Ok(sockets) => Ok(Some(sockets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => {
            let path = state.join("sessions");
            Err(SessionError::Place { path, source }.into())
        }
    }
}

/// Who `name` is, and the way to it; nothing where it has ended.
fn described(sockets: &Sockets, name: &str) -> Result<Option<(Running, Link)>, Refused> {
    let path = || sockets.path().to_owned();
    let found = sockets.connect(name);
    let found = found.map_err(|source| SessionError::Place { path: path(), source })?;
    let Some(fd) = found else { return Ok(None) };
    let pid = socket_peercred(&fd).map_or(0, |who| who.pid.as_raw_nonzero().get().unsigned_abs());
    let mut link = Link::new(fd);
    match link.ask(&Ask::Describe {}, DESCRIBED_WITHIN) {
        Ok(Reply::Session(running)) => Ok(Some((*running, link))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        // It is stopped, or of another build: it runs all the same.
        Ok(_) | Err(_) => {
            let (id, command) = (name.to_owned(), "(gives no answer)".to_owned());
            let (since, policy) = (String::new(), String::new());
            let (generation, approve, credentials) = (0, false, Vec::new());
            let running =
                Running { id, pid, since, command, policy, generation, approve, credentials };
            Ok(Some((running, link)))
        }
    }
}

/// All that run, with the way to each.
fn all(state: &Path) -> Result<Vec<(Running, Link)>, Refused> {
    let Some(sockets) = sockets(state)? else { return Ok(Vec::new()) };
    let names = sockets.names();
    let names =
        names.map_err(|source| SessionError::Place { path: sockets.path().to_owned(), source })?;
    let mut found = Vec::new();
    for name in names {
        found.extend(described(&sockets, &name)?);
    }
    found.sort_by(|(one, _), (other, _)| (&one.since, &one.id).cmp(&(&other.since, &other.id)));
    Ok(found)
}

/// The one whose name begins with `asked`; without, the only one that `fits`.
fn find(
    state: &Path,
    asked: Option<&str>,
    fits: fn(&Running) -> bool,
) -> Result<(Running, Link), Refused> {
    if let Some(asked) = asked
        && (asked.len() < PREFIX_LETTERS_MIN || !is_prefix(asked))
    {
        return Err(SessionError::Prefix { asked: asked.to_owned() }.into());
    }
    let meant = |running: &Running| match asked {
        Some(asked) => running.id.starts_with(asked),
        None => fits(running),
    };
    let (mut found, others): (Vec<_>, Vec<_>) =
        all(state)?.into_iter().partition(|(running, _)| meant(running));
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (Some(last), _) => {
            let running = found.into_iter().chain([last]).map(|(running, _)| running).collect();
            Err(SessionError::Several { running }.into())
        }
        (None, _) => {
            let running = others.into_iter().map(|(running, _)| running).collect();
            let asked = asked.map(ToOwned::to_owned);
            Err(SessionError::Unknown { asked, running }.into())
        }
    }
}

fn lost(source: io::Error) -> Refused {
    SessionError::Lost { source }.into()
}

impl Engine {
    /// The sessions of this user that run and whose network is open, the oldest first.
    ///
    /// # Errors
    /// The directory of their sockets cannot be used.
    pub fn sessions() -> Result<Vec<Running>, Refused> {
        sessions(&state()?)
    }

    /// Has the policy in `file` hold in a session that runs: the one whose name begins with `session`,
    /// or the only one. An error in the policy is drawn as `drawn` says.
    ///
    /// # Errors
    /// There is no such session, several, or it gives no answer. What it says is in the result.
    pub fn apply_policy(
        session: Option<&str>,
        file: &Path,
        drawn: Drawn,
    ) -> Result<(Running, Reply), Refused> {
        apply(&state()?, session, file, drawn)
    }

    /// Has a credential of a session that runs be worth nothing from here on, or its secret be read
    /// again: the session whose name begins with `session`, or the only one.
    ///
    /// # Errors
    /// There is no such session, several, or it gives no answer. What it says is in the result.
    pub fn tell_of_credential(
        session: Option<&str>,
        credential: &str,
        change: CredentialChange,
    ) -> Result<(Running, Reply), Refused> {
        let (running, mut link) = find(&state()?, session, |_| true)?;
        let credential = credential.to_owned();
        let ask = match change {
            CredentialChange::Revoke => Ask::Revoke { credential },
            CredentialChange::Rotate => Ask::Rotate { credential },
        };
        let reply = link.ask(&ask, ANSWERED_WITHIN).map_err(lost)?;
        Ok((running, reply))
    }

    /// What a session asks for: the one whose name begins with `session`, or the only one that asks.
    ///
    /// # Errors
    /// There is no such session, or several, or it asks nobody.
    pub fn questions(session: Option<&str>) -> Result<Questions, Refused> {
        questions(&state()?, session)
    }
}

pub(super) fn sessions(state: &Path) -> Result<Vec<Running>, Refused> {
    Ok(all(state)?.into_iter().map(|(running, _)| running).collect())
}

pub(super) fn apply(
    state: &Path,
    session: Option<&str>,
    file: &Path,
    drawn: Drawn,
) -> Result<(Running, Reply), Refused> {
    let (running, mut link) = find(state, session, |_| true)?;
    let unread = |source| SessionError::Unread { path: file.to_owned(), source };
    let file = std::path::absolute(file).map_err(unread)?;
    let reply = link.ask(&Ask::Apply { file, drawn }, ANSWERED_WITHIN).map_err(lost)?;
    Ok((running, reply))
}

pub(super) fn questions(state: &Path, session: Option<&str>) -> Result<Questions, Refused> {
    let (running, link) = match find(state, session, |running| running.approve) {
        // Some run, and none of them asks.
        Err(Refused::Session(SessionError::Unknown { asked: None, running }))
            if !running.is_empty() =>
        {
            return Err(SessionError::NotAsking.into());
        }
        found => found?,
    };
    if !running.approve {
        return Err(SessionError::NotAsking.into());
    }
    Ok(Questions { running, link })
}

/// What becomes of a credential while its session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialChange {
    /// It is worth nothing any more.
    Revoke,
    /// Its secret is read again.
    Rotate,
}

/// The questions of a session.
#[derive(Debug)]
pub struct Questions {
    running: Running,
    link: Link,
}

impl Questions {
    /// Whose they are.
    #[must_use]
    pub const fn session(&self) -> &Running {
        &self.running
    }

    /// Those that are open, oldest first.
    ///
    /// # Errors
    /// The session gives no answer.
    pub fn open(&mut self) -> Result<Vec<Asked>, Refused> {
        match self.link.ask(&Ask::Questions {}, ANSWERED_WITHIN).map_err(lost)? {
            Reply::Questions { open } => Ok(open),
            Reply::Session(_)
            | Reply::Live { .. }
            | Reply::Restart { .. }
            | Reply::Refused(_)
            | Reply::Told { .. }
            | Reply::Answered { .. } => Err(SessionError::Build.into()),
        }
    }

    /// Answers one of them.
    ///
    /// # Errors
    /// The session gives no answer. What it says is in the result.
    pub fn answer(&mut self, id: u64, allowed: bool) -> Result<Reply, Refused> {
        self.link.ask(&Ask::Answer { id, allowed }, ANSWERED_WITHIN).map_err(lost)
    }

    /// Asks a person on a terminal, one question at a time, until they leave or the session ends.
    ///
    /// # Errors
    /// The session says what nobody understands, or the terminal cannot be waited for.
    pub fn ask_person(mut self, input: OwnedFd, output: OwnedFd) -> Result<(), Refused> {
        let mut desk = Desk::new(input, output);
        self.link.say(&Ask::Watch {}).map_err(lost)?;
        let mut open: Vec<Asked> = Vec::new();
        loop {
            let now = Instant::now();
            desk.show(&open, now);
            let due = desk.due(open.len(), now);
            let (heard, typed) = self.wait(&desk, due).map_err(lost)?;
            if heard && !self.link.read().map_err(lost)? {
                desk.tell("  the session has ended\n");
                return Ok(());
            }
            while let Some(reply) = self.link.heard().map_err(lost)? {
                match reply {
                    Reply::Questions { open: now } => open = now,
                    Reply::Answered { allowed: true, .. } => {
                        desk.tell("  allowed, until the session ends\n");
                    }
                    Reply::Answered { allowed: false, .. } => desk.tell("  refused\n"),
                    Reply::Refused(told) => {
                        desk.tell(&format!("  {}\n", super::prompt::plain(&told.message)));
                    }
                    Reply::Session(_)
                    | Reply::Live { .. }
                    | Reply::Told { .. }
                    | Reply::Restart { .. } => {
                        return Err(SessionError::Build.into());
                    }
                }
            }
            if typed && let Some((id, allowed)) = desk.read() {
                open.retain(|asked| asked.id != id);
                self.link.say(&Ask::Answer { id, allowed }).map_err(lost)?;
            }
            if desk.left {
                return Ok(());
            }
        }
    }

    /// Whether the session said something, and whether somebody typed.
    fn wait(&self, desk: &Desk, due: Option<Instant>) -> io::Result<(bool, bool)> {
        let mut fds = vec![PollFd::new(&self.link.fd, PollFlags::IN)];
        fds.extend(desk.typing().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let left =
            due.map(|due| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let hot = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok((hot(0), hot(1)))
    }
}
