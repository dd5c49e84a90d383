//! F31: no new user namespace inside, so no mount of ours can be taken off.

use crate::support::Place;

#[test]
fn no_namespace_no_umount() {
    let place = Place::new();
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    place.shell_attack(
        "unshare -Urm sh -c 'mount -t tmpfs none /mnt && umount -l /mnt'",
        &["Operation not permitted"],
        "a namespace and a mount",
    );
    place
        .inside("umount -l $W/.git/hooks")
        .fails(&["not permitted", "superuser", "denied"], "umount of the guard");
    place
        .inside("mount --bind /tmp $W/.git/hooks")
        .fails(&["not permitted", "superuser", "denied"], "a mount over it");
    place.inside("cat .git/hooks/pre-commit").works("the guard stands");
}
