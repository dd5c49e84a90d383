//! The jail of bubblewrap: what holds under the native one holds under it, as root and as an ordinary user.

#![expect(clippy::unwrap_used, reason = "panics are how tests fail")]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod f51_setup_through_links;
mod names;
mod planned;
mod start;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::{Place, Ran, finish, is_root};

/// Who works in the workspace where root runs the tests.
const OWNER: &str = "65533";

/// A place whose workspace is an ordinary user's: root's own is a refusal of its own.
struct Cage(Place);

impl Cage {
    fn new() -> Self {
        let cage = Self(Place::new());
        cage.give();
        cage
    }

    /// All of the workspace is its owner's.
    fn give(&self) {
        if is_root() {
            for above in [self.0.root.clone(), self.0.home.clone(), self.0.home.join("src")] {
                fs::set_permissions(&above, fs::Permissions::from_mode(0o755)).unwrap();
            }
            self.0.outside(&format!("chown -R -h {OWNER}:{OWNER} $W $OUT")).works("give it away");
        }
    }

    fn command(&self, options: &[&str]) -> Command {
        let options: Vec<_> = ["--jail", "bubblewrap"].iter().chain(options).copied().collect();
        self.0.cofferdam(&options)
    }

    fn inside(&self, script: &str) -> Ran {
        self.inside_with(&[], script)
    }

    fn inside_with(&self, options: &[&str], script: &str) -> Ran {
        finish(self.command(options).args(["sh", "-c", script]))
    }

    /// As the workspace's owner and without a wall.
    fn outside(&self, script: &str) -> Ran {
        if !is_root() {
            return self.0.outside(script);
        }
        let words = ["--reuid", OWNER, "--regid", OWNER, "--clear-groups", "sh", "-c", script];
        finish(self.0.command("/usr/bin/setpriv").args(words))
    }
}
