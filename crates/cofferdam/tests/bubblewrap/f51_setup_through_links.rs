//! F51 (GHSA-pxhw-h44j-8pfx): while `bwrap` builds a sandbox, nothing is made through links of the workspace.

use crate::Cage;
use crate::support::{finish, is_root};

/// Where a link of the workspace leads to the host while `bwrap` builds: its old root lies there.
const OLD_ROOT: &str = "/oldroot";

/// What a hostile clone may have as a link: each name that is protected, hidden, or made by somebody.
const NAMES: &[&str] = &[
    ".vscode",
    ".git",
    ".claude",
    ".envrc",
    ".mcp.json",
    ".codex",
    ".env",
    "a",
    "tmp",
    "usr",
    "home",
    ".cofferdam",
    "node_modules",
];

/// The attack works on an argument list as others write it, with this machine's `bwrap`, where that is
/// older than 0.12.
#[test]
fn a_naive_command_line_is_led_out() {
    let cage = Cage::new();
    let version = finish(cage.0.command("/usr/bin/bwrap").arg("--version")).works("version").out;
    let minor = version.trim().split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    let link = cage.0.work.join(".vscode");
    std::os::unix::fs::symlink(format!("{OLD_ROOT}{}", cage.0.out.display()), link).unwrap();
    let naive = "bwrap --unshare-user --ro-bind / / --bind $W $W --dir $W/.vscode/made true";
    let ran = cage.outside(naive);
    let made = cage.0.out.join("made").exists();
    if minor.is_some_and(|minor| minor < 12) {
        assert!(made, "bwrap {version} follows the link: {ran:?}");
    } else {
        assert!(!made, "bwrap {version} does not: {ran:?}");
    }
}

#[test]
fn set_up_makes_nothing_outside() {
    for name in NAMES {
        for (to, whole) in [(OLD_ROOT, false), ("", false), ("/", true), (OLD_ROOT, true)] {
            let cage = Cage::new();
            let out = cage.0.out.display();
            let to = if whole { to.to_owned() } else { format!("{to}{out}") };
            std::os::unix::fs::symlink(&to, cage.0.work.join(name)).unwrap();
            cage.give();
            let look = || {
                let script =
                    "ls -laR --time-style=full-iso $OUT; ls -laR --time-style=full-iso $W; ls -A /";
                cage.0.outside(script).works("look").out
            };
            let before = look();
            let ran = cage.inside_with(&["--protect", name, "--hide", ".env"], "true");
            // A guarded link is a refusal; others lead into the view alone.
            assert!(matches!(ran.status, Some(0 | 125)), "{name} -> {to}: {ran:?}");
            assert_eq!(look(), before, "{name} -> {to}: {ran:?}");
        }
    }
}

/// A grant below a link, and a file that a credential or a preset would put there, are not made either.
#[test]
fn nothing_is_made_in_a_granted_tree() {
    let cage = Cage::new();
    let out = cage.0.out.display().to_string();
    let home = format!("{}:rw", cage.0.home.display());
    std::os::unix::fs::symlink(format!("{OLD_ROOT}{out}"), cage.0.work.join("deep")).unwrap();
    cage.give();
    let look = || cage.0.outside("ls -laR --time-style=full-iso $OUT").works("look").out;
    let before = look();
    for options in [
        vec!["--grant", "deep/new:rw"],
        vec!["--grant", "deep:ro"],
        vec!["--preset", "claude-code", "--grant", home.as_str()],
    ] {
        let ran = cage.inside_with(&options, "true");
        assert_eq!(look(), before, "{options:?}: {ran:?}");
    }
}

/// A link that is swapped in while `bwrap` builds: whatever it mounts, init compares before anything runs.
#[test]
fn a_swapped_name_runs_nothing() {
    let cage = Cage::new();
    cage.0.write("home/src/app/.mcp.json", "{}\n");
    cage.0.write("home/src/app/evil", "evil\n");
    cage.give();
    let swap = "import time
end = time.time() + 8
while time.time() < end and not os.path.exists('stop'):
    os.rename('.mcp.json', 'away'); os.rename('evil', '.mcp.json')
    os.rename('.mcp.json', 'evil'); os.rename('away', '.mcp.json')";
    let swap = crate::support::python(swap);
    // By whom the workspace belongs to.
    let mut swapper = cage.0.command("/usr/bin/setpriv");
    if is_root() {
        swapper.args(["--reuid", crate::OWNER, "--regid", crate::OWNER, "--clear-groups"]);
    } else {
        swapper.arg("--no-new-privs");
    }
    let mut swapper = swapper.args(["/usr/bin/python3", "-c", &swap]).spawn().unwrap();
    for _ in 0..25 {
        let ran = cage.inside("if (echo x >> .mcp.json) 2>/dev/null; then echo written; fi");
        assert!(!ran.out.contains("written"), "{ran:?}");
    }
    cage.outside("touch stop").works("stop");
    swapper.wait().unwrap();
    let kept = cage.0.outside("cat evil .mcp.json away 2>/dev/null; true").works("look").out;
    assert!(!kept.contains('x'), "{kept}");
}
