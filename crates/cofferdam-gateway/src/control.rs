//! The socketpair with the engine: what it gives, and what it is told.
//!
//! No record, no action: a connection begins once it has a place in the log, which the engine gave
//! because the log has room, and ends in exactly one event.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use cofferdam_plan::message::{Ended, FromGateway, SOCKETS_MAX, ToGateway, Went};
use cofferdam_plan::wire::{self, Wire};
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
/// The gateway's part of a plan is far smaller. Bytes.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// How long a connection waits for a place in the log: the engine gives one within a millisecond, or
/// the log is full.
const PLACE_WITHIN: Duration = Duration::from_secs(1);
/// So many connections begin before the engine is told: half of what it gives first. Each message wakes
/// it, and its answer the gateway.
const TOLD_TOGETHER: u32 = 16;
/// From this many refusals of one kind on they are counted, and told at the end: a program that asks
/// again and again fills no log.
const ALIKE_MAX: u64 = 20;
/// Kinds of refusals that are counted apart; those beyond it are counted by their reason alone.
const KINDS_MAX: usize = 4_096;
/// Refusals that are told one by one, of all kinds: a program that asks for a new name each time
/// fills no log either.
const TOLD_MAX: u64 = 10_000;

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

/// The value that came along in a sealed memfd.
pub(crate) fn written<T: Wire>(memory: Option<OwnedFd>) -> io::Result<T> {
    let memory = memory.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = Vec::new();
    File::from(memory).take(MEMORY_BYTES_MAX).read_to_end(&mut bytes)?;
    wire::decode(&bytes).map_err(io::Error::other)
}

/// Says something before there is anything else to do.
pub(crate) fn say(to: &OwnedFd, message: &FromGateway) -> io::Result<()> {
    send_with(to, &wire::encode(message), SendFlags::NOSIGNAL)
}

fn receive_with(from: impl AsFd, flags: RecvFlags) -> io::Result<Given> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
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

/// Of which kind a refusal is; `None` where it is none.
fn kind(refused: &Ended) -> Option<Kind> {
    match &refused.verdict {
        Went::Denied { code } | Went::Failed { code } => {
            Some((refused.host.clone(), refused.port, code.clone()))
        }
        Went::Allowed => None,
    }
}

/// The last of its kind stands for those before it.
fn one_more(last: &mut Option<Ended>, refused: &Ended) {
    let before = last.as_ref().map_or(0, |last| last.times);
    *last = Some(Ended { times: before.saturating_add(1), ..refused.clone() });
}

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
    told: Cell<u64>,
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
            told: Cell::new(0),
            untold: Cell::new(0),
        })
    }

    /// Takes a place in the log.
    pub(crate) async fn place(&self) -> Result<(), NoRecord> {
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                // Where it is not taken at once, there is something else for the engine to hear.
                drop(self.send_at_once(&wire::encode(&FromGateway::Waits)));
                let acquired = timeout(PLACE_WITHIN, self.places.acquire()).await;
                acquired.map_err(|_| NoRecord)?.map_err(|_| NoRecord)?
            }
        };
        place.forget();
        self.untold.set(self.untold.get() + 1);
        // Whoever comes next waits where none is left: then at once.
        if self.untold.get() >= TOLD_TOGETHER || self.places.available_permits() == 0 {
            self.send(&FromGateway::Begun { count: self.untold.take() });
        }
        Ok(())
    }

    /// Fills a place.
    pub(crate) fn fill(&self, ended: Ended) {
        self.send(&FromGateway::Ended(Box::new(ended)));
    }

    /// Whether a refusal is one of many, and counted instead of told.
    pub(crate) fn counted(&self, refused: &Ended) -> bool {
        let Some(kind) = kind(refused) else { return false };
        let mut alike = self.alike.borrow_mut();
        let known = alike.len();
        let row = match alike.get_mut(&kind) {
            Some(row) => Some(row),
            None if known < KINDS_MAX => Some(alike.entry(kind).or_insert((0, None))),
            None => None,
        };
        match row {
            Some((seen, _)) if *seen < ALIKE_MAX && self.told.get() < TOLD_MAX => {
                *seen += 1;
                self.told.set(self.told.get() + 1);
                return false;
            }
            Some((_, last)) => one_more(last, refused),
            None => {
                drop(alike);
                self.count(refused);
            }
        }
        true
    }

    /// Counts a refusal that cannot be told: it found no place, or no time, or no kind of its own.
    pub(crate) fn count(&self, refused: &Ended) {
        let Some(kind) = kind(refused) else { return };
        let mut alike = self.alike.borrow_mut();
        if alike.len() < KINDS_MAX || alike.contains_key(&kind) {
            let (_, last) = alike.entry(kind).or_insert((0, None));
            return one_more(last, refused);
        }
        let (_, _, code) = kind;
        let (_, last) = alike.entry((String::new(), 0, code)).or_insert((ALIKE_MAX, None));
        let (host, fix) = (String::new(), String::new());
        one_more(last, &Ended { host, port: 0, fix, ..refused.clone() });
    }

    /// Tells what was counted.
    fn tell_counted(&self) {
        let rows = std::mem::take(&mut *self.alike.borrow_mut());
        for ended in rows.into_values().filter_map(|(_, last)| last) {
            self.send(&FromGateway::Counted(Box::new(ended)));
        }
    }

    /// Says something, after everything that was said before.
    pub(crate) fn send(&self, message: &FromGateway) {
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
    /// begins. What is not the ledger's own to do, `other` does.
    pub(crate) async fn obey(&self, other: impl Fn(ToGateway, Vec<OwnedFd>)) {
        loop {
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let given = self
                .socket
                .async_io(Interest::READABLE, || receive_with(&self.socket, flags))
                .await;
            match given.map(|given| (given.order, given.fds)) {
                Ok((ToGateway::Room { places }, _)) => {
                    let places = usize::try_from(places).unwrap_or(0);
                    self.places.add_permits(places.min(Semaphore::MAX_PERMITS / 2));
                }
                Ok((ToGateway::Finish, _)) | Err(_) => break,
                // Given once, before.
                Ok((ToGateway::Egress { .. } | ToGateway::Sockets | ToGateway::Agent, _)) => {}
                Ok((
                    order @ (ToGateway::Rules { .. }
                    | ToGateway::Answer { .. }
                    | ToGateway::Revoke { .. }
                    | ToGateway::Rotate { .. }),
                    fds,
                )) => other(order, fds),
            }
        }
        self.places.close();
    }

    /// The last words, after every connection has been dropped.
    pub(crate) async fn close(&self) {
        if self.untold.get() > 0 {
            self.send(&FromGateway::Begun { count: self.untold.take() });
        }
        self.tell_counted();
        // The engine waits for the end of this; where it is gone, so is the log.
        drop(self.flush().await);
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_plan::message::Way;
    use cofferdam_policy::model::Clause;

    use super::*;

    fn refused(host: &str) -> Ended {
        Ended {
            way: Way::Lookup,
            host: host.into(),
            port: 0,
            protocol: None,
            address: None,
            clause: Clause::built_in("network"),
            verdict: Went::Denied { code: "host-not-allowed".into() },
            why: "no rule allows this host".into(),
            fix: format!("--allow {host}"),
            sent: 0,
            received: 0,
            duration_ms: 0,
            times: 1,
            request: None,
        }
    }

    /// What the ledger would tell at its end: host and how often.
    fn rows(ledger: &Ledger) -> BTreeMap<String, u64> {
        let alike = std::mem::take(&mut *ledger.alike.borrow_mut());
        let last = alike.into_values().filter_map(|(_, last)| last);
        last.map(|ended| (ended.host, ended.times)).collect()
    }

    fn with_ledger(test: impl FnOnce(&Ledger)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        test(&Ledger::new(ours.into()).unwrap());
    }

    #[test]
    fn every_refusal_is_told_or_counted_and_few_are_told() {
        for (hosts, each) in [(1, 100_u64), (1_000, 30), (20_000, 2)] {
            with_ledger(|ledger| {
                let mut told = 0;
                for host in 0..hosts {
                    for _ in 0..each {
                        told += u64::from(!ledger.counted(&refused(&format!("n{host}.test"))));
                    }
                }
                assert!(told > 0 && told <= TOLD_MAX, "{hosts} hosts: {told} told");
                let rows = rows(ledger);
                assert!(rows.len() <= KINDS_MAX + 1, "{hosts} hosts: {} rows", rows.len());
                assert_eq!(told + rows.values().sum::<u64>(), hosts * each, "{hosts} hosts");
            });
        }
    }

    #[test]
    fn what_found_no_place_is_counted() {
        with_ledger(|ledger| {
            assert!(!ledger.counted(&refused("a.test")), "the first is told");
            ledger.count(&refused("a.test"));
            ledger.count(&refused("a.test"));
            ledger.count(&refused("never-met.test"));
            let want = [("a.test".to_owned(), 2), ("never-met.test".to_owned(), 1)];
            assert_eq!(rows(ledger), BTreeMap::from(want));
        });
    }
}
