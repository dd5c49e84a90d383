//! F49: there is no cgroup tree, so no limit can be raised.

use crate::support::Place;

#[test]
fn there_is_no_cgroup_tree() {
    let place = Place::new();
    place.shell_attack("test -d /sys/fs/cgroup && echo there", &[""], "the tree");
    place
        .inside("mkdir /sys/fs/cgroup")
        .fails(&["No such file", "Permission", "Read-only"], "making one");
    place.inside("echo 1 > /sys/x").fails(&["Permission", "Read-only"], "/sys is empty and ours");
    place.inside("cat /proc/self/cgroup").works("its own membership, seen from inside");
}
