//! P22: nothing that is reachable from inside widens anything: what is trusted is in no view, and our
//! own commands do nothing there, however often they are asked.

use crate::places::{says, trusted};
use crate::support::{Place, programs};

#[test]
fn p22_from_inside_nothing_is_trusted() {
    let place = Place::new();
    place.write("home/src/app/mine", "mine\n");
    trusted(&place, "version = 1\n[filesystem]\nhide = [\"mine\"]\n");
    let pins = place.home.join(".local/state/cofferdam/trust");
    let listed = |place: &Place| place.outside("cd $H/.local/state/cofferdam/trust && cat *").out;
    let before = listed(&place);
    assert!(before.len() > 64, "the pin is there outside");
    let cofferdam = programs().join("cofferdam").display().to_string();
    let grant = format!("{}:ro", programs().display());
    for (script, why) in [
        (format!("ls {}", pins.display()), "the pins are not there"),
        (format!("rm -r {}", pins.display()), "nor to be removed"),
        ("echo version = 1 > .cofferdam/policy.toml".into(), "the policy stays"),
        ("mv .cofferdam x".into(), "and its directory"),
        ("rm -r .cofferdam".into(), "and its directory"),
        ("cat mine".into(), "what it hides stays hidden"),
    ] {
        let ran = place.inside_with(&["--grant", &grant], &script);
        assert_ne!(ran.status, Some(0), "{why}: {ran:?}");
    }
    // A thousand requests for more, and none of them does anything.
    let script = format!(
        "n=0; while [ $n -lt 1000 ]; do n=$((n+1)); \
         if [ $((n % 100)) = 0 ]; then echo yes | {cofferdam} trust && exit 7; \
         {cofferdam} run -- true && exit 8; fi; \
         [ -e {pins} ] && exit 9; (: > .cofferdam/policy.toml) 2>/dev/null && exit 10; done; echo asked",
        pins = pins.display()
    );
    let ran = place.inside_with(&["--grant", &grant], &script);
    assert_eq!(ran.works("asked a thousand times").out, "asked\n");
    assert_eq!(listed(&place), before);
    says(&place, &["run", "--", "cat", "mine"]).fails(&["No such file", "hidden"], "as before");
}
