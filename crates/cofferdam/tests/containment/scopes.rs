//! A limit that needs a cgroup is held in a transient scope of the user's, where systemd makes one.
//!
//! There may be no service manager here, so one that a script plays stands over `systemd-run`, in a
//! mount namespace; that it makes a group available is played too.

use std::path::Path;

use crate::support::{Place, Ran, finish, has_groups, is_root, programs};

const PLAYED: &str = "/usr/bin/systemd-run";

/// Runs with a memory limit where no cgroup can be seen, and the script in place of systemd-run.
fn played(place: &Place, verb: &str, script: &str) -> Ran {
    let fake =
        place.write("out/fake", &format!("#!/bin/sh\necho \"$*\" >> $OUT/asked\n{script}\n"));
    place.write("out/run/bus", "");
    let cofferdam = programs().join("cofferdam").display().to_string();
    let outer = format!(
        "chmod 755 {fake}; mount --make-rprivate / && mount --bind {fake} {PLAYED} && \
         mount -t tmpfs -o ro none /sys/fs/cgroup && export XDG_RUNTIME_DIR=$OUT/run && \
         exec {cofferdam} {verb} --limit memory=1GiB --env 'A=$B' -- sh -c 'echo \"ran $A\" >> ran'",
        fake = fake.display(),
    );
    finish(place.command("unshare").args(["-m", "sh", "-c", &outer]))
}

const SKIP: &str = "while [ \"$1\" != -- ]; do shift; done; shift";

#[test]
fn a_limit_is_held_in_a_scope() {
    if !is_root() || !has_groups() || !Path::new(PLAYED).exists() {
        eprintln!("not run here: scopes: needs root with cgroups, and {PLAYED} to stand over");
        return;
    }
    // An old one that does not know the option, and one that does.
    for old in ["case \"$*\" in *--expand*) exit 1;; esac", ":"] {
        let place = Place::new();
        let ran =
            played(&place, "run", &format!("{old}\n{SKIP}\numount /sys/fs/cgroup; exec \"$@\""));
        ran.works("in a scope");
        assert_eq!(place.read("home/src/app/ran"), "ran $B\n", "once, with the words as they were");
        let asked = place.read("out/asked");
        let last = asked.lines().last().unwrap_or_default();
        assert!(
            last.starts_with(
                "--user --scope --collect --quiet --description=cofferdam -p Delegate=yes"
            ) && last.contains("/cofferdam run --limit memory=1GiB"),
            "{asked}"
        );
        let log = std::fs::read_to_string(place.audit_log()).unwrap();
        assert!(!log.contains("limit-unheld"), "nothing was refused");
    }
}

#[test]
fn what_is_no_scope_is_a_refusal() {
    if !is_root() || !Path::new(PLAYED).exists() {
        eprintln!("not run here: scopes: needs root, and {PLAYED} to stand over");
        return;
    }
    for (script, asks, why) in [
        ("exit 1", 2, "no service manager answers"),
        (&*format!("{SKIP}; exec \"$@\""), 2, "it does not delegate: one more life, and no third"),
    ] {
        for verb in ["run", "plan"] {
            let place = Place::new();
            let ran = played(&place, verb, script);
            ran.refused("systemd-run --user --scope -p Delegate=yes", why);
            assert_eq!(place.read("out/asked").lines().count(), asks, "{verb}: {why}");
            assert_eq!(place.read("home/src/app/ran"), "", "nothing ran");
        }
    }
}
