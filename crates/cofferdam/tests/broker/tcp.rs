//! Sockets of the network are connected as without a broker, with and without waiting.

use crate::support::Place;
use crate::trial::same;

#[test]
fn servers_of_ones_own_are_reached() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "def server(family=socket.AF_INET, at='127.0.0.1'):\n    \
             s = socket.socket(family); s.bind((at, 0)); s.listen(); return s",
            "a = server(); b = socket.create_connection(a.getsockname()); c = a.accept()[0]; b.send(b'x'); said = c.recv(1)",
            "b = socket.create_connection(a.getsockname(), timeout=5); said = b.getpeername() == a.getsockname()",
            "b = socket.socket(); b.setblocking(False); e = b.connect_ex(a.getsockname())\n\
             import select; select.select([], [b], [], 5); said = errno.errorcode[e], b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)",
            "b = socket.socket(); b.settimeout(5); b.connect(a.getsockname()); b.connect(a.getsockname())",
            "a6 = server(socket.AF_INET6, '::1'); b = socket.socket(socket.AF_INET6); b.connect(a6.getsockname()); said = len(b.getpeername())",
            "n = a.getsockname()[1]; a.close(); socket.create_connection(('127.0.0.1', n))",
            "b = socket.socket(); b.setblocking(False); e = b.connect_ex(('127.0.0.1', n)); select.select([], [b], [], 5); said = b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)",
            "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); v.connect(u.getsockname()); v.send(b'u'); said = u.recv(1)",
            "call(42, v.fileno(), ctypes.create_string_buffer(16), 16); v.getpeername()",
            "s = server(); t = socket.socket(); t.bind(s.getsockname())",
            "b = socket.socket(); b.bind(('127.0.0.1', 0)); said = b.getsockname()[1] > 0",
            "b = socket.socket(); b.bind(('127.0.0.1', 0)); b.bind(('127.0.0.1', 0))",
            "call(42, socket.socket().fileno(), ctypes.create_string_buffer(4), 4)",
            "call(42, socket.socket().fileno(), ctypes.create_string_buffer(b'\\x01\\0s' + bytes(20)), 16)",
            "call(42, socket.socket().fileno(), 0x1000, 16)",
            "call(42, socket.socket().fileno(), 0x1000, -1)",
            "call(42, socket.socket().fileno(), ctypes.create_string_buffer(4000), 4000)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).bind((0, 0))",
            "import http.server, urllib.request; h = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)",
            "t = threading.Thread(target=h.handle_request); h.RequestHandlerClass.log_message = lambda *_: None; t.start(); put('page', 'hello'); said = urllib.request.urlopen('http://127.0.0.1:%d/page' % h.server_port).read(); t.join()",
        ],
    );
    assert_eq!(said[3], "('EINPROGRESS', 0)", "{said:?}");
    assert_eq!(said[6], "ECONNREFUSED", "{said:?}");
    assert_eq!(said[20], "b'hello'", "{said:?}");
}

/// A connect that waits for a queue with room, and one that is interrupted.
#[test]
fn a_connect_that_waits_holds_its_caller_alone() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "a = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen(0); at = a.getsockname(); held = []",
            "for n in range(4):\n    b = socket.socket(); b.setblocking(False); b.connect_ex(at); held.append(b)\ntime.sleep(0.1)",
            "pids = []\nfor n in range(8):\n    pid = os.fork()\n    \
             if pid == 0:\n        socket.socket().connect(at); os._exit(0)\n    pids.append(pid)\n\
             time.sleep(0.3); said = [os.waitpid(pid, os.WNOHANG)[0] for pid in pids]",
            "start = time.time()\nfor n in range(200): os.mkdir('x'); os.rmdir('x')\nassert time.time() - start < 5",
            "b = socket.socket(); b.settimeout(0.2); start = time.time()\n\
             try: b.connect(at); said = 'connected'\nexcept TimeoutError: said = time.time() - start < 2",
            "start = time.time(); os.kill(pids[0], 9); said = os.waitpid(pids[0], 0)[1], time.time() - start < 1",
            "for pid in pids[1:]: os.kill(pid, 9); os.waitpid(pid, 0)",
            "done = []\ndef heard(*_): done.append(1); raise TimeoutError\n\
             signal.signal(signal.SIGALRM, heard); signal.setitimer(signal.ITIMER_REAL, 0.3)\n\
             start = time.time()\ntry: socket.socket().connect(at)\nexcept TimeoutError: pass\n\
             said = done, time.time() - start < 3",
        ],
    );
    assert_eq!(said[2], "[0, 0, 0, 0, 0, 0, 0, 0]", "{said:?}");
    assert_eq!(said[7], "([1], True)", "{said:?}");
}
