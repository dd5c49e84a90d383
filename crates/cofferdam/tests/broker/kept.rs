//! F37: in a tree in which nothing is deleted, what is older than the session is lost in no way; what
//! the session made itself may go.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, allowed, denied, policy};

const KEPT: &str = "workspace = { path = \".\", mode = \"no-delete\" }";
const APPENDED: &str = "workspace = { path = \".\", mode = \"no-delete\", overwrite = false }";

/// What would lose `old`, or a part of it, under both.
const LOSSES: &[&str] = &[
    "os.unlink('old')",
    "os.unlink('old', dir_fd=os.open('.', os.O_PATH))",
    "os.chdir('d'); os.unlink('../old')",
    "os.unlink('up/old')",
    "os.unlink('second')",
    "os.rmdir('empty')",
    "call(263, -100, b'empty', 0x200)",
    "os.rename('old', 'new')",
    "os.rename('old', 'd/old2')",
    "os.rename('empty', 'new')",
    "os.rename('old', 'other')",
    "call(316, -100, b'old', -100, b'other', 2)",
    "call(316, -100, b'old', -100, b'new', 1)",
    "put('made'); os.rename('made', 'old')",
    "os.link('old', 'again'); os.rename('again', 'other')",
    "os.symlink('x', 'sym'); os.rename('sym', 'old')",
    "os.mkdir('dir'); os.rename('dir', 'empty')",
    "put('old')",
    "put('old', 'shorter')",
    "os.open('old', os.O_WRONLY | os.O_TRUNC)",
    "os.open('old', os.O_RDWR | os.O_TRUNC)",
    "os.open('old', os.O_RDONLY | os.O_TRUNC)",
    "os.open('old', os.O_WRONLY | os.O_TRUNC | os.O_APPEND | os.O_CREAT)",
    "os.close(call(85, b'old', 0o600))",
    "os.truncate('old', 0)",
    "os.truncate('old', 999)",
    "call(76, b'old', 10)",
    "fd = os.open('old', os.O_PATH); os.truncate('/proc/self/fd/%d' % fd, 0)",
    "fd = os.open('old', os.O_RDONLY); os.open('/proc/self/fd/%d' % fd, os.O_WRONLY | os.O_TRUNC)",
];

/// What would lose a part of it through a descriptor that may write.
const THROUGH: &[&str] = &[
    "os.ftruncate(FD, 0)",
    "os.ftruncate(FD, 999)",
    "call(77, FD, 10)",
    "call(285, FD, 3, 0, 500)",
    "call(285, FD, 8, 0, 4096)",
    "call(285, FD, 0x10 | 1, 0, 500)",
    "call(285, FD, 0x10, 0, 500)",
    // A hole by ioctl(2): FS_IOC_UNRESVSP64, FS_IOC_ZERO_RANGE.
    "call(16, FD, 0x4030582b, ctypes.create_string_buffer(struct.pack('hhxxxxqqiI16x', 0, 0, 0, 5000, 0, 0)))",
    "call(16, FD, 0x40305839, ctypes.create_string_buffer(struct.pack('hhxxxxqqiI16x', 0, 0, 0, 5000, 0, 0)))",
    // Blocks of another file in its place: EXT4_IOC_MOVE_EXT, with it as the one that gives.
    "g = os.open('other', os.O_RDWR); call(16, FD, 0xc028660f, ctypes.create_string_buffer(struct.pack('IIQQQQ', 0, g, 0, 0, 1, 0)))",
];

fn project() -> Place {
    let place = Place::new();
    place.write("home/src/app/old", &"0123456789".repeat(1000));
    place.write("home/src/app/other", "other");
    place.write("home/src/app/d/x", "x");
    fs::create_dir(place.work.join("empty")).unwrap();
    fs::hard_link(place.work.join("d/x"), place.work.join("second")).unwrap();
    std::os::unix::fs::symlink(".", place.work.join("up")).unwrap();
    place
}

/// As [`denied`], but for what the first half of an act may make.
#[track_caller]
fn not_lost(filesystem: &str, acts: &[String]) {
    let (clean, rest): (Vec<String>, Vec<String>) = acts.iter().cloned().partition(|act| {
        !["'made'", "'again'", "'sym'", "'dir'"].iter().any(|name| act.contains(name))
    });
    let with = |acts: Vec<String>| acts.into_iter().map(|act| (act, "EPERM")).collect::<Vec<_>>();
    let place = project();
    let options = policy(&place, filesystem);
    denied(&place, &options.each_ref().map(String::as_str), &with(clean));
    for (act, errno) in with(rest) {
        let place = project();
        let options = policy(&place, filesystem);
        Session::outside(&place, &crate::trial::twin(&place)).ok(&act);
        let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
        inside.fails(&act, errno);
        inside.end().works("to its end");
        let kept = place.outside("cat old other d/x second; ls -d empty").works("").out;
        assert_eq!(kept.len(), 10_000 + "otherxxempty\n".len(), "{act}: {kept}");
    }
}

#[test]
fn what_is_older_is_not_lost() {
    let mut acts: Vec<String> = LOSSES.iter().map(|act| (*act).to_owned()).collect();
    // Punching needs no more than a descriptor to write, of any kind.
    let open = "fd = os.open('old', os.O_RDWR)";
    acts.extend(THROUGH.iter().map(|act| format!("{open}; {}", act.replace("FD", "fd"))));
    acts.push(format!("{open}; m = mmap.mmap(fd, 10000); os.ftruncate(fd, 1)"));
    acts.push(format!("{open}; m = mmap.mmap(fd, 10000); m.madvise(mmap.MADV_REMOVE, 0, 8192)"));
    acts.push(format!("{open}; os.ftruncate(os.dup(fd), 1)"));
    acts.push(format!(
        "{open}; g = os.open('/proc/self/fd/%d' % fd, os.O_RDWR); os.ftruncate(g, 1)"
    ));
    // The file system may not know one of them.
    let knows = |act: &String| {
        let place = project();
        Session::outside(&place, &place.work).act(act) == "ok"
    };
    let asks = |act: &String| {
        act.contains("call(285") || act.contains("call(16,") || act.contains("REMOVE")
    };
    acts.retain(|act| !asks(act) || knows(act));
    not_lost(KEPT, &acts);
}

#[test]
fn what_is_older_is_not_lost_without_overwrite() {
    let mut acts: Vec<String> = LOSSES.iter().map(|act| (*act).to_owned()).collect();
    let open = "fd = os.open('old', os.O_WRONLY | os.O_APPEND)";
    acts.extend(THROUGH.iter().map(|act| format!("{open}; {}", act.replace("FD", "fd"))));
    let knows = |act: &String| {
        let place = project();
        Session::outside(&place, &place.work).act(act) == "ok"
    };
    acts.retain(|act| !act.contains("call(285") && !act.contains("call(16,") || knows(act));
    assert!(acts.len() > LOSSES.len() + 3, "the file system knows some of them");
    not_lost(APPENDED, &acts);
}

/// What works under it, and what the session made goes.
#[test]
fn what_the_session_made_may_go() {
    let made = [
        "put('made', '0123456789'); os.truncate('made', 5); put('made', 'x'); os.unlink('made')",
        "put('made'); os.rename('made', 'made2'); put('made'); os.rename('made2', 'made'); os.unlink('made')",
        "os.mkdir('dir'); put('dir/f'); os.rename('dir/f', 'g'); os.rmdir('dir'); os.unlink('g')",
        "os.mkdir('dir'); os.rename('dir', 'dir2'); os.rmdir('dir2')",
        "os.symlink('old', 'sym'); os.unlink('sym'); os.mkfifo('fifo'); os.unlink('fifo')",
        "os.mknod('node', 0o100644); os.unlink('node')",
        "s = socket.socket(socket.AF_UNIX); s.bind('sock'); os.unlink('sock')",
        "t = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); os.write(t, b'123'); os.ftruncate(t, 0)",
        "follow('/proc/self/fd/%d' % t, 'tmp'); os.unlink('tmp')",
        "fd = os.open('made', os.O_CREAT | os.O_RDWR); os.write(fd, b'123'); os.ftruncate(fd, 1); call(285, fd, 3, 0, 1); os.unlink('made')",
        "os.link('old', 'again')",
        "os.truncate('old', 20000)",
        "open('old', 'a').write('more')",
        "fd = os.open('old', os.O_WRONLY | os.O_APPEND); os.write(fd, b'more'); os.ftruncate(fd, 50000)",
        "os.chmod('old', 0o600); os.setxattr('old', 'user.x', b'1')",
        "assert len(get('old')) >= 10000",
    ];
    for filesystem in [KEPT, APPENDED] {
        let place = project();
        let options = policy(&place, filesystem);
        allowed(&place, &options.each_ref().map(String::as_str), &made);
    }
    let place = project();
    let options = policy(&place, KEPT);
    allowed(
        &place,
        &options.each_ref().map(String::as_str),
        &[
            "fd = os.open('old', os.O_RDWR); os.pwrite(fd, b'OVER', 0); m = mmap.mmap(fd, 10000); m[4:8] = b'MMAP'; m.close()",
            "assert get('old').startswith('OVERMMAP') and len(get('old')) == 10000",
            "open('old', 'r+').write('x'); fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND); fcntl.fcntl(fd, fcntl.F_SETFL, 0)",
        ],
    );
}

/// A number of an inode that is given out again is not the thing that the session made.
#[test]
fn a_number_that_is_given_again_is_another_thing() {
    for filesystem in [KEPT, APPENDED] {
        let place = project();
        let options = policy(&place, filesystem);
        let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
        let mut again = 0;
        for n in 0..40 {
            let number =
                inside.act("put('made'); n = os.stat('made').st_ino; os.unlink('made'); said = n");
            let name = format!("host-{n}");
            let path = place.write(&format!("home/src/app/{name}"), "the host's");
            let seen = std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
            again += u32::from(seen.to_string() == number);
            inside.fails(&format!("os.unlink('{name}')"), "EPERM");
            inside.fails(&format!("os.truncate('{name}', 0)"), "EPERM");
            inside.fails(&format!("os.rename('{name}', 'x')"), "EPERM");
        }
        println!("{again} of 40 numbers were given again");
        // The host removes what the session made, or puts its own over it.
        for n in 0..20 {
            inside.ok(&format!("put('mine-{n}'); os.mkdir('dir-{n}')"));
            place.outside(&format!("rm mine-{n}; echo theirs > mine-{n}; rmdir dir-{n}; mkdir dir-{n}; echo t > t; mv t mine2-{n}")).works("");
            inside.fails(&format!("os.unlink('mine-{n}')"), "EPERM");
            inside.fails(&format!("os.rmdir('dir-{n}')"), "EPERM");
        }
        inside.ok("put('mine'); os.unlink('mine')");
        inside.end().works("to its end");
    }
}
