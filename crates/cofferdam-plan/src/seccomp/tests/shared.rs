//! What is refused where there are no namespaces.

use super::*;

/// Without namespaces a group may be init's, by 0 as well: a process may have joined it.
#[test]
fn without_namespaces_only_the_caller_is_scheduled_otherwise() {
    for (name, arguments, want, why) in [
        ("setpriority", [0, 0, 5], Answer::Allow, "one's own"),
        ("setpriority", [0, 9, 5], REFUSED, "another's"),
        ("setpriority", [1, 0, 15], REFUSED, "one's own group"),
        ("setpriority", [1, 9, 15], REFUSED, "another group"),
        ("setpriority", [2, 0, 15], REFUSED, "everything of this user"),
        ("setpriority", [3, 0, 15], REFUSED, "no kind"),
        ("ioprio_set", [1, 0, 0], Answer::Allow, "one's own"),
        ("ioprio_set", [1, 9, 0], REFUSED, "another's"),
        ("ioprio_set", [2, 0, 0], REFUSED, "one's own group"),
        ("ioprio_set", [3, 0, 0], REFUSED, "everything of this user"),
        ("ioprio_set", [0, 0, 0], REFUSED, "no kind"),
        ("setpgid", [0, 7, 0], Answer::Allow, "jobs of a shell"),
    ] {
        let [first, second, third] = arguments;
        let got = run(&workload(SHARED), &call(number(name), [first, second, third, 0, 0, 0]));
        assert_eq!(got, Some(want), "{name}: {why}");
    }
}
