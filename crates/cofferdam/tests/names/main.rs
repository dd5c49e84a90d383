//! Names out of the cage, on an internet of our own (internet/).
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

mod addresses;
mod asking;
mod authorities;
mod caps;
mod clients;
mod fixture;
mod hellos;
mod internet;
mod l04_gateway_dies;
mod literals;
mod local_servers;
mod lookups;
mod packages;
mod patterns;
mod publish;
mod record;
mod registries;
mod relays;
mod resilience;
mod smuggling;
mod sockets;
mod tunnels;
mod upstream_proxies;
mod wildcards;
