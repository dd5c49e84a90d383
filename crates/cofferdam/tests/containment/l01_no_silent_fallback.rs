//! L01: whatever is missing, the command does not run unconfined: it is refused, in words.

use crate::support::{Place, Ran, finish, programs, python};

/// Runs cofferdam below a filter that answers one system call with an error, as an older kernel
/// or an outer sandbox would. `None` filters nothing: the control.
fn without(place: &Place, call: Option<(u32, u16)>) -> Ran {
    let (number, errno) = call.unwrap_or((9999, 1));
    let cofferdam = programs().join("cofferdam").display().to_string();
    let body = format!(
        "import struct\n\
         f = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (6, 0, 0, 0x50000 | {errno}), (6, 0, 0, 0x7fff0000)]\n\
         b = ctypes.create_string_buffer(b''.join(struct.pack('<HBBI', *i) for i in f))\n\
         p = ctypes.create_string_buffer(struct.pack('<HxxxxxxQ', len(f), ctypes.addressof(b)))\n\
         call(157, 38, 1, 0, 0, 0)\n\
         call(157, 22, 2, p)\n\
         os.execv('{cofferdam}', ['cofferdam', 'run', '--quiet', '--', 'touch', 'started'])"
    );
    finish(place.command("/usr/bin/python3").args(["-c", &python(&body)]))
}

#[test]
fn every_missing_piece_of_the_kernel_is_a_refusal() {
    let (eperm, enosys) = (1, 38);
    for (what, number, errno) in [
        ("unshare", 272, eperm),
        ("open_tree", 428, enosys),
        ("move_mount", 429, enosys),
        ("fsopen", 430, eperm),
        ("fsmount", 432, eperm),
        ("mount_setattr", 442, enosys),
        ("pivot_root", 155, eperm),
        ("openat2", 437, enosys),
        ("landlock_create_ruleset", 444, enosys),
        ("landlock_restrict_self", 446, eperm),
        ("seccomp", 317, eperm),
        ("capset", 126, eperm),
        ("memfd_create", 319, enosys),
        ("socketpair", 53, eperm),
        ("sethostname", 170, eperm),
        ("prctl", 157, eperm),
    ] {
        let place = Place::new();
        let ran = without(&place, Some((number, errno)));
        assert_eq!(ran.status, Some(125), "{what} missing: {ran:?}");
        assert!(!place.work.join("started").exists(), "{what}: nothing ran");
        assert!(
            ran.err.contains("cofferdam: ") && ran.err.contains("help"),
            "{what}: says why and what to do: {ran:?}"
        );
    }
    let place = Place::new();
    without(&place, Some((272, eperm)))
        .refused("the system-call filter of an outer container", "the cause")
        .refused("seccomp=unconfined", "the remedy");
    without(&place, None).works("with all of them it starts");
    assert!(place.work.join("started").exists());
}

#[test]
fn missing_programs_and_logs_are_refusals() {
    let place = Place::new();
    let bin = place.root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(programs().join("cofferdam"), bin.join("cofferdam")).unwrap();
    let run = |args: &[&str]| {
        finish(
            place
                .command(bin.join("cofferdam"))
                .arg("run")
                .args(args)
                .args(["--", "touch", "started"]),
        )
    };
    run(&[]).refused("is missing", "no cofferdam-init");
    std::fs::write(bin.join("cofferdam-init"), "#!/bin/sh\nexit 0\n").unwrap();
    place.outside("chmod 755 ../../../bin/cofferdam-init").works("another program in its place");
    run(&[]).refused("", "init is not ours");
    std::fs::copy(programs().join("cofferdam-init"), bin.join("cofferdam-init")).unwrap();
    run(&["--audit", "/dev/full"]).refused("not a regular file", "a log that takes nothing");
    run(&["--audit", "/proc/none/audit"])
        .refused("cannot make the directory", "a log that cannot be");
    assert!(!place.work.join("started").exists(), "nothing ran");
    run(&[]).works("with everything in place");
}

/// `sysctl user.max_user_namespaces = 0`, in a namespace of our own.
#[test]
fn a_limit_on_namespaces_is_named() {
    let place = Place::new();
    let run = |limit: u32| {
        let script = format!(
            "echo {limit} > /proc/sys/user/max_user_namespaces && exec {} run --quiet --workspace $W -- true",
            programs().join("cofferdam").display()
        );
        finish(place.command("unshare").args(["-Ur", "sh", "-c", &script]))
    };
    run(0).refused("max_user_namespaces", "names the knob");
    run(9).refused("the workload would be root", "and root alone in its namespace, as such");
}
