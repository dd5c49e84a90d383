//! F24: a directory that the workload chooses does not become writable.

use crate::support::Place;

#[test]
fn changing_directory_changes_no_right() {
    let place = Place::new();
    let grant = format!("{}:ro", place.out.display());
    let act = "cd $OUT && echo x > new";
    place.outside(act).works("outside");
    place.inside_with(&["--grant", &grant], act).fails(&["Read-only"], "a read-only grant as cwd");
    place.inside("cd /usr && echo x > new").fails(&["Read-only", "Permission"], "/usr as cwd");
    place.inside("mkdir -p a/b && cd a/b && echo x > new").works("below the workspace");
}
