//! The gateway, seen from the engine: started beside init, given its half of the plan and its sockets,
//! and heard until the workload is gone.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cofferdam_plan::egress::Egress;
use cofferdam_plan::facts::Ids;
use cofferdam_plan::message::{Ended, FromGateway, ToGateway};
use cofferdam_plan::{BUILD, wire};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};

use crate::launch::{Programs, sealed};
use crate::refusal::StartRefusal;
use crate::terminal::ready;

/// A message names a host, a rule and a reason.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Connections that may begin before the engine has heard of the first.
const FIRST_PLACES: u32 = 32;
/// Messages that are heard before the streams get their turn.
const TURN: usize = 64;
/// How long a gateway may take to say what is left once the workload is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long it may take to be ready: it reads two small files.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Descriptors that travel in one packet; the kernel's bound is 253 (`unix(7)`).
const SOCKETS_MAX: usize = 64;

/// Who keeps the record of what goes in and out.
pub trait Witness {
    /// A guarding mount fell.
    fn fell(&mut self, path: &Path, kills: bool);
    /// Whether the log has room for the events of this many connections that are on their way.
    fn has_room(&mut self, connections: u32) -> bool;
    /// A connection ended, or was refused.
    fn ended(&mut self, ended: Ended);
    /// The gateway is gone before the workload: from here on every connection is refused.
    fn gateway_gone(&mut self);
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
            .spawn()
            .map_err(StartRefusal::system("start cofferdam-gateway"))?;
        Ok(Self { socket: ours, child, places: 0, owed: 0, gone: false })
    }

    /// Gives it its half of the plan.
    pub(crate) fn give(&self, egress: &Egress, ids: Ids) -> io::Result<()> {
        let memory = sealed(&wire::encode(egress))?;
        let user = match ids {
            Ids::Caller { .. } => None,
            Ids::Owner { .. } | Ids::StandIn { .. } => Some(ids.pair()),
        };
        self.send(&ToGateway::Egress { user }, &[memory.as_fd()])
    }

    /// Passes sockets on, which init made.
    pub(crate) fn pass(&self, sockets: &[OwnedFd]) -> io::Result<()> {
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        self.send(&ToGateway::Sockets, &fds)
    }

    /// Waits until it is confined and hears.
    pub(crate) fn ready(&mut self) -> Result<(), StartRefusal> {
        let until = Instant::now() + READY_WITHIN;
        if !ready(self.socket.as_fd(), PollFlags::IN, until) {
            return Err(StartRefusal::GatewayDied { said: "it was not ready in time".into() });
        }
        let said = match self.receive().map_err(StartRefusal::system("hear from the gateway"))? {
            Some(FromGateway::Ready { build }) if build == BUILD => return Ok(()),
            Some(FromGateway::Ready { .. }) => "it is of another build: reinstall cofferdam".into(),
            Some(FromGateway::Failed { doing, errno: 0 }) => format!("cannot {doing}"),
            Some(FromGateway::Failed { doing, errno }) => {
                format!("cannot {doing}: {}", crate::refusal::errno_text(errno))
            }
            Some(FromGateway::Begun { .. } | FromGateway::Waits | FromGateway::Ended(_)) | None => {
                "it ended without a word".into()
            }
        };
        Err(StartRefusal::GatewayDied { said })
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
                Ok(Some(Some(message))) => self.take(message, witness),
                Ok(Some(None)) => break,
                Ok(None) | Err(_) => {
                    self.gone = true;
                    witness.gateway_gone();
                    return;
                }
            }
        }
        self.settle(witness);
    }

    /// The workload is gone: hears the rest, for a while, and ends the process.
    pub(crate) fn finish(mut self, witness: &mut dyn Witness) {
        if !self.gone && self.send(&ToGateway::Finish, &[]).is_ok() {
            let until = Instant::now() + LAST_WORDS;
            while ready(self.socket.as_fd(), PollFlags::IN, until) {
                match self.receive() {
                    Ok(Some(message)) => self.take(message, witness),
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }

    fn take(&mut self, message: FromGateway, witness: &mut dyn Witness) {
        match message {
            FromGateway::Begun { count } => self.owed = self.owed.saturating_add(count),
            FromGateway::Waits => {}
            FromGateway::Ended(ended) => {
                self.places = self.places.saturating_sub(1);
                witness.ended(*ended);
            }
            // Said before; a gateway that says it again is not believed anything.
            FromGateway::Ready { .. } | FromGateway::Failed { .. } => {}
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
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        match bytes.get(..length) {
            None | Some([]) => Ok(None),
            Some(bytes) => wire::decode(bytes).map(Some).map_err(io::Error::other),
        }
    }
}

/// Nothing of it is left, whatever it was doing: it holds no state of its own.
impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, or is our child and cannot refuse.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
