//! A call that another performs is still the caller's: done once, with its umask, in its directory,
//! and over when it is over.

use crate::support::Place;
use crate::trial::{Session, same, twin};

/// Whoever still holds a file open for writing keeps everybody from running it (`ETXTBSY`).
#[test]
fn what_was_written_and_closed_can_be_run() {
    let place = Place::new();
    let rounds = "busy, text = 0, open('/usr/bin/true', 'rb').read()\n\
                  for n in range(300):\n    \
                  fd = os.open('true-%d' % n, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)\n    \
                  os.write(fd, text); os.close(fd)\n    \
                  try: os.waitpid(os.posix_spawn('./true-%d' % n, ['true'], {}), 0)\n    \
                  except OSError as e: busy += e.errno == errno.ETXTBSY\n    \
                  os.unlink('true-%d' % n)\nsaid = busy";
    assert_eq!(same(&place, &[], &[rounds]), ["0"]);
    let held = "fd = os.open('t', os.O_WRONLY | os.O_CREAT, 0o755); os.write(fd, text)\n\
                os.posix_spawn('./t', ['true'], {})";
    assert_eq!(
        same(&place, &[], &[rounds, held])[1],
        "ETXTBSY",
        "while it is open, nobody runs it"
    );
}

/// Locks end and readers hear the end when the last descriptor is closed.
#[test]
fn what_is_closed_is_closed() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "for n in range(200):\n    \
             fd = os.open('lock', os.O_RDWR | os.O_CREAT, 0o600); fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB); os.close(fd)",
            "os.mkfifo('f'); r = os.open('f', os.O_RDONLY | os.O_NONBLOCK)\n\
             for n in range(200):\n    \
             os.close(os.open('f', os.O_WRONLY | os.O_CREAT, 0o600)); assert os.read(r, 1) == b''",
            "a = os.open('lock', os.O_RDWR | os.O_CREAT, 0o600); fcntl.flock(a, fcntl.LOCK_EX)\n\
             b = os.open('lock', os.O_RDWR | os.O_CREAT, 0o600); fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        ],
    );
    assert_eq!(said, ["ok", "ok", "EAGAIN"]);
}

/// A signal that interrupts a call restarts it: who has done it already does it twice.
#[test]
fn an_interrupted_call_is_done_once() {
    let place = Place::new();
    let timer = "signal.signal(signal.SIGALRM, lambda *_: None); signal.siginterrupt(signal.SIGALRM, False)\n\
                 beats = 0\n\
                 def start(): signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)\n\
                 def stop(): signal.setitimer(signal.ITIMER_REAL, 0)";
    let rounds = |act: &str| {
        format!(
            "twice = 0\nstart()\n\
             for n in range(1500):\n    \
             try: {act}\n    \
             except (FileExistsError, FileNotFoundError): twice += 1\n\
             stop(); said = twice"
        )
    };
    let said = same(
        &place,
        &[],
        &[
            timer,
            &rounds("call(83, b'd%d' % n, 0o700)"),
            &rounds("call(84, b'd%d' % n)"),
            &rounds("os.close(call(2, b'f%d' % n, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))"),
            &rounds("call(316, -100, b'f%d' % n, -100, b'g%d' % n, 1)"),
            &rounds("call(86, b'g%d' % n, b'h%d' % n)"),
            &rounds("call(87, b'g%d' % n)"),
        ],
    );
    assert_eq!(said, ["ok", "0", "0", "0", "0", "0", "0"]);
}

/// What each of the calls makes, and its mode.
const MAKES: &str = "
def makes(top):
    def mode(name): return '%o' % os.lstat(top + '/' + name).st_mode
    def at(name): return (top + '/' + name).encode()
    os.makedirs(top, exist_ok=True)
    modes = []
    for n, asked in enumerate((0o777, 0o666, 0o600, 0o755, 0o1777, 0)):
        os.close(call(2, at('f%d' % n), os.O_CREAT | os.O_WRONLY, asked)); modes.append(mode('f%d' % n))
        os.close(call(85, at('c%d' % n), asked)); modes.append(mode('c%d' % n))
        call(83, at('d%d' % n), asked or 0o700); modes.append(mode('d%d' % n))
        call(133, at('p%d' % n), 0o010000 | asked, 0); modes.append(mode('p%d' % n))
        call(259, -100, at('r%d' % n), 0o100000 | asked, 0); modes.append(mode('r%d' % n))
    s = socket.socket(socket.AF_UNIX); s.bind(top + '/s'); modes.append(mode('s'))
    os.symlink('x', top + '/l'); modes.append(mode('l'))
    t = os.open(top, os.O_TMPFILE | os.O_WRONLY, 0o777); modes.append('%o' % os.fstat(t).st_mode)
    return ' '.join(modes)
";

#[test]
fn modes_are_cut_by_the_callers_umask() {
    let place = Place::new();
    let masks = ["0", "0o022", "0o077", "0o027", "0o026"];
    let acts = masks.map(|mask| {
        format!("os.umask({mask}); got = makes('m{mask}'); os.umask(0o022); said = got")
    });
    let mut all = vec![MAKES];
    all.extend(acts.iter().map(String::as_str));
    let said = same(&place, &[], &all);
    assert!(said[1].contains("100777") && said[3].contains("100700 "), "{said:?}");
    // Callers with masks of their own at the same time.
    let at_once = "
pids = []
for n in range(8):
    pid = os.fork()
    if pid == 0:
        mask = 0o007 * (n % 2) + 0o070 * (n // 2 % 2) + 0o100 * (n // 4)
        os.umask(mask)
        for k in range(100):
            os.close(os.open('u%d-%d' % (n, k), os.O_CREAT | os.O_WRONLY, 0o777))
            if os.stat('u%d-%d' % (n, k)).st_mode & 0o777 != 0o777 & ~mask: os._exit(1)
        os._exit(0)
    pids.append(pid)
said = [os.waitpid(pid, 0)[1] for pid in pids]";
    assert_eq!(same(&Place::new(), &[], &[at_once]), ["[0, 0, 0, 0, 0, 0, 0, 0]"]);
}

/// With a default ACL the kernel cuts by the ACL, and not by the umask.
#[test]
fn modes_are_cut_by_a_default_acl() {
    let place = Place::new();
    std::fs::create_dir(place.work.join("acl")).unwrap();
    let set = "def entry(tag, perm, who=0xffffffff): return struct.pack('<HHI', tag, perm, who)\n\
               text = struct.pack('<I', 2) + entry(1, 7) + entry(2, 6, 4242) + entry(4, 5) + entry(0x10, 7) + entry(0x20, 4)\n\
               os.setxattr('acl', 'system.posix_acl_default', text)";
    let said = Session::outside(&place, &place.work).act(set);
    if said == "EOPNOTSUPP" {
        println!("not run: modes_are_cut_by_a_default_acl: no ACLs on this file system");
        return;
    }
    assert_eq!(said, "ok", "a default ACL");
    // `cp -a` takes them along.
    assert_eq!(
        Session::outside(&place, &twin(&place))
            .act("said = len(os.getxattr('acl', 'system.posix_acl_default'))"),
        "44",
        "the copy has it too"
    );
    let said = same(
        &place,
        &[],
        &[
            MAKES,
            "os.umask(0o077); got = makes('acl'); os.umask(0o022); said = got",
            "os.mkdir('plain'); os.umask(0o077); got = makes('plain'); os.umask(0o022); said = got",
        ],
    );
    assert_ne!(said[1], said[2], "the ACL bears on the modes");
}

/// The caller's own directory, root of its names, and limits.
#[test]
fn each_caller_has_its_own_directory() {
    let place = Place::new();
    std::fs::create_dir_all(place.work.join("a/b")).unwrap();
    same(
        &place,
        &[],
        &[
            "os.chdir('a/b'); os.mkdir('../../c'); put('../../c/f'); said = os.path.exists(os.environ['W'] + '/c/f')",
            "put('x'); os.mkdir('../y'); os.rename('x', '../y/x'); os.symlink('y/x', '../l'); said = get('../l')",
            "os.chdir(os.environ['W']); said = sorted(os.listdir('a')), sorted(os.listdir('a/y'))",
            "fd = os.open('a', os.O_PATH); os.mkdir('at', dir_fd=fd); os.rename('at', '../up', src_dir_fd=fd, dst_dir_fd=fd); said = os.path.isdir('up')",
            "os.rename('a', 'moved'); os.mkdir('after', dir_fd=fd); said = os.listdir('moved')",
            "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); put('x')",
            "os.mkdir('../gone')",
            "os.chdir(os.environ['W']); os.mkdir('x', dir_fd=os.open('moved/y/x', os.O_RDONLY))",
            "os.mkdir('x', dir_fd=999)",
            "call(258, -100, b'', 0o700)",
            "os.mkdir('no/where')",
            "put('l/..')",
            "os.symlink('loop', 'loop'); put('loop')",
            "os.open('moved/l', os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW)",
            "os.symlink('dangles', 'd1'); put('d1'); said = os.path.exists('dangles')",
            "os.symlink('dangles2', 'd2'); os.open('d2', os.O_CREAT | os.O_EXCL | os.O_WRONLY)",
            "os.rename('moved', 'moved/y/inner')",
            "os.mkdir('e1/')",
            "put('e2/')",
            "os.symlink('x', 'e3/')",
            "os.rename('dangles', 'e4/')",
            "os.unlink('e1')",
            "os.rmdir('dangles')",
            "os.rmdir('.')",
            "os.rename('.', 'dot')",
            "os.unlink('..')",
        ],
    );
}
