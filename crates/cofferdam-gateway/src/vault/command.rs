//! Programs that say a secret: no shell, no terminal, nothing to read, and an end.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use zeroize::Zeroizing;

use super::error::{CommandFault, VaultError};

/// Where programs of programs are found.
const PATH: &str = "/usr/bin:/bin";

/// A program on its way. Where it is given up its whole process group ends.
struct Running {
    child: Child,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Not waited for yet, so the number is still its own.
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process_group(group, Signal::KILL).unwrap_or(());
        }
        drop(self.child.wait());
    }
}

/// What a program says on its standard output: at most `bytes_max` bytes, within `within`, and with status
/// 0. Its environment is `surroundings` and a short `PATH`.
pub(super) fn said(
    words: &[impl AsRef<OsStr>],
    surroundings: &[(OsString, OsString)],
    (bytes_max, within): (usize, Duration),
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let path = words.first().map(|word| PathBuf::from(word.as_ref())).unwrap_or_default();
    let failed = |fault| VaultError::Command { program: path.clone(), fault };
    if !path.is_absolute() {
        return Err(failed(CommandFault::NotAbsolute));
    }
    let until = Instant::now() + within;
    let mut running =
        start(&path, words, surroundings).map_err(|error| failed(CommandFault::Start(error)))?;
    let system = |error: Errno| failed(CommandFault::Start(error.into()));
    let Some(stdout) = running.child.stdout.take().map(OwnedFd::from) else {
        return Err(failed(CommandFault::TimedOut));
    };
    let mut bytes = Zeroizing::new(vec![0; bytes_max + 1]);
    let mut length = 0;
    loop {
        if !ready(&stdout, until).map_err(system)? {
            return Err(failed(CommandFault::TimedOut));
        }
        let room = bytes.get_mut(length..).unwrap_or_default();
        if room.is_empty() {
            return Err(VaultError::TooLarge { path });
        }
        match read(&stdout, room) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(system(error)),
        }
    }
    match ended(&mut running, until).map_err(system)? {
        Some(status) if status.success() && length <= bytes_max => {
            bytes.truncate(length);
            Ok(bytes)
        }
        Some(status) if status.success() => Err(VaultError::TooLarge { path }),
        Some(status) => Err(failed(CommandFault::Status(status.code()))),
        None => Err(failed(CommandFault::TimedOut)),
    }
}

fn start(
    path: &Path,
    words: &[impl AsRef<OsStr>],
    surroundings: &[(OsString, OsString)],
) -> std::io::Result<Running> {
    #[expect(clippy::disallowed_methods, reason = "a secret's own program, which the policy names")]
    let child = Command::new(path)
        .args(words.iter().skip(1))
        .env_clear()
        .envs(surroundings.iter().map(|(name, value)| (name, value)))
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Programs say there what they were given, and why it does not work.
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(Running { child, ended: false })
}

/// Waits until there is something to read, or until it is too late.
fn ready(fd: impl AsFd, until: Instant) -> Result<bool, Errno> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How it ended; `None` where it does not.
fn ended(running: &mut Running, until: Instant) -> Result<Option<ExitStatus>, Errno> {
    let pid = Pid::from_raw(running.child.id().cast_signed()).ok_or(Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    if !ready(&process, until)? {
        return Ok(None);
    }
    let status = running.child.wait().map_err(|_| Errno::CHILD)?;
    running.ended = true;
    Ok(Some(status))
}
