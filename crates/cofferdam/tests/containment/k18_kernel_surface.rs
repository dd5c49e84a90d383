//! K18: calls between processes and doors into the kernel are refused; own children may be traced.

use crate::support::Place;

#[test]
fn each_door_is_shut() {
    let place = Place::new();
    for (what, body) in [
        (
            "perf_event_open",
            "import struct\na = ctypes.create_string_buffer(struct.pack('IIQQQQQ', 1, 112, 1, 0, 0, 0, 0x61) + bytes(72))\nos.close(call(298, a, 0, -1, -1, 0))",
        ),
        ("userfaultfd", "os.close(call(323, 1))"),
        ("keyctl", "call(250, 0, -3, 1)"),
        ("add_key", "call(248, b'user', b'cofferdam-test', b'y', 1, -2)"),
        (
            "request_key",
            "try: call(249, b'user', b'cofferdam-none', 0, -2)\nexcept OSError as e:\n    if e.errno != errno.ENOKEY: raise",
        ),
        (
            "bpf",
            "try: call(321, 0, ctypes.create_string_buffer(64), 64)\nexcept OSError as e:\n    if e.errno != errno.EINVAL: raise",
        ),
        ("kcmp", "call(312, os.getpid(), os.getpid(), 0, 0, 1)"),
        ("pidfd_getfd", "p = call(434, os.getpid(), 0)\nos.close(call(438, p, 0, 0))"),
        (
            "name_to_handle_at",
            "b = ctypes.create_string_buffer(128)\ntry: call(303, -100, b'/', b, b, 0)\nexcept OSError as e:\n    if e.errno != errno.EOVERFLOW: raise",
        ),
        ("personality READ_IMPLIES_EXEC", "call(135, 0x400000)"),
        (
            "prlimit64 of another",
            "pid = os.fork()\nif pid == 0:\n    import time; time.sleep(3); os._exit(0)\ntry: call(302, pid, 7, 0, ctypes.create_string_buffer(16))\nfinally: os.kill(pid, 9)",
        ),
    ] {
        place.python_attack(body, &["EPERM"], what);
    }
}

#[test]
fn own_children_may_be_traced() {
    let place = Place::new();
    place
        .python_inside(
            "pid = os.fork()\n\
             if pid == 0:\n\
             \x20   call(101, 0, 0, 0, 0)\n\
             \x20   os.kill(os.getpid(), 19)\n\
             \x20   os._exit(7)\n\
             _, status = os.waitpid(pid, 0)\n\
             assert os.WIFSTOPPED(status)\n\
             call(101, 7, pid, 0, 0)\n\
             _, status = os.waitpid(pid, 0)\n\
             assert os.WEXITSTATUS(status) == 7",
        )
        .works("PTRACE_TRACEME and PTRACE_CONT");
    place.python_inside("call(101, 16, 1, 0, 0)").fails(&["EPERM"], "PTRACE_ATTACH to init");
    place
        .python_inside("b = ctypes.create_string_buffer(64)\nimport struct\nv = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(b), 8))\ncall(310, 1, v, 1, v, 1, 0)")
        .fails(&["EPERM", "EFAULT"], "process_vm_readv of init");
}
