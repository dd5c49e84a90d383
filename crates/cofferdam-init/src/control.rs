//! The socketpair with the engine: one message a packet (`unix(7)`, `SOCK_SEQPACKET`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cofferdam_plan::message::{Order, Report, SOCKETS_MAX};
use cofferdam_plan::wire;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};

/// An order is a few bytes.
const ORDER_BYTES_MAX: usize = 64;

/// This end of the socketpair: descriptor 1.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

/// What the engine hands over: the plan, and a pipe for each stream that is no terminal, in order.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) plan: OwnedFd,
    pub(crate) pipes: Vec<OwnedFd>,
}

impl Control {
    /// Takes the socket that the engine put on descriptor 1, as a copy that no `exec` inherits.
    pub(crate) fn from_stdout() -> Self {
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(fd) => Self(fd),
            // Not started by the engine, and nobody to tell.
            Err(_) => cofferdam_sys::process::exit_now(125),
        }
    }

    /// Another descriptor of the same socket.
    pub(crate) fn share(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn send(&self, report: &Report) -> io::Result<()> {
        self.send_with(report, SendFlags::NOSIGNAL)
    }

    /// Sends descriptors with a report, at most [`SOCKETS_MAX`].
    pub(crate) fn send_along(&self, report: &Report, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = wire::encode(report);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Sends, or fails where that would have to wait.
    pub(crate) fn send_at_once(&self, report: &Report) -> io::Result<()> {
        self.send_with(report, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_with(&self, report: &Report, flags: SendFlags) -> io::Result<()> {
        let bytes = wire::encode(report);
        let mut none = SendAncillaryBuffer::default();
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut none, flags)?;
        Ok(())
    }

    /// The next order; `None` when the engine is gone.
    pub(crate) fn receive(&self) -> io::Result<Option<Order>> {
        let mut bytes = [0_u8; ORDER_BYTES_MAX];
        let length = loop {
            match recv(&self.0, &mut bytes[..], RecvFlags::empty()) {
                Ok((length, _)) => break length,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        match bytes.get(..length) {
            None | Some([]) => Ok(None),
            Some(bytes) => wire::decode(bytes).map(Some).map_err(io::Error::other),
        }
    }

    /// The plan and the streams' pipes, which come with the first packet (`SCM_RIGHTS`).
    pub(crate) fn receive_given(&self) -> io::Result<Given> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0_u8; 1];
        recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let Some(RecvAncillaryMessage::ScmRights(mut fds)) = ancillary.drain().next() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let plan = fds.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Given { plan, pipes: fds.collect() })
    }
}
