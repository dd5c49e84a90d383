//! Names that a person hides or protects: closed and kept, wherever they are in the view.

use std::process::Stdio;

use crate::support::{Place, finish, programs};

const CLOSED: &[&str] =
    &["Permission denied", "Read-only", "busy", "cross-device", "not permitted"];

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

/// A socket in the workspace can be connected to, unless it is hidden.
#[test]
fn a_hidden_socket_is_closed() {
    let place = Place::new();
    let (socket, work) = (place.work.join("s"), place.work.display().to_string());
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let body =
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['W'] + '/s')";
    place.python_outside(body).works("the control");
    place.python_inside(body).works("in a granted tree");
    let mut hidden = place.cofferdam(&["--hide", &format!("{work}/s")]);
    finish(hidden.args(["/usr/bin/python3", "-c", &crate::support::python(body)]))
        .fails(&["ECONNREFUSED", "EACCES"], "hidden");
    drop(listener);
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
    run(&there, "cat $W/conf/.env").fails(&["Permission"], "of the workspace");
    run(&["--workspace", &work, "--hide", "conf/.env"], "true")
        .refused("does not exist", "not of the working directory");
    run(&["--workspace", &work, "--hide", "data/.env"], "cat $W/conf/.env")
        .works("and what nothing grants needs no hiding");
    // Whoever stands in a hidden directory starts at the top.
    let mut command = place.cofferdam(&["--workspace", &work, "--hide", &format!("{work}/conf")]);
    let ran = finish(command.current_dir(place.work.join("conf")).arg("pwd")).works("starts");
    assert_eq!(ran.out.trim_end(), work);
}

/// The host replaces a hidden file while the workload runs: the mount falls, and the workload with it.
#[test]
fn a_hidden_file_that_is_replaced_ends_the_workload() {
    let place = project();
    let mut command = place.cofferdam(&["--hide", "conf/.env"]);
    // Ends by itself, so that a guard that does not kill is a failure and no wait.
    let script = "touch ready; for n in $(seq 600); do cat conf/.env; sleep 0.1; done 2> /dev/null";
    let mut child = command.args(["sh", "-c", script]).stdout(Stdio::null()).spawn().unwrap();
    while !place.work.join("ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it starts");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    place.outside("sleep 0.1").works("it is running");
    assert!(child.try_wait().unwrap().is_none(), "hidden as long as nobody replaces it");
    place.outside("echo KEY=3 > new && mv new conf/.env").works("an editor's save");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(137), "killed: {status:?}");
    // In the moment until then it may have read the new file: the plan says so.
    let plan = place
        .command(programs().join("cofferdam"))
        .args(["plan", "--hide", "conf/.env", "--", "true"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(text.contains("open until the workload is killed"), "{text}");
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
