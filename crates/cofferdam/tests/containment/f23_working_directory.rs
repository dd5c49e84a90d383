//! F23: the working directory never changes what is granted.

use crate::support::{Place, finish, programs};

#[test]
fn a_working_directory_outside_grants_nothing() {
    let place = Place::new();
    let work = place.work.display().to_string();
    let run = |script: &str| {
        let mut command = place.cofferdam(&["--workspace", &work]);
        finish(command.current_dir(&place.out).args(["sh", "-c", script]))
    };
    assert_eq!(run("pwd").works("starts").out.trim(), work, "at the workspace's root");
    run("cat $OUT/canary").fails(&["No such file"], "the directory it was started from");
    run("echo x > inside").works("the workspace");
}

#[test]
fn a_linked_working_directory_is_judged_by_its_real_path() {
    let place = Place::new();
    std::os::unix::fs::symlink(&place.home, place.work.join("up")).unwrap();
    let script = format!("cd $W/up && {} run -- true", programs().join("cofferdam").display());
    finish(place.command("sh").args(["-c", &script]))
        .refused("it is or holds the home", "a link to the home");
}

#[test]
fn a_deleted_working_directory_is_refused() {
    let place = Place::new();
    let script = format!(
        "mkdir gone && cd gone && rmdir ../gone && {} run -- true",
        programs().join("cofferdam").display()
    );
    finish(place.command("sh").args(["-c", &script])).refused("does not exist any more", "deleted");
}
