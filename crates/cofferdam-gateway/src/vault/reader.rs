//! A process that reads secrets anew while a session runs: the gateway opens no file by then.
//!
//! It is started before the gateway confines itself, with the list of sources that the policy names, and
//! reads those alone, each when its name is said.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};

use cofferdam_plan::message::Lent;
use cofferdam_plan::wire;
use cofferdam_policy::credentials::Credential;
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use zeroize::Zeroizing;

use super::secret::{SECRET_BYTES_MAX, Secret, read_bounded};
use super::source::Sources;
use super::writer::say;
use super::{Vault, VaultError};
use crate::confine;
use crate::credentials::phrase;

/// What a process is started with that reads.
pub(crate) const WORD: &str = "secret-reader";
/// Longest list of sources. Bytes.
const LIST_BYTES_MAX: usize = 4 << 20;
/// Longest question: a name. Bytes.
const QUESTION_BYTES_MAX: usize = 64;
/// First byte of an answer: a secret follows, or the code of an error.
const SECRET: u8 = b's';
const FAULT: u8 = b'f';

/// A process that reads.
#[derive(Debug)]
pub struct Reader {
    socket: OwnedFd,
    child: Child,
}

/// Starts it: the program of this process anew, with nothing of its environment.
///
/// # Errors
/// It cannot be started.
pub fn spawn(credentials: &[Credential], lent: &Lent) -> io::Result<Reader> {
    let flags = SocketFlags::CLOEXEC;
    let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let mut list = File::from(memfd_create("sources", MemfdFlags::CLOEXEC)?);
    // What is in a variable cannot become another: its value is not passed on once more.
    let lent = Lent { secrets: Vec::new(), ..lent.clone() };
    list.write_all(&wire::encode(&(credentials.to_vec(), lent)))?;
    seek(&list, SeekFrom::Start(0))?;
    #[expect(clippy::disallowed_methods, reason = "this program itself, before it is confined")]
    let child = Command::new("/proc/self/exe")
        .arg(WORD)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(list))
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(Reader { socket, child })
}

impl Reader {
    /// Has the secret of this credential read. Never waits.
    ///
    /// # Errors
    /// The process is gone, or reads another one.
    pub fn ask(&self, name: &str) -> io::Result<()> {
        say(&self.socket, name.as_bytes())
    }

    /// The answer, where there is one; or the code of why there is no secret.
    ///
    /// # Errors
    /// The process is gone.
    pub fn answer(&self) -> io::Result<Option<Result<Secret, String>>> {
        let mut bytes = Zeroizing::new(vec![0; SECRET_BYTES_MAX + 1]);
        let length = match recv(&self.socket, bytes.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let message = bytes.get(..length).unwrap_or_default();
        Ok(Some(match message.split_first() {
            Some((&SECRET, value)) => Secret::of(value).map_err(|fault| fault.code().to_owned()),
            Some((_, code)) => Err(String::from_utf8_lossy(code).into_owned()),
            None => Err(String::new()),
        }))
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// It ends when nobody asks any more.
impl Drop for Reader {
    fn drop(&mut self) {
        // Where the other end is closed it ends by itself; a program that it runs is not waited for.
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both).unwrap_or(());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The whole of a process that reads.
pub(crate) fn main() -> ExitCode {
    let (list, socket) = (io::stdin(), io::stdout());
    match confine::unreadable().and_then(|()| serve(list.as_fd(), socket.as_fd())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(125),
    }
}

fn serve(list: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<()> {
    let list = read_bounded(list, LIST_BYTES_MAX)?;
    let (credentials, lent): (Vec<Credential>, Lent) =
        wire::decode(&list).map_err(io::Error::other)?;
    let mut question = [0_u8; QUESTION_BYTES_MAX + 1];
    loop {
        let length = match recv(socket, &mut question[..], RecvFlags::empty()) {
            Ok((0, _)) => return Ok(()),
            Ok((length, _)) => length,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let name = question.get(..length).unwrap_or_default();
        let asked = credentials.iter().find(|one| one.name.as_bytes() == name);
        let found = asked.map(|one| read(one, &lent));
        let answer = match &found {
            Some(Ok(secret)) => Zeroizing::new([&[SECRET], secret.expose()].concat()),
            Some(Err(fault)) => Zeroizing::new([&[FAULT], fault.code().as_bytes()].concat()),
            None => Zeroizing::new([&[FAULT], b"secret-unknown".as_slice()].concat()),
        };
        match send(socket, &answer, SendFlags::NOSIGNAL) {
            Ok(_) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// As it is now: the vault is opened anew.
fn read(credential: &Credential, lent: &Lent) -> Result<Secret, VaultError> {
    let none = |_: &str| None;
    let variables = lent.variables.iter();
    let surroundings = variables.map(|(name, value)| (name.into(), value.into())).collect();
    let (vault, opens) = (Vault::at(lent.vault.clone()), phrase(lent.passphrase.clone()));
    let sources = Sources::new(vault, opens.as_ref(), &none, surroundings);
    sources.read(&credential.source, &credential.member)
}
