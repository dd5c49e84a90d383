//! K31: cofferdam inside cofferdam, to get a sandbox with other rules: it does not start.

use crate::support::{Place, programs};

#[test]
fn no_sandbox_of_its_own_rules_inside() {
    let place = Place::new();
    let cofferdam = programs().join("cofferdam").display().to_string();
    let nested =
        format!("{cofferdam} run --quiet --grant $OUT:rw -- sh -c 'echo nested > $OUT/made'");
    let nested = format!("cd $W && {nested}");
    place.outside(&nested.replace("--quiet", "--quiet --env OUT")).works("the control");
    assert_eq!(place.read("out/made"), "nested\n");
    let grant = format!("{}:ro", programs().display());
    let inside = place.inside_with(&["--grant", &grant], &format!("mkdir -p $OUT; {nested}"));
    assert_eq!(inside.status, Some(125), "refused: {inside:?}");
    place.inside_with(&["--grant", &grant], &format!("{cofferdam} --version")).works("it is there");
    assert_eq!(place.read("out/canary"), "out-canary\n");
    std::fs::remove_file(place.out.join("made")).unwrap();
    assert!(!place.out.join("made").exists());
}
