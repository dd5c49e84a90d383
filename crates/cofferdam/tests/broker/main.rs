//! Attacks on the broker, one idea a module: who asks for a name gets what the kernel would give, or
//! the errno that the judge says, and nothing else happens.
//!
//! Each denial first shows that the act works without a wall, and has a twin that works inside.
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

mod absent_names;
mod bind_race;
mod blocking;
mod deaths;
mod exact;
mod faults;
mod ghosts;
mod git_init;
mod git_race;
mod git_settings;
mod git_work;
mod hidden;
mod kept;
mod kept_appends;
mod kept_race;
mod kept_trees;
mod later;
mod limits;
mod masked;
mod nested;
mod parents;
mod present_names;
mod procfs;
mod races;
mod record;
mod remotes;
mod reopened;
mod sockets;
mod spellings;
mod tcp;
mod threads;
mod trial;
mod waiters;
