//! F02: a symbolic link in the workspace that leads to a secret leads nowhere inside.

use crate::support::Place;

#[test]
fn a_link_to_a_secret_leads_nowhere() {
    let place = Place::new();
    place.shell_attack(
        "ln -sf $H/.ssh $W/s && cat $W/s/id_test",
        &["No such file"],
        "link to ~/.ssh",
    );
    place.inside("echo x > t && ln -s t l && cat l").works("a link inside the workspace");
}
