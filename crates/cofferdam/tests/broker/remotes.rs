//! A remote that was there keeps its name and an address, and only a text of the same mount lands in
//! `.git/config`.

use std::fs;

use crate::git_work::{inside, repository};
use crate::support::finish;
use crate::trial::{Session, twin};

#[test]
fn a_remote_keeps_its_name() {
    let place = repository();
    let config = place.work.join(".git/config");
    let before = fs::read(&config).unwrap();
    for script in [
        "git remote remove origin",
        "git remote rm origin",
        "git remote rename origin other",
        "git config --remove-section remote.origin",
        "git config --unset remote.origin.url",
        "git config --rename-section remote.origin remote.other",
    ] {
        let copy = twin(&place);
        let mut control = place.command("sh");
        finish(control.args(["-c", script]).current_dir(&copy)).works(script);
        assert_ne!(fs::read(copy.join(".git/config")).unwrap(), before, "{script}: the control");
        let ran = inside(&place, script);
        assert!(!matches!(ran.status, Some(0 | 125) | None), "{script}: {ran:?}");
        assert_eq!(fs::read(&config).unwrap(), before, "{script}");
        assert!(!place.work.join(".git/config.lock").exists(), "{script}");
    }
    inside(&place, "git remote set-url origin https://good.test/me/repo.git").works("its address");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("url = https://good.test/me/repo.git\n"), "{text}");
}

/// Where a branch follows it, git takes that away first: the remote stays.
#[test]
fn a_remote_that_is_followed_keeps_its_address() {
    let place = repository();
    place.outside("git branch -q --set-upstream-to=origin/other main").works("it is followed");
    let had = place.outside("git config remote.origin.url").works("it is there").out;
    let ran = inside(&place, "git remote remove origin");
    assert!(!matches!(ran.status, Some(0 | 125) | None), "{ran:?}");
    assert_eq!(place.outside("git config remote.origin.url").works("still there").out, had);
}

#[test]
fn a_text_of_another_mount_stays_there() {
    let place = repository();
    let text = "text = get('.git/config') + '[user]\\n\\tname = new\\n'";
    let mut outside = Session::outside(&place, &twin(&place));
    outside.ok(text);
    outside.ok(
        "put('../x', text); os.rename('../x', '.git/config'); assert get('.git/config') == text",
    );
    let config = place.work.join(".git/config");
    let before = fs::read(&config).unwrap();
    let policy = place.root.join("policy.toml").display().to_string();
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(text);
    inside.ok("put('/tmp/x', text); assert get('/tmp/x') == text");
    for rename in [
        "os.rename('/tmp/x', '.git/config')",
        "call(316, -100, b'/tmp/x', -100, b'.git/config', 0)",
        "os.chdir('/tmp'); call(264, -100, b'x', os.open(os.environ['W'], os.O_PATH), b'.git/config')",
    ] {
        inside.fails(rename, "EXDEV");
        inside.ok("os.chdir(os.environ['W']); assert get('/tmp/x') == text");
        assert_eq!(fs::read(&config).unwrap(), before, "{rename}");
    }
    inside.ok("put('.git/x', text); os.rename('.git/x', '.git/config')");
    inside.ok("assert get('.git/config') == text and not os.path.lexists('.git/x')");
    inside.end().works("to its end");
}
