//! K28: nothing that runs inside gains privilege.

use crate::support::Place;

#[test]
fn no_new_privileges_and_no_capabilities() {
    let place = Place::new();
    let status = place.inside("cat /proc/self/status").works("status").out;
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "CapInh:\t0000000000000000",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let outside = place.outside("cat /proc/self/status").works("status").out;
    assert!(outside.contains("NoNewPrivs:\t0"), "the control: {outside}");
}

#[test]
fn setuid_files_are_not_made_and_not_obeyed() {
    let place = Place::new();
    for (mode, why) in [(0o4755, "setuid"), (0o2755, "setgid")] {
        place.python_attack(
            &format!("open('f', 'w').close(); os.chmod('f', {mode})"),
            &["EPERM"],
            why,
        );
        place.python_attack(
            &format!("os.umask(0); os.close(os.open('g{mode}', os.O_CREAT | os.O_WRONLY, {mode}))"),
            &["EPERM"],
            why,
        );
    }
    place.inside("su -c true < /dev/null").fails(&["su:"], "a setuid program gains nothing");
    place.inside("touch ok && chmod 755 ok").works("ordinary modes");
}
