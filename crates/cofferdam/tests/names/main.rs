//! Names out of the cage, on an internet of our own (internet/).
//!
//! Each first shows that the act works without a wall, then what comes of it inside.

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod internet;
