//! What the peers' table asks of files: secrets of the home, other projects, the rest of the machine.

use crate::support::Place;

#[test]
fn secrets_and_other_projects_are_absent() {
    let place = Place::new();
    for file in ["$H/.ssh/id_test", "$H/src/other/secret", "$OUT/canary"] {
        place.shell_attack(&format!("cat {file}"), &["No such file"], file);
    }
    place.shell_attack("ls $H/.ssh", &["No such file"], "listing");
    for folder in ["$H/src/other", "$OUT", "$H"] {
        place.outside(&format!("echo x > {folder}/planted && rm {folder}/planted")).works(folder);
    }
    place
        .inside("echo x > $H/planted; mkdir -p $H/src/other; echo x > $H/src/other/planted")
        .works("the private home takes it");
    assert!(!place.home.join("planted").exists() && !place.home.join("src/other/planted").exists());
    place.inside("echo x > new && cat new").works("the workspace");
    assert_eq!(place.read("home/src/app/new"), "x\n", "and it is there afterwards");
}

#[test]
fn proc_sys_is_read_only() {
    let place = Place::new();
    for knob in [
        "kernel/core_pattern",
        "vm/drop_caches",
        "kernel/hostname",
        "user/max_user_namespaces",
        "net/ipv4/ip_forward",
    ] {
        place
            .inside(&format!("echo 1 > /proc/sys/{knob}"))
            .fails(&["Read-only", "Permission"], knob);
    }
    for name in ["sysrq-trigger", "kcore", "kmsg", "keys", "timer_list"] {
        place
            .inside(&format!("cat /proc/{name}"))
            .fails(&["Permission denied", "No such file"], name);
    }
    // In namespaces of its own an ordinary user may turn a knob: the control.
    place.outside("unshare -Urn sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'").works("outside");
    place.inside("cat /proc/sys/kernel/osrelease /proc/cpuinfo /proc/meminfo /proc/self/stat > /dev/null").works("reading");
}
