//! The gateway, seen from the engine: started beside init, given its half of the plan and its sockets,
//! and heard until the workload is gone.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cofferdam_plan::credentials::{Credential, Source};
use cofferdam_plan::egress::Egress;
use cofferdam_plan::facts::Ids;
use cofferdam_plan::message::{
    Denied, Ended, FromGateway, Question, SOCKETS_MAX, StandIn, ToGateway,
};
use cofferdam_plan::{BUILD, HostRules, wire};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};

use crate::controls::{Kept, Leak, Stream};
use crate::launch::{Handed, Programs, sealed};
use crate::refusal::StartRefusal;
use crate::terminal::ready;
use crate::trust::is_one;

/// A message names a host, a rule and a reason; or is a certificate that names the policy's hosts.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Longest method on record; the longest that is registered has 17 letters.
const METHOD_BYTES_MAX: usize = 32;
/// Longest path on record.
const PATH_BYTES_MAX: usize = 1 << 10;
/// Connections that may begin before the engine has heard of the first.
const FIRST_PLACES: u32 = 32;
/// Messages that are heard before the streams get their turn.
const TURN: usize = 64;
/// How long a gateway may take to say what is left once the workload is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long it may take to be ready: it reads two small files.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How long it may take to get every secret: a keychain may ask a person.
const SECRETS_WITHIN: Duration = Duration::from_secs(60);

/// What the gateway is told while the workload runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// These rules hold from here on.
    Rules {
        /// Their number; those of the plan are 0.
        generation: u32,
        /// The rules.
        rules: Box<HostRules>,
    },
    /// A credential is worth nothing from here on.
    Revoke {
        /// Its name.
        name: String,
    },
    /// The secret of a credential is to be read again from where it comes.
    Rotate {
        /// Its name.
        name: String,
    },
    /// What a person said to a question.
    Answer {
        /// Which question.
        id: u64,
        /// Whether it may be.
        allowed: bool,
    },
}

/// Who keeps the record of what goes in and out.
pub trait Witness {
    /// A guarding mount fell.
    fn fell(&mut self, path: &Path, kills: bool);
    /// The broker refused an operation on a name.
    fn denied(&mut self, denied: Denied);
    /// Whether the log has room for the events of this many connections that are on their way.
    fn has_room(&mut self, connections: u32) -> bool;
    /// A connection ended, or was refused.
    fn ended(&mut self, ended: Ended);
    /// The gateway is gone before the workload, and from here on every connection is refused; or it
    /// has not said all that it had to say.
    fn gateway_gone(&mut self);
    /// Becomes readable when there is something to tell the gateway; `None` where there never is.
    fn bell(&self) -> Option<BorrowedFd<'_>>;
    /// The next thing to tell it; what has to be on record before is.
    fn word(&mut self) -> Option<Word>;
    /// It did not take these rules: it has not read for long, or is gone.
    fn not_taken(&mut self, word: &Word);
    /// It judges by the rules of this number from here on.
    fn applied(&mut self, generation: u32);
    /// The secret of a credential could not be read again, and why not.
    fn unread(&mut self, credential: String, code: String);
    /// An answer has brought other tokens of a credential, and where they are kept.
    fn refreshed(&mut self, credential: String, kept: String);
    /// It asks about what no rule allows.
    fn asks(&mut self, question: Question);
    /// Nobody waits for the answer any more.
    fn asks_no_more(&mut self, id: u64);
    /// A string that must not leave was on its way out, and was masked.
    fn leaks(&mut self, leak: Leak);
    /// What was kept from whoever reads this stream, once it has ended.
    fn kept(&mut self, stream: Stream, kept: Kept);
}

/// A gateway process.
#[derive(Debug)]
pub struct Gateway {
    socket: OwnedFd,
    child: Child,
    /// Places in the log that are its own: given, and not filled by an event yet.
    places: u32,
    /// Places that it has used and that could not be given anew.
    owed: u32,
    /// Connections that have begun and not ended, as far as it has told: it tells of several together.
    open: i64,
    gone: bool,
}

impl Gateway {
    /// Starts the gateway. It reads the resolver's configuration, and waits.
    ///
    /// # Errors
    /// Its program is missing or cannot be started.
    pub fn start(programs: &Programs) -> Result<Self, StartRefusal> {
        let path = &programs.gateway;
        let missing = |source| StartRefusal::ProgramMissing { path: path.clone(), source };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let program = rustix::fs::open(path, flags, Mode::empty());
        let program = program.map_err(|error| missing(error.into()))?;
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) =
            pair.map_err(|error| StartRefusal::system("make a socketpair")(error.into()))?;
        #[expect(clippy::disallowed_methods, reason = "one of the two places that start programs")]
        let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("cofferdam-gateway")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::null())
            // Ctrl-C and a hangup go to the whole group of the caller. They are the workload's to
            // answer, and it may go on: so must its network.
            .process_group(0)
            .spawn()
            .map_err(StartRefusal::system("start cofferdam-gateway"))?;
        Ok(Self { socket: ours, child, places: 0, owed: 0, open: 0, gone: false })
    }

    /// Gives it its half of the plan, and whom hosts are believed by.
    pub(crate) fn give(&self, egress: &Egress, ids: Ids, handed: Handed<'_>) -> io::Result<()> {
        let plan = sealed(&wire::encode(egress))?;
        let Handed { trust, lent, outer: _ } = handed;
        let believed = trust.map(|trust| sealed(&wire::encode(trust.believed()))).transpose()?;
        let lent = lent.map(|lent| sealed(&wire::encode(lent))).transpose()?;
        let user = match ids {
            Ids::Caller { .. } => None,
            Ids::Owner { .. } | Ids::StandIn { .. } => Some(ids.pair()),
        };
        let fds: Vec<_> =
            [&plan].into_iter().chain(&believed).chain(&lent).map(AsFd::as_fd).collect();
        self.send(&ToGateway::Egress { user }, &fds)
    }

    /// Passes sockets on, which init made.
    pub(crate) fn pass(&self, what: &ToGateway, sockets: &[OwnedFd]) -> io::Result<()> {
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        self.send(what, &fds)
    }

    /// Waits for the session's authority, which it makes before anything else where the plan looks into
    /// TLS: its certificate (X.509, DER).
    pub(crate) fn authority(&mut self) -> Result<Vec<u8>, StartRefusal> {
        match self.first_word()? {
            Some(FromGateway::Authority { certificate }) if is_one(&certificate) => Ok(certificate),
            other => Err(unfit(other)),
        }
    }

    /// Waits for what stands in for `wanted`: it reads them all, and runs what they come from. For a key of
    /// ssh nothing does.
    pub(crate) fn stand_ins(
        &mut self,
        wanted: &[Credential],
    ) -> Result<Vec<StandIn>, StartRefusal> {
        // Nothing stands in for what an answer will bring, or for a key of ssh.
        let there =
            || wanted.iter().filter(|one| one.source != Source::OAuth && one.logins().is_none());
        let plain = |one: &'_ Credential| {
            let names = one.open.iter().map(|(its, _)| format!("{}.{its}", one.name));
            names.collect::<Vec<_>>()
        };
        let names: Vec<String> =
            there().map(|one| one.name.clone()).chain(there().flat_map(plain)).collect();
        let fits = |made: &[StandIn]| {
            made.len() == names.len()
                && made
                    .iter()
                    .zip(&names)
                    .all(|(one, name)| one.name == *name && !one.value.contains(char::is_control))
        };
        match self.word_within(SECRETS_WITHIN)? {
            Some(FromGateway::StandIns { made }) if fits(&made) => Ok(made),
            Some(FromGateway::Lacks(lacking)) => Err(StartRefusal::Credential(lacking)),
            other => Err(unfit(other)),
        }
    }

    /// Waits until it is confined and hears.
    pub(crate) fn ready(&mut self) -> Result<(), StartRefusal> {
        match self.first_word()? {
            Some(FromGateway::Ready { build }) if build == BUILD => Ok(()),
            other => Err(unfit(other)),
        }
    }

    fn first_word(&mut self) -> Result<Option<FromGateway>, StartRefusal> {
        self.word_within(READY_WITHIN)
    }

    fn word_within(&mut self, within: Duration) -> Result<Option<FromGateway>, StartRefusal> {
        let until = Instant::now() + within;
        if !ready(self.socket.as_fd(), PollFlags::IN, until) {
            return Err(StartRefusal::GatewayDied { said: "it was not ready in time".into() });
        }
        self.receive().map_err(StartRefusal::system("hear from the gateway"))
    }

    /// Gives it its first places in the log.
    pub(crate) fn open(&mut self, witness: &mut dyn Witness) {
        self.owed = FIRST_PLACES;
        self.settle(witness);
    }

    /// What tells that there is something to hear.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        (!self.gone).then(|| self.socket.as_fd())
    }

    /// Hears what there is, and gives places for what began.
    pub(crate) fn hear(&mut self, witness: &mut dyn Witness) {
        for _ in 0..TURN {
            match self.receive_at_once() {
                Ok(Some(Some(message))) if self.may_say(&message) => self.take(message, witness),
                Ok(Some(None)) => break,
                Ok(Some(Some(_)) | None) | Err(_) => {
                    self.gone = true;
                    // Who says what nobody can read may still hold connections; now it has ended.
                    drop(self.child.kill());
                    witness.gateway_gone();
                    return;
                }
            }
        }
        self.settle(witness);
    }

    /// The workload is gone: hears the rest, for a while, and ends the process. What was not heard is
    /// told.
    pub(crate) fn finish(mut self, witness: &mut dyn Witness) {
        if self.gone {
            return;
        }
        // Where this cannot be sent, it is gone, or has not read for long: what is left tells.
        drop(self.send(&ToGateway::Finish, &[]));
        let until = Instant::now() + LAST_WORDS;
        let mut whole = false;
        while ready(self.socket.as_fd(), PollFlags::IN, until) {
            match self.receive() {
                Ok(Some(message)) if self.may_say(&message) => self.take(message, witness),
                Ok(Some(_)) => break,
                Ok(None) => {
                    whole = self.open == 0;
                    break;
                }
                Err(_) => break,
            }
        }
        if !whole {
            witness.gateway_gone();
        }
    }

    /// Whether a message can be true: an event has a place. One that is not fills the log.
    fn may_say(&self, message: &FromGateway) -> bool {
        !matches!(message, FromGateway::Ended(_)) || self.places > 0
    }

    fn take(&mut self, message: FromGateway, witness: &mut dyn Witness) {
        match message {
            FromGateway::Begun { count } => {
                self.owed = self.owed.saturating_add(count);
                self.open = self.open.saturating_add(i64::from(count));
            }
            FromGateway::Waits => {}
            FromGateway::Ended(ended) => {
                self.places = self.places.saturating_sub(1);
                self.open = self.open.saturating_sub(1);
                witness.ended(bounded(*ended));
            }
            FromGateway::Counted(ended) => witness.ended(bounded(*ended)),
            FromGateway::Applied { generation } => witness.applied(generation),
            FromGateway::Unread { name, code } => witness.unread(name, code),
            FromGateway::Refreshed { name, kept } => witness.refreshed(name, kept),
            FromGateway::Asks(question) => witness.asks(*question),
            FromGateway::AsksNoMore { id } => witness.asks_no_more(id),
            // Said before.
            FromGateway::Ready { .. }
            | FromGateway::Failed { .. }
            | FromGateway::StandIns { .. }
            | FromGateway::Lacks(_)
            | FromGateway::Authority { .. } => {}
        }
    }

    /// Tells it all that there is to tell.
    pub(crate) fn tell(&self, witness: &mut dyn Witness) {
        while let Some(word) = witness.word() {
            if self.gone || self.say(&word).is_err() {
                witness.not_taken(&word);
            }
        }
    }

    fn say(&self, word: &Word) -> io::Result<()> {
        match word {
            Word::Rules { generation, rules } => {
                let memory = sealed(&wire::encode(rules.as_ref()))?;
                self.send(&ToGateway::Rules { generation: *generation }, &[memory.as_fd()])
            }
            Word::Revoke { name } => self.send(&ToGateway::Revoke { name: name.clone() }, &[]),
            Word::Rotate { name } => self.send(&ToGateway::Rotate { name: name.clone() }, &[]),
            Word::Answer { id, allowed } => {
                self.send(&ToGateway::Answer { id: *id, allowed: *allowed }, &[])
            }
        }
    }

    /// Gives what is owed, as far as the log has room.
    fn settle(&mut self, witness: &mut dyn Witness) {
        if self.owed == 0 || !witness.has_room(self.places.saturating_add(self.owed)) {
            return;
        }
        let room = ToGateway::Room { places: self.owed };
        if self.send(&room, &[]).is_ok() {
            self.places = self.places.saturating_add(std::mem::take(&mut self.owed));
        }
    }

    /// Without waiting: a gateway that somebody stopped holds nobody.
    fn send(&self, message: &ToGateway, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = wire::encode(message);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(
            &self.socket,
            &[IoSlice::new(&bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )?;
        Ok(())
    }

    fn receive(&self) -> io::Result<Option<FromGateway>> {
        self.receive_with(RecvFlags::empty())
    }

    /// `Some(None)` where there is nothing yet, `None` at the end.
    fn receive_at_once(&self) -> io::Result<Option<Option<FromGateway>>> {
        match self.receive_with(RecvFlags::DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(None)),
            Ok(Some(message)) => Ok(Some(Some(message))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_with(&self, flags: RecvFlags) -> io::Result<Option<FromGateway>> {
        let mut bytes = [0_u8; MESSAGE_BYTES_MAX];
        let length = loop {
            match recv(&self.socket, &mut bytes[..], flags) {
                Ok((length, _)) => break length,
                // It went away with something unread. This is told once, and before what it had still
                // said: that comes next.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(error) => return Err(error.into()),
            }
        };
        match bytes.get(..length) {
            None | Some([]) => Ok(None),
            Some(bytes) => wire::decode(bytes).map(Some).map_err(io::Error::other),
        }
    }
}

/// With as much of the request as has a place in the log, and nothing in it that a terminal obeys: the
/// workload wrote it.
fn bounded(mut ended: Ended) -> Ended {
    if let Some(request) = &mut ended.request {
        plain(&mut request.method, METHOD_BYTES_MAX);
        plain(&mut request.path, PATH_BYTES_MAX);
    }
    ended
}

fn plain(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
    let turns = |letter| matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(|letter| letter.is_control() || turns(letter)) {
        *text = text.replace(|letter: char| letter.is_control() || turns(letter), "?");
    }
}

/// What it said instead of what it was waited for.
fn unfit(message: Option<FromGateway>) -> StartRefusal {
    let said = match message {
        Some(FromGateway::Ready { build }) if build != BUILD => {
            "it is of another build: reinstall cofferdam".into()
        }
        Some(FromGateway::Failed { doing, errno: 0 }) => format!("cannot {doing}"),
        Some(FromGateway::Failed { doing, errno }) => {
            format!("cannot {doing}: {}", crate::refusal::errno_text(errno))
        }
        Some(
            FromGateway::Ready { .. }
            | FromGateway::Begun { .. }
            | FromGateway::Waits
            | FromGateway::Ended(_)
            | FromGateway::Counted(_)
            | FromGateway::Authority { .. }
            | FromGateway::StandIns { .. }
            | FromGateway::Lacks(_)
            | FromGateway::Unread { .. }
            | FromGateway::Refreshed { .. }
            | FromGateway::Applied { .. }
            | FromGateway::Asks(_)
            | FromGateway::AsksNoMore { .. },
        ) => "it said something else than it was asked".into(),
        None => "it ended without a word".into(),
    };
    StartRefusal::GatewayDied { said }
}

/// Nothing of it is left, whatever it was doing: it holds no state of its own.
impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, or is our child and cannot refuse.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
