//! F09: names that are protected and there stay what they are: by their name, by a second one, and
//! by what leads to them.

use std::os::unix::fs::symlink;

use crate::absent_names::BUILT_IN;
use crate::support::Place;
use crate::trial::{allowed, denied, policy};

/// What a read-only mount below the name, or a mount on it, may answer first.
const HELD: &str = "EACCES EROFS EBUSY EXDEV";

/// What would change the file `NAME`.
const FILE: &[&str] = &[
    "os.unlink('NAME')",
    "os.unlink('NAME'); put('NAME')",
    "put('NAME')",
    "open('NAME', 'a').close()",
    "open('NAME', 'r+').close()",
    "os.open('NAME', os.O_RDONLY | os.O_TRUNC)",
    "os.open('NAME', os.O_RDWR | os.O_CREAT)",
    "os.truncate('NAME', 0)",
    "os.truncate('NAME', 9999)",
    "os.rename('NAME', 'moved')",
    "os.rename('f', 'NAME')",
    "os.rename('l', 'NAME')",
    "call(316, -100, b'f', -100, b'NAME', 2)",
    "call(316, -100, b'NAME', -100, b'f', 2)",
    "call(316, -100, b'd', -100, b'NAME', 2)",
    "os.link('NAME', 'second')",
    "fd = os.open('NAME', os.O_RDONLY); follow('/proc/self/fd/%d' % fd, 'second')",
    "fd = os.open('NAME', os.O_RDONLY); os.open('/proc/self/fd/%d' % fd, os.O_WRONLY)",
    "fd = os.open('NAME', os.O_PATH); os.open('/proc/self/fd/%d' % fd, os.O_RDWR)",
    "fd = os.open('NAME', os.O_PATH); os.truncate('/proc/self/fd/%d' % fd, 0)",
    "fd = os.open('NAME', os.O_PATH); os.chmod('/proc/self/fd/%d' % fd, 0o777)",
    "os.chmod('NAME', 0o777)",
    "os.fchmod(os.open('NAME', os.O_RDONLY), 0o777)",
    "call(452, -100, b'NAME', 0o777, 0)",
    "os.setxattr('NAME', 'user.x', b'1')",
    "os.setxattr(os.open('NAME', os.O_RDONLY), 'user.x', b'1')",
    "os.chdir('d'); put('../NAME')",
    "put('up/up/NAME')",
    "put('/proc/self/cwd/NAME')",
    "os.unlink('NAME', dir_fd=os.open('.', os.O_PATH))",
];

/// What would change the directory `NAME`, in which `kept` is.
const DIRECTORY: &[&str] = &[
    "os.unlink('NAME/kept'); os.rmdir('NAME')",
    "os.rename('NAME', 'moved')",
    "os.unlink('NAME/kept'); os.rename('d', 'NAME')",
    "call(316, -100, b'd', -100, b'NAME', 2)",
    "put('NAME/new')",
    "put('NAME/kept')",
    "os.mkdir('NAME/new')",
    "os.rename('f', 'NAME/kept')",
    "os.rename('NAME/kept', 'moved')",
    "os.link('f', 'NAME/new')",
    "os.link('NAME/kept', 'second')",
    "os.symlink('x', 'NAME/new')",
    "os.mkfifo('NAME/new')",
    "socket.socket(socket.AF_UNIX).bind('NAME/new')",
    "os.chmod('NAME', 0o700)",
    "os.setxattr('NAME', 'user.x', b'1')",
    "os.chdir('NAME'); put('kept')",
    "os.open('kept', os.O_WRONLY, dir_fd=os.open('NAME', os.O_PATH))",
    "os.open('NAME', os.O_TMPFILE | os.O_WRONLY, 0o600)",
];

fn project() -> Place {
    let place = Place::new();
    for name in ["f", "d/x", ".git/HEAD"] {
        place.write(&format!("home/src/app/{name}"), "text");
    }
    symlink(".", place.work.join("up")).unwrap();
    symlink("f", place.work.join("l")).unwrap();
    place
}

fn acts(of: &[&str], name: &str) -> Vec<(String, &'static str)> {
    of.iter().map(|act| (act.replace("NAME", name), HELD)).collect()
}

#[test]
fn built_in_files_stay() {
    let place = project();
    let (few, many) = ([".mcp.json", ".gitmodules"], BUILT_IN);
    for name in many {
        place.write(&format!("home/src/app/{name}"), "kept");
    }
    let mut all: Vec<_> = few.iter().flat_map(|name| acts(FILE, name)).collect();
    let rest = many.iter().filter(|name| !few.contains(name));
    all.extend(rest.flat_map(|name| acts(&FILE[..3], name)));
    denied(&place, &[], &all);
    let read = many.iter().map(|name| format!("assert get('{name}') == 'kept'"));
    let read: Vec<String> = read.collect();
    let mut twins: Vec<&str> = read.iter().map(String::as_str).collect();
    twins.push("put('f', 'new'); os.chmod('f', 0o600); os.setxattr('f', 'user.x', b'1'); os.rename('f', 'g'); os.unlink('g')");
    allowed(&place, &[], &twins);
}

#[test]
fn built_in_directories_stay() {
    let place = project();
    let (few, many) = ([".claude", ".git/hooks"], BUILT_IN);
    for name in many {
        place.write(&format!("home/src/app/{name}/kept"), "kept");
    }
    let mut all: Vec<_> = few.iter().flat_map(|name| acts(DIRECTORY, name)).collect();
    let rest = many.iter().filter(|name| !few.contains(name));
    all.extend(rest.flat_map(|name| acts(&DIRECTORY[..3], name)));
    denied(&place, &[], &all);
    allowed(
        &place,
        &[],
        &["assert get('.claude/kept') == 'kept'; assert os.listdir('.git/hooks') == ['kept']"],
    );
}

#[test]
fn a_persons_names_and_patterns_stay() {
    let place = project();
    for name in ["conf/Makefile", "a.lock", "d/b.lock", "keys/kept"] {
        place.write(&format!("home/src/app/{name}"), "kept");
    }
    let options = policy(&place, "protect = [\"conf/Makefile\", \"**/*.lock\", \"keys\"]");
    let options = options.each_ref().map(String::as_str);
    let mut all = Vec::new();
    for name in ["conf/Makefile", "a.lock", "d/b.lock"] {
        // A directory does not change places with what is in it.
        let acts = acts(FILE, name).into_iter().filter(|(act, _)| !act.contains("b'd', -100"));
        all.extend(acts);
    }
    all.extend(acts(DIRECTORY, "keys"));
    denied(&place, &options, &all);
    allowed(
        &place,
        &options,
        &[
            "put('conf/other'); os.unlink('conf/other'); put('d/x'); os.rename('d/x', 'd/y'); os.mkdir('e'); os.rmdir('e')",
        ],
    );
}

/// F56: a directory that nothing protects does not shield what is protected in it, nor does the
/// place from which it is named.
#[test]
fn from_below_a_name_is_the_same() {
    let place = project();
    place.write("home/src/app/deep/er/x", "");
    place.write("home/src/app/.bashrc", "kept");
    let all: Vec<_> = [
        "os.chdir('deep/er'); put('../../.bashrc')",
        "os.chdir('deep/er'); os.unlink('../../.bashrc')",
        "os.chdir('deep/er'); os.rename('x', '../../.zshrc')",
        "os.chdir('deep/er'); os.symlink('x', '../../.profile')",
        "os.chdir('deep'); os.rename('er', '../.claude')",
    ]
    .map(|act| (act.to_owned(), HELD))
    .into();
    denied(&place, &[], &all);
    allowed(&place, &[], &["os.chdir('deep/er'); put('.bashrc'); put('../.zshrc')"]);
}
