//! F26: the workspace becomes a symbolic link between the check and the mount: refused, by name.

use std::fs;
use std::os::unix::fs::symlink;

use cofferdam::{Engine, Options, PolicyFrom, Sink};

use crate::support::{Place, programs};

#[test]
fn what_was_judged_is_what_is_mounted() {
    let place = Place::new();
    let engine = Engine::with_programs(&programs()).unwrap();
    let (work, kept) = (place.work.clone(), place.root.join("kept"));
    let inner = place.work.join("sub");
    fs::create_dir(&inner).unwrap();
    let text = format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{}\" }}\nhide = [\"sub\"]\n",
        work.display()
    );
    let run = |between: &dyn Fn()| {
        let options = Options {
            policy: PolicyFrom::Text { name: "f26".into(), text: text.clone() },
            audit: Some(place.root.join("log/audit.jsonl")),
            ..Options::command(["sh", "-c", "ls canary; echo x > planted; ls sub/secret"])
        };
        let prepared = engine.prepare(&options).unwrap();
        between();
        let session = engine.start(&prepared)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        session.run(None, Sink::Collect(&mut out), Sink::Collect(&mut err), None)
    };
    run(&|| ()).unwrap();
    assert!(work.join("planted").exists(), "the control: it runs in the workspace");
    let before = fs::read_dir(&place.out).unwrap().count();
    let code = |between: &dyn Fn()| run(between).unwrap_err().code();
    let link = || {
        fs::rename(&work, &kept).unwrap();
        symlink(&place.out, &work).unwrap();
    };
    assert_eq!(code(&link), "changed-meanwhile", "a link to somebody else's");
    fs::remove_file(&work).unwrap();
    fs::rename(&kept, &work).unwrap();
    let src = place.home.join("src");
    let above = || {
        fs::rename(&src, &kept).unwrap();
        symlink(&place.out, &src).unwrap();
    };
    assert_eq!(code(&above), "changed-meanwhile", "a link above it");
    fs::remove_file(&src).unwrap();
    fs::rename(&kept, &src).unwrap();
    let directory = || {
        fs::rename(&work, &kept).unwrap();
        fs::create_dir(&work).unwrap();
    };
    assert_eq!(code(&directory), "changed-meanwhile", "another directory of that name");
    fs::remove_dir(&work).unwrap();
    fs::rename(&kept, &work).unwrap();
    // The hidden one is moved aside, and another takes its name.
    let hidden = || {
        fs::rename(&inner, work.join("open")).unwrap();
        fs::create_dir(&inner).unwrap();
    };
    assert_eq!(code(&hidden), "changed-meanwhile", "another directory for the hidden one");
    assert_eq!(fs::read_dir(&place.out).unwrap().count(), before, "nothing was made outside");
    run(&|| ()).unwrap();
}
