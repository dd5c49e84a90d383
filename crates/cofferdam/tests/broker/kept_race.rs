//! F37 against time: a name that is the session's own when it is judged, and another's when it is
//! opened.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, policy};

/// One process removes its own file and links the old one to its name, others open that name to cut
/// it, all in a directory whose path is long, so that judging takes its time.
const RACE: &str = "
def race(seconds, cut):
    at = mmap.mmap(-1, 16)
    name = lambda n: 'm%d' % n
    pids = []
    for k in range(3):
        pid = os.fork()
        if pid == 0:
            while not at[8]:
                n = int.from_bytes(at[0:4], 'little')
                try: cut(name(n))
                except OSError: pass
            os._exit(0)
        pids.append(pid)
    pid = os.fork()
    if pid == 0:
        while not at[8]:
            try: os.link('../old', name(int.from_bytes(at[0:4], 'little')))
            except OSError: pass
        os._exit(0)
    pids.append(pid)
    end, n = time.time() + seconds, 0
    while time.time() < end:
        n += 1
        try: put(name(n), 'y' * 20)
        except OSError: continue
        at[0:4] = n.to_bytes(4, 'little')
        time.sleep(0.0003)
        try: os.unlink(name(n))
        except OSError: pass
        time.sleep(0.0005)
    at[8] = 1
    for pid in pids: os.waitpid(pid, 0)
    return n
";

/// Ways to lose what a name stands for.
const CUTS: &[&str] = &[
    "lambda name: os.close(os.open(name, os.O_WRONLY | os.O_TRUNC))",
    "lambda name: os.truncate(name, 0)",
];

#[test]
fn no_name_is_changed_between_the_verdict_and_the_cut() {
    for (filesystem, cuts) in [
        ("mode = \"no-delete\"", CUTS),
        (
            "mode = \"no-delete\", overwrite = false",
            &["lambda name: os.pwrite(os.open(name, os.O_WRONLY), b'EVIL', 0)"],
        ),
    ] {
        for cut in cuts {
            let place = Place::new();
            let deep = format!("{}/d", vec!["w".repeat(200); 17].join("/"));
            fs::create_dir_all(place.work.join(&deep)).unwrap();
            let old = place.work.join(&deep).join("../old");
            fs::write(&old, "0123456789").unwrap();
            let options = policy(&place, &format!("workspace = {{ path = \".\", {filesystem} }}"));
            let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
            inside.ok(&format!("for word in '{deep}'.split('/'): os.chdir(word)"));
            inside.ok("put('own'); os.unlink('own')");
            inside.ok(RACE);
            inside.ok(&format!("n = race(2, {cut}); assert n > 20, n"));
            let kept = fs::read_to_string(&old).unwrap();
            assert_eq!(kept, "0123456789", "{filesystem}: {cut}");
            inside.end().works("to its end");
        }
    }
}
