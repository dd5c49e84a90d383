//! The same random operations on names outside and inside: the same answers, the same trees.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Place, Ran, finish, variable};
use crate::{Compared, same, taken};

/// Makes the operations (work/names.py).
const NAMES: &str = include_str!("names.py");
/// Operations of a run.
const COUNT: u32 = 5_000;
/// Seeds of the runs, from the one of `COFFERDAM_SEED` on: even ones make FIFOs, odd ones open to wait.
const SEEDS: u64 = 6;
/// A run takes a second; one that waits for what never comes is a failure. Seconds.
const WITHIN: &str = "100";

fn first_seed() -> u64 {
    let seed = variable("COFFERDAM_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(5_000);
    println!("COFFERDAM_SEED={seed}");
    seed
}

/// The operations in the directory `tree` of the workspace, which is made for it.
fn operations(place: &Place, way: Way, seed: u64, threads: u32) -> Ran {
    fs::create_dir(place.work.join("tree")).unwrap();
    let mut command = match way {
        Way::Outside => place.command("timeout"),
        Way::Inside => place.cofferdam(&[]),
    };
    let words = match way {
        Way::Outside => vec!["--signal=KILL", WITHIN],
        Way::Inside => vec!["timeout", "--signal=KILL", WITHIN],
    };
    let (seed, count) = (seed.to_string(), (COUNT / threads).to_string());
    command.args(words).args([
        "sh",
        "-c",
        "cd tree && exec /usr/bin/python3 -S -E -c \"$@\"",
        "sh",
    ]);
    finish(command.args([NAMES, &seed, &count, &threads.to_string()]))
}

#[derive(Clone, Copy)]
enum Way {
    Outside,
    Inside,
}

/// Both ways at one path, one after the other; what the operations answered.
#[track_caller]
fn compare(seed: u64, threads: u32) -> String {
    let place = Place::new();
    let what = format!("seed {seed}, {threads} threads");
    let outside = operations(&place, Way::Outside, seed, threads).works(&what);
    let tree_outside = taken(&place, Compared::Exact, "tree", &[]);
    let inside = operations(&place, Way::Inside, seed, threads);
    let tree_inside = taken(&place, Compared::Exact, "tree", &[]);
    same(&format!("{what}: operations"), &outside.out, &inside.out);
    inside.works(&what);
    same(&format!("{what}: trees"), &tree_outside, &tree_inside);
    outside.out
}

#[test]
fn operations_of_one_thread() {
    let first = first_seed();
    let (mut answers, mut worked) = (BTreeSet::new(), BTreeSet::new());
    for seed in first..first + SEEDS {
        for line in compare(seed, 1).lines() {
            let (call, answer) = line.rsplit_once(" = ").unwrap_or_default();
            let name = call.split(['(', ' ']).nth(2).unwrap_or_default();
            if answer.starts_with('E') {
                answers.insert(answer.to_owned());
            } else {
                worked.insert(name.to_owned());
            }
        }
    }
    // What was compared is worth comparing: every call worked somewhere, and failed in many ways.
    for name in
        ["openat", "mkdirat", "mknod", "linkat", "symlinkat", "renameat2", "unlinkat", "bind"]
    {
        assert!(worked.contains(name), "no {name} worked: {worked:?}");
    }
    for error in ["EEXIST", "ELOOP", "ENAMETOOLONG", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EFAULT"] {
        assert!(answers.contains(error), "no {error}: {answers:?}");
    }
    println!("{SEEDS} runs of {COUNT} operations, {} ways to fail", answers.len());
}

/// Threads with umask and cwd of their own, each in a tree of its own, at once.
#[test]
fn operations_of_four_threads() {
    let first = first_seed();
    for seed in first..first + 2 {
        compare(seed, 4);
    }
}

/// What `/proc/self` says is said to the caller: a name made by way of it lies where the caller is, and
/// never where the broker is, at the top of the workspace.
#[test]
fn names_by_way_of_proc_are_the_callers() {
    let place = Place::new();
    let acts = "import socket
os.makedirs('sub'); os.chdir('sub'); os.symlink('/proc/self/cwd', 'here')
for way in ('/proc/self/cwd', '/proc/thread-self/cwd', 'here'):
    socket.socket(socket.AF_UNIX).bind(way + '/.mcp.json')
    print(sorted(os.listdir('.')), sorted(os.listdir('..')))
    os.unlink('.mcp.json')
    os.mkdir(way + '/.mcp.json'); os.rmdir('.mcp.json')
    os.symlink('x', way + '/.mcp.json'); os.rename(way + '/.mcp.json', way + '/.envrc')
    os.close(os.open(way + '/.mcp.json', os.O_WRONLY | os.O_CREAT | os.O_EXCL)); os.unlink('.mcp.json'); os.unlink('.envrc')
    print(sorted(os.listdir('.')), sorted(os.listdir('..')))";
    let outside = place.python_outside(acts).works("without a wall");
    place.outside("rm -r sub").works("");
    let inside = place.python_inside(acts);
    assert!(!place.work.join(".mcp.json").exists(), "made at the top, by the broker: {inside:?}");
    same("names by way of /proc", &outside.out, &inside.works("inside").out);
}
