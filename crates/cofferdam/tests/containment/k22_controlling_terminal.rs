//! K22: the workload has a session of its own and no terminal to type into.

use crate::support::{Place, finish, programs};

/// Runs a Python body on a pseudo-terminal (`script(1)`), where it is the caller's own.
fn on_terminal(place: &Place, words: &str) -> crate::support::Ran {
    finish(place.command("script").args(["-qec", words, "/dev/null"]))
}

#[test]
fn no_terminal_no_typing() {
    let place = Place::new();
    let script = place.write(
        "home/src/app/tty.py",
        &crate::support::python(
            "import fcntl\nfd = os.open('/dev/tty', os.O_RDWR)\nprint('opened')",
        ),
    );
    let python = format!("/usr/bin/python3 {}", script.display());
    on_terminal(&place, &python).works("the terminal opens outside");
    let run = format!("{} run --quiet -- {python}", programs().join("cofferdam").display());
    on_terminal(&place, &run).fails(&["ENXIO", "ENODEV"], "there is none inside");
}

#[test]
fn a_session_of_its_own() {
    let place = Place::new();
    place
        .python_inside("assert os.getsid(0) == os.getpid() and os.getppid() == 1, (os.getsid(0), os.getppid())")
        .works("the workload leads its session");
    // On a terminal that the sandbox makes itself the filter refuses, high bits set or not.
    for request in ["0x5412", "0x541C", "0x1_0000_5412", "0x5423"] {
        place
            .python_inside(&format!("m, s = os.openpty()\nb = ctypes.create_string_buffer(b'x')\ncall(16, s, {request}, b)"))
            .fails(&["EPERM"], request);
    }
    place
        .python_inside("m, s = os.openpty()\nos.write(s, b'x'); assert os.read(m, 1) == b'x'")
        .works("a pty of its own");
}
