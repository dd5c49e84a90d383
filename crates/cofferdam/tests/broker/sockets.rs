//! K01, K47: sockets of the host do not answer, wherever they lie and whatever a mount says; those
//! that were made inside do.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};

use crate::support::Place;
use crate::trial::{Session, allowed, same};

/// Ways to the host's socket `s`.
const WAYS: &[&str] = &[
    "connect('s')",
    "connect('./s')",
    "connect('d/../s')",
    "connect('up/up/s')",
    "connect(os.environ['W'] + '/s')",
    "connect('/proc/self/cwd/s')",
    "connect('/proc/self/root' + os.environ['W'] + '/s') if len(os.environ['W']) < 80 else connect('s')",
    "connect('link')",
    "connect('/proc/self/fd/%d/s' % os.open('.', os.O_PATH))",
    "connect('/proc/self/fd/%d' % os.open('s', os.O_PATH))",
    "connect('/dev/fd/%d' % os.open('s', os.O_PATH))",
    "os.chdir('d'); connect('../s')",
    "os.symlink(os.environ['W'] + '/s', '/tmp/l%d' % os.getpid()); connect('/tmp/l%d' % os.getpid())",
    "connect('s', socket.SOCK_STREAM | socket.SOCK_NONBLOCK)",
    "connect('s', socket.SOCK_STREAM | socket.SOCK_CLOEXEC)",
    "connect(b's')",
    "connect('second')",
    "a = socket.socket(socket.AF_UNIX); a.settimeout(2); a.connect('s')",
    "a = socket.socket(socket.AF_UNIX); n = b'\\x01\\0s\\0'; call(42, a.fileno(), ctypes.create_string_buffer(n), 4)",
    "a = socket.socket(socket.AF_UNIX); n = b'\\x01\\0s'; call(42, a.fileno(), ctypes.create_string_buffer(n), 3)",
    "a = socket.socket(socket.AF_UNIX); n = b'\\x01\\0s\\0garbage'; call(42, a.fileno(), ctypes.create_string_buffer(n), 11)",
    "a = socket.socket(socket.AF_UNIX); a.bind('/tmp/own%d' % os.getpid()); a.connect('s')",
    "threading.Thread(target=connect, args=('s',)).run()",
];

const CONNECT: &str = "def connect(path, kind=socket.SOCK_STREAM):\n    \
                       a = socket.socket(socket.AF_UNIX, kind); a.connect(path)";

fn project() -> (Place, UnixListener) {
    let place = Place::new();
    place.write("home/src/app/d/x", "");
    let listener = UnixListener::bind(place.work.join("s")).unwrap();
    std::os::unix::fs::symlink(".", place.work.join("up")).unwrap();
    std::os::unix::fs::symlink("s", place.work.join("link")).unwrap();
    fs::hard_link(place.work.join("s"), place.work.join("second")).unwrap();
    (place, listener)
}

/// How many have connected.
fn answered(listener: &UnixListener) -> usize {
    listener.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| listener.accept().ok()).count()
}

#[test]
fn a_socket_of_the_hosts_does_not_answer() {
    let (place, listener) = project();
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &[]);
    outside.ok(CONNECT);
    inside.ok(CONNECT);
    for act in WAYS {
        let apart = format!("said = apart({})", serde_json::to_string(act).unwrap());
        let said = outside.act(&apart);
        assert_eq!((said.as_str(), answered(&listener)), ("ok", 1), "{act}: the control");
        inside.fails(&apart, "EPERM");
        assert_eq!(answered(&listener), 0, "{act}");
    }
    // Moved and linked, it is the host's still.
    inside.ok("os.rename('second', 'third'); os.link('third', 'fourth')");
    for name in ["third", "fourth"] {
        inside.fails(&format!("connect('{name}')"), "EPERM");
    }
    // One that comes later, and one in the place of one's own.
    let later = UnixListener::bind(place.work.join("later")).unwrap();
    inside.fails("connect('later')", "EPERM");
    inside.ok("own = socket.socket(socket.AF_UNIX); own.bind('own'); own.listen(); connect('own')");
    fs::remove_file(place.work.join("own")).unwrap();
    let instead = UnixListener::bind(place.work.join("own")).unwrap();
    inside.fails("connect('own')", "EPERM");
    inside.fails("connect('d')", "EPERM ECONNREFUSED");
    inside.fails("connect('none')", "ENOENT");
    inside.end().works("to its end");
    for listener in [&listener, &later, &instead] {
        assert_eq!(answered(listener), 0);
    }
}

/// A tree that is read-only, beside the workspace, and a socket of packets.
#[test]
fn nor_one_in_another_tree() {
    let (place, _listener) = project();
    let other = UnixListener::bind(place.out.join("s")).unwrap();
    let grant = format!("{}:ro", place.out.display());
    let act = "import socket\nsocket.socket(socket.AF_UNIX).connect(os.environ['OUT'] + '/s')";
    place.python_outside(act).works("the control");
    assert_eq!(answered(&other), 1);
    place.python_inside_with(&["--grant", &grant], act).fails(&["EPERM"], "granted read-only");
    assert_eq!(answered(&other), 0);
    let _datagrams = UnixDatagram::bind(place.work.join("dgram")).unwrap();
    let act = "a = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); a.connect('dgram')";
    Session::outside(&place, &place.work).ok(act);
    Session::inside(&place, &[]).fails(act, "EPERM");
}

#[test]
fn what_a_policy_allows_answers() {
    let (place, listener) = project();
    let other = UnixListener::bind(place.work.join("d/other")).unwrap();
    let text = "version = 1\n\n[sockets]\nallow = [\"s\"]\n";
    let policy = place.write("policy.toml", text).display().to_string();
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(CONNECT);
    for act in
        ["connect('s')", "connect('up/s')", "connect(os.environ['W'] + '/s')", "connect('link')"]
    {
        inside.ok(act);
        assert_eq!(answered(&listener), 1, "{act}");
    }
    inside.fails("connect('d/other')", "EPERM");
    inside.fails("os.chdir('d'); connect('other')", "EPERM");
    inside.end().works("to its end");
    assert_eq!(answered(&other), 0);
}

#[test]
fn what_was_made_inside_answers() {
    let place = Place::new();
    place.write("home/src/app/d/x", "");
    let said = same(
        &place,
        &[],
        &[
            "def served(path, kind=socket.SOCK_STREAM):\n    \
             a = socket.socket(socket.AF_UNIX, kind); a.bind(path); a.listen()\n    \
             b = socket.socket(socket.AF_UNIX, kind); b.connect(a.getsockname()); c = a.accept()[0]\n    \
             b.send(b'x'); assert c.recv(1) == b'x'\n    return a.getsockname(), b.getpeername(), b.getsockname()",
            "said = served('s1')",
            "said = served('./d/../s2')",
            "said = served('s3', socket.SOCK_SEQPACKET)",
            "os.chdir('d'); said = served('../s4')",
            "os.chdir(os.environ['W']); said = served(b's5\\0'), served('d/s6')",
            "said = [name == os.environ['W'] + '/s7' for name in served(os.environ['W'] + '/s7')]",
            "said = served('\\0abstract-%d' % os.getpid())[0] == b'\\0abstract-%d' % os.getpid()",
            "a = socket.socket(socket.AF_UNIX); a.bind(''); said = len(a.getsockname())",
            "socket.socket(socket.AF_UNIX).bind('s1')",
            "socket.socket(socket.AF_UNIX).bind('none/s')",
            "socket.socket(socket.AF_UNIX).bind('d/x/s')",
            "a = socket.socket(socket.AF_UNIX); a.bind('s8'); a.bind('s9')",
            "said = os.path.exists('s9')",
            "os.mkdir('ro'); os.chmod('ro', 0o500) if os.getuid() else None; said = stat.S_ISSOCK(os.stat('s1').st_mode)",
            "os.unlink('s1'); said = served('s1')",
            "os.rename('s3', 's10'); os.link('s1', 's11'); said = stat.S_ISSOCK(os.stat('s11').st_mode)",
            "x = socket.socket(socket.AF_UNIX); x.bind('s12'); x.listen(); os.rename('s12', 's13'); socket.socket(socket.AF_UNIX).connect('s13')",
            "os.link('s13', 's14'); socket.socket(socket.AF_UNIX).connect('s14')",
            "import tempfile; t = tempfile.mkdtemp(); said = len(served(t + '/s'))",
            "a, b = socket.socketpair(); a.send(b'x'); said = b.recv(1)",
            "socket.socket(socket.AF_UNIX).connect('d/x')",
            "socket.socket(socket.AF_UNIX).connect('s8')",
            "n = b'\\x01\\0'; call(42, socket.socket(socket.AF_UNIX).fileno(), ctypes.create_string_buffer(n), 2)",
            "call(42, socket.socket(socket.AF_UNIX).fileno(), ctypes.create_string_buffer(200), 200)",
            "call(49, socket.socket(socket.AF_UNIX).fileno(), ctypes.create_string_buffer(200), 200)",
            "call(42, 999, ctypes.create_string_buffer(b'\\x01\\0s'), 3)",
            "call(49, 999, ctypes.create_string_buffer(b'\\x01\\0s'), 3)",
            "call(42, os.open('d/x', 0), ctypes.create_string_buffer(b'\\x01\\0s'), 3)",
            "call(49, socket.socket(socket.AF_UNIX).fileno(), 0, 0)",
            "call(49, socket.socket(socket.AF_UNIX).fileno(), ctypes.create_string_buffer(b'\\x02\\0s'), 3)",
        ],
    );
    assert_eq!(said[1], "('s1', 's1', '')", "{said:?}");
    assert_eq!(said[4], "('../s4', '../s4', '')", "{said:?}");
}

#[test]
fn programs_that_serve_themselves_work() {
    let place = Place::new();
    allowed(
        &place,
        &[],
        &[
            "script = '''\nimport multiprocessing, multiprocessing.managers\nif __name__ == \"__main__\":\n    \
             with multiprocessing.Manager() as m:\n        d = m.dict(); d[1] = 2; assert dict(d) == {1: 2}\n    \
             with multiprocessing.Pool(2) as p: assert p.map(abs, [-1, 2]) == [1, 2]\n    \
             c = multiprocessing.get_context(\"forkserver\"); q = c.Process(target=print); q.start(); q.join(); assert q.exitcode == 0\n'''",
            "put('m.py', script); done = subprocess.run(['/usr/bin/python3', 'm.py'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT); assert done.returncode == 0, done.stdout",
        ],
    );
}

/// A queue that is full holds its callers alone.
#[test]
fn a_full_queue_holds_its_callers_alone() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "a = socket.socket(socket.AF_UNIX); a.bind('full'); a.listen(0); held = []",
            "b = socket.socket(socket.AF_UNIX); b.setblocking(False); n = 0\n\
             while True:\n    \
             b = socket.socket(socket.AF_UNIX); b.setblocking(False)\n    \
             try: b.connect('full'); held.append(b)\n    \
             except BlockingIOError: break\nsaid = len(held)",
            "pids = []\nfor n in range(8):\n    pid = os.fork()\n    \
             if pid == 0:\n        socket.socket(socket.AF_UNIX).connect('full'); os._exit(0)\n    pids.append(pid)\n\
             time.sleep(0.3); said = [os.waitpid(pid, os.WNOHANG)[0] for pid in pids]",
            "start = time.time()\nfor n in range(200): os.mkdir('x'); os.rmdir('x')\nassert time.time() - start < 5",
            "b = socket.socket(socket.AF_UNIX); b.settimeout(0.1); b.connect('full')",
            "os.kill(pids[0], 9); said = os.waitpid(pids.pop(0), 0)[1]",
            "for n in range(len(held) + 7): a.accept()\nsaid = [os.waitpid(pid, 0)[1] for pid in pids]",
        ],
    );
    assert_eq!((said[2].as_str(), said[5].as_str()), ("[0, 0, 0, 0, 0, 0, 0, 0]", "9"));
}
