//! F37 without overwrite: what is there grows at its end, whatever is done with the descriptor.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, denied, policy};

const APPENDED: &str = "workspace = { path = \".\", mode = \"no-delete\", overwrite = false }";

/// Opens that could change what is there.
const OPENS: &[&str] = &[
    "os.open('old', os.O_WRONLY)",
    "os.open('old', os.O_RDWR)",
    "os.open('old', os.O_WRONLY | os.O_CREAT)",
    "os.open('old', os.O_RDWR | os.O_APPEND)",
    "os.open('old', os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)",
    "os.close(call(2, b'old', 1))",
    "os.close(call(2, b'old', 1 | 0o2000 | 0o1000))",
    "open('old', 'r+').close()",
    "open('old', 'a+').close()",
    "os.open('/proc/self/fd/%d' % os.open('old', os.O_RDONLY), os.O_RDWR)",
    "os.open('/proc/self/fd/%d' % os.open('old', os.O_RDONLY), os.O_WRONLY)",
    "os.open('/proc/self/fd/%d' % os.open('old', os.O_WRONLY | os.O_APPEND), os.O_WRONLY)",
    "os.open('/dev/fd/%d' % os.open('old', os.O_PATH), os.O_RDWR)",
    "os.symlink(os.environ['W'] + '/old', '/tmp/l%d' % os.getpid()); os.open('/tmp/l%d' % os.getpid(), os.O_WRONLY)",
    "os.open('second', os.O_WRONLY)",
];

/// What would change it through one that appends.
const THROUGH: &[&str] = &[
    "fcntl.fcntl(fd, fcntl.F_SETFL, 0)",
    "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)",
    "call(72, fd, 4 | (1 << 32), 0)",
    "fcntl.fcntl(os.dup(fd), fcntl.F_SETFL, 0); os.pwrite(fd, b'EVIL', 0)",
    "v = ctypes.create_string_buffer(b'EVIL'); w = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(v), 4))\n\
     call(328, fd, w, 1, 0, 0, 0x20)",
    "os.ftruncate(fd, 0)",
    "call(285, fd, 3, 0, 4)",
    "call(425, 4, ctypes.create_string_buffer(200))",
];

fn project() -> (Place, [String; 2]) {
    let place = Place::new();
    place.write("home/src/app/old", "0123456789");
    fs::hard_link(place.work.join("old"), place.work.join("second")).unwrap();
    let options = policy(&place, APPENDED);
    (place, options)
}

#[test]
fn no_open_overwrites() {
    let (place, options) = project();
    let acts: Vec<_> = OPENS.iter().map(|act| ((*act).to_owned(), "EPERM")).collect();
    denied(&place, &options.each_ref().map(String::as_str), &acts);
}

#[test]
fn no_descriptor_that_appends_overwrites() {
    let (place, options) = project();
    let mut outside = Session::outside(&place, &crate::trial::twin(&place));
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    let open = "fd = os.open('old', os.O_WRONLY | os.O_APPEND)";
    let mut worked = 0;
    for act in THROUGH {
        outside.ok(open);
        inside.ok(open);
        worked += u32::from(outside.act(act) == "ok");
        inside.fails(act, "EPERM EOPNOTSUPP ENOSYS");
        assert!(place.read("home/src/app/old").starts_with("0123456789"), "{act}");
    }
    assert!(worked >= 6, "the control: {worked}");
    // Each of these appends, or fails as the kernel does with any descriptor that appends.
    inside.ok(open);
    for act in [
        "os.write(fd, b'a')",
        "os.pwrite(fd, b'b', 0)",
        "os.lseek(fd, 0, 0); os.write(fd, b'c')",
        "os.writev(fd, [b'd'])",
        "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)",
        "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)",
    ] {
        inside.ok(act);
    }
    for act in [
        "mmap.mmap(fd, 10, prot=mmap.PROT_WRITE)",
        "mmap.mmap(os.open('old', os.O_RDONLY), 10, prot=mmap.PROT_WRITE | mmap.PROT_READ)",
        "m = os.memfd_create('m'); os.write(m, b'EVIL'); os.copy_file_range(m, fd, 4, 0, 0)",
        "m = os.memfd_create('m'); os.write(m, b'EVIL'); os.sendfile(fd, m, 0, 4)",
        "r, w = os.pipe(); os.write(w, b'EVIL'); os.splice(r, fd, 4, offset_dst=0)",
    ] {
        let said = inside.act(act);
        assert_ne!(said, "ok", "{act}");
        assert!(place.read("home/src/app/old").starts_with("0123456789"), "{act}: {said}");
    }
    inside.end().works("to its end");
    assert_eq!(place.read("home/src/app/old"), "0123456789abcd");
}

/// Passed on, inherited, or kept while the name changes, a descriptor is the same.
#[test]
fn descriptors_of_what_was_made_are_free() {
    let (place, options) = project();
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    for act in [
        "fd = os.open('made', os.O_RDWR | os.O_CREAT); os.write(fd, b'123456'); os.pwrite(fd, b'X', 0)",
        "fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND); fcntl.fcntl(fd, fcntl.F_SETFL, 0)",
        "os.ftruncate(fd, 1); m = mmap.mmap(fd, 1); m[0] = 65; assert get('made') == 'A'",
        "os.close(os.open('made', os.O_WRONLY | os.O_TRUNC)); os.open('/proc/self/fd/%d' % fd, os.O_RDWR)",
        "p, q = os.pipe(); fcntl.fcntl(q, fcntl.F_SETFL, os.O_NONBLOCK); fcntl.fcntl(q, fcntl.F_SETFL, 0)",
        "s = socket.socket(); s.setblocking(False); s.setblocking(True)",
        "open('/tmp/x', 'w').write('123'); f = os.open('/tmp/x', os.O_RDWR); os.ftruncate(f, 1); os.unlink('/tmp/x')",
        "m = os.memfd_create('m'); os.ftruncate(m, 100); os.ftruncate(m, 1)",
        "f = os.open('old', os.O_RDONLY); fcntl.fcntl(f, fcntl.F_SETFL, os.O_NONBLOCK)",
        "fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL))",
    ] {
        inside.ok(act);
    }
    inside.end().works("to its end");
}
