//! What surrounds cofferdam: containers, filters, kernels of another day.

use super::support::{Place, python};

/// What surrounds cofferdam: a shell script that ends in `exec "$@"` or the like.
pub(crate) type Situation = String;

pub(crate) const NOTHING: &str = "exec \"$@\"";

/// A program that puts a filter on, which answers one system call with an error, and becomes the
/// command of its arguments.
pub(crate) fn filter(place: &Place, number: u32, errno: u16) -> String {
    let body = format!(
        "import struct
f = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (6, 0, 0, 0x50000 | {errno}), (6, 0, 0, 0x7fff0000)]
b = ctypes.create_string_buffer(b''.join(struct.pack('<HBBI', *i) for i in f))
p = ctypes.create_string_buffer(struct.pack('<HxxxxxxQ', len(f), ctypes.addressof(b)))
call(157, 38, 1, 0, 0, 0)
call(157, 22, 2, p)
os.execv(sys.argv[1], sys.argv[1:])"
    );
    let script = place.write(&format!("out/filter-{number}-{errno}.py"), &python(&body));
    format!("/usr/bin/python3 {}", script.display())
}

pub(crate) fn without(place: &Place, number: u32, errno: u16) -> Situation {
    format!("exec {} \"$@\"", filter(place, number, errno))
}

/// Below a supervisor to which `landlock_create_ruleset` goes where it asks for the ABI: it answers
/// `abi`, as an older kernel would.
pub(crate) fn with_abi(abi: u32) -> Situation {
    let body = format!(
        "import select, socket, struct, fcntl
f = [(0x20, 0, 0, 0), (0x15, 0, 3, 444), (0x20, 0, 0, 32), (0x15, 0, 1, 1), (6, 0, 0, 0x7fc00000), (6, 0, 0, 0x7fff0000)]
b = ctypes.create_string_buffer(b\"\".join(struct.pack(\"<HBBI\", *i) for i in f))
p = ctypes.create_string_buffer(struct.pack(\"<HxxxxxxQ\", len(f), ctypes.addressof(b)))
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    call(157, 38, 1, 0, 0, 0)
    listener = call(317, 1, 8, p)
    socket.send_fds(theirs, [b\"x\"], [listener])
    os.close(listener)
    os.execv(sys.argv[1], sys.argv[1:])
theirs.close()
_, fds, _, _ = socket.recv_fds(ours, 1, 1)
while True:
    gone, status = os.waitpid(child, os.WNOHANG)
    if gone:
        os._exit(os.waitstatus_to_exitcode(status))
    if not select.select([fds[0]], [], [], 0.02)[0]:
        continue
    try:
        asked = fcntl.ioctl(fds[0], 0xc0502100, bytes(80))
        fcntl.ioctl(fds[0], 0xc0182101, asked[:8] + struct.pack(\"<qiI\", {abi}, 0, 0))
    except OSError:
        pass"
    );
    format!("exec /usr/bin/python3 -c '{}' \"$@\"", python(&body))
}

/// Below a tracer that answers so: the kernel hands calls to a broker as ever. Programs that are
/// started from there are not traced, and none of them asks.
pub(crate) fn traced_with_abi(abi: u32) -> Situation {
    let body = format!(
        "import signal, struct
f = [(0x20, 0, 0, 0), (0x15, 0, 3, 444), (0x20, 0, 0, 32), (0x15, 0, 1, 1), (6, 0, 0, 0x7ff00000), (6, 0, 0, 0x7fff0000)]
b = ctypes.create_string_buffer(b\"\".join(struct.pack(\"<HBBI\", *i) for i in f))
p = ctypes.create_string_buffer(struct.pack(\"<HxxxxxxQ\", len(f), ctypes.addressof(b)))
child = os.fork()
if child == 0:
    call(101, 0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    call(157, 38, 1, 0, 0, 0)
    call(317, 1, 0, p)
    os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(child, 0)
call(101, 0x4200, child, 0, 1 << 7 | 1 << 3 | 1 << 20)
call(101, 7, child, 0, 0)
while True:
    pid, status = os.waitpid(-1, 0x40000000)
    if not os.WIFSTOPPED(status):
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status))
        continue
    number, event = status >> 8 & 0xff, status >> 16
    if event == 7:
        space = ctypes.create_string_buffer(27 * 8)
        call(101, 12, pid, 0, space)
        registers = list(struct.unpack(\"<27Q\", space.raw))
        registers[10], registers[15] = {abi}, 2 ** 64 - 1
        call(101, 13, pid, 0, ctypes.create_string_buffer(struct.pack(\"<27Q\", *registers)))
    passed = 0 if event or number in (signal.SIGTRAP, signal.SIGSTOP) else number
    call(101, 7, pid, 0, passed)"
    );
    format!("exec /usr/bin/python3 -c '{}' \"$@\"", python(&body))
}

/// An ordinary user of a container, after its root has done `before`.
pub(crate) fn contained(before: &str) -> Situation {
    contained_by(before, "")
}

/// The same, started by one more program.
pub(crate) fn contained_by(before: &str, program: &str) -> Situation {
    format!(
        "exec unshare -Urmpf --mount-proc sh -c '{before} && \
         exec unshare -U --map-user=1000 --map-group=1000 {program} \"$@\"' sh \"$@\""
    )
}
