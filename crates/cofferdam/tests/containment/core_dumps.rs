//! A crash inside leaves no core file and starts no core handler of the host.

use crate::support::Place;

#[test]
fn a_crash_leaves_nothing() {
    let place = Place::new();
    let crash = "cd $W && sh -c 'kill -SEGV $$'; ls $W";
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with(['|', '/']) {
        eprintln!("not run here: core_dumps: the control: core_pattern is {}", pattern.trim());
    } else {
        let outside = place.outside(&format!("ulimit -c unlimited && {crash} && rm core*"));
        assert!(outside.works("the control").out.contains("core"), "a core file");
    }
    let inside = place.inside(crash).works("a crash");
    assert_eq!(inside.out, "", "no file");
}

/// 1, not 0: with 0 the kernel would still start the program of a `core_pattern` that names one
/// (`core(5)`; tried by hand, since the setting is the whole machine's).
#[test]
fn the_limit_stays() {
    let place = Place::new();
    let body = "import resource\n\
                core = resource.RLIMIT_CORE\n\
                assert resource.getrlimit(core) == (1, 1), resource.getrlimit(core)\n\
                resource.setrlimit(core, (0, 0))\n\
                assert resource.getrlimit(core) == (1, 1), resource.getrlimit(core)\n\
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n\
                assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64)";
    place.python_inside(body).works("asking for none is granted and changes nothing");
    let set = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n\
               assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)";
    place.python_outside(set).works("the control");
    place
        .python_inside("import resource\nresource.prlimit(0, resource.RLIMIT_CORE, (0, 0))")
        .fails(&["EPERM", "PermissionError", "Operation not permitted"], "both at once");
}
