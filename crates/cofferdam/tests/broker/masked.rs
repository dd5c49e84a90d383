//! What is masked is there in its shape, and none of its content is.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, allowed, denied, policy};

const SECRET: &str = "{\n  \"key\": \"hunter2-SECRET-0123456789\",\n  \"port\": 5432\n}\n";

fn project() -> Place {
    let place = Place::new();
    place.write("home/src/app/conf/creds.json", SECRET);
    place.write("home/src/app/deep/er/db.secret", "hunter2-SECRET\n");
    place.write("home/src/app/f", "text");
    place
}

/// Ways to read `NAME` into `said`.
const READS: &[&str] = &[
    "said = get('NAME')",
    "said = os.read(os.open('NAME', os.O_RDONLY), 9999)",
    "said = os.pread(os.open('NAME', os.O_RDONLY), 9999, 5)",
    "fd = os.open('NAME', os.O_RDONLY); said = bytes(mmap.mmap(fd, 0, prot=mmap.PROT_READ))",
    "fd = os.open('NAME', os.O_RDONLY); said = bytes(mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE))",
    "a, b = socket.socketpair(); os.sendfile(a.fileno(), os.open('NAME', os.O_RDONLY), 0, 9999); said = b.recv(9999)",
    "o = os.open('o', os.O_RDWR | os.O_CREAT | os.O_TRUNC); os.copy_file_range(os.open('NAME', os.O_RDONLY), o, 9999); said = os.pread(o, 9999, 0)",
    "r, w = os.pipe(); os.splice(os.open('NAME', os.O_RDONLY), w, 9999); said = os.read(r, 9999)",
    "fd = os.open('NAME', os.O_RDONLY); said = get('/proc/self/fd/%d' % fd)",
    "fd = os.open('NAME', os.O_PATH); said = get('/proc/self/fd/%d' % fd)",
    "said = open('NAME', 'rb', buffering=0).readall()",
    "said = subprocess.run(['cat', 'NAME'], stdout=subprocess.PIPE).stdout",
    "said = subprocess.run('tail -c 99 < NAME', shell=True, stdout=subprocess.PIPE).stdout",
    "os.symlink(os.environ['W'] + '/NAME', '/tmp/l'); said = get('/tmp/l'); os.unlink('/tmp/l')",
];

#[test]
fn no_byte_of_the_secret_is_read() {
    let place = project();
    let options = policy(&place, "mask = [\"conf/creds.json\", \"**/*.secret\"]");
    let options = options.each_ref().map(String::as_str);
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &options);
    for name in ["conf/creds.json", "deep/er/db.secret"] {
        for act in READS {
            let act = act.replace("NAME", name);
            let control = outside.act(&act);
            assert!(control.contains("SECRET"), "{act}: the control: {control}");
            let said = inside.act(&act);
            for word in ["SECRET", "hunter2", "0123"] {
                assert!(!said.contains(word), "{act}: {said}");
            }
        }
        let said = inside.act(&format!("said = get('{name}')"));
        let text = fs::read_to_string(place.work.join(name)).unwrap();
        assert!(!said.is_empty() && said != "ENOENT", "{name}: a placeholder: {said:?}");
        assert_eq!(said.lines().count(), text.lines().count(), "{name}: its shape: {said:?}");
        assert_eq!(said.len(), text.len(), "{name}: its size: {said:?}");
    }
    inside.ok("assert os.stat('conf/creds.json').st_size == len(get('conf/creds.json'))");
    // Later ones, and the host's own save.
    place
        .outside("echo hunter2-SECRET > f.secret && cp conf/creds.json t && mv t conf/creds.json")
        .works("");
    for act in ["said = get('f.secret')", "said = get('conf/creds.json')"] {
        let said = inside.act(act);
        assert!(!said.contains("SECRET") && !said.contains("hunter2"), "{act}: {said}");
    }
    inside.end().works("to its end");
}

#[test]
fn what_is_masked_stays() {
    let place = project();
    let filesystem = "mask = [\"conf/creds.json\", \"**/*.secret\"]";
    let options = policy(&place, filesystem);
    let options = options.each_ref().map(String::as_str);
    let mut acts = Vec::new();
    for name in ["conf/creds.json", "deep/er/db.secret"] {
        for act in [
            "put('NAME')",
            "open('NAME', 'a').close()",
            "os.open('NAME', os.O_RDWR)",
            "os.truncate('NAME', 0)",
            "os.unlink('NAME')",
            "os.rename('NAME', 'moved')",
            "os.rename('f', 'NAME')",
            "os.link('NAME', 'second')",
            "call(316, -100, b'f', -100, b'NAME', 2)",
            "os.chmod('NAME', 0o777)",
            "fd = os.open('NAME', os.O_PATH); os.open('/proc/self/fd/%d' % fd, os.O_WRONLY)",
            "fd = os.open('NAME', os.O_PATH); follow('/proc/self/fd/%d' % fd, 'second')",
        ] {
            acts.push((act.replace("NAME", name), "EACCES EROFS EBUSY"));
        }
    }
    acts.push(("os.rename('conf', 'z')".to_owned(), "EXDEV EBUSY EACCES"));
    denied(&place, &options, &acts);
    assert_eq!(place.read("home/src/app/conf/creds.json"), SECRET);
    allowed(
        &place,
        &options,
        &[
            "put('conf/other'); put('f', 'new'); assert get('f') == 'new'",
            "os.rename('deep', 'z'); assert 'hunter2' not in get('z/er/db.secret')",
            "assert apart(\"put('z/er/db.secret')\") == 'EACCES'",
        ],
    );
}
