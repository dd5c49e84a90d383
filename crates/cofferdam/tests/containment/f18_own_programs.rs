//! F18: our own programs cannot be overwritten, not even where they lie in the workspace.

use crate::support::{Place, finish, programs};

#[test]
fn own_programs_in_the_workspace_stay() {
    let place = Place::new();
    let bin = place.work.join("target/bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["cofferdam", "cofferdam-init"] {
        std::fs::copy(programs().join(name), bin.join(name)).unwrap();
    }
    let run = |script: &str| {
        finish(
            place.command(bin.join("cofferdam")).args(["run", "--quiet", "--", "sh", "-c", script]),
        )
    };
    let kept = &["Permission denied", "busy"];
    for name in ["cofferdam", "cofferdam-init"] {
        run(&format!("echo x >> target/bin/{name}")).fails(kept, "write");
        run(&format!("rm target/bin/{name}")).fails(kept, "remove");
        run(&format!("mv target/bin/{name} x")).fails(kept, "rename");
    }
    run("mv target/bin target/y").fails(kept, "rename of their directory");
    run("mv target z").fails(kept, "rename of the directory above");
    run("echo x > target/bin/beside && rm target/bin/beside").works("beside them");
    place.outside("echo x >> target/bin/cofferdam-init && mv target t").works("outside");
}

#[test]
fn init_cannot_be_reached_through_proc() {
    let place = Place::new();
    place.outside("sleep 5 & cat /proc/$!/exe > /dev/null").works("a program of one's own");
    place
        .inside("cat /proc/1/exe > /dev/null")
        .fails(&["Permission denied"], "read init's program");
    place.inside("echo x > /proc/1/exe").fails(&["ermission denied"], "write init's program");
    place.inside("cat /proc/self/exe > /dev/null").works("one's own");
}
