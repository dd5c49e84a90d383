//! F52: init cannot be traced by another process of the same user.
//!
//! It closes itself with its first call. Until then, while the loader runs, it is a process like
//! any other of that user, who could as well trace the engine: THREATS.md says so.

use crate::support::{Place, finish, is_root};

#[test]
fn init_is_not_dumpable() {
    if is_root() {
        // Root may trace everything; the same-user attack has no meaning.
        eprintln!("not run as root: f52_traced_set_up::init_is_not_dumpable");
        return;
    }
    let place = Place::new();
    let trace = |what: &str, pick: &str| {
        let body = format!(
            "import subprocess, time\n\
             p = subprocess.Popen({what})\n\
             time.sleep(0.3)\n\
             won, seen, end = 0, 0, time.time() + 2\n\
             while p.poll() is None and time.time() < end:\n\
             \x20   for d in os.listdir('/proc'):\n\
             \x20       if not d.isdigit(): continue\n\
             \x20       try:\n\
             \x20           if open('/proc/%s/comm' % d).read().strip() != '{pick}': continue\n\
             \x20           if os.stat('/proc/%s' % d).st_uid not in (os.getuid(), 0): continue\n\
             \x20           seen += 1\n\
             \x20           os.close(os.open('/proc/%s/mem' % d, os.O_RDONLY)); won += 1\n\
             \x20       except OSError: pass\n\
             p.kill(); p.wait()\n\
             print('seen', seen > 0, 'won', won > 0)"
        );
        finish(place.command("/usr/bin/python3").args(["-c", &crate::support::python(&body)]))
    };
    assert_eq!(
        trace("['sleep', '2']", "sleep").out.trim(),
        "seen True won True",
        "a plain process is open"
    );
    let cofferdam = crate::support::programs().join("cofferdam").display().to_string();
    let run = format!("['{cofferdam}', 'run', '--quiet', '--', 'sleep', '2']");
    // A program started through its descriptor is named by the number.
    let name = place.inside("cat /proc/1/comm").works("init's name").out;
    assert_eq!(trace(&run, name.trim()).out.trim(), "seen True won False", "init is not");
}
