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
    on_terminal(&place, &format!("{run} < /dev/null"))
        .fails(&["ENXIO", "ENODEV"], "there is none inside");
}

/// With a terminal for its input the workload has one of its own, and nobody can type into it but
/// the person.
#[test]
fn its_own_terminal_takes_no_typing() {
    let place = Place::new();
    for (request, high) in [("0x5412", 0), ("0x5412", 1), ("0x5423", 0), ("0x541C", 0)] {
        let types = format!(
            "fd = os.open('/dev/tty', os.O_RDWR)\ncall(16, fd, {request} | {high} << 32, ctypes.create_string_buffer(b'x'))"
        );
        let script = place.write("home/src/app/type_in.py", &crate::support::python(&types));
        let python = format!("/usr/bin/python3 {}", script.display());
        let run = format!("{} run --quiet -- {python}", programs().join("cofferdam").display());
        on_terminal(&place, &run).fails(&["EPERM"], request);
    }
    let script = place.write(
        "home/src/app/pid.py",
        &crate::support::python(
            "assert os.getsid(0) == 1 and os.getpgrp() == os.getpid(), 'a group of its own'\n\
             os.tcsetpgrp(0, os.getpgrp())\n\
             pid = os.fork()\n\
             if pid == 0: os.setpgid(0, 0); os._exit(0)\n\
             assert os.waitpid(pid, 0)[1] == 0\n\
             for act in (lambda: os.setpgid(0, 1), lambda: os.setpriority(os.PRIO_PGRP, 1, 19)):\n    \
                 try: act()\n    \
                 except PermissionError: continue\n    \
                 raise OSError('into the group of pid 1')",
        ),
    );
    let python = format!("/usr/bin/python3 {}", script.display());
    let run = format!("{} run --quiet -- {python}", programs().join("cofferdam").display());
    on_terminal(&place, &run).works("groups of its own, and not that of pid 1");
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
