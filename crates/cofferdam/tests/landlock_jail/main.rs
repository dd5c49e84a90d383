//! The jail without namespaces: what it holds, what it refuses, and that nothing is left of it.
//!
//! Its workload is never root: as root the tests give their place to another user.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod abi;
mod acts;
mod ends;
mod refuses;
mod works;

use std::process::Command;

use support::{Place, Ran, finish, is_root, programs, python};

/// Every clause that it does not hold on a kernel with Landlock's scopes.
pub(crate) const GIVEN_UP: &str =
    "absent,processes,private-places,private-size,process-limit,times,signals,abstract-sockets";
/// Who owns the place where root runs the tests: nobody of this machine.
const OWNER: &str = "748211";

/// A place whose workspace an ordinary user owns.
pub(crate) fn place() -> Place {
    let place = Place::new();
    if is_root() {
        let owner = format!("{OWNER}:{OWNER}");
        let root = place.root.display().to_string();
        place.outside(&format!("chown -R {owner} {root}")).works("the place is another's");
    }
    place
}

/// `cofferdam run --jail landlock` with all that it does not hold given up.
pub(crate) fn run(place: &Place, more: &[&str]) -> Command {
    let mut options = vec!["--jail", "landlock", "--best-effort", GIVEN_UP];
    options.extend(more);
    place.cofferdam(&options)
}

pub(crate) fn inside(place: &Place, script: &str) -> Ran {
    finish(run(place, &[]).args(["sh", "-c", script]))
}

pub(crate) fn python_inside(place: &Place, body: &str) -> Ran {
    finish(run(place, &[]).args(["/usr/bin/python3", "-c", &python(body)]))
}

/// The same user without any wall.
pub(crate) fn outside(place: &Place, program: &str, arguments: &[&str]) -> Command {
    if !is_root() {
        let mut command = place.command(program);
        command.args(arguments);
        return command;
    }
    let mut command = place.command("setpriv");
    command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups", program]).args(arguments);
    command
}

/// A Python body that must work for the same user outside, and fail inside.
#[track_caller]
pub(crate) fn attack(place: &Place, body: &str, with: &[&str], why: &str) {
    finish(&mut outside(place, "/usr/bin/python3", &["-c", &python(body)])).works(why);
    python_inside(place, body).fails(with, why);
}

/// `cofferdam plan` in this jail.
pub(crate) fn plan(place: &Place, more: &[&str]) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    command.args(["plan", "--jail", "landlock", "--best-effort", GIVEN_UP]).args(more);
    finish(command.args(["--", "true"]))
}
