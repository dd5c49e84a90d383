//! What the broker and the mounts hold of a tree.

use crate::Cage;

#[test]
fn protected_hidden_and_kept_names() {
    let cage = Cage::new();
    cage.0.write("home/src/app/.git/hooks/pre-push", "#!/bin/sh\n");
    cage.0.write("home/src/app/.git/config", "[core]\n");
    cage.0.write("home/src/app/.env", "TOKEN=secret\n");
    cage.0.write("home/src/app/kept/old", "old\n");
    cage.give();
    let options = ["--hide", ".env", "--protect", "later"];
    for (act, with) in [
        ("cat .env", "No such file"),
        ("echo x > .git/hooks/pre-push", "Permission denied"),
        ("echo x > .git/hooks/post-merge", "Permission denied"),
        ("mv .git .got", "Permission denied"),
        ("mkdir later", "Permission denied"),
        ("ln -s /tmp .claude", "Permission denied"),
    ] {
        cage.inside_with(&options, act).fails(&[with], act);
    }
    let acts =
        "echo x > new && mkdir d && mv new d/ && rm -r d && touch .git/index && chmod 700 kept";
    cage.inside_with(&options, acts).works("what nobody forbids");
    for act in ["cat .env", "echo x > .git/hooks/pre-push", "mkdir later", "mv .git .got"] {
        cage.outside(act).works(act);
    }
}

#[test]
fn grants_are_what_they_say() {
    let cage = Cage::new();
    let out = cage.0.out.display().to_string();
    cage.inside("cat $OUT/canary").fails(&["No such file"], "not granted");
    cage.inside("cat $H/.ssh/id_test").fails(&["No such file"], "the home is a fresh one");
    let (read, write) = (format!("{out}:ro"), format!("{out}:rw"));
    let read = ["--grant", read.as_str()];
    assert_eq!(cage.inside_with(&read, "cat $OUT/canary").works("granted").out, "out-canary\n");
    cage.inside_with(&read, "echo x > $OUT/canary").fails(&["Read-only", "denied"], "to read");
    let write = ["--grant", write.as_str()];
    cage.inside_with(&write, "echo x > $OUT/more").works("to write");
    assert_eq!(cage.0.read("out/more"), "x\n");
}

/// The host replaces a file that a mount holds: the broker, who holds its name, still does.
#[test]
fn a_file_that_the_host_replaces_stays_protected() {
    let cage = Cage::new();
    cage.0.write("home/src/app/.mcp.json", "{}\n");
    cage.give();
    let script = "touch ready; n=0; while [ ! -e go ] && [ $n -lt 500 ]; do n=$((n+1)); sleep 0.02; done; \
                  if (echo x > .mcp.json) 2>/dev/null; then echo written; fi; echo over";
    let mut command = cage.command(&[]);
    command.args(["sh", "-c", script]).stdout(std::process::Stdio::piped());
    let run = command.spawn().unwrap();
    let host = "n=0; while [ ! -e ready ] && [ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done; \
                echo '{1}' > new && mv new .mcp.json && touch go";
    cage.outside(host).works("the host saves a file");
    let output = run.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "over\n");
}
