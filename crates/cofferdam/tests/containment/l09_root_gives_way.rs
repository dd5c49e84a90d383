//! L09: root as caller never means root inside.

use crate::support::{Place, is_root};

#[test]
fn root_is_never_root_inside() {
    let place = Place::new();
    assert_ne!(place.inside("id -u").works("id").out.trim(), "0");
    if !is_root() {
        eprintln!("not run as an ordinary user: what root's own files do");
        return;
    }
    place
        .outside("chmod 600 $OUT/canary; echo secret > mine; chmod 600 mine")
        .works("root's files");
    place
        .inside("cat mine && echo more >> mine && echo x > new")
        .works("root's workspace is the workload's");
    assert_eq!(
        place.outside("stat -c %u mine new").works("owners").out,
        "0\n0\n",
        "files on disk are root's"
    );
    for file in ["/etc/shadow", "/proc/sys/kernel/core_pattern"] {
        place.outside(&format!("test -r {file}")).works("root reads it outside");
    }
    place.inside("cat /etc/shadow").fails(&["Permission denied"], "shadow");
    place
        .inside("echo x > /proc/sys/kernel/core_pattern")
        .fails(&["Read-only", "Permission"], "core_pattern");
    place.outside("chown 12345:12345 $W").works("give it away");
    place.inside("true").refused("cannot be reached by user 12345", "below root's private home");
    // A workspace that belongs to somebody: the workload is that user.
    place.outside("chmod 755 $H; chown -R 12345:12345 $W").works("give it away");
    assert_eq!(
        place.inside("id -u; id -g; echo x > theirs").works("as the owner").out,
        "12345\n12345\n"
    );
    assert_eq!(place.outside("stat -c %u theirs").works("owner").out, "12345\n");
}
