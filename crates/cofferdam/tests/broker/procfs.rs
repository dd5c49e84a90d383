//! Takeover by procfs: whoever opens for another would open its own `/proc/self`, and pid 1's memory
//! is the whole wall.

use crate::support::{Place, finish};
use crate::trial::{Session, allowed, same};

/// Ways to pid 1's own files.
const PID_1: &[&str] = &[
    "os.open('/proc/1/mem', os.O_RDWR)",
    "os.open('/proc/1/mem', os.O_RDONLY)",
    "os.open('/proc/1/mem', os.O_RDWR | os.O_CREAT, 0o600)",
    "os.open('/proc/1/task/1/mem', os.O_RDWR | os.O_CREAT, 0o600)",
    "os.open('/proc/self/../1/mem', os.O_RDWR | os.O_CREAT, 0o600)",
    "os.open('1/mem', os.O_RDWR | os.O_CREAT, 0o600, dir_fd=os.open('/proc', os.O_RDONLY))",
    "os.open('mem', os.O_RDWR | os.O_CREAT, 0o600, dir_fd=os.open('/proc/1', os.O_PATH))",
    "os.chdir('/proc/1'); os.open('mem', os.O_RDWR | os.O_CREAT, 0o600)",
    "os.symlink('/proc/1/mem', 'l1'); os.open('l1', os.O_RDWR | os.O_CREAT, 0o600)",
    "os.open('/proc/1/comm', os.O_WRONLY | os.O_TRUNC)",
    "os.open('/proc/1/oom_score_adj', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.open('/proc/1/coredump_filter', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.open('/proc/1/clear_refs', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.open('/proc/1/fd/0', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.open('/proc/1/root/tmp/x', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.open('/proc/1/cwd/x', os.O_WRONLY | os.O_CREAT, 0o600)",
    "os.truncate('/proc/1/mem', 0)",
    "b = ctypes.create_string_buffer(8); v = struct.pack('QQ', ctypes.addressof(b), 8)\n\
     r = struct.pack('QQ', 0x400000, 8)\n\
     call(310, 1, ctypes.create_string_buffer(v), 1, ctypes.create_string_buffer(r), 1, 0)",
    "b = ctypes.create_string_buffer(8); v = struct.pack('QQ', ctypes.addressof(b), 8)\n\
     r = struct.pack('QQ', 0x400000, 8)\n\
     call(311, 1, ctypes.create_string_buffer(v), 1, ctypes.create_string_buffer(r), 1, 0)",
];

#[test]
fn pid_1_is_reached_by_no_spelling() {
    let place = Place::new();
    let mut inside = Session::inside(&place, &[]);
    for act in PID_1 {
        // A child opens what is its parent's: the same act, where no wall is.
        inside.fails(
            &format!("said = apart({})", serde_json::to_string(act).unwrap()),
            "EACCES EPERM EROFS",
        );
    }
    inside.ok("assert open('/proc/1/comm').read() == open('/proc/1/task/1/comm').read()");
    drop(inside);
    let parent = "os.close(os.open('/proc/%d/mem' % os.getppid(), os.O_RDWR | os.O_CREAT, 0o600))";
    let control = format!("said = apart({})", serde_json::to_string(parent).unwrap());
    if std::path::Path::new("/proc/sys/kernel/yama").exists() && !crate::support::is_root() {
        println!("no control of pid_1_is_reached_by_no_spelling: Yama closes parents here");
    } else {
        Session::outside(&place, &place.work).ok(&control);
    }
}

/// What `mem` leads to: the caller's own memory, or nobody's.
const OWN_MEMORY: &str = "
def own(path, **more):
    mine = ctypes.create_string_buffer(b'before')
    try: fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600, **more)
    except OSError as e:
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS): return 'refused'
        raise
    os.pwrite(fd, b'AFTER!', ctypes.addressof(mine))
    os.close(fd)
    return 'own' if mine.value == b'AFTER!' else 'another: %r' % mine.value
";

#[test]
fn self_is_whoever_asks() {
    let place = Place::new();
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &[]);
    outside.ok(OWN_MEMORY);
    inside.ok(OWN_MEMORY);
    for path in [
        "own('/proc/self/mem')",
        "own('/proc/thread-self/mem')",
        "own('/proc/self/task/%d/mem' % threading.get_native_id())",
        "own('/proc/%d/mem' % os.getpid())",
        "own('/proc/self/../self/mem')",
        "own('/proc/self/root/proc/self/mem')",
        "own('self/mem', dir_fd=os.open('/proc', os.O_RDONLY))",
        "own('mem', dir_fd=os.open('/proc/self', os.O_PATH))",
        "(os.path.lexists('m') or os.symlink('/proc/self/mem', 'm'), own('m'))[1]",
    ] {
        let act = format!("said = {path}");
        assert_eq!(outside.act(&act), "own", "{path}: the control");
        inside.fails(&act, "own refused");
    }
}

/// `/proc` is read-only inside; whoever opened for another on a descriptor of its own would still
/// change its own name.
#[test]
fn names_of_tasks_are_the_callers() {
    let place = Place::new();
    let comm = "def comm(path): return open(path).read().strip()\n\
                def rename(path, name):\n    \
                try: fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)\n    \
                except OSError as e: return errno.errorcode[e.errno]\n    \
                os.write(fd, name); os.close(fd); return comm(path)";
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &[]);
    outside.ok(comm);
    inside.ok(comm);
    inside.ok("first = comm('/proc/1/comm'), open('/proc/1/oom_score_adj').read()");
    for path in [
        "'/proc/self/comm'",
        "'/proc/thread-self/comm'",
        "'/proc/%d/comm' % os.getpid()",
        "'/proc/self/task/%d/comm' % os.getpid()",
        "'/proc/self/../self/comm'",
    ] {
        let act = format!("said = rename({path}, b'new')");
        assert_eq!(outside.act(&act), "new", "{path}: the control");
        inside.fails(&act, "new EROFS EACCES EPERM");
        let act = format!(
            "done = []; t = threading.Thread(target=lambda: done.append(rename({path}, b'thread')))\n\
             t.start(); t.join(); assert done"
        );
        inside.ok(&act);
        inside.ok("assert (comm('/proc/1/comm'), open('/proc/1/oom_score_adj').read()) == first");
    }
    let score = "os.close(os.open('/proc/self/oom_score_adj', os.O_WRONLY | os.O_CREAT, 0o600))";
    inside.fails(score, "ok EROFS EACCES EPERM");
    inside.ok("assert open('/proc/1/oom_score_adj').read() == first[1]");
}

/// Every shell's `>`.
#[test]
fn streams_are_reopened_as_outside() {
    let place = Place::new();
    for script in [
        "echo out > /dev/stdout; echo err > /dev/stderr",
        "echo out >> /dev/stdout; echo err >> /dev/stderr",
        "echo out > /proc/self/fd/1; echo err > /proc/self/fd/2",
        "echo one | tee /dev/stderr | cat",
        "echo a > /dev/fd/3 3> f; cat f",
        "echo longer-than-it > f; echo a > /dev/stdout > f; cat f",
        "(echo a > /dev/stdout) > f; cat f",
        "(echo a; echo b > /dev/stdout) >> g; cat g",
        "echo in | cat < /dev/stdin",
        "echo in | (exec 4<&0; cat < /dev/fd/4)",
        "echo null > /dev/null; echo full > /dev/full || echo no space",
        "echo tty > /dev/tty || echo no terminal",
        "cat <<END > /dev/stdout\ntext\nEND",
        "exec 5> /dev/stderr; echo five >&5",
        "python3 -c 'print(1, file=open(\"/dev/stdout\", \"a\"))'",
    ] {
        let shell = format!("{script}; rm -f f g");
        let words = ["timeout", "-s", "KILL", "20", "sh", "-c", &shell];
        let outside = finish(place.command(words[0]).args(&words[1..]));
        let inside = finish(place.cofferdam(&[]).args(words));
        // Where a shell says that something failed, it names itself.
        let (want, got) = (outside.works(script), inside.works(script));
        assert_eq!((got.out, got.err), (want.out, want.err), "{script}");
    }
}

#[test]
fn descriptors_are_reopened_as_outside() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "def again(fd, flags): return os.open('/proc/self/fd/%d' % fd, flags, 0o600)",
            "put('kept', 'kept'); fd = os.open('kept', os.O_RDONLY); os.write(again(fd, os.O_WRONLY | os.O_CREAT), b'K'); said = get('kept')",
            "put('gone', 'gone'); fd = os.open('gone', os.O_RDWR); os.unlink('gone')",
            "b = again(fd, os.O_RDWR | os.O_CREAT); said = os.read(b, 9)",
            "b = again(fd, os.O_WRONLY | os.O_TRUNC); said = os.fstat(fd).st_size",
            "m = os.memfd_create('m'); os.write(m, b'12'); b = again(m, os.O_RDWR | os.O_CREAT); said = os.read(b, 9)",
            "t = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); os.write(t, b'34'); said = os.read(again(t, os.O_RDWR), 9)",
            "follow('/proc/self/fd/%d' % t, 'linked'); said = get('linked')",
            "r, w = os.pipe(); w2 = again(w, os.O_WRONLY | os.O_CREAT); os.write(w2, b'p'); said = os.read(r, 1)",
            "a, b = socket.socketpair(); again(a.fileno(), os.O_RDWR | os.O_CREAT)",
            "os.open('/dev/fd/%d' % r, os.O_WRONLY | os.O_CREAT, 0o600)",
            "os.open('/proc/self/fd/99', os.O_WRONLY | os.O_CREAT, 0o600)",
            "os.open('/proc/self/fd/x', os.O_WRONLY | os.O_CREAT, 0o600)",
            "again(os.open('.', os.O_RDONLY), os.O_WRONLY)",
            "os.open('/proc/self/fd/%d/made' % os.open('.', os.O_PATH), os.O_WRONLY | os.O_CREAT, 0o600); said = os.path.exists('made')",
            "os.open('/proc/self/cwd/two', os.O_WRONLY | os.O_CREAT, 0o600); said = os.path.exists('two')",
            "ro = os.open('kept', os.O_RDONLY); os.chmod('kept', 0o400); said = os.access('kept', os.R_OK)",
        ],
    );
    assert_eq!(said[1], "Kept", "{said:?}");
    assert_eq!(said[8], "b'p'", "{said:?}");
}

/// A terminal is opened by its name, as the caller's.
#[test]
fn the_terminal_is_the_callers() {
    let place = Place::new();
    let on_a_terminal = |words: &str| {
        let mut command = place.command("script");
        finish(command.args(["-qec", words, "/dev/null"])).works(words).out
    };
    let shell = "sh -c 'echo to-tty > /dev/tty; echo more >> /dev/tty; test -t 1'";
    let run = format!(
        "{} run --quiet -- {shell}",
        crate::support::programs().join("cofferdam").display()
    );
    assert!(on_a_terminal(shell).contains("to-tty\r\nmore"), "the control");
    let said = on_a_terminal(&run);
    assert!(said.contains("to-tty\r\nmore"), "{said:?}");
    allowed(
        &place,
        &[],
        &[
            "m, s = os.openpty(); os.write(os.open(os.ttyname(s), os.O_RDWR | os.O_NOCTTY | os.O_CREAT), b'x'); assert os.read(m, 1) == b'x'",
        ],
    );
}
