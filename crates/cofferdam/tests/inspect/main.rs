//! Inside the requests, on an internet of our own (../names/internet/): TLS is ended in the gateway, and
//! every request is judged by the bytes that go on.
//!
//! Each first shows that the act works without a wall, then what comes of it inside.
#![allow(
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "panics are how tests fail"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../names/asking.rs"]
#[allow(dead_code, reason = "the other program uses the rest of it")]
mod asking;
#[path = "../names/internet/mod.rs"]
mod internet;

mod approval;
mod certificates;
mod clients;
mod contents;
mod exhaustion;
mod fronting;
mod looking;
mod origins;
mod packages;
mod record;
mod reload;
mod rules;
mod smuggling;
mod streams;
mod switching;
mod targets;
mod transfers;
