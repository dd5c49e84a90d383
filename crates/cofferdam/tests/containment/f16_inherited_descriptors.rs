//! F16: no descriptor of the caller is open inside, and a working directory reached through one changes nothing.

use crate::support::{Place, finish, programs};

#[test]
fn only_the_three_streams_are_open() {
    let place = Place::new();
    let list = "exec ls /proc/self/fd";
    let script = |program: &str| format!("exec 7</ 8<>$OUT/canary; {program} {list}");
    let outside = finish(place.command("sh").args(["-c", &script("")])).works("outside");
    assert!(outside.out.contains("7\n8\n"), "the descriptors pass without a wall: {outside:?}");
    let run = format!("{} run --quiet -- sh -c", programs().join("cofferdam").display());
    let inside = finish(
        place.command("sh").args(["-c", &format!("exec 7</ 8<>$OUT/canary; {run} '{list}'")]),
    );
    // The fourth is ls's own.
    assert_eq!(inside.works("inside").out, "0\n1\n2\n3\n");
}

#[test]
fn a_working_directory_through_a_descriptor_is_judged_by_its_real_path() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam");
    let run = |to: &str| {
        let script =
            format!("exec 7<{to}; cd -P /proc/self/fd/7 && {} run -- pwd", cofferdam.display());
        finish(place.command("sh").args(["-c", &script]))
    };
    run("/").refused("too wide", "the root, through /proc/self/fd/7");
    let work = place.work.display().to_string();
    assert_eq!(run(&work).works("the workspace, through /proc/self/fd/7").out.trim(), work);
}
