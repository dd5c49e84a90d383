//! F51: while the sandbox is built, nothing is created through links of the workspace.

use crate::support::Place;

#[test]
fn set_up_writes_nothing_through_links() {
    for name in [".vscode", ".git", ".claude", ".envrc", ".mcp.json", ".codex"] {
        let place = Place::new();
        let link = place.work.join(name);
        std::os::unix::fs::symlink(&place.out, &link).unwrap();
        let look = || place.outside("ls -laR --time-style=full-iso $OUT").works("look").out;
        let before = look();
        place.inside("true").refused("guarded-link", name);
        assert_eq!(look(), before, "{name}: nothing was made in what the link leads to");
        place.outside(&format!("echo x > {name}/through")).works("outside the link leads there");
    }
}

#[test]
fn links_that_are_not_protected_names_do_not_matter() {
    let place = Place::new();
    for (name, to) in [("a", "/"), ("b", "/etc"), ("usr", "/usr"), ("tmp", "/tmp")] {
        std::os::unix::fs::symlink(to, place.work.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(&place.out, place.work.join("c")).unwrap();
    let before = place.outside("ls -la --time-style=full-iso $OUT; ls -A / /etc").works("look").out;
    place.inside("test ! -e c/canary && ls b/passwd").works("starts, and the links lead inside");
    assert_eq!(
        place.outside("ls -la --time-style=full-iso $OUT; ls -A / /etc").works("look").out,
        before
    );
}
