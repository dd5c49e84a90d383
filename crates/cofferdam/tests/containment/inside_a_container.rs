//! Inside another container: the wall stands there too, or the refusal names what forbids it.

use crate::support::{Place, Ran, finish, programs};

/// A run in namespaces of its own, as an ordinary user of that container. `before` is what the
/// container's own root does to it first.
pub(crate) fn contained(place: &Place, before: &str, command: &str) -> Ran {
    let cofferdam = programs().join("cofferdam").display().to_string();
    let script = format!(
        "{before} && exec unshare -U --map-user=1000 --map-group=1000 \
         {cofferdam} run --quiet --workspace $W -- {command}"
    );
    let outer = ["-Urmpf", "--mount-proc", "sh", "-c", &script];
    finish(place.command("unshare").args(outer))
}

#[test]
fn the_wall_stands_in_a_container() {
    let place = Place::new();
    place.outside("cat $H/.ssh/id_test").works("the control");
    contained(&place, "true", "sh -c 'cat ../../.ssh/id_test; echo made > made'")
        .works("it starts");
    assert_eq!(place.read("home/src/app/made"), "made\n");
    contained(&place, "true", "cat ../../.ssh/id_test").fails(&["No such file"], "a secret");
    contained(&place, "true", "unshare -U true").fails(&["not permitted"], "one more namespace");
}

#[test]
fn what_a_container_forbids_is_named() {
    let place = Place::new();
    contained(&place, "mount --bind /dev/null /proc/uptime", "touch started")
        .refused("an outer container hides parts of /proc", "the cause")
        .refused("unmasked", "the remedy");
    contained(&place, "echo 1 > /proc/sys/user/max_user_namespaces", "touch started")
        .refused("no user namespace left", "the cause")
        .refused("max_user_namespaces", "the remedy");
    assert!(!place.work.join("started").exists(), "nothing ran");
    contained(&place, "echo 4 > /proc/sys/user/max_user_namespaces", "touch started")
        .works("with room for ours");
}
