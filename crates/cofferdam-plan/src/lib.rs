//! compile: a pure function from [`Policy`](cofferdam_policy::Policy) and [`Host`] to [`Plan`].
//!
//! No file, clock, environment or kernel is touched here, and nothing depends on the operating
//! system that this crate was built for: every plan can be made and tested anywhere.
//!
//! The Plan is plain data. `cofferdam plan` prints it, the audit log's first record holds it,
//! and `cofferdam-init` obeys it step by step (module [`wire`] is the form in which it gets it).

mod bubblewrap;
mod candidates;
mod completed;
mod content;
pub mod coverage;
pub mod egress;
pub mod gvisor;
pub mod host;
mod jail;
mod landlocked;
pub mod message;
pub mod mounts;
mod native;
mod outer;
pub mod plan;
pub mod process;
pub mod refusal;
#[cfg(feature = "json")]
pub mod render;
pub mod runsc;
pub mod seatbelt;
pub mod seccomp;
pub mod synthetic;
pub mod wire;

pub use cofferdam_policy::judge::{git, mask};
pub use cofferdam_policy::{HostRules, Rules};
pub use cofferdam_policy::{
    credentials, facts, hostname, judge, limits, model, network, output, view,
};
pub use coverage::{Coverage, Extent};
pub use egress::Egress;
pub use host::Host;
pub use jail::{Rows, Task, compile, host_row};
pub use landlocked::unheld;
pub use native::landlock;
pub use plan::{Plan, Step, Workload};
pub use refusal::Refusal;

/// Names this build: init refuses a Plan of another, so the wire form never becomes an interface.
///
/// A digest over the sources that define the wire form and what init makes of it.
pub const BUILD: &str = env!("COFFERDAM_BUILD");
