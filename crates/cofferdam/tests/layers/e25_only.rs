//! E25: what only the managed policy may say is held where neither it nor a lower layer has the block.

use crate::places::managed;
use crate::support::Place;

#[test]
fn e25_only_holds_without_any_block() {
    let place = Place::new();
    let only = "[managed]\nonly = [\"network.allow\"]";
    let Some(ran) = managed(&place, only, "true", &["policy", "check"]) else { return };
    assert!(ran.works("no layer has the block").out.contains("network: none"));
    let users = "version = 1\n[[network.allow]]\nhost = \"evil.test\"\n";
    let file = place.write("home/.config/cofferdam/policy.toml", users);
    let check = |text: &str, words: &[&str]| managed(&place, text, "true", words).unwrap();
    check("", &["policy", "check"]).works("the twin: nothing is forbidden");
    let ran =
        check(only, &["policy", "check"]).refused("beyond-managed", "the user's layer adds one");
    for named in ["/etc/cofferdam/policy.toml:3", &format!("{}:2", file.display())] {
        assert!(ran.err.contains(named), "both rules: {named}: {ran:?}");
    }
    let empty = format!("{only}\n[network]\nallow = []");
    check(&empty, &["policy", "check"]).refused("beyond-managed", "the managed block is empty");
    // Another file in place of the user's is below the ceiling too.
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    let named = place.write("named.toml", users).display().to_string();
    check(only, &["policy", "check", &named])
        .refused("beyond-managed", "--policy is no way around");
    check(only, &["plan", "--allow", "evil.test", "--", "true"])
        .refused("beyond-managed", "nor is a flag");
    let ran = check(&empty, &["policy", "show", "--origin"]).works("what holds");
    let row = "managed       managed.only[0]                   /etc/cofferdam/policy.toml:3";
    assert!(ran.out.lines().any(|line| line == row), "{}", ran.out);
}
