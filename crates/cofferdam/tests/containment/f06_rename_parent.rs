//! F06: the parent of a protected name stays, so the name cannot be carried away.

use crate::support::Place;

#[test]
fn the_parent_of_a_protected_name_stays() {
    let place = Place::new();
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    place.outside("mv .git .got && mv .got .git").works("renaming works outside");
    place.inside("mv .git .got").fails(&["Permission denied"], "rename of .git");
    place
        .inside("python3 -c 'import os; os.rename(\".git/hooks\", \".git/h\")'")
        .fails(&["Errno 13"], "rename of the protected name itself");
    place
        .inside("mkdir d && mv d e && echo x > .git/index")
        .works("other names move, .git is usable");
    assert_eq!(place.read("home/src/app/.git/hooks/pre-commit"), "#!/bin/sh\n");
}
