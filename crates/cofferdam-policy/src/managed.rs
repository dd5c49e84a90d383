//! `[managed]`: what nothing below the managed text may do.

use crate::document::{GrantText, Located};
use crate::model::Clause;

/// What the table says. Without one, nothing of it holds; that the file's own limits, hidden and
/// protected names and denied hosts hold needs no table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    /// `only`: what nobody below may add to, or say otherwise.
    pub only: Vec<Located<Only>>,
    /// `mounts`: where workspaces and grants may lie, and how much may be done there at most. An
    /// empty list is one that allows none.
    pub mounts: Option<(Vec<Located<GrantText>>, Clause)>,
    /// `dangerous = false`.
    pub no_dangers: Option<Clause>,
    /// `audit`: where everything is recorded.
    pub audit: Option<Located<String>>,
}

/// Something that only the managed text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// `isolation`.
    Isolation,
    /// `jail` and `--jail`.
    Jail,
    /// `rootfs` and `--rootfs`.
    Rootfs,
    /// `extends` and `--preset`.
    Extends,
    /// `filesystem.workspace`.
    Workspace,
    /// `filesystem.grant`, of presets too.
    Grant,
    /// `filesystem.home`.
    Home,
    /// `sockets.allow`.
    Sockets,
    /// Every variable that is passed or set, by presets too.
    Environment,
    /// `network.allow`, of presets and of a person who is asked, too.
    Allow,
    /// `network.publish`.
    Publish,
    /// `network.trust_ca`.
    TrustCa,
    /// `network.upstream_proxy`.
    UpstreamProxy,
    /// `credentials`, of presets too.
    Credentials,
    /// Every limit.
    Limits,
    /// `output`.
    Output,
}

impl Only {
    /// Each of them.
    pub const ALL: [Self; 16] = [
        Self::Isolation,
        Self::Jail,
        Self::Rootfs,
        Self::Extends,
        Self::Workspace,
        Self::Grant,
        Self::Home,
        Self::Sockets,
        Self::Environment,
        Self::Allow,
        Self::Publish,
        Self::TrustCa,
        Self::UpstreamProxy,
        Self::Credentials,
        Self::Limits,
        Self::Output,
    ];

    /// The key as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Isolation => "isolation",
            Self::Jail => "jail",
            Self::Rootfs => "rootfs",
            Self::Extends => "extends",
            Self::Workspace => "filesystem.workspace",
            Self::Grant => "filesystem.grant",
            Self::Home => "filesystem.home",
            Self::Sockets => "sockets.allow",
            Self::Environment => "environment",
            Self::Allow => "network.allow",
            Self::Publish => "network.publish",
            Self::TrustCa => "network.trust_ca",
            Self::UpstreamProxy => "network.upstream_proxy",
            Self::Credentials => "credentials",
            Self::Limits => "limits",
            Self::Output => "output",
        }
    }
}
