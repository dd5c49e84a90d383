//! What can be wrong with credentials: one variant a situation. No message repeats a value that may be a
//! secret.

use std::path::PathBuf;

use super::network::short;
use crate::credentials::{AGENT_VARIABLE, CREDENTIALS_MAX, LOGINS_MAX, NAME_BYTES_MAX, OPEN_MAX};

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialFault {
    #[error("`{}` is no name of a credential", short(got))]
    Name { got: String },
    #[error(
        "there are {count}; at most {CREDENTIALS_MAX} credentials, and of one 16 files or {LOGINS_MAX} hosts or users are allowed"
    )]
    Many { count: usize },
    #[error("`{key}` is missing")]
    Missing { key: &'static str },
    #[error("`{of}` needs one of {}", keys.join(", "))]
    OneOf { of: &'static str, keys: &'static [&'static str] },
    #[error("a command is an absolute path with its arguments")]
    Command,
    #[error("`{}` is no way to a member", short(got))]
    Member { got: String },
    #[error("the path `{}` depends on where somebody stands", short(path))]
    Relative { path: String },
    #[error("`{}` cannot carry a credential", short(got))]
    Carrier { got: String },
    #[error("the variable `{}` is named twice", short(name))]
    VariableTwice { name: String },
    #[error("the text holds no `{{{name}}}`, or more than 64 KiB")]
    Content { name: String },
    #[error("`{}` is no time", short(got))]
    Expires { got: String },
    // Keys of SSH.
    #[error("`{key}` says nothing beside `ssh`")]
    Beside { key: &'static str },
    #[error("this is no public key of an ssh host")]
    HostKey,
    #[error("`{}` is no user of an ssh host", short(got))]
    SshUser { got: String },
    #[error("no request bears `{name}`, a key of ssh")]
    Signs { name: String },
    #[error("`{AGENT_VARIABLE}` names the agent of ssh")]
    AgentVariable,
    // Rules that use one.
    #[error("no credential is called `{name}`")]
    Unknown { name: String },
    #[error("a credential goes over TLS that is looked into, to hosts of one holder")]
    Carried,
    #[error("the real value of `{name}` is let through, and something stands in for it")]
    Passed { name: String },
    #[error("two credentials have the variable `{name}`")]
    VariableShared { name: String },
    #[error("the key of a signature has two or three parts, and `env` names {count}")]
    Parts { count: usize },
    #[error("`{name}` means a part of another credential")]
    PartName { name: String },
    #[error("two things are at {}", path.display())]
    FileTwice { path: PathBuf },
    #[error("the sandbox can read {}, where the secret is", path.display())]
    InView { path: PathBuf },
    // Tokens.
    #[error("more than {OPEN_MAX} members of one source are no secret")]
    Open,
    #[error("tokens are asked for in another way")]
    Grant,
    #[error("two tokens of one answer are two secrets")]
    TokensShared,
    #[error("no credential is called `{name}`")]
    TokenUnknown { name: String },
    #[error("a token of `{name}` is nothing that is signed with")]
    TokenSigns { name: String },
    #[error("`{name}` comes with an answer, and no `oauth` names it")]
    TokenNobodys { name: String },
    #[error("nothing stands in for `{name}` before an answer brings it")]
    TokenPlaced { name: String },
}

impl CredentialFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::PartName { .. } => "credential-name",
            Self::Many { .. } => "credential-many",
            Self::Missing { .. } => "credential-missing-key",
            Self::OneOf { .. } => "credential-one-of",
            Self::Command => "credential-command",
            Self::Member { .. } => "credential-member",
            Self::Relative { .. } => "credential-path",
            Self::Carrier { .. } => "credential-carrier",
            Self::VariableTwice { .. } | Self::VariableShared { .. } => "credential-variable",
            Self::Parts { .. } => "credential-parts",
            Self::Content { .. } => "credential-content",
            Self::Expires { .. } => "credential-expires",
            Self::Beside { .. } => "credential-beside",
            Self::HostKey => "credential-host-key",
            Self::SshUser { .. } => "credential-user",
            Self::Signs { .. } => "credential-signs",
            Self::AgentVariable => "credential-agent",
            Self::Unknown { .. } => "credential-unknown",
            Self::Carried => "credential-carried",
            Self::Passed { .. } => "credential-passed",
            Self::FileTwice { .. } => "credential-file",
            Self::InView { .. } => "credential-in-view",
            Self::Open => "credential-open",
            Self::Grant => "credential-grant",
            Self::TokensShared => "credential-tokens",
            Self::TokenUnknown { .. } => "credential-token-unknown",
            Self::TokenSigns { .. } => "credential-token-signs",
            Self::TokenNobodys { .. } => "credential-token-nobodys",
            Self::TokenPlaced { .. } => "credential-token-placed",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::Name { .. } => format!(
                "write small letters, digits, `.`, `_` or `-`, at most {NAME_BYTES_MAX}"
            ),
            Self::Many { .. } => "write fewer".into(),
            Self::Missing { key: "source" } => {
                "say where the secret is: source = { vault = \"NAME\" }, and `cofferdam vault set NAME`".into()
            }
            Self::Missing { key: "inject" } => {
                "say how requests bear it: inject = { header = \"x-api-key\" } or { bearer = true }".into()
            }
            Self::Missing { key: "hosts" } => {
                "write hosts = [\"HOST ssh-ed25519 AAAA...\"], the lines of `ssh-keyscan HOST`".into()
            }
            Self::Missing { key: "users" } => {
                "write users = [\"git\"]: who logs in there".into()
            }
            Self::Missing { key } => format!("write `{key}`"),
            Self::OneOf { .. } => "write exactly one of them".into(),
            Self::Command => "write command = [\"/usr/bin/pass\", \"show\", \"NAME\"]; no shell reads it".into(),
            Self::Member { .. } => "write names with a dot between: \"a.b\"".into(),
            Self::Relative { .. } => "write it from `/` or `~/` on".into(),
            Self::Carrier { .. } => "write a plain name; not one of a connection's own fields".into(),
            Self::VariableTwice { .. } => "name it once".into(),
            Self::Parts { .. } => {
                "write env = [\"AWS_ACCESS_KEY_ID\", \"AWS_SECRET_ACCESS_KEY\"], with \"AWS_SESSION_TOKEN\" behind where the secret is KEY_ID:SECRET:TOKEN".into()
            }
            Self::PartName { .. } => "give it another name".into(),
            Self::VariableShared { .. } => "give each a variable of its own".into(),
            Self::Content { name } => format!("write {{{name}}} where the stand-in goes"),
            Self::Expires { .. } => "write \"30m\" or \"8h\"".into(),
            Self::Beside { .. } => {
                "remove it: nothing stands in for a key of ssh; the agent inside signs".into()
            }
            Self::HostKey => {
                "write a line of `ssh-keyscan HOST`: Ed25519, ECDSA on P-256 or P-384, or RSA".into()
            }
            Self::SshUser { .. } => "write the name as `ssh NAME@HOST` has it".into(),
            Self::AgentVariable => {
                "remove it from `environment`, and from the `env` of other credentials".into()
            }
            Self::Signs { .. } => {
                "in the place of `credential`: protocol = \"tcp\", ports = [22]; the agent signs".into()
            }
            Self::Unknown { name, .. } => format!(
                "add [credentials.{name}] with source and inject, or remove `credential` from the rule"
            ),
            Self::Carried => {
                "in that rule: protocol = \"tls\", no inspect = \"never\", and hosts below one name".into()
            }
            Self::Passed { .. } => {
                "remove it from environment.dangerous_allow and environment.set, or from the credential's env".into()
            }
            Self::FileTwice { .. } => "name it once".into(),
            Self::Grant => {
"write inject = { json = \"refresh_token\" } or { basic = \"CLIENT_ID\" }".into()
            }
            Self::Open => "name fewer".into(),
            Self::TokensShared => "name a credential for each".into(),
            Self::TokenUnknown { name } => format!(
                "add [credentials.{name}] with source = {{ oauth = true }} and inject"
            ),
            Self::TokenSigns { .. } => "give it another `inject`".into(),
            Self::TokenNobodys { name } => {
                format!("name it: oauth = {{ access_token = \"{name}\" }}")
            }
            Self::TokenPlaced { .. } => "remove `env` and `files`: clients have it by the answer".into(),
            Self::InView { .. } => "hide it: filesystem.hide, or move the secret to the vault".into(),
        }
    }
}
