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

#[test]
fn what_is_said_has_to_be_the_very_words() {
    let wants = [Want::Says("tunnel", "403 host-not-allowed".into())];
    for (said, holds, why) in [
        ("tunnel\tok\t403 host-not-allowed\n", true, "a denial"),
        ("tunnel\tok\t200 heard\n", false, "it was let through"),
        ("tunnel\tok\t502 no-answer\n", false, "it was let through and not reached"),
        ("tunnel\tok\t403 host-not-allowed or so\n", false, "more than that"),
        ("tunnel\t111\t\n", false, "nobody was there"),
        ("", false, "it was not tried"),
    ] {
        let verdict = verdict(&Answers::parse(said), &wants);
        assert_eq!(matches!(verdict, Verdict::Holds), holds, "{why}");
    }
}
