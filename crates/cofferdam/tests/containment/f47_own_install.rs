//! F47: cofferdam's own programs, policy and state below a writable tree: kept, or refused.

use crate::support::{Place, finish, programs};

#[test]
fn an_install_in_a_writable_grant_stays() {
    let place = Place::new();
    let bin = place.out.join("tools/bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["cofferdam", "cofferdam-init", "cofferdam-gateway"] {
        std::fs::copy(programs().join(name), bin.join(name)).unwrap();
    }
    let policy = place.write("out/tools/etc/policy.toml", "version = 1\n");
    let (grant, policy) =
        (format!("{}/tools:rw", place.out.display()), policy.display().to_string());
    let run = |script: &str| {
        let mut command = place.command(bin.join("cofferdam"));
        command.args(["run", "--quiet", "--env", "OUT", "--grant", &grant, "--policy", &policy]);
        finish(command.args(["--", "sh", "-c", script]))
    };
    let kept = &["Permission denied", "busy"];
    for file in ["bin/cofferdam", "bin/cofferdam-init", "bin/cofferdam-gateway", "etc/policy.toml"]
    {
        for act in ["echo x >> F", "rm F", "mv F x", "cp /bin/true y && mv y F"] {
            let act = act.replace('F', &format!("$OUT/tools/{file}"));
            run(&act).fails(kept, &act);
        }
    }
    for act in ["mv $OUT/tools/bin $OUT/tools/x", "mv $OUT/tools/etc $OUT/tools/x"] {
        run(act).fails(kept, act);
    }
    run("echo x > $OUT/tools/bin/beside && echo x > $OUT/tools/etc/beside").works("beside them");
    place.outside("echo x >> $OUT/tools/etc/policy.toml").works("the control");
}

/// State and kept homes are in no tree of the view, and no tree is in them.
#[test]
fn state_is_granted_to_nobody() {
    let place = Place::new();
    let policy = place.write("p.toml", "version = 1\n[filesystem]\nhome = \"project\"\n");
    let policy = policy.display().to_string();
    place.inside_with(&["--policy", &policy], "echo kept > ~/kept").works("makes a home");
    let homes = place.home.join(".local/state/cofferdam/homes");
    let home = std::fs::read_dir(&homes).unwrap().next().unwrap().unwrap().path();
    place.outside(&format!("cat {}/home/kept", home.display())).works("the control");
    for at in [&homes, &home, &home.join("home"), &home.join("home/kept")] {
        for mode in ["ro", "rw"] {
            let grant = format!("{}:{mode}", at.display());
            place
                .inside_with(&["--grant", &grant], "true")
                .refused("configuration or state", "a kept home is no grant");
        }
        place
            .inside(&format!("cat {}", at.display()))
            .fails(&["No such file"], "and is not in view");
    }
    // What decides about a run, or records it, is not in the home that it has.
    let policy_inside = home.join("home/p.toml").display().to_string();
    std::fs::copy(place.root.join("p.toml"), &policy_inside).unwrap();
    place
        .inside_with(&["--policy", &policy_inside], "true")
        .refused("lies in the kept home", "its policy");
    let log = home.join("home/log").display().to_string();
    place
        .inside_with(&["--policy", &policy, "--audit", &log], "true")
        .refused("lies in the kept home", "its log");
    // State that a variable leads into a writable tree.
    let mut command = place.cofferdam(&["--grant", &format!("{}:rw", place.out.display())]);
    command.env("XDG_STATE_HOME", place.out.join("state")).arg("true");
    finish(&mut command).refused("configuration or state", "state in a grant");
    let mut command = place.cofferdam(&[]);
    command.env("XDG_STATE_HOME", place.work.join("state")).arg("true");
    finish(&mut command).refused("configuration or state", "state in the workspace");
}
