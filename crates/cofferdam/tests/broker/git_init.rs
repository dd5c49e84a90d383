//! F53: a tree without `.git` gets none, by git or by hand, and the repository around it goes on.

use std::fs;

use crate::support::Place;
use crate::trial::{allowed, denied};

#[test]
fn git_init_leaves_nothing() {
    for script in [
        "git init",
        "git init -q .",
        "git clone -q --bare src b && git clone -q b . || git init",
        "mkdir .git",
        "echo gitdir: /tmp > .git",
        "cp -r src/.git .git",
        "mv src/.git .git",
        "git init -q --separate-git-dir=sub .",
        "git -C src worktree add -q ../.git/x",
        "ln -s src/.git .git",
        "ln src/file .git",
    ] {
        let place = Place::new();
        let source = "git init -q src && cd src && git config user.email a@b.test && git config user.name a \
                      && echo x > file && git add . && git commit -qm one && git branch b";
        place.outside(source).works("another repository");
        let before = fs::read_dir(&place.work).unwrap().count();
        let ran = place.inside(script);
        assert!(!matches!(ran.status, Some(0 | 125) | None), "{script}: {ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        let clear = ["Permission denied", "cannot mkdir .git", "could not", "unable"];
        assert!(clear.iter().any(|words| said.contains(words)), "{script}: {said}");
        assert!(
            fs::symlink_metadata(place.work.join(".git")).is_err(),
            "{script}: nothing is left"
        );
        if script.starts_with("git init") && !script.contains("separate") {
            assert_eq!(fs::read_dir(&place.work).unwrap().count(), before, "{script}");
        }
        place.outside(script).works("the control");
        assert!(fs::symlink_metadata(place.work.join(".git")).is_ok(), "{script}: the control");
    }
    let place = Place::new();
    place
        .inside("git init -q sub && cd sub && echo x > f && git add f && git -c user.name=a -c user.email=a@b.test commit -qm one && git log --oneline")
        .works("below it, anybody may");
}

/// By hand, in every way, as a file and as a directory.
#[test]
fn the_git_entry_is_neither_made_nor_replaced() {
    let ways = [
        "put('.git', 'gitdir: d')",
        "os.mkdir('.git')",
        "os.mkdir('.git/')",
        "os.makedirs('.git/hooks')",
        "os.rename('f', '.git')",
        "os.rename('d', '.git')",
        "os.symlink('d', '.git')",
        "os.link('f', '.git')",
        "os.mkfifo('.git')",
        "socket.socket(socket.AF_UNIX).bind('.git')",
        "os.mkdir('d/../.git')",
        "os.chdir('d'); os.mkdir('../.git')",
    ];
    let place = Place::new();
    place.write("home/src/app/f", "");
    place.write("home/src/app/d/x", "");
    let acts: Vec<_> = ways.map(|act| (act.to_owned(), "EACCES EXDEV")).into();
    denied(&place, &[], &acts);
    // One that is there.
    for there in [
        "mkdir .git && echo ref: refs/heads/x > .git/HEAD && mkdir .git/objects .git/refs",
        "rm -rf .git; echo gitdir: nowhere > .git",
    ] {
        place.outside(there).works(there);
        let file = place.work.join(".git").is_file();
        let mut ways = vec![
            "os.rename('.git', 'moved')",
            "call(316, -100, b'd', -100, b'.git', 2)",
            "call(316, -100, b'.git', -100, b'f', 2)",
            "os.chmod('.git', 0o777)",
        ];
        if file {
            ways.extend([
                "os.unlink('.git')",
                "put('.git', 'gitdir: d')",
                "os.rename('f', '.git')",
                "os.link('.git', 'second')",
                "os.truncate('.git', 0)",
            ]);
        } else {
            ways.push("import shutil; shutil.rmtree('.git/objects'); shutil.rmtree('.git/refs'); os.unlink('.git/HEAD'); os.rmdir('.git')");
        }
        // The last of them empties it first, which it may.
        let acts: Vec<_> = ways
            .iter()
            .filter(|act| !act.contains("shutil"))
            .map(|act| ((*act).to_owned(), "EACCES EXDEV EBUSY EROFS"))
            .collect();
        denied(&place, &[], &acts);
        if !file {
            place
                .inside("rm -rf .git")
                .fails(&["Permission denied", "busy"], "what is in it goes, it stays");
            assert!(place.work.join(".git").is_dir());
        }
    }
    allowed(
        &place,
        &[],
        &[
            "os.mkdir('sub'); put('sub/.git', 'gitdir: x'); os.unlink('sub/.git'); os.mkdir('sub/.git')",
        ],
    );
}

/// The repository around the workspace is found, and is no way to run a program.
#[test]
fn the_repository_around_it_goes_on() {
    let place = Place::new();
    let set_up = "cd .. && git init -q app && cd app && git config user.email a@b.test && git config user.name a \
                  && mkdir -p sub && echo x > sub/file && git add . && git commit -qm one";
    place.outside(set_up).works("a repository");
    let sub = place.work.join("sub").display().to_string();
    let config = place.read("home/src/app/.git/config");
    let inside = |script: &str| {
        let mut command = place.cofferdam(&["--workspace", &sub]);
        crate::support::finish(command.current_dir(&sub).args(["sh", "-c", script]))
    };
    inside("git status --short && echo y >> file && git add file && git commit -qm two")
        .works("git works");
    for script in [
        "git config core.fsmonitor x",
        "git -C . config core.hooksPath x",
        "echo x > ../.git/hooks/post-commit",
        "git init -q",
        "mkdir .git",
    ] {
        inside(script).fails(&["denied", "could not", "unable", "Read-only", "error"], script);
    }
    place
        .inside("git -C sub config core.fsmonitor x")
        .fails(&["could not", "error", "denied"], "from above");
    place.inside("git status --porcelain").works("and its status works");
    assert_eq!(place.read("home/src/app/.git/config"), config);
    assert_eq!(place.outside("git -C sub status --porcelain").works("outside").out, "");
    place.outside("git -C sub config core.fsmonitor x").works("the control");
}
