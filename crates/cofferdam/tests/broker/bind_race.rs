//! `bind(2)` from a working directory that another thread changes meanwhile: the socket is made where
//! its name was judged, and what the session made is that socket.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, policy, twin};

/// One thread goes to and fro between two directories, while another binds `name` there, `done` looks,
/// and what was bound goes again.
const RACE: &str = "
def race(name, seconds, done):
    there = [os.environ['W'] + '/a', os.environ['W'] + '/b']
    over = []
    def flip():
        while not over:
            os.chdir(there[0])
            os.chdir(there[1])
    one = threading.Thread(target=flip)
    one.start()
    came = {}
    end = time.time() + seconds
    try:
        while time.time() < end:
            s = socket.socket(socket.AF_UNIX)
            try: s.bind(name); said = 'ok'
            except OSError as e: said = errno.errorcode[e.errno]
            s.close()
            came[said] = came.get(said, 0) + 1
            if done(): break
    finally:
        over.append(1)
        one.join()
        os.chdir(os.environ['W'])
    return came
top = os.environ['W'] + '/b/'
sub = os.environ['W'] + '/a/'
def gone(path):
    try: os.unlink(path); return True
    except OSError: return False
";

#[test]
fn no_flip_of_a_directory_binds_a_protected_name() {
    let place = Place::new();
    for folder in ["a", "b"] {
        fs::create_dir(place.work.join(folder)).unwrap();
    }
    let look = "gone(sub + '.mcp.json'); return os.path.lexists(top + '.mcp.json')";
    let look = format!("def done():\n    {look}");
    // The top is `b`, for the race's sake.
    let race = RACE.replace("os.environ['W'] + '/b'", "os.environ['W']");
    let race = race.replace("os.environ['W'] + '/b/'", "os.environ['W'] + '/'");
    let mut outside = Session::outside(&place, &twin(&place));
    outside.ok(&race);
    outside.ok(&look);
    outside.ok("race('.mcp.json', 5, done); assert os.path.lexists('.mcp.json')");
    let mut inside = Session::inside(&place, &[]);
    inside.ok(&race);
    inside.ok(&look);
    inside.ok("came = race('.mcp.json', 4, done)");
    assert!(fs::symlink_metadata(place.work.join(".mcp.json")).is_err(), "at the top");
    inside.ok("assert came.get('ok', 0) > 20 and came.get('EACCES', 0) > 20, came");
    inside.ok("assert not set(came) - {'ok', 'EACCES', 'EADDRINUSE'}, came");
    inside.end().works("to its end");
}

#[test]
fn no_flip_of_a_directory_makes_an_old_file_ones_own() {
    for mode in ["mode = \"no-delete\"", "mode = \"no-delete\", overwrite = false"] {
        let place = Place::new();
        let old = place.write("home/src/app/a/s", "0123456789");
        fs::create_dir(place.work.join("b")).unwrap();
        let options = policy(&place, &format!("workspace = {{ path = \".\", {mode} }}"));
        let look =
            "def done():\n    global own\n    own += gone(top + 's')\n    return gone(sub + 's')";
        let mut outside = Session::outside(&place, &twin(&place));
        outside.ok(RACE);
        outside.ok(look);
        outside.ok("own = 0; race('s', 3, done); assert not os.path.lexists(sub + 's')");
        let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
        inside.ok(RACE);
        inside.ok(look);
        inside.ok("own = 0; came = race('s', 3, done)");
        assert_eq!(fs::read_to_string(&old).unwrap(), "0123456789", "{mode}");
        inside.fails("os.unlink(sub + 's')", "EPERM");
        inside.ok("assert came.get('ok', 0) > 20 and came.get('EADDRINUSE', 0) > 20, came");
        inside.ok("assert own > 20, own");
        inside.end().works("to its end");
    }
}
