//! Secrets from the person: piped, by a descriptor, or at a terminal that shows nothing of them.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use cofferdam_audit::system_words;
use cofferdam_gateway::vault::{
    SECRET_BYTES_MAX, Secret, SecretFault, VaultError, read_bounded, without_line_end,
};
use cofferdam_sandbox::Caller;
use cofferdam_sys::process::{SignalSet, set_blocked, signal_fd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The number of a descriptor with a passphrase.
const VARIABLE: &str = "COFFERDAM_VAULT_PASSPHRASE_FD";
/// Longest line of a terminal (`termios(3)`): it drops what is beyond, and says nothing.
const LINE_BYTES_MAX: usize = 4_095;
/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM`: they end the question, and the terminal is given back first.
const ENDING: [i32; 4] = [1, 2, 3, 15];
/// `SIGTSTP`, held back meanwhile: a shell shows what is typed after it.
const STOP: i32 = 20;

/// Why no secret was got from the person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// Two answers are not the same.
    #[error("the two answers are not the same")]
    Differ,
    /// The terminal was closed, or nothing was typed.
    #[error("nothing was typed")]
    Nothing,
    /// A line that the terminal may have cut.
    #[error("a terminal takes no line of more than 4095 bytes")]
    LineTooLong,
    /// The variable names no descriptor that can be read.
    #[error("{VARIABLE} is the number of no open descriptor from 3 on that can be read")]
    Descriptor,
    /// The system refused.
    #[error("cannot ask at the terminal")]
    Terminal(#[source] io::Error),
    /// A passphrase for a vault that is there already.
    #[error("there is a vault already, which a key opens")]
    HasKey,
    /// A passphrase does not become a key that lies beside the vault without being asked to.
    #[error("a passphrase opens the vault, and no key")]
    HasPassphrase,
    /// Other processes could read the secret in this one.
    #[error("cannot hide the memory of this process")]
    Readable(#[source] io::Error),
}

impl PromptError {
    /// Stable name for scripts. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Differ => "prompt-differs",
            Self::Nothing => "prompt-empty",
            Self::LineTooLong => "prompt-long",
            Self::Descriptor => "passphrase-fd",
            Self::Terminal(_) => "prompt-terminal",
            Self::HasKey => "vault-has-key",
            Self::HasPassphrase => "vault-has-passphrase",
            Self::Readable(_) => "memory-readable",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Differ | Self::Nothing => "nothing was changed; try again".into(),
            Self::LineTooLong => "pipe it: cofferdam vault set NAME < FILE".into(),
            Self::Descriptor => format!("open it in the shell: {VARIABLE}=3 ... 3< FILE"),
            Self::Terminal(source) => {
                format!("the system said: {}; or pipe it", system_words(source))
            }
            Self::HasKey => {
                "seal it to a passphrase: cofferdam vault rotate --key --passphrase".into()
            }
            Self::HasPassphrase => {
                "give it a new one: cofferdam vault rotate --key --passphrase".into()
            }
            Self::Readable(source) => format!("the system said: {}", system_words(source)),
        }
    }
}

/// Which of the passphrases is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phrase {
    /// The one that opens the vault: the first line of the descriptor.
    Opens,
    /// A new one: the last line.
    New,
}

/// A value: all of standard input, or asked for twice where that is a terminal.
pub(crate) fn value(name: &str) -> Result<Secret, crate::Refused> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return twice(&format!("value of {name}"));
    }
    // With a line end that is cut.
    let bytes = read_bounded(&stdin, SECRET_BYTES_MAX + 2)
        .map_err(|error| PromptError::Terminal(error.into()))?;
    Ok(Secret::of(without_line_end(&bytes)).map_err(VaultError::from)?)
}

/// A passphrase: from the terminal, or from the descriptor that the caller names.
pub(crate) fn passphrase(
    caller: &Caller,
    which: Phrase,
    locked: VaultError,
) -> Result<Secret, crate::Refused> {
    if let Some(number) = caller.variable(VARIABLE) {
        return Ok(from_descriptor(number.to_str().unwrap_or_default(), which)?);
    }
    if !io::stdin().is_terminal() {
        return Err(locked.into());
    }
    match which {
        Phrase::Opens => once("passphrase of the vault"),
        Phrase::New => twice("new passphrase of the vault"),
    }
}

fn from_descriptor(number: &str, which: Phrase) -> Result<Secret, PromptError> {
    let number: u32 = number.parse().map_err(|_| PromptError::Descriptor)?;
    if number < 3 {
        return Err(PromptError::Descriptor);
    }
    let file =
        File::open(format!("/proc/self/fd/{number}")).map_err(|_| PromptError::Descriptor)?;
    let bytes = read_bounded(&file, SECRET_BYTES_MAX).map_err(|_| PromptError::Descriptor)?;
    let mut lines = without_line_end(&bytes).split(|byte| *byte == b'\n');
    let line = match which {
        Phrase::Opens => lines.next(),
        Phrase::New => lines.next_back(),
    };
    let line = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Secret::of(line.unwrap_or_default()).map_err(|_| PromptError::Descriptor)
}

fn twice(what: &str) -> Result<Secret, crate::Refused> {
    let first = once(what)?;
    let second = once(&format!("{what}, once more"))?;
    if first.expose() == second.expose() { Ok(first) } else { Err(PromptError::Differ.into()) }
}

fn once(what: &str) -> Result<Secret, crate::Refused> {
    let stdin = io::stdin();
    let line = Quiet::line(stdin.as_fd(), &format!("cofferdam: {what}: "))?;
    match Secret::of(&line) {
        Ok(secret) => Ok(secret),
        Err(SecretFault::Empty) => Err(PromptError::Nothing.into()),
        Err(fault) => Err(VaultError::from(fault).into()),
    }
}

/// A terminal that shows nothing of what is typed, until it is dropped.
struct Quiet<'a> {
    fd: BorrowedFd<'a>,
    found: Termios,
    blocked: SignalSet,
}

impl<'a> Quiet<'a> {
    /// Asks, and reads one line without its end.
    fn line(
        fd: BorrowedFd<'a>,
        question: &str,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, PromptError> {
        let ending = ENDING.into_iter().fold(SignalSet::empty(), SignalSet::with);
        let signals = signal_fd(&ending).map_err(PromptError::Terminal)?;
        let blocked = set_blocked(&ending.with(STOP)).map_err(PromptError::Terminal)?;
        let found = tcgetattr(fd).map_err(|error| PromptError::Terminal(error.into()))?;
        let mut settings = found.clone();
        settings.local_modes.remove(LocalModes::ECHO);
        settings.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
        let quiet = Self { fd, found, blocked };
        // What was typed before the question is no answer.
        tcsetattr(fd, OptionalActions::Flush, &settings)
            .map_err(|error| PromptError::Terminal(error.into()))?;
        ask(question);
        let mut line = zeroize::Zeroizing::new(vec![0; LINE_BYTES_MAX + 1]);
        let mut length = 0;
        loop {
            let mut both =
                [PollFd::new(&quiet.fd, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
            match poll(&mut both, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(PromptError::Terminal(error.into())),
            }
            let [typed, signal] = &both;
            if !signal.revents().is_empty() {
                // It ends this process as soon as it is let through.
                return Err(PromptError::Nothing);
            }
            if typed.revents().is_empty() {
                continue;
            }
            let room = line.get_mut(length..).unwrap_or_default();
            match read(quiet.fd, room) {
                Ok(0) => return Err(PromptError::Nothing),
                Ok(more) => length += more,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(PromptError::Terminal(error.into())),
            }
            let so_far = line.get(..length).unwrap_or_default();
            if let Some(end) = so_far.iter().position(|byte| *byte == b'\n') {
                if end >= LINE_BYTES_MAX {
                    return Err(PromptError::LineTooLong);
                }
                line.truncate(end);
                return Ok(line);
            }
            if length > LINE_BYTES_MAX {
                return Err(PromptError::LineTooLong);
            }
        }
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        tcsetattr(self.fd, OptionalActions::Flush, &self.found).unwrap_or(());
        drop(set_blocked(&self.blocked));
    }
}

/// On the terminal itself: standard error may lead elsewhere.
fn ask(question: &str) {
    let terminal = File::options().write(true).open("/dev/tty");
    let asked = terminal.and_then(|mut terminal| terminal.write_all(question.as_bytes()));
    if asked.is_err() {
        // Who hears nothing is not asked; the answer is read all the same.
        io::stderr().write_all(question.as_bytes()).unwrap_or(());
    }
}
