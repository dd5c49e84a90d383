//! P14: no rule looks at the words of a command: however a shell is talked to, the kernel decides.

use crate::places::trusted;
use crate::support::Place;

#[test]
fn p14_what_is_hidden_stays_so_however_it_is_said() {
    let place = Place::new();
    place.write("home/src/app/mine", "mine-content\n");
    trusted(&place, "version = 1\n[filesystem]\nhide = [\"mine\"]\nprotect = [\"kept\"]\n");
    place.write("home/src/app/kept", "kept\n");
    for (script, why) in [
        ("cat mine", "plainly"),
        ("export PAGER='cat mine'; sh -c \"$PAGER\"", "by a variable"),
        ("eval \"c\"at\" mine\"", "by eval"),
        ("echo $(cat mine)X | grep -q content", "by a substitution"),
        ("true\ncat mine", "behind a newline"),
        ("sh <<'E'\ncat mine\nE", "by a here-document"),
        ("sh -c 'sh -c \"cat m?ne\"'", "by a pattern in a shell in a shell"),
        (
            "while read l; do echo \"$l\" | grep -q content && exit 0; done < mine; exit 1",
            "by built-ins",
        ),
        ("/usr/bin/python3 -c 'print(open(\"mine\").read())'", "by another language"),
        ("cd .. && cat app/mine", "from elsewhere"),
        ("ln mine x && cat x", "by another name"),
    ] {
        place.outside(&format!("rm -f x; ({script}\n) && rm -f x")).works(why);
        let ran = place.inside(script);
        assert_ne!(ran.status, Some(0), "{why}: {ran:?}");
        assert!(!ran.out.contains("mine-content"), "{why}: {ran:?}");
    }
    place
        .inside("e=ec; ${e}ho x > kept")
        .fails(&["ermission", "not permitted", "Read-only"], "a protected name");
    assert_eq!(place.read("home/src/app/kept"), "kept\n");
    place.outside("e=ec; ${e}ho x > kept").works("the twin");
}
