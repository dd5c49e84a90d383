//! F38: a descriptor that was open for writing before the start is closed inside.

use crate::support::{Place, finish, programs};

#[test]
fn a_writable_descriptor_is_closed() {
    let place = Place::new();
    let write = "python3 -c 'import os; os.write(8, b\"planted\")'";
    finish(place.command("sh").args(["-c", &format!("exec 8>>$OUT/canary; {write}")]))
        .works("outside");
    assert!(place.read("out/canary").contains("planted"));
    place.write("out/canary", "out-canary\n");
    let run = format!("{} run --quiet --", programs().join("cofferdam").display());
    finish(place.command("sh").args(["-c", &format!("exec 8>>$OUT/canary; {run} {write}")]))
        .fails(&["Bad file descriptor"], "inside");
    assert_eq!(place.read("out/canary"), "out-canary\n");
    finish(place.command("sh").args(["-c", &format!("{run} sh -c 'exec 8>mine; echo x >&8'")]))
        .works("one's own descriptor 8");
}
