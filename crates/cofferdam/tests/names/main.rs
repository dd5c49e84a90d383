//! Names out of the cage, on an internet of our own (internet/).
//!
//! Each first shows that the act works without a wall, then what comes of it inside.

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod asking;
mod authorities;
mod clients;
mod fixture;
mod hellos;
mod internet;
mod l04_gateway_dies;
mod smuggling;
mod sockets;
