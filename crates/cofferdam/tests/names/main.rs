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
mod approvals;
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

/// Rows, or parts of rows, that a gateway which looks at connections cannot decide.
const NOT_HERE: &[(&str, &str)] = &[
    ("E22", "nobody is called back: a verdict is a function of the policy, and made nowhere else"),
    ("E25", "there is no managed layer yet"),
    ("S02 in TLS", "what is inside of TLS is not read; in the clear it is decided"),
    ("S18 frames", "WebSocket is let through whole where the host is; no rule names its paths"),
    ("S19 in TLS", "an allowed host can be a proxy for others inside of TLS"),
    ("S21", "TLS is not taken off, so there is no authority that could be missing"),
    ("S22 rules", "no rule names paths; what is judged is passed on byte for byte"),
    ("S24 in TLS", "what is inside of TLS is not read"),
    ("S25, S40", "no body is read"),
    ("S31, S44 refused", "an allowed host is allowed whole, which a test shows: no body is read"),
];

#[test]
fn rows_that_are_decided_elsewhere() {
    for (row, why) in NOT_HERE {
        println!("not here: {row}: {why}");
    }
    let mut rows: Vec<&str> = NOT_HERE.iter().map(|(row, _)| *row).collect();
    rows.dedup();
    assert_eq!(rows.len(), NOT_HERE.len(), "each once");
}
