//! K10: no call makes or enters a namespace.

use crate::support::Place;

#[test]
fn every_flag_of_every_call_is_refused() {
    let place = Place::new();
    place.python_attack("call(272, 0x10000000)", &["EPERM"], "unshare(CLONE_NEWUSER)");
    place
        .python_inside(
            "import signal\n\
             def refused(nr, *args):\n\
             \x20   try: ret = call(nr, *args)\n\
             \x20   except OSError as e:\n\
             \x20       if e.errno in (errno.EPERM, errno.ENOSYS): return\n\
             \x20       raise\n\
             \x20   if ret == 0: os._exit(0)\n\
             \x20   raise OSError(errno.EISCONN, str(args))\n\
             for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):\n\
             \x20   refused(272, flag)\n\
             \x20   refused(272, flag | 0x400)\n\
             \x20   refused(56, flag | signal.SIGCHLD, 0, 0, 0, 0)\n\
             refused(272, 0x80)\n\
             refused(435, 0, 88)\n\
             fd = os.open('/proc/self/ns/net', os.O_RDONLY)\n\
             refused(308, fd, 0)",
        )
        .works("unshare, clone, clone3, setns");
    place
        .python_inside("import threading\nt = threading.Thread(target=print); t.start(); t.join()\nassert os.waitstatus_to_exitcode(os.system('true')) == 0")
        .works("threads and children");
}
