//! F03: a denied name that is a symbolic link: neither it nor what it leads to is a way around.

use crate::support::Place;

#[test]
fn a_denied_link_is_refused_by_both_names() {
    let place = Place::new();
    place.write("out/rc", "secret\n");
    place.outside("ln -s $OUT/rc .bashrc && ln -s $OUT/rc link").works("dotfiles");
    let target = format!("{}/rc", place.out.display());
    let grant = format!("{}:rw", place.out.display());
    // A protected name of ours, with what it leads to granted.
    place.inside_with(&["--grant", &grant], "true").refused(&target, "the built-in name");
    place.outside("rm .bashrc").works("");
    for flag in ["--hide", "--protect"] {
        place
            .inside_with(&["--grant", &grant, flag, "link"], "true")
            .refused(&format!("name {target} itself"), flag);
    }
    let read = "cat link";
    place.outside(read).works("the control");
    place.inside_with(&["--grant", &grant], read).works("nothing denies it");
    let flags = ["--grant", &grant, "--hide", &target];
    for name in ["cat link", "cat $OUT/rc"] {
        place.inside_with(&flags, name).fails(&["No such file"], name);
    }
    let flags = ["--grant", &grant, "--protect", &target];
    for name in ["echo x > link", "echo x > $OUT/rc", "rm $OUT/rc"] {
        place.inside_with(&flags, name).fails(&["Permission denied"], name);
    }
    place.inside_with(&flags, "echo x > $OUT/beside").works("beside it");
}
