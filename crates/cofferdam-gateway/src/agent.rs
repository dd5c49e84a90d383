//! An agent of SSH that signs only logins of named users on named hosts (draft-ietf-sshm-ssh-agent;
//! OpenSSH's PROTOCOL.agent; RFC 4252, 7).
//!
//! A client first tells the agent which host it speaks with, by the host's signature over the session
//! (`session-bind@openssh.com`, OpenSSH 8.9 of 2022): that is verified here, so a session is the named
//! host's, whatever the client says. Then only what logs a named user in there, in that session, is signed.
//! Adding and removing keys, locks, other data and forwarded agents are refused.
//!
//! Keys are Ed25519, ECDSA on P-256 and P-384, and RSA with SHA-2. Nothing is read or written here.

mod fault;
mod private;
mod public;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Borrow;

pub use self::fault::{Denied, KeyFault, Reason};
pub use self::private::PrivateKey;
pub use self::public::HostKey;
pub use self::wire::{FRAME_BYTES_MAX, Frames, TooLong};
use self::wire::{Reader, frame, put};

/// What a client asks (draft-ietf-sshm-ssh-agent, 7.1).
const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const EXTENSION: u8 = 27;
/// What the agent answers.
const FAILURE: u8 = 5;
/// The same as a whole message.
pub(crate) const FAILED: [u8; 5] = [0, 0, 0, 1, FAILURE];
const SUCCESS: u8 = 6;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;
/// A request to log in (RFC 4252, 6).
const USERAUTH_REQUEST: u8 = 50;
/// Most identities that are listed: OpenSSH's client takes 2,048, and its host refuses after six.
const IDENTITIES_MAX: usize = 128;
/// Longest name that is told of. Characters.
const TOLD_MAX: usize = 64;

/// A key, and where and as whom it logs in.
#[derive(Debug)]
pub struct Identity {
    /// The key.
    pub key: PrivateKey,
    /// As clients show it.
    pub comment: String,
    /// Of these hosts.
    pub hosts: Vec<HostKey>,
    /// As these users.
    pub users: Vec<String>,
}

/// What an answer was about, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The keys were listed.
    Listed,
    /// The connection belongs to a session with a host.
    Bound,
    /// A login was signed.
    Signed {
        /// Number of the identity.
        identity: usize,
        /// Who logs in: one of the identity's users.
        user: String,
        /// The fingerprint of the host's key, as OpenSSH shows it.
        host: String,
    },
    /// It was refused.
    Denied(Denied),
}

/// Which session the connection belongs to.
#[derive(Debug)]
enum Bound {
    /// None yet.
    No,
    /// This one, with the host of this key.
    To { session: Vec<u8>, host: Vec<u8> },
    /// The client said something of it that is refused: nothing is signed any more.
    Refused,
}

/// One connection of a client with the agent.
#[derive(Debug)]
pub struct Session<'a, I = Identity> {
    identities: &'a [I],
    bound: Bound,
}

impl<'a, I: Borrow<Identity>> Session<'a, I> {
    /// Before the first message.
    #[must_use]
    pub const fn new(identities: &'a [I]) -> Self {
        Self { identities, bound: Bound::No }
    }

    /// The answer to one message, as [`Frames`] gives it; with its length in front, as it is sent.
    #[must_use]
    pub fn answer(&mut self, message: &[u8]) -> (Vec<u8>, Outcome) {
        match self.judge(message) {
            Ok((reply, outcome)) => (frame(&reply), outcome),
            Err(denied) => (frame(&[FAILURE]), Outcome::Denied(denied)),
        }
    }

    fn judge(&mut self, message: &[u8]) -> Result<(Vec<u8>, Outcome), Denied> {
        let (kind, body) = message.split_first().ok_or(Reason::Malformed)?;
        let mut body = Reader::new(body);
        match *kind {
            REQUEST_IDENTITIES if body.is_done() && !self.is_refused() => {
                Ok((self.listed(), Outcome::Listed))
            }
            REQUEST_IDENTITIES if self.is_refused() => Err(Reason::Forwarded.into()),
            REQUEST_IDENTITIES => Err(Reason::Malformed.into()),
            SIGN_REQUEST => self.sign(body),
            EXTENSION if body.string() == Some(b"session-bind@openssh.com") => {
                let bound = self.bind(body);
                if bound.is_err() {
                    self.bound = Bound::Refused;
                }
                bound.map(|()| (vec![SUCCESS], Outcome::Bound))
            }
            EXTENSION => Err(Reason::Extension.into()),
            _ => Err(Reason::Message.into()),
        }
    }

    const fn is_refused(&self) -> bool {
        matches!(self.bound, Bound::Refused)
    }

    fn listed(&self) -> Vec<u8> {
        let mut reply = vec![IDENTITIES_ANSWER];
        // A policy names a handful.
        let some = self.identities.iter().take(IDENTITIES_MAX);
        let count = u32::try_from(some.len()).unwrap_or(0);
        reply.extend_from_slice(&count.to_be_bytes());
        for identity in some.map(Borrow::borrow) {
            put(&mut reply, identity.key.blob());
            put(&mut reply, identity.comment.as_bytes());
        }
        reply
    }

    /// `session-bind@openssh.com`: the host's key, the session, the host's signature, whether it is to be
    /// forwarded there.
    fn bind(&mut self, mut body: Reader<'_>) -> Result<(), Denied> {
        let (host, session) = (body.string(), body.string());
        let (signature, forwards) = (body.string(), body.byte());
        let (Some(host), Some(session), Some(signature)) = (host, session, signature) else {
            return Err(Reason::Malformed.into());
        };
        let denied = |reason: Reason| reason.at(host);
        if !body.is_done() || session.is_empty() {
            return Err(denied(Reason::Malformed));
        }
        match forwards {
            Some(0) => {}
            Some(1) => return Err(denied(Reason::Forwarded)),
            Some(_) | None => return Err(denied(Reason::Malformed)),
        }
        public::verify(host, session, signature).map_err(denied)?;
        match &self.bound {
            Bound::No => {
                self.bound = Bound::To { session: session.into(), host: host.into() };
                Ok(())
            }
            Bound::To { session: first, host: of } if first == session && of == host => Ok(()),
            // Another session over the first one: somebody else's connection comes through here.
            Bound::To { .. } | Bound::Refused => Err(denied(Reason::Forwarded)),
        }
    }

    fn sign(&self, mut body: Reader<'_>) -> Result<(Vec<u8>, Outcome), Denied> {
        let (key, signed, flags) = (body.string(), body.string(), body.number());
        let (Some(key), Some(signed), Some(flags)) = (key, signed, flags) else {
            return Err(Reason::Malformed.into());
        };
        if !body.is_done() {
            return Err(Reason::Malformed.into());
        }
        let (session, host) = match &self.bound {
            Bound::To { session, host } => (session, host),
            Bound::No => return Err(Reason::Unbound.into()),
            Bound::Refused => return Err(Reason::Forwarded.into()),
        };
        let login = Login::read(signed).map_err(|reason| reason.at(host))?;
        let denied = |reason: Reason| reason.of(host, login.user);
        if login.session != session.as_slice() {
            return Err(denied(Reason::Session));
        }
        if login.service != b"ssh-connection" {
            return Err(denied(Reason::Service));
        }
        if login.key != key {
            return Err(denied(Reason::Key));
        }
        if login.host.is_some_and(|other| other != host.as_slice()) {
            return Err(denied(Reason::Host));
        }
        let identity = self.allowed(key, host, login.user).map_err(denied)?;
        let number = identity.0;
        let key = &identity.1.key;
        let algorithm = key.algorithm(flags).filter(|named| named.as_bytes() == login.algorithm);
        let algorithm = algorithm.ok_or_else(|| denied(Reason::Algorithm))?;
        let signature = key.sign(algorithm, signed).ok_or_else(|| denied(Reason::Failed))?;
        let mut reply = vec![SIGN_RESPONSE];
        put(&mut reply, &signature);
        let outcome = Outcome::Signed {
            identity: number,
            user: fault::printable(login.user),
            host: public::fingerprint(host),
        };
        Ok((reply, outcome))
    }

    /// The first identity of this key that may log in there as that user.
    fn allowed(&self, key: &[u8], host: &[u8], user: &[u8]) -> Result<(usize, &Identity), Reason> {
        let mut reason = Reason::Key;
        for (number, identity) in self.identities.iter().map(Borrow::borrow).enumerate() {
            if identity.key.blob() != key {
                continue;
            }
            let is_host = identity.hosts.iter().any(|named| named.blob() == host);
            let is_user = identity.users.iter().any(|named| named.as_bytes() == user);
            match (is_host, is_user) {
                (true, true) => return Ok((number, identity)),
                (true, false) => reason = Reason::User,
                (false, _) if reason == Reason::Key => reason = Reason::Host,
                (false, _) => {}
            }
        }
        Err(reason)
    }
}

/// What is signed to log in with a key (RFC 4252, 7).
#[derive(Debug)]
struct Login<'m> {
    session: &'m [u8],
    user: &'m [u8],
    service: &'m [u8],
    algorithm: &'m [u8],
    key: &'m [u8],
    /// Where the host's key is signed too (`publickey-hostbound-v00@openssh.com`).
    host: Option<&'m [u8]>,
}

impl<'m> Login<'m> {
    fn read(signed: &'m [u8]) -> Result<Self, Reason> {
        let mut from = Reader::new(signed);
        let session = from.string().ok_or(Reason::NoLogin)?;
        if from.byte() != Some(USERAUTH_REQUEST) {
            return Err(Reason::NoLogin);
        }
        let user = from.string().ok_or(Reason::NoLogin)?;
        let service = from.string().ok_or(Reason::NoLogin)?;
        let is_bound = match from.string() {
            Some(b"publickey") => false,
            Some(b"publickey-hostbound-v00@openssh.com") => true,
            Some(_) | None => return Err(Reason::NoLogin),
        };
        if from.byte() != Some(1) {
            return Err(Reason::NoLogin);
        }
        let algorithm = from.string().ok_or(Reason::NoLogin)?;
        let key = from.string().ok_or(Reason::NoLogin)?;
        let host = if is_bound { Some(from.string().ok_or(Reason::NoLogin)?) } else { None };
        if !from.is_done() {
            return Err(Reason::NoLogin);
        }
        Ok(Self { session, user, service, algorithm, key, host })
    }
}
