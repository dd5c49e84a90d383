//! The socketpair with the engine: what it gives, and what it is told.
//!
//! No record, no action: a connection begins once it has a place in the log, which the engine gave
//! because the log has room, and ends in exactly one event.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use cofferdam_plan::message::{Ended, FromGateway, ToGateway, Went};
use cofferdam_plan::wire;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg,
    sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

/// An order is a few bytes; what is large comes as a descriptor.
const ORDER_BYTES_MAX: usize = 256;
/// Descriptors that come with one.
const FDS_MAX: usize = 64;
/// How long a connection waits for a place in the log: the engine gives one within a millisecond, or
/// the log is full.
const PLACE_WITHIN: Duration = Duration::from_secs(1);
/// So many connections begin before the engine is told: half of what it gives first. Each message wakes
/// it, and its answer the gateway.
const TOLD_TOGETHER: u32 = 16;
/// From this many refusals of one kind on they are counted, and told at the end: a program that asks
/// again and again fills no log.
const ALIKE_MAX: u64 = 20;
/// Kinds of refusals that are counted; beyond it each is told.
const KINDS_MAX: usize = 4_096;

/// The engine takes no more events: its log is full or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRecord;

/// An order, with what came along.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) order: ToGateway,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Receives an order, and waits for it: before there is anything else to do.
pub(crate) fn receive(from: &OwnedFd) -> io::Result<Given> {
    receive_with(from, RecvFlags::CMSG_CLOEXEC)
}

/// Says something before there is anything else to do.
pub(crate) fn say(to: &OwnedFd, message: &FromGateway) -> io::Result<()> {
    send_with(to, &wire::encode(message), SendFlags::NOSIGNAL)
}

fn receive_with(from: impl AsFd, flags: RecvFlags) -> io::Result<Given> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0_u8; ORDER_BYTES_MAX];
    let length = loop {
        let into = &mut [IoSliceMut::new(&mut bytes)];
        match recvmsg(&from, into, &mut ancillary, flags) {
            Ok(packet) => break packet.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let fds = match ancillary.drain().next() {
        Some(RecvAncillaryMessage::ScmRights(fds)) => fds.collect(),
        Some(_) | None => Vec::new(),
    };
    match bytes.get(..length) {
        None | Some([]) => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(bytes) => {
            let order = wire::decode(bytes).map_err(io::Error::other)?;
            Ok(Given { order, fds })
        }
    }
}

fn send_with(to: impl AsFd, bytes: &[u8], flags: SendFlags) -> io::Result<()> {
    sendmsg(to, &[IoSlice::new(bytes)], &mut SendAncillaryBuffer::default(), flags)?;
    Ok(())
}

/// The socket as one that is polled instead of waited for.
fn polled(socket: OwnedFd) -> io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Host, port and reason of a refusal.
type Kind = (String, u16, String);

/// The engine's end, from when the gateway hears on.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Of packets, which this type does not mind: it is polled, and used by calls of our own.
    socket: UnixStream,
    places: Semaphore,
    /// What the socket did not take at once.
    outbox: RefCell<VecDeque<Vec<u8>>>,
    more: Notify,
    alike: RefCell<BTreeMap<Kind, (u64, Option<Ended>)>>,
    open: Cell<usize>,
    /// Places that were taken, and that the engine has not heard of.
    untold: Cell<u32>,
}

impl Ledger {
    /// To be made inside a tokio runtime.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: polled(socket)?,
            places: Semaphore::new(0),
            outbox: RefCell::default(),
            more: Notify::new(),
            alike: RefCell::default(),
            open: Cell::new(0),
            untold: Cell::new(0),
        })
    }

    /// Takes a place in the log.
    pub(crate) async fn place(&self) -> Result<(), NoRecord> {
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                self.send(&FromGateway::Waits);
                let acquired = timeout(PLACE_WITHIN, self.places.acquire()).await;
                acquired.map_err(|_| NoRecord)?.map_err(|_| NoRecord)?
            }
        };
        place.forget();
        self.open.set(self.open.get() + 1);
        self.untold.set(self.untold.get() + 1);
        // Whoever comes next waits where none is left: then at once.
        if self.untold.get() >= TOLD_TOGETHER || self.places.available_permits() == 0 {
            self.send(&FromGateway::Begun { count: self.untold.take() });
        }
        Ok(())
    }

    /// Fills a place.
    pub(crate) fn fill(&self, ended: Ended) {
        self.open.set(self.open.get().saturating_sub(1));
        self.send(&FromGateway::Ended(Box::new(ended)));
    }

    /// Whether a refusal is one of many alike, and counted instead of told.
    pub(crate) fn counted(&self, refused: &Ended) -> bool {
        let (Went::Denied { code } | Went::Failed { code }) = &refused.verdict else {
            return false;
        };
        let kind = (refused.host.clone(), refused.port, code.clone());
        let mut alike = self.alike.borrow_mut();
        let known = alike.len();
        let Some((seen, last)) = (match alike.get_mut(&kind) {
            Some(row) => Some(row),
            None if known < KINDS_MAX => Some(alike.entry(kind).or_insert((0, None))),
            None => None,
        }) else {
            return false;
        };
        *seen += 1;
        if *seen <= ALIKE_MAX {
            return false;
        }
        let times = *seen - ALIKE_MAX;
        *last = Some(Ended { times, ..refused.clone() });
        true
    }

    /// Tells what was counted.
    fn tell_counted(&self) {
        let rows = std::mem::take(&mut *self.alike.borrow_mut());
        for ended in rows.into_values().filter_map(|(_, last)| last) {
            self.send(&FromGateway::Ended(Box::new(ended)));
        }
    }

    fn send(&self, message: &FromGateway) {
        let bytes = wire::encode(message);
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() && self.send_at_once(&bytes).is_ok() {
            return;
        }
        outbox.push_back(bytes);
        drop(outbox);
        self.more.notify_one();
    }

    fn send_at_once(&self, bytes: &[u8]) -> io::Result<()> {
        send_with(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    /// Passes on what the socket did not take at once; comes back when the engine is gone.
    pub(crate) async fn deliver(&self) {
        loop {
            self.more.notified().await;
            if self.flush().await.is_err() {
                return;
            }
        }
    }

    async fn flush(&self) -> io::Result<()> {
        loop {
            let Some(bytes) = self.outbox.borrow().front().cloned() else { return Ok(()) };
            let sent = self.socket.async_io(Interest::WRITABLE, || {
                send_with(&self.socket, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            });
            sent.await?;
            self.outbox.borrow_mut().pop_front();
        }
    }

    /// Obeys the engine until it says that the workload is gone, or is gone itself. Then nothing more
    /// begins.
    pub(crate) async fn obey(&self) {
        loop {
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let given = self
                .socket
                .async_io(Interest::READABLE, || receive_with(&self.socket, flags))
                .await;
            match given.map(|given| given.order) {
                Ok(ToGateway::Room { places }) => {
                    let places = usize::try_from(places).unwrap_or(0);
                    self.places.add_permits(places.min(Semaphore::MAX_PERMITS / 2));
                }
                Ok(ToGateway::Finish) | Err(_) => break,
                // Given once, before.
                Ok(ToGateway::Egress { .. } | ToGateway::Sockets) => {}
            }
        }
        self.places.close();
    }

    /// The last words, after every connection has been dropped.
    pub(crate) async fn close(&self) {
        self.tell_counted();
        // The engine waits for the end of this; where it is gone, so is the log.
        drop(self.flush().await);
    }
}
