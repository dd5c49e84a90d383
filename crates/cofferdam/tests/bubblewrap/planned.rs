//! What `plan` and `doctor` say of it, and whom nobody asks.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::Cage;
use crate::support::{finish, programs};

#[test]
fn the_plan_names_the_wall() {
    let cage = Cage::new();
    let mut command = cage.0.command(programs().join("cofferdam"));
    let ran = finish(command.args(["plan", "--jail", "bubblewrap", "--json", "--", "true"]));
    let out = ran.works("plan").out;
    let all: serde_json::Value = serde_json::from_str(&out).unwrap();
    let text = all.to_string();
    for said in
        ["\"process/bubblewrap\"", "/usr/bin/bwrap", "--unshare-user", "mount view by bwrap"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// A project's own `bwrap`, first on `PATH`, is never run.
#[test]
fn what_a_project_puts_on_the_path_is_nobodys() {
    let cage = Cage::new();
    let planted = cage.0.write("home/src/app/bin/bwrap", "#!/bin/sh\ntouch $W/ran\n");
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
    cage.give();
    let path = format!("{}/bin:/usr/bin:/bin", cage.0.work.display());
    cage.outside("PATH=$W/bin:$PATH bwrap; test -e ran && rm ran").works("outside it runs");
    let mut command = cage.command(&[]);
    finish(command.arg("true").env("PATH", &path)).works("the run");
    let mut command = cage.0.command(programs().join("cofferdam"));
    drop(finish(command.args(["plan", "--jail", "bubblewrap", "--", "true"]).env("PATH", &path)));
    let mut command = cage.0.command(programs().join("cofferdam"));
    drop(finish(command.arg("doctor").env("PATH", &path)));
    assert!(!cage.0.work.join("ran").exists());
}
