//! cofferdam: a hard boundary around a command, whatever it does.
//!
//! [`Engine`] is the whole product as a library; the command line is one of its faces.
//!
//! ```no_run
//! use cofferdam::{Engine, Options};
//!
//! let engine = Engine::new()?;
//! let options = Options::command(["sh", "-c", "echo inside"]);
//! let outcome = engine.run_collected(&options)?;
//! assert_eq!(outcome.stdout, b"inside\n");
//! # Ok::<(), cofferdam::Refused>(())
//! ```
#![cfg(target_os = "linux")]

mod ahead;
pub mod cli;
mod control;
mod doctor;
mod engine;
mod homes;
mod managed;
mod options;
mod places;
pub mod project;
mod prompt;
mod refused;
mod shell;
mod trace;
mod trusted;
pub mod why;

pub use cofferdam_audit as audit;
use cofferdam_audit::digest;
pub use cofferdam_plan as plan;
pub use cofferdam_policy as policy;
pub use cofferdam_sandbox::{Hit, Outcome, Sink, Streams};
pub use control::{
    Asked, CredentialChange, Drawn, Questions, Refusal, Reply, Running, SessionError,
};
pub use engine::{
    Alarmed, Collected, Denied, Engine, Finished, Prepared, Resolved, Session, Shown, TurnedAway,
    WayOut,
};
pub use homes::{HomeError, KeptHome};
pub use options::{Approval, NetworkFrom, Options, PolicyFrom, ProjectFrom};
pub use prompt::PromptError;
pub use refused::Refused;
pub use shell::Input;
pub use trusted::{Offer, ProjectPolicy, TrustedError, TrustedProject};
