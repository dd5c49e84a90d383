//! F43: what is not in view cannot be watched or measured either.

use crate::support::Place;

/// `inotify_add_watch(2)`, `statx(2)`, `name_to_handle_at(2)`, `fanotify_init(2)` by number.
const ACTS: &[(&str, &str)] = &[
    ("stat", "os.stat(path)"),
    ("access", "assert os.access(path, os.F_OK) or sys.exit('ENOENT')"),
    ("readlink", "os.readlink(path + '-link')"),
    ("xattrs", "os.listxattr(path)"),
    ("inotify", "call(254, call(294, 0), path.encode(), 0x2)"),
    ("statx", "call(332, -100, path.encode(), 0, 0x7ff, ctypes.create_string_buffer(256))"),
    ("statfs", "os.statvfs(path)"),
    ("utime", "os.utime(path)"),
];

#[test]
fn nothing_outside_is_an_oracle() {
    let place = Place::new();
    place
        .outside("ln -s canary $OUT/canary-link && echo x > canary && ln -s canary canary-link")
        .works("");
    for (what, act) in ACTS {
        let at = |directory: &str| format!("path = os.environ['{directory}'] + '/canary'\n{act}");
        place.python_attack(&at("OUT"), &["ENOENT"], what);
        place.python_inside(&at("W")).works(what);
    }
    // A whole file system can be watched by root outside, and by nobody inside.
    let fanotify = "call(300, 0x200, 0)";
    place.python_outside(fanotify).works("the control: unprivileged groups exist");
    place.python_inside(fanotify).fails(&["EPERM", "ENOSYS"], "fanotify");
    // The same for what is hidden in a tree that is in view, there or not.
    place.write("home/src/app/key", "0123456789\n");
    for (what, act) in ACTS.iter().filter(|(what, _)| ["stat", "access", "statx"].contains(what)) {
        let act = format!("path = os.environ['W'] + '/key'\n{act}");
        place.python_outside(&act).works("the control");
        let ran = place.python_inside_with(&["--hide", "key"], &act);
        ran.fails(&["ENOENT"], what);
    }
}
