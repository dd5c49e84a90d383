//! Why packets of git's are refused.

use super::{COMMANDS_BYTES_MAX, OPTIONS_MAX, UPDATES_MAX};

/// Why bytes are no push and no fetch of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketFault {
    /// A packet's length is not four hexadecimal digits, or one that no packet has here.
    Length,
    /// Over [`COMMANDS_BYTES_MAX`] before the packfile.
    TooLong,
    /// Over [`UPDATES_MAX`].
    TooMany,
    /// No command that is known.
    Command,
    /// No name of an object, one of another length than the rest, or zeros twice.
    Object,
    /// No name of a ref by git's rules.
    Ref,
    /// Two updates of one ref.
    Twice,
    /// A capability with odd bytes, one that contradicts another, or one after a later command.
    Capability,
    /// A signed push: the certificate has commands of its own.
    Signed,
    /// A push option that is no line, or over [`OPTIONS_MAX`].
    Option,
    /// What follows the commands is no packfile.
    Pack,
}

impl PacketFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length => "git-packet-length",
            Self::TooLong => "git-commands-long",
            Self::TooMany => "git-many-refs",
            Self::Command => "git-command",
            Self::Object => "git-object",
            Self::Ref => "git-ref",
            Self::Twice => "git-ref-twice",
            Self::Capability => "git-capability",
            Self::Signed => "git-push-signed",
            Self::Option => "git-push-option",
            Self::Pack => "git-pack",
        }
    }
}

impl std::fmt::Display for PacketFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length => out.write_str("a packet of git's has no length that may stand there"),
            Self::TooLong => write!(out, "a push begins with at most {COMMANDS_BYTES_MAX} bytes"),
            Self::TooMany => write!(out, "a push changes at most {UPDATES_MAX} refs"),
            Self::Command => out.write_str("a packet of git's has no command that is known"),
            Self::Object => out.write_str("a packet of git's names no object where one belongs"),
            Self::Ref => out.write_str("a push names a ref that git would not have"),
            Self::Twice => out.write_str("a push changes one ref twice"),
            Self::Capability => out.write_str("a packet of git's has odd capabilities"),
            Self::Signed => out.write_str("a signed push, which says twice what it changes"),
            Self::Option => write!(out, "a push has at most {OPTIONS_MAX} options, each a line"),
            Self::Pack => out.write_str("no packfile follows a push's commands"),
        }
    }
}
