//! F04: names that are protected and not there yet are not made, in any way.

use std::fs;

use crate::support::Place;
use crate::trial::{Session, allowed, denied, policy};

/// The built-in names of a workspace, as the language promises them.
pub(crate) const BUILT_IN: &[&str] = &[
    ".git/hooks",
    ".git/info",
    ".gitmodules",
    ".claude",
    ".codex",
    ".agents",
    ".cursor",
    ".gemini",
    ".vscode",
    ".idea",
    ".devcontainer",
    ".mcp.json",
    ".envrc",
    ".husky",
    ".cofferdam",
    ".cofferdam.toml",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
];

/// Ways to make `NAME`, each with what it may hear.
const WAYS: &[(&str, &str)] = &[
    ("put('NAME')", "EACCES"),
    ("os.mkdir('NAME')", "EACCES"),
    ("os.makedirs('NAME/sub'); put('NAME/sub/settings.json')", "EACCES"),
    ("os.rename('f', 'NAME')", "EACCES"),
    ("os.rename('d', 'NAME')", "EACCES EXDEV"),
    ("os.symlink('f', 'NAME')", "EACCES"),
    ("os.symlink('d', 'NAME')", "EACCES"),
    ("os.link('f', 'NAME')", "EACCES"),
    ("os.mknod('NAME', 0o100644)", "EACCES"),
    ("os.mkfifo('NAME')", "EACCES"),
    ("socket.socket(socket.AF_UNIX).bind('NAME')", "EACCES"),
];

/// More ways, for a few of the names.
const MORE_WAYS: &[(&str, &str)] = &[
    ("os.open('NAME', os.O_CREAT | os.O_RDONLY)", "EACCES"),
    ("os.open('NAME', os.O_CREAT | os.O_EXCL | os.O_WRONLY)", "EACCES"),
    ("os.open('NAME', os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY)", "EACCES"),
    ("os.open('NAME', os.O_CREAT | os.O_RDWR | os.O_APPEND)", "EACCES"),
    ("os.close(call(85, b'NAME', 0o600))", "EACCES"),
    ("os.close(call(2, b'NAME', os.O_CREAT | os.O_WRONLY, 0o600))", "EACCES"),
    ("call(83, b'NAME', 0o700)", "EACCES"),
    ("call(83, b'NAME/', 0o700)", "EACCES"),
    ("call(83, b'.//./NAME///', 0o700)", "EACCES"),
    ("os.mkdir('sub/../NAME')", "EACCES"),
    ("os.mkdir('up/NAME')", "EACCES"),
    ("os.mkdir('up/sub/../up/up/NAME')", "EACCES"),
    ("put('sub/back/NAME')", "EACCES"),
    ("os.mkdir(os.environ['W'] + '/NAME')", "EACCES"),
    ("os.mkdir('//' + os.environ['W'] + '//NAME')", "EACCES"),
    ("os.mkdir('/proc/self/cwd/NAME')", "EACCES"),
    ("os.mkdir('/proc/self/root' + os.environ['W'] + '/NAME')", "EACCES"),
    ("os.mkdir('/proc/%d/cwd/NAME' % os.getpid())", "EACCES"),
    ("put('/proc/self/fd/%d/NAME' % os.open('.', os.O_PATH))", "EACCES"),
    ("put('/dev/fd/%d/NAME' % os.open('.', os.O_RDONLY))", "EACCES"),
    ("os.mkdir('NAME', dir_fd=os.open('.', os.O_PATH))", "EACCES"),
    ("os.mkdir('../NAME', dir_fd=os.open('sub', os.O_PATH))", "EACCES"),
    ("os.chdir('sub'); os.mkdir('../NAME')", "EACCES"),
    ("os.chdir('sub'); put('../NAME')", "EACCES"),
    ("os.chdir('up'); socket.socket(socket.AF_UNIX).bind('./NAME')", "EACCES"),
    ("socket.socket(socket.AF_UNIX).bind(os.environ['W'] + '/NAME')", "EACCES"),
    ("os.rename('f', 'NAME', src_dir_fd=os.open('.', 0), dst_dir_fd=os.open('.', 0))", "EACCES"),
    ("call(316, -100, b'f', -100, b'NAME', 1)", "EACCES"),
    ("call(82, b'd', b'NAME/')", "EACCES EXDEV"),
    ("call(82, b'l', b'NAME')", "EACCES"),
    ("os.symlink('NAME', 'new'); put('new')", "EACCES"),
    ("os.symlink('up/NAME', 'new2'); put('new2')", "EACCES"),
    ("os.link('l', 'NAME', follow_symlinks=False)", "EACCES"),
    ("follow('l', 'NAME')", "EACCES"),
    (
        "fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); follow('/proc/self/fd/%d' % fd, 'NAME')",
        "EACCES",
    ),
    ("fd = os.open('f', os.O_RDONLY); follow('/proc/self/fd/%d' % fd, 'NAME')", "EACCES"),
    (
        "fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600); call(265, fd, b'', -100, b'NAME', 0x1000)",
        "EACCES ENOENT",
    ),
    ("threading.Thread(target=os.mkdir, args=('NAME',)).run()", "EACCES"),
];

fn project() -> Place {
    let place = Place::new();
    for name in ["f", "d/settings.json", "d/sub/x", "sub/x", ".git/HEAD"] {
        place.write(&format!("home/src/app/{name}"), "text");
    }
    for (to, name) in [(".", "up"), ("f", "l"), ("..", "sub/back")] {
        std::os::unix::fs::symlink(to, place.work.join(name)).unwrap();
    }
    place
}

#[test]
fn no_built_in_name_is_made() {
    let ways = |name: &str| {
        WAYS.iter().map(|(act, with)| (act.replace("NAME", name), *with)).collect::<Vec<_>>()
    };
    let acts: Vec<_> = BUILT_IN.iter().flat_map(|name| ways(name)).collect();
    denied(&project(), &[], &acts);
}

#[test]
fn no_way_leads_to_a_name_that_is_not_there() {
    for name in [".claude", ".mcp.json", ".git/hooks"] {
        // Those that leave something beside the name are not denied before they do.
        let place = project();
        let acts: Vec<_> = MORE_WAYS
            .iter()
            .filter(|(act, _)| !act.contains("'new"))
            .map(|(act, with)| (act.replace("NAME", name), *with))
            .collect();
        denied(&place, &[], &acts);
        let mut inside = Session::inside(&place, &[]);
        for (act, with) in MORE_WAYS.iter().filter(|(act, _)| act.contains("'new")) {
            inside.fails(&act.replace("NAME", name), with);
        }
        assert!(fs::symlink_metadata(place.work.join(name)).is_err(), "{name}");
    }
}

#[test]
fn a_persons_absent_names_and_patterns_are_not_made() {
    let place = project();
    let options = policy(&place, "protect = [\"conf/Makefile\", \"**/*.lock\", \"sub/*/deny?\"]");
    let options = options.each_ref().map(String::as_str);
    let ways = |name: &str| {
        let here = WAYS.iter().filter(|(act, _)| !act.contains("'d'") && !act.contains("makedirs"));
        here.map(|(act, with)| (act.replace("NAME", name), *with)).collect::<Vec<_>>()
    };
    fs::create_dir_all(place.work.join("conf")).unwrap();
    fs::create_dir_all(place.work.join("sub/one")).unwrap();
    let names = ["conf/Makefile", "a.lock", "d/sub/b.lock", ".lock", "sub/one/deny1"];
    let acts: Vec<_> = names.iter().flat_map(|name| ways(name)).collect();
    denied(&place, &options, &acts);
    allowed(
        &place,
        &options,
        &[
            "put('conf/makefiles'); put('a.locks'); put('alock'); put('sub/deny1'); put('sub/one/deny'); put('sub/one/deny12')",
            "os.mkdir('later'); os.mkdir('later/x'); put('later/x/file')",
        ],
    );
}

/// The nearest legal acts, beside each name.
#[test]
fn neighbours_are_made() {
    let place = project();
    let mut acts = Vec::new();
    for name in BUILT_IN.iter().filter(|name| !name.starts_with(".git/")) {
        for other in [format!("{name}-x"), format!("x{name}"), format!("sub/{name}")] {
            if !other.starts_with(".cofferdam") {
                acts.push(format!(
                    "put('{other}'); os.unlink('{other}'); os.mkdir('{other}'); os.rmdir('{other}')"
                ));
            }
        }
    }
    acts.push(
        "put('.git/index'); os.mkdir('.git/objects'); os.rename('.git/index', '.git/i2')".into(),
    );
    acts.push("put('.gitignore'); put('.gitattributes'); os.mkdir('.github')".into());
    acts.push("done = subprocess.run(['mv', 'd', 'e']); assert done.returncode == 0 and get('e/sub/x') == 'text'".into());
    let acts: Vec<&str> = acts.iter().map(String::as_str).collect();
    allowed(&place, &[], &acts);
}
