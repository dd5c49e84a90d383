//! F37, trees in trees: each has its own mode, whichever way they lie in each other.

use crate::support::Place;
use crate::trial::{Session, policy};

fn place() -> Place {
    let place = Place::new();
    for name in ["old", "inner/old", "inner/most/old"] {
        place.write(&format!("home/src/app/{name}"), "0123456789");
    }
    place
}

/// Whether `old` of a tree may be overwritten, and whether it may go.
#[track_caller]
fn check(inside: &mut Session, tree: &str, mode: &str) {
    let write =
        format!("fd = os.open('{tree}old', os.O_WRONLY); os.pwrite(fd, b'x', 0); os.close(fd)");
    let cut = format!("os.truncate('{tree}old', 5)");
    let remove = format!("os.unlink('{tree}old')");
    let create = format!("put('{tree}new'); os.unlink('{tree}new')");
    match mode {
        "read-only" => {
            for act in [&write, &cut, &remove, &create] {
                inside.fails(act, "EROFS");
            }
        }
        "append" => {
            for act in [&write, &cut, &remove] {
                inside.fails(act, "EPERM");
            }
            inside.ok(&create);
        }
        "no-delete" => {
            inside.ok(&write);
            for act in [&cut, &remove] {
                inside.fails(act, "EPERM");
            }
            inside.ok(&create);
        }
        _ => {
            for act in [&write, &cut, &create, &remove] {
                inside.ok(act);
            }
        }
    }
}

fn spelt(path: &str, mode: &str) -> String {
    match mode {
        "append" => format!("{{ path = \"{path}\", mode = \"no-delete\", overwrite = false }}"),
        _ => format!("{{ path = \"{path}\", mode = \"{mode}\" }}"),
    }
}

#[test]
fn each_tree_has_its_own_mode() {
    let modes = ["read-only", "append", "no-delete", "read-write"];
    for (n, outer) in modes.iter().enumerate() {
        for (k, inner) in modes.iter().enumerate() {
            let most = modes[(n + k + 1) % 4];
            let place = place();
            let top = place.work.display().to_string();
            let filesystem = format!(
                "workspace = {}\ngrant = [{}, {}]",
                spelt(".", outer),
                spelt(&format!("{top}/inner"), inner),
                spelt(&format!("{top}/inner/most"), most)
            );
            let options = policy(&place, &filesystem);
            let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
            check(&mut inside, "", outer);
            check(&mut inside, "inner/", inner);
            check(&mut inside, "inner/most/", most);
            if *outer != "read-only" && *inner != "read-only" {
                // From one tree into another there are copies alone.
                inside.fails("put('made'); os.rename('made', 'inner/made')", "EXDEV");
                inside.fails("os.link('made', 'inner/made')", "EXDEV EPERM");
            }
            inside.end().works(&filesystem);
        }
    }
}

/// What git and editors do gets a clear answer, and a whole one.
#[test]
fn git_and_editors_hear_it_clearly() {
    let place = Place::new();
    place
        .outside("git init -q . && git config user.email a@b.test && git config user.name a && echo 1 > file && git add . && git commit -qm one && git branch topic")
        .works("a repository");
    let options = policy(&place, "workspace = { path = \".\", mode = \"no-delete\" }");
    let options = options.each_ref().map(String::as_str);
    let run = |script: &str| place.inside_with(&options, script);
    run("git log --oneline && git diff && git show").works("reading");
    run("echo 2 >> file && test \"$(cat file | wc -l)\" = 2").works("appending");
    // An index is replaced by a rename over the old one.
    let ran = run("git add file");
    assert!(ran.status == Some(0) || ran.err.contains("unable to write new index"), "{ran:?}");
    run("rm file").fails(&["not permitted"], "rm");
    run("mv file x").fails(&["not permitted"], "mv");
    run("echo x > t && mv t file").fails(&["not permitted"], "an editor's save over the old file");
    run("sed -i s/1/2/ file").fails(&["not permitted"], "sed -i");
    run("echo x > new && sed -i s/x/y/ new && test $(cat new) = y && mv new n2 && rm n2")
        .works("one of its own");
    place.outside("git fsck && git status && test -f file").works("nothing is broken");
}
