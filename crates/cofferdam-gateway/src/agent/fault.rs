//! Why an agent does not sign, and why a key is none.

use super::{TOLD_MAX, public};

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub reason: Reason,
    /// Who was to log in, where that is known: printable, of at most 64 characters.
    pub user: Option<String>,
    /// The fingerprint of the host's key, where that is known.
    pub host: Option<String>,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A message that ends early, or has bytes behind it.
    Malformed,
    /// A message that this agent does not answer: keys are neither added nor removed, and nothing is locked.
    Message,
    /// An extension that this agent does not know.
    Extension,
    /// The agent was forwarded to a host, or the connection belongs to two sessions.
    Forwarded,
    /// The host's key is of a kind that is not verified here, such as a certificate.
    HostKind,
    /// The host has not signed the session.
    Signature,
    /// The client has not said which host it speaks with: OpenSSH does since 8.9.
    Unbound,
    /// What is to be signed is no login.
    NoLogin,
    /// The login is for another session.
    Session,
    /// The login is for another service than `ssh-connection`.
    Service,
    /// No such key, or the login names another.
    Key,
    /// The policy does not name the host's key for this one.
    Host,
    /// The policy does not name the user for this host's key.
    User,
    /// The key does not sign so: RSA with SHA-1, or another algorithm than the login names.
    Algorithm,
    /// The system gave no random bytes.
    Failed,
}

impl Reason {
    /// With the host's key.
    pub(super) fn at(self, host: &[u8]) -> Denied {
        Denied { reason: self, user: None, host: Some(public::fingerprint(host)) }
    }

    /// With the user too.
    pub(super) fn of(self, host: &[u8], user: &[u8]) -> Denied {
        Denied { user: Some(printable(user)), ..self.at(host) }
    }

    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "ssh-agent-malformed",
            Self::Message => "ssh-agent-message",
            Self::Extension => "ssh-agent-extension",
            Self::Forwarded => "ssh-agent-forwarded",
            Self::HostKind => "ssh-agent-host-kind",
            Self::Signature => "ssh-agent-host-signature",
            Self::Unbound => "ssh-agent-unbound",
            Self::NoLogin => "ssh-agent-no-login",
            Self::Session => "ssh-agent-session",
            Self::Service => "ssh-agent-service",
            Self::Key => "ssh-agent-key",
            Self::Host => "ssh-agent-host",
            Self::User => "ssh-agent-user",
            Self::Algorithm => "ssh-agent-algorithm",
            Self::Failed => "ssh-agent-failed",
        }
    }
}

impl From<Reason> for Denied {
    fn from(reason: Reason) -> Self {
        Self { reason, user: None, host: None }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Malformed => "a message to the ssh agent cannot be read",
            Self::Message => "the ssh agent lists keys and signs logins, and nothing else",
            Self::Extension => "the ssh agent does not know this extension",
            Self::Forwarded => "the ssh agent does not sign for who comes from another host",
            Self::HostKind => "the ssh host's key is of a kind that is not verified",
            Self::Signature => "the ssh host has not signed the session",
            Self::Unbound => {
                "the ssh client does not say which host it speaks with; OpenSSH does since 8.9"
            }
            Self::NoLogin => "the ssh agent signs logins alone",
            Self::Session => "the login is for another ssh session",
            Self::Service => "the login is for another service than `ssh-connection`",
            Self::Key => "the ssh agent has no such key",
            Self::Host => "the policy does not name this ssh host's key",
            Self::User => "the policy does not name this user of the ssh host",
            Self::Algorithm => "the key does not sign by this algorithm",
            Self::Failed => "the system gave no random bytes to sign with",
        })
    }
}

/// What may be shown of a name: its beginning, with what would lead a terminal escaped.
pub(super) fn printable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars().take(TOLD_MAX).flat_map(char::escape_default).collect()
}

/// Why bytes are no key that signs or is verified here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// Not the form of OpenSSH.
    Form,
    /// A private key in the form of another program.
    Other,
    /// It has a passphrase.
    Encrypted,
    /// Neither Ed25519, ECDSA on P-256 or P-384, nor RSA.
    Kind,
    /// Its numbers do not belong together, or RSA has less than 2,048 or more than 4,096 bits.
    Numbers,
}

impl KeyFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "ssh-key-form",
            Self::Other => "ssh-key-other-form",
            Self::Encrypted => "ssh-key-encrypted",
            Self::Kind => "ssh-key-kind",
            Self::Numbers => "ssh-key-numbers",
        }
    }
}

impl std::fmt::Display for KeyFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Form => "this is no key in the form of OpenSSH",
            Self::Other => {
                "a private key in another form: `ssh-keygen -p -f FILE` writes OpenSSH's"
            }
            Self::Encrypted => {
                "the key has a passphrase: store a copy without, by `ssh-keygen -p -N ''`"
            }
            Self::Kind => "a key is Ed25519, ECDSA on P-256 or P-384, or RSA",
            Self::Numbers => {
                "the key's numbers do not belong together, or RSA has not 2,048 to 4,096 bits"
            }
        })
    }
}
