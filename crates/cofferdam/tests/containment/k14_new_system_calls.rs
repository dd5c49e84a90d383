//! K14: a system call that the table does not name does not exist.

use crate::support::Place;

#[test]
fn unknown_numbers_are_enosys() {
    let place = Place::new();
    place
        .python_inside(
            "for nr in list(range(470, 600)) + [400, 423, 999, 2**30 - 1]:\n\
             \x20   try: call(nr, 0, 0, 0, 0, 0, 0)\n\
             \x20   except OSError as e:\n\
             \x20       if e.errno == errno.ENOSYS: continue\n\
             \x20       raise\n\
             \x20   raise OSError(errno.EISCONN, str(nr))",
        )
        .works("numbers of later kernels");
    // Recent calls that this kernel has and the workload does not.
    for (nr, what) in [
        (437, "openat2"),
        (447, "memfd_secret"),
        (457, "statmount"),
        (461, "lsm_list_modules"),
        (463, "setxattrat"),
    ] {
        let reach = format!(
            "try: call({nr}, 0, 0, 0, 0)\nexcept OSError as e:\n    if e.errno == errno.ENOSYS: raise"
        );
        place.python_attack(&reach, &["ENOSYS"], what);
    }
    place.python_inside("call(39 | 0x40000000)").fails(&["ENOSYS"], "x32");
    place.python_inside("call(439, -100, b'/', 0, 0)").works("faccessat2, which the table names");
}

/// Two numbers pass every filter since Linux 6.14 (`uretprobe`, `uprobe`): the kernel itself ends
/// or refuses whoever calls them outside of a probe.
#[test]
fn the_two_numbers_that_no_filter_sees_do_nothing() {
    let place = Place::new();
    for nr in [335, 336] {
        let ran = place.python_inside(&format!("call({nr}, 0, 0, 0, 0)"));
        // SIGILL, ENXIO, or ENOSYS where the filter does see them.
        assert!(
            matches!(ran.status, Some(132))
                || ran.err.contains("ENXIO")
                || ran.err.contains("ENOSYS"),
            "{nr}: {ran:?}"
        );
    }
}
