//! Keys of SSH: which logins the agent inside signs.

use super::Credential;
use crate::line::in_line;

/// Where the agent hears in every sandbox whose policy has such a credential: in a tree that is read-only
/// there.
pub const AGENT: &str = "/.cofferdam/ssh-agent";
/// The variable by which clients find it (`ssh(1)`).
pub const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";
/// Where clients find the keys of the hosts, below the home (`ssh(1)`, FILES).
pub const KNOWN_HOSTS: &str = ".ssh/known_hosts";
/// Most hosts, and most users, of one credential.
pub const LOGINS_MAX: usize = 64;

/// Which logins are signed with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Logins {
    /// At hosts with one of these keys; at least one.
    pub hosts: Vec<SshHost>,
    /// As one of these users; at least one.
    pub users: Vec<String>,
}

/// A host, which is who has this key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct SshHost {
    /// As files of known hosts name it; `*` where the policy gives no name (`sshd(8)`).
    pub names: String,
    /// Its public key: the kind, a blank, and base64.
    pub key: String,
    /// `SHA256:` and the hash of the key, as OpenSSH shows it.
    pub fingerprint: String,
}

impl Logins {
    /// For a person.
    #[must_use]
    pub(super) fn shown(&self) -> String {
        let words = |one: &str, many: &str, all: &[String]| {
            let word = if all.len() == 1 { one } else { many };
            format!("{word} {}", in_line(all.join(", ")))
        };
        let hosts: Vec<String> = self.hosts.iter().map(|host| host.fingerprint.clone()).collect();
        let (users, hosts) = (words("user", "users", &self.users), words("host", "hosts", &hosts));
        format!("by an agent of ssh that signs for {users} on {hosts}")
    }
}

impl SshHost {
    /// As a line of a file of known hosts.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}\n", self.names, self.key)
    }
}

/// The first of them that the agent signs with: where there is one, there is an agent.
#[must_use]
pub fn first_login(credentials: &[Credential]) -> Option<&Credential> {
    credentials.iter().find(|one| one.logins().is_some())
}
