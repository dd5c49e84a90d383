//! Which jail a plan is for, and the one `compile` of all of them.

use cofferdam_policy::model::{Clause, Isolation, Jail, Policy};

use crate::coverage::Coverage;
use crate::gvisor::Cannot;
use crate::host::{Bubblewrap, Host};
use crate::native::cover;
use crate::plan::{Argument, Plan, Streams};
use crate::refusal::Refusal;
use crate::{bubblewrap, gvisor, landlocked, native};

/// What shall run: the part of a plan that no policy says.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Program and arguments.
    pub command: Vec<Argument>,
    /// What its standard streams are.
    pub streams: Streams,
    /// Which rules the plan's coverage has a row of.
    pub rows: Rows,
}

/// Which rules a plan's coverage has a row of. A row is text for a person: nothing is decided by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Every one.
    #[default]
    Every,
    /// Every one but those of `network.allow` and `network.deny`, for whoever asks about one of them and need
    /// not wait for the text of ten thousand: [`host_row`] is that one's.
    ButHosts,
}

/// The row that a plan with [`Rows::Every`] has of `clause`, where that is a rule of `network.allow` or
/// `network.deny`.
#[must_use]
pub fn host_row(policy: &Policy, clause: &Clause) -> Option<Coverage> {
    cover::host_row(policy, clause)
}

/// A command with pipes for its streams.
impl From<Vec<Argument>> for Task {
    fn from(command: Vec<Argument>) -> Self {
        Self { command, ..Self::default() }
    }
}

/// Decides everything, touches nothing.
///
/// # Errors
/// Refuses when `host` cannot hold a clause of `policy`. It never weakens one.
pub fn compile(policy: &Policy, host: &Host, task: impl Into<Task>) -> Result<Plan, Refusal> {
    let task = task.into();
    match (policy.isolation, policy.jail) {
        (Isolation::Gvisor, Jail::Auto | Jail::Native) => {
            return gvisor::compile(policy, host, task);
        }
        (Isolation::Gvisor, jail) => {
            let (jail, clause) = (jail.as_str(), policy.jail_clause.clone());
            return Err(Refusal::Gvisor(Cannot::Jail { jail, clause }));
        }
        (Isolation::Process | Isolation::Auto, _) => {}
    }
    match policy.jail {
        // Init itself was forbidden them, and what the distribution lets have them is there. Without
        // namespaces no jail is chosen by itself: it holds less.
        Jail::Auto if host.namespaces_denied && matches!(host.bubblewrap, Bubblewrap::Ready(_)) => {
            bubblewrap::compile(policy, host, task)
        }
        Jail::Auto | Jail::Native => native::compile(policy, host, task),
        Jail::Bubblewrap => bubblewrap::compile(policy, host, task),
        Jail::Landlock => landlocked::compile(policy, host, task),
        Jail::Seatbelt => Err(Refusal::JailNotHere {
            jail: policy.jail.as_str(),
            clause: policy.jail_clause.clone(),
        }),
    }
}
