//! The verdict over what a probe or the workload said.

use super::*;

#[test]
fn what_was_not_tried_is_not_held() {
    let wants =
        [Want::Works("write"), Want::Fails("read", &[ENOENT]), Want::Fails("ioctl", &[EACCES])];
    for (said, holds, why) in [
        ("write\tok\t\nread\t2\t\nioctl\t13\t\n", true, "all as it must be"),
        ("write\tok\t\nread\t2\t\n", false, "the last was not tried"),
        ("", false, "nothing was tried"),
        ("write\tok\t\nread\tok\t\nioctl\t13\t\n", false, "the secret was read"),
        ("write\tok\t\nread\t1\t\nioctl\t13\t\n", false, "another reason than the wall's"),
        ("write\t30\t\nread\t2\t\nioctl\t13\t\n", false, "the legal act failed"),
        ("write ok\nread 2\nioctl 13\n", false, "the words of something else"),
    ] {
        let verdict = verdict(&Answers::parse(said), &wants);
        assert_eq!(matches!(verdict, Verdict::Holds), holds, "{why}");
    }
}
