//! The policy language of cofferdam, and the one judge of access.
//!
//! ```text
//! policy text --parse--> Document --resolve(Facts)--> Policy --rules--> Rules --decide--> Verdict
//! ```
//!
//! Everything here is a function from values to values: this crate opens no file, reads no clock
//! and no environment. What it needs to know of the machine comes in as [`Facts`], read once by
//! the caller and recorded in the audit log.
//!
//! The module [`judge`] is free of parsing, so that `cofferdam-init` can link it without a TOML
//! reader: text is read only with the feature `text`.

#[cfg(feature = "text")]
mod ceiling;
pub mod change;
pub mod credentials;
#[cfg(feature = "text")]
pub mod document;
#[cfg(feature = "text")]
mod error;
pub mod facts;
pub mod hostname;
#[cfg(feature = "text")]
pub mod hosts;
pub mod judge;
#[cfg(feature = "text")]
pub mod layers;
pub mod limits;
mod line;
pub mod list;
#[cfg(feature = "text")]
pub mod managed;
#[cfg(feature = "text")]
mod message;
pub mod model;
pub mod network;
#[cfg(feature = "text")]
mod origin;
pub mod output;
#[cfg(feature = "text")]
pub mod presets;
pub mod promise;
#[cfg(feature = "text")]
mod read;
#[cfg(feature = "text")]
pub mod resolve;
pub mod show;
pub mod view;

pub use change::{Restart, egress_change};
#[cfg(feature = "text")]
pub use document::{Document, Source};
#[cfg(feature = "text")]
pub use error::{PolicyError, printable};
pub use facts::{Facts, Kind, Person, Seen};
pub use hostname::Name;
pub use judge::hosts::{Host, HostRules};
pub use judge::{Act, Request, Rules, Verdict, decide};
#[cfg(feature = "text")]
pub use layers::{Base, Layer, LayerText};
pub use line::in_line;
pub use list::List;
#[cfg(feature = "text")]
pub use message::{Message, render};
pub use model::{
    Clause, Danger, Grant, Guarded, Isolation, Mode, Origin, Oversight, Policy, Variable,
};
#[cfg(feature = "text")]
pub use origin::origins;
#[cfg(feature = "text")]
pub use read::{keys, nearest_of};
#[cfg(feature = "text")]
pub use resolve::resolve;
