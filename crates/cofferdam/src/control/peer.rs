//! A connection to the control socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::speech::{ASKED_BYTES_MAX, Ask, Reply, line};

/// What is not read in time is not kept. Bytes.
const UNREAD_MAX: usize = 1 << 20;
/// How long one may take to ask.
const ASKS_WITHIN: Duration = Duration::from_secs(10);

/// Who asks, as the kernel says it (`unix(7)`, `SO_PEERCRED`).
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) number: u64,
    pub(super) uid: u32,
    fd: OwnedFd,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// Whether it hears of every change of the questions.
    pub(super) watches: bool,
    /// Waits for an answer that takes a while.
    pub(super) waits: bool,
    since: Instant,
    gone: bool,
}

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    Ask(Ask),
    /// Something that nobody understands.
    Noise,
}

impl Peer {
    pub(super) fn new(number: u64, uid: u32, fd: OwnedFd, now: Instant) -> Self {
        let (inbox, outbox) = (Vec::new(), Vec::new());
        Self {
            number,
            uid,
            fd,
            inbox,
            outbox,
            watches: false,
            waits: false,
            since: now,
            gone: false,
        }
    }

    /// What it is waited for. While nobody obeys it, it may say no more than a question has: waiting for
    /// what is not read would be no wait.
    pub(super) fn polled(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let out = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let room = self.inbox.len() <= ASKED_BYTES_MAX;
        let flags = out | if room { PollFlags::IN } else { PollFlags::empty() };
        (!flags.is_empty()).then(|| (self.fd.as_fd(), flags))
    }

    /// Until when it may be silent.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.watches && !self.waits).then(|| self.since + ASKS_WITHIN)
    }

    /// Whether nothing is left to do for it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.gone || self.due().is_some_and(|due| due <= now)
    }

    /// Reads what is there.
    pub(super) fn read(&mut self) {
        let mut bytes = [0_u8; 4096];
        while !self.gone && self.inbox.len() <= ASKED_BYTES_MAX {
            match recv(&self.fd, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.gone = true,
                Ok((length, _)) => self.inbox.extend(bytes.iter().take(length)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.gone = true,
            }
        }
    }

    /// The next whole line.
    pub(super) fn next(&mut self) -> Option<Came> {
        let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') else {
            return (self.inbox.len() > ASKED_BYTES_MAX).then_some(Came::Noise);
        };
        let line: Vec<u8> = self.inbox.drain(..=end).collect();
        Some(serde_json::from_slice(&line).map_or(Came::Noise, Came::Ask))
    }

    /// Says it, as far as it is taken at once; the rest with [`Self::write`].
    pub(super) fn say(&mut self, reply: &Reply, now: Instant) {
        (self.waits, self.since) = (false, now);
        self.outbox.extend(line(reply));
        self.gone |= self.outbox.len() > UNREAD_MAX;
        self.write();
    }

    pub(super) fn write(&mut self) {
        while !self.gone && !self.outbox.is_empty() {
            match send(&self.fd, &self.outbox, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => drop(self.outbox.drain(..length)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.gone = true,
            }
        }
    }

    /// It gets no further answer.
    pub(super) fn end(&mut self) {
        self.gone = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn nobody_waits_for_what_is_not_read() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut peer = Peer::new(1, 0, ours.into(), Instant::now());
        let flags = |peer: &Peer| peer.polled().map(|(_, flags)| flags);
        assert_eq!(flags(&peer), Some(PollFlags::IN), "it may ask");
        let line = [vec![b'x'; 999], vec![b'\n']].concat();
        let lines = ASKED_BYTES_MAX / 1_000 + 20;
        for _ in 0..lines {
            theirs.write_all(&line).unwrap();
        }
        peer.read();
        assert_eq!(flags(&peer), None, "it has said enough, and what more there is stays there");
        peer.outbox.push(b'x');
        assert_eq!(flags(&peer), Some(PollFlags::OUT), "it is still answered");
        peer.outbox.clear();
        let mut heard = 0;
        while let Some(came) = peer.next() {
            assert!(matches!(came, Came::Noise));
            heard += 1;
            if heard == lines {
                break;
            }
            if flags(&peer).is_some() {
                peer.read();
            }
        }
        assert_eq!(heard, lines, "nothing is lost");
        assert_eq!(flags(&peer), Some(PollFlags::IN), "and it may ask again");
    }
}
