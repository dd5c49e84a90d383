//! Whose identity requests bear, on an internet of our own (../names/internet/): secrets that never enter
//! the sandbox, requests with this session's own identity alone, and what may not leave.
//!
//! Each first shows that the act works without a wall, then what comes of it inside. Whatever is run, the
//! secret is looked for afterwards in all that cofferdam wrote, and found nowhere.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "panics are how tests fail, and tests start programs"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../names/internet/mod.rs"]
mod internet;
#[path = "../inspect/looking.rs"]
#[allow(dead_code, reason = "the other program uses the rest of it")]
mod looking;

mod astray;
mod bearing;
mod clients;
mod fetching;
mod incident;
mod lifecycle;
mod lodging;
mod masked;
mod messages;
mod oauth;
mod ssh;
