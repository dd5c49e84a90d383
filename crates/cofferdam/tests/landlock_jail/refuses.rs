//! What this jail does not hold is refused, all of it at once.

use super::{place, run};
use crate::support::{Ran, finish};

fn refusal(options: &[&str]) -> Ran {
    let place = place();
    let mut all = vec!["--jail", "landlock"];
    all.extend(options);
    finish(place.cofferdam(&all).arg("true"))
}

#[test]
fn every_promise_is_named_until_it_is_given_up() {
    let all = ["absent", "processes", "private-places", "private-size", "times"];
    let ran = refusal(&[]).refused("the jail `landlock` does not hold", "nothing is given up");
    for promise in all {
        assert!(ran.err.contains(promise), "{promise}: {ran:?}");
    }
    for left in all {
        let names: Vec<&str> = super::GIVEN_UP.split(',').filter(|name| *name != left).collect();
        let ran = refusal(&["--best-effort", &names.join(",")]);
        let ran = ran.refused(&format!("does not hold: {left} ("), left);
        assert!(ran.err.contains(&format!("--best-effort {left}")), "{ran:?}");
    }
}

#[test]
fn what_nobody_can_give_up() {
    let place = place();
    for (options, with) in [
        (&["--allow", "example.com"][..], "hosts are heard and dialled in a network namespace"),
        (&["--publish", "8080"], "a published port leads into a network namespace"),
    ] {
        finish(run(&place, options).arg("true")).refused(with, with);
    }
    if crate::support::is_root() {
        let own = crate::support::Place::new();
        finish(run(&own, &[]).arg("true")).refused("idmapped mounts", "root's own workspace");
    }
}

/// K39: an optional tree that is missing leaves the rest as it is, and a required one is a refusal.
#[test]
fn a_missing_tree_drops_no_other_rule() {
    let place = place();
    let policy = |optional: bool| {
        let text = format!(
            "version = 1\njail = \"landlock\"\nbest_effort = [{}]\n[filesystem]\n\
             grant = [{{ path = \"{}\", mode = \"read-only\", optional = {optional} }}]\n",
            super::GIVEN_UP.split(',').map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", "),
            place.root.join("missing").display()
        );
        place.write("policy.toml", &text).display().to_string()
    };
    let run = |policy: &str, script: &str| {
        finish(place.cofferdam(&["--policy", policy]).args(["sh", "-c", script]))
    };
    let optional = policy(true);
    run(&optional, "cat $H/.ssh/id_test").fails(&["Permission denied"], "the rest is enforced");
    run(&optional, "echo x > f && cat f").works("and the workspace is there");
    let mut plan = place.command(crate::support::programs().join("cofferdam"));
    let told = finish(plan.args(["plan", "--policy", &optional, "--", "true"])).works("plan");
    assert!(told.out.contains("missing is not granted: it does not exist"), "{told:?}");
    run(&policy(false), "true").refused("missing", "a required one");
}
