//! Why a secret cannot be had or kept.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::secret::SecretFault;

/// Why a secret cannot be had or kept. Nothing of a secret is in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum VaultError {
    /// It is no name of a secret.
    Name,
    /// The value cannot be a secret.
    Value(SecretFault),
    /// There is no vault.
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The vault is gone, and what was before it is not.
    Gone {
        /// Where it should be.
        path: PathBuf,
    },
    /// The vault has no secret of this name.
    Unknown {
        /// The name.
        name: String,
    },
    /// A passphrase opens the vault, and none was given.
    Locked {
        /// The vault.
        path: PathBuf,
    },
    /// The passphrase is another one.
    WrongPassphrase {
        /// The vault.
        path: PathBuf,
    },
    /// The key of the vault is not there.
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key opens another vault.
    WrongKey {
        /// The key.
        path: PathBuf,
    },
    /// It is no vault, or not whole; or no key.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Others may read or change it, or it is another's.
    TooOpen {
        /// What.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// What has to be taken from it, as `chmod` says it.
        take: &'static str,
    },
    /// A link, or something else that is no regular file.
    NoFile {
        /// What.
        path: PathBuf,
    },
    /// It is too long.
    TooLarge {
        /// The file, or whose output.
        path: PathBuf,
    },
    /// The vault has as many secrets as it can.
    Full,
    /// Somebody else changes the vault, and does not come to an end.
    Busy {
        /// The vault.
        path: PathBuf,
    },
    /// The variable is not there.
    NoVariable {
        /// Its name.
        name: String,
    },
    /// An answer brings it, and it is kept nowhere.
    Unkept,
    /// The program did not give a secret.
    Command {
        /// The program.
        program: PathBuf,
        /// Why not.
        fault: CommandFault,
    },
    /// The source is no JSON object with such a member.
    Member {
        /// The way to it.
        member: String,
        /// Why not.
        fault: MemberFault,
    },
    /// The keychain of the system did not give it.
    Keychain {
        /// The name of the entry.
        name: String,
        /// Why not.
        fault: KeychainFault,
    },
    /// The system refused.
    System {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a program gave no secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandFault {
    /// It is named by no absolute path.
    NotAbsolute,
    /// It cannot be started.
    Start(io::Error),
    /// It took too long.
    TimedOut,
    /// It ended with another status than 0; `None` where a signal ended it.
    Status(Option<i32>),
}

/// Why a member of a JSON object is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFault {
    /// It is no JSON.
    NotJson,
    /// A name on the way is not there.
    Missing,
    /// A name is there twice.
    Twice,
    /// It is no string, or a name on the way is no object.
    OtherType,
}

/// Why the keychain did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeychainFault {
    /// It did not answer in time.
    Silent,
    /// It is locked, and nobody unlocked it.
    Locked,
    /// It is the kernel's, and this session has none of its own.
    NoSession,
    /// It has no such entry.
    Missing,
    /// It has more than one.
    Ambiguous,
    /// The secret is longer than it takes.
    TooLong,
    /// It tells nobody which entries it has.
    Unlisted,
    /// It refused, or said what is not understood.
    Failed,
}

impl KeychainFault {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Silent,
        Self::Locked,
        Self::NoSession,
        Self::Missing,
        Self::Ambiguous,
        Self::TooLong,
        Self::Unlisted,
        Self::Failed,
    ];

    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Silent => "keychain-silent",
            Self::Locked => "keychain-locked",
            Self::NoSession => "keychain-no-session",
            Self::Missing => "keychain-missing",
            Self::Ambiguous => "keychain-ambiguous",
            Self::TooLong => "keychain-long",
            Self::Unlisted => "keychain-unlisted",
            Self::Failed => "keychain-failed",
        }
    }
}

impl VaultError {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name => "secret-name",
            Self::Value(fault) => fault.code(),
            Self::Missing { .. } => "vault-missing",
            Self::Gone { .. } => "vault-gone",
            Self::Unknown { .. } => "secret-unknown",
            Self::Locked { .. } => "vault-locked",
            Self::WrongPassphrase { .. } => "vault-passphrase",
            Self::NoKey { .. } => "vault-no-key",
            Self::WrongKey { .. } => "vault-wrong-key",
            Self::Corrupt { .. } => "vault-corrupt",
            Self::TooOpen { .. } => "secret-shared",
            Self::NoFile { .. } => "secret-no-file",
            Self::TooLarge { .. } => "secret-source-long",
            Self::Full => "vault-full",
            Self::Busy { .. } => "vault-busy",
            Self::NoVariable { .. } => "secret-no-variable",
            Self::Unkept => "secret-unkept",
            Self::Command { .. } => "secret-command",
            Self::Member { .. } => "secret-member",
            Self::Keychain { fault, .. } => fault.code(),
            Self::System { .. } => "vault-system",
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Name => "this is no name of a secret".into(),
            Self::Value(fault) => fault.to_string(),
            Self::Missing { path } => format!("there is no vault at {}", path.display()),
            Self::Gone { path } => {
                format!("the vault {} is gone, and its previous version is there", path.display())
            }
            Self::Unknown { name } => format!("the vault has no secret `{name}`"),
            Self::Locked { path } => format!("a passphrase opens the vault {}", path.display()),
            Self::WrongPassphrase { path } => {
                format!("the passphrase does not open the vault {}", path.display())
            }
            Self::NoKey { path } => format!("the vault's key {} is not there", path.display()),
            Self::WrongKey { path } => {
                format!("the key {} does not open the vault", path.display())
            }
            Self::Corrupt { path, why } => format!("{} cannot be read: {why}", path.display()),
            Self::TooOpen { path, owner, mode, .. } => format!(
                "{} is not this user's alone: owner {owner}, mode {mode:04o}",
                path.display()
            ),
            Self::NoFile { path } => format!("{} is a link, or no regular file", path.display()),
            Self::TooLarge { path } => format!("{} gives too many bytes", path.display()),
            Self::Full => "the vault has as many secrets as it can".into(),
            Self::Busy { path } => format!("somebody else changes the vault {}", path.display()),
            Self::NoVariable { name } => format!("the variable `{name}` is not set"),
            Self::Unkept => "an answer brings it, and it is kept nowhere".into(),
            Self::Command { program, fault } => format!("{} {fault}", program.display()),
            Self::Member { member, fault } => format!("the source's member `{member}`: {fault}"),
            Self::Keychain { name, fault } => format!("the keychain, asked for `{name}`: {fault}"),
            Self::System { doing, path, .. } => format!("cannot {doing} {}", path.display()),
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Name => {
                "1 to 64 of a-z, 0-9, `.`, `_` and `-`, the first a letter or digit".into()
            }
            Self::Value(SecretFault::Empty) => "give the value on standard input".into(),
            Self::Value(_) => "a secret is 1 byte to 64 KiB; encode what is not text".into(),
            Self::Missing { .. } | Self::Unknown { .. } => {
                "`cofferdam vault set NAME` stores one; `cofferdam vault list` names them".into()
            }
            Self::Gone { path } => format!(
                "put it back: cp {0}.previous {0}; or move the others away for a new one",
                path.display()
            ),
            Self::Locked { .. } => {
                "say it at the terminal, or give it by a descriptor whose number \
                                    is in COFFERDAM_VAULT_PASSPHRASE_FD"
                    .into()
            }
            Self::WrongPassphrase { .. } => "say the passphrase with which it was made".into(),
            Self::NoKey { .. } | Self::WrongKey { .. } => {
                "put the key back from a copy; without it the vault cannot be read".into()
            }
            Self::Corrupt { path, .. } => format!(
                "nothing was changed; look at {}.previous, and copy it over if it is whole",
                path.display()
            ),
            Self::TooOpen { path, take, .. } => {
                format!("make it yours alone: chmod {take} {}, and own it", path.display())
            }
            Self::NoFile { .. } => "name the file itself".into(),
            Self::TooLarge { .. } => "name a source that gives the secret alone".into(),
            Self::Full => "remove those that nobody uses: cofferdam vault remove NAME".into(),
            Self::Busy { .. } => "wait until it has ended, and try again".into(),
            Self::NoVariable { .. } => "set it where cofferdam is started, or name another".into(),
            Self::Unkept => "ask for another token inside".into(),
            Self::Command { fault, .. } => fault.hint().into(),
            Self::Member { .. } => "look at the source, and at `member` in the policy".into(),
            Self::Keychain { fault, .. } => fault.hint().into(),
            Self::System { source, .. } => format!("the system said: {}", source.kind()),
        }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}", self.what(), self.hint())
    }
}

impl std::error::Error for VaultError {}

impl From<SecretFault> for VaultError {
    fn from(fault: SecretFault) -> Self {
        Self::Value(fault)
    }
}

impl fmt::Display for CommandFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => out.write_str("is no absolute path"),
            Self::Start(error) => write!(out, "cannot be started: {}", error.kind()),
            Self::TimedOut => out.write_str("did not end in time, and was ended"),
            Self::Status(Some(status)) => write!(out, "ended with status {status}"),
            Self::Status(None) => out.write_str("was ended by a signal"),
        }
    }
}

impl CommandFault {
    const fn hint(&self) -> &'static str {
        match self {
            Self::NotAbsolute => "name it by its whole path: no shell looks for it",
            Self::Start(_) => "name a program that you may run",
            Self::TimedOut => "it has 10 seconds, no terminal and nothing to read: let it not ask",
            Self::Status(_) => {
                "run it yourself, with PATH=/usr/bin:/bin and no other variables than HOME, USER, \
                 LANG and those of the session bus"
            }
        }
    }
}

impl fmt::Display for MemberFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotJson => "the source is no JSON",
            Self::Missing => "it is not there",
            Self::Twice => "a name of it is there twice",
            Self::OtherType => "it is no string, or a name on the way to it is no object",
        })
    }
}

impl fmt::Display for KeychainFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Silent => "it did not answer within 5 seconds",
            Self::Locked => "it is locked",
            Self::NoSession => "no bus answers, and this session has no keyring of the kernel's",
            Self::Missing => "it has no such entry",
            Self::Ambiguous => "it has more than one such entry",
            Self::TooLong => "it takes no secret of this length",
            Self::Unlisted => "the kernel's keyring cannot be listed",
            Self::Failed => "it refused",
        })
    }
}

impl KeychainFault {
    const fn hint(self) -> &'static str {
        match self {
            Self::Silent | Self::Locked => {
                "unlock it (log in, or open its program), and try again; or keep the secret in the \
                 vault"
            }
            Self::NoSession => {
                "log in through PAM (pam_keyinit), or begin one: keyctl session - sh; or keep the \
                 secret in the vault"
            }
            Self::Missing => {
                "store it: cofferdam vault set --keychain NAME; the kernel's keyring forgets at a \
                 reboot"
            }
            Self::Ambiguous => "remove all but one of the service `cofferdam` in its own program",
            Self::Unlisted => "ask for one name: cofferdam vault test --keychain NAME",
            Self::TooLong | Self::Failed => {
                "keep the secret in the vault: cofferdam vault set NAME"
            }
        }
    }
}
