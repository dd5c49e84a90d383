//! Homes by any name, and what toolchains in them may bring in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::inside_a_container::contained;
use crate::support::{Place, finish, is_root};

/// This user's home as `/etc/passwd` has it.
fn listed_home() -> Option<PathBuf> {
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').nth(5).map(PathBuf::from).filter(|home| home.is_dir())
}

#[test]
fn a_home_is_no_workspace_by_any_name() {
    let place = Place::new();
    // `HOME` says another directory, and yet this one is a home.
    let listed = listed_home().unwrap().display().to_string();
    place
        .inside_with(&["--workspace", &listed], "true")
        .refused("home directory", "the listed home");
    place.inside_with(&["--workspace", "/home"], "true").refused("home directory", "the homes");
    place
        .inside_with(&["--grant", "/home:ro"], "true")
        .refused("home directory", "the homes, to read");
    place.inside("true").works("a project");
}

/// A bind mount gives a directory a second name.
#[test]
fn a_second_name_of_the_home_is_the_home() {
    let place = Place::new();
    place.outside("mkdir $OUT/alias $OUT/project").works("mount points");
    let run = |of: &str| {
        let bind = format!("mount --bind {of} $OUT/alias && export W=$OUT/alias");
        contained(&place, &bind, "sh -c 'ls -A'")
    };
    run("$H").refused("home directory", "the home under another name");
    run("$H/..").refused("home directory", "what holds the home");
    place.write("home/.local/state/cofferdam/x", "");
    run("$H/.local/state").refused("configuration or state", "our own state");
    run("$OUT/project").works("any other directory");
}

/// Whoever can write beside a toolchain can make a link of it.
#[test]
fn a_linked_toolchain_is_left_out() {
    let place = Place::new();
    let read = "cat $H/go/bin/id_test";
    place.outside("mkdir $H/go && ln -s ../.ssh $H/go/bin").works("a link to a secret");
    place.outside(read).works("the control");
    place.inside(read).fails(&["No such file"], "a secret by a toolchain's name");
    let plan = finish(
        place.command(crate::support::programs().join("cofferdam")).args(["plan", "--", "true"]),
    );
    assert!(plan.works("the plan").out.contains("go/bin leads to"), "it is told");
    place.outside("rm $H/go/bin && mkdir $H/go/bin && echo tool > $H/go/bin/tool").works("");
    place.inside("cat $H/go/bin/tool").works("a toolchain that is one");
}

/// uv keeps tokens beside its toolchains.
#[test]
fn tokens_beside_toolchains_are_absent() {
    let place = Place::new();
    place.write("home/.local/share/uv/credentials/credentials.toml", "token\n");
    place.write("home/.local/share/uv/tools/t/bin/t", "tool\n");
    let read = "cat $H/.local/share/uv/credentials/credentials.toml";
    place.outside(read).works("the control");
    place.inside(read).fails(&["No such file"], "uv's credentials");
    place.inside("cat $H/.local/share/uv/tools/t/bin/t").works("its tools");
}

/// The private home is made where `HOME` says, or below /home where that is the system's.
#[test]
fn a_home_is_made_where_one_can_be() {
    let place = Place::new();
    let run = |home: &str| {
        let mut command = place.cofferdam(&[]);
        let state = place.root.join("state");
        command.env("HOME", home).env("XDG_STATE_HOME", state);
        finish(command.args(["sh", "-c", "echo kept > $HOME/file && cat $HOME/file && echo $HOME"]))
    };
    for (home, want, why) in [
        ("/usr/x", "/home/", "below the system"),
        ("/dev", "/home/", "our own"),
        ("/etc", "/home/", "the system's"),
        ("/", "/home/", "no home at all"),
        ("/tmp", "/tmp\n", "a private place already"),
        ("/srv/some/home", "/srv/some/home\n", "anywhere else"),
    ] {
        let ran = run(home).works(why);
        assert!(ran.out.starts_with(&format!("kept\n{want}")), "{why}: {ran:?}");
    }
    run("/x\ny").refused("is no home for the sandbox", "it would be a line of /etc/passwd");
}

/// Root's workload has the owner's own group, not whatever group the directory has.
#[test]
fn an_owner_keeps_its_group() {
    if !is_root() {
        eprintln!("not run as an ordinary user: homes: an_owner_keeps_its_group");
        return;
    }
    let place = Place::new();
    let ran = |owner: &str| {
        place.outside(&format!("chown {owner} $W && chmod 755 $R $H $H/src")).works(owner);
        place.inside("id -u; id -g; id -G").works(owner).out
    };
    // daemon is user 1, group 1 on Debian; 42 is shadow's, 6 disk's, and 4242 has no account.
    assert_eq!(ran("1:42"), "1\n1\n1\n", "the account's group");
    assert_eq!(ran("4242:4242"), "4242\n4242\n4242\n", "no account: its own number");
    let without = ran("4242:6");
    assert!(!without.contains("\n6\n"), "never the directory's: {without}");
}
