//! F08: a hard link makes no second way, neither out of the workspace nor into it.

use crate::support::Place;

#[test]
fn hard_links_do_not_cross_the_wall() {
    let place = Place::new();
    place.outside("ln $OUT/canary $W/h && rm $W/h").works("a hard link outside");
    place.inside("ln $OUT/canary $W/h").fails(&["No such file"], "what is absent cannot be linked");
    // A visible file of a read-only tree: another mount, so another file system to link(2).
    let out = place.out.display().to_string();
    place
        .inside_with(&["--grant", &format!("{out}:ro")], "ln $OUT/canary $W/h")
        .fails(&["cross-device"], "from a read-only grant");
    place.inside("echo x > a && ln a b && cat b").works("inside the workspace");
}

/// A protected file with a second name could be written through it.
#[test]
fn a_protected_file_with_two_names_is_refused() {
    let place = Place::new();
    place.write("home/src/app/.envrc", "export A=1\n");
    place.inside("cat .envrc").works("one name");
    place.outside("ln .envrc other").works("a second name");
    place.inside("true").refused("hard links", "two names");
}
