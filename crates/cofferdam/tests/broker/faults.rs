//! Faults: what cannot be read, has no room, or comes at the wrong time is an errno to the caller and
//! never half of the effect.

use crate::support::{Place, finish, is_root};
use crate::trial::{Session, events, init_of, policy, same};

#[test]
fn a_caller_without_descriptors_makes_no_file() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "old = resource.getrlimit(resource.RLIMIT_NOFILE); held = []",
            "resource.setrlimit(resource.RLIMIT_NOFILE, (64, old[1]))\n\
             try:\n    while True: held.append(os.dup(0))\nexcept OSError: pass",
            "os.open('new', os.O_CREAT | os.O_WRONLY)",
            "os.open('new', os.O_CREAT | os.O_EXCL | os.O_RDWR)",
            "os.close(call(85, b'new', 0o600))",
            "os.open('.', os.O_TMPFILE | os.O_RDWR)",
            "os.mkdir('d'); os.rename('d', 'e'); os.rmdir('e')",
            "os.close(held.pop()); said = os.path.exists('new')",
            "fd = os.open('new', os.O_CREAT | os.O_WRONLY); said = fd",
            "os.open('new', os.O_TRUNC | os.O_WRONLY)",
            "os.close(fd); put('new', 'text')",
            "held.append(os.dup(0)); os.open('new', os.O_TRUNC | os.O_WRONLY)",
            "os.close(held.pop()); said = get('new')",
        ],
    );
    assert_eq!(said[2..6], ["EMFILE"; 4]);
    assert_eq!((said[7].as_str(), said[12].as_str()), ("False", "text"), "{said:?}");
}

/// Each call that takes a path, with a bad address for it.
const UNMAPPED: &[&str] = &[
    "call(2, BAD, os.O_CREAT | os.O_WRONLY, 0o600)",
    "call(257, -100, BAD, os.O_CREAT | os.O_WRONLY, 0o600)",
    "call(85, BAD, 0o600)",
    "call(83, BAD, 0o700)",
    "call(258, -100, BAD, 0o700)",
    "call(133, BAD, 0o010600, 0)",
    "call(259, -100, BAD, 0o010600, 0)",
    "call(86, BAD, b'x')",
    "call(86, b'there', BAD)",
    "call(265, -100, b'there', -100, BAD, 0)",
    "call(88, BAD, b'x')",
    "call(88, b'there', BAD)",
    "call(266, BAD, -100, b'x')",
    "call(82, BAD, b'x')",
    "call(82, b'there', BAD)",
    "call(264, -100, b'there', -100, BAD)",
    "call(316, -100, BAD, -100, b'x', 0)",
    "call(87, BAD)",
    "call(263, -100, BAD, 0)",
    "call(84, BAD)",
    "call(76, BAD, 0)",
    "call(90, BAD, 0o600)",
    "call(268, -100, BAD, 0o600)",
    "call(188, BAD, b'user.x', b'1', 1, 0)",
    "call(188, b'there', BAD, b'1', 1, 0)",
    "call(188, b'there', b'user.x', BAD, 1, 0)",
    "call(197, BAD, b'user.x')",
    "call(49, s.fileno(), BAD, 20)",
    "call(42, s.fileno(), BAD, 20)",
    "call(4, BAD, buffer)",
    "call(4, b'there', BAD)",
    "call(262, -100, b'there', BAD, 0)",
    "call(332, -100, BAD, 0, 0xfff, buffer)",
    "call(332, -100, b'there', 0, 0xfff, BAD)",
    "call(21, BAD, 4)",
    "call(89, BAD, buffer, 100)",
    "call(89, b'link', BAD, 100)",
];

#[test]
fn unmapped_addresses_are_faults() {
    let place = Place::new();
    place.write("home/src/app/there", "");
    std::os::unix::fs::symlink("there", place.work.join("link")).unwrap();
    let hides = policy(&place, "hide = [\"**/.env\"]");
    let mut acts: Vec<String> = vec![
        "s = socket.socket(socket.AF_UNIX); buffer = ctypes.create_string_buffer(4096)".into(),
    ];
    // Null, not canonical, the kernel's, and one whose end is missing.
    for bad in ["0", "0x1000", "0xdead000000000000 - (1 << 64)", "-4096", "edge"] {
        acts.push("page = mmap.mmap(-1, 8192); base = ctypes.addressof(ctypes.c_char.from_buffer(page))\n\
                   call(10, base + 4096, 4096, 0); page[4090:4096] = b'aaaaaa'; edge = base + 4090".into());
        acts.extend(UNMAPPED.iter().map(|act| act.replace("BAD", bad)));
    }
    let acts: Vec<&str> = acts.iter().map(String::as_str).collect();
    for options in [vec![], hides.iter().map(String::as_str).collect()] {
        let said = same(&place, &options, &acts);
        let faults = said.iter().filter(|one| *one == "EFAULT").count();
        assert!(faults > 5 * UNMAPPED.len() * 9 / 10, "{faults}: {said:?}");
    }
    let names: Vec<_> = std::fs::read_dir(&place.work).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing was made: {names:?}");
}

#[test]
fn paths_end_where_they_end() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "page = mmap.mmap(-1, 8192); base = ctypes.addressof(ctypes.c_char.from_buffer(page))",
            // Over the border of two pages, and up to a border behind which nothing is.
            "page[4093:4100] = b'border\\0'; call(83, base + 4093, 0o700); said = os.path.isdir('border')",
            "page[4092:4096] = b'end\\0'; call(10, base + 4096, 4096, 0); call(83, base + 4092, 0o700); said = os.path.isdir('end')",
            "page[4092:4096] = b'ends'; call(83, base + 4092, 0o700)",
            "call(83, b'./' * 2047 + b'a', 0o700); said = os.path.isdir('a')",
            "call(83, b'./' * 2047 + b'ab', 0o700)",
            "call(83, b'./' * 2047 + b'abc', 0o700)",
            "call(83, b'/' * 4094 + b'proc', 0o700)",
            "call(83, b'x' * 255, 0o700)",
            "call(83, b'x' * 256, 0o700)",
            "call(83, b'', 0o700)",
            "call(2, b'', os.O_CREAT | os.O_WRONLY, 0o600)",
            "call(88, b'', b'l')",
            "call(88, b't' * 4095, b'l0')",
            "call(88, b't' * 4096, b'l1')",
            "call(88, b't' * 4000, b'l2'); said = len(os.readlink('l2'))",
            "call(82, b'a', b'./' * 2047 + b'b'); said = os.path.isdir('b')",
            "call(82, b'b', b'./' * 2048 + b'c')",
            "s = socket.socket(socket.AF_UNIX); s.bind('y' * 107); said = s.getsockname() == 'y' * 107",
            "socket.socket(socket.AF_UNIX).bind('z' * 108)",
            "call(83, b'\\xff\\xfe\\x80', 0o700); said = os.listdir(b'.').count(b'\\xff\\xfe\\x80')",
            "call(188, b'a' * 5000, b'user.x', b'1', 1, 0)",
            "put('f'); call(188, b'f', b'user.' + b'n' * 250, b'1', 1, 0)",
            "call(188, b'f', b'user.' + b'n' * 251, b'1', 1, 0)",
            "call(188, b'f', b'user.big', b'v' * 70000, 70000, 0)",
            "call(188, b'f', b'user.two', b'', 0, 3)",
            "call(264, -100, b'f', -100, b'g', 0); said = os.path.exists('g')",
            "call(316, -100, b'g', -100, b'h', 64)",
            "call(263, -100, b'g', 0x800)",
            "call(265, -100, b'g', -100, b'i', 0x10000)",
            "call(2, b'g', os.O_CREAT | os.O_DIRECTORY | os.O_WRONLY, 0o600)",
            "call(2, b'g', 3 | os.O_CREAT, 0o600)",
            "call(2, b'j', os.O_CREAT | os.O_RDONLY, 0o600); said = os.path.exists('j')",
            "call(2, b'j', os.O_TRUNC | os.O_RDONLY); said = os.path.getsize('j')",
        ],
    );
    assert_eq!(said[1..4], ["True", "True", "EFAULT"]);
    assert_eq!(said[4..7], ["True", "ENAMETOOLONG", "ENAMETOOLONG"]);
}

/// Sets the soft limit of descriptors of a process from outside, as its own user.
#[track_caller]
fn limit(place: &Place, pid: u32, nofile: &str) {
    use std::os::unix::process::CommandExt;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let id = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut command = place.command("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--nofile={nofile}:")]).current_dir("/");
    if is_root() {
        command.uid(id("Uid:")).gid(id("Gid:"));
    }
    finish(&mut command).works("prlimit of pid 1, from outside");
}

/// Pid 1 has no descriptors left for what it would open.
#[test]
fn pid_1_without_descriptors_refuses() {
    let place = Place::new();
    let mut inside = Session::inside(&place, &[]);
    inside.ok("os.mkdir('before'); put('there', 'text')");
    let init = init_of(inside.pid());
    let limits = std::fs::read_to_string(format!("/proc/{init}/limits")).unwrap();
    let old = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let old = old.split_whitespace().nth(3).unwrap();
    limit(&place, init, "1");
    for act in [
        "os.open('new', os.O_CREAT | os.O_WRONLY)",
        "os.mkdir('dir')",
        "os.rename('there', 'moved')",
        "os.symlink('there', 'link')",
        "os.link('there', 'linked')",
        "os.unlink('there')",
        "os.truncate('there', 0)",
        "os.open('there', os.O_WRONLY | os.O_TRUNC)",
        "os.chmod('there', 0o600)",
        "os.mkdir('.claude')",
        "os.rmdir('before')",
        "socket.socket(socket.AF_UNIX).bind('socket')",
    ] {
        let said = inside.act(act);
        assert!(said.starts_with('E') && said != "ENOSYS", "{act}: {said}");
    }
    limit(&place, init, old);
    inside.ok("assert sorted(os.listdir('.')) == ['before', 'there'], os.listdir('.')");
    inside.ok("assert get('there') == 'text'; os.mkdir('dir'); os.rename('there', 'moved')");
    inside.end().works("it goes on");
    let told: Vec<_> = events(&place, "name").into_iter().collect();
    let broker =
        told.iter().any(|event| event["clause"].as_str().is_some_and(|c| c.starts_with("broker")));
    assert!(broker, "what could not be done is on record: {told:?}");
}
