//! K15, K16: who changes an argument while it is read, or dies while it waits, gains nothing.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::support::{Place, is_root};
use crate::trial::{Session, init_of, policy};

/// Another process flips one byte of `page` between two values, at least `count` times, while `act`
/// runs at least 300 times; says how often it ran.
const FLIPS: &str = "
def flips(count, at, one, other, act):
    page[4000] = 0
    page[4001] = 0
    pid = os.fork()
    if pid == 0:
        left = count // 2
        while not page[4000]:
            for n in range(1000):
                page[at] = one
                page[at] = other
            left -= 1000
            if left < 0: page[4001] = 1
        os._exit(0)
    ran = 0
    while not page[4001] or ran < 300:
        ran += 1
        act()
    page[4000] = 1
    os.waitpid(pid, 0)
    return ran
page = mmap.mmap(-1, 4096)
base = ctypes.addressof(ctypes.c_char.from_buffer(page))
def text(at, bytes): page[at:at + len(bytes) + 1] = bytes + b'\\0'
def quiet(*args):
    try: return call(*args)
    except OSError as e: outcomes.add(errno.errorcode[e.errno])
outcomes = set()
";

/// Each flips between `.claude` and `xclaude` (absent), or `.env` and `xenv`.
const ACTS: &[(&str, &str)] = &[
    (
        "open",
        "def act():\n    fd = quiet(257, -100, base, os.O_CREAT | os.O_RDWR, 0o600)\n    \
         if fd is not None: wrong.append(os.readlink('/proc/self/fd/%d' % fd)); os.close(fd); os.unlink(wrong[-1])",
    ),
    ("mkdir", "def act():\n    quiet(83, base, 0o700)\n    quiet(84, b'xclaude')"),
    ("rename", "def act():\n    quiet(82, b'f', base)\n    quiet(82, b'xclaude', b'f')"),
    ("link", "def act():\n    quiet(86, b'f', base)\n    quiet(87, b'xclaude')"),
    ("symlink", "def act():\n    quiet(88, b'f', base)\n    quiet(87, b'xclaude')"),
    ("mknod", "def act():\n    quiet(133, base, 0o100600, 0)\n    quiet(87, b'xclaude')"),
];

#[test]
fn no_flip_of_a_path_makes_a_protected_name() {
    let place = Place::new();
    place.write("home/src/app/f", "text");
    let mut inside = Session::inside(&place, &[]);
    inside.ok(FLIPS);
    let mut outside = Session::outside(&place, &crate::trial::twin(&place));
    outside.ok(FLIPS);
    for (name, act) in ACTS {
        let count = if *name == "open" { 1_000_000 } else { 200_000 };
        let prepare = format!("wrong = []; text(0, b'.claude'); outcomes.clear()\n{act}");
        let race = |count: u32| {
            format!("ran = flips({count}, 0, ord('.'), ord('x'), act); assert ran > 100, ran")
        };
        inside.ok(&prepare);
        inside.ok(&race(count));
        assert!(fs::symlink_metadata(place.work.join(".claude")).is_err(), "{name}");
        inside.ok("assert not [path for path in wrong if '.claude' in path], wrong[:3]");
        inside.ok("assert 'EACCES' in outcomes and not outcomes - {'EACCES', 'EEXIST', 'ENOENT'}, outcomes");
        // Without a wall both names are made.
        outside.ok(&prepare);
        outside.ok("act(); made = os.path.lexists('.claude') or any('.claude' in path for path in wrong); assert made");
        outside.ok("subprocess.run(['rm', '-rf', '.claude', 'xclaude']); put('f', 'text')");
    }
    inside.end().works("to its end");
}

#[test]
fn no_flip_of_a_path_opens_what_is_hidden() {
    let place = Place::new();
    place.write("home/src/app/xenv", "plain");
    place.write("home/src/app/.env", "SECRET");
    let options = policy(&place, "hide = [\"**/.env\"]");
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    inside.ok(FLIPS);
    inside.ok("text(0, b'.env'); read = set()\ndef act():\n    fd = quiet(257, -100, base, 0)\n    if fd is not None: read.add(os.read(fd, 9)); os.close(fd)");
    inside.ok("ran = flips(1000000, 0, ord('.'), ord('x'), act); assert ran > 100, ran");
    inside.ok("assert read == {b'plain'} and outcomes == {'ENOENT'}, (read, outcomes)");
    // By the size of what stat saw.
    inside.ok("sizes = set(); b = ctypes.create_string_buffer(200)\ndef act():\n    if quiet(4, base, b) is not None: sizes.add(struct.unpack_from('q', b, 48)[0])");
    inside.ok("ran = flips(400000, 0, ord('.'), ord('x'), act); assert ran > 100 and sizes == {5}, (ran, sizes)");
    // A part of the way that becomes a link, and a link that becomes another.
    inside.ok("os.mkdir('way'); put('way/file', 'plain'); os.symlink('.', 'here')");
    inside.ok("os.symlink('.env', 'evil'); os.symlink('xenv', 'good'); read.clear()\n\
               stop = mmap.mmap(-1, 1); pid = os.fork()\n\
               if pid == 0:\n    while not stop[0]: call(316, -100, b'evil', -100, b'good', 2)\n    os._exit(0)\n\
               for n in range(3000):\n    try: read.add(get('good'))\n    except OSError as e: outcomes.add(errno.errorcode[e.errno])\n\
               stop[0] = 1; os.waitpid(pid, 0); assert read == {'plain'} and outcomes == {'ENOENT'}, (read, outcomes)");
    inside.end().works("to its end");
    let mut outside = Session::outside(&place, &place.work);
    outside.ok("assert get('.env') == 'SECRET'");
}

#[test]
fn no_flip_of_an_address_reaches_a_socket_of_the_hosts() {
    let place = Place::new();
    let host = UnixListener::bind(place.work.join("h")).unwrap();
    host.set_nonblocking(true).unwrap();
    let mut inside = Session::inside(&place, &[]);
    inside.ok(FLIPS);
    inside.ok("a = socket.socket(socket.AF_UNIX); a.bind('o'); a.listen(4096); page[0:4] = b'\\x01\\0h\\0'; good = 0");
    inside.ok("def act():\n    global good\n    s = socket.socket(socket.AF_UNIX)\n    if quiet(42, s.fileno(), base, 4) is not None: good += 1\n    s.close(); a.setblocking(False)\n    \
               try: a.accept()[0].close()\n    except OSError: pass");
    inside.ok("ran = flips(1000000, 2, ord('h'), ord('o'), act); assert ran > 100 and good > 0, (ran, good)");
    inside.ok("assert outcomes == {'EPERM'}, outcomes");
    assert!(host.accept().is_err(), "nobody came");
    inside.end().works("to its end");
    Session::outside(&place, &place.work).ok("socket.socket(socket.AF_UNIX).connect('h')");
    assert!(host.accept().is_ok(), "the control");
}

/// What the threads of the broker may keep of callers, to ask again sooner.
const KEPT_MAX: usize = 64;

/// The caller is killed at some moment of its call.
#[test]
fn callers_that_die_leave_nothing_behind() {
    let place = Place::new();
    let options = policy(&place, "hide = [\"**/.env\"]");
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    let init = init_of(inside.pid());
    let held = || {
        let entries = fs::read_dir(format!("/proc/{init}/fd")).map(Iterator::count);
        let tasks = fs::read_dir(format!("/proc/{init}/task")).map(Iterator::count);
        (entries.ok(), tasks.ok())
    };
    inside.ok("os.mkdir('a'); put('a/f'); os.mkfifo('fifo')");
    inside.ok("for n in range(100): put('warm'); os.unlink('warm')");
    let before = held();
    let kills = "
denied = 0
for n in range(2000):
    pid = os.fork()
    if pid == 0:
        while True:
            for act in (lambda: put('k'), lambda: os.mkdir('.claude'), lambda: os.rename('k', 'l'), lambda: os.stat('a/f'),
                        lambda: os.open('a/f', os.O_RDWR), lambda: os.symlink('k', 'm'), lambda: os.unlink('m'),
                        lambda: os.open('fifo', os.O_WRONLY | os.O_NONBLOCK)):
                try: act()
                except OSError: pass
            if n % 7 == 0: os.open('fifo', os.O_WRONLY)
    end = time.perf_counter() + 0.0004 + (n % 40) * 0.00002
    while time.perf_counter() < end: pass
    os.kill(pid, 9)
    os.waitpid(pid, 0)
";
    inside.ok(kills);
    inside.ok(
        "for n in range(100): put('after'); os.rename('after', 'then'); assert get('then') == 'x'",
    );
    let after = held();
    if is_root() {
        assert!(before.0.is_some(), "root sees them");
    } else {
        println!("not seen as an ordinary user: what pid 1 holds open");
    }
    let few = |before: Option<usize>, after: Option<usize>| {
        after.unwrap_or(0) <= before.unwrap_or(0) + KEPT_MAX
    };
    assert!(few(before.0, after.0), "descriptors: {before:?}, {after:?}");
    assert!(few(before.1, after.1), "threads: {before:?}, {after:?}");
    assert!(fs::symlink_metadata(place.work.join(".claude")).is_err());
    inside.end().works("to its end");
}
