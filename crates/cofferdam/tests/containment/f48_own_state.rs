//! F48: our configuration, state and log cannot be granted, and are not there.

use crate::support::{Place, finish};

#[test]
fn our_own_places_are_out_of_reach() {
    let place = Place::new();
    place.inside("true").works("makes the log");
    let act = "echo x >> $H/.local/state/cofferdam/audit.jsonl";
    place.inside(act).fails(&["No such file", "nonexistent"], "the log");
    place
        .inside("mkdir $H/.config && echo x > $H/.config/policy.toml")
        .works("the private home is the sandbox's own");
    assert!(!place.home.join(".config").exists(), "and nothing of it is on the host");
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    for grant in
        [".config", ".config/cofferdam", ".local/state", ".local/state/cofferdam", ".local"]
    {
        let words = format!("{}/{grant}:rw", place.home.display());
        place.inside_with(&["--grant", &words], "true").refused("configuration or state", grant);
        let workspace = format!("{}/{grant}", place.home.display());
        place
            .inside_with(&["--workspace", &workspace], "true")
            .refused("configuration or state", grant);
    }
    let log = place.work.join("audit.jsonl").display().to_string();
    place
        .inside_with(&["--audit", &log], "true")
        .refused("which is in the workload's view", "a log in the workspace");
    let log = place.out.join("audit.jsonl").display().to_string();
    place.inside_with(&["--audit", &log], "true").works("a log elsewhere");
    place.outside(act).works("outside");
}

#[test]
fn nothing_of_the_workspace_is_policy() {
    let place = Place::new();
    let out = place.out.display().to_string();
    let text = format!(
        "version = 1\n[filesystem]\ngrant = [{{ path = \"{out}\", mode = \"read-only\" }}]\n"
    );
    for name in
        ["policy.toml", "cofferdam.toml", ".cofferdam/policy.toml", ".config/cofferdam/policy.toml"]
    {
        place.write(&format!("home/src/app/{name}"), &text);
    }
    place.write("home/src/app/.env", "XDG_CONFIG_HOME=.config\n");
    place
        .inside("cat $OUT/canary")
        .fails(&["No such file"], "files of the workspace grant nothing");
    let named = place.work.join("policy.toml").display().to_string();
    place
        .inside_with(&["--policy", &named], "cat $OUT/canary")
        .works("the same, named by a person");
    // A shell that follows a project's settings may have set this: it is no way around.
    let mut command = place.cofferdam(&[]);
    command.env("XDG_CONFIG_HOME", place.work.join(".config")).args(["cat", "/etc/hostname"]);
    finish(&mut command).refused("inside the working directory", "our places inside the workspace");
    let mut command = place.cofferdam(&[]);
    command.env("HOME", &place.work).args(["cat", "/etc/hostname"]);
    finish(&mut command).refused("inside the working directory", "a home inside the workspace");
    place.outside("git init -q . && mkdir sub").works("a repository");
    let mut command = place.cofferdam(&[]);
    command.current_dir(place.work.join("sub")).env("XDG_CONFIG_HOME", place.work.join(".config"));
    finish(command.arg("true")).refused("or its repository", "from a directory below");
}
