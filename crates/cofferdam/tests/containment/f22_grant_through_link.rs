//! F22: a grant that is reached by a symbolic link is refused, and the message names the real path.

use crate::support::Place;

#[test]
fn a_grant_through_a_link_is_refused() {
    let place = Place::new();
    std::os::unix::fs::symlink(&place.out, place.root.join("alias")).unwrap();
    let alias = place.root.join("alias");
    let direct = format!("{}:ro", place.out.display());
    place.inside_with(&["--grant", &direct], "cat $OUT/canary").works("the real path");
    let named = format!("name {} itself", place.out.display());
    let linked = format!("{}:ro", alias.display());
    place
        .inside_with(&["--grant", &linked], "true")
        .refused("symbolic link", "the last part a link");
    place.inside_with(&["--grant", &linked], "true").refused(&named, "says what to write");
    let below = format!("{}/canary:ro", alias.display());
    place
        .inside_with(&["--grant", &below], "true")
        .refused("symbolic link", "a link in the middle");
    let work = alias.display().to_string();
    place.inside_with(&["--workspace", &work], "true").refused("symbolic link", "a workspace");
}
