//! Ordinary work inside, compared with the same work outside: what is made, what is answered, and what
//! the host's own changes leave of the rules.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "panics are how tests fail"
)]

#[path = "support/mod.rs"]
mod support;

#[path = "work/big.rs"]
mod big;
#[path = "work/crowd.rs"]
mod crowd;
#[path = "work/differential.rs"]
mod differential;
#[path = "work/host_replaces.rs"]
mod host_replaces;
#[path = "work/real.rs"]
mod real;

use std::fs;

use support::{Place, finish};

/// Tells what a tree holds (work/tree.py).
const TREE: &str = include_str!("work/tree.py");

/// What a test compares of a tree.
#[derive(Clone, Copy, Debug)]
enum Compared {
    /// Everything but times and numbers of inodes.
    Exact,
    /// Names, modes, contents, targets.
    Content,
}

/// What the directory `name` of the workspace holds, one line a name; it is gone afterwards.
#[track_caller]
fn taken(place: &Place, compared: Compared, name: &str, left_out: &[&str]) -> String {
    let kind = match compared {
        Compared::Exact => "exact",
        Compared::Content => "content",
    };
    let top = place.work.join(name);
    let mut command = place.command("/usr/bin/python3");
    command.args(["-S", "-E", "-c", TREE, kind]).arg(&top).args(left_out);
    let held = finish(&mut command).works("look at the tree").out;
    fs::remove_dir_all(&top).unwrap_or_else(|error| panic!("{}: {error}", top.display()));
    held
}

/// Two texts are the same; the first line that is not is what a person wants to see.
#[track_caller]
fn same(what: &str, outside: &str, inside: &str) {
    if outside == inside {
        return;
    }
    let mut lines = outside.lines().zip(inside.lines()).enumerate();
    let Some((number, (out, within))) = lines.find(|(_, (out, within))| out != within) else {
        let (out, within) = (outside.lines().count(), inside.lines().count());
        panic!("{what}: {out} lines outside, {within} inside");
    };
    panic!(
        "{what}: line {number} is the first that differs\n  outside: {out}\n  inside:  {within}"
    );
}
