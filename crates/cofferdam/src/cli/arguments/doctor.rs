//! `cofferdam doctor`.

use std::path::PathBuf;

use clap::Args;

pub(super) const AFTER: &str = "Examples:
  cofferdam doctor
  cofferdam doctor --json
  cofferdam doctor --runsc ~/bin/runsc
  cofferdam doctor --apparmor-profile | sudo tee /etc/apparmor.d/cofferdam

A sandbox is built and a workload run in it that tries what must fail. Nothing is left behind and
nothing is recorded.

Exit status: 0 when all holds that the wall needs, 1 when something does not, 125 when that cannot
be found out.";

/// What `doctor` is asked for.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Doctor {
    /// Answer in JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print the AppArmor profile for this installation instead
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) apparmor_profile: bool,
    /// gVisor's runsc, in place of the one in /usr/bin or /usr/local/bin
    #[arg(long, value_name = "PATH", conflicts_with = "apparmor_profile")]
    pub(in crate::cli) runsc: Option<PathBuf>,
    /// Try one thing in this process; doctor starts itself with it
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    pub(in crate::cli) probe: Vec<String>,
}
