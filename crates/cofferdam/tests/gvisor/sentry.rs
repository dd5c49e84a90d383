//! A sentry that was taken over: a program in the place of `runsc` that answers the trial as one, and in the
//! run starts the workload's command without any kernel of its own. All that the jail leaves to `runsc` is
//! the command's then: namespaces, mounts, roots.
//!
//! Each act first works outside.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Place, Ran, finish, is_root, python};
use crate::{READ, TENANT, place, run};

const SOURCE: &str = r##"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    static char name[6][65] = {"Linux", "cofferdam-trial", "4.4.0", "#1", "x86_64", "(none)"};
    if (!strcmp(words[1], "--version")) return puts("runsc version 0.0~20240101.0") < 0;
    if (!strcmp(words[1], "flags")) return puts("  -directfs\n  -overlay2 value\n  -host-uds value") < 0;
    if (!strcmp(words[count - 1], "cofferdam-trial"))
        return write(1, name, sizeof name) == sizeof name ? 42 : 1;
    execl("/usr/bin/python3", "python3", "-c",
        "import json, os\n"
        "process = json.load(open('/.cofferdam/gvisor/bundle/config.json'))['process']\n"
        "environment = dict(one.split('=', 1) for one in process['env'])\n"
        "os.execvpe(process['args'][0], process['args'], environment)\n", (char *) 0);
    return 9;
}
"##;

/// `spaces()` makes the caller root of namespaces of its own, as `runsc` does; `tries(name, act)` tells an
/// act that worked, as `DONE name`.
const PRELUDE: &str = "
import signal, socket, stat, subprocess, time
def spaces(more=0):
    sys.stdout.flush()
    uid, gid = os.getuid(), os.getgid()
    a, b = os.pipe(); c, d = os.pipe()
    # clone(CLONE_NEWUSER | CLONE_NEWNS): the child goes on, and this one passes its end on.
    pid = call(56, 0x10000000 | 0x20000 | more | 17, 0, 0, 0, 0)
    if pid:
        for name, text in (('setgroups', 'deny'), ('uid_map', f'0 {uid} 1'), ('gid_map', f'0 {gid} 1')):
            open(f'/proc/{pid}/{name}', 'w').write(text)
        os.write(b, b'x')
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
    os.read(a, 1)
    assert os.getuid() == 0
def mount(source, at, kind=None, flags=0, words=None):
    raw = lambda text: None if text is None else text.encode()
    call(165, raw(source) or ctypes.c_char_p(), raw(at), raw(kind) or ctypes.c_char_p(), flags, raw(words) or ctypes.c_char_p())
def tries(name, act):
    try: act()
    except (OSError, EOFError, AssertionError, UnicodeError) as e: print('failed', name, e)
    else: print('DONE', name)
    sys.stdout.flush()
def writes(path, text='x'):
    with open(path, 'w') as f: f.write(text)
def reads(path):
    with open(path, 'rb') as f: f.read(1)
def shadow():
    assert open('/etc/shadow').read().startswith('root:')
def connects(family, address, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind); s.settimeout(3); s.connect(address)
";

struct Sentry {
    place: Place,
    program: PathBuf,
}

impl Sentry {
    fn new() -> Option<Self> {
        let place = place();
        let source = place.write("out/sentry.c", SOURCE);
        let program = place.out.join("sentry");
        let mut gcc = place.command("gcc");
        gcc.args(["-static", "-w", "-o"]).args([&program, &source]);
        if !gcc.output().is_ok_and(|ran| ran.status.success()) {
            println!("not run: a sentry that was taken over: no gcc with a static C library here");
            return None;
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { place, program })
    }

    fn command(&self, options: &[&str], body: &str) -> Command {
        let mut command = run(&self.place, &self.program, options);
        command.args(["/usr/bin/python3", "-c", &python(&format!("{PRELUDE}{body}"))]);
        command
    }

    fn inside(&self, options: &[&str], body: &str) -> Ran {
        finish(&mut self.command(options, body))
    }

    fn outside(&self, body: &str) -> Ran {
        self.place.python_outside(&format!("{PRELUDE}{body}"))
    }

    /// Each act, named and in Python, works outside and fails inside, before and in namespaces of its own.
    #[track_caller]
    fn attacks(&self, acts: &[(&str, &str)], prepare: &str) {
        let tries: String =
            acts.iter().map(|(name, act)| format!("tries({name:?}, lambda: {act})\n")).collect();
        let outside = self.outside(&tries).works("the control");
        for (name, _) in acts {
            assert!(outside.out.contains(&format!("DONE {name}\n")), "outside: {outside:?}");
        }
        self.fails_inside(acts, &tries, prepare);
    }

    #[track_caller]
    fn fails_inside(&self, acts: &[(&str, &str)], tries: &str, prepare: &str) {
        for options in [TENANT, READ] {
            for prepare in ["", &format!("spaces()\n{prepare}\n")] {
                let ran = self.inside(options, &format!("{prepare}{tries}print('over')"));
                let ran = ran.works("the sentry runs to its end");
                assert!(!ran.out.contains("DONE") && ran.out.ends_with("over\n"), "HOLE: {ran:?}");
                for (name, _) in acts {
                    assert!(ran.out.contains(&format!("failed {name} ")), "{name}: {ran:?}");
                }
            }
        }
    }
}

/// The controls would be worth nothing if the sentry could do nothing at all.
#[test]
fn it_may_do_what_runsc_does() {
    let Some(sentry) = Sentry::new() else { return };
    let build = "spaces()
mount('own', '/tmp', 'tmpfs'); os.mkdir('/tmp/root')
mount('/', '/tmp/root', None, 4096 | 16384)
os.chdir('/tmp/root'); call(155, b'.', b'.'); call(166, b'.', 2); os.chroot('.')
reads('/etc/passwd'); print(sorted(os.listdir('/tmp')))";
    for options in [TENANT, READ] {
        let ran = sentry.inside(options, build).works("mounts, a root of its own");
        assert_eq!(ran.out, "['root']\n");
    }
}

#[test]
fn it_reads_no_home() {
    let Some(sentry) = Sentry::new() else { return };
    let home = sentry.place.home.display().to_string();
    let mut acts = vec![
        ("key", "reads(os.environ['H'] + '/.ssh/id_test')"),
        ("other project", "reads(os.environ['H'] + '/src/other/secret')"),
        ("somebody's", "reads(os.environ['OUT'] + '/canary')"),
    ];
    if is_root() {
        acts.push(("shadow", "shadow()"));
    }
    // What covers the home and the root is taken away, as far as that goes.
    let bare = "for at in (os.environ['H'], '/tmp', '/var/tmp', '/etc/shadow', '/etc/passwd', '/usr', '/'):
    try: call(166, at.encode(), 2)
    except OSError: pass
try: os.mkdir('/tmp/p'); mount('proc', '/tmp/p', 'proc')
except OSError: pass";
    sentry.attacks(&acts, bare);
    // No root of another process leads there.
    let search = "found = []
for pid in filter(str.isdigit, os.listdir('/proc')):
    for below in ('root', 'cwd'):
        try: reads(f'/proc/{pid}/{below}' + os.environ['H'] + '/.ssh/id_test')
        except OSError: continue
        found.append(pid)
print(bool(found))";
    assert_eq!(sentry.outside(search).works("the control").out, "True\n");
    for options in [TENANT, READ] {
        for prepare in ["", "spaces()\n"] {
            let ran = sentry.inside(options, &format!("{prepare}{search}")).works("the search");
            assert_eq!(ran.out, "False\n", "HOLE: {home}: {ran:?}");
        }
    }
}

#[test]
fn it_connects_nowhere() {
    let Some(sentry) = Sentry::new() else { return };
    let tcp = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let name = format!("cofferdam-gvisor-{}", std::process::id());
    let abstracted = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstracted = UnixListener::bind_addr(&abstracted).unwrap();
    let tree = sentry.place.work.join("door");
    let _path = UnixListener::bind(&tree).unwrap();
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o777)).unwrap();
    let loopback = format!("connects(socket.AF_INET, ('127.0.0.1', {port}))");
    let others = format!("connects(socket.AF_INET, ('127.9.9.9', {port}))");
    let unnamed = format!("connects(socket.AF_UNIX, '\\0{name}')");
    let mut acts = vec![
        ("loopback", loopback.as_str()),
        ("any of loopback", others.as_str()),
        ("abstract", unnamed.as_str()),
        ("path in a granted tree", "connects(socket.AF_UNIX, os.environ['W'] + '/door')"),
        ("relative path", "(os.chdir(os.environ['W']), connects(socket.AF_UNIX, 'door'))"),
        ("netlink", "socket.socket(16, 3, 15)"),
        ("vsock", "socket.socket(40, 1)"),
        ("crypto", "socket.socket(38, 5)"),
    ];
    let available = |act: &str| sentry.outside(act).status == Some(0);
    acts.retain(|(name, act)| {
        let there = !matches!(*name, "vsock" | "crypto") || available(act);
        if !there {
            println!("not run: a socket of {name}: the host has none");
        }
        there
    });
    if is_root() {
        acts.push(("packet", "socket.socket(17, 3, 0x0300)"));
        acts.push(("raw", "socket.socket(2, 3, 1)"));
    }
    // In a mount of its own, by a name that no policy knows.
    let moved = "os.mkdir('/tmp/m'); mount(os.environ['W'], '/tmp/m', None, 4096)
tries('moved', lambda: connects(socket.AF_UNIX, '/tmp/m/door'))
def in_it(): os.chdir('/tmp/m'); connects(socket.AF_UNIX, 'door')
tries('moved, relative', in_it)
def rooted(): os.chroot('/tmp/m'); connects(socket.AF_UNIX, '/door')
if os.fork() == 0: tries('moved, root', rooted); os._exit(0)
os.wait()";
    sentry.attacks(&acts, moved);
    drop(tcp);
}

/// With a network of its own it is root there, and meets the same sockets.
#[test]
fn a_network_of_its_own_leads_nowhere() {
    let Some(sentry) = Sentry::new() else { return };
    let act = "tries('packet', lambda: socket.socket(17, 3, 0x0300))
tries('raw', lambda: socket.socket(2, 3, 1))
tries('netfilter', lambda: socket.socket(16, 3, 12))";
    if is_root() {
        let outside = sentry.outside(act).works("the control");
        assert!(outside.out.contains("DONE packet\nDONE raw\n"), "{outside:?}");
    }
    for options in [TENANT, READ] {
        let ran = sentry.inside(options, &format!("spaces(0x40000000)\n{act}\nprint('over')"));
        let ran = ran.works("it runs");
        assert!(!ran.out.contains("DONE") && ran.out.ends_with("over\n"), "HOLE: {ran:?}");
    }
}

#[test]
fn it_sees_and_signals_no_process_of_the_hosts() {
    let Some(sentry) = Sentry::new() else { return };
    let mut victim = sentry.place.command("sleep").arg("100").spawn().unwrap();
    let pid = victim.id();
    let signal = format!("os.kill({pid}, 0)");
    let environment = format!("reads('/proc/{pid}/environ')");
    let traced =
        format!("(call(101, 16, {pid}, 0, 0), os.waitpid({pid}, 0), call(101, 17, {pid}, 0, 0))");
    let mut acts = vec![("signal", signal.as_str()), ("environment", environment.as_str())];
    if sentry.outside(&traced).status == Some(0) {
        acts.push(("trace", traced.as_str()));
    } else {
        println!("not run: to trace a process of the host's: not even outside (Yama)");
    }
    sentry.attacks(&acts, "try: mount('proc', '/proc', 'proc')\nexcept OSError: pass");
    let init = "tries('init signal', lambda: os.kill(1, 9))
tries('init trace', lambda: call(101, 16, 1, 0, 0))
tries('init memory', lambda: open('/proc/1/mem', 'r+b'))
tries('init root', lambda: os.listdir('/proc/1/root/'))
print('over')";
    for options in [TENANT, READ] {
        for prepare in ["", "spaces()\n"] {
            let ran = sentry.inside(options, &format!("{prepare}{init}")).works("it goes on");
            assert!(!ran.out.contains("DONE") && ran.out.ends_with("over\n"), "HOLE: {ran:?}");
        }
    }
    assert!(victim.try_wait().unwrap().is_none(), "the host's process lives");
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn it_writes_nothing_of_the_hosts() {
    let Some(sentry) = Sentry::new() else { return };
    let mut acts = vec![
        ("workspace", "writes(os.environ['W'] + '/written')"),
        ("somebody's", "writes(os.environ['OUT'] + '/written')"),
        (
            "setuid file",
            "(writes(os.environ['W'] + '/set'), os.chmod(os.environ['W'] + '/set', 0o4755))",
        ),
    ];
    if is_root() {
        acts.push(("system", "(writes('/usr/cofferdam-test'), os.unlink('/usr/cofferdam-test'))"));
        acts.push(("core pattern", "open('/proc/sys/kernel/core_pattern', 'r+').close()"));
        acts.push((
            "device",
            "os.mknod(os.environ['W'] + '/null', stat.S_IFCHR | 0o666, os.makedev(1, 3))",
        ));
        acts.push(("disk", "os.listdir('/sys/class/block') and os.mknod(os.environ['W'] + '/disk', stat.S_IFBLK | 0o600, os.makedev(254, 0))"));
    }
    let again = "for at in (os.environ['W'], '/usr', '/etc', '/proc/sys'):
    for flags in (4096 | 32, 32, 4096 | 32 | 2 | 4):
        tries('remount ' + at, lambda: mount(None, at, None, flags, None) or writes(at + '/remounted'))
    os.makedirs('/tmp/again', exist_ok=True)
    for flags in (4096, 4096 | 16384):
        tries('bind ' + at, lambda: (mount(at, '/tmp/again', None, flags), mount(None, '/tmp/again', None, 4096 | 32), writes('/tmp/again/remounted')))
tries('fresh proc', lambda: (mount('proc', '/tmp/again', 'proc'), open('/tmp/again/sys/kernel/core_pattern', 'r+').close()))
tries('fresh sys', lambda: (mount('sys', '/tmp/again', 'sysfs'), os.listdir('/tmp/again/kernel')))
tries('disk', lambda: mount('/dev/vda', '/tmp/again', 'ext4'))
tries('setuid own', lambda: (writes('/tmp/own'), os.chmod('/tmp/own', 0o4755)))
tries('device own', lambda: os.mknod('/tmp/null', stat.S_IFCHR | 0o666, os.makedev(1, 3)))";
    sentry.attacks(&acts, again);
    for name in ["written", "remounted", "set"] {
        drop(fs::remove_file(sentry.place.work.join(name)));
    }
}

/// Calls that no `runsc` needs are the native filter's.
#[test]
fn it_makes_no_other_calls() {
    let Some(sentry) = Sentry::new() else { return };
    let calls = "def refused(nr, *args):
    try: call(nr, *args)
    except OSError as e:
        if e.errno in (errno.EPERM, errno.ENOSYS): return
    print('DONE', nr)
b = ctypes.create_string_buffer(256)
fd = os.open('/proc/self/ns/net', os.O_RDONLY)
for nr, args in ((272, (0x10000000,)), (308, (fd, 0)), (170, (b'x', 1)), (250, (0, -3, 1)), (321, (0, b, 64)), (298, (b, 0, -1, -1, 0)),
    (323, (1,)), (304, (-100, b, 0)), (438, (0, 0, 0)), (425, (1, b)), (428, (-100, b'/', 0)), (429, (0, b, 0, b, 0)),
    (430, (b'tmpfs', 0)), (435, (b, 88)), (167, (b, 0)), (175, (b, 1, b)), (246, (0, 0, 0, 0)), (169, (0, 0, 0, 0)), (302, (os.getppid(), 7, 0, b))):
    refused(nr, *args)
print('over')";
    for options in [TENANT, READ] {
        for prepare in ["", "spaces()\n"] {
            let ran = sentry.inside(options, &format!("{prepare}{calls}")).works("it runs");
            assert_eq!(ran.out, "over\n", "HOLE: {ran:?}");
        }
    }
}

/// Forks twice, in a session of its own, with namespaces of its own, deaf to what asks it to end.
#[test]
fn it_does_not_outlive_the_session() {
    let Some(sentry) = Sentry::new() else { return };
    let mark = format!("gvsentry{}", std::process::id());
    let daemon = format!(
        "for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open('/dev/null', os.O_RDWR)
        for fd in (0, 1, 2): os.dup2(null, fd)
        SPACES
        call(157, 15, b'{mark}'); time.sleep(300)
    os._exit(0)
END"
    );
    let count = || {
        let names = fs::read_dir("/proc").unwrap().flatten();
        let names = names.filter(|entry| {
            fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim_end() == mark)
        });
        names.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let until = |want: usize, why: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        while count().len() != want {
            assert!(Instant::now() < end, "{why}: {:?}", count());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let outside = daemon.replace("SPACES", "pass").replace("END", "");
    sentry.outside(&outside).works("the control");
    until(1, "it lives on outside");
    sentry.place.outside(&format!("kill -9 {}", count().join(" "))).works("tidy up");
    until(0, "it is ended");
    for options in [TENANT, READ] {
        for spaces in ["pass", "spaces(0x20000000)"] {
            let body = daemon.replace("SPACES", spaces).replace("END", "sys.stdin.read()");
            let mut command = sentry.command(options, &body);
            let mut engine = command.stdin(Stdio::piped()).spawn().unwrap();
            until(1, "it is there");
            drop(engine.stdin.take());
            assert_eq!(engine.wait().unwrap().code(), Some(0));
            assert_eq!(count().len(), 0, "HOLE: it outlives the run");
            // And where the engine is killed.
            let mut command = sentry.command(options, &body);
            let mut engine = command.stdin(Stdio::piped()).spawn().unwrap();
            until(1, "it is there");
            engine.kill().unwrap();
            engine.wait().unwrap();
            until(0, "HOLE: it outlives its engine");
        }
    }
}
