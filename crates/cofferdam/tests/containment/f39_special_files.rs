//! F39: FIFOs and sockets may be made, devices may not; and none of them holds our own commands up.

use crate::support::{Place, finish, is_root, programs};

/// Everything below the workspace that cofferdam reads or looks at by itself.
const READ: &[&str] = &[
    ".git",
    "HEAD",
    "config",
    "commondir",
    ".git/config",
    ".git/commondir",
    ".git/hooks/pre-commit",
    ".git/worktrees/x/gitdir",
    ".git/worktrees/x/commondir",
    ".git/modules/x/config",
    ".envrc",
    ".mcp.json",
];

#[test]
fn special_files_stop_nobody() {
    let place = Place::new();
    place.inside("mkfifo f && (echo x > f & cat f)").works("a FIFO");
    place
        .python_inside("import socket; s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()")
        .works("a socket");
    for (kind, number) in [("b", "7 0"), ("c", "1 5"), ("c", "0 0")] {
        let act = format!("mknod device {kind} {number}");
        if is_root() {
            place.outside(&format!("{act} && rm device")).works("root makes one");
        }
        place.inside(&act).fails(&["not permitted"], "a device");
    }
    let ours = |words: &[&str]| {
        let mut command = place.command("timeout");
        finish(command.args(["60"]).arg(programs().join("cofferdam")).args(words))
    };
    for name in READ {
        // The workload where it may; where the name is held, somebody else.
        let plant = format!("mkdir -p $(dirname {name}) && mkfifo {name}");
        if ["HEAD", "config", "commondir"].contains(name) {
            place.inside(&plant).works("the workload plants it");
        } else {
            place.inside(&plant).fails(&["Permission denied"], name);
            assert!(!place.work.join(name).exists(), "{name}");
            place.outside(&plant).works("planted outside");
        }
        for words in [&["plan", "--", "true"][..], &["run", "--quiet", "--", "true"]] {
            let ran = ours(words);
            // Done or refused, and in time: `timeout` says 124.
            assert!(matches!(ran.status, Some(0 | 125)), "{name}: {words:?}: {ran:?}");
        }
        for words in [&["audit", "verify"][..], &["home", "list"]] {
            ours(words).works(name);
        }
        place.outside(&format!("rm {name}; rm -rf .git")).works("the next");
    }
    // A policy that a person names, where the workload put another thing.
    let policy = ".cofferdam/policy.toml";
    let plant = format!("mkdir .cofferdam && mkfifo {policy}");
    place.inside(&plant).fails(&["Permission denied"], "the workload cannot");
    place.outside(&plant).works("planted outside");
    for words in [
        &["policy", "show", policy][..],
        &["policy", "check", policy],
        &["plan", "--policy", policy, "--", "true"],
        &["run", "--policy", policy, "--", "true"],
    ] {
        ours(words).refused("it is a fifo", "and does not wait");
    }
    let script = format!("{} policy check /dev/stdin", programs().join("cofferdam").display());
    place.outside(&format!("echo version = 1 | {script}")).works("a pipe of the shell's");
    place.outside("mkfifo x && ! timeout 1 cat x").works("who opens one waits: the control");
}
