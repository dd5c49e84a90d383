//! F51: while the sandbox is built, nothing is created through links of the workspace.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Place, finish, is_root, programs, python};

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

/// Root's `doctor` tries on behalf of whom the directory belongs to, who watches, and plants links to what is
/// root's in every directory that it gets.
#[test]
fn doctor_follows_no_link_of_an_owners() {
    if !is_root() {
        eprintln!("not run here: f51: needs root, who gives way to an owner");
        return;
    }
    let place = Place::new();
    let victim = place.write("out/victim", "root's");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(place.root.join("tmp")).unwrap();
    let body = "import glob, stat
parent = os.getppid()
os.setgid(65533); os.setuid(65533)
names = ('outside', 'kept/outside', 'moded', 'audit.jsonl', 'work/from', 'kept', 'canary')
while os.getppid() == parent:
    for top in glob.glob(os.environ['TMPDIR'] + '/*'):
        for at in (top, top + '/tree'):
            for name in names:
                try: os.symlink(os.environ['VICTIM'], at + '/' + name)
                except OSError: pass";
    let script = place.write("out/plant.py", &python(body));
    let around = format!(
        "export VICTIM={}; chown 65533:65533 .
         /usr/bin/python3 {} >/dev/null 2>&1 &
         for i in 1 2 3 4 5; do \"$@\" > $OUT/said 2>&1; done
         kill $!; ls -A $TMPDIR",
        victim.display(),
        script.display()
    );
    let mut doctor = place.command("sh");
    doctor.args(["-c", &around, "sh"]).arg(programs().join("cofferdam")).arg("doctor");
    doctor.env("TMPDIR", place.root.join("tmp"));
    let ran = finish(&mut doctor).works("root's doctor");
    assert!(place.read("out/said").contains("root, which gives way to uid 65533"), "{ran:?}");
    let seen = fs::metadata(&victim).unwrap();
    let found = (place.read("out/victim"), seen.uid());
    assert_eq!(found, ("root's".to_owned(), 0));
    assert_eq!(seen.permissions().mode() & 0o7777, 0o600);
    assert_eq!(ran.out, "", "nothing is left");
}
