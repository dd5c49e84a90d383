//! The process that writes what the gateway learns while it runs: tokens that were exchanged for new ones.
//!
//! The gateway opens no file once it is confined. So it starts this process before, which has the vault
//! and nothing else, and tells it names and values over one socket. Each message is whole or not there
//! (`SOCK_SEQPACKET`), and has one answer.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use cofferdam_sys::question;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use zeroize::Zeroizing;

use super::error::VaultError;
use super::folder::{Absent, Folder};
use super::secret::{SECRET_BYTES_MAX, Secret};
use super::{Name, Vault};
use crate::confine;

/// The first word of a process that writes.
pub(crate) const WORD: &str = "vault-writer";
/// Longest message: its kind, a length, a name and a secret. Bytes.
const MESSAGE_BYTES_MAX: usize = 2 + 64 + SECRET_BYTES_MAX;
/// Longest answer: a name, and a code. Bytes.
const ANSWER_BYTES_MAX: usize = 256;
/// Kinds of messages: where the vault is, what opens it, a secret, and changes of one.
const PLACE: u8 = b'v';
const PASSPHRASE: u8 = b'p';
const STORE: u8 = b's';
const CHANGE: u8 = b'c';

/// A process that writes into a vault.
#[derive(Debug)]
pub struct Writer {
    socket: OwnedFd,
    /// Waited for when nobody writes any more.
    child: Child,
}

/// A part of a secret, and what it is from here on.
#[derive(Debug)]
pub struct Change {
    /// The way to it in a JSON object; empty: all of it.
    pub member: Vec<String>,
    /// Its value.
    pub secret: Secret,
}

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of this name.
    pub name: String,
    /// The code of the error where it was not stored ([`VaultError::code`]).
    pub fault: Option<String>,
}

/// Starts a process that writes into `vault`: the program of this process anew, with nothing of its
/// environment. To be called before this process confines itself.
///
/// # Errors
/// It cannot be started.
pub fn spawn(vault: &Vault, passphrase: Option<&Secret>) -> io::Result<Writer> {
    spawn_program(Path::new("/proc/self/exe"), vault, passphrase)
}

/// The same by `program`, which is a gateway of this build.
///
/// # Errors
/// It cannot be started.
pub fn spawn_program(
    program: &Path,
    vault: &Vault,
    passphrase: Option<&Secret>,
) -> io::Result<Writer> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let (socket, theirs) = pair?;
    #[expect(clippy::disallowed_methods, reason = "this program itself, before it is confined")]
    let child = Command::new(program)
        .arg(WORD)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let writer = Writer { socket, child };
    writer.say(&[&[PLACE], vault.folder().as_os_str().as_bytes()])?;
    if let Some(words) = passphrase {
        writer.say(&[&[PASSPHRASE], words.expose()])?;
    }
    Ok(writer)
}

impl Writer {
    /// Hands a value over. Never waits.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]: once more, when [`Writer::as_fd`] can be written to. Everything
    /// else: the process is gone.
    pub fn store(&self, name: &Name, secret: &Secret) -> io::Result<()> {
        let letters = u8::try_from(name.as_str().len()).map_err(io::Error::other)?;
        self.say(&[&[STORE, letters], name.as_str().as_bytes(), secret.expose()])
    }

    /// Hands changes of one secret over, which are made at once. Never waits.
    ///
    /// # Errors
    /// As of [`Writer::store`]; they are too long.
    pub fn change(&self, name: &Name, changes: &[Change]) -> io::Result<()> {
        let letters = u8::try_from(name.as_str().len()).map_err(io::Error::other)?;
        let mut pieces = Zeroizing::new(Vec::with_capacity(MESSAGE_BYTES_MAX));
        for Change { member, secret } in changes {
            let way = member.join("\0");
            for bytes in [way.as_bytes(), secret.expose()] {
                let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                pieces.extend_from_slice(&length.to_be_bytes());
                pieces.extend_from_slice(bytes);
            }
        }
        self.say(&[&[CHANGE, letters], name.as_str().as_bytes(), &pieces])
    }

    /// The next answer; `None` where there is none yet. Answers come in the order of the values. Never
    /// waits.
    ///
    /// # Errors
    /// The process is gone.
    pub fn answer(&self) -> io::Result<Option<Answer>> {
        let mut bytes = [0; ANSWER_BYTES_MAX];
        let length = loop {
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((length, _)) => break length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        let text = std::str::from_utf8(bytes.get(..length).unwrap_or_default());
        let words = text.ok().and_then(|text| text.split_once('\0'));
        let (name, code) = words.ok_or(io::ErrorKind::InvalidData)?;
        let fault = (!code.is_empty()).then(|| code.to_owned());
        Ok(Some(Answer { name: name.to_owned(), fault }))
    }

    /// Hears no more, and waits until all that was handed over is stored.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(self) -> io::Result<()> {
        let Self { socket, mut child } = self;
        drop(socket);
        child.wait().map(drop)
    }

    fn say(&self, pieces: &[&[u8]]) -> io::Result<()> {
        let mut message = Zeroizing::new(Vec::with_capacity(MESSAGE_BYTES_MAX));
        for piece in pieces {
            message.extend_from_slice(piece);
        }
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        say(&self.socket, &message)
    }
}

/// Says something to a process that this one has started. Never waits.
pub(super) fn say(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match send(socket, message, flags) {
            Err(Errno::INTR) => {}
            answer => return answer.map(drop).map_err(io::Error::from),
        }
    }
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What is said to the process.
#[derive(Debug)]
enum Told {
    Place(PathBuf),
    Passphrase(Secret),
    Store(Name, Secret),
    Change(Name, Vec<Change>),
}

fn told(message: &[u8]) -> Option<Told> {
    let (kind, rest) = message.split_first()?;
    match *kind {
        PLACE => {
            let path = PathBuf::from(OsString::from_vec(rest.to_vec()));
            path.is_absolute().then_some(Told::Place(path))
        }
        PASSPHRASE => Secret::of(rest).ok().map(Told::Passphrase),
        STORE => {
            let (letters, rest) = rest.split_first()?;
            let (name, value) = rest.split_at_checked(usize::from(*letters))?;
            let name = Name::parse(std::str::from_utf8(name).ok()?).ok()?;
            Some(Told::Store(name, Secret::of(value).ok()?))
        }
        CHANGE => {
            let (letters, rest) = rest.split_first()?;
            let (name, mut rest) = rest.split_at_checked(usize::from(*letters))?;
            let name = Name::parse(std::str::from_utf8(name).ok()?).ok()?;
            let mut changes = Vec::new();
            while !rest.is_empty() {
                let (way, after) = piece(rest)?;
                let (value, after) = piece(after)?;
                let way = std::str::from_utf8(way).ok()?;
                let member = way.split('\0').filter(|_| !way.is_empty()).map(str::to_owned);
                let secret = Secret::of(value).ok()?;
                changes.push(Change { member: member.collect(), secret });
                rest = after;
            }
            Some(Told::Change(name, changes))
        }
        _ => None,
    }
}

/// Bytes with their length before them, and what follows.
fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// The whole of a process that writes: hears messages on standard input until their end, and stores each.
/// A message that is none ends it: whoever speaks is no gateway of this build.
pub(crate) fn main() -> ExitCode {
    let stdin = io::stdin();
    match confine::unreadable().and_then(|()| serve(stdin.as_fd())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(125),
    }
}

fn serve(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut vault = None;
    let mut passphrase = None;
    let mut bytes = Zeroizing::new(vec![0; MESSAGE_BYTES_MAX + 1]);
    loop {
        let length = match recv(socket, bytes.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) => return Ok(()),
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let message = bytes.get(..length).filter(|message| message.len() <= MESSAGE_BYTES_MAX);
        match (message.and_then(told), &vault) {
            (Some(Told::Place(path)), None) => {
                confine_to(&path)?;
                vault = Some(Vault::at(path));
            }
            (Some(Told::Passphrase(words)), Some(_)) => passphrase = Some(words),
            (Some(told @ (Told::Store(..) | Told::Change(..))), Some(vault)) => {
                let (name, stored) = match told {
                    Told::Change(name, changes) => {
                        let stored = vault.alter(&name, &changes, passphrase.as_ref());
                        (name, stored)
                    }
                    Told::Store(name, secret) => {
                        let stored = vault.set(&name, &secret, passphrase.as_ref()).map(drop);
                        (name, stored)
                    }
                    Told::Place(_) | Told::Passphrase(_) => {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                };
                let code = stored.as_ref().err().map_or("", VaultError::code);
                let answer = format!("{}\0{code}", name.as_str());
                // Who does not read answers does not want them.
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                match send(socket, answer.as_bytes(), flags) {
                    Ok(_) | Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// From here on no file outside of the vault's directory, no network and no program.
fn confine_to(folder: &Path) -> io::Result<()> {
    let folder = Folder::open(folder, Absent::Make).map_err(io::Error::other)?;
    let folder = folder.ok_or(io::ErrorKind::NotFound)?;
    confine::confine_to(folder.as_fd(), question::landlock_abi())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::tests::{Place, name, secret};
    use super::*;

    #[test]
    fn what_is_said_is_whole_or_nothing() {
        let longest = [&[STORE, 64][..], &[b'n'; 64], &vec![b'x'; SECRET_BYTES_MAX]].concat();
        let shown = |told: Option<Told>| match told {
            None => "none".to_owned(),
            Some(Told::Place(path)) => format!("place {}", path.display()),
            Some(Told::Passphrase(words)) => format!("words of {} bytes", words.expose().len()),
            Some(Told::Store(name, secret)) => {
                format!("{} of {} bytes", name.as_str(), secret.expose().len())
            }
            Some(Told::Change(name, changes)) => {
                let shown = changes
                    .iter()
                    .map(|one| format!(" {}={}", one.member.join("/"), one.secret.expose().len()));
                format!("{}:{}", name.as_str(), shown.collect::<String>())
            }
        };
        for (message, want, why) in [
            (&b"v/a/b"[..], "place /a/b", "where it is"),
            (b"va/b", "none", "no absolute path"),
            (b"pwords", "words of 5 bytes", "what opens it"),
            (b"p", "none", "nothing opens it"),
            (b"s\x01ax", "a of 1 bytes", "a secret"),
            (b"s\x01a", "none", "no secret"),
            (b"s\x02a", "none", "a name that is cut"),
            (b"s\x00x", "none", "no name"),
            (b"s\x01Ax", "none", "no name"),
            (b"s\x01ax\0", "none", "a control byte"),
            (b"s", "none", "its kind alone"),
            (b"c\x01a\0\0\0\x03b\0c\0\0\0\x02xy", "a: b/c=2", "a part of one"),
            (b"c\x01a\0\0\0\0\0\0\0\x01x\0\0\0\x01b\0\0\0\x01y", "a: =1 b=1", "two changes"),
            (b"c\x01a\0\0\0\x01b", "none", "no value"),
            (b"c\x01a\0\0\0\x01b\0\0\0\x02x", "none", "a value that is cut"),
            (b"x", "none", "another kind"),
            (b"", "none", "nothing"),
        ] {
            assert_eq!(shown(told(message)), want, "{why}");
        }
        assert_eq!(longest.len(), MESSAGE_BYTES_MAX);
        assert_eq!(shown(told(&longest)), format!("{} of 65536 bytes", "n".repeat(64)));
    }

    #[test]
    fn values_are_stored_in_their_order() {
        let place = Place::new();
        let vault = place.vault();
        vault.set(&name("a"), &secret("one"), None).unwrap();
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.unwrap();
        // In a thread of its own: the layer of Landlock is the thread's.
        let served = thread::spawn(move || serve(theirs.as_fd()).map_err(|error| error.kind()));
        let say = |message: &[u8]| send(&ours, message, SendFlags::empty()).unwrap();
        say(&[b"v", vault.folder().as_os_str().as_bytes()].concat());
        let mut answers = Vec::new();
        for message in [&b"s\x01atwo"[..], b"s\x01bthree"] {
            say(message);
            let mut bytes = [0; ANSWER_BYTES_MAX];
            let (length, _) = recv(&ours, &mut bytes, RecvFlags::empty()).unwrap();
            answers.push(bytes[..length].to_vec());
        }
        assert_eq!(answers, [b"a\0".to_vec(), b"b\0".to_vec()]);
        say(b"s\x01Cx");
        assert_eq!(served.join().unwrap(), Err(io::ErrorKind::InvalidData), "no name: it ends");
        let opened = vault.open(None).unwrap();
        assert_eq!(opened.secret(&name("a")).unwrap().expose(), b"two");
        assert_eq!(opened.secret(&name("b")).unwrap().expose(), b"three");
    }

    #[test]
    fn nothing_is_stored_before_the_place_is_known() {
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.unwrap();
        send(&ours, b"s\x01ax", SendFlags::empty()).unwrap();
        assert_eq!(serve(theirs.as_fd()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(ours);
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.unwrap();
        drop(ours);
        assert!(serve(theirs.as_fd()).is_ok(), "the end is no fault");
    }
}
