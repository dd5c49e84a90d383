//! F32: every door to the mount table is shut.

use crate::support::Place;

#[test]
fn each_call_is_refused() {
    let place = Place::new();
    place
        .python_outside(
            "assert call(272, 0x10020000) == 0\n\
         fd = call(430, b'tmpfs', 0)\n\
         call(431, fd, 6, None, None, 0)\n\
         m = call(432, fd, 0, 0)\n\
         call(429, m, b'', -100, b'/mnt', 4)\n\
         call(428, -100, b'/mnt', 1)",
        )
        .works("a tmpfs in one's own namespaces");
    place.python_inside(
        "calls = dict(mount=165, umount2=166, pivot_root=155, open_tree=428, move_mount=429, fsopen=430,\n\
             \x20 fsconfig=431, fsmount=432, fspick=433, mount_setattr=442, chroot=161,\n\
             \x20 open_tree_attr=467, statmount=457, listmount=458, fanotify_init=300, setns=308)\n\
             for name, nr in calls.items():\n\
             \x20   try: call(nr, 0, 0, 0, 0, 0)\n\
             \x20   except OSError as e:\n\
             \x20       if e.errno in (errno.EPERM, errno.ENOSYS): continue\n\
             \x20       raise\n\
             \x20   raise OSError(errno.EISCONN, name)",
    )
    .works("all of them are EPERM or ENOSYS");
    place.inside("cat /proc/self/mountinfo > /dev/null").works("reading the table");
}
