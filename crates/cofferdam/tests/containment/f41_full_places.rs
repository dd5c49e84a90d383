//! F41: filling the private places (bytes, names, a deep tree) meets ENOSPC, inside only.

use crate::support::Place;

/// What each act does in the directory `sys.argv` would name: told by the variable `AT`.
const BYTES: &str =
    "with open(AT + '/full', 'wb') as f:\n    [f.write(bytes(1 << 20)) for _ in range(12)]";
const NAMES: &str = "for n in range(3000):\n    open(f'{AT}/name-{n}', 'w').close()";
const DEEP: &str = "os.chdir(AT)\nfor n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')";

/// The act in a directory; what it made is removed again, without recursion.
fn act(at: &str, body: &str) -> String {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "AT = {at}\ntry:\n{body}finally:\n    os.chdir('/')\n    os.system('rm -rf ' + AT + '/*')"
    )
}

#[test]
fn a_full_place_is_full_inside_only() {
    let place = Place::new();
    for (body, what) in [(BYTES, "bytes"), (NAMES, "names"), (DEEP, "a deep tree")] {
        place.python_outside(&act("os.environ['OUT']", body)).works(what);
        for at in ["'/tmp'", "'/var/tmp'", "'/dev/shm'", "os.environ['HOME']"] {
            place
                .python_inside_with(&["--limit", "private_size=8MiB"], &act(at, body))
                .fails(&["ENOSPC"], &format!("{what} in {at}"));
        }
    }
    place.outside("head -c 100000 /dev/zero > $OUT/x && rm $OUT/x").works("the host has room");
    let fits = "with open('/tmp/x', 'wb') as f:\n    f.write(bytes(7 << 20))";
    place.python_inside_with(&["--limit", "private_size=8MiB"], fits).works("what fits is held");
}

/// Our own directories in memory are no place to fill.
#[test]
fn nothing_else_in_memory_can_be_filled() {
    let place = Place::new();
    place.outside("touch $OUT/x").works("the control");
    for at in ["/", "/dev", "/run", "/var", "/sys", "/dev/pts"] {
        place
            .inside(&format!("touch {at}/x"))
            .fails(&["Read-only", "Permission denied", "not permitted"], at);
    }
}
