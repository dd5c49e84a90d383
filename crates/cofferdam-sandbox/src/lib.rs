//! The hands of cofferdam: everything that reads the machine or starts a process.
//!
//! [`facts`] and [`probe`] read once; [`launch`] starts `cofferdam-init` with a Plan; [`monitor`]
//! carries the workload's streams and waits. Nothing here decides what the workload may do.
#![cfg(target_os = "linux")]

mod answers;
pub mod bubblewrap;
mod carry;
pub mod cgroup;
mod controls;
pub mod escapes;
pub mod facts;
mod gateway;
pub mod gitconfig;
pub mod image;
pub mod launch;
mod limits;
pub mod machine;
pub mod monitor;
mod outcome;
pub mod probe;
mod program;
pub mod refusal;
pub mod runsc;
pub mod scope;
mod screen;
mod streams;
pub mod terminal;
mod trust;
mod witness;

pub use cgroup::Group;
pub use controls::{Kept, Leak, Stream};
pub use facts::Caller;
pub use gateway::{Gateway, Witness, Word};
pub use launch::{Handed, Preparing, Programs, Waiting};
pub use limits::Hit;
pub use monitor::Running;
pub use outcome::Outcome;
pub use refusal::StartRefusal;
pub use streams::{Sink, Streams};
pub use trust::{Trust, TrustError};
