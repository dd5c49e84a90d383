//! What a person's terminal, file or pipe gets of what a command writes: nothing that acts on a terminal,
//! nothing that was planted, no more than the policy says. Each with its twin that passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where, and starts programs")]

#[path = "output/bounds.rs"]
mod bounds;
#[path = "output/forgery.rs"]
mod forgery;
#[path = "output/masks.rs"]
mod masks;
#[path = "support/mod.rs"]
mod support;
#[path = "output/terminals.rs"]
mod terminals;

use std::fs;

use support::{Place, Ran, finish, programs};

/// What is planted.
const CANARY: &str = "no-such-invoice-4711";

/// A place with a policy of this text below its first line.
fn place(policy: &str) -> Place {
    let place = Place::new();
    place.write("policy.toml", &format!("version = 1\n{policy}\n"));
    place
}

/// Runs a shell script inside with the place's policy; output is a pipe.
fn inside(place: &Place, options: &[&str], script: &str) -> Ran {
    let policy = place.root.join("policy.toml");
    let mut command = place.command(programs().join("cofferdam"));
    command.arg("run").arg("--policy").arg(policy).args(options);
    finish(command.args(["--", "sh", "-c", script]))
}

/// The same, with the bytes of its output.
fn bytes(place: &Place, script: &str) -> Vec<u8> {
    let policy = place.root.join("policy.toml");
    let mut command = place.command(programs().join("cofferdam"));
    command.args(["run", "--quiet", "--policy"]).arg(policy).args(["--", "sh", "-c", script]);
    command.output().unwrap().stdout
}

/// Records of this kind.
fn events(place: &Place, kind: &str) -> Vec<String> {
    let log = fs::read_to_string(place.audit_log()).unwrap_or_default();
    let kind = format!("\"event\":{{\"kind\":\"{kind}\"");
    log.lines().filter(|line| line.contains(&kind)).map(str::to_owned).collect()
}
