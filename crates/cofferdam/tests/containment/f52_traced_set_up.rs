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
    // Tries for a second to open the memory of the child (`sleep`), or of the child's child (init).
    let trace = |words: &str, of: &str| {
        let body = format!(
            "import subprocess, time\n\
             p = subprocess.Popen({words})\n\
             time.sleep(0.3)\n\
             children = open('/proc/%d/task/%d/children' % (p.pid, p.pid)).read().split()\n\
             victim = {of}\n\
             won, end = 0, time.time() + 1\n\
             while p.poll() is None and time.time() < end:\n\
             \x20   try: os.close(os.open('/proc/%s/mem' % victim, os.O_RDONLY)); won += 1\n\
             \x20   except PermissionError: pass\n\
             p.kill(); p.wait()\n\
             print('won' if won else 'lost')"
        );
        finish(place.command("/usr/bin/python3").args(["-c", &crate::support::python(&body)]))
    };
    assert_eq!(trace("['sleep', '2']", "p.pid").out, "won\n", "a plain process is open");
    let cofferdam = crate::support::programs().join("cofferdam").display().to_string();
    let run = format!("['{cofferdam}', 'run', '--quiet', '--', 'sleep', '2']");
    assert_eq!(trace(&run, "p.pid").out, "won\n", "so is the engine, which runs outside");
    assert_eq!(trace(&run, "children[0]").out, "lost\n", "init is not");
}
