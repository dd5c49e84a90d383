//! F06, F56: nothing that is held moves with its parent, and nothing moves into place below another.

use crate::support::Place;
use crate::trial::{Session, allowed, denied, policy};

const HELD: &str = "EACCES EROFS EBUSY EXDEV";

#[test]
fn what_is_held_does_not_move_with_its_parent() {
    let place = Place::new();
    for name in ["a/b/c/secret", "a/b/x", "hidden/deep/.env", "hidden/deep/x", "e/x", "f"] {
        place.write(&format!("home/src/app/{name}"), "text");
    }
    let options = policy(&place, "protect = [\"a/b/c/secret\"]\nhide = [\"hidden/deep/.env\"]");
    let options = options.each_ref().map(String::as_str);
    let acts: Vec<_> = [
        "os.rename('a', 'z')",
        "os.rename('a/b', 'z')",
        "os.rename('a/b/c', 'z')",
        "os.rename('a/b', 'a/z')",
        "os.rename('hidden', 'z')",
        "os.rename('hidden/deep', 'hidden/z')",
        "call(316, -100, b'a', -100, b'e', 2)",
        "call(316, -100, b'e', -100, b'a', 2)",
        "call(316, -100, b'a/b', -100, b'f', 2)",
        "os.chdir('a'); os.rename('b', '../z')",
        "os.rename('b', 'z', src_dir_fd=os.open('a', os.O_PATH), dst_dir_fd=os.open('.', os.O_PATH))",
        "os.rename('f', 'a/b/c/secret')",
    ]
    .map(|act| (act.to_owned(), HELD))
    .into();
    denied(&place, &options, &acts);
    allowed(
        &place,
        &options,
        &[
            "os.rename('a/b/x', 'a/b/y'); os.rename('e', 'z'); assert subprocess.run(['mv', 'a/b/y', 'hidden/deep/x', '.']).returncode == 0",
            "assert get('a/b/c/secret') == 'text'",
        ],
    );
}

/// Parents that are not there: they may be made, and nothing that brings the name along.
#[test]
fn nothing_brings_an_absent_name_along() {
    let place = Place::new();
    for name in ["q/y/z", "r/z", "s/x", "f"] {
        place.write(&format!("home/src/app/{name}"), "text");
    }
    let options = policy(&place, "protect = [\"x/y/z\"]");
    let options = options.each_ref().map(String::as_str);
    let acts: Vec<_> = [
        "os.rename('q', 'x')",
        "os.rename('s', 'x')",
        "os.symlink('q', 'x')",
        "os.symlink('/tmp', 'x')",
        "os.symlink('nowhere', 'x')",
    ]
    .map(|act| (act.to_owned(), HELD))
    .into();
    denied(&place, &options, &acts);
    let mut inside = Session::inside(&place, &options);
    inside.ok("os.mkdir('x')");
    inside.fails("os.rename('r', 'x/y')", HELD);
    inside.fails("os.symlink('../r', 'x/y')", HELD);
    inside.fails("os.symlink('r', 'link'); os.rename('link', 'x/y')", HELD);
    inside.fails("os.link('link', 'x/y', follow_symlinks=False)", HELD);
    inside.ok("os.mkdir('x/y'); put('x/y/zz')");
    for act in
        ["put('x/y/z')", "os.mkdir('x/y/z')", "os.rename('f', 'x/y/z')", "os.link('f', 'x/y/z')"]
    {
        inside.fails(act, "EACCES");
    }
    // By copies, each name is judged.
    inside.ok("done = subprocess.run(['cp', '-r', 'q/y/.', 'x/y'], stderr=subprocess.PIPE); assert done.returncode == 1 and not os.path.exists('x/y/z')");
    inside.ok("os.mkdir('n'); os.mkdir('n/m'); put('n/m/file'); assert subprocess.run(['mv', 'n', 'x/n']).returncode == 0; assert get('x/n/m/file') == 'x'");
    inside.end().works("to its end");
}

/// The parent, made by the host while the workload runs, or replaced by it.
#[test]
fn the_host_may_make_and_replace_parents() {
    let place = Place::new();
    place.write("home/src/app/f", "text");
    let options = policy(&place, "protect = [\"x/y/z\"]");
    let options = options.each_ref().map(String::as_str);
    let mut inside = Session::inside(&place, &options);
    place.outside("mkdir -p x/y").works("the host makes it");
    inside.fails("put('x/y/z')", "EACCES");
    inside.ok("held = os.open('x/y', os.O_PATH)");
    place.outside("mv x old && mkdir -p x/y").works("the host replaces it");
    inside.fails("put('x/y/z')", "EACCES");
    inside.ok("os.mkdir('z', dir_fd=held); assert os.path.isdir('old/y/z')");
    place.outside("rm -rf x && mv old x").works("and puts it back");
    inside.fails("os.rename('f', 'z', dst_dir_fd=held)", HELD);
    inside.fails("put('x/y/z/below')", "EACCES");
    inside.ok("put('x/y/beside')");
    inside.end().works("to its end");
}
