//! The sandbox's own terminal: made inside, and its other end handed to the engine.
//!
//! Init leads the terminal's session and the workload a group of its own in it: a group whose parent
//! is in the same session is not orphaned, so that Ctrl-Z stops it (`setpgid(2)`, `credentials(7)`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cofferdam_plan::message::Report;
use cofferdam_plan::plan::{Carrier, Streams};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, Signal, getpid, ioctl_tiocsctty, setpgid, setsid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::tcsetpgrp;

use crate::control::Control;
use crate::{Doing, Failed};

/// The end that the workload uses.
#[derive(Debug)]
pub(crate) struct Terminal(OwnedFd);

impl Terminal {
    /// Makes a terminal in the instance that `multiplexer` is of, and sends its other end away.
    pub(crate) fn make(control: &Control, multiplexer: &str) -> Result<Self, Failed> {
        let doing = "make the sandbox's terminal";
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let other = openat(CWD, multiplexer, flags, Mode::empty()).doing(doing)?;
        unlockpt(&other).doing(doing)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let own = ioctl_tiocgptpeer(&other, flags).doing(doing)?;
        control.send_along(&Report::Terminal, &[other.as_fd()]).doing("hand the terminal over")?;
        Ok(Self(own))
    }

    /// Makes this process the leader of the terminal's session.
    pub(crate) fn lead(&self) -> Result<(), Failed> {
        let led = || -> io::Result<()> {
            setsid()?;
            Ok(ioctl_tiocsctty(&self.0)?)
        };
        led().doing("lead the terminal's session")
    }

    /// Gives this process a group of its own: the one that the terminal hears, where its output is
    /// on the terminal. Others write and read there otherwise, and the group asks for it first
    /// (`SIGTTIN`). `SIGTTOU` must be blocked.
    pub(crate) fn join(&self, streams: Streams) -> Result<(), Failed> {
        let joined = || -> io::Result<()> {
            setpgid(None, None)?;
            match streams.output {
                Carrier::Terminal => Ok(tcsetpgrp(&self.0, getpid())?),
                Carrier::Pipe => Ok(()),
            }
        };
        joined().doing("take the terminal")
    }

    /// Lets the workload's group, `group`, hear the terminal, and go on. Init is in a group of its own,
    /// which `SIGTTOU`, being blocked, does not keep from it.
    pub(crate) fn hand_to(&self, group: Pid) {
        // The group may have ended a moment ago.
        if tcsetpgrp(&self.0, group).is_ok() {
            rustix::process::kill_process_group(group, Signal::CONT).unwrap_or(());
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Another descriptor of it, for one of the streams.
    pub(crate) fn stream(&self) -> Result<OwnedFd, Failed> {
        self.0.try_clone().doing("connect a stream to the terminal")
    }
}
