//! Descriptors and links of procfs lead nowhere that a name does not lead.

use crate::hidden::{POLICY, project};
use crate::trial::{Session, policy};

/// Each leads to `a/b/.env` without naming it where it is opened.
const WAYS: &[&str] = &[
    "fd = os.open('a/b/.env', os.O_PATH); said = os.read(os.open('/proc/self/fd/%d' % fd, os.O_RDONLY), 9)",
    "fd = os.open('a/b/.env', os.O_PATH); said = os.read(os.open('/proc/thread-self/fd/%d' % fd, os.O_RDONLY), 9)",
    "fd = os.open('a/b/.env', os.O_PATH); said = os.read(os.open('/proc/%d/fd/%d' % (os.getpid(), fd), os.O_RDONLY), 9)",
    "fd = os.open('a/b/.env', os.O_PATH); said = os.read(os.open('/dev/fd/%d' % fd, os.O_RDONLY), 9)",
    "fd = os.open('a/b/.env', os.O_PATH); os.symlink('/proc/self/fd/%d' % fd, 's1'); said = get('s1')",
    "fd = os.open('a/b/.env', os.O_PATH); os.chdir('/proc/self/fd'); said = get('%d' % fd)",
    "fd = os.open('a/b/.env', os.O_PATH); follow('/proc/self/fd/%d' % fd, 'l1'); said = get('l1')",
    "fd = os.open('a/b/.env', os.O_PATH); call(265, fd, b'', -100, b'l2', 0x1000); said = get('l2')",
    "fd = os.open('a/b/.env', os.O_PATH | os.O_NOFOLLOW); said = os.read(os.open('/proc/self/fd/%d' % fd, 0), 9)",
    "fd = os.open('a/b', os.O_PATH); said = os.read(os.open('.env', os.O_RDONLY, dir_fd=fd), 9)",
    "os.chdir('a/b'); said = get('.env')",
    "os.symlink('.env', 'a/b/s2'); said = get('a/b/s2')",
    "os.symlink('a/b/.env', 's3'); said = get('s3')",
    "os.symlink('a', 's4'); said = get('s4/b/.env')",
    "os.symlink(os.environ['W'] + '/a', 's5'); os.symlink('s5/b', 's6'); said = get('s6/.env')",
    "os.symlink('/proc/self/cwd/a', 's7'); said = get('s7/b/.env')",
    "said = open('a/b/.env', opener=lambda p, f: os.open(p, f | os.O_NOATIME)).read()",
    "pid = os.fork()\nif pid == 0:\n    os.chdir('a/b'); time.sleep(2); os._exit(0)\ntime.sleep(0.1)\n\
     try: said = get('/proc/%d/cwd/.env' % pid)\nfinally: os.kill(pid, 9); os.waitpid(pid, 0)",
    "fd = os.open('a/b/.env', os.O_PATH); pid = os.fork()\nif pid == 0:\n    time.sleep(2); os._exit(0)\n\
     try: said = get('/proc/%d/fd/%d' % (pid, fd))\nfinally: os.kill(pid, 9); os.waitpid(pid, 0)",
    "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [os.open('a/b/.env', os.O_PATH)])\n\
     fd = socket.recv_fds(b, 1, 1)[1][0]; said = get('/proc/self/fd/%d' % fd)",
    "done = subprocess.run(['cat', 'a/b/.env'], stdout=subprocess.PIPE); said = done.stdout.decode()",
    "fd = os.open('a/b/.env', os.O_PATH); done = subprocess.run(['cat', '/dev/fd/%d' % fd], pass_fds=[fd], stdout=subprocess.PIPE); said = done.stdout.decode()",
    "os.rename('a/b', 'moved'); said = get('moved/.env')",
    "b = ctypes.create_string_buffer(24); b[0] = 8; call(437, -100, b'a/b/.env', b, 24); said = 'SECRET'",
];

#[test]
fn no_descriptor_leads_to_what_is_hidden() {
    let place = project();
    let options = policy(&place, POLICY);
    let options = options.each_ref().map(String::as_str);
    let mut outside = Session::outside(&place, &place.work);
    let mut inside = Session::inside(&place, &options);
    let mut faults = Vec::new();
    let first = crate::trial::twin(&place);
    for act in WAYS {
        let quoted = serde_json::to_string(act).unwrap();
        let there = serde_json::to_string(&crate::trial::copy_of(&place, &first)).unwrap();
        let control = outside.act(&format!("said = apart({quoted}, {there})"));
        // Some need privilege or another layout of the structure; the rest read it.
        let weak = act.contains("0x1000") || act.contains("call(437");
        assert!(control.contains("SECRET") || weak, "{act}: the control: {control}");
        let said = inside.act(&format!("said = apart({quoted})"));
        if said.contains("SECRET") || said == "ok" || said.starts_with("b'") {
            faults.push(format!("{act}: {said}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), WAYS.len(), faults.join("\n"));
    inside.end().works("to its end");
}

/// The host deletes or replaces what is hidden while somebody holds it without having read it.
#[test]
fn what_was_hidden_stays_so_when_its_name_goes() {
    let place = project();
    let options = policy(&place, "hide = [\"**/.env\", \"**/*.pem\"]\nmask = [\"f\"]");
    let mut inside = Session::inside(&place, &options.each_ref().map(String::as_str));
    for (name, host) in [
        ("a/b/.env", "echo new > t && mv t a/b/.env"),
        ("a/key.pem", "rm a/key.pem"),
        (".env", "ln .env kept.pem && rm .env"),
        ("f", "echo new > t && mv t f"),
    ] {
        place.outside(&format!("echo SECRET > {name}")).works("");
        inside.ok(&format!("fd = os.open('{name}', os.O_PATH)"));
        place.outside(host).works(host);
        for way in
            ["/proc/self/fd/%d' % fd", "/dev/fd/%d' % fd", "/proc/%d/fd/%d' % (os.getpid(), fd)"]
        {
            let said = inside.act(&format!("said = get('{way})"));
            assert!(!said.contains("SECRET"), "{name}, {host}, {way}: {said}");
        }
    }
    let mut outside = Session::outside(&place, &place.work);
    place.outside("echo SECRET > g").works("");
    outside.ok("fd = os.open('g', os.O_PATH)");
    place.outside("rm g").works("");
    assert_eq!(outside.act("said = get('/proc/self/fd/%d' % fd)"), "SECRET\n", "the control");
}
