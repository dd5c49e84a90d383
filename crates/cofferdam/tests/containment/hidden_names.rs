//! Names that a person hides or protects: closed and kept, wherever they are in the view.

use std::process::Stdio;

use crate::support::{Place, finish};

const CLOSED: &[&str] = &["Permission denied", "No such file", "busy"];

fn project() -> Place {
    let place = Place::new();
    place.write("home/src/app/conf/.env", "KEY=1\n");
    place.write("home/src/app/conf/keys/private/a", "secret\n");
    place.write("home/src/app/conf/keys/public/b", "public\n");
    place.write("home/src/app/conf/Makefile", "all:\n");
    place.write("out/data/.env", "KEY=2\n");
    place.write("out/data/x", "data\n");
    place
}

#[test]
fn what_is_hidden_opens_for_nobody() {
    let place = project();
    let data = format!("{}/data:ro", place.out.display());
    let in_data = format!("{}/data/.env", place.out.display());
    let flags =
        ["--hide", "conf/.env", "--hide", "conf/keys", "--grant", &data, "--hide", &in_data];
    for act in [
        "cat conf/.env",
        "cp conf/.env copy",
        "echo x >> conf/.env",
        "echo x > conf/.env",
        "rm conf/.env",
        "mv conf/.env x",
        "ln conf/.env second",
        "chmod 644 conf/.env",
        "ls conf/keys",
        "cat conf/keys/private/a",
        "echo x > conf/keys/c",
        "rmdir conf/keys",
        "mv conf/keys x",
        "chmod 755 conf/keys",
        "mv conf old",
        "cat $OUT/data/.env",
    ] {
        place.inside_with(&flags, act).fails(CLOSED, act);
        let fresh = project();
        fresh.outside(&act.replace("rmdir", "rm -r")).works(act);
    }
    place
        .inside_with(&flags, "cat conf/Makefile $OUT/data/x && echo x > conf/beside && ls conf")
        .works("beside them");
    place.outside("grep KEY=1 conf/.env && cat conf/keys/private/a").works("nothing has changed");
}

#[test]
fn what_is_protected_stays() {
    let place = project();
    let flags = ["--protect", "conf/Makefile", "--protect", "conf/keys"];
    for act in [
        "echo x >> conf/Makefile",
        "rm conf/Makefile",
        "mv conf/Makefile moved",
        "echo x > y && mv y conf/Makefile",
        "chmod 600 conf/Makefile",
        "echo x > conf/keys/public/b",
        "echo x > conf/keys/c",
        "rm -r conf/keys/public",
        "mv conf/keys x",
        "mv conf x",
    ] {
        place.inside_with(&flags, act).fails(CLOSED, act);
        project().outside(act).works(act);
    }
    place
        .inside_with(&flags, "cat conf/Makefile conf/keys/public/b && echo x > conf/.env")
        .works("read, and beside them");
}

/// A socket that somebody outside listens at is closed though its directory is granted; one that was made
/// inside is open unless it is hidden.
#[test]
fn a_socket_of_another_is_closed() {
    let place = Place::new();
    let (socket, work) = (place.work.join("s"), place.work.display().to_string());
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let body =
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['W'] + '/s')";
    place.python_outside(body).works("the control");
    place.python_inside(body).fails(&["EPERM"], "in a granted tree");
    let hide = format!("{work}/s");
    place.python_inside_with(&["--hide", &hide], body).fails(&["ENOENT"], "hidden");
    drop(listener);
    let own = format!(
        "import socket; l = socket.socket(socket.AF_UNIX); l.bind(os.environ['W'] + '/t'); l.listen()\n{}",
        body.replace("/s'", "/t'")
    );
    place.python_inside(&own).works("one of its own");
}

/// In a policy a name is relative to the workspace, in a flag to where the person stands.
#[test]
fn names_are_where_they_are_written() {
    let place = project();
    let policy = place.write("p.toml", "version = 1\n[filesystem]\nhide = [\"conf/.env\"]\n");
    let (policy, work) = (policy.display().to_string(), place.work.display().to_string());
    let run = |flags: &[&str], script: &str| {
        let mut command = place.cofferdam(flags);
        finish(command.current_dir(&place.out).args(["sh", "-c", script]))
    };
    let there = ["--workspace", &work, "--policy", &policy];
    run(&there, "cat $W/conf/.env").fails(&["No such file"], "of the workspace");
    run(&["--workspace", &work, "--hide", "conf/.env"], "cat $W/conf/.env")
        .works("a flag's is of the working directory, where there is none");
    run(&["--workspace", &work, "--hide", "data/.env"], "cat $W/conf/.env")
        .works("and what nothing grants needs no hiding");
    // Whoever stands in a hidden directory starts at the top.
    let mut command = place.cofferdam(&["--workspace", &work, "--hide", &format!("{work}/conf")]);
    let ran = finish(command.current_dir(place.work.join("conf")).arg("pwd")).works("starts");
    assert_eq!(ran.out.trim_end(), work);
}

/// The host replaces a hidden file while the workload runs, again and again: the mount over it falls, and
/// it is hidden all the same.
#[test]
fn a_hidden_file_that_is_replaced_stays_hidden() {
    let place = project();
    let replace = "for n in $(seq 200); do echo KEY=3 > new && mv new conf/.env; done";
    let acts = ["cat conf/.env", "test -e conf/.env", "cp conf/.env copy", "echo x >> conf/.env"];
    let held = place.during_a_run(&["--hide", "conf/.env"], replace, &acts);
    assert_eq!((held.status, held.out.as_str()), (Some(0), "over\n"), "{held:?}");
    assert!(held.err.contains("No such file"), "{held:?}");
    place.outside("test \"$(cat conf/.env)\" = KEY=3").works("nobody wrote to it");
    // Nor at the moment at which it is replaced.
    let script = "touch ready; while [ ! -e enough ]; do cat conf/.env; done 2> /dev/null; true";
    let mut command = place.cofferdam(&["--hide", "conf/.env"]);
    let child = command.args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    place
        .outside(&format!("while [ ! -e ready ]; do sleep 0.01; done; {replace}; touch enough"))
        .works("an editor's saves");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    place.inside("cat conf/.env").works("the control");
}

/// A tree around the workspace can be read; the workspace keeps its own rule.
#[test]
fn a_grant_may_hold_the_workspace() {
    let place = Place::new();
    let src = format!("{}/src", place.home.display());
    let ro = format!("{src}:ro");
    place.outside("cat ../other/secret && echo x > ../other/y").works("the control");
    place.inside("cat ../other/secret").fails(&["No such file"], "without the grant");
    place.inside_with(&["--grant", &ro], "cat ../other/secret && echo x > made").works("with it");
    for act in ["echo x > ../other/y", "echo x > ../new", "mv ../app ../x"] {
        place.inside_with(&["--grant", &ro], act).fails(&["Read-only", "busy"], act);
    }
    place
        .inside_with(&["--grant", &format!("{src}:rw")], "true")
        .refused("around which a grant is read-only", "the tree around it, to write");
    let home = format!("{}:ro", place.home.display());
    place.inside_with(&["--grant", &home], "true").refused("home directory", "the home around it");
}
