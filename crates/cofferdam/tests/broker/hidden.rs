//! F11, F43, F56: what is hidden is not there: by any name, in any call, whenever it was made.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Place;
use crate::trial::{Session, allowed, policy, twin};

/// Looks and opens of `NAME`, which all say that it is not there.
pub(crate) const LOOKS: &[&str] = &[
    "get('NAME')",
    "os.open('NAME', os.O_RDONLY)",
    "os.open('NAME', os.O_RDONLY | os.O_NOFOLLOW)",
    "os.open('NAME', os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)",
    "os.open('NAME', os.O_RDWR)",
    "os.open('NAME', os.O_WRONLY | os.O_APPEND)",
    "os.close(call(2, b'NAME', 0))",
    "os.stat('NAME')",
    "os.lstat('NAME')",
    "call(4, b'NAME', ctypes.create_string_buffer(200))",
    "call(6, b'NAME', ctypes.create_string_buffer(200))",
    "call(262, -100, b'NAME', ctypes.create_string_buffer(200), 0)",
    "call(332, -100, b'NAME', 0, 0xfff, ctypes.create_string_buffer(300))",
    "call(332, -100, b'NAME', 0x100, 0xfff, ctypes.create_string_buffer(300))",
    "call(21, b'NAME', 0)",
    "call(269, -100, b'NAME', 4)",
    "call(439, -100, b'NAME', 4, 0x200)",
    "os.chdir('sub'); get('../NAME')",
    "get('./sub/..//NAME')",
    "get(os.environ['W'] + '/NAME')",
    "get('/proc/self/cwd/NAME')",
    "get('/proc/self/root' + os.environ['W'] + '/NAME')",
    "get('up/up/NAME')",
    "get('/proc/self/fd/%d/NAME' % os.open('.', os.O_PATH))",
    "get('/dev/fd/%d/NAME' % os.open('.', os.O_RDONLY))",
    "os.stat('NAME', dir_fd=os.open('.', os.O_PATH))",
    "os.open('NAME', os.O_RDONLY, dir_fd=os.open('.', os.O_PATH))",
    "os.open('../NAME', os.O_RDONLY, dir_fd=os.open('sub', os.O_PATH))",
    "get('/proc/self/fd/%d' % os.open('NAME', os.O_PATH))",
    "os.open('/proc/self/fd/%d' % os.open('NAME', os.O_PATH), os.O_RDWR)",
];

/// What would move it, name it again or take it.
const MOVES: &[&str] = &[
    "os.link('NAME', 'second')",
    "follow('/proc/self/fd/%d' % os.open('NAME', os.O_PATH), 'second')",
    "os.rename('NAME', 'moved')",
    "call(316, -100, b'NAME', -100, b'f', 2)",
    "call(316, -100, b'f', -100, b'NAME', 2)",
    "os.rename('f', 'NAME')",
    "os.unlink('NAME')",
    "os.truncate('NAME', 0)",
    "os.chmod('NAME', 0o777)",
    "os.setxattr('NAME', 'user.x', b'1')",
    "put('NAME')",
];

/// What must not tell one that is there from one that is not.
const MAKES: &[&str] = &[
    "put('NAME')",
    "os.open('NAME', os.O_CREAT | os.O_EXCL | os.O_WRONLY)",
    "os.mkdir('NAME')",
    "os.symlink('f', 'NAME')",
    "os.link('f', 'NAME')",
    "os.rename('f', 'NAME')",
    "os.mkfifo('NAME')",
    "socket.socket(socket.AF_UNIX).bind('NAME')",
    "os.unlink('NAME')",
    "os.rmdir('NAME')",
    "os.stat('NAME')",
    "os.readlink('NAME')",
];

pub(crate) const POLICY: &str = "hide = [\"**/.env\", \"**/*.pem\", \"conf/keys\"]";

pub(crate) fn project() -> Place {
    let place = Place::new();
    for (name, text) in [
        ("f", "text"),
        (".env", "SECRET"),
        ("a/b/.env", "SECRET"),
        ("a/key.pem", "SECRET"),
        ("conf/keys/private", "SECRET"),
        ("conf/keys/deep/er", "SECRET"),
        ("conf/open", "text"),
        ("sub/x", "text"),
    ] {
        place.write(&format!("home/src/app/{name}"), text);
    }
    symlink(".", place.work.join("up")).unwrap();
    symlink("a/b/.env", place.work.join("link")).unwrap();
    symlink("conf/keys", place.work.join("keys")).unwrap();
    place
}

/// Each act works on a copy without a wall, and says one of `with` inside.
#[track_caller]
fn not_there(place: &Place, acts: &[(String, &str)]) {
    let options = policy(place, POLICY);
    let options = options.each_ref().map(String::as_str);
    let mut outside = Session::outside(place, &place.work);
    let mut faults = Vec::new();
    let mut inside = Session::inside(place, &options);
    for (act, with) in acts {
        let quoted = serde_json::to_string(act).unwrap();
        let there = serde_json::to_string(&twin(place)).unwrap();
        let control = outside.act(&format!("said = apart({quoted}, {there})"));
        assert_eq!(control, "ok", "{act}: the control");
        let said = inside.act(&format!("said = apart({quoted})"));
        if !with.split(' ').any(|one| one == said) {
            faults.push(format!("{act}: {said}, not {with}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), acts.len(), faults.join("\n"));
    inside.end().works("to its end");
}

#[test]
fn what_is_hidden_is_not_there() {
    let place = project();
    // What would make or move it must not tell that it is there; the errno is another's then.
    let of = |acts: &[&str], name: &str, with: &'static str| {
        let here = acts.iter().map(|act| (act.replace("NAME", name), with));
        here.collect::<Vec<_>>()
    };
    let mut acts = of(LOOKS, "a/b/.env", "ENOENT");
    for name in [".env", "a/key.pem", "conf/keys/private", "conf/keys/deep/er", "keys/private"] {
        acts.extend(of(&LOOKS[..8], name, "ENOENT"));
        acts.extend(of(&LOOKS[26..28], name, "ENOENT"));
    }
    for name in ["a/b/.env", "a/key.pem", "conf/keys/private"] {
        acts.extend(of(MOVES, name, "ENOENT EACCES"));
    }
    acts.extend(of(&["get('link')", "os.stat('link')", "os.listdir('keys')"], "", "ENOENT"));
    acts.extend(of(&["os.listdir('conf/keys')", "os.stat('conf/keys')"], "", "ENOENT"));
    let moves = ["os.chdir('conf/keys'); get('private')", "os.rename('conf/keys', 'moved')"];
    acts.extend(of(&moves, "", "ENOENT EACCES"));
    not_there(&place, &acts);
    let texts = place.outside("cat .env a/b/.env a/key.pem conf/keys/private").works("").out;
    assert_eq!(texts, "SECRETSECRETSECRETSECRET", "nothing has changed");
}

/// Beside them, everything is as it was.
#[test]
fn what_is_not_hidden_is_there() {
    let place = project();
    let options = policy(&place, POLICY);
    let options = options.each_ref().map(String::as_str);
    allowed(
        &place,
        &options,
        &[
            "assert get('f') == 'text' and get('conf/open') == 'text' and get('up/sub/x') == 'text'",
            "assert os.stat('f').st_size == 4 and os.readlink('link') == 'a/b/.env' and os.access('f', os.R_OK)",
            "put('.envrc2'); put('a/env'); put('a/pem'); put('key.pem2'); os.link('f', 'g'); os.rename('g', 'h')",
            "assert os.fstat(os.open('f', os.O_PATH)).st_size == 4",
            "fd = os.open('f', os.O_PATH); assert os.read(os.open('/proc/self/fd/%d' % fd, os.O_RDONLY), 9) == b'text'",
            "fd = os.open('f', os.O_RDONLY); os.unlink('f'); assert os.read(os.open('/proc/self/fd/%d' % fd, os.O_RDONLY), 9) == b'text'",
            "assert subprocess.run(['sh', '-c', 'ls -la . a conf >/dev/null 2>&1; cat sub/x | grep -q text && python3 -c 1']).returncode == 0",
            "m = os.memfd_create('m'); os.write(m, b'1'); assert os.pread(os.open('/proc/self/fd/%d' % m, os.O_RDONLY), 9, 0) == b'1'",
            "assert os.stat('/proc/self/exe').st_size > 0 and os.readlink('/proc/self/cwd') == os.environ['W'] and get('/proc/self/status')",
            "assert os.path.exists('/usr/bin/python3') and os.listdir('/usr') and os.stat('/dev/null')",
        ],
    );
}

/// Made later, by the host or inside.
#[test]
fn what_is_made_later_is_not_there_either() {
    let place = project();
    let options = policy(&place, POLICY);
    let options = options.each_ref().map(String::as_str);
    let mut inside = Session::inside(&place, &options);
    inside.ok("os.mkdir('new'); os.mkdir('new/deep')");
    place
        .outside(
            "echo SECRET > new/deep/.env && echo SECRET > new/deep/x.pem && echo t > new/deep/t",
        )
        .works("the host");
    for name in ["new/deep/.env", "new/deep/x.pem"] {
        for act in LOOKS.iter().filter(|act| !act.contains("O_PATH), ")) {
            let act = serde_json::to_string(&act.replace("NAME", name)).unwrap();
            inside.fails(&format!("said = apart({act})"), "ENOENT");
        }
    }
    inside.ok("assert get('new/deep/t') == 't\\n'");
    // Held open from before, as a directory.
    inside.ok("held = os.open('new/deep', os.O_RDONLY); os.chdir('new/deep')");
    inside.fails("os.open('.env', os.O_RDONLY, dir_fd=held)", "ENOENT");
    inside.fails("get('.env')", "ENOENT");
    inside.ok("os.chdir(os.environ['W'])");
    // The host renames, replaces and links.
    place.outside("mv new/deep/.env new/deep/plain").works("");
    inside.ok("assert get('new/deep/plain') == 'SECRET\\n', 'by another name it is another thing'");
    place
        .outside("mv new/deep/plain new/.env; echo SECRET2 > t && mv t .env; ln .env a/b.pem")
        .works("");
    for name in ["new/.env", ".env", "a/b.pem"] {
        inside.fails(&format!("get('{name}')"), "ENOENT");
        inside.fails(&format!("os.stat('{name}')"), "ENOENT");
    }
    // Concrete: the mount falls, the name stays closed.
    place
        .outside("mv conf/keys k && mkdir conf/keys && echo SECRET3 > conf/keys/private")
        .works("");
    inside.fails("get('conf/keys/private')", "ENOENT EACCES");
    place.outside("mv conf c2 && mkdir -p conf/keys && echo SECRET4 > conf/keys/private").works("");
    inside.fails("get('conf/keys/private')", "ENOENT EACCES");
    // Inside, one cannot be made.
    for act in [
        "put('sub/.env')",
        "put('sub/n.pem')",
        "os.rename('f', 'sub/.env')",
        "os.link('f', 'sub/n.pem')",
        "os.mkdir('sub/.env')",
        "os.symlink('f', 'sub/.env')",
    ] {
        inside.fails(act, "ENOENT EACCES");
    }
    inside.end().works("the workload goes on");
    assert!(fs::symlink_metadata(place.work.join("sub/.env")).is_err());
}

/// F43: one that is there and one that is not answer the same.
#[test]
fn nothing_tells_whether_it_is_there() {
    let place = project();
    let options = policy(&place, POLICY);
    let options = options.each_ref().map(String::as_str);
    let mut inside = Session::inside(&place, &options);
    for (there, not) in [("a/b/.env", "sub/.env"), ("a/key.pem", "a/none.pem")] {
        for act in MAKES {
            let quoted = |name: &str| serde_json::to_string(&act.replace("NAME", name)).unwrap();
            let one = inside.act(&format!("said = apart({})", quoted(there)));
            let other = inside.act(&format!("said = apart({})", quoted(not)));
            assert_eq!(one, other, "{act}");
            assert_ne!(one, "ok", "{act}");
        }
    }
}

/// F56: no move of a directory carries it to another name.
#[test]
fn directories_do_not_carry_it_away() {
    let place = project();
    let options = policy(&place, POLICY);
    let options = options.each_ref().map(String::as_str);
    let mut inside = Session::inside(&place, &options);
    for act in ["os.rename('conf', 'z')", "call(316, -100, b'conf', -100, b'sub', 2)"] {
        inside.fails(act, "EXDEV EACCES EBUSY ENOENT");
    }
    // A name that is hidden everywhere may go anywhere.
    inside.ok("os.rename('a', 'z'); os.rename('z/b', 'y')");
    for act in
        ["get('z/key.pem')", "get('y/.env')", "os.stat('y/.env')", "os.rename('y/.env', 'x')"]
    {
        inside.fails(act, "ENOENT");
    }
    inside.ok(
        "assert subprocess.run(['mv', 'sub', 'sub2']).returncode == 0 and get('sub2/x') == 'text'",
    );
    let said = inside.act("said = subprocess.run('mv y w; cat w/.env z/key.pem; cp -r w v; cat v/.env; tar cf - . | tar xf - -O; grep -r SECRET .', shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()");
    assert!(!said.contains("SECRET"), "{said}");
    place.outside("grep -rq SECRET z w").works("the control");
}

/// F11: what the language does not take is an error, and not a name that hides nothing.
#[test]
fn patterns_that_are_not_taken_are_refused() {
    let place = project();
    for pattern in ["**/[.]env", "**/{a,b}.pem", "a**", "**b/x", "/**/../x", ""] {
        let options = policy(&place, &format!("hide = [\"{pattern}\"]"));
        let ran = place.inside_with(&options.each_ref().map(String::as_str), "true");
        assert_eq!(ran.status, Some(125), "{pattern:?}: {ran:?}");
        assert!(ran.err.contains("policy.toml"), "{pattern:?}: names the place: {ran:?}");
    }
    for pattern in ["**/.env", "*.pem", "a/*/x?", "**", "a/**/b"] {
        let options = policy(&place, &format!("hide = [\"{pattern}\"]"));
        let ran = place.inside_with(&options.each_ref().map(String::as_str), "true");
        if pattern != "**" {
            ran.works(pattern);
        }
    }
}
