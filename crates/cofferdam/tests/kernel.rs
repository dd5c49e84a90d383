//! What this release relies on of the kernel, one fact a test: each fails when the kernel stops
//! behaving so. First the bare kernel, then what the wall makes of it.

#![expect(clippy::panic, reason = "helpers of tests are not covered by the exemption for tests")]

#[path = "support/mod.rs"]
mod support;

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use support::{Place, finish, is_root, programs, python};

/// Runs a Python body in a user namespace of its own (`unshare(1)`), with more namespaces.
fn in_namespaces(place: &Place, flags: &str, body: &str) -> support::Ran {
    finish(place.command("unshare").args([flags, "/usr/bin/python3", "-c", &python(body)]))
}

/// Starts a run that goes on until it is killed, and waits until its workload is there.
fn running(place: &Place, script: &str) -> std::process::Child {
    let script = format!("echo > started; {script}; sleep 60");
    let child = place.cofferdam(&[]).args(["sh", "-c", &script]).spawn();
    let child = child.unwrap_or_else(|error| panic!("{error}"));
    let until = Instant::now() + Duration::from_secs(20);
    while !place.work.join("started").exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(place.work.join("started").exists(), "the workload began");
    child
}

/// A mount guards an inode: replacing the file by rename takes the mount off in every namespace. The name
/// is held all the same.
#[test]
fn a_replaced_file_loses_its_guard_and_stays() {
    let place = Place::new();
    place.write("home/src/app/.mcp.json", "{}");
    // The bare kernel: a read-only bind in a namespace of its own, replaced from outside.
    let bind = "mount --bind .mcp.json .mcp.json && mount -o remount,bind,ro .mcp.json; \
                echo bound > ready; i=0; while [ ! -e replaced ] && [ $i -lt 500 ]; do i=$((i+1)); sleep 0.01; done; \
                echo planted > .mcp.json";
    let mut namespace = place.command("unshare").args(["-Urm", "sh", "-c", bind]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !place.work.join("ready").exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    let replace = "echo '{ }' > new && mv new .mcp.json";
    place.outside(&format!("{replace} && touch replaced")).works("an editor's save");
    assert!(namespace.wait().unwrap().success());
    assert_eq!(place.read("home/src/app/.mcp.json"), "planted\n", "the guard had fallen off");
    // The wall: every try fails, before and after, the run goes on, and the record says what fell.
    place.write("home/src/app/.mcp.json", "{}");
    let tries = "while [ ! -e enough ]; do if echo planted > .mcp.json; then exit 3; fi; done 2>/dev/null; exit 7";
    let mut run = running(&place, tries);
    for _ in 0..20 {
        place.outside(&format!("{replace} && sleep 0.02")).works("an editor's save");
    }
    place.outside("touch enough").works("");
    assert_eq!(run.wait().unwrap().code(), Some(7), "no try succeeded, and the workload runs on");
    assert_eq!(place.read("home/src/app/.mcp.json"), "{ }\n", "the host's own text");
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    assert!(log.contains("\"kind\":\"mount-fell\"") && log.contains(".mcp.json"), "{log}");
}

/// A file that nobody guards may be replaced at will.
#[test]
fn an_unguarded_file_may_be_replaced() {
    let place = Place::new();
    place.write("home/src/app/.mcp.json", "{}");
    place.write("home/src/app/notes", "");
    let mut run = running(&place, "while [ ! -e done ]; do sleep 0.01; done; exit 7");
    place
        .outside("echo x > new && mv new notes && mkdir d && mv d e && touch done")
        .works("work outside");
    assert_eq!(run.wait().unwrap().code(), Some(7), "the workload goes on to its own end");
}

/// Renaming the parent of a mount moves the mount aside, unless the parent is a mount itself.
#[test]
fn a_parent_that_is_a_mount_stays() {
    let place = Place::new();
    place.write("home/src/app/.git/hooks/pre-commit", "");
    let rename = "mv .git .got && mkdir -p .git/hooks && echo planted > .git/hooks/pre-commit";
    let bare = format!(
        "mount --bind .git/hooks .git/hooks && mount -o remount,bind,ro .git/hooks; {rename}"
    );
    finish(place.command("unshare").args(["-Urm", "sh", "-c", &bare]))
        .works("one mount is not enough");
    place.outside("rm -rf .git && mv .got .git").works("put it back");
    let bound = format!("mount --bind .git .git && mount --bind .git/hooks .git/hooks; {rename}");
    finish(place.command("unshare").args(["-Urm", "sh", "-c", &bound]))
        .fails(&["busy"], "ancestors bound");
    place.inside(rename).fails(&["Permission denied"], "inside");
}

/// A connect to a path socket passes read-only mounts and Landlock: only absence stops it, or who answers
/// the call instead of the kernel.
#[test]
fn a_read_only_socket_could_be_connected() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.out.join("s")).unwrap();
    let connect = "import socket\nsocket.socket(socket.AF_UNIX).connect(os.environ['OUT'] + '/s')";
    let bare = "mount --bind \"$OUT\" \"$OUT\" && mount -o remount,bind,ro \"$OUT\" && \
                ! touch \"$OUT/x\" && exec /usr/bin/python3 -c \"$0\"";
    let mut command = place.command("unshare");
    finish(command.args(["-Urm", "sh", "-c", bare, &python(connect)])).works("mounted read-only");
    // The directory is granted, and the socket in it is not.
    let grant = format!("{}:ro", place.out.display());
    place.python_inside_with(&["--grant", &grant], connect).fails(&["EPERM"], "granted read-only");
    let own = "import socket\nl = socket.socket(socket.AF_UNIX); l.bind('own'); l.listen()\n\
               socket.socket(socket.AF_UNIX).connect('own')";
    place.python_inside(own).works("one that was made inside");
    place.python_inside(connect).fails(&["ENOENT"], "not granted, so absent");
}

/// A local datagram socketpair reaches path sockets; streams and packets do not.
#[test]
fn datagram_socketpairs_reach_path_sockets() {
    let place = Place::new();
    let send = |kind: &str| {
        format!(
            "import socket\nr = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); r.bind('d')\n\
             a, b = socket.socketpair(socket.AF_UNIX, socket.{kind})\n\
             try: a.sendto(b'x', 'd')\nfinally: os.unlink('d')\nr.setblocking(False); r.recv(1)"
        )
    };
    place.python_outside(&send("SOCK_DGRAM")).works("datagrams arrive");
    place.python_outside(&send("SOCK_STREAM")).fails(&["EISCONN"], "streams do not");
    place.python_outside(&send("SOCK_SEQPACKET")).fails(&["EAGAIN"], "packets ignore the address");
    place.python_inside(&send("SOCK_DGRAM")).fails(&["EPERM"], "there are none inside");
}

/// Pid 1 of the same user is open to its children unless it is not dumpable and has a Landlock
/// layer less than they.
#[test]
fn pid_1_is_closed() {
    let place = Place::new();
    let body = "os.close(os.open('/proc/%d/mem' % os.getppid(), os.O_RDWR))";
    let fork = format!(
        "pid = os.fork()\nif pid == 0:\n    {body}\n    os._exit(0)\nsys.exit(os.waitpid(pid, 0)[1] != 0)"
    );
    if support::variable("YAMA").is_none()
        && !std::path::Path::new("/proc/sys/kernel/yama").exists()
    {
        place.python_outside(&fork).works("a plain parent is open");
    }
    for (act, with) in [
        ("os.open('/proc/1/mem', os.O_RDWR)", &["EACCES", "EPERM"][..]),
        ("os.open('/proc/1/environ', os.O_RDONLY)", &["EACCES", "EPERM"]),
        ("os.readlink('/proc/1/exe')", &["EACCES", "EPERM"]),
        ("os.readlink('/proc/1/root')", &["EACCES", "EPERM"]),
        ("os.listdir('/proc/1/fd')", &["EACCES", "EPERM"]),
        ("call(101, 16, 1, 0, 0)", &["EPERM"]),
        ("call(101, 0x4206, 1, 0, 0)", &["EPERM"]),
        ("call(302, 1, 7, ctypes.create_string_buffer(16), 0)", &["EPERM"]),
        ("call(438, call(434, 1, 0), 0, 0)", &["EPERM"]),
    ] {
        place.python_inside(act).fails(with, act);
    }
    place
        .python_inside("os.listdir('/proc/self/fd'); os.readlink('/proc/self/exe')")
        .works("oneself");
}

/// Landlock's signal scope (ABI 6, Linux 6.12) refuses signals to init; without it init ignores them.
#[test]
fn signals_to_pid_1_do_nothing() {
    let place = Place::new();
    for signal in [9, 15, 19, 10] {
        let kill = format!("os.kill(1, {signal})");
        let ran = place.python_inside(&kill);
        assert!(matches!(ran.status, Some(0 | 1)), "{signal}: the run goes on: {ran:?}");
    }
    place.python_inside("os.kill(1, 9)").fails(&["EPERM"], "refused");
    place.python_inside("pid = os.fork()\nif pid == 0:\n    import time; time.sleep(9)\nos.kill(pid, 9); os.waitpid(pid, 0)").works("one's own child");
}

/// `prlimit64` on another process of the same user works, so the filter asks for pid 0.
#[test]
fn limits_of_another_process_can_be_set() {
    let place = Place::new();
    let body = "import struct\npid = os.fork()\nif pid == 0:\n    import time; time.sleep(5); os._exit(0)\n\
                new = ctypes.create_string_buffer(struct.pack('QQ', 64, 64))\n\
                try: call(302, pid, 7, new, 0)\nfinally: os.kill(pid, 9); os.waitpid(pid, 0)";
    place.python_attack(body, &["EPERM"], "RLIMIT_NOFILE of a sibling");
    place
        .python_inside("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))")
        .works("one's own");
}

/// Any process of the same user may be put behind all others, pid 1 too: it would then see a guard
/// fall too late, so the filter leaves it out.
#[test]
fn scheduling_of_another_process_can_be_set() {
    let place = Place::new();
    let fork = "pid = os.fork()\nif pid == 0:\n    import time; time.sleep(5); os._exit(0)\n";
    for act in [
        "os.sched_setscheduler(PID, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(PID, os.sched_getaffinity(0))",
        "os.setpriority(os.PRIO_PROCESS, PID, 19)",
        "call(251, 1, PID, 3 << 13)",
    ] {
        let child = act.replace("PID", "pid");
        let child = format!("{fork}try: {child}\nfinally: os.kill(pid, 9); os.waitpid(pid, 0)");
        place.python_outside(&child).works(act);
        place.python_inside(&child).works("one's own child");
        place.python_inside(&act.replace("PID", "1")).fails(&["EPERM"], "init");
    }
    // It reaches what the caller's pid namespace holds, so the control has one of its own.
    let everybody = "os.setpriority(os.PRIO_USER, os.getuid(), 19)";
    in_namespaces(&place, "-Urpf", everybody).works("everything of this user");
    place.python_inside(everybody).fails(&["EPERM"], "which holds init");
}

/// Whiteouts need no privilege and leave a device node behind.
#[test]
fn whiteouts_need_no_privilege() {
    let place = Place::new();
    let node = "call(133, b'node', 0o020000, 0)";
    place.python_attack(node, &["EPERM"], "mknod c 0 0");
    let rename = "open('wa', 'w').close(); call(316, -100, b'wa', -100, b'wb', 4)";
    let outside = place.python_outside(rename);
    // Not every file system has them.
    assert!(outside.status == Some(0) || outside.err.contains("EINVAL"), "{outside:?}");
    // The outside left a device node behind.
    place.outside("rm -f wa wb").works("clean up");
    place.python_inside(rename).fails(&["EPERM"], "RENAME_WHITEOUT");
    place
        .python_inside("open('na', 'w').close(); call(316, -100, b'na', -100, b'nc', 1)")
        .works("RENAME_NOREPLACE");
    place.python_inside("os.mkfifo('f')").works("FIFOs are made");
}

/// `open_by_handle_at` asks for a capability; the filter does not even let it ask.
#[test]
fn handles_are_not_opened() {
    let place = Place::new();
    let body = "b = ctypes.create_string_buffer(128)\ncall(304, -100, b, 0)";
    place.python_inside(body).fails(&["EPERM"], "inside");
    if is_root() {
        let outside = place.python_outside(body);
        assert!(
            outside.err.contains("EINVAL") || outside.err.contains("ESTALE"),
            "root gets further: {outside:?}"
        );
    } else {
        eprintln!("not run as an ordinary user: the control of handles_are_not_opened");
    }
}

/// Landlock governs opens, not metadata: read-only mounts are the wall for those.
#[test]
fn landlock_does_not_govern_metadata() {
    let place = Place::new();
    let bare = "ruleset = ctypes.create_string_buffer((0x1fff).to_bytes(8, 'little'))\n\
                fd = call(444, ruleset, 8, 0)\ncall(157, 38, 1, 0, 0, 0)\ncall(446, fd, 0)\n\
                try: open('f', 'w'); raise SystemExit(2)\nexcept PermissionError: pass\n\
                os.chmod('f', 0o600); os.utime('f'); os.setxattr('f', 'user.x', b'1')";
    place.write("home/src/app/f", "");
    place.python_outside(bare).works("a domain without any right changes mode, times, attributes");
    place.write("out/f", "");
    let grant = format!("{}:ro", place.out.display());
    for act in
        ["os.chmod(f, 0o600)", "os.utime(f)", "os.setxattr(f, 'user.x', b'1')", "open(f, 'a')"]
    {
        let body = format!("f = os.environ['OUT'] + '/f'\n{act}");
        finish(place.cofferdam(&["--grant", &grant]).args([
            "/usr/bin/python3",
            "-c",
            &python(&body),
        ]))
        .fails(&["EROFS"], act);
    }
}

/// Landlock adds up the rules of all that holds a file: a tree to read below a place to write is
/// writable to it, so there the mount alone is the wall.
#[test]
fn landlock_gives_what_lies_in_a_writable_place_its_rights() {
    let place = Place::new();
    place.write("home/src/app/ro/f", "");
    let domain = |writable: &str| {
        format!(
            "READ, WRITE = 4, 2\n\
             fd = call(444, ctypes.create_string_buffer((6).to_bytes(8, 'little')), 8, 0)\n\
             def rule(path, rights):\n    \
             rule = rights.to_bytes(8, 'little') + os.open(path, os.O_PATH).to_bytes(4, 'little')\n    \
             call(445, fd, 1, ctypes.create_string_buffer(rule), 0)\n\
             rule('ro', READ)\n{writable}\n\
             call(157, 38, 1, 0, 0, 0)\ncall(446, fd, 0)\nopen('ro/f', 'a')"
        )
    };
    place.python_outside(&domain("")).fails(&["EACCES"], "a tree to read, alone");
    place.python_outside(&domain("rule('.', READ | WRITE)")).works("in a place to write");
    // The wall: the mount refuses, and the plan names no second one there.
    let inner = format!("{}/ro:ro", place.work.display());
    let write = "echo x > ro/f";
    place.inside(write).works("without the grant");
    place.inside_with(&["--grant", &inner], write).fails(&["Read-only"], "the mount");
    let outer = format!("{}:ro", place.out.display());
    let mut plan = place.command(programs().join("cofferdam"));
    plan.args(["plan", "--json", "--grant", &inner, "--grant", &outer, "--", "true"]);
    let plan: serde_json::Value =
        serde_json::from_str(&finish(&mut plan).works("plan").out).unwrap();
    let rows = plan["plan"]["coverage"].as_array().unwrap();
    for (tree, second) in
        [(place.work.join("ro"), "one wall below"), (place.out.clone(), "one wall below /tmp")]
    {
        let says = format!("{} is read-only", tree.display());
        let row = rows.iter().find(|row| row["says"] == says).unwrap();
        let by = row["mechanisms"].as_array().unwrap();
        assert_eq!(by[0], "read-only mount", "{row}");
        assert!(by[1].as_str().unwrap().starts_with(second) && by.len() == 2, "{row}");
    }
    let system = rows.iter().find(|row| row["clause"]["name"] == "filesystem.system").unwrap();
    assert!(system["mechanisms"][1].as_str().unwrap().starts_with("Landlock"), "{system}");
}

/// A layer that does not name REFER forbids moves between directories, even one that handles
/// nothing of files: so the workload's own layer cannot be of scopes alone.
#[test]
fn a_landlock_layer_without_refer_forbids_moves() {
    let place = Place::new();
    // A whole first layer, as init's, that leaves moves alone; then a second one.
    let layers = |rights: u64, scopes: u64| {
        format!(
            "def layer(rights, scopes, root):\n    \
             words = b''.join(n.to_bytes(8, 'little') for n in (rights, 0, scopes))\n    \
             fd = call(444, ctypes.create_string_buffer(words), 24 if scopes else 8, 0)\n    \
             top = os.open('/', os.O_PATH)\n    \
             rule = root.to_bytes(8, 'little') + top.to_bytes(4, 'little')\n    \
             if root: call(445, fd, 1, ctypes.create_string_buffer(rule), 0)\n    \
             call(446, fd, 0)\n\
             call(157, 38, 1, 0, 0, 0)\nlayer({FIRST}, 0, {FIRST})\n\
             if {rights} or {scopes}: layer({rights}, {scopes}, 0)\n\
             os.makedirs('a', exist_ok=True); open('a/f', 'w').close(); os.rename('a/f', 'f')",
            FIRST = (1 << 14) - 1
        )
    };
    place.python_outside(&layers(0, 0)).works("the first layer alone");
    // MAKE_CHAR alone: nothing of it is used, and yet the move fails.
    place.python_outside(&layers(1 << 6, 0)).fails(&["EXDEV"], "without REFER");
    place.python_outside(&layers(0, 3)).fails(&["EXDEV"], "scopes alone");
    place
        .inside("mkdir d && echo x > d/f && mv d/f f && cat f")
        .works("the workload's layer names it");
    place
        .python_inside("os.makedirs('m'); open('m/f', 'w').close(); os.rename('m/f', 'g')")
        .works("by rename");
}

/// Every mount comes before Landlock: a domain forbids mounting.
#[test]
fn a_landlocked_process_cannot_mount() {
    let place = Place::new();
    let layer = "ruleset = ctypes.create_string_buffer((0x1fff).to_bytes(8, 'little'))\n\
                 fd = call(444, ruleset, 8, 0)\ncall(157, 38, 1, 0, 0, 0)\ncall(446, fd, 0)\n";
    let mount = "call(165, b'none', b'/mnt', b'tmpfs', 0, 0)";
    in_namespaces(&place, "-Urm", mount).works("in a namespace of its own");
    in_namespaces(&place, "-Urm", &format!("{layer}{mount}")).fails(&["EPERM"], "with a domain");
}

/// A descriptor from another mount namespace gives no detached mount.
#[test]
fn trees_are_opened_inside_the_mount_namespace() {
    let place = Place::new();
    let clone = "call(428, fd, b'', 0x1001)";
    let inside = format!("fd = os.open('/usr', 0o10000000)\n{clone}");
    in_namespaces(&place, "-Urm", &inside).works("opened inside");
    let outside = format!("fd = os.open('/usr', 0o10000000)\ncall(272, 0x10020000)\n{clone}");
    place.python_outside(&outside).fails(&["EINVAL"], "opened outside");
}

/// Setuid bits by open and by chmod; the wall refuses the mode, not the file system.
#[test]
fn setuid_bits_can_be_set_by_anybody() {
    let place = Place::new();
    place.python_attack("os.umask(0); os.close(os.open('a', os.O_CREAT | os.O_WRONLY, 0o6755)); assert os.stat('a').st_mode & 0o6000", &["EPERM"], "by open");
    place.python_attack("open('b', 'w').close(); os.chmod('b', 0o6755)", &["EPERM"], "by chmod");
    place.python_attack(
        "open('c', 'w').close(); call(452, -100, b'c', 0o4755, 0)",
        &["EPERM"],
        "by fchmodat2",
    );
    place
        .python_inside("os.mkdir('d', 0o755); os.mknod('e', 0o644); os.chmod('e', 0o755)")
        .works("ordinary modes");
}

/// Another architecture's calls reach the kernel unless the filter looks at the architecture.
#[test]
fn other_doors_for_system_calls() {
    let place = Place::new();
    let i386 = "import mmap\npage = mmap.mmap(-1, 4096, prot=7)\n\
                page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n\
                f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n\
                ret = f()\nif ret < 0: raise OSError(-ret, 'int 0x80')";
    place.python_attack(i386, &["ENOSYS"], "getpid through int 0x80");
    place.python_inside("call(39 | 0x40000000)").fails(&["ENOSYS"], "getpid through x32");
    place.python_inside("assert call(39) == os.getpid()").works("getpid");
}

/// btrfs makes names by ioctl, which Landlock does not see. (The request is refused by number, on
/// any file system.)
#[test]
fn btrfs_requests_are_refused_by_number() {
    let place = Place::new();
    let request = |number: u32| {
        format!(
            "fd = os.open('.', os.O_RDONLY)\nb = ctypes.create_string_buffer(4096)\ncall(16, fd, {number}, b)"
        )
    };
    // Elsewhere than on btrfs the file system does not know it.
    let outside = place.python_outside(&request(0x5000_940E));
    assert!(
        outside.status == Some(0)
            || outside.err.contains("ENOTTY")
            || outside.err.contains("EINVAL"),
        "{outside:?}"
    );
    for number in [0x5000_940E, 0x5000_9401, 0x5000_940F, 0x5000_9418, 0x5000_9417] {
        place.python_inside(&request(number)).fails(&["EPERM"], "BTRFS_IOC_*");
    }
    place.python_inside("import fcntl\na = open('a', 'w+'); b = open('b', 'w')\ntry: fcntl.ioctl(b, 0x40049409, a.fileno())\nexcept OSError as e:\n    if e.errno == errno.EPERM: raise")
        .works("FICLONE reaches the file system");
}

/// Root mapped on root without capabilities still owns everything; a stand-in owns nothing.
#[test]
fn a_user_namespace_of_root_is_no_wall() {
    if !is_root() {
        eprintln!("not run as an ordinary user: a_user_namespace_of_root_is_no_wall");
        return;
    }
    let place = Place::new();
    place.outside("chmod 600 $OUT/canary").works("root's own");
    // 0 mapped on 0, every capability dropped: the kernel's uid is still root's.
    let drop_all = format!(
        "cd / && setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs sh -c \
        'test -w /etc/shadow && test -w /proc/sys/kernel/core_pattern && cat {}/canary'",
        place.out.display()
    );
    finish(place.command("unshare").args(["-Ur", "sh", "-c", &drop_all])).works("an escape");
    place.inside("id -u | grep -vx 0").works("the workload is somebody else");
    for act in ["test -w /etc/shadow", "echo x > /proc/sys/kernel/core_pattern"] {
        let ran = place.inside(act);
        assert!(!matches!(ran.status, Some(0 | 125)), "{act}: {ran:?}");
    }
}

/// Idmapped mounts: root's files in the workspace are the stand-in's inside, and stay root's.
#[test]
fn idmapped_mounts_carry_ids_both_ways() {
    if !is_root() {
        eprintln!("not run as an ordinary user: idmapped_mounts_carry_ids_both_ways");
        return;
    }
    let place = Place::new();
    place.outside("echo secret > mine && chmod 600 mine").works("root's own");
    place
        .inside("cat mine && test -O mine && echo x > made && chmod 640 made")
        .works("its own inside");
    let seen = place.outside("stat -c '%u %g %a' made").works("look");
    assert_eq!(seen.out, "0 0 640\n", "root's on disk");
}

/// The programs run as static files: no loader, so no variable of the loader is obeyed.
#[test]
fn the_loaders_variables_do_not_matter() {
    let place = Place::new();
    let mut command = place.command(programs().join("cofferdam"));
    let ran = finish(
        command
            .env("LD_DEBUG", "all")
            .env("LD_PRELOAD", "/nonexistent.so")
            .args(["run", "--", "true"]),
    );
    let ran = ran.works("runs");
    assert_eq!(ran.err, "", "a dynamic program would have told what it loads");
    let outside = finish(place.command("/usr/bin/true").env("LD_DEBUG", "libs"));
    assert!(!outside.err.is_empty(), "the control: a dynamic program tells");
}
