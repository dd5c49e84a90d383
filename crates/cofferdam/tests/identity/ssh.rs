//! The agent of ssh: the key stays outside, and logs in where the policy says, against OpenSSH's own host.

mod server;

use server::{Keyed, SSH, STRANGER};

/// The act works with the key itself; inside without it, on record with its rule.
#[test]
fn a_named_user_logs_in_on_a_named_host() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, port, key) = (&keyed.user, keyed.git.port, keyed.folder.root.join("key"));
    let outside = format!("{STRANGER} -i {} -p {port} {user}@127.0.0.1 echo in", key.display());
    assert_eq!(keyed.place.outside(&outside).works("with the key").out, "in\n");
    let ran = keyed.runs(&keyed.policy(), &format!("{SSH} {user}@git.test echo in"));
    assert_eq!(ran.works("by the agent").out, "in\n");
    let events = keyed.events();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["verdict"], "allowed");
    assert_eq!(event["host"], keyed.git.fingerprint);
    assert!(event["clause"].as_str().unwrap().starts_with("credentials.deploy ("), "{event}");
    assert!(event["why"].as_str().unwrap().contains(user), "{event}");
}
